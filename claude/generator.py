"""Runs generations: one task writes each answer, whoever listens or leaves.

The order that matters: a task starts only for a committed row; the answer is saved before the terminal event is
appended; there is exactly one terminal event, whatever happens. A process writes only what it holds the lease of.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from claude.answer import Answer
from claude.asking import AskingForAnswer
from claude.beginning import TakenUp, left_behind, take_up
from claude.billing import Payer
from claude.budget import EXCEEDED
from claude.checkpoint import checkpoint
from claude.connection import Attempt
from claude.errors import INTERRUPTED, GenerationError, StreamError
from claude.finishing import save_end
from claude.job import Ending, Job, outcome, terminal
from claude.patience import forever, patiently
from claude.terms import Terms, Upstream
from claude.work import Work
from db import changes, generations, leases
from db.database import Database
from db.errors import DATABASE_ERRORS
from db.tables import UNFINISHED, Generation, Json, Status, now
from streams.bells import Bells
from streams.events import GenerationEvent, GenerationFailed, GenerationStarted, TerminalEvent
from streams.log import EventLog, Signals

CHECKPOINT_SECONDS = 1.0
"""What a crash can cost of a text that nobody has seen."""
LOOK_AGAIN = 0.5
"""Seconds after which somebody who waits for another process's answer looks at its row."""
FINISHING_AT_ONCE = 8
"""Ends that are saved side by side: callers find connections to the database also when a thousand answers end."""
STOP = "stop"
ENDED = "ended"
CHANGED = "changed"

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
        self._models = upstream.models
        self._files = upstream.files
        self._titles = upstream.titles
        self._process = process
        self._terms = terms
        self._jobs: dict[UUID, Job] = {}
        self._background: list[asyncio.Task[None]] = []
        self._quiet_until = 0.0
        self.draining = False
        self._endings = Bells()
        self._finishing = asyncio.Semaphore(FINISHING_AT_ONCE)
        signals.on(STOP, self._stop_mine)
        signals.on(ENDED, self._endings.ring)

    @property
    def idle(self) -> bool:
        """Whether nothing is written here."""
        return not self._jobs

    @property
    def holder(self) -> UUID:
        """Who holds what is started here."""
        return self._process

    def lease_end(self) -> datetime:
        """The moment until which a lease that is written now holds."""
        return now() + timedelta(seconds=self._terms.lease_seconds)

    def start(self, generation: Generation, work: Work) -> None:
        """Begin to write an answer whose row is committed, is running, and names this process as its holder."""
        self._log.open(generation.id)
        self._run(Answer(generation.id), work, generation.reserved)

    async def stop(self, generation_id: UUID) -> None:
        """Stop an answer wherever it runs, and wait until it is saved. An ended one stays as it is."""
        job = self._jobs.get(generation_id)
        if job is not None:
            job.end(Ending.STOPPED)
            await asyncio.wait([job.settling])
            return
        async with self._database.write() as session:
            await leases.request_stop(session, generation_id)
            claimed = await leases.claim(session, generation_id, self._process, self.lease_end())
        if claimed:
            await self._take_over(generation_id)
        else:
            self._signals.send(STOP, generation_id)
        await self._wait_for_end(generation_id)

    async def begin(self) -> None:
        """Take over what was left behind, and go on looking for it."""
        await self.sweep(everything=self._terms.alone)
        self._background = [
            asyncio.create_task(forever(CHECKPOINT_SECONDS, self._checkpoint), name="checkpoints"),
            asyncio.create_task(self._claude.pace.watch(), name="pace"),
            asyncio.create_task(forever(self._terms.lease_seconds / 3, self.sweep), name="sweeper"),
        ]

    async def sweep(self, *, everything: bool = False) -> None:
        """Take over what lost its process: run what had written nothing, end the rest, text kept."""
        if self.draining or time.monotonic() < self._quiet_until:
            return
        try:
            async with self._database.write() as session:
                found = await leases.claim_lapsed(session, self._process, self.lease_end(), everything=everything)
                await changes.trim(session)
        except DATABASE_ERRORS:
            # Who could not renew because the database was away gets the time of a lease to do so.
            self._quiet_until = time.monotonic() + self._terms.lease_seconds
            raise
        for generation_id in found:
            if generation_id not in self._jobs:
                logger.info("Taking over generation %s", generation_id)
                await self._take_over(generation_id)

    async def drain(self, grace: float) -> None:
        """Begin nothing new, and let what runs end within `grace` seconds."""
        self.draining = True
        if self._jobs and grace > 0:
            await asyncio.wait([job.settling for job in self._jobs.values()], timeout=grace)

    async def close(self) -> None:
        """Interrupt all that runs, and wait until it is saved."""
        self.draining = True
        jobs = list(self._jobs.values())
        for job in jobs:
            job.end(Ending.INTERRUPTED)
        if jobs:
            await asyncio.wait([job.settling for job in jobs])
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    def _run(self, answer: Answer, work: Work | None = None, allowance: int | None = None) -> Job:
        held_until = time.monotonic() + self._terms.lease_seconds
        job = Job(answer, held_until, work, saved=answer.sequence, allowance=allowance)
        self._jobs[answer.generation_id] = job
        job.writing = asyncio.create_task(self._write(job), name=f"write {answer.generation_id}")
        job.settling = asyncio.create_task(self._settle(job), name=f"settle {answer.generation_id}")
        return job

    def _stop_mine(self, generation_id: UUID) -> None:
        job = self._jobs.get(generation_id)
        if job is not None:
            job.end(Ending.STOPPED)

    async def _write(self, job: Job) -> None:
        asking = await self._asking(job)
        if job.answer.sequence == 0:
            self._log.append(job.generation_id, [GenerationStarted(job.generation_id, job.answer.next_sequence())])
        async with asyncio.timeout(self._claude.deadlines.answer):
            async for events in self._claude.stream(asking, job.failed):
                if time.monotonic() >= job.held_until:
                    # Nobody may write without a lease; the checkpoint renews it, or finds that it is lost.
                    job.renewed.clear()
                    await job.renewed.wait()
                self._take(job, events)
                self._watch_cost(job)

    def _watch_cost(self, job: Job) -> None:
        """Break off what costs more than was reserved for it."""
        if job.allowance is not None:
            answer = job.answer
            used = answer.billed() | {"cache_write_1h_tokens": answer.written_for_an_hour}
            if (self._terms.prices.amount(job.model or "", used) or 0) > job.allowance:
                raise StreamError(EXCEEDED)

    def _take(self, job: Job, events: Sequence[Json]) -> None:
        """Show what came together together; also what stands before one that makes no sense."""
        ours: list[GenerationEvent] = []
        try:
            job.answer.take(events, ours)
        finally:
            if ours:
                job.first_token_at = job.first_token_at or now()
                self._log.append(job.generation_id, ours)

    async def _asking(self, job: Job) -> AskingForAnswer:
        work, job.work = job.work, None
        if work is None:
            found = await patiently(self._taking_up(job))
            work, job.allowance = found.work, found.allowance
            self._signals.send(CHANGED, found.owner_id)
        job.message_id = work.message_id
        model = await self._models.get(work.model)
        job.model, job.answer.schema = work.model, work.options.get("output_schema")
        job.asking = work.asking(model, self._files, caching=self._terms.caching)
        return job.asking

    def _taking_up(self, job: Job) -> Callable[[], Awaitable[TakenUp]]:
        terms = self._terms
        return lambda: take_up(self._database, job, self._process, self.lease_end(), (terms.budget, self._models))

    async def _checkpoint(self) -> None:
        if self._jobs:
            await checkpoint(self._database, list(self._jobs.values()), self._process, self._terms.lease_seconds)

    async def _settle(self, job: Job) -> None:
        await asyncio.wait([job.writing])
        following: list[UUID] = []
        if job.ending is Ending.LOST:
            self._lose(job)
            return
        status, error = outcome(job)
        last = terminal(job.answer, status, error)
        try:
            kept, following = await patiently(lambda: self._finish(job, status, error))
            if not kept:
                self._lose(job)
                return
        except DATABASE_ERRORS:
            # No listener may hang because the database fails; the row is failed when its lease has lapsed.
            logger.exception("Generation %s could not be saved", job.generation_id)
            last = GenerationFailed(last.generation_id, last.sequence, INTERRUPTED.to_json())
        await self._announce(last)
        self._jobs.pop(job.generation_id, None)
        for generation_id in following:
            await self._take_over(generation_id)

    async def _finish(self, job: Job, status: Status, error: GenerationError | None) -> tuple[bool, list[UUID]]:
        """Save the end; say whether it was still ours to save, and give those that waited for it."""
        following: list[UUID] = []
        async with self._finishing, self._database.write() as session:
            place, kept = await save_end(session, job, (status, error), self._process, self._terms.prices)
            if place is None:
                return kept, []
            if not self.draining:
                following = await leases.claim_following(session, job.generation_id, self._process, self.lease_end())
        self._signals.send(CHANGED, place.owner_id)
        if status is Status.COMPLETED:
            payer = Payer(place.owner_id, place.conversation_id, job.generation_id)
            self._titles.name(payer, (self._signals, CHANGED))
        return True, following

    async def _take_over(self, generation_id: UUID) -> None:
        """Go on with a generation that was just claimed."""
        async with self._database.read() as session:
            found = await generations.unscoped(session, generation_id)
        if found is None:
            return
        generation, message, _ = found
        job = self._run(await left_behind(self._log, generation, message))
        if job.answer.content:
            job.model = generation.model
        elif job.answer.usage:
            job.failed.append(Attempt(usage=job.answer.usage))
            job.answer.usage = {}
        if generation.stop_requested:
            job.end(Ending.STOPPED)
        elif job.answer.content:
            # Claude cannot be asked to go on with its own text, and nobody's text is replaced or paid for twice.
            job.end(Ending.INTERRUPTED)

    async def _announce(self, last: TerminalEvent) -> None:
        self._log.append(last.generation_id, [last])
        await self._log.flush(last.generation_id)
        self._signals.send(ENDED, last.generation_id)

    def _lose(self, job: Job) -> None:
        logger.warning("Generation %s is another process's now", job.generation_id)
        self._jobs.pop(job.generation_id, None)
        self._log.release(job.generation_id)

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
