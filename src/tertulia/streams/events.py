"""The numbered events of a generation, and the rule that folds them into blocks.

Nobody changes an event. They are not frozen because to make a frozen one costs three times as much, and two are made
for each token.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tertulia.json import Json


@dataclass(slots=True)
class GenerationEvent:
    """One event; `sequence` counts from 1 without gaps."""

    generation_id: UUID
    sequence: int


@dataclass(slots=True)
class GenerationStarted(GenerationEvent):
    """Claude was asked."""


@dataclass(slots=True)
class ContentBlockStarted(GenerationEvent):
    """A block begins; `block` is in the Messages API's words, as far as it is known."""

    index: int
    block: Json


@dataclass(slots=True)
class Delta(GenerationEvent):
    """A piece of a block; `offset` is where it begins, in UTF-16 code units."""

    index: int
    offset: int
    text: str


@dataclass(slots=True)
class TextDelta(Delta):
    """A piece of a text block."""


@dataclass(slots=True)
class ThinkingDelta(Delta):
    """A piece of a thinking block."""


@dataclass(slots=True)
class ToolInputDelta(Delta):
    """A piece of a tool's input, as JSON text."""

    @property
    def partial_json(self) -> str:
        """The piece, under the API's name for it."""
        return self.text


@dataclass(slots=True)
class ContentBlockFinished(GenerationEvent):
    """A block is whole; `block` is what is stored."""

    index: int
    block: Json


@dataclass(slots=True)
class ToolResultsRequired(GenerationEvent):
    """Claude waits for what the client's own tools give back, or for the user's yes or no.

    `tool_uses` are blocks by their index; `approvals`: the indexes of those that wait for a yes or no.
    """

    tool_uses: dict[int, Json]
    approvals: list[int]
    expires_at: datetime


@dataclass(slots=True)
class TerminalEvent(GenerationEvent):
    """The last event, of which there is exactly one."""


@dataclass(slots=True)
class GenerationCompleted(TerminalEvent):
    """Claude came to an end."""


@dataclass(slots=True)
class GenerationStopped(TerminalEvent):
    """Somebody stopped it; what was written is kept."""


@dataclass(slots=True)
class GenerationFailed(TerminalEvent):
    """It failed; what was written is kept."""

    error: Json


def fold(events: Iterable[GenerationEvent]) -> list[Json]:
    """Give the blocks that the events have written so far, in order; unfinished ones bear `partial`."""
    blocks: dict[int, Json] = {}
    pieces: dict[int, list[str]] = {}
    for event in events:
        if isinstance(event, ContentBlockStarted):
            blocks[event.index] = event.block
        elif isinstance(event, Delta):
            pieces.setdefault(event.index, []).append(event.text)
        elif isinstance(event, ContentBlockFinished):
            blocks[event.index] = event.block
            pieces.pop(event.index, None)
    for index, block in blocks.items():
        if index in pieces:
            blocks[index] = unfinished_block(block, "".join(pieces[index]))
    return [blocks[index] for index in sorted(blocks)]


def unfinished_block(block: Json, text: str) -> Json:
    """Show a block that is still being written: what came so far, marked `partial`."""
    match block.get("type"):
        case "text":
            return {**block, "text": (block.get("text") or "") + text, "partial": True}
        case "thinking":
            return {**block, "thinking": (block.get("thinking") or "") + text, "partial": True}
        case "tool_result":
            return {**block, "partial": True}
        case _:
            return {**block, "partial_json": text, "partial": True}
