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
"""Seconds for which operations are retried while the database is unavailable."""
FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0
"""The bounds of the delays between two attempts, in seconds."""
ATTEMPTS = 5
"""How often an operation is tried if the database is available but rejects it."""

logger = logging.getLogger("tertulia.generator")
Result = TypeVar("Result")


async def retry_while_unavailable(
    database: Database, work: Callable[[], Awaitable[Result]], seconds: float = PATIENCE
) -> Result:
    """Run `work`, and retry it while the database is unavailable, or a few times if the database rejects it.

    Raises the error of the last attempt.
    """
    given_up = time.monotonic() + seconds
    backoff, attempts = Backoff(FIRST_DELAY, LONGEST_DELAY), 0
    while True:
        try:
            return await work()
        except DATABASE_ERRORS as error:
            attempts += await answers(database)
            if attempts >= ATTEMPTS or time.monotonic() > given_up:
                raise
            logger.warning("The database is away, trying again: %s", error)
            await asyncio.sleep(backoff.next())


async def answers(database: Database) -> bool:
    """Return whether the database answers at all."""
    try:
        await database.check()
    except Exception:  # noqa: BLE001 - any error means that it does not answer
        return False
    return True


async def run_periodically(seconds: float, work: Callable[[], Awaitable[None]], *, at_once: bool = False) -> None:
    """Run `work` every `seconds` until cancelled, the first time immediately if `at_once`.

    Errors are logged.
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
