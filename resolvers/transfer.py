"""The lines of an export: a header, then of each conversation itself, its attachments, and its messages."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict
from pydantic import Field as Checked

from claude.errors import ErrorCode
from claude.json_schema import SchemaKind, schema_problem_blocking
from claude.tools import NAME
from db.tables import Role, Status
from resolvers.inputs import MAX_SYSTEM_PROMPT, MAX_TITLE
from tertulia.json import Json, dumps_spaced

MAX_NAME = 200

Count = Annotated[int, Checked(ge=0, lt=2**53)]
Name = Annotated[str, Checked(max_length=MAX_NAME)]


class Line(BaseModel):
    """A line, as JSON."""

    model_config = ConfigDict(extra="forbid")

    def written(self) -> bytes:
        """Return the line as it is written, its end included."""
        return dumps_spaced(self.model_dump(mode="python")).encode("utf-8", "replace") + b"\n"


class HeaderLine(Line):
    """The first line."""

    type: Literal["tertulia-export"] = "tertulia-export"
    version: Literal[1] = 1
    exported_at: AwareDatetime


class ThinkingOptions(Line):
    """Whether Claude thinks."""

    enabled: bool
    budget_tokens: Count | None = None


class Options(Line):
    """What answers are asked with."""

    max_tokens: Count | None = None
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    thinking: ThinkingOptions | None = None
    output_schema: Json | None = None

    def check(self) -> None:
        """Raise ValueError for a schema that is not accepted. Blocks."""
        if self.output_schema is not None:
            problem = schema_problem_blocking(self.output_schema, SchemaKind.OUTPUT)
            if problem is not None:
                raise ValueError(f"options.output_schema {problem}")

    def stored(self) -> Json:
        """Give what is kept of them."""
        return self.model_dump(exclude_unset=True)


class ClientToolLine(Line):
    """A tool that the conversation's client runs."""

    name: Annotated[str, Checked(pattern=NAME)]
    description: Annotated[str, Checked(min_length=1, max_length=10_000)]
    input_schema: Json


class ToolsLine(Line):
    """The tools that Claude may call in a conversation; `server` is null for all of the server's."""

    server: list[Name] | None = None
    client: list[ClientToolLine] = []

    def check(self) -> None:
        """Raise ValueError for a schema that is not accepted. Blocks."""
        for place, tool in enumerate(self.client):
            problem = schema_problem_blocking(tool.input_schema, SchemaKind.TOOL)
            if problem is not None:
                raise ValueError(f"tools.client.{place}.input_schema {problem}")

    def stored(self) -> Json:
        """Give what is kept of them."""
        return {name: value for name, value in self.model_dump().items() if value is not None and value != []}


class UsageLine(Line):
    """What was used; `amount` in 10^-12 US dollars."""

    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0
    amount: Count | None = None


class ConversationLine(Line):
    """A conversation; what follows belongs to it, up to the next one."""

    type: Literal["conversation"] = "conversation"
    id: Name
    title: Annotated[str, Checked(max_length=MAX_TITLE)] | None = None
    system_prompt: Annotated[str, Checked(max_length=MAX_SYSTEM_PROMPT)] | None = None
    model: Name
    options: Options = Options()
    tools: ToolsLine = ToolsLine()
    archived: bool = False
    pinned: bool = False
    active_leaf_id: Name | None = None
    usage: UsageLine = UsageLine()
    created_at: AwareDatetime
    updated_at: AwareDatetime


class AttachmentLine(Line):
    """A file; `data` is base64."""

    type: Literal["attachment"] = "attachment"
    id: Name
    filename: Name
    data: str
    created_at: AwareDatetime


class ErrorLine(Line):
    """Why an answer failed."""

    code: ErrorCode
    message: str
    request_id: str | None = None
    retry_after_seconds: float | None = None


class GenerationLine(Line):
    """How an answer came about."""

    status: Status
    model: Name
    options: Options = Options()
    sequence: Count = 0
    stop_reason: Name | None = None
    error: ErrorLine | None = None
    request_id: Name | None = None
    prefix: Name | None = None
    left_out: dict[Name, Count] = {}
    context_tokens: Count | None = None
    usage: UsageLine | None = None
    created_at: AwareDatetime
    started_at: AwareDatetime | None = None
    first_token_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None


class MessageLine(Line):
    """A message of any branch, behind its parent; its blocks are those of the Messages API."""

    type: Literal["message"] = "message"
    id: Name
    parent_id: Name | None = None
    role: Role
    content: list[Json]
    created_at: AwareDatetime
    generation: GenerationLine | None = None


@dataclass(slots=True)
class Bundle:
    """A conversation, with what belongs to it; and how many blocks of it cannot be kept."""

    conversation: ConversationLine
    attachments: list[AttachmentLine] = field(default_factory=list[AttachmentLine])
    messages: list[MessageLine] = field(default_factory=list[MessageLine])
    blocks_left_out: int = 0


AnyLine = Annotated[HeaderLine | ConversationLine | AttachmentLine | MessageLine, Checked(discriminator="type")]
