"""The events of a generation's stream.

A client's whole rule: a snapshot replaces; a delta sets its block to what stands before `offset`, plus `text`. Applying
an event twice changes nothing.
"""

from datetime import datetime
from typing import Any

import strawberry

from claude.errors import GenerationError as StoredError
from db import paging
from resolvers import following
from resolvers.content import show_block
from schema.content import ContentBlock, ToolUseBlock
from schema.shows import served, shows
from schema.types import Generation, GenerationError, Message, PageInfo
from streams import events

strawberry.enum(
    following.SnapshotReason,
    name="SnapshotReason",
    description="Why a snapshot stands in for events that were asked for.",
)


@strawberry.interface
class GenerationEvent:
    """One event of a stream; `sequence` counts from 1 without gaps, and rises with every event."""

    generation_id: strawberry.ID
    sequence: int


def _shown_block(root: Any) -> Any:
    return show_block(root.index, root.block) or show_block(root.index, {"type": "text"})


def _error(root: events.GenerationFailed) -> StoredError:
    return StoredError.from_json(root.error)


@shows(following.MessageSnapshot)
class MessageSnapshot(GenerationEvent):
    """All that is written up to `sequence`. `reason` is set where it stands in for events that were asked for."""

    generation: Generation = served(following.event_generation)
    message: Message
    reason: following.SnapshotReason | None


@shows(events.GenerationStarted)
class GenerationStarted(GenerationEvent):
    """Claude was asked."""

    generation: Generation = served(following.event_generation)


@shows(events.ContentBlockStarted)
class ContentBlockStarted(GenerationEvent):
    """A block begins."""

    index: int
    block: ContentBlock = served(_shown_block)


@shows(events.TextDelta)
class TextDelta(GenerationEvent):
    """`offset`: where `text` begins in the block, in UTF-16 code units (a JavaScript string's length)."""

    index: int
    offset: int
    text: str


@shows(events.ThinkingDelta)
class ThinkingDelta(GenerationEvent):
    """`offset`: where `text` begins in the block, in UTF-16 code units."""

    index: int
    offset: int
    text: str


@shows(events.ToolInputDelta)
class ToolInputDelta(GenerationEvent):
    """`offset`: where `partialJson` begins in the JSON text of the tool's input, in UTF-16 code units."""

    index: int
    offset: int
    partial_json: str


@shows(events.ContentBlockFinished)
class ContentBlockFinished(GenerationEvent):
    """A block is whole."""

    index: int
    block: ContentBlock = served(_shown_block)


def _tool_uses(root: events.ToolResultsRequired) -> Any:
    """All calls that are waited for."""
    return [show_block(index, block) for index, block in root.tool_uses.items()]


def _approvals(root: events.ToolResultsRequired) -> Any:
    """Those of them that wait for the user's yes or no; the others are tools of the client's."""
    return [show_block(index, block) for index, block in root.tool_uses.items() if index in root.approvals]


@shows(events.ToolResultsRequired)
class ToolResultsRequired(GenerationEvent):
    """Claude waits for the client: answer with submitToolResults, and the same stream goes on.

    It stands at the end of the stream for as long as it is waited, behind a snapshot too. At `expiresAt` the answer
    fails with TIMEOUT; a new message in the conversation stops it.
    """

    tool_uses: list[ToolUseBlock] = served(_tool_uses)
    approvals: list[ToolUseBlock] = served(_approvals)
    expires_at: datetime


@shows(events.GenerationCompleted)
class GenerationCompleted(GenerationEvent):
    """Claude came to an end; `generation.stopReason` says why. The last event."""

    generation: Generation = served(following.event_generation)


@shows(events.GenerationStopped)
class GenerationStopped(GenerationEvent):
    """Somebody stopped it; what was written stays. The last event."""

    generation: Generation = served(following.event_generation)


@shows(events.GenerationFailed)
class GenerationFailed(GenerationEvent):
    """What was written stays, and can be regenerated. INTERRUPTED: its server was lost. The last event."""

    generation: Generation = served(following.event_generation)
    error: GenerationError = served(_error)


@shows(paging.Edge)
class GenerationEventEdge:
    """An event in a list; its cursor is its sequence number."""

    cursor: str
    node: GenerationEvent


@shows(paging.Connection)
class GenerationEventConnection:
    """A page of events."""

    edges: list[GenerationEventEdge]
    page_info: PageInfo


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
