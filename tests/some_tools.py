"""Tools that the tests have called."""

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
    """Tell the weather.

    Args:
        place: Where.
        days: How many days.
    """
    return {"city": place.city, "days": days, "sky": "blue"}


async def who(context: ToolContext, greeting: str = "Hello") -> str:
    """Say who asks."""
    return f"{greeting}, {context.viewer_name}"


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
    """Draw what is none."""
    return Image(b"nothing")


def refuse() -> str:
    """Refuse."""
    raise ToolError("Not on Sundays.")


def crash() -> str:
    """Crash."""
    raise RuntimeError("the password is parsnip")


@tool(seconds=0.2)
async def hang() -> str:
    """Never come back."""
    await asyncio.Event().wait()
    return ""


@tool(seconds=0.2)
def hang_in_thread() -> str:
    """Come back late."""
    time.sleep(1.0)
    return ""


async def wait() -> str:
    """Wait to be stopped."""
    await asyncio.Event().wait()
    return ""


async def hold(context: ToolContext) -> str:
    """Say that it runs, and never come back."""
    await asyncio.to_thread(_say, context.tool_use_id)
    await asyncio.Event().wait()
    return ""


def _say(tool_use_id: str) -> None:
    with Path("held.txt").open("a") as file:
        file.write(f"{tool_use_id}\n")


def flood() -> str:
    """Give far too much."""
    return "x" * 10_000_000
