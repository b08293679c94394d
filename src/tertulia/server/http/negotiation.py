"""Content negotiation by the Accept header (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence


def preferred(accept: str | None, offered: Sequence[str]) -> str | None:
    """Return the offered type with the highest quality, the first of equals; None if none is acceptable."""
    if not accept:
        return offered[0]
    ranges = [_range(media_range) for media_range in accept.split(",")]
    qualities = [(_quality(ranges, media_type), -index) for index, media_type in enumerate(offered)]
    best, index = max(qualities)
    return offered[-index] if best > 0 else None


def _range(media_range: str) -> tuple[str, float]:
    media_type, *parameters = (piece.strip().lower() for piece in media_range.split(";"))
    quality = next((value[2:] for value in parameters if value.startswith("q=")), "1")
    try:
        return media_type, min(max(float(quality), 0.0), 1.0)
    except ValueError:
        return media_type, 0.0


def _quality(ranges: Sequence[tuple[str, float]], media_type: str) -> float:
    # The most specific matching range takes precedence.
    for pattern in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        for name, quality in ranges:
            if name == pattern:
                return quality
    return 0.0
