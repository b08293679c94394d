"""Deliver the events of the outbox to a subscriber.

Each replica runs a `Courier` for each subscriber. No database session is open while an event is delivered. A delivery
whose process is lost is repeated by any replica when the claim ends, so a subscriber may receive an event twice.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

from tertulia.backoff import Backoff
from tertulia.db import outbox
from tertulia.db.database import AsyncSession, Database
from tertulia.db.errors import DATABASE_ERRORS
from tertulia.db.outbox import DELIVERED_FOR, Delivery
from tertulia.db.tables import now
from tertulia.generation.retry import retry_while_unavailable

AT_ONCE = 8
"""The events that a process delivers concurrently to one subscriber."""
POLL_SECONDS = 2.0
"""Seconds between checks for events that other processes have stored. Those of this process are delivered at once."""
FIRST_DELAY, LONGEST_DELAY = 5.0, 3600.0
"""The bounds of the delay before the next attempt, in seconds. The first doubles with each attempt."""
LAST_ATTEMPT = timedelta(minutes=5)
"""How long before its end an event is sent for the last time, if the endpoint asks to wait longer."""
CLAIM_MARGIN = 15.0
"""Seconds for which an event stays claimed after the time limit of its delivery."""
CLOSE_SECONDS = 5.0
"""The seconds for which a server that shuts down waits for its deliveries."""
TRIMMED_AT_ONCE = 1000

OnDelivery = Callable[[str, str], None]
"""Called after each attempt, with the name of the subscriber and the outcome."""

logger = logging.getLogger("tertulia.outbox")


class Undelivered(Exception):
    """An attempt failed, and is repeated later. The message says why, in one line.

    Attributes:
        retry_after: The seconds that the subscriber asks to wait before the next attempt; None if it does not.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Gone(Undelivered):
    """The subscriber does not want any more events."""


class Subscriber(Protocol):
    """Receives events."""

    @property
    def name(self) -> str:
        """The name in the outbox."""
        ...

    @property
    def timeout(self) -> float:
        """The seconds that a delivery may take."""
        ...

    async def deliver(self, delivery: Delivery, database: Database) -> None:
        """Deliver an event. Raise Undelivered if that failed."""
        ...


