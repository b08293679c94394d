"""Conversations, messages, generations, and what hangs on them."""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry.scalars import JSON

from claude import budget as claude_budget
from claude import errors as claude_errors
from claude import models as claude_models
from claude import prompt
from db import ledger, paging, tables
from resolvers import changes, context, conversations, following, inputs, limits, messages, options, search, viewing
from resolvers import tools as tool_resolvers
from schema.content import ContentBlock, Node
from schema.shows import served, shows
from schema.tools import ConversationTools, ToolUsage

if TYPE_CHECKING:
    from schema.events import GenerationEventConnection

strawberry.enum(tables.Role, name="MessageRole", description="Who wrote a message.")
strawberry.enum(
    tables.Status, name="GenerationStatus", description="Where a generation stands; the last three are final."
)
strawberry.enum(
    claude_errors.ErrorCode, name="GenerationErrorCode", description="Claude's own failures, as the API names them."
)


@strawberry.enum(description="Why Claude ended, in the Messages API's words.")
class StopReason(Enum):
    """The stop reasons of the Messages API."""

    END_TURN = "end_turn"
    MAX_TOKENS = "max_tokens"
    STOP_SEQUENCE = "stop_sequence"
    TOOL_USE = "tool_use"
    PAUSE_TURN = "pause_turn"
    REFUSAL = "refusal"
    MODEL_CONTEXT_WINDOW_EXCEEDED = "model_context_window_exceeded"


@shows(ledger.UsageSum)
class Usage:
    """Tokens as Claude's API billed them; cost in US dollars, exact, null where the price is not known."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cost_usd: Decimal | None


@shows(ledger.UsageOfDay)
class UsageOfDay:
    """What one model has used on one day, in UTC."""

    day: date
    model: str
    usage: Usage


@shows(claude_models.Model)
class Model:
    """A Claude model; `simulated` when no key is set and the answers are made up here. Limits are in tokens.

    `thinking` and `efforts`: what `options` may ask of it, in the Messages API's words; null where that is not known.
    """

    id: str
    display_name: str
    default: bool
    simulated: bool
    max_input_tokens: int | None
    max_output_tokens: int | None
    takes_images: bool | None
    takes_documents: bool | None
    structured: bool | None = strawberry.field(description="Whether it writes JSON by an `outputSchema`.")
    compacts: bool = strawberry.field(description="Whether it sums up what was said when its window nears its end.")
    thinking: list[str] | None = served(viewing.thinking)
    efforts: list[str] | None = served(viewing.efforts)


@shows(claude_errors.GenerationError)
class GenerationError:
    """Claude's own failures, as the Messages API names them."""

    code: claude_errors.ErrorCode
    message: str
    retryable: bool
    request_id: str | None = strawberry.field(description="Claude's request id, for support.")
    retry_after_seconds: float | None = strawberry.field(description="When Claude said to come back, if it did.")


@shows(paging.PageInfo)
class PageInfo:
    """What lies around a page."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


strawberry.enum(prompt.LeftOut, name="LeftOutReason", description=prompt.LeftOut.__doc__)


@shows(messages.LeftOut)
class LeftOut:
    """Blocks of earlier messages that Claude was not shown."""

    reason: prompt.LeftOut
    blocks: int


@shows(tables.Message)
class Message(Node):
    """One turn; immutable once finished."""

    conversation: Annotated["Conversation", strawberry.lazy("schema.types")] = served(messages.conversation)
    role: tables.Role
    content: list[ContentBlock] = served(messages.content)
    text: str = served(messages.text)
    left_out: list[LeftOut] = served(messages.left_out)
    created_at: datetime
    parent: Annotated["Message", strawberry.lazy("schema.types")] | None = served(messages.parent)
    siblings: list[Annotated["Message", strawberry.lazy("schema.types")]] = served(messages.siblings)
    generation: Annotated["Generation", strawberry.lazy("schema.types")] | None = served(messages.generation)


@shows(paging.Edge)
class MessageEdge:
    """A message in a list."""

    cursor: str
    node: Message


@shows(paging.Connection)
class MessageConnection:
    """A page of messages."""

    edges: list[MessageEdge]
    page_info: PageInfo


@shows(search.TextRange)
class TextRange:
    """A stretch of a text, in UTF-16 code units; `end` is the first behind it."""

    start: int
    end: int


@shows(search.MessageSearchEdge)
class MessageSearchEdge:
    """The best passage of the message, and where the matches stand in it, in UTF-16 code units."""

    cursor: str
    node: Message
    excerpt: str
    highlights: list[TextRange]
    score: float


@shows(search.MessageSearchConnection)
class MessageSearchConnection:
    """A page of what was found."""

    edges: list[MessageSearchEdge]
    page_info: PageInfo


def _stop_reason(root: tables.Generation) -> StopReason | None:
    # A reason that is newer than this version has no name in the schema yet.
    return next((reason for reason in StopReason if reason.value == root.stop_reason), None)


@shows(tables.Generation)
class Generation(Node):
    """Claude's work on one answer."""

    conversation: Annotated["Conversation", strawberry.lazy("schema.types")] = served(messages.conversation)
    message: Message = served(messages.message)
    status: tables.Status
    model: Model = served(conversations.model)
    stop_reason: StopReason | None = strawberry.field(
        resolver=_stop_reason, description="Why Claude ended, in the Messages API's words."
    )
    usage: Usage | None = served(messages.usage)
    error: GenerationError | None = served(messages.error)
    events: Annotated["GenerationEventConnection", strawberry.lazy("schema.events")] = served(following.events)
    created_at: datetime
    started_at: datetime | None
    first_token_at: datetime | None
    finished_at: datetime | None


