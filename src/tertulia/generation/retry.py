"""Retry operations while the database is unavailable."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tertulia.backoff import Backoff
from tertulia.db.database import Database
from tertulia.db.errors import DATABASE_ERRORS

PATIENCE = 60.0
"""The seconds for which operations are retried while the database is unavailable."""
FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0
"""The bounds of the delay between two attempts, in seconds."""
RETRY_SECONDS = 30.0
"""The seconds after which periodic work is repeated if it has failed, unless it is more frequent anyway."""
ATTEMPTS = 5
"""The number of attempts if the database is available but rejects an operation."""

logger = logging.getLogger("tertulia.generator")
Result = TypeVar("Result")


async def retry_while_unavailable(
    database: Database, work: Callable[[], Awaitable[Result]], seconds: float = PATIENCE
) -> Result:
    """Run `work`, and retry it for `seconds` while the database is unavailable.

    If the database is available but rejects the work, it is run at most ATTEMPTS times. Then the last error is raised.
    """
    give_up_at = time.monotonic() + seconds
    backoff, attempts = Backoff(FIRST_DELAY, LONGEST_DELAY), 0
    while True:
        try:
            return await work()
        except DATABASE_ERRORS as error:
            attempts += await is_available(database)
            if attempts >= ATTEMPTS or time.monotonic() > give_up_at:
                raise
            logger.warning("The database is unavailable, retrying: %s", error)
            await asyncio.sleep(backoff.next())


async def is_available(database: Database) -> bool:
    """Return whether the database answers a query."""
    try:
        await database.check()
    except Exception:  # noqa: BLE001 - any error means that it is unavailable
        return False
    return True


async def run_periodically(
    seconds: float, work: Callable[[], Awaitable[bool | None]], *, at_once: bool = False
) -> None:
    """Run `work` every `seconds` until cancelled, the first time immediately if `at_once`. Errors are logged.

    If it raises an error or returns False, it is repeated after at most `RETRY_SECONDS`.
    """
    retry_seconds = min(seconds, RETRY_SECONDS)
    delay = 0.0 if at_once else seconds
    while True:
        if delay:
            await asyncio.sleep(delay)
        try:
            delay = retry_seconds if await work() is False else seconds
        except DATABASE_ERRORS as error:
            logger.warning("The database is unavailable, retrying: %s", error)
            delay = retry_seconds
        except Exception:
            logger.exception("A periodic task of the generations failed, and runs again in %g seconds", retry_seconds)
            delay = retry_seconds
