"""Run generations: one task writes each answer, whether or not any client follows it.

The order matters. A task starts only for a committed row. The answer is saved before the terminal event is appended.
There is always exactly one terminal event. A process writes only to generations whose lease it holds.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from datetime import datetime
from uuid import UUID

from tertulia.claude.backpressure import Backpressure
from tertulia.claude.errors import NOT_RESUMED, GenerationError
from tertulia.claude.rate_limits import RateLimits
from tertulia.db import changes, leases
from tertulia.db.database import Database
from tertulia.db.errors import DATABASE_ERRORS
from tertulia.db.read_limit import lift_read_limit
from tertulia.db.tables import UNFINISHED, Generation, Status, now
from tertulia.failpoints import Failpoint
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.generation.answer_lines import log_begun, log_resumed
from tertulia.generation.checkpoint import Checkpoints
from tertulia.generation.config import EngineConfig, EngineServices
from tertulia.generation.finalizer import CHANGED, ENDED, RELEASED, GenerationFinalizer
from tertulia.generation.input import GenerationInput
from tertulia.generation.loop import GenerationLoop
from tertulia.generation.recovery import (
    begun_at,
    ending_of,
    find_lost,
    has_lost_request,
    is_in_response,
    recover_answer,
)
from tertulia.generation.retry import retry_while_unavailable, run_periodically
from tertulia.generation.state import ActiveGeneration, Ending, Owner
from tertulia.isolation import ItemLoop
from tertulia.streams.lease import Lease
from tertulia.streams.log import EventLog, Signals
from tertulia.streams.notifier import Notifier
from tertulia.tools.execution import Bounds

CHECKPOINT_SECONDS = 1.0
"""The interval of checkpoints in seconds: a crash loses at most this much text, if no client has received it."""
STATUS_POLL_SECONDS = 0.5
"""The seconds between two reads of a row while waiting for the end of another process's generation."""
STOP = "stop"
STOP_SECONDS, STOP_LEASES = 8.0, 3.0
"""The time for which a stop waits: in seconds if this process runs the generation, else in lease durations."""
TAKE_OVERS, CHANGES = ItemLoop("takeover"), ItemLoop("changes.trim")
CLAIMED, READ = Failpoint("takeover.claimed"), Failpoint("takeover.read")
TAKE_OVER_SECONDS = 2.0
"""The seconds for which reading a generation that is taken over is retried. Other takeovers wait meanwhile."""

logger = logging.getLogger("tertulia.generator")