@shows(inputs.Thinking)
class ThinkingOptions:
    """Whether Claude thinks before it answers."""

    enabled: bool
    budget_tokens: int | None


@shows(inputs.GenerationOptions)
class GenerationOptions:
    """What answers are asked with; null leaves it to the server."""

    max_tokens: int | None
    effort: inputs.Effort | None
    thinking: ThinkingOptions | None
    output_schema: JSON | None


@shows(conversations.ContextWindow)
class ContextWindow:
    """How full the model's window is, in tokens: what is in use behind the last answer, and the most there is room for.

    `limit` is null where it is not known. Where `compacts`, Claude sums up what was said when the end is near, as a
    CompactionBlock says then. Where not, it says MODEL_CONTEXT_WINDOW_EXCEEDED or refuses: go on in a new conversation.
    """

    used_tokens: int
    limit: int | None
    compacts: bool


@shows(tables.Conversation)
class Conversation(Node):
    """An exchange owned by one viewer."""

    title: str | None
    system_prompt: str | None
    model: Model = served(conversations.model)
    options: GenerationOptions = served(options.shown)
    created_at: datetime
    updated_at: datetime = strawberry.field(description="When a message was last added.")
    archived: bool
    pinned: bool
    temporary: bool = strawberry.field(
        description="In no list and no search; deleted a day after its last message, unless the server says otherwise."
    )
    messages: MessageConnection = served(conversations.messages)
    last_message: Message | None = served(conversations.last_message)
    active_generation: Generation | None = served(conversations.active_generation)
    usage: Usage = served(conversations.usage)
    context: ContextWindow = served(conversations.context)
    tools: ConversationTools = served(tool_resolvers.of_conversation)


@shows(paging.Edge)
class ConversationEdge:
    """A conversation in a list."""

    cursor: str
    node: Conversation


@shows(paging.Connection)
class ConversationConnection:
    """A page of conversations."""

    edges: list[ConversationEdge]
    page_info: PageInfo


strawberry.enum(tables.ChangeKind, name="ConversationChangeKind", description="What happened to a conversation.")


@shows(tables.ConversationChange)
class ConversationChange:
    """A change to one of the viewer's conversations."""

    cursor: str = served(changes.cursor)
    kind: tables.ChangeKind
    conversation_id: strawberry.ID = served(changes.conversation_id)
    conversation: Conversation | None = served(changes.conversation)
    generation: Generation | None = served(changes.generation)


@shows(claude_budget.Standing)
class Budget:
    """A calendar month's budget, in UTC. What running answers may still cost is reserved."""

    limit_usd: Decimal
    spent_usd: Decimal
    reserved_usd: Decimal
    resets_at: datetime


@shows(limits.Limit)
class Limit:
    """What is left of a limit: requests, messages (`sends`), uploads in megabytes, answers at once, sockets at once."""

    name: str
    limit: int
    remaining: int
    window_seconds: int | None = strawberry.field(description="Within how long so many are taken; null for at once.")
    resets_in_seconds: float | None = strawberry.field(description="When there are more; 0 where nothing is used.")


@shows(context.Viewer)
class Viewer:
    """Who is asking."""

    id: strawberry.ID
    name: str
    usage: Usage = served(viewing.usage)
    usage_by_day: list[UsageOfDay] = served(viewing.usage_by_day)
    budget: Budget | None = served(viewing.budget)
    limits: list[Limit] = served(viewing.limits)
    tool_usage: list[ToolUsage] = served(tool_resolvers.tool_usage)
