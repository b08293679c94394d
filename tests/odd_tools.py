"""Tools that return values that cannot be stored or sent, or that do not end."""

import asyncio
import sys
import threading
from typing import Any

from tertulia.tools.base import Image, Result, ToolError

released = threading.Event()
"""Set by the test that called `stubborn`, so that its server can stop."""


class Unprintable:
    """An object whose `str()` fails."""

    def __str__(self) -> str:
        raise ValueError("no text")


class UnprintableError(ToolError):
    """An error whose `str()` fails."""

    def __str__(self) -> str:
        raise ValueError("no text")


def circle() -> dict[str, Any]:
    """Return a dictionary that contains itself."""
    found: dict[str, Any] = {}
    found["self"] = found
    return found


def unprintable() -> dict[str, Any]:
    """Return a value whose `str()` fails."""
    return {"what": Unprintable()}


def unprintable_error() -> str:
    """Fail with an error whose `str()` fails."""
    raise UnprintableError


def halves() -> str:
    """Return half of a surrogate pair and a U+0000."""
    return "\ud92c\0"


def wrong_parts() -> Result:
    """Return a result whose parts have the wrong types."""
    no_bytes: Any = "text"
    parts: Any = [5, None, Image(data=no_bytes)]
    return Result(parts)


def leave() -> str:
    """End the process."""
    sys.exit(3)


async def stubborn() -> str:
    """Ignore cancellations until the test releases the tool, or for two minutes, so that its server can stop."""
    until = asyncio.get_running_loop().time() + 120
    while not released.is_set() and asyncio.get_running_loop().time() < until:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            continue
    return "late"
