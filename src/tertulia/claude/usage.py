"""Claude's counts of tokens, under our names."""

from tertulia.json import Json

_USAGE = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
}


def usage_of(usage: Json | None) -> dict[str, int]:
    """Give Claude's counts under our names, as far as they are told; those of compaction among them."""
    told: Json = usage or {}
    found = {ours: int(told[theirs]) for theirs, ours in _USAGE.items() if told.get(theirs) is not None}
    rounds: list[Json] = told.get("iterations") or []
    for compacting in (one for one in rounds if one.get("type") == "compaction"):
        for theirs, ours in _USAGE.items():
            found[ours] = found.get(ours, 0) + int(compacting.get(theirs) or 0)
    return found


def context_of(usage: Json | None) -> int | None:
    """Give how many tokens of the window are in use behind an answer; None where nothing is told."""
    told: Json = usage or {}
    rounds: list[Json] = told.get("iterations") or []
    last = next((one for one in reversed(rounds) if one.get("type") == "message"), told)
    return sum(int(last.get(name) or 0) for name in _USAGE) if "input_tokens" in last else None
