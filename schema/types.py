"""The GraphQL types of conversations, messages and generations, and their connections."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry.scalars import JSON

from tertulia.assistants.definition import ClientSetting
from tertulia.claude import repairs
from tertulia.db import paging, rows, tables
from tertulia.resolvers import (
    app_data,
    assistants,
    changes,
    conversations,
    feedback,
    follow,
    generated_files,
    inputs,
    messages,
    options,
    search,
    shares,
)
from tertulia.resolvers import requests as request_resolvers
from tertulia.resolvers import tools as tool_resolvers
from tertulia.schema.assistants import Assistant
from tertulia.schema.content import ContentBlock, GeneratedFile
from tertulia.schema.declare import field, graphql_type
from tertulia.schema.enums import StopReason
from tertulia.schema.models import ContextWindow, GenerationError, GenerationOptions, Model, Usage
from tertulia.schema.relay import Node, PageInfo
from tertulia.schema.requests import ClaudeRequest, ContextEdit, CostPart
from tertulia.schema.tools import ConversationTools

if TYPE_CHECKING:
    from tertulia.schema.events import GenerationEventConnection
    from tertulia.schema.shares import ShareConnection


@graphql_type(messages.LeftOut)
class LeftOut:
    """The number of parts of the conversation that were not sent to Claude, for one reason."""

    reason: repairs.LeftOut
    """Why they were not sent."""
    blocks: int
    """The number of content blocks of messages or, with the reason TOOL_REFUSED, of tools."""


@graphql_type(feedback.MessageRating)
class MessageRating:
    """The viewer's rating of an answer."""

    rating: inputs.Rating
    """Whether the answer was good."""
    comment: str | None
    """The reason. Null if the viewer has not given one."""
    tags: list[str]
    """The tags of the application."""
    updated_at: datetime
    """When the rating was last changed, in UTC."""


@graphql_type(rows.MessageRow, tables.Message)
class Message(Node):
    """One turn of a conversation.

    The content of a finished message never changes. Editing or regenerating it adds another version of it, on a
    separate branch.
    """

    conversation: Annotated["Conversation", strawberry.lazy("tertulia.schema.types")] = field(messages.conversation)
    role: tables.Role
    """The author of the message."""
    content: list[ContentBlock] = field(messages.content)
    text: str = field(messages.text)
    files: list[GeneratedFile] = field(generated_files.files)
    left_out: list[LeftOut] = field(messages.left_out)
    context: JSON | None = field(app_data.message_context)
    metadata: JSON = field(app_data.metadata_of)
    rating: MessageRating | None = field(feedback.rating)
    created_at: datetime
    """When the message was sent, in UTC. For an answer, when it was requested."""
    parent: Annotated["Message", strawberry.lazy("tertulia.schema.types")] | None = field(messages.parent)
    siblings: list[Annotated["Message", strawberry.lazy("tertulia.schema.types")]] = field(messages.siblings)
    generation: Annotated["Generation", strawberry.lazy("tertulia.schema.types")] | None = field(messages.generation)


@graphql_type(paging.Edge)
class MessageEdge:
    """A message in a list."""

    cursor: str
    """The message's position in the list, for `after` and `before`."""
    node: Message
    """The message."""


@graphql_type(paging.Connection)
class MessageConnection:
    """A page of messages."""

    edges: list[MessageEdge]
    """The messages, oldest first."""
    page_info: PageInfo
    """The position of the page in the list."""


@graphql_type(search.TextRange)
class TextRange:
    """A range of a text, in UTF-16 code units, as in JavaScript strings."""

    start: int
    """The first code unit of the range, counted from 0."""
    end: int
    """The first code unit after the range."""


@graphql_type(search.MessageSearchEdge)
class MessageSearchEdge:
    """A message that matches a search."""

    cursor: str
    """The message's position among the matches, for `after` and `before`."""
    node: Message
    """The message."""
    excerpt: str
    """The best matching passage on one line, about 240 characters long. `…` marks where text was cut off."""
    highlights: list[TextRange]
    """The positions of the search terms in the excerpt, in ascending order."""
    score: float
    """The relevance of the message: a higher score is better. Scores of different queries cannot be compared."""


@graphql_type(search.MessageSearchConnection)
class MessageSearchConnection:
    """A page of search results."""

    edges: list[MessageSearchEdge]
    """The messages, best match first."""
    page_info: PageInfo
    """The position of the page in the list."""


def _stop_reason(root: rows.AnyGeneration) -> StopReason | None:
    """Why Claude stopped writing, as reported by the Messages API.

    Null unless Claude has stopped, and for reasons that this version of the server does not know.
    """
    return next((reason for reason in StopReason if reason.value == root.stop_reason), None)


@graphql_type(messages.GenerationRefusal)
class GenerationRefusal:
    """Why Claude refused to answer, or to continue an answer. Anthropic's safety classifiers decide this."""

    category: str | None
    """The policy area, such as `cyber`, `bio` or `general_harms`. New ones may be added. Null if Claude named none."""
    explanation: str | None
    """Claude's explanation for people, at most 2,000 characters. Null if there is none."""


