"""What mutations take, as Python values; the schema gives them their GraphQL names."""

from dataclasses import dataclass
from enum import StrEnum

from strawberry import ID, UNSET
from strawberry.scalars import JSON

from resolvers.errors import InvalidInput

MAX_TEXT = 200_000
"""Characters of one message."""
MAX_TITLE = 200
MAX_SYSTEM_PROMPT = 100_000


class WhenBusy(StrEnum):
    """What a send does when its conversation is being answered already."""

    REJECT = "reject"
    QUEUE = "queue"
    INTERRUPT = "interrupt"


class Effort(StrEnum):
    """How much work Claude puts into an answer."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


@dataclass
class Thinking:
    """Whether Claude thinks before it answers; `budgetTokens` for models that take a budget."""

    enabled: bool
    budget_tokens: int | None = None


@dataclass
class GenerationOptions:
    """What a request may set; what is left out comes from the conversation, then from the server.

    `outputSchema`: a JSON schema; the answer's text is then a JsonBlock, which says whether it fits.
    """

    model: str | None = None
    max_tokens: int | None = None
    effort: Effort | None = None
    thinking: Thinking | None = None
    output_schema: JSON | None = None


@dataclass
class ClientTool:
    """A tool that the client runs: it gets its calls by ToolResultsRequired, and answers by submitToolResults.

    `name`: up to 128 letters, digits, `_` and `-`. `inputSchema`: a JSON schema of an object.
    """

    name: str
    description: str
    input_schema: JSON


@dataclass
class ConversationTools:
    """The tools that Claude may call in a conversation.

    `server`: names of the server's tools (`Query.tools`), or patterns as `github__*`; all of them where it is null,
    none where it is empty. `client`: the client's own, 100 at most.
    """

    server: list[str] | None = None
    client: list[ClientTool] | None = None


@dataclass
class ToolResult:
    """What came of one call: `output`, any JSON, of a tool of the client's; `approved` of a tool that asks first.

    Where the user says no, `output` may be a string that tells Claude why.
    """

    tool_use_id: ID
    output: JSON | None = None
    is_error: bool = False
    approved: bool | None = None


@dataclass
class SubmitToolResults:
    """Results of calls that an answer waits for. The answer goes on once it has all of them."""

    generation_id: ID
    results: list[ToolResult]


@dataclass
class SendMessage:
    """A message of the user's, and how it is to be answered.

    `temporary` and `tools` are those of a conversation that is made by it.
    """

    text: str
    conversation_id: ID | None = None
    attachment_ids: list[ID] | None = None
    parent_id: ID | None = None
    options: GenerationOptions | None = None
    idempotency_key: ID | None = None
    when_busy: WhenBusy = WhenBusy.REJECT
    temporary: bool = False
    tools: ConversationTools | None = None


@dataclass
class EditMessage:
    """A new version of a message of the user's."""

    message_id: ID
    text: str
    attachment_ids: list[ID] | None = None
    options: GenerationOptions | None = None
    idempotency_key: ID | None = None
    when_busy: WhenBusy = WhenBusy.REJECT


@dataclass
class RegenerateMessage:
    """A new answer beside an existing one."""

    message_id: ID
    options: GenerationOptions | None = None
    idempotency_key: ID | None = None
    when_busy: WhenBusy = WhenBusy.REJECT


@dataclass
class ForkConversation:
    """A new conversation that goes on behind a message; its title is the old one's unless given."""

    message_id: ID
    title: str | None = None


@dataclass
class CreateConversation:
    """A new conversation; the model is the server's default unless given.

    A temporary one is in no list and no search, gets no title, and is deleted a day after its last message.
    """

    title: str | None = None
    system_prompt: str | None = None
    model: str | None = None
    options: GenerationOptions | None = None
    temporary: bool = False
    tools: ConversationTools | None = None


@dataclass
class UpdateConversation:
    """What is left out stays as it is; null takes a title, a system prompt, options or a choice of tools away."""

    id: ID
    title: str | None = UNSET
    system_prompt: str | None = UNSET
    model: str | None = UNSET
    archived: bool | None = UNSET
    pinned: bool | None = UNSET
    options: GenerationOptions | None = UNSET
    tools: ConversationTools | None = UNSET


@dataclass
class ConversationFilter:
    """What a list of conversations is narrowed to. Temporary ones stand in a list of their own."""

    archived: bool | None = None
    pinned: bool | None = None
    title_contains: str | None = None
    temporary: bool = False


def check_text(field: str, text: str, limit: int) -> str:
    """Give the text back, or raise InvalidInput where it cannot be stored or sent."""
    if len(text) > limit:
        raise InvalidInput(field, f"takes at most {limit:,} characters, not {len(text):,}.")
    if "\0" in text:
        raise InvalidInput(field, "cannot hold the character U+0000.")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise InvalidInput(field, "holds half of a surrogate pair, which is no character.")
    return text


def blank(field: str) -> InvalidInput:
    """Make the error of a message that says nothing: Claude takes none."""
    return InvalidInput(field, "must not be empty or blank.")
