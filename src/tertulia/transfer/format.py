"""The format of exports: a header line, the memories, then for each conversation its line, attachments and messages."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict
from pydantic import Field as Checked

from tertulia.attachments.media import InspectedFile
from tertulia.claude.errors import ErrorCode
from tertulia.claude.parser import LONGEST_EXPLANATION, TOOL_NAME
from tertulia.claude.repairs import LeftOut
from tertulia.db.tables import Role, Status
from tertulia.json import Json, dumps_spaced
from tertulia.resolvers.inputs import MAX_SYSTEM_PROMPT, MAX_TITLE, Rating
from tertulia.tools.json_schema import SchemaKind, schema_problem_blocking

MAX_NAME = 200
FIRST_YEAR, LAST_YEAR = 1970, 9998


def _in_utc(time: datetime) -> datetime:
    # At the limits of the calendar, the conversion to another time zone fails.
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise ValueError(f"must be in a year from {FIRST_YEAR} to {LAST_YEAR}")
    return time.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Count = Annotated[int, Checked(ge=0, lt=2**31, strict=True)]
"""A count within the range of GraphQL's `Int`."""
Amount = Annotated[int, Checked(ge=0, lt=2**53, strict=True)]
Name = Annotated[str, Checked(max_length=MAX_NAME)]


class Line(BaseModel):
    """A line of an export: a JSON object."""

    model_config = ConfigDict(extra="forbid")

    def to_bytes(self) -> bytes:
        """Return the line as JSON, with a line break.

        Values are not validated, so that stored values that earlier versions accepted are exported unchanged.
        """
        return dumps_spaced(self.model_dump(mode="python", warnings=False)).encode("utf-8", "replace") + b"\n"


class HeaderLine(Line):
    """The first line of an export."""

    type: Literal["tertulia-export"] = "tertulia-export"
    version: Literal[1] = 1
    exported_at: Moment


class ThinkingOptions(Line):
    """The thinking options of generations."""

    enabled: Annotated[bool, Checked(strict=True)]
    budget_tokens: Count | None = None


class ToolChoiceLine(Line):
    """The choice of tools of generations."""

    mode: Literal["auto", "any", "tool", "none"]
    name: Annotated[str, Checked(pattern=TOOL_NAME)] | None = None
    parallel: Annotated[bool, Checked(strict=True)] = True


class Options(Line):
    """The options of generations."""

    max_tokens: Count | None = None
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    thinking: ThinkingOptions | None = None
    output_schema: Json | None = None
    tool_choice: ToolChoiceLine | None = None
    continue_interrupted: Annotated[bool, Checked(strict=True)] | None = None
    fallbacks: list[Name] | None = None
    stop_sequences: list[Name] | None = None
    task_budget: Count | None = None
    service_tier: Name | None = None
    speed: Name | None = None
    inference_geo: Name | None = None
    skills: list[Json] | None = None
    context_editing: Json | None = None

    def check(self) -> None:
        """Raise ValueError if the output schema is not accepted. This call blocks."""
        if self.output_schema is not None:
            problem = schema_problem_blocking(self.output_schema, SchemaKind.OUTPUT)
            if problem is not None:
                raise ValueError(f"options.output_schema {problem}")

    def to_stored_json(self) -> Json:
        """Return the value that is stored in the conversation or generation."""
        return self.model_dump(exclude_unset=True)


class ClientToolLine(Line):
    """A tool that the client of the conversation runs."""

    name: Annotated[str, Checked(pattern=TOOL_NAME)]
    description: Annotated[str, Checked(min_length=1, max_length=10_000)]
    input_schema: Json


class ToolsLine(Line):
    """The tools that Claude may call in a conversation. If `server` is null, these are all tools of the server."""

    server: list[Name] | None = None
    client: list[ClientToolLine] = []

    def to_stored_json(self) -> Json:
        """Return the value that is stored in the conversation or generation."""
        return {name: value for name, value in self.model_dump().items() if value is not None and value != []}


class UsageLine(Line):
    """Token counts. `amount` is their cost in 10^-12 US dollars."""

    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0
    amount: Amount | None = None


