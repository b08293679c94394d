"""Conversations, messages and generations, and their connections."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from tertulia.claude import prompt
from tertulia.db import paging, tables
from tertulia.resolvers import changes, conversations, follow, messages, options, search
from tertulia.resolvers import tools as tool_resolvers
from tertulia.schema.content import ContentBlock
from tertulia.schema.declare import field, graphql_type
from tertulia.schema.enums import StopReason
from tertulia.schema.models import ContextWindow, GenerationError, GenerationOptions, Model, Usage
from tertulia.schema.relay import Node, PageInfo
from tertulia.schema.tools import ConversationTools

if TYPE_CHECKING:
    from tertulia.schema.events import GenerationEventConnection


@graphql_type(messages.LeftOut)
class LeftOut:
    """Blocks of earlier messages that Claude was not shown."""

    reason: prompt.LeftOut
    """Why not."""
    blocks: int
    """How many blocks."""


@graphql_type(tables.Message)
class Message(Node):
    """One turn; immutable once finished. To say it otherwise makes another version of it, on a branch of its own."""

    conversation: Annotated["Conversation", strawberry.lazy("tertulia.schema.types")] = field(messages.conversation)
    role: tables.Role
    """Who wrote it."""
    content: list[ContentBlock] = field(messages.content)
    text: str = field(messages.text)
    left_out: list[LeftOut] = field(messages.left_out)
    created_at: datetime
    """When it was sent, in UTC; of an answer, when it was asked for."""
    parent: Annotated["Message", strawberry.lazy("tertulia.schema.types")] | None = field(messages.parent)
    siblings: list[Annotated["Message", strawberry.lazy("tertulia.schema.types")]] = field(messages.siblings)
    generation: Annotated["Generation", strawberry.lazy("tertulia.schema.types")] | None = field(messages.generation)


@graphql_type(paging.Edge)
class MessageEdge:
    """A message in a list."""

    cursor: str
    """Its place in the list, for `after` and `before`."""
    node: Message
    """The message."""


@graphql_type(paging.Connection)
class MessageConnection:
    """A page of messages."""

    edges: list[MessageEdge]
    """The messages, oldest first."""
    page_info: PageInfo
    """Whether there are more, and from where."""


@graphql_type(search.TextRange)
class TextRange:
    """A stretch of a text, in UTF-16 code units (a JavaScript string's)."""

    start: int
    """The first code unit of it, from 0."""
    end: int
    """The first code unit behind it."""


@graphql_type(search.MessageSearchEdge)
class MessageSearchEdge:
    """A message that was found."""

    cursor: str
    """Its place in the matches, for `after` and `before`."""
    node: Message
    """The message."""
    excerpt: str
    """Its best passage in one line, of about 240 characters; `…` stands where it was cut."""
    highlights: list[TextRange]
    """Where what was looked for stands in the excerpt, in order."""
    score: float
    """How well it fits: more is better. Scores of different queries cannot be compared."""


@graphql_type(search.MessageSearchConnection)
class MessageSearchConnection:
    """A page of what was found."""

    edges: list[MessageSearchEdge]
    """The messages, best match first."""
    page_info: PageInfo
    """Whether there are more, and from where."""


def _stop_reason(root: tables.Generation) -> StopReason | None:
    """Why Claude ended, in the Messages API's words; null unless it did, and for a reason newer than this server."""
    # A reason that is newer than this version has no name in the schema yet.
    return next((reason for reason in StopReason if reason.value == root.stop_reason), None)


@graphql_type(tables.Generation)
class Generation(Node):
    """Claude's work on one answer, from the question to the end, tool rounds included. It goes on whoever listens."""

    conversation: Annotated["Conversation", strawberry.lazy("tertulia.schema.types")] = field(messages.conversation)
    message: Message = field(messages.message)
    status: tables.Status
    """Where it stands."""
    model: Model = field(conversations.model)
    """The Claude model that writes it."""
    stop_reason: StopReason | None = field(_stop_reason)
    usage: Usage | None = field(messages.usage)
    error: GenerationError | None = field(messages.error)
    events: Annotated["GenerationEventConnection", strawberry.lazy("tertulia.schema.events")] = field(follow.events)
    event_log: Annotated["GenerationEventConnection", strawberry.lazy("tertulia.schema.events")] = field(
        follow.event_log
    )
    created_at: datetime
    """When it was asked for, in UTC."""
    started_at: datetime | None
    """When its turn came, in UTC; null while it is QUEUED."""
    first_token_at: datetime | None
    """When Claude's first token came, in UTC; null before."""
    finished_at: datetime | None
    """When it ended, in UTC, however it did; null before."""


@graphql_type(tables.Conversation)
class Conversation(Node):
    """An exchange owned by one viewer: a tree of messages, of which one branch is active."""

    title: str | None
    """At most 200 characters. A small model gives one behind the first answer; null until then, or where none does."""
    system_prompt: str | None
    """What Claude is told before all messages, at most 100,000 characters; null for nothing."""
    model: Model = field(conversations.model)
    options: GenerationOptions = field(options.conversation_options)
    created_at: datetime
    """When it was made, in UTC."""
    updated_at: datetime
    """When a message was last added, in UTC."""
    archived: bool
    """Whether its user has put it away. It stays in lists that `ConversationFilter.archived` does not narrow."""
    pinned: bool
    """Whether its user wants it at hand. It changes the order of no list."""
    temporary: bool
    """In no list but that of temporary ones, and in no search.

    It is deleted a day after its last message, unless the server says otherwise.
    """
    messages: MessageConnection = field(conversations.messages)
    last_message: Message | None = field(conversations.last_message)
    active_generation: Generation | None = field(conversations.active_generation)
    usage: Usage = field(conversations.usage)
    context: ContextWindow = field(conversations.context)
    tools: ConversationTools = field(tool_resolvers.of_conversation)


@graphql_type(paging.Edge)
class ConversationEdge:
    """A conversation in a list."""

    cursor: str
    """Its place in the list, for `after` and `before` with the same order."""
    node: Conversation
    """The conversation."""


@graphql_type(paging.Connection)
class ConversationConnection:
    """A page of conversations."""

    edges: list[ConversationEdge]
    """The conversations, in the order that was asked for."""
    page_info: PageInfo
    """Whether there are more, and from where."""


@graphql_type(tables.ConversationChange)
class ConversationChange:
    """A change to one of the viewer's conversations. Each is told once, in order, and kept for a day."""

    cursor: str = field(changes.cursor)
    kind: tables.ChangeKind
    """What happened."""
    conversation_id: strawberry.ID = field(changes.conversation_id)
    conversation: Conversation | None = field(changes.conversation)
    generation: Generation | None = field(changes.generation)
