"""The encoding of events: each event is a JSON array of the letter of its type and its fields."""

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from tertulia import json
from tertulia.streams import events
from tertulia.streams.events import GenerationEvent

_LETTERS: dict[str, type[GenerationEvent]] = {
    "s": events.GenerationStarted,
    "b": events.ContentBlockStarted,
    "t": events.TextDelta,
    "h": events.ThinkingDelta,
    "i": events.ToolInputDelta,
    "f": events.ContentBlockFinished,
    "r": events.ToolResultsRequired,
    "e": events.GenerationSteered,
    "c": events.GenerationContinued,
    "C": events.GenerationCompleted,
    "S": events.GenerationStopped,
    "F": events.GenerationFailed,
}
_LETTER_OF = {kind: letter for letter, kind in _LETTERS.items()}
_FIELDS = {kind: tuple(field.name for field in fields(kind))[1:] for kind in _LETTER_OF}


def encode(batch: Iterable[GenerationEvent]) -> bytes:
    """Encode events of one generation as one line of JSON, without the generation's id."""
    return json.encode(
        [
            # Most events are deltas, and reading their fields by name takes longer.
            (_LETTER_OF[type(event)], event.sequence, event.index, event.offset, event.text)
            if isinstance(event, events.Delta)
            else _row(event)
            for event in batch
        ]
    )


def _row(event: GenerationEvent) -> tuple[Any, ...]:
    kind = type(event)
    return _LETTER_OF[kind], *(getattr(event, name) for name in _FIELDS[kind])


def decode(generation_id: UUID, line: bytes) -> list[GenerationEvent]:
    """Decode the events in a line.

    Raises:
        ValueError, KeyError, TypeError: The line is invalid, or was written by another version.
    """
    rows: list[list[Any]] = json.loads(line)
    return [_event(generation_id, letter, values) for letter, *values in rows]


def _event(generation_id: UUID, letter: str, values: list[Any]) -> GenerationEvent:
    kind = _LETTERS[letter]
    if kind is events.ToolResultsRequired:
        sequence, tool_uses, approvals, expires_at = values
        uses = {int(index): block for index, block in tool_uses.items()}
        return events.ToolResultsRequired(generation_id, sequence, uses, approvals, datetime.fromisoformat(expires_at))
    if kind is events.GenerationSteered:
        sequence, steered_by = values
        return events.GenerationSteered(generation_id, sequence, UUID(steered_by))
    return kind(generation_id, *values)
