"""Run generations: one task writes each answer, whether or not any client follows it.

The order matters: a task starts only for a committed row; the answer is saved before the terminal event is appended;
there is exactly one terminal event in all cases. A process writes only to generations whose lease it holds.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from datetime import datetime
from uuid import UUID

from tertulia.claude.client import Attempt
from tertulia.claude.errors import NOT_RESUMED
from tertulia.db import changes, leases
from tertulia.db.database import Database
from tertulia.db.errors import DATABASE_ERRORS
from tertulia.db.read_limit import lift_read_limit
from tertulia.db.tables import UNFINISHED, Generation, now
from tertulia.failpoints import Failpoint
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.generation.checkpoint import Checkpoints
from tertulia.generation.config import EngineConfig, EngineServices
from tertulia.generation.finalizer import CHANGED, ENDED, GenerationFinalizer
from tertulia.generation.input import GenerationInput
from tertulia.generation.loop import GenerationLoop
from tertulia.generation.recovery import ending_of, find_lost, recover_answer
from tertulia.generation.retry import retry_while_unavailable, run_periodically
from tertulia.generation.state import ActiveGeneration, Ending, Owner
from tertulia.isolation import ItemLoop
from tertulia.streams.lease import Lease
from tertulia.streams.log import EventLog, Signals
from tertulia.streams.notifier import Notifier
from tertulia.tools.execution import Bounds

CHECKPOINT_SECONDS = 1.0
"""The seconds of text that a crash can lose, if no client has received it."""
LOOK_AGAIN = 0.5
"""Seconds between two reads of the row, while waiting for another process's generation."""
STOP = "stop"
STOP_SECONDS, STOP_LEASES = 8.0, 3.0
"""How long a stop waits: in seconds if this process runs the generation, else in lease durations."""
TAKE_OVERS, CHANGES = ItemLoop("takeover"), ItemLoop("changes.trim")
CLAIMED, READ = Failpoint("takeover.claimed"), Failpoint("takeover.read")
TAKE_OVER_SECONDS = 2.0
"""How long reading a generation that is taken over is retried; other takeovers wait for it."""

logger = logging.getLogger("tertulia.generator")


