"""Runs generations: one task writes each answer, whoever listens or leaves.

The order that matters: a task starts only for a committed row; the answer is saved before the terminal event is
appended; there is exactly one terminal event, whatever happens. A process writes only what it holds the lease of.
"""

import asyncio
import logging
import time
from contextlib import suppress
from contextvars import Context, copy_context
from datetime import datetime, timedelta
from uuid import UUID

from claude.answer import Answer
from claude.beginning import find_left, is_between_rounds, left_behind
from claude.calling import Bounds
from claude.checkpoint import checkpoint
from claude.connection import Attempt
from claude.errors import NOT_RESUMED
from claude.job import Ending, Job, Owner
from claude.patience import forever, patiently
from claude.settling import CHANGED, ENDED, Settler
from claude.terms import Terms, Upstream
from claude.work import Work
from claude.writing import Writer
from db import changes, leases
from db.database import Database
from db.errors import DATABASE_ERRORS
from db.tables import UNFINISHED, Generation, now
from streams.bells import Bells
from streams.log import EventLog, Signals
from tertulia.isolation import ItemLoop

CHECKPOINT_SECONDS = 1.0
"""What a crash can cost of a text that nobody has seen."""
LOOK_AGAIN = 0.5
"""Seconds after which somebody who waits for another process's answer looks at its row."""
STOP = "stop"
STOP_SECONDS, STOP_LEASES = 8.0, 3.0
"""How long a stop waits for an answer that is written here; and elsewhere, in the time that a lease lasts."""
TAKE_OVERS, CHANGES = ItemLoop("takeover"), ItemLoop("changes.trim")
TAKE_OVER_SECONDS = 2.0
"""How long a database that fails is asked again for an answer that is taken over; others wait behind it."""

logger = logging.getLogger("tertulia.generator")


