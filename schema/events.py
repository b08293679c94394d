"""The GraphQL types of the events of a generation."""

from datetime import datetime
from typing import Any

import strawberry

from tertulia.claude.errors import ErrorCode
from tertulia.claude.errors import GenerationError as StoredError
from tertulia.db import paging
from tertulia.json import Json
from tertulia.resolvers import follow, replay
from tertulia.resolvers.content import show_block
from tertulia.schema.content import ContentBlock, ToolUseBlock
from tertulia.schema.declare import field, graphql_type, interface
from tertulia.schema.models import GenerationError
from tertulia.schema.relay import PageInfo
from tertulia.schema.types import Generation, Message
from tertulia.streams import events


@interface
class GenerationEvent:
    """One event of a generation.

    To apply a snapshot, replace the whole answer. To apply a delta, keep the part of its block before `offset` and
    append the delta. Applying an event twice changes nothing. New types may be added: clients must ignore types that
    they do not know.
    """

    generation_id: strawberry.ID
    """The id of the generation to which the event belongs."""
    sequence: int
    """The event's number within its generation: 1, 2, 3 and so on. Merged deltas have the number of the last one."""


def _started_block(root: events.ContentBlockStarted) -> Any:
    """The block at its start. An empty `TextBlock` if this server cannot show the block."""
    return _block(root.index, root.block)


def _finished_block(root: events.ContentBlockFinished) -> Any:
    """The block as it is stored. An empty `TextBlock` if this server cannot show the block."""
    return _block(root.index, root.block)


def _block(index: int, block: Json) -> Any:
    return show_block(index, block) or show_block(index, {"type": "text"})


def _error(root: events.GenerationFailed) -> StoredError:
    """Why the generation failed."""
    return StoredError.from_json(root.error)


@graphql_type(follow.MessageSnapshot)
class MessageSnapshot(GenerationEvent):
    """The whole answer up to `sequence`. It replaces what the client has.

    A stream without `after` begins with it.
    """

    generation: Generation = field(follow.event_generation)
    message: Message
    """The answer with all its blocks, as far as they are written."""
    reason: replay.SnapshotReason | None
    """Why the snapshot is sent instead of the requested events. Null only at the start of a stream without `after`."""


@graphql_type(events.GenerationStarted)
class GenerationStarted(GenerationEvent):
    """The server asks Claude for the answer. The first event of a generation."""

    generation: Generation = field(follow.event_generation)


@graphql_type(events.ContentBlockStarted)
class ContentBlockStarted(GenerationEvent):
    """A block begins. It is usually empty, and deltas extend it."""

    index: int
    """The block's position in the message, counted from 0."""
    block: ContentBlock = field(_started_block)


@graphql_type(events.TextDelta)
class TextDelta(GenerationEvent):
    """A piece of the text of a `TextBlock` or `JsonBlock`. The new text is its part before `offset`, plus `text`."""

    index: int
    """The block's position in the message, counted from 0."""
    offset: int
    """The position of the piece in the block's text, in UTF-16 code units, as in JavaScript strings."""
    text: str
    """The piece of text, at least one character long."""


@graphql_type(events.ThinkingDelta)
class ThinkingDelta(GenerationEvent):
    """A piece of the text of a `ThinkingBlock`. The new text is its part before `offset`, plus `text`."""

    index: int
    """The block's position in the message, counted from 0."""
    offset: int
    """The position of the piece in the block's text, in UTF-16 code units, as in JavaScript strings."""
    text: str
    """The piece of text, at least one character long."""


@graphql_type(events.ToolInputDelta)
class ToolInputDelta(GenerationEvent):
    """A piece of the input of a `ToolUseBlock`.

    The new `partialJson` of the block is its part before `offset`, plus the `partialJson` of this event.
    """

    index: int
    """The block's position in the message, counted from 0."""
    offset: int
    """The position of the piece in the JSON text of the input, in UTF-16 code units, as in JavaScript strings."""
    partial_json: str
    """The piece of JSON text. By itself it is rarely valid JSON."""


