"""The deltas of content blocks: their event types, and functions that merge and clean them."""

from collections.abc import Iterator, Sequence
from typing import Any

from tertulia.json import Json, clean, clean_text
from tertulia.streams.events import Delta, TextDelta, ThinkingDelta, ToolInputDelta

DELTAS: dict[str, tuple[type[Delta], str]] = {
    "text_delta": (TextDelta, "text"),
    "thinking_delta": (ThinkingDelta, "thinking"),
    "input_json_delta": (ToolInputDelta, "partial_json"),
}


def utf16_length(text: str) -> int:
    """Return the number of UTF-16 code units of a text, which is the length of a string in JavaScript."""
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)


def merge_deltas(events: Sequence[Json]) -> Iterator[Json]:
    """Yield the events, with adjacent deltas of one block merged. Malformed events are yielded unchanged."""
    pending: Json | None = None
    pieces: list[str] = []
    pending_key: Any = None
    for event in events:
        keyed_text = _keyed_text_of(event)
        if keyed_text is not None and keyed_text[0] == pending_key:
            pieces.append(keyed_text[1])
            continue
        if pending is not None:
            yield _with_text(pending, pieces)
        if keyed_text is None:
            pending = pending_key = None
            yield event
        else:
            pending, pieces, pending_key = event, [keyed_text[1]], keyed_text[0]
    if pending is not None:
        yield _with_text(pending, pieces)


def clean_event(event: Json) -> Json:
    """Return the event with clean text. Deltas are unchanged, because they may end with half of a surrogate pair.

    Raises:
        InvalidJson: The event is nested too deeply.
    """
    return event if _keyed_text_of(event) is not None else clean(event)


def _keyed_text_of(event: Json) -> tuple[tuple[Any, str], str] | None:
    """Return the block and type of a text delta, and its text; None for other events."""
    delta: Json = event["delta"] if isinstance(event.get("delta"), dict) else {}
    kind = delta.get("type")
    if event["type"] != "content_block_delta" or not isinstance(kind, str) or kind not in DELTAS:
        return None
    text: Any = delta.get(DELTAS[kind][1])
    return ((event.get("index"), kind), text) if isinstance(text, str) else None


def _with_text(event: Json, pieces: list[str]) -> Json:
    if len(pieces) == 1:
        return event
    delta: Json = event["delta"]
    return {**event, "delta": {**delta, DELTAS[delta["type"]][1]: "".join(pieces)}}


def join_text(pieces: list[str]) -> str:
    """Return the joined text, cleaned. It is cleaned last, because two pieces may share a surrogate pair."""
    return clean_text("".join(pieces))
