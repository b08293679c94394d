"""Which of the types that we can send a client likes best (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence


def preferred(accept: str | None, offered: Sequence[str]) -> str | None:
    """Give the offered type with the highest quality, the first of equals; None where none is acceptable."""
    if not accept:
        return offered[0]
    ranges = [_range(part) for part in accept.split(",")]
    qualities = [(_quality(ranges, media_type), -place) for place, media_type in enumerate(offered)]
    best, place = max(qualities)
    return offered[-place] if best > 0 else None


def _range(part: str) -> tuple[str, float]:
    media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = next((value[2:] for value in parameters if value.startswith("q=")), "1")
    try:
        return media_type, min(max(float(quality), 0.0), 1.0)
    except ValueError:
        return media_type, 0.0


def _quality(ranges: Sequence[tuple[str, float]], media_type: str) -> float:
    # The most specific range that matches decides, whatever the others say.
    for wanted in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        for name, quality in ranges:
            if name == wanted:
                return quality
    return 0.0