class GenerationManager:
    """Starts, stops, ends and takes over the generations of this process. Any number of processes can do so."""

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
        """Initialize for the process with the id `process`, which holds the leases of its generations.

        `signals` notifies other processes of stops, ends and changes.
        """
        self._database = database
        self._log = log
        self._signals = signals
        self._claude = services.claude
        self._process = process
        self._config = config
        self._active: dict[UUID, ActiveGeneration] = {}
        self._claimed: dict[UUID, Lease] = {}
        """The leases of generations that this process has claimed and is still reading."""
        self._checkpoints = Checkpoints(database, log, process, config.lease_seconds)
        self._background: list[asyncio.Task[None]] = []
        self._quiet_until = 0.0
        self._swept = self.draining = False
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
        self._claims, self._fetches = set[asyncio.Task[None]](), set[asyncio.Task[None]]()
        signals.on(STOP, self._stop_local)
        signals.on(RELEASED, self._claim_released)
        signals.on(ENDED, self._endings.notify)

    @property
    def idle(self) -> bool:
        """Whether this process runs no generation."""
        return not self._active

    @property
    def running(self) -> int:
        """The number of generations that this process runs."""
        return len(self._active)

    @property
    def read_delay(self) -> float:
        """The seconds between two reads of an answer while the event loop is overloaded (see `claude.backpressure`)."""
        return self._claude.backpressure.delay

    @property
    def backpressure(self) -> Backpressure:
        """Measures the load of the event loop."""
        return self._claude.backpressure

    @property
    def rate_limits(self) -> RateLimits:
        """The rate limits of the Claude account, as its API has reported them."""
        return self._claude.rate_limits

    @property
    def bounds(self) -> Bounds:
        """The limits of tool calls."""
        return self._config.bounds

    @property
    def holder(self) -> UUID:
        """The id of this process, which holds the leases of the generations it starts."""
        return self._process

    def lease_end(self) -> datetime:
        """Return the expiry of a lease that begins now."""
        return self._config.lease_end()

    def start(self, generation: Generation, work: GenerationInput, owner: Owner) -> None:
        """Start a generation. Its row must be committed, and must name this process as the holder."""
        lease = Lease(generation.lease_until)
        self._log.open(generation.id, lease)
        active = ActiveGeneration(AnswerAccumulator(generation.id), lease, work, owner, allowance=generation.reserved)
        active.may_continue = self._config.continuation.allows(generation.options)
        log_begun(generation, owner.id)
        self._run(active)

    async def resume(self, generation_id: UUID) -> None:
        """Resume a generation that has waited for tool results, and that this process has just claimed."""
        await self._take_over(generation_id)

    async def stop(self, generation_id: UUID) -> None:
        """Stop a generation, which may run in any process, and wait until its end is saved.

        The wait is limited (see STOP_SECONDS and STOP_LEASES). A generation that has ended is not changed.
        """
        active = self._active.get(generation_id)
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
        """Start the background tasks. The first sweep is not waited for, so a broken row cannot prevent the start."""
        sweep = run_periodically(self._config.lease_seconds / 3, self.sweep, at_once=True)
        self._background = [
            asyncio.create_task(run_periodically(CHECKPOINT_SECONDS, self._checkpoint), name="checkpoints"),
            asyncio.create_task(self._claude.backpressure.watch(), name="backpressure"),
            asyncio.create_task(sweep, name="sweeper"),
        ]

    async def sweep(self) -> None:
        """Claim the generations that have lost their process. Resume those that can continue, and end the others."""
        if self.draining or time.monotonic() < self._quiet_until:
            return
        everything = self._config.alone and not self._swept
        try:
            async with self._database.write() as session:
                # The checkpoint renews the leases of this process's generations, or ends those that have lost theirs.
                local_ids, lease_until = [*self._active, *self._claimed], self.lease_end()
                claimed = await leases.claim_lapsed(
                    session, self._process, lease_until, local_ids, everything=everything
                )
        except DATABASE_ERRORS:
            # No process could renew its leases while the database was unavailable. They get a lease's duration for it.
            self._quiet_until = time.monotonic() + self._config.lease_seconds
            raise
        self._swept = True
        self._note_claimed(claimed)
        for generation_id in claimed:
            logger.info("Taking over generation %s, which no process is writing", generation_id)
            await self._take_over(generation_id, lapsed=True)
        await CHANGES.attempt(now().date(), self._trim_changes)

    async def drain(self, grace: float) -> None:
        """Start no more generations, and wait up to `grace` seconds for the running ones."""
        self.draining = True
        if self._active and grace > 0:
            await asyncio.wait([active.finalizing for active in self._active.values()], timeout=grace)

    async def close(self) -> None:
        """Interrupt all running generations, and wait until they are saved. Other processes continue them."""
        self.draining = True
        for active in self._active.values():
            active.end(Ending.RELEASED if active.may_continue else Ending.INTERRUPTED)
        if self._active:
            await asyncio.wait([active.finalizing for active in self._active.values()])
        for task in (*self._background, *self._fetches):
            task.cancel()
        await asyncio.gather(*self._background, *self._fetches, *self._claims, return_exceptions=True)

    def _run(self, active: ActiveGeneration) -> None:
        active.saved = active.answer.sequence
        self._active[active.generation_id] = active
        context = copy_context() if active.work is not None else Context()  # a takeover is not part of a request
        context.run(lift_read_limit)  # a generation outlives the request that started it
        active.writing = asyncio.create_task(self._writer.write(active), context=context)
        active.finalizing = asyncio.create_task(self._finalize(active), context=context.copy())

    def _stop_local(self, generation_id: UUID) -> None:
        active = self._active.get(generation_id)
        if active is not None:
            active.end(Ending.STOPPED)

    def _claim_released(self, generation_id: UUID) -> None:
        """Claim a generation that another process has released. Otherwise, a sweep would do so a little later."""
        if not self.draining:
            task = asyncio.create_task(self._claim(generation_id), name="claim")
            self._claims.add(task)
            task.add_done_callback(self._claims.discard)

    async def _claim(self, generation_id: UUID) -> None:
        async with self._database.write() as session:
            claimed = await leases.claim(session, generation_id, self._process, self.lease_end())
        if claimed:
            await self._take_over(generation_id, lapsed=True)

    async def _checkpoint(self) -> None:
        if self._active or self._claimed:
            await self._checkpoints.save(list(self._active.values()), dict(self._claimed))

    async def _finalize(self, active: ActiveGeneration) -> None:
        following = await self._finalizer.finalize(active)
        if self._active.get(active.generation_id) is active:
            # A suspended generation may have been resumed meanwhile, and have another task.
            del self._active[active.generation_id]
        if not (active.lost or active.suspended):
            # The end does not wait for the files of an answer that was stopped or has failed.
            fetch = asyncio.create_task(self._writer.store_files(active), name="files")
            self._fetches.add(fetch)
            fetch.add_done_callback(self._fetches.discard)
        for generation_id in following:
            await self._take_over(generation_id)

    async def _trim_changes(self) -> None:
        async with self._database.write() as session:
            await changes.trim(session)

    def _note_claimed(self, generation_ids: Sequence[UUID]) -> None:
        # The expiry is only in the rows. Reading them may take long, so the checkpoint renews these leases meanwhile.
        self._claimed.update({generation_id: Lease(None) for generation_id in generation_ids})

    async def _take_over(self, generation_id: UUID, *, lapsed: bool = False) -> None:
        """Resume a generation that was just claimed. If that fails, end it as failed."""
        self._note_claimed([generation_id])
        try:
            await self._resume_or_give_up(generation_id, lapsed=lapsed)
        finally:
            self._claimed.pop(generation_id, None)

    async def _resume_or_give_up(self, generation_id: UUID, *, lapsed: bool) -> None:
        if await TAKE_OVERS.attempt(generation_id, lambda: self._restart(generation_id, lapsed=lapsed)):
            return
        active = self._active.get(generation_id)
        if active is not None:
            active.end(Ending.INTERRUPTED)
        else:
            # If the database is unavailable, the lease lapses, and a later sweep claims the generation again.
            await self._finalizer.give_up(generation_id, NOT_RESUMED)

    async def _restart(self, generation_id: UUID, *, lapsed: bool) -> bool:
        await CLAIMED.reach(generation_id)
        lost_generation = await retry_while_unavailable(
            self._database, lambda: find_lost(self._database, generation_id), TAKE_OVER_SECONDS
        )
        if lost_generation is None or lost_generation.generation.holder != self._process:
            return True
        if lapsed and lost_generation.generation.status is not Status.AWAITING_TOOL_RESULTS:
            # A generation that has waited for tool results had no process that it could lose.
            self._config.observer.on_takeover()
        lease = self._claimed[generation_id] = Lease(lost_generation.generation.lease_until)
        recovered = await recover_answer(self._log, lost_generation, lease)
        await READ.reach(generation_id)
        if not lease.holds:
            logger.warning(
                "The lease of generation %s lapsed before the generation was resumed; a later sweep claims it again",
                generation_id,
            )
            return True
        # Nothing is awaited from here on, so a lease that is held now is also held when the task starts.
        if recovered.events is not None:
            self._log.open(generation_id, lease, recovered.events)
        active = ActiveGeneration(recovered.answer, lease)
        if active.answer.content:
            active.model = lost_generation.generation.model
        active.begun_at = begun_at(lost_generation.generation)
        active.first_token_at = lost_generation.generation.first_token_at
        active.may_continue = self._config.continuation.allows(lost_generation.generation.options)
        ending = ending_of(lost_generation, recovered, self._config.continuation)
        if isinstance(ending, GenerationError):
            active.interruption = ending
        if is_in_response(lost_generation, recovered):
            active.answer.estimate_usage()
        active.has_lost_request = has_lost_request(lost_generation, recovered)
        log_resumed(lost_generation.generation, has_content=active.answer.sequence > 0)
        self._run(active)
        if isinstance(ending, Ending):
            active.end(ending)
        return True

    async def _wait_for_end(self, generation_id: UUID) -> None:
        while True:
            notification = self._endings.subscribe(generation_id)
            try:
                if not await self._is_unfinished(generation_id):
                    return
                await asyncio.wait([notification], timeout=STATUS_POLL_SECONDS)
            finally:
                self._endings.unsubscribe(generation_id, notification)

    async def _is_unfinished(self, generation_id: UUID) -> bool:
        """Return whether a generation has not ended. If this process runs it, wait for its end first."""
        active = self._active.get(generation_id)
        if active is not None:
            await asyncio.wait([active.finalizing])
        async with self._database.read() as session:
            return await leases.status_of(session, generation_id) in UNFINISHED
