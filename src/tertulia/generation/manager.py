"""Runs generations: one task writes each answer, whoever listens or leaves.

The order that matters: a task starts only for a committed row; the answer is saved before the terminal event is
appended; there is exactly one terminal event, whatever happens. A process writes only what it holds the lease of.
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
from tertulia.generation.finalizer import CHANGED, ENDED, Settler
from tertulia.generation.input import GenerationInput
from tertulia.generation.loop import GenerationLoop
from tertulia.generation.recovery import ending_of, find_left, recover_answer
from tertulia.generation.retry import retry_while_unavailable, run_periodically
from tertulia.generation.state import ActiveGeneration, Ending, Owner
from tertulia.isolation import ItemLoop
from tertulia.streams.lease import Lease
from tertulia.streams.log import EventLog, Signals
from tertulia.streams.notifier import Notifier
from tertulia.tools.execution import Bounds

CHECKPOINT_SECONDS = 1.0
"""What a crash can cost of a text that nobody has seen."""
LOOK_AGAIN = 0.5
"""Seconds after which somebody who waits for another process's answer looks at its row."""
STOP = "stop"
STOP_SECONDS, STOP_LEASES = 8.0, 3.0
"""How long a stop waits for an answer that is written here; and elsewhere, in the time that a lease lasts."""
TAKE_OVERS, CHANGES = ItemLoop("takeover"), ItemLoop("changes.trim")
CLAIMED, READ = Failpoint("takeover.claimed"), Failpoint("takeover.read")
TAKE_OVER_SECONDS = 2.0
"""How long a database that fails is asked again for an answer that is taken over; others wait behind it."""

logger = logging.getLogger("tertulia.generator")


