"""The inputs of mutations as Python classes; the schema assigns their GraphQL names."""

from dataclasses import dataclass
from enum import StrEnum

from strawberry import ID, UNSET
from strawberry.scalars import JSON

from tertulia.resolvers.errors import InvalidInput

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
    """Whether Claude thinks before it answers. `Model.thinking` says what a model takes: some always think."""

    enabled: bool
    """Whether it is to think."""
    budget_tokens: int | None = None
    """Tokens that it may think for: 1,024 or more, and less than `maxTokens`. Only for models that take a budget."""


@dataclass
class GenerationOptions:
    """What a request may set; what is left out comes from the conversation, then from the server."""

    model: str | None = None
    """The model that answers, by its id (`Query.models`). Not beside a conversation, which has a `model` of its own."""
    max_tokens: int | None = None
    """The most tokens of an answer, its thinking included: 1 to the model's `maxOutputTokens`; else 32,000 at most."""
    effort: Effort | None = None
    """How much work Claude puts into it, as far as the model takes it."""
    thinking: Thinking | None = None
    """Whether Claude thinks first; where nobody says, the model does as it likes."""
    output_schema: JSON | None = None
    """A JSON schema of at most 65,536 bytes and 64 levels: the answer is then a `JsonBlock`, which says if it fits."""


@dataclass
class ClientTool:
    """A tool that the client runs: it gets its calls by `ToolResultsRequired`, and answers by `submitToolResults`."""

    name: str
    """1 to 128 letters, digits, `_` and `-`; no name of the server's tools, and none twice."""
    description: str
    """What it does, for Claude: 1 to 10,000 characters."""
    input_schema: JSON
    """What it takes: a JSON schema of an object, of at most 65,536 bytes."""


@dataclass
class ConversationTools:
    """The tools that Claude may call in a conversation."""

    server: list[str] | None = None
    """At most 100 names of `Query.tools`, or patterns as `github__*`; null for all of the server's, `[]` for none."""
    client: list[ClientTool] | None = None
    """The client's own, at most 100."""


@dataclass
class ToolResult:
    """What came of one call: the output of a tool of the client's, or the user's yes or no to one that asks first."""

    tool_use_id: ID
    """The call, as `ToolResultsRequired` names it."""
    output: JSON | None = None
    """What the client's tool gave: any JSON, of at most 200,000 bytes. Of a no, a string that tells Claude why."""
    is_error: bool = False
    """Whether the client's tool failed; `output` then tells Claude why."""
    approved: bool | None = None
    """The user's yes or no; needed for a tool that asks first, and null for a tool of the client's."""


@dataclass
class SubmitToolResults:
    """Results of calls that an answer waits for. The answer goes on once it has all of them."""

    generation_id: ID
    """The answer that waits."""
    results: list[ToolResult]
    """One or more results, each of another call; all are taken, or none."""


@dataclass
class SendMessage:
    """A message of the user's, and how it is to be answered."""

    text: str
    """At most 200,000 characters; blank only beside attachments."""
    conversation_id: ID | None = None
    """Where to say it; null makes a new conversation."""
    attachment_ids: list[ID] | None = None
    """At most 100 files that were uploaded to `/attachments`, shown in front of the text."""
    parent_id: ID | None = None
    """The message of the conversation to go on from; null for the end of the active branch."""
    options: GenerationOptions | None = None
    """What this answer is asked with; the conversation's options fill what is left out."""
    idempotency_key: ID | None = None
    """A UUID of the client's: the same send with the same key within 24 hours gives the first result, and asks once.

    It passes the rate limit; with other input it is `InvalidInput`.
    """
    when_busy: WhenBusy = WhenBusy.REJECT
    """What to do where the branch is being answered already."""
    temporary: bool = False
    """Of a new conversation alone: in no list and no search, and deleted a day after its last message."""
    tools: ConversationTools | None = None
    """Of a new conversation alone: the tools that Claude may call; null for all of the server's."""


