"""Doing what needs a database that may be away for a while."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from db.errors import DATABASE_ERRORS

PATIENCE = 60.0
"""Seconds for which a database that is away is asked again, before an answer that has ended is given up."""

logger = logging.getLogger("tertulia.generator")
Result = TypeVar("Result")


async def patiently(work: Callable[[], Awaitable[Result]], seconds: float = PATIENCE) -> Result:
    """Do it, and again while the database is away; raise what the last attempt raised."""
    given_up = time.monotonic() + seconds
    pause = 0.05
    while True:
        try:
            return await work()
        except DATABASE_ERRORS as error:
            if time.monotonic() > given_up:
                raise
            logger.warning("The database is away, trying again: %s", error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, 1.0)


async def forever(seconds: float, work: Callable[[], Awaitable[None]], *, at_once: bool = False) -> None:
    """Do it again and again, with a pause between two times, and before the first one unless `at_once`.

    What fails is logged.
    """
    if not at_once:
        await asyncio.sleep(seconds)
    while True:
        try:
            await work()
        except DATABASE_ERRORS as error:
            logger.warning("The database is away, trying again: %s", error)
        except Exception:
            logger.exception("Looking after generations failed")
        await asyncio.sleep(seconds)
