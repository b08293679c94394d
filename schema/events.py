"""The events of a generation's stream.

Clients apply two rules: a snapshot replaces the message; a delta sets its block to the text before `offset`, plus
`text`. Applying an event twice changes nothing.
"""

from datetime import datetime
from typing import Any

import strawberry

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
    """One event of an answer's stream.

    A snapshot replaces; a delta sets its block to what stands before `offset`, plus its text. Applying an event twice
    changes nothing. Kinds may be added: a client passes over those that it does not know.
    """

    generation_id: strawberry.ID
    """The answer that it is an event of."""
    sequence: int
    """Its number: from 1 on without gaps, rising with every event. Merged deltas bear the number of the last one."""


def _started_block(root: events.ContentBlockStarted) -> Any:
    """The block as it begins; a kind that this server cannot show comes as an empty `TextBlock`."""
    return _block(root.index, root.block)


def _finished_block(root: events.ContentBlockFinished) -> Any:
    """The block as it is stored; a kind that this server cannot show comes as an empty `TextBlock`."""
    return _block(root.index, root.block)


def _block(index: int, block: Json) -> Any:
    return show_block(index, block) or show_block(index, {"type": "text"})


def _error(root: events.GenerationFailed) -> StoredError:
    """Why it failed."""
    return StoredError.from_json(root.error)


@graphql_type(follow.MessageSnapshot)
class MessageSnapshot(GenerationEvent):
    """All that is written up to `sequence`: it replaces what a client has. Without `after`, the first event."""

    generation: Generation = field(follow.event_generation)
    message: Message
    """The answer with all its blocks, as far as they are written."""
    reason: replay.SnapshotReason | None
    """Why it comes in place of events; null only in the first event of a stream without `after`."""


@graphql_type(events.GenerationStarted)
class GenerationStarted(GenerationEvent):
    """Claude was asked: the first event of an answer."""

    generation: Generation = field(follow.event_generation)


@graphql_type(events.ContentBlockStarted)
class ContentBlockStarted(GenerationEvent):
    """A block begins, mostly empty; deltas add to it."""

    index: int
    """The block's place in the message, from 0."""
    block: ContentBlock = field(_started_block)


@graphql_type(events.TextDelta)
class TextDelta(GenerationEvent):
    """A piece of a `TextBlock` or `JsonBlock`: its text is what stands before `offset`, plus `text`."""

    index: int
    """The block's place in the message, from 0."""
    offset: int
    """Where it begins in the block's text, in UTF-16 code units (a JavaScript string's length)."""
    text: str
    """The piece, at least one character."""


@graphql_type(events.ThinkingDelta)
class ThinkingDelta(GenerationEvent):
    """A piece of a `ThinkingBlock`: its text is what stands before `offset`, plus `text`."""

    index: int
    """The block's place in the message, from 0."""
    offset: int
    """Where it begins in the block's text, in UTF-16 code units (a JavaScript string's length)."""
    text: str
    """The piece, at least one character."""


@graphql_type(events.ToolInputDelta)
class ToolInputDelta(GenerationEvent):
    """A piece of a `ToolUseBlock`: its `partialJson` is what stands before `offset`, plus this `partialJson`."""

    index: int
    """The block's place in the message, from 0."""
    offset: int
    """Where it begins in the JSON text of the tool's input, in UTF-16 code units (a JavaScript string's length)."""
    partial_json: str
    """The piece of JSON text; by itself it is seldom whole JSON."""


@graphql_type(events.ContentBlockFinished)
class ContentBlockFinished(GenerationEvent):
    """A block is whole: it replaces what was put together of its deltas."""

    index: int
    """The block's place in the message, from 0."""
    block: ContentBlock = field(_finished_block)


def _tool_uses(root: events.ToolResultsRequired) -> Any:
    """All calls that are waited for."""
    return [show_block(index, block) for index, block in root.tool_uses.items()]


def _approvals(root: events.ToolResultsRequired) -> Any:
    """Those of them that wait for the user's yes or no; the others are tools of the client's."""
    return [show_block(index, block) for index, block in root.tool_uses.items() if index in root.approvals]


@graphql_type(events.ToolResultsRequired)
class ToolResultsRequired(GenerationEvent):
    """Claude waits for the client: answer with submitToolResults, and the same stream goes on.

    It stands at the end of the stream for as long as it is waited, behind a snapshot too. A new message on the answer's
    branch stops it.
    """

    tool_uses: list[ToolUseBlock] = field(_tool_uses)
    approvals: list[ToolUseBlock] = field(_approvals)
    expires_at: datetime
    """Until when it waits, in UTC: an hour unless the server says otherwise. The answer fails with TIMEOUT then."""


@graphql_type(events.GenerationCompleted)
class GenerationCompleted(GenerationEvent):
    """Claude came to an end; `generation.stopReason` says why. The last event; the whole answer can be queried."""

    generation: Generation = field(follow.event_generation)


@graphql_type(events.GenerationStopped)
class GenerationStopped(GenerationEvent):
    """Somebody stopped it; what was written stays. The last event."""

    generation: Generation = field(follow.event_generation)


@graphql_type(events.GenerationFailed)
class GenerationFailed(GenerationEvent):
    """It failed; what was written stays, and can be regenerated. The last event."""

    generation: Generation = field(follow.event_generation)
    error: GenerationError = field(_error)


@graphql_type(paging.Edge)
class GenerationEventEdge:
    """An event in a list."""

    cursor: str
    """The event's `sequence` in decimal; `eventLog` takes it as it is, and `events` as a number."""
    node: GenerationEvent
    """The event."""


@graphql_type(paging.Connection)
class GenerationEventConnection:
    """A page of an answer's events."""

    edges: list[GenerationEventEdge]
    """The events, by rising `sequence`."""
    page_info: PageInfo
    """Whether there are more, and from where."""


EVENTS = (
    MessageSnapshot,
    GenerationStarted,
    ContentBlockStarted,
    TextDelta,
    ThinkingDelta,
    ToolInputDelta,
    ContentBlockFinished,
    ToolResultsRequired,
    GenerationCompleted,
    GenerationStopped,
    GenerationFailed,
)