@graphql_type(events.ContentBlockFinished)
class ContentBlockFinished(GenerationEvent):
    """A block is finished. `block` replaces the block that the client has assembled from deltas."""

    index: int
    """The block's position in the message, counted from 0."""
    block: ContentBlock = field(_finished_block)


def _tool_uses(root: events.ToolResultsRequired) -> Any:
    """All tool calls that need a result."""
    return [show_block(index, block) for index, block in root.tool_uses.items()]


def _approvals(root: events.ToolResultsRequired) -> Any:
    """Those calls of `toolUses` that need the user's approval. The others are calls of client tools."""
    return [show_block(index, block) for index, block in root.tool_uses.items() if index in root.approvals]


@graphql_type(events.ToolResultsRequired)
class ToolResultsRequired(GenerationEvent):
    """The generation waits for results of client tools or for the user's approval.

    Submit them with `submitToolResults`, and the same stream continues. Until then this is the last event of the
    stream, also after a snapshot. A new message on the same branch stops the generation.
    """

    tool_uses: list[ToolUseBlock] = field(_tool_uses)
    approvals: list[ToolUseBlock] = field(_approvals)
    expires_at: datetime
    """When the generation fails with the code TIMEOUT, in UTC. By default one hour after the event."""


@graphql_type(events.GenerationSteered)
class GenerationSteered(GenerationEvent):
    """A message with `whenBusy: STEER` ends the answer after a round of tools. `GenerationStopped` follows.

    Claude continues in `steeredBy` with the results of the tools and the message.
    """

    steered_by: Generation | None = field(follow.steered_by)


def _reason(root: events.GenerationContinued) -> ErrorCode:
    """The code of the error with which the answer would have failed."""
    return ErrorCode(root.reason)


@graphql_type(events.GenerationContinued)
class GenerationContinued(GenerationEvent):
    """The answer was interrupted, and Claude is asked to continue it after what was written.

    Nothing that was sent changes. The next deltas continue the text block that was interrupted, if there is one.
    Other blocks that were interrupted are finished before this event, and remain incomplete.
    """

    reason: ErrorCode = field(_reason)
    attempt: int
    """The number of this continuation, counted from 1. The server limits it (5 by default)."""


@graphql_type(events.GenerationCompleted)
class GenerationCompleted(GenerationEvent):
    """Claude has finished the answer, for the reason in `generation.stopReason`. The last event of the generation.

    The whole answer can be queried from now on.
    """

    generation: Generation = field(follow.event_generation)


@graphql_type(events.GenerationStopped)
class GenerationStopped(GenerationEvent):
    """The generation was stopped. The text written until then is kept. The last event of the generation."""

    generation: Generation = field(follow.event_generation)


@graphql_type(events.GenerationFailed)
class GenerationFailed(GenerationEvent):
    """The generation has failed. The text written until then is kept. The last event of the generation.

    `regenerateMessage` requests a new answer.
    """

    generation: Generation = field(follow.event_generation)
    error: GenerationError = field(_error)


@graphql_type(paging.Edge)
class GenerationEventEdge:
    """An event in a list."""

    cursor: str
    """The event's `sequence` in decimal. `eventLog` accepts it as a string, and `events` as a number."""
    node: GenerationEvent
    """The event."""


@graphql_type(paging.Connection)
class GenerationEventConnection:
    """A page of a generation's events."""

    edges: list[GenerationEventEdge]
    """The events, by ascending `sequence`."""
    page_info: PageInfo
    """The position of the page in the list."""


EVENTS = (
    MessageSnapshot,
    GenerationStarted,
    ContentBlockStarted,
    TextDelta,
    ThinkingDelta,
    ToolInputDelta,
    ContentBlockFinished,
    ToolResultsRequired,
    GenerationSteered,
    GenerationContinued,
    GenerationCompleted,
    GenerationStopped,
    GenerationFailed,
)