class Courier:
    """Delivers the events of one subscriber."""

    def __init__(self, database: Database, subscriber: Subscriber, on_delivery: OnDelivery) -> None:
        """Initialize for a subscriber, without delivering anything."""
        self._database = database
        self._subscriber = subscriber
        self._on_delivery = on_delivery
        self._running = set[asyncio.Task[None]]()
        self._woken = asyncio.Event()
        self._is_closing = False

    def wake(self) -> None:
        """Check for events now: some may have been stored."""
        self._woken.set()

    async def close(self) -> None:
        """Claim no more events, and wait up to `CLOSE_SECONDS` for deliveries."""
        self._is_closing = True
        if self._running:
            await asyncio.wait(self._running, timeout=CLOSE_SECONDS)

    async def run(self) -> None:
        """Deliver events until cancelled. A delivery that is interrupted is repeated when its claim ends."""
        try:
            while True:
                self._woken.clear()
                try:
                    seconds = await self._start_deliveries()
                except DATABASE_ERRORS as error:
                    logger.warning("The database is unavailable, retrying: %s", error)
                    seconds = POLL_SECONDS
                except Exception:
                    logger.exception("Events for %s cannot be claimed, retrying", self._subscriber.name)
                    seconds = POLL_SECONDS
                try:
                    await asyncio.wait_for(self._woken.wait(), seconds)
                except TimeoutError:
                    continue
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _start_deliveries(self) -> float:
        """Claim events that are due, and start to deliver them. Return the seconds until others may be due."""
        free = AT_ONCE - len(self._running)
        if free <= 0 or self._is_closing:
            return POLL_SECONDS
        async with self._database.read() as session:
            due_at = await outbox.next_due(session, self._subscriber.name)
        if due_at is None:
            return POLL_SECONDS
        seconds = (due_at - now()).total_seconds()
        if seconds > 0:
            return min(seconds, POLL_SECONDS)
        async with self._database.write() as session:
            # Here, because the transaction may have waited for a connection.
            until = now() + timedelta(seconds=self._subscriber.timeout + CLAIM_MARGIN)
            deliveries = await outbox.claim(session, self._subscriber.name, until, free)
        for delivery in deliveries:
            task = asyncio.create_task(self._deliver(delivery), name=f"deliver {delivery.id}")
            self._running.add(task)
            task.add_done_callback(self._ended)
        return POLL_SECONDS

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        # The next event of the conversation may be claimed now.
        self.wake()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("The outcome of a delivery could not be stored, so it is repeated", exc_info=error)

    async def _deliver(self, delivery: Delivery) -> None:
        started = time.monotonic()
        outcome, error = await self._attempt(delivery)
        self._on_delivery(self._subscriber.name, outcome)
        name, facts = self._subscriber.name, (delivery.event, delivery.id, delivery.attempts)
        if error is None:
            logger.info("%s received %s %s in %.2f s", name, *facts[:2], time.monotonic() - started)
        elif outcome == "gone":
            logger.error("%s is disabled: %s Enable it with `tertulia webhooks retry %s`.", name, error, name)
        elif outcome == "failed":
            logger.error("%s did not receive %s %s, and attempt %d was the last one: %s", name, *facts, error)
        else:
            logger.warning("%s did not receive %s %s, attempt %d: %s", name, *facts, error)

    async def _attempt(self, delivery: Delivery) -> tuple[str, str | None]:
        """Deliver an event and store the outcome. Return its name, and the error if it was not delivered."""
        # The time limit includes the reading of texts, and ends before the claim.
        seconds, retry_after = self._subscriber.timeout + CLAIM_MARGIN / 3, None
        try:
            async with asyncio.timeout(seconds):
                await self._subscriber.deliver(delivery, self._database)
        except Gone as gone:
            await self._store(lambda session: outbox.disable(session, self._subscriber.name))
            return "gone", str(gone)
        except Undelivered as undelivered:
            error, retry_after = str(undelivered), undelivered.retry_after
        except TimeoutError:
            error = f"The delivery took more than {seconds:g} seconds."
        except Exception as unexpected:
            logger.exception("The delivery of %s failed", delivery.id)
            error = f"{type(unexpected).__name__}: {unexpected}".partition("\n")[0]
        else:
            await self._store(lambda session: outbox.finish(session, delivery))
            return "delivered", None
        due_at = next_attempt(delivery, now(), retry_after)
        if due_at is None:
            await self._store(lambda session: outbox.finish(session, delivery, error))
            return "failed", error
        await self._store(lambda session: outbox.postpone(session, delivery, error, due_at))
        return "retried", error

    async def _store(self, change: Callable[[AsyncSession], Awaitable[None]]) -> None:
        async def store() -> None:
            async with self._database.write() as session:
                await change(session)

        await retry_while_unavailable(self._database, store)


def next_attempt(delivery: Delivery, time: datetime, retry_after: float | None) -> datetime | None:
    """Return when a delivery that failed at `time` is repeated; None if it has failed.

    A subscriber that asks for a longer delay than is left gets one attempt at the end.
    """
    delay = delay_after(delivery.attempts) if retry_after is None else max(retry_after, FIRST_DELAY)
    due_at = time + timedelta(seconds=min(delay, DELIVERED_FOR.total_seconds()))
    if retry_after is not None:
        due_at = min(due_at, delivery.give_up_at - LAST_ATTEMPT)
    return due_at if time < due_at < delivery.give_up_at else None


def delay_after(attempts: int) -> float:
    """Return the seconds to wait after a number of failed attempts."""
    # An exponent beyond 30 would only be cut off again.
    return Backoff(min(FIRST_DELAY * 2.0 ** min(attempts - 1, 30), LONGEST_DELAY), LONGEST_DELAY).next()


async def sweep(database: Database) -> None:
    """Mark events as failed that no replica has delivered in time, and delete events that ended long ago."""
    async with database.write() as session:
        expired = await outbox.expire(session)
    if expired:
        logger.error("%d events could not be delivered within a day; see `tertulia webhooks list`", expired)
    trimmed = TRIMMED_AT_ONCE
    while trimmed == TRIMMED_AT_ONCE:
        async with database.write() as session:
            trimmed = await outbox.trim(session, TRIMMED_AT_ONCE)
