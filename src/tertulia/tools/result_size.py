"""The limit of the size of a result: longer results are cut, with a note for Claude."""

from dataclasses import replace

from tertulia.json import clean_text
from tertulia.tools.base import Part, Result
from tertulia.tools.documents import Document


def limited(result: Result, max_bytes: int) -> Result:
    """Return the result with clean text of at most `max_bytes` in UTF-8. A note follows what was cut."""
    parts = [clean_text(part) if isinstance(part, str) else part for part in result.parts]
    size = sum(map(_size, parts))
    if size <= max_bytes:
        return replace(result, parts=parts)
    kept: list[Part] = []
    remaining = max_bytes
    for part in parts:
        shortened = part if _size(part) <= remaining else _cut(part, remaining)
        if shortened is not None:
            kept.append(shortened)
        remaining = max(0, remaining - _size(part))
    note = f"[The result was cut: it has {size:,} bytes, of which the first {max_bytes:,} are above. Request less.]"
    return Result([*kept, note], result.is_error)


def cut_text(text: str, max_bytes: int) -> str:
    """Return the beginning of a clean text."""
    return text.encode()[:max_bytes].decode("utf-8", "ignore")


def _cut(part: Part, max_bytes: int) -> Part | None:
    """Return the beginning of a part; None if nothing of it remains."""
    if isinstance(part, str):
        return cut_text(part, max_bytes) or None
    if not isinstance(part, Document):
        return part
    passages: list[str] = []
    for passage in map(clean_text, part.passages):
        passages.append(cut_text(passage, max_bytes))
        max_bytes -= len(passage.encode())
        if max_bytes <= 0:
            break
    return replace(part, passages=passages) if any(passage.strip() for passage in passages) else None


def _size(part: Part) -> int:
    """Return the size of a part's text."""
    if isinstance(part, str):
        return len(part.encode())
    if isinstance(part, Document):
        return sum(len(passage.encode("utf-8", "replace")) for passage in part.passages)
    return 0