class GenerationManager:
    """Starts, stops, ends and takes over generations; there may be any number of processes."""

    def __init__(
        self,
        database: Database,
        log: EventLog,
        signals: Signals,
        services: EngineServices,
        *,
        process: UUID,
        config: EngineConfig,
    ) -> None:
        """Initialize for the process with this id."""
        self._database = database
        self._log = log
        self._signals = signals
        self._claude = services.claude
        self._process = process
        self._config = config
        self._jobs: dict[UUID, ActiveGeneration] = {}
        self._claimed: dict[UUID, Lease] = {}
        """The leases of generations that this process has claimed, and reads before it starts a job for them."""
        self._checkpoints = Checkpoints(database, log, process, config.lease_seconds)
        self._background: list[asyncio.Task[None]] = []
        self._quiet_until = 0.0
        self._swept = False
        self.draining = False
        self._endings = Notifier()
        self._finalizer = GenerationFinalizer(
            database,
            log,
            signals,
            services.titles,
            process=process,
            config=config,
            claimed=self._note_claimed,
            is_draining=lambda: self.draining,
        )
        self._writer = GenerationLoop(
            database,
            log,
            services,
            process=process,
            config=config,
            changed=lambda owner: signals.send(CHANGED, owner),
        )
        signals.on(STOP, self._stop_local)
        signals.on(ENDED, self._endings.notify)

    @property
    def idle(self) -> bool:
        """Whether this process runs no generation."""
        return not self._jobs

    @property
    def running(self) -> int:
        """The number of generations that this process runs."""
        return len(self._jobs)

    @property
    def read_delay(self) -> float:
        """The seconds of backpressure between two reads of an answer, because the event loop is late."""
        return self._claude.backpressure.delay

    @property
    def bounds(self) -> Bounds:
        """The limits of tools."""
        return self._config.bounds

    @property
    def holder(self) -> UUID:
        """The id of this process, which holds the leases of the generations it starts."""
        return self._process

    def lease_end(self) -> datetime:
        """Return when a lease that is written to a row now expires."""
        return self._config.lease_end()

    def start(self, generation: Generation, work: GenerationInput, owner: Owner) -> None:
        """Start a generation whose row is committed and running, and whose holder is this process."""
        lease = Lease(generation.lease_until)
        self._log.open(generation.id, lease)
        self._run(ActiveGeneration(AnswerAccumulator(generation.id), lease, work, owner, allowance=generation.reserved))

    async def resume(self, generation_id: UUID) -> None:
        """Resume a generation that waited for tools and was just claimed by this process."""
        await self._take_over(generation_id)

    async def stop(self, generation_id: UUID) -> None:
        """Stop a generation in whichever process it runs, and wait until it is saved. Has no effect on an ended one."""
        active = self._jobs.get(generation_id)
        if active is not None:
            active.end(Ending.STOPPED)
            await asyncio.wait([active.finalizing], timeout=STOP_SECONDS)
            if not (active.suspended or active.lost):
                return
        async with self._database.write() as session:
            await leases.request_stop(session, generation_id)
            claimed = await leases.claim(session, generation_id, self._process, self.lease_end())
        if claimed:
            await self._take_over(generation_id)
        else:
            self._signals.send(STOP, generation_id)
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_LEASES * self._config.lease_seconds):
                await self._wait_for_end(generation_id)

    async def begin(self) -> None:
        """Start the background tasks, without waiting for the first sweep: a row may be broken."""
        sweep = run_periodically(self._config.lease_seconds / 3, self.sweep, at_once=True)
        self._background = [
            asyncio.create_task(run_periodically(CHECKPOINT_SECONDS, self._checkpoint), name="checkpoints"),
            asyncio.create_task(self._claude.backpressure.watch(), name="backpressure"),
            asyncio.create_task(sweep, name="sweeper"),
        ]

    async def sweep(self) -> None:
        """Take over generations that lost their process: resume those that can continue, and end the others."""
        if self.draining or time.monotonic() < self._quiet_until:
            return
        everything = self._config.alone and not self._swept
        try:
            async with self._database.write() as session:
                # The checkpoint renews the leases of this process's own generations, or ends the jobs that lost theirs.
                local_ids, lease_until = [*self._jobs, *self._claimed], self.lease_end()
                claimed = await leases.claim_lapsed(
                    session, self._process, lease_until, local_ids, everything=everything
                )
        except DATABASE_ERRORS:
            # Processes that could not renew because the database was unavailable get the duration of a lease to do so.
            self._quiet_until = time.monotonic() + self._config.lease_seconds
            raise
        self._swept = True
        self._note_claimed(claimed)
        for generation_id in claimed:
            logger.info("Taking over generation %s", generation_id)
            await self._take_over(generation_id, lapsed=True)
        await CHANGES.attempt(now().date(), self._trim_changes)

    async def drain(self, grace: float) -> None:
        """Start no more generations, and wait up to `grace` seconds for the running ones."""
        self.draining = True
        if self._jobs and grace > 0:
            await asyncio.wait([active.finalizing for active in self._jobs.values()], timeout=grace)

    async def close(self) -> None:
        """Interrupt all running generations, and wait until they are saved."""
        self.draining = True
        for active in self._jobs.values():
            active.end(Ending.INTERRUPTED)
        if self._jobs:
            await asyncio.wait([active.finalizing for active in self._jobs.values()])
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    def _run(self, active: ActiveGeneration) -> None:
        active.saved = active.answer.sequence
        self._jobs[active.generation_id] = active
        context = copy_context() if active.work is not None else Context()  # a takeover belongs to no request
        context.run(lift_read_limit)  # a generation outlives the request that started it
        active.writing = asyncio.create_task(self._writer.write(active), context=context)
        active.finalizing = asyncio.create_task(self._finalize(active), context=context.copy())

    def _stop_local(self, generation_id: UUID) -> None:
        active = self._jobs.get(generation_id)
        if active is not None:
            active.end(Ending.STOPPED)

    async def _checkpoint(self) -> None:
        if self._jobs or self._claimed:
            await self._checkpoints.save(list(self._jobs.values()), dict(self._claimed))

    async def _finalize(self, active: ActiveGeneration) -> None:
        following = await self._finalizer.finalize(active)
        if self._jobs.get(active.generation_id) is active:
            # A suspended generation may have been resumed in the meantime, and have another job.
            del self._jobs[active.generation_id]
        for generation_id in following:
            await self._take_over(generation_id)

    async def _trim_changes(self) -> None:
        async with self._database.write() as session:
            await changes.trim(session)

    def _note_claimed(self, generation_ids: Sequence[UUID]) -> None:
        # Only the rows have the expiry. Until they are read, which may take long, the checkpoint renews these leases.
        self._claimed.update({generation_id: Lease(None) for generation_id in generation_ids})

    async def _take_over(self, generation_id: UUID, *, lapsed: bool = False) -> None:
        """Resume a generation that was just claimed; if it cannot be resumed, it ends as failed."""
        self._note_claimed([generation_id])
        try:
            await self._resume_or_give_up(generation_id, lapsed=lapsed)
        finally:
            self._claimed.pop(generation_id, None)

    async def _resume_or_give_up(self, generation_id: UUID, *, lapsed: bool) -> None:
        if await TAKE_OVERS.attempt(generation_id, lambda: self._restart_job(generation_id, lapsed=lapsed)):
            return
        active = self._jobs.get(generation_id)
        if active is not None:
            active.end(Ending.INTERRUPTED)
        else:
            # If the database is unavailable, the lease lapses, and a sweep claims the generation again.
            await self._finalizer.give_up(generation_id, NOT_RESUMED)

    async def _restart_job(self, generation_id: UUID, *, lapsed: bool) -> bool:
        await CLAIMED.reach(generation_id)
        lost_generation = await retry_while_unavailable(
            self._database, lambda: find_lost(self._database, generation_id), TAKE_OVER_SECONDS
        )
        if lost_generation is None or lost_generation.generation.holder != self._process:
            return True
        if lapsed and lost_generation.generation.tools_expire_at is None:
            # A generation whose tool results are overdue has not lost its process.
            self._config.observer.on_takeover()
        lease = self._claimed[generation_id] = Lease(lost_generation.generation.lease_until)
        recovered = await recover_answer(self._log, lost_generation, lease)
        await READ.reach(generation_id)
        if not lease.holds:
            logger.warning("The lease of generation %s has lapsed before it could be taken over", generation_id)
            return True
        # Nothing is awaited from here on: a lease that is held now is held when the job starts.
        if recovered.events is not None:
            self._log.open(generation_id, lease, recovered.events)
        active = ActiveGeneration(recovered.answer, lease)
        if active.answer.content:
            active.model = lost_generation.generation.model
        elif active.answer.usage:
            active.failed.append(Attempt(usage=active.answer.usage))
            active.answer.usage = {}
        self._run(active)
        if (ending := ending_of(lost_generation, recovered)) is not None:
            active.end(ending)
        return True

    async def _wait_for_end(self, generation_id: UUID) -> None:
        while True:
            notification = self._endings.subscribe(generation_id)
            try:
                if not await self._is_unfinished(generation_id):
                    return
                await asyncio.wait([notification], timeout=LOOK_AGAIN)
            finally:
                self._endings.unsubscribe(generation_id, notification)

    async def _is_unfinished(self, generation_id: UUID) -> bool:
        """Whether a generation has not ended yet; if this process runs it, wait for its end first."""
        active = self._jobs.get(generation_id)
        if active is not None:
            await asyncio.wait([active.finalizing])
        async with self._database.read() as session:
            return await leases.status_of(session, generation_id) in UNFINISHED