class Generator:
    """Starts, stops, settles and takes over generations, as one of any number of processes."""

    def __init__(
        self,
        database: Database,
        log: EventLog,
        signals: Signals,
        upstream: Upstream,
        *,
        process: UUID,
        terms: Terms,
    ) -> None:
        """Take the parts it joins, and this process's name."""
        self._database = database
        self._log = log
        self._signals = signals
        self._claude = upstream.claude
        self._process = process
        self._terms = terms
        self._jobs: dict[UUID, Job] = {}
        self._background: list[asyncio.Task[None]] = []
        self._quiet_until = 0.0
        self._swept = False
        self.draining = False
        self._endings = Bells()
        self._settler = Settler(
            database,
            log,
            signals,
            upstream.titles,
            process=process,
            terms=terms,
            lease_end=self.lease_end,
            is_draining=lambda: self.draining,
        )
        self._writer = Writer(
            database,
            log,
            upstream,
            process=process,
            terms=terms,
            lease_end=self.lease_end,
            changed=lambda owner: signals.send(CHANGED, owner),
        )
        signals.on(STOP, self._stop_mine)
        signals.on(ENDED, self._endings.ring)

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
        return self._terms.bounds

    @property
    def holder(self) -> UUID:
        """Who holds what is started here."""
        return self._process

    def lease_end(self) -> datetime:
        """The moment until which a lease that is written now holds."""
        return now() + timedelta(seconds=self._terms.lease_seconds)

    def start(self, generation: Generation, work: Work, owner: Owner) -> None:
        """Begin to write an answer whose row is committed, is running, and names this process as its holder."""
        self._log.open(generation.id)
        self._run(Answer(generation.id), work, owner, generation.reserved)

    async def resume(self, generation_id: UUID) -> None:
        """Go on with an answer that waited for tools, and was just taken by this process."""
        await self._take_over(generation_id)

    async def stop(self, generation_id: UUID) -> None:
        """Stop an answer wherever it runs, and wait until it is saved. An ended one stays as it is."""
        job = self._jobs.get(generation_id)
        if job is not None:
            job.end(Ending.STOPPED)
            await asyncio.wait([job.settling], timeout=STOP_SECONDS)
            if not job.suspended:
                return
        async with self._database.write() as session:
            await leases.request_stop(session, generation_id)
            claimed = await leases.claim(session, generation_id, self._process, self.lease_end())
        if claimed:
            await self._take_over(generation_id)
        else:
            self._signals.send(STOP, generation_id)
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_LEASES * self._terms.lease_seconds):
                await self._wait_for_end(generation_id)

    async def begin(self) -> None:
        """Begin to take over what other processes have left. Nothing of it is waited for: a row may be broken."""
        sweep = forever(self._terms.lease_seconds / 3, self.sweep, at_once=True)
        self._background = [
            asyncio.create_task(forever(CHECKPOINT_SECONDS, self._checkpoint), name="checkpoints"),
            asyncio.create_task(self._claude.pace.watch(), name="pace"),
            asyncio.create_task(sweep, name="sweeper"),
        ]

    async def sweep(self) -> None:
        """Take over what lost its process: run what had written nothing, end the rest, text kept."""
        if self.draining or time.monotonic() < self._quiet_until:
            return
        everything = self._terms.alone and not self._swept
        try:
            async with self._database.write() as session:
                found = await leases.claim_lapsed(session, self._process, self.lease_end(), everything=everything)
        except DATABASE_ERRORS:
            # Who could not renew because the database was away gets the time of a lease to do so.
            self._quiet_until = time.monotonic() + self._terms.lease_seconds
            raise
        self._swept = True
        for generation_id in found:
            if generation_id not in self._jobs:
                logger.info("Taking over generation %s", generation_id)
                self._terms.watch.taken_over()
                await self._take_over(generation_id)
        await CHANGES.attempt(now().date(), self._trim_changes)

    async def drain(self, grace: float) -> None:
        """Begin nothing new, and let what runs end within `grace` seconds."""
        self.draining = True
        if self._jobs and grace > 0:
            await asyncio.wait([job.settling for job in self._jobs.values()], timeout=grace)

    async def close(self) -> None:
        """Interrupt all that runs, and wait until it is saved."""
        self.draining = True
        for job in self._jobs.values():
            job.end(Ending.INTERRUPTED)
        if self._jobs:
            await asyncio.wait([job.settling for job in self._jobs.values()])
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    def _run(
        self, answer: Answer, work: Work | None = None, owner: Owner | None = None, allowance: int | None = None
    ) -> Job:
        held_until = time.monotonic() + self._terms.lease_seconds
        job = Job(answer, held_until, work, owner, saved=answer.sequence, allowance=allowance)
        self._jobs[answer.generation_id] = job
        context = copy_context() if work is not None else Context()  # what is taken over is of no request of now
        job.writing = asyncio.create_task(self._writer.write(job), context=context)
        job.settling = asyncio.create_task(self._settle(job), context=context.copy())
        return job

    def _stop_mine(self, generation_id: UUID) -> None:
        job = self._jobs.get(generation_id)
        if job is not None:
            job.end(Ending.STOPPED)

    async def _checkpoint(self) -> None:
        if self._jobs:
            await checkpoint(self._database, list(self._jobs.values()), self._process, self._terms.lease_seconds)

    async def _settle(self, job: Job) -> None:
        following = await self._settler.settle(job)
        self._jobs.pop(job.generation_id, None)
        for generation_id in following:
            await self._take_over(generation_id)

    async def _trim_changes(self) -> None:
        async with self._database.write() as session:
            await changes.trim(session)

    async def _take_over(self, generation_id: UUID) -> None:
        """Go on with a generation that was just claimed; one that cannot be gone on with ends as failed."""
        if await TAKE_OVERS.attempt(generation_id, lambda: self._go_on(generation_id)):
            return
        job = self._jobs.get(generation_id)
        if job is not None:
            job.end(Ending.INTERRUPTED)
        else:
            # Where the database is away, the lease lapses, and a sweep finds the generation again.
            await self._settler.give_up(generation_id, NOT_RESUMED)

    async def _go_on(self, generation_id: UUID) -> bool:
        left = await patiently(lambda: find_left(self._database, generation_id), TAKE_OVER_SECONDS)
        if left is None:
            return True
        generation, job = left.generation, self._run(await left_behind(self._log, left))
        if job.answer.content:
            job.model = generation.model
        elif job.answer.usage:
            job.failed.append(Attempt(usage=job.answer.usage))
            job.answer.usage = {}
        if generation.stop_requested:
            job.end(Ending.STOPPED)
        elif generation.tools_expire_at is not None and generation.tools_expire_at <= now():
            job.end(Ending.EXPIRED)
        elif job.answer.content and not is_between_rounds(job.answer, left.calls):
            # Claude cannot be asked to go on with its own text, and nobody's text is replaced or paid for twice.
            job.end(Ending.INTERRUPTED)
        return True

    async def _wait_for_end(self, generation_id: UUID) -> None:
        while True:
            bell = self._endings.listen(generation_id)
            try:
                if not await self._goes_on(generation_id):
                    return
                await asyncio.wait([bell], timeout=LOOK_AGAIN)
            finally:
                self._endings.leave(generation_id, bell)

    async def _goes_on(self, generation_id: UUID) -> bool:
        """Say whether a generation has not ended yet; wait for it where it is written here."""
        job = self._jobs.get(generation_id)
        if job is not None:
            await asyncio.wait([job.settling])
        async with self._database.read() as session:
            return await leases.status_of(session, generation_id) in UNFINISHED