@graphql_type(rows.GenerationRow, tables.Generation)
class Generation(Node):
    """Claude's work on one answer, from the user's message to the end, including tool rounds.

    It continues when clients disconnect.
    """

    conversation: Annotated["Conversation", strawberry.lazy("tertulia.schema.types")] = field(messages.conversation)
    message: Message = field(messages.message)
    status: tables.Status
    """The current status."""
    model: Model = field(conversations.model)
    """The Claude model that writes the answer."""
    stop_reason: StopReason | None = field(_stop_reason)
    refusal: GenerationRefusal | None = field(messages.refusal)
    steered: bool
    """Whether a message with `whenBusy: STEER` ended the generation after a round of tools. Its status is STOPPED, and
    the next message of the branch continues its work.
    """
    continuations: int
    """How often Claude was asked to continue the answer after an interruption (see `GenerationContinued`)."""
    stop_sequence: str | None
    """The stop sequence that Claude wrote, which is not part of the text. Null unless `stopReason` is STOP_SEQUENCE."""
    usage: Usage | None = field(messages.usage)
    requests: list[ClaudeRequest] = field(request_resolvers.requests)
    costs: list[CostPart] = field(request_resolvers.costs)
    context_edits: list[ContextEdit] = field(request_resolvers.context_edits)
    error: GenerationError | None = field(messages.error)
    events: Annotated["GenerationEventConnection", strawberry.lazy("tertulia.schema.events")] = field(follow.events)
    event_log: Annotated["GenerationEventConnection", strawberry.lazy("tertulia.schema.events")] = field(
        follow.event_log
    )
    created_at: datetime
    """When the answer was requested, in UTC."""
    started_at: datetime | None
    """When the generation started, in UTC. Null while its status is QUEUED."""
    first_token_at: datetime | None
    """When Claude's first token arrived, in UTC. Null before that."""
    finished_at: datetime | None
    """When the generation was completed, stopped or failed, in UTC. Null before that."""


@graphql_type(rows.ConversationRow, tables.Conversation)
class Conversation(Node):
    """An exchange owned by one viewer: a tree of messages, of which one branch is active."""

    title: str | None
    """The title, at most 200 characters. Null until a small model writes one after the first answer, or if none does.
    """
    system_prompt: str | None = field(conversations.system_prompt)
    client_instructions: str | None = field(conversations.client_instructions)
    assistant: Assistant | None = field(assistants.of_conversation)
    clients_may_set: list[ClientSetting] = field(assistants.settable_in)
    model: Model = field(conversations.model)
    options: GenerationOptions = field(options.conversation_options)
    created_at: datetime
    """When the conversation was created, in UTC."""
    updated_at: datetime
    """When a message was last added, in UTC."""
    archived: bool
    """Whether the user has archived the conversation. Lists still include it, unless `ConversationFilter.archived` is
    false.
    """
    pinned: bool
    """Whether the user has pinned the conversation. Pinning does not change the order of lists."""
    temporary: bool
    """Whether the conversation is temporary.

    A temporary conversation is listed only with `ConversationFilter.temporary`, and it cannot be searched. It is
    deleted 24 hours after its last message, unless the server sets another time.
    """
    external_id: str | None
    """The application's id of the conversation, at most 255 characters, unique per viewer. Null if it has none."""
    metadata: JSON = field(app_data.metadata_of)
    tags: list[str] = field(app_data.tags_of)
    messages: MessageConnection = field(conversations.messages)
    last_message: Message | None = field(conversations.last_message)
    active_generation: Generation | None = field(conversations.active_generation)
    usage: Usage = field(conversations.usage)
    context: ContextWindow = field(conversations.context)
    tools: ConversationTools = field(tool_resolvers.of_conversation)
    shares: Annotated["ShareConnection", strawberry.lazy("tertulia.schema.shares")] = field(
        shares.shares_of_conversation
    )


@graphql_type(paging.Edge)
class ConversationEdge:
    """A conversation in a list."""

    cursor: str
    """The conversation's position in the list, for `after` and `before` with the same `order`."""
    node: Conversation
    """The conversation."""


@graphql_type(paging.Connection)
class ConversationConnection:
    """A page of conversations."""

    edges: list[ConversationEdge]
    """The conversations, in the requested order."""
    page_info: PageInfo
    """The position of the page in the list."""


@graphql_type(tables.ConversationChange)
class ConversationChange:
    """A change to one of the viewer's conversations. Changes are stored for 24 hours."""

    cursor: str = field(changes.cursor)
    kind: tables.ChangeKind
    """The kind of change."""
    conversation_id: strawberry.ID = field(changes.conversation_id)
    conversation: Conversation | None = field(changes.conversation)
    generation: Generation | None = field(changes.generation)
