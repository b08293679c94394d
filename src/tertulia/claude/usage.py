"""Convert the API's token counts to the ledger's columns."""

from tertulia.json import Json

_USAGE = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
}

_ANSWERS = ("message", "fallback_message")
"""The types of iterations in which a model has answered."""


def declined_in(usage: Json | None) -> list[tuple[str, dict[str, int]]]:
    """Return the models that have refused before a fallback model of the API has answered, with their token counts.

    The counts of the whole response are those of the last model.
    """
    rounds: list[Json] = [] if usage is None else usage.get("iterations") or []
    answers = [iteration for iteration in rounds if iteration.get("type") in _ANSWERS and iteration.get("model")]
    last_model = answers[-1]["model"] if answers else None
    return [(answer["model"], usage_of(answer)) for answer in answers if answer["model"] != last_model]


def usage_of(usage: Json | None) -> dict[str, int]:
    """Return the reported token counts by the ledger's column names. Those of compaction are included."""
    reported: Json = usage or {}
    counts = {
        column: int(reported[api_name]) for api_name, column in _USAGE.items() if reported.get(api_name) is not None
    }
    rounds: list[Json] = reported.get("iterations") or []
    for compaction in (iteration for iteration in rounds if iteration.get("type") == "compaction"):
        for api_name, column in _USAGE.items():
            counts[column] = counts.get(column, 0) + int(compaction.get(api_name) or 0)
    return counts


def context_of(usage: Json | None) -> int | None:
    """Return the number of tokens of the context window that are in use after an answer; None if not reported."""
    reported: Json = usage or {}
    rounds: list[Json] = reported.get("iterations") or []
    latest = next((iteration for iteration in reversed(rounds) if iteration.get("type") in _ANSWERS), reported)
    return sum(int(latest.get(name) or 0) for name in _USAGE) if "input_tokens" in latest else None
