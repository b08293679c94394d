"""The encoding of events: each is a JSON array of its type's letter and its fields."""

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
    "C": events.GenerationCompleted,
    "S": events.GenerationStopped,
    "F": events.GenerationFailed,
}
_LETTER_OF = {kind: letter for letter, kind in _LETTERS.items()}
_FIELDS = {kind: tuple(field.name for field in fields(kind))[1:] for kind in _LETTER_OF}


def encode(batch: Iterable[GenerationEvent]) -> bytes:
    """Encode events of one generation, without its id, as one line of JSON."""
    return json.encode([_row(event) for event in batch])


def _row(event: GenerationEvent) -> tuple[Any, ...]:
    kind = type(event)
    if isinstance(event, events.Delta):
        return _LETTER_OF[kind], event.sequence, event.index, event.offset, event.text
    return _LETTER_OF[kind], *(getattr(event, name) for name in _FIELDS[kind])


def decode(generation_id: UUID, line: bytes) -> list[GenerationEvent]:
    """Decode events. Raise ValueError for an invalid line."""
    rows: list[list[Any]] = json.loads(line)
    return [_event(generation_id, letter, values) for letter, *values in rows]


def _event(generation_id: UUID, letter: str, values: list[Any]) -> GenerationEvent:
    kind = _LETTERS[letter]
    if kind is events.ToolResultsRequired:
        sequence, tool_uses, approvals, expires_at = values
        uses = {int(index): block for index, block in tool_uses.items()}
        return events.ToolResultsRequired(generation_id, sequence, uses, approvals, datetime.fromisoformat(expires_at))
    return kind(generation_id, *values)