class GenerationManager:
    """Starts, stops, settles and takes over generations, as one of any number of processes."""

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
        """Take the parts it joins, and this process's name."""
        self._database = database
        self._log = log
        self._signals = signals
        self._claude = services.claude
        self._process = process
        self._config = config
        self._jobs: dict[UUID, ActiveGeneration] = {}
        self._claimed: dict[UUID, Lease] = {}
        """What this process holds, and reads before it writes it."""
        self._checkpoints = Checkpoints(database, log, process, config.lease_seconds)
        self._background: list[asyncio.Task[None]] = []
        self._quiet_until = 0.0
        self._swept = False
        self.draining = False
        self._endings = Notifier()
        self._settler = Settler(
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
        signals.on(STOP, self._stop_mine)
        signals.on(ENDED, self._endings.notify)

    @property
    def idle(self) -> bool:
        """Whether nothing is written here."""
        return not self._jobs

    @property
    def running(self) -> int:
        """How many answers are written here."""
        return len(self._jobs)

    @property
    def rest(self) -> float:
        """How many seconds answers rest between tokens, because the event loop is late."""
        return self._claude.pace.pause

    @property
    def bounds(self) -> Bounds:
        """What tools may take."""
        return self._config.bounds

    @property
    def holder(self) -> UUID:
        """Who holds what is started here."""
        return self._process

    def lease_end(self) -> datetime:
        """Return until when a lease holds that is written to a row now."""
        return self._config.lease_end()

    def start(self, generation: Generation, work: GenerationInput, owner: Owner) -> None:
        """Begin to write an answer whose row is committed, is running, and names this process as its holder."""
        lease = Lease(generation.lease_until)
        self._log.open(generation.id, lease)
        self._run(ActiveGeneration(AnswerAccumulator(generation.id), lease, work, owner, allowance=generation.reserved))

    async def resume(self, generation_id: UUID) -> None:
        """Go on with an answer that waited for tools, and was just taken by this process."""
        await self._take_over(generation_id)

    async def stop(self, generation_id: UUID) -> None:
        """Stop an answer wherever it runs, and wait until it is saved. An ended one stays as it is."""
        active = self._jobs.get(generation_id)
        if active is not None:
            active.end(Ending.STOPPED)
            await asyncio.wait([active.settling], timeout=STOP_SECONDS)
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
        """Begin to take over what other processes have left. Nothing of it is waited for: a row may be broken."""
        sweep = run_periodically(self._config.lease_seconds / 3, self.sweep, at_once=True)
        self._background = [
            asyncio.create_task(run_periodically(CHECKPOINT_SECONDS, self._checkpoint), name="checkpoints"),
            asyncio.create_task(self._claude.pace.watch(), name="pace"),
            asyncio.create_task(sweep, name="sweeper"),
        ]

    async def sweep(self) -> None:
        """Take over what lost its process: run what had written nothing, end the rest, text kept."""
        if self.draining or time.monotonic() < self._quiet_until:
            return
        everything = self._config.alone and not self._swept
        try:
            async with self._database.write() as session:
                # What this process writes, or is about to, the checkpoint renews, or finds that it is lost.
                own, until = [*self._jobs, *self._claimed], self.lease_end()
                found = await leases.claim_lapsed(session, self._process, until, own, everything=everything)
        except DATABASE_ERRORS:
            # Who could not renew because the database was away gets the time of a lease to do so.
            self._quiet_until = time.monotonic() + self._config.lease_seconds
            raise
        self._swept = True
        self._note_claimed(found)
        for generation_id in found:
            logger.info("Taking over generation %s", generation_id)
            await self._take_over(generation_id, lapsed=True)
        await CHANGES.attempt(now().date(), self._trim_changes)

    async def drain(self, grace: float) -> None:
        """Begin nothing new, and let what runs end within `grace` seconds."""
        self.draining = True
        if self._jobs and grace > 0:
            await asyncio.wait([active.settling for active in self._jobs.values()], timeout=grace)

    async def close(self) -> None:
        """Interrupt all that runs, and wait until it is saved."""
        self.draining = True
        for active in self._jobs.values():
            active.end(Ending.INTERRUPTED)
        if self._jobs:
            await asyncio.wait([active.settling for active in self._jobs.values()])
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    def _run(self, active: ActiveGeneration) -> None:
        active.saved = active.answer.sequence
        self._jobs[active.generation_id] = active
        context = copy_context() if active.work is not None else Context()  # what is taken over is of no request of now
        context.run(lift_read_limit)  # an answer goes on after the request that began it
        active.writing = asyncio.create_task(self._writer.write(active), context=context)
        active.settling = asyncio.create_task(self._settle(active), context=context.copy())

    def _stop_mine(self, generation_id: UUID) -> None:
        active = self._jobs.get(generation_id)
        if active is not None:
            active.end(Ending.STOPPED)

    async def _checkpoint(self) -> None:
        if self._jobs or self._claimed:
            await self._checkpoints.save(list(self._jobs.values()), dict(self._claimed))

    async def _settle(self, active: ActiveGeneration) -> None:
        following = await self._settler.settle(active)
        if self._jobs.get(active.generation_id) is active:
            # A suspended answer may have been resumed in the meantime, and have another job.
            del self._jobs[active.generation_id]
        for generation_id in following:
            await self._take_over(generation_id)

    async def _trim_changes(self) -> None:
        async with self._database.write() as session:
            await changes.trim(session)

    def _note_claimed(self, generation_ids: Sequence[UUID]) -> None:
        # Their rows say how long they are held. The checkpoint renews them until they are read, which may take long.
        self._claimed.update({generation_id: Lease(None) for generation_id in generation_ids})

    async def _take_over(self, generation_id: UUID, *, lapsed: bool = False) -> None:
        """Go on with a generation that was just claimed; one that cannot be gone on with ends as failed."""
        self._note_claimed([generation_id])
        try:
            await self._resume_or_give_up(generation_id, lapsed=lapsed)
        finally:
            self._claimed.pop(generation_id, None)

    async def _resume_or_give_up(self, generation_id: UUID, *, lapsed: bool) -> None:
        if await TAKE_OVERS.attempt(generation_id, lambda: self._go_on(generation_id, lapsed=lapsed)):
            return
        active = self._jobs.get(generation_id)
        if active is not None:
            active.end(Ending.INTERRUPTED)
        else:
            # Where the database is away, the lease lapses, and a sweep finds the generation again.
            await self._settler.give_up(generation_id, NOT_RESUMED)

    async def _go_on(self, generation_id: UUID, *, lapsed: bool) -> bool:
        await CLAIMED.reach(generation_id)
        left = await retry_while_unavailable(
            self._database, lambda: find_left(self._database, generation_id), TAKE_OVER_SECONDS
        )
        if left is None or left.generation.holder != self._process:
            return True
        if lapsed and left.generation.tools_expire_at is None:
            # What waited for results of tools for too long has lost no process.
            self._config.watch.taken_over()
        lease = self._claimed[generation_id] = Lease(left.generation.lease_until)
        recovered = await recover_answer(self._log, left, lease)
        await READ.reach(generation_id)
        if not lease.holds:
            logger.warning("The lease of generation %s has lapsed before it could be taken over", generation_id)
            return True
        # Nothing is awaited from here on: what the lease covers now, it covers when the job begins.
        if recovered.events is not None:
            self._log.open(generation_id, lease, recovered.events)
        active = ActiveGeneration(recovered.answer, lease)
        if active.answer.content:
            active.model = left.generation.model
        elif active.answer.usage:
            active.failed.append(Attempt(usage=active.answer.usage))
            active.answer.usage = {}
        self._run(active)
        if (ending := ending_of(left, recovered)) is not None:
            active.end(ending)
        return True

    async def _wait_for_end(self, generation_id: UUID) -> None:
        while True:
            notification = self._endings.listen(generation_id)
            try:
                if not await self._goes_on(generation_id):
                    return
                await asyncio.wait([notification], timeout=LOOK_AGAIN)
            finally:
                self._endings.leave(generation_id, notification)

    async def _goes_on(self, generation_id: UUID) -> bool:
        """Say whether a generation has not ended yet; wait for it where it is written here."""
        active = self._jobs.get(generation_id)
        if active is not None:
            await asyncio.wait([active.settling])
        async with self._database.read() as session:
            return await leases.status_of(session, generation_id) in UNFINISHED
