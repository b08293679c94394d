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
from tertulia.generation.config import EngineConfig
from tertulia.generation.observer import End
from tertulia.generation.persistence import StopRequested, finish_limiter, save_end, save_failure, save_suspension
from tertulia.generation.retry import ATTEMPTS, FIRST_DELAY, LONGEST_DELAY, PATIENCE, Result, answers
from tertulia.generation.state import ActiveGeneration, Ending, Suspended, end_of, outcome, suspension, terminal_event
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
class LeaseLost:
    """Another process holds the lease now."""


@dataclass(frozen=True, slots=True)
class AwaitingTools:
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
        config: EngineConfig,
        claimed: Callable[[Sequence[UUID]], None],
        is_draining: Callable[[], bool],
    ) -> None:
        """`claimed` is told of the generations that this process has claimed; `is_draining`: nothing more is begun."""
        self._database = database
        self._log = log
        self._signals = signals
        self._titles = titles
        self._process = process
        self._config = config
        self._claimed = claimed
        self._is_draining = is_draining
        self._finishing = finish_limiter(database)

    async def settle(self, active: ActiveGeneration) -> Sequence[UUID]:
        """Wait until an answer is written, and end it; return the claimed generations that waited for it."""
        written_here.set(active.generation_id)
        await active.written()
        following = await ENDS.attempt(active.generation_id, lambda: self._settle(active))
        if following is None:
            await self.give_up(active.generation_id, UNSAVED)
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

    async def _settle(self, active: ActiveGeneration) -> Sequence[UUID]:
        result = await self._save_result(active)
        match result:
            case LeaseLost():
                self._lose(active)
            case AwaitingTools():
                pass
            case Ended():
                await self._show_end(active, result)
                return result.following
        return ()

    async def _save_result(self, active: ActiveGeneration) -> LeaseLost | AwaitingTools | Ended:
        """Store what has become of a written job; raises what the database raised where an end cannot be stored."""
        if active.ending is Ending.LOST:
            return LeaseLost()
        if (suspended := suspension(active)) is not None and await self._suspend(active, suspended):
            return AwaitingTools()
        OPEN_CALLS.attempt_now(active.generation_id, lambda: self._close_calls(active))
        status, error = outcome(active)
        stored_error = None if error is None else error.to_json()
        last = terminal_event(active.generation_id, active.answer.next_sequence(), status, stored_error)
        await ENDING.reach(active.generation_id)
        if active.ending is Ending.STOPPED:
            # `stopGeneration` may return on another replica as soon as the row has ended. No content follows then.
            await self._log.flush(active.generation_id)
        saved = await self._save(active, status, error)
        if not saved.kept:
            return LeaseLost()
        if not saved.whole:
            status, error = Status.FAILED, UNSAVED
            last = GenerationFailed(last.generation_id, last.sequence, UNSAVED.to_json())
        return Ended(last, end_of(active, status, error), saved.following)

    async def _show_end(self, active: ActiveGeneration, ended: Ended) -> None:
        """Tell followers of an end that is stored."""
        # Nobody else will ever write it.
        active.lease.settle()
        self._claimed(ended.following)
        if await ANNOUNCEMENTS.attempt(active.generation_id, lambda: self._announce(ended.last, ended.end)) is None:
            # Its followers read the row.
            self._log.release(active.generation_id)
            self._signals.send(ENDED, active.generation_id)

    def _close_calls(self, active: ActiveGeneration) -> None:
        self._log.append(active.generation_id, close_calls(active.answer, active.ending))

    async def _suspend(self, active: ActiveGeneration, suspended: Suspended) -> bool:
        """Let an answer wait without a process; False where it ends instead, stopped or impossible to save."""
        answer, waits = active.answer, suspended
        event = ToolResultsRequired(
            active.generation_id, answer.next_sequence(), waits.tool_uses, waits.approvals, waits.expires_at
        )

        async def save() -> tuple[Place | None]:
            return (await save_suspension(self._database, active, suspended, self._process),)

        try:
            (kept,) = await self._persist(active.generation_id, save)
        except StopRequested:
            answer.sequence -= 1
            active.ending = Ending.STOPPED
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, the answer must end then
            logger.warning("Generation %s cannot wait for its tools: %s", active.generation_id, error)
            answer.sequence -= 1
            active.ending = Ending.INTERRUPTED
            return False
        active.suspended = True
        if kept is None:
            self._lose(active)
            return True
        await SUSPENDED.reach(active.generation_id)
        self._log.append(active.generation_id, [event])
        self._log.saved(active.generation_id, event.sequence)
        await self._log.flush(active.generation_id)
        self._log.suspend(active.generation_id, active.lease)
        self._signals.send(CHANGED, kept.owner_id)
        return True

    async def _save(self, active: ActiveGeneration, status: Status, error: GenerationError | None) -> Saved:
        """Save an end as it is; where the database answers and does not take it, as a failure."""
        whole = lambda: self._save_whole(active, status, error)  # noqa: E731 - it is called again and again
        return await self._persist(active.generation_id, whole, lambda: self._save_failure(active))

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

    async def _save_whole(self, active: ActiveGeneration, status: Status, error: GenerationError | None) -> Saved:
        following: list[UUID] = []
        async with self._finishing, self._database.write() as session:
            place, kept = await save_end(
                session, active, status, error, holder=self._process, prices=self._config.prices
            )
            if place is None:
                return Saved(kept)
            if not self._is_draining():
                FOLLOWING.hit(active.generation_id)
                following = await leases.claim_following(
                    session, active.generation_id, self._process, self._config.lease_end()
                )
        self._signals.send(CHANGED, place.owner_id)
        if status is Status.COMPLETED:
            self._name(active, place)
        return Saved(kept=True, following=following)

    def _name(self, active: ActiveGeneration, place: Place) -> None:
        payer = Payer(place.owner_id, place.conversation_id, active.generation_id)
        self._titles.name(payer, on_named=lambda: self._signals.send(CHANGED, payer.owner_id))

    async def _save_failure(self, active: ActiveGeneration) -> Saved | None:
        """Save an end as a failure; None where the database takes nothing."""
        try:
            place, kept = await save_failure(self._database, active, self._process, self._config.prices)
        except Exception:
            logger.exception("Generation %s could not be saved as a failure", active.generation_id)
            return None
        if place is not None:
            self._signals.send(CHANGED, place.owner_id)
        return Saved(kept, whole=False)

    async def _announce(self, last: TerminalEvent, end: End) -> bool:
        await SAVED.reach(last.generation_id)
        self._config.watch.ended(end)
        self._log.append(last.generation_id, [last])
        await self._log.flush(last.generation_id)
        # The row has it, so it is shown here also while Redis is away; nobody else would wake the followers.
        self._log.saved(last.generation_id, last.sequence)
        self._signals.send(ENDED, last.generation_id)
        return True

    def _lose(self, active: ActiveGeneration) -> None:
        logger.warning("Generation %s is another process's now", active.generation_id)
        active.lost = True
        self._log.release(active.generation_id, active.lease)
