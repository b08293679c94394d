"""Ending the answers of this process: each is saved, then its followers are told, whatever fails on the way."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from tertulia.backoff import Backoff
from tertulia.billing.records import Payer
from tertulia.claude.errors import UNSAVED, GenerationError
from tertulia.claude.tracing import written_here
from tertulia.db import leases
from tertulia.db.database import Database
from tertulia.db.leases import Place
from tertulia.db.tables import Status
from tertulia.failpoints import Failpoint
from tertulia.generation.config import Terms
from tertulia.generation.observer import End
from tertulia.generation.persistence import StopRequested, save_end, save_failure, save_suspension, side_by_side
from tertulia.generation.retry import ATTEMPTS, FIRST_DELAY, LONGEST_DELAY, PATIENCE, Result, answers
from tertulia.generation.state import Ending, Job, Suspended, end_of, outcome, suspension, terminal_event
from tertulia.generation.titles import Titles
from tertulia.generation.tool_rounds import close_calls
from tertulia.isolation import ItemLoop
from tertulia.streams.events import GenerationFailed, TerminalEvent, ToolResultsRequired
from tertulia.streams.log import EventLog, Signals

ENDED = "ended"
CHANGED = "changed"
ENDS, OPEN_CALLS, GIVEN_UP = ItemLoop("end"), ItemLoop("end.open_calls"), ItemLoop("end.given_up")
ANNOUNCEMENTS, FOLLOWING = ItemLoop("end.announce"), Failpoint("end.claim_following")
ENDING, SAVED, SUSPENDED = Failpoint("end.begin"), Failpoint("end.saved"), Failpoint("suspension.saved")

logger = logging.getLogger("tertulia.generator")


@dataclass(frozen=True, slots=True)
class Saved:
    """How an end was saved. `kept`: it was still this process's to save; `whole`: it was saved as it is."""

    kept: bool
    whole: bool = True
    following: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class Lost:
    """Another process holds the lease now."""


@dataclass(frozen=True, slots=True)
class Waits:
    """The answer waits for results of tools, without a process."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The end is stored. `following`: the claimed generations that waited for it."""

    last: TerminalEvent
    end: End
    following: Sequence[UUID]