class MemoryLine(Line):
    """A file that an assistant keeps about the user."""

    type: Literal["memory"] = "memory"
    assistant: Annotated[str, Checked(min_length=1, max_length=MAX_NAME)]
    path: str
    content: str
    created_at: Moment
    updated_at: Moment


class ConversationLine(Line):
    """A conversation. The lines until the next conversation belong to it."""

    type: Literal["conversation"] = "conversation"
    id: Name
    title: Annotated[str, Checked(max_length=MAX_TITLE)] | None = None
    system_prompt: Annotated[str, Checked(max_length=MAX_SYSTEM_PROMPT)] | None = None
    model: Name
    options: Options = Options()
    tools: ToolsLine = ToolsLine()
    assistant: Name | None = None
    archived: bool = False
    pinned: bool = False
    external_id: str | None = None
    metadata: Json = {}
    active_leaf_id: Name | None = None
    usage: UsageLine = UsageLine()
    created_at: Moment
    updated_at: Moment


class AttachmentLine(Line):
    """An attachment of the conversation. `data` is its content in base64. Only Claude makes files of other types."""

    type: Literal["attachment"] = "attachment"
    id: Name
    filename: Name
    media_type: Name | None = None
    data: str
    created_at: Moment


class ErrorLine(Line):
    """The error of a failed generation."""

    code: ErrorCode
    message: str
    request_id: str | None = None
    retry_after_seconds: float | None = None
    api_code: str | None = None


Explanation = Annotated[str, Checked(max_length=LONGEST_EXPLANATION)]


class RefusalLine(Line):
    """Why Claude refused an answer."""

    category: Explanation | None = None
    explanation: Explanation | None = None


class GenerationLine(Line):
    """The generation that wrote an answer."""

    status: Status
    model: Name
    options: Options = Options()
    sequence: Count = 0
    steered: Annotated[bool, Checked(strict=True)] = False
    continuations: Count = 0
    stop_reason: Name | None = None
    refusal: RefusalLine | None = None
    stop_sequence: Name | None = None
    error: ErrorLine | None = None
    request_id: Name | None = None
    prefix: Name | None = None
    left_out: dict[LeftOut, Count] = {}
    context_tokens: Count | None = None
    usage: UsageLine | None = None
    created_at: Moment
    started_at: Moment | None = None
    first_token_at: Moment | None = None
    finished_at: Moment | None = None


class RatingLine(Line):
    """The user's rating of an answer."""

    rating: Rating
    comment: str | None = None
    tags: list[str] = []
    updated_at: Moment


class FileLine(Line):
    """A file that Claude made for an answer: the id of its attachment, or why there is none."""

    file_id: Name
    attachment_id: Name | None = None
    problem: Name | None = None


class MessageLine(Line):
    """A message of any branch. It comes after its parent. `content` contains blocks of the Messages API."""

    type: Literal["message"] = "message"
    id: Name
    parent_id: Name | None = None
    role: Role
    content: list[Json]
    context: Any = None
    metadata: Json = {}
    rating: RatingLine | None = None
    created_at: Moment
    generation: GenerationLine | None = None
    files: list[FileLine] = []


class LeftOutLine(Line):
    """A conversation that the export left out, or an attachment of the previous conversation that it left out."""

    type: Literal["left_out"] = "left_out"
    kind: Literal["conversation", "attachment"]
    id: Name
    reason: str


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """A decoded and checked attachment. `file` exists until the next item is read."""

    line: AttachmentLine
    file: Path
    inspected: InspectedFile
    size: int


@dataclass(frozen=True, slots=True)
class BlocksLeftOut:
    """The number of blocks of the conversation that cannot be imported."""

    count: int


@dataclass(frozen=True, slots=True)
class ConversationItem:
    """The line of a conversation, and the beginning of error messages about it."""

    line: ConversationLine
    error_prefix: str


Item = MemoryLine | ConversationItem | AttachedFile | MessageLine | BlocksLeftOut
"""An item of a file: a memory, a conversation, or an attachment, message or count of the previous conversation."""
AnyLine = Annotated[
    HeaderLine | MemoryLine | ConversationLine | AttachmentLine | MessageLine | LeftOutLine,
    Checked(discriminator="type"),
]