@dataclass
class EditMessage:
    """A new version of a message of the user's."""

    message_id: ID
    """The message to say otherwise; one of the user's."""
    text: str
    """The new text: at most 200,000 characters; blank only beside attachments."""
    attachment_ids: list[ID] | None = None
    """At most 100 uploaded files; null for those of the old version, `[]` for none."""
    options: GenerationOptions | None = None
    """What this answer is asked with; the conversation's options fill what is left out."""
    idempotency_key: ID | None = None
    """A UUID of the client's: the same edit with the same key within 24 hours gives the first result, and asks once."""
    when_busy: WhenBusy = WhenBusy.REJECT
    """What to do where an answer in front of the message is still being written."""


@dataclass
class RegenerateMessage:
    """A new answer beside an existing one."""

    message_id: ID
    """The answer to ask for again; one of Claude's."""
    options: GenerationOptions | None = None
    """What this answer is asked with, such as another model; the conversation's options fill what is left out."""
    idempotency_key: ID | None = None
    """A UUID of the client's: the same with the same key within 24 hours gives the first result, and asks once."""
    when_busy: WhenBusy = WhenBusy.REJECT
    """What to do where an answer in front of the message is still being written."""


@dataclass
class ForkConversation:
    """A new conversation that goes on behind a message of another."""

    message_id: ID
    """The last message that is copied; all in front of it on its branch come along."""
    title: str | None = None
    """At most 200 characters; null for the old conversation's title."""


@dataclass
class CreateConversation:
    """A new conversation."""

    title: str | None = None
    """At most 200 characters; null for one that a small model gives behind the first answer."""
    system_prompt: str | None = None
    """What Claude is told before all messages: at most 100,000 characters; null for nothing."""
    model: str | None = None
    """The id of the model that answers, one of `Query.models`; null for the server's default."""
    options: GenerationOptions | None = None
    """What its answers are asked with, unless a send says otherwise."""
    temporary: bool = False
    """In no list and no search, without a title of the server's, and deleted a day after its last message."""
    tools: ConversationTools | None = None
    """The tools that Claude may call; null for all of the server's."""


@dataclass
class UpdateConversation:
    """What to change. What is left out stays as it is; null is something else."""

    id: ID
    """The conversation to change."""
    title: str | None = UNSET
    """At most 200 characters; null takes it away."""
    system_prompt: str | None = UNSET
    """At most 100,000 characters; null takes it away. Claude's earlier thinking, bound to it, is then left out."""
    model: str | None = UNSET
    """The id of the model that answers from now on, one of `Query.models`; never null."""
    archived: bool | None = UNSET
    """Whether to put it away; never null."""
    pinned: bool | None = UNSET
    """Whether to mark it as one to have at hand; never null."""
    options: GenerationOptions | None = UNSET
    """All its options anew; null takes them away."""
    tools: ConversationTools | None = UNSET
    """The tools that Claude may call, anew; null for all of the server's."""


@dataclass
class ConversationFilter:
    """What a list of conversations is narrowed to: those that all of it holds for."""

    archived: bool | None = None
    """Those that are archived, or those that are not; null for both."""
    pinned: bool | None = None
    """Those that are pinned, or those that are not; null for both."""
    title_contains: str | None = None
    """Those whose title holds this, in capitals or not; null or empty for all."""
    temporary: bool = False
    """Those that are temporary, in place of all others: they stand in a list of their own."""


def check_text(field: str, text: str, limit: int) -> str:
    """Return the text; raise InvalidInput if it cannot be stored or sent."""
    if len(text) > limit:
        raise InvalidInput(field, f"takes at most {limit:,} characters, not {len(text):,}.")
    if "\0" in text:
        raise InvalidInput(field, "cannot hold the character U+0000.")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidInput(field, "holds half of a surrogate pair, which is no character.")
    return text


def blank_error(field: str) -> InvalidInput:
    """Return the error of a blank message, which Claude's API does not accept."""
    return InvalidInput(field, "must not be empty or blank.")
