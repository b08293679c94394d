"""Tools that the tests let Claude call."""

import asyncio
import time
from pathlib import Path

from media import image
from pydantic import BaseModel

from tertulia.tools.base import Image, ToolContext, ToolError
from tertulia.tools.functions import tool


class Place(BaseModel):
    city: str
    country: str = "Spain"


def weather(place: Place, days: int = 1) -> dict[str, object]:
    """Return the weather.

    Args:
        place: Where.
        days: How many days.
    """
    return {"city": place.city, "days": days, "sky": "blue"}


async def who(context: ToolContext, greeting: str = "Hello") -> str:
    """Return the viewer's name."""
    return f"{greeting}, {context.viewer_name}"


def identify(context: ToolContext) -> dict[str, str | None]:
    """Return what a tool knows of the viewer."""
    return {"name": context.viewer_name, "subject": context.user_subject}


@tool(asks_first=True)
def pay(amount: int) -> str:
    """Pay somebody."""
    with Path("paid.txt").open("a") as file:
        file.write(f"{amount}\n")
    return f"Paid {amount}."


def draw() -> Image:
    """Draw a picture."""
    return Image(image())


def no_picture() -> Image:
    """Return bytes that are no image."""
    return Image(b"nothing")


def refuse() -> str:
    """Fail with a message for Claude."""
    raise ToolError("Not on Sundays.")


def crash() -> str:
    """Crash."""
    raise RuntimeError("the password is parsnip")


@tool(seconds=0.2)
async def hang() -> str:
    """Never return."""
    await asyncio.Event().wait()
    return ""


@tool(seconds=0.2)
def hang_in_thread() -> str:
    """Return after the timeout."""
    time.sleep(1.0)
    return ""


async def wait() -> str:
    """Wait until it is cancelled."""
    await asyncio.Event().wait()
    return ""


async def hold(context: ToolContext) -> str:
    """Record that it runs, and never return."""
    await asyncio.to_thread(_say, context.tool_use_id)
    await asyncio.Event().wait()
    return ""


def _say(tool_use_id: str) -> None:
    with Path("held.txt").open("a") as file:
        file.write(f"{tool_use_id}\n")


def flood() -> str:
    """Return more text than the limit allows."""
    return "x" * 10_000_000
