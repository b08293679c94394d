"""The pieces of blocks: which of Claude's deltas are ours, and neighbouring ones as one."""

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
    """Count UTF-16 code units: a JavaScript string's length."""
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)


def merged(events: Sequence[Json]) -> Iterator[Json]:
    """Give the events, neighbouring pieces of one block as one; what makes no sense is given as it is."""
    held: Json | None = None
    pieces: list[str] = []
    place: Any = None
    for event in events:
        found = _piece_in(event)
        if found is not None and found[0] == place:
            pieces.append(found[1])
            continue
        if held is not None:
            yield _with_text(held, pieces)
        if found is None:
            held = place = None
            yield event
        else:
            held, pieces, place = event, [found[1]], found[0]
    if held is not None:
        yield _with_text(held, pieces)


def cleaned(event: Json) -> Json:
    """Clean an event's text, a piece's left out: it may end in half of a surrogate pair that the next one completes.

    Raises:
        InvalidJson: It is nested too deeply.
    """
    return event if _piece_in(event) is not None else clean(event)


def _piece_in(event: Json) -> tuple[tuple[Any, str], str] | None:
    """Give the block and the kind of a delta's piece, and the piece."""
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


def joined(pieces: list[str]) -> str:
    """Return the text of all pieces, cleaned: JSON's escapes may cut a surrogate pair in two."""
    return clean_text("".join(pieces))
