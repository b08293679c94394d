"""End generations: save each end, then notify its followers, also if a step in between fails."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from tertulia.backoff import Backoff
from tertulia.billing.records import Payer
from tertulia.claude.errors import UNSAVED, GenerationError
from tertulia.claude.tracing import written_here
from tertulia.db import leases
from tertulia.db.database import Database
from tertulia.db.leases import GenerationLocation
from tertulia.db.tables import Status
from tertulia.failpoints import Failpoint
from tertulia.generation.answer_lines import log_ended, log_given_up, log_waiting
from tertulia.generation.config import EngineConfig
from tertulia.generation.observer import End
from tertulia.generation.persistence import (
    StopRequested,
    finish_limiter,
    save_end,
    save_error,
    save_failure,
    save_released,
    save_suspension,
    total_amount,
)
from tertulia.generation.retry import ATTEMPTS, FIRST_DELAY, LONGEST_DELAY, PATIENCE, Result, is_available
from tertulia.generation.state import ActiveGeneration, Ending, Suspended, end_of, outcome, suspension, terminal_event
from tertulia.generation.titles import Titles
from tertulia.generation.tool_rounds import close_calls
from tertulia.isolation import ItemLoop
from tertulia.streams.events import GenerationEvent, GenerationFailed, GenerationSteered, ToolResultsRequired
from tertulia.streams.log import EventLog, Signals

ENDED = "ended"
CHANGED = "changed"
RELEASED = "released"
ENDS, OPEN_CALLS, GIVEN_UP = ItemLoop("end"), ItemLoop("end.open_calls"), ItemLoop("end.given_up")
ANNOUNCEMENTS, FOLLOWING = ItemLoop("end.announce"), Failpoint("end.claim_following")
ENDING, SAVED, SUSPENDED = Failpoint("end.begin"), Failpoint("end.saved"), Failpoint("suspension.saved")

logger = logging.getLogger("tertulia.generator")


@dataclass(frozen=True, slots=True)
class Saved:
    """How an end was saved.

    Attributes:
        lease_held: Whether this process still held the lease.
        complete: Whether the actual end was saved, and not a failure instead of it.
        following: The generations that waited for this end, and that this process has claimed.
    """

    lease_held: bool
    complete: bool = True
    following: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """Another process holds the lease now, so nothing was saved."""


@dataclass(frozen=True, slots=True)
class NoHolder:
    """The generation waits for tool results, or for another process that continues it. No process runs it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The end is saved.

    Attributes:
        events: The last events, which are not sent yet. The terminal event is the last one.
        end: How the generation has ended, for the observer.
        following: The generations that waited for it, and that this process has claimed.
    """

    events: Sequence[GenerationEvent]
    end: End
    following: Sequence[UUID]


class GenerationFinalizer:
    """Ends generations when their tasks have ended."""

    def __init__(
        self,
        database: Database,
        log: EventLog,
        signals: Signals,
        titles: Titles,
        *,
        process: UUID,
        config: EngineConfig,
        claimed: Callable[[Sequence[UUID]], None],
        is_draining: Callable[[], bool],
    ) -> None:
        """Initialize for a process.

        Args:
            database: The database.
            log: The log of the generations' events.
            signals: Notifies other processes of ends and changes.
            titles: Generates titles after completed answers.
            process: The id of this process, which holds the leases.
            config: The configuration of generations.
            claimed: Called with the generations that this process has claimed.
            is_draining: Returns whether this process is shutting down. It then claims no generations.
        """
        self._database = database
        self._log = log
        self._signals = signals
        self._titles = titles
        self._process = process
        self._config = config
        self._claimed = claimed
        self._is_draining = is_draining
        self._finishing = finish_limiter(database)

    async def finalize(self, active: ActiveGeneration) -> Sequence[UUID]:
        """Wait until a generation's task has ended, then end the generation.

        Returns:
            The generations that waited for it, and that this process has claimed.
        """
        written_here.set(active.generation_id)
        await active.wait_until_written()
        following = await ENDS.attempt(active.generation_id, lambda: self._finalize(active))
        if following is None:
            await self.give_up(active.generation_id, UNSAVED)
        return following or ()

    async def give_up(self, generation_id: UUID, error: GenerationError) -> None:
        """End a generation as failed, and save only its error. Its followers read its row."""

        log_given_up(generation_id, error)
        end = partial(save_error, self._database, generation_id, self._process, error, None)
        if await GIVEN_UP.attempt(generation_id, end):
            await GIVEN_UP.attempt(generation_id, lambda: self._log.discard(generation_id))
        else:
            # Another process may hold the lease now, and write to its log.
            self._log.release(generation_id)
        self._signals.send(ENDED, generation_id)

    async def _finalize(self, active: ActiveGeneration) -> Sequence[UUID]:
        result = await self._save_result(active)
        match result:
            case LeaseLost():
                self._release_lost(active)
            case NoHolder():
                pass
            case Ended():
                await self._show_end(active, result)
                return result.following
        return ()

    async def _save_result(self, active: ActiveGeneration) -> LeaseLost | NoHolder | Ended:
        """Save the outcome of a generation's task. If that fails, the database's error is raised."""
        if active.ending is Ending.LOST:
            return LeaseLost()
        if active.ending is Ending.RELEASED and await self._hand_over(active):
            return NoHolder()
        if (suspended := suspension(active)) is not None and await self._suspend(active, suspended):
            return NoHolder()
        OPEN_CALLS.attempt_now(active.generation_id, lambda: self._close_blocks(active))
        status, error = outcome(active)
        stored_error = None if error is None else error.to_json()
        # Sent after the end is saved, so that it is sent once: a process that takes over decides again.
        before = _events_before_end(active)
        event = terminal_event(active.generation_id, active.answer.next_sequence(), status, stored_error)
        await ENDING.reach(active.generation_id)
        if active.ending is Ending.STOPPED:
            # `stopGeneration` may return on another replica as soon as the row has ended. No content may follow then.
            await self._log.flush(active.generation_id)
        saved = await self._save(active, status, error)
        if not saved.lease_held:
            return LeaseLost()
        if not saved.complete:
            status, error = Status.FAILED, UNSAVED
            event = GenerationFailed(event.generation_id, event.sequence, UNSAVED.to_json())
        return Ended([*before, event], end_of(active, status, error), saved.following)

    async def _show_end(self, active: ActiveGeneration, ended: Ended) -> None:
        """Append the last events of a generation whose end is saved."""
        # The end is final: no other process can take over this generation.
        active.lease.never_expire()
        log_ended(active, ended.end, total_amount(active, self._config.prices))
        self._claimed(ended.following)
        if await ANNOUNCEMENTS.attempt(active.generation_id, lambda: self._announce(ended.events, ended.end)) is None:
            # Without the terminal event, the followers read the row.
            self._log.release(active.generation_id)
            self._signals.send(ENDED, active.generation_id)

    def _close_blocks(self, active: ActiveGeneration) -> None:
        # Text that a filter holds back was written by Claude, and must not be lost.
        events = [*active.answer.release_text(), *close_calls(active.answer, active.ending)]
        self._log.append(active.generation_id, events)

    async def _hand_over(self, active: ActiveGeneration) -> bool:
        """Save the answer so far, and give up its lease. Return False if it must end instead."""

        async def save() -> bool:
            return await save_released(self._database, active, self._process, self._config.prices)

        await self._log.flush(active.generation_id)
        try:
            is_saved = await self._persist(active.generation_id, save)
        except Exception as error:  # noqa: BLE001 - whatever the error is, the generation must end then
            logger.warning("Generation %s could not be handed over: %s", active.generation_id, error)
            active.ending = Ending.INTERRUPTED
            return False
        active.lost = True
        self._log.release(active.generation_id, active.lease)
        if is_saved:
            logger.info("Generation %s is handed over to another process, or to the next start", active.generation_id)
            self._signals.send(RELEASED, active.generation_id)
        return True

    async def _suspend(self, active: ActiveGeneration, suspended: Suspended) -> bool:
        """Suspend a generation. Return False if it must end instead, because it was stopped or cannot be saved."""
        answer, pending = active.answer, suspended
        event = ToolResultsRequired(
            active.generation_id, answer.next_sequence(), pending.tool_uses, pending.approvals, pending.expires_at
        )

        async def save() -> tuple[GenerationLocation | None]:
            return (await save_suspension(self._database, active, suspended, self._process),)

        try:
            (location,) = await self._persist(active.generation_id, save)
        except StopRequested:
            answer.sequence -= 1
            active.ending = Ending.STOPPED
            return False
        except Exception as error:  # noqa: BLE001 - whatever the error is, the generation must end then
            logger.warning(
                "Generation %s is interrupted, because its wait for tool results could not be saved: %s",
                active.generation_id,
                error,
            )
            answer.sequence -= 1
            active.ending = Ending.INTERRUPTED
            return False
        active.suspended = True
        if location is None:
            self._release_lost(active)
            return True
        log_waiting(active, len(suspended.tool_uses))
        await SUSPENDED.reach(active.generation_id)
        self._log.append(active.generation_id, [event])
        # Clients submit results as soon as they see the event, and the process that continues reads it from the log.
        await self._log.flush(active.generation_id)
        self._log.mark_saved(active.generation_id, event.sequence)
        self._log.suspend(active.generation_id, active.lease)
        self._signals.send(CHANGED, location.owner_id)
        return True

    async def _save(self, active: ActiveGeneration, status: Status, error: GenerationError | None) -> Saved:
        """Save an end. If the database is available but rejects it, save a failure instead."""
        save_complete = lambda: self._save_complete(active, status, error)  # noqa: E731 - it is called for each attempt
        return await self._persist(active.generation_id, save_complete, lambda: self._save_failure(active))

    async def _persist(
        self,
        generation_id: UUID,
        save: Callable[[], Awaitable[Result]],
        otherwise: Callable[[], Awaitable[Result | None]] | None = None,
    ) -> Result:
        """Call `save` until it succeeds: up to ATTEMPTS times if the database rejects the data, then call `otherwise`.

        While the database is unavailable, `save` is retried for PATIENCE seconds. Then the last error is raised.
        """
        give_up_at, attempts = time.monotonic() + PATIENCE, 0
        backoff = Backoff(FIRST_DELAY, LONGEST_DELAY)
        while True:
            try:
                return await save()
            except StopRequested:
                raise
            except Exception as failure:
                logger.warning("Generation %s could not be saved, retrying: %s", generation_id, failure)
                attempts += await is_available(self._database)
                if attempts >= ATTEMPTS:
                    if otherwise is None:
                        raise
                    logger.exception(
                        "The database rejects the end of generation %s, which is saved as failed instead", generation_id
                    )
                    if (fallback_result := await otherwise()) is not None:
                        return fallback_result
                if time.monotonic() > give_up_at:
                    raise
            await asyncio.sleep(backoff.next())

    async def _save_complete(self, active: ActiveGeneration, status: Status, error: GenerationError | None) -> Saved:
        following: list[UUID] = []
        async with self._finishing, self._database.write() as session:
            saved = await save_end(session, active, status, error, holder=self._process, prices=self._config.prices)
            location = saved.location
            if location is None:
                return Saved(saved.lease_held)
            if not self._is_draining():
                FOLLOWING.hit(active.generation_id)
                if saved.has_following:
                    following = await leases.claim_following(
                        session, active.generation_id, self._process, self._config.lease_end()
                    )
        self._signals.send(CHANGED, location.owner_id)
        if status is Status.COMPLETED:
            self._name(active, location)
        return Saved(lease_held=True, following=following)

    def _name(self, active: ActiveGeneration, location: GenerationLocation) -> None:
        payer = Payer(location.owner_id, location.conversation_id, active.generation_id)
        self._titles.name(payer, on_named=lambda: self._signals.send(CHANGED, payer.owner_id))

    async def _save_failure(self, active: ActiveGeneration) -> Saved | None:
        """Save an end as a failure. Return None if that fails too."""
        try:
            location, lease_held = await save_failure(self._database, active, self._process, self._config.prices)
        except Exception:
            logger.exception("Generation %s could not be saved as failed either, retrying", active.generation_id)
            return None
        if location is not None:
            self._signals.send(CHANGED, location.owner_id)
        return Saved(lease_held, complete=False)

    async def _announce(self, events: Sequence[GenerationEvent], end: End) -> bool:
        event = events[-1]
        await SAVED.reach(event.generation_id)
        self._config.observer.on_end(end)
        self._log.append(event.generation_id, events)
        await self._log.flush(event.generation_id)
        # The row is saved, so the event is delivered also if Redis is unavailable: nothing else notifies the followers.
        self._log.mark_saved(event.generation_id, event.sequence)
        self._signals.send(ENDED, event.generation_id)
        return True

    def _release_lost(self, active: ActiveGeneration) -> None:
        logger.warning(
            "This process has lost the lease of generation %s, which another process may have taken over",
            active.generation_id,
        )
        active.lost = True
        self._log.release(active.generation_id, active.lease)


def _events_before_end(active: ActiveGeneration) -> list[GenerationEvent]:
    steered_by = active.ended_by_message
    if steered_by is None:
        return []
    return [GenerationSteered(active.generation_id, active.answer.next_sequence(), steered_by)]
