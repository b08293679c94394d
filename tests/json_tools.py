"""Tools that take and return JSON of every kind."""

import json
from typing import Any


def remember(value: dict[str, Any]) -> str:
    """Return the received value, as Python's `json` writes it.

    Args:
        value: Anything.
    """
    return f"received {json.dumps(value, ensure_ascii=False)}"


def produce() -> dict[Any, Any]:
    """Return values that JSON does not have or that need special treatment."""
    odd = {"nan": float("nan"), "infinite": [float("inf"), -float("inf")], "half": "\ud83d", "nul": "\0"}
    return {**odd, "\ud83d key": 1, "id": 2**53 + 1, "long": 2**70, 7: "seven"}