class Settler:
    """Ends answers when their writers have ended."""

    def __init__(
        self,
        database: Database,
        log: EventLog,
        signals: Signals,
        titles: Titles,
        *,
        process: UUID,
        terms: Terms,
        claimed: Callable[[Sequence[UUID]], None],
        is_draining: Callable[[], bool],
    ) -> None:
        """`claimed` is told of the generations that this process has claimed; `is_draining`: nothing more is begun."""
        self._database = database
        self._log = log
        self._signals = signals
        self._titles = titles
        self._process = process
        self._terms = terms
        self._claimed = claimed
        self._is_draining = is_draining
        self._finishing = side_by_side(database)

    async def settle(self, job: Job) -> Sequence[UUID]:
        """Wait until an answer is written, and end it; return the claimed generations that waited for it."""
        written_here.set(job.generation_id)
        await job.written()
        following = await ENDS.attempt(job.generation_id, lambda: self._settle(job))
        if following is None:
            await self.give_up(job.generation_id, UNSAVED)
        return following or ()

    async def give_up(self, generation_id: UUID, error: GenerationError) -> None:
        """End a generation as failed, with nothing but its error; its followers read its row."""

        async def end() -> bool:
            async with self._database.write() as session:
                ended = await leases.end_as_failed(session, generation_id, self._process, error.to_json(), None)
            return ended is not None

        if await GIVEN_UP.attempt(generation_id, end):
            await GIVEN_UP.attempt(generation_id, lambda: self._log.discard(generation_id))
        else:
            # Another process may hold it by now, and write its log.
            self._log.release(generation_id)
        self._signals.send(ENDED, generation_id)

    async def _settle(self, job: Job) -> Sequence[UUID]:
        result = await self._save_result(job)
        match result:
            case Lost():
                self._lose(job)
            case Waits():
                pass
            case Ended():
                await self._show_end(job, result)
                return result.following
        return ()

    async def _save_result(self, job: Job) -> Lost | Waits | Ended:
        """Store what has become of a written job; raises what the database raised where an end cannot be stored."""
        if job.ending is Ending.LOST:
            return Lost()
        if (suspended := suspension(job)) is not None and await self._suspend(job, suspended):
            return Waits()
        OPEN_CALLS.attempt_now(job.generation_id, lambda: self._close_calls(job))
        status, error = outcome(job)
        stored_error = None if error is None else error.to_json()
        last = terminal_event(job.generation_id, job.answer.next_sequence(), status, stored_error)
        await ENDING.reach(job.generation_id)
        if job.ending is Ending.STOPPED:
            # `stopGeneration` may return on another replica as soon as the row has ended. No content follows then.
            await self._log.flush(job.generation_id)
        saved = await self._save(job, status, error)
        if not saved.kept:
            return Lost()
        if not saved.whole:
            status, error = Status.FAILED, UNSAVED
            last = GenerationFailed(last.generation_id, last.sequence, UNSAVED.to_json())
        return Ended(last, end_of(job, status, error), saved.following)

    async def _show_end(self, job: Job, ended: Ended) -> None:
        """Tell followers of an end that is stored."""
        # Nobody else will ever write it.
        job.lease.settle()
        self._claimed(ended.following)
        if await ANNOUNCEMENTS.attempt(job.generation_id, lambda: self._announce(ended.last, ended.end)) is None:
            # Its followers read the row.
            self._log.release(job.generation_id)
            self._signals.send(ENDED, job.generation_id)

    def _close_calls(self, job: Job) -> None:
        self._log.append(job.generation_id, close_calls(job.answer, job.ending))

    async def _suspend(self, job: Job, suspended: Suspended) -> bool:
        """Let an answer wait without a process; False where it ends instead, stopped or impossible to save."""
        answer, waits = job.answer, suspended
        event = ToolResultsRequired(
            job.generation_id, answer.next_sequence(), waits.tool_uses, waits.approvals, waits.expires_at
        )

        async def save() -> tuple[Place | None]:
            return (await save_suspension(self._database, job, suspended, self._process),)

        try:
            (kept,) = await self._persist(job.generation_id, save)
        except StopRequested:
            answer.sequence -= 1
            job.ending = Ending.STOPPED
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, the answer must end then
            logger.warning("Generation %s cannot wait for its tools: %s", job.generation_id, error)
            answer.sequence -= 1
            job.ending = Ending.INTERRUPTED
            return False
        job.suspended = True
        if kept is None:
            self._lose(job)
            return True
        await SUSPENDED.reach(job.generation_id)
        self._log.append(job.generation_id, [event])
        self._log.saved(job.generation_id, event.sequence)
        await self._log.flush(job.generation_id)
        self._log.suspend(job.generation_id, job.lease)
        self._signals.send(CHANGED, kept.owner_id)
        return True

    async def _save(self, job: Job, status: Status, error: GenerationError | None) -> Saved:
        """Save an end as it is; where the database answers and does not take it, as a failure."""
        whole = lambda: self._save_whole(job, status, error)  # noqa: E731 - it is called again and again
        return await self._persist(job.generation_id, whole, lambda: self._save_failure(job))

    async def _persist(
        self,
        generation_id: UUID,
        save: Callable[[], Awaitable[Result]],
        otherwise: Callable[[], Awaitable[Result | None]] | None = None,
    ) -> Result:
        """Try to save a few times while the database answers, and for a minute while it is away; then `otherwise`.

        Raises what the last attempt raised.
        """
        given_up, attempts = time.monotonic() + PATIENCE, 0
        backoff = Backoff(FIRST_DELAY, LONGEST_DELAY)
        while True:
            try:
                return await save()
            except StopRequested:
                raise
            except Exception as failure:
                logger.warning("Generation %s could not be saved yet: %s", generation_id, failure)
                attempts += await answers(self._database)
                if attempts >= ATTEMPTS:
                    if otherwise is None:
                        raise
                    logger.exception("Generation %s could not be saved as it was", generation_id)
                    if (saved := await otherwise()) is not None:
                        return saved
                if time.monotonic() > given_up:
                    raise
            await asyncio.sleep(backoff.next())

    async def _save_whole(self, job: Job, status: Status, error: GenerationError | None) -> Saved:
        following: list[UUID] = []
        async with self._finishing, self._database.write() as session:
            place, kept = await save_end(session, job, (status, error), self._process, self._terms.prices)
            if place is None:
                return Saved(kept)
            if not self._is_draining():
                FOLLOWING.hit(job.generation_id)
                following = await leases.claim_following(
                    session, job.generation_id, self._process, self._terms.lease_end()
                )
        self._signals.send(CHANGED, place.owner_id)
        if status is Status.COMPLETED:
            self._name(job, place)
        return Saved(kept=True, following=following)

    def _name(self, job: Job, place: Place) -> None:
        payer = Payer(place.owner_id, place.conversation_id, job.generation_id)
        self._titles.name(payer, (self._signals, CHANGED))

    async def _save_failure(self, job: Job) -> Saved | None:
        """Save an end as a failure; None where the database takes nothing."""
        try:
            place, kept = await save_failure(self._database, job, self._process, self._terms.prices)
        except Exception:
            logger.exception("Generation %s could not be saved as a failure", job.generation_id)
            return None
        if place is not None:
            self._signals.send(CHANGED, place.owner_id)
        return Saved(kept, whole=False)

    async def _announce(self, last: TerminalEvent, end: End) -> bool:
        await SAVED.reach(last.generation_id)
        self._terms.watch.ended(end)
        self._log.append(last.generation_id, [last])
        await self._log.flush(last.generation_id)
        # The row has it, so it is shown here also while Redis is away; nobody else would wake the followers.
        self._log.saved(last.generation_id, last.sequence)
        self._signals.send(ENDED, last.generation_id)
        return True

    def _lose(self, job: Job) -> None:
        logger.warning("Generation %s is another process's now", job.generation_id)
        job.lost = True
        self._log.release(job.generation_id, job.lease)
