"""The numbered events of a generation, and the function that folds them into blocks.

Events are never modified. They are not frozen dataclasses, because creating a frozen dataclass takes three times as
long, and two events are created for each token.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tertulia.json import Json, encode


@dataclass(slots=True)
class GenerationEvent:
    """An event. `sequence` counts from 1 without gaps."""

    generation_id: UUID
    sequence: int

    @property
    def encoded_id(self) -> bytes:
        """The generation's id as bytes."""
        return str(self.generation_id).encode()


@dataclass(slots=True)
class GenerationStarted(GenerationEvent):
    """The request was sent to Claude."""


@dataclass(slots=True)
class ContentBlockStarted(GenerationEvent):
    """A block begins. `block` is its beginning, in the Messages API's format."""

    index: int
    block: Json


@dataclass(slots=True)
class Delta(GenerationEvent):
    """A piece of a block. `offset` is where it begins, in UTF-16 code units."""

    index: int
    offset: int
    text: str

    @property
    def encoded_text(self) -> bytes:
        """The text as JSON."""
        return encode(self.text)


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
        """The text, by the Messages API's name."""
        return self.text


@dataclass(slots=True)
class ContentBlockFinished(GenerationEvent):
    """A block is complete. `block` is the content that is stored in the message."""

    index: int
    block: Json


@dataclass(slots=True)
class ToolResultsRequired(GenerationEvent):
    """The generation waits for results of client tools, or for the user's approval of calls.

    Attributes:
        tool_uses: The `tool_use` blocks of the calls, by block index.
        approvals: The indexes of the calls that require approval.
        expires_at: When the generation fails if a result is missing.
    """

    tool_uses: dict[int, Json]
    approvals: list[int]
    expires_at: datetime


@dataclass(slots=True)
class GenerationSteered(GenerationEvent):
    """The user's next message ends the answer after a round of tools. The terminal event follows.

    Attributes:
        steered_by: The generation that answers the message.
    """

    steered_by: UUID


@dataclass(slots=True)
class GenerationContinued(GenerationEvent):
    """The answer was interrupted, and Claude is asked to continue it.

    Attributes:
        reason: The code of the error with which the answer would have failed (see `claude.errors.ErrorCode`).
        attempt: The number of this continuation, from 1.
        index: The text block that was interrupted, in which the answer continues; None if there is none.
        model: The fallback model that continues it; None for the model of the generation.
    """

    reason: str
    attempt: int
    index: int | None
    model: str | None = None


@dataclass(slots=True)
class TerminalEvent(GenerationEvent):
    """The last event. Each generation has exactly one."""


@dataclass(slots=True)
class GenerationCompleted(TerminalEvent):
    """The answer is complete."""


@dataclass(slots=True)
class GenerationStopped(TerminalEvent):
    """The generation was stopped. The partial answer is kept."""


@dataclass(slots=True)
class GenerationFailed(TerminalEvent):
    """The generation failed. The partial answer is kept."""

    error: Json


def fold(events: Iterable[GenerationEvent]) -> list[Json]:
    """Return the blocks that the events have produced so far, in order. Unfinished blocks have the key `partial`."""
    blocks: dict[int, Json] = {}
    unfinished: dict[int, list[str]] = {}
    for event in events:
        if isinstance(event, ContentBlockStarted):
            blocks[event.index], unfinished[event.index] = event.block, []
        elif isinstance(event, Delta):
            unfinished.setdefault(event.index, []).append(event.text)
        elif isinstance(event, ContentBlockFinished):
            blocks[event.index] = event.block
            unfinished.pop(event.index, None)
        elif isinstance(event, GenerationContinued) and event.index in unfinished:
            block = unfinished_block(blocks[event.index], "".join(unfinished[event.index]))
            blocks[event.index], unfinished[event.index] = with_join(block, event.attempt, event.model), []
    for index, block in blocks.items():
        if index in unfinished:
            blocks[index] = unfinished_block(block, "".join(unfinished[index]))
    return [blocks[index] for index in sorted(blocks)]


def with_join(block: Json, attempt: int, model: str | None) -> Json:
    """Return a text block that an attempt continues, whose fallback model is `model` (see `claude.continuation`)."""
    written: str = block.get("text") or ""
    citations: list[Json] = block.get("citations") or []
    join: Json = {"attempt": attempt, "at": len(written), "citations": len(citations)}
    join |= {"written_by": model} if model else {}
    own = {key: value for key, value in block.items() if key != "partial"}
    return {**own, "text": block.get("text") or "", "joins": [*(block.get("joins") or []), join]}


def unfinished_block(block: Json, text: str) -> Json:
    """Return an unfinished block with the text so far and the key `partial`."""
    match block.get("type"):
        case "text":
            return {**block, "text": (block.get("text") or "") + text, "partial": True}
        case "thinking":
            return {**block, "thinking": (block.get("thinking") or "") + text, "partial": True}
        case "tool_result":
            return {**block, "partial": True}
        case _:
            return {**block, "partial_json": text, "partial": True}
