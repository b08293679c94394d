"""Writing one answer: what Claude says, round by round, into its log."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from enum import Enum, auto
from functools import partial
from uuid import UUID

from tertulia.billing.budget import EXCEEDED
from tertulia.claude.errors import StreamError
from tertulia.claude.output_schema import split_before_stops
from tertulia.claude.tracing import AGENT, QUIET, fail, kind_of, tracer, used, written_here
from tertulia.db.database import Database
from tertulia.db.tables import now
from tertulia.failpoints import Failpoint
from tertulia.generation.accumulator import Answer
from tertulia.generation.config import Terms, Upstream
from tertulia.generation.input import Work
from tertulia.generation.recovery import TakenUp, take_up
from tertulia.generation.request import AskingForAnswer
from tertulia.generation.retry import patiently
from tertulia.generation.state import Job, Suspended
from tertulia.generation.tool_rounds import Rounds
from tertulia.json import Json
from tertulia.streams.events import GenerationEvent, GenerationStarted
from tertulia.streams.log import EventLog
from tertulia.tools.json_schema import answer_problem

CALLED, PAUSED = "tool_use", "pause_turn"
"""Reasons to stop behind which there is another round."""
MANY_TURNS = 1_000
"""A request of more turns is built in a thread: 10,000 of them would hold the event loop for a tenth of a second."""
ASKING, HEARD = Failpoint("round.asking"), Failpoint("round.heard")
TAKE_UP, TAKE = Failpoint("writer.take_up"), Failpoint("writer.take")


class Step(Enum):
    """What the writer of an answer does next."""

    ASK_CLAUDE = auto()
    END_ROUND = auto()
    """Run the tools that Claude has called, and record their results."""


class Writer:
    """Writes the answers of this process."""

    def __init__(
        self,
        database: Database,
        log: EventLog,
        upstream: Upstream,
        *,
        process: UUID,
        terms: Terms,
        changed: Callable[[UUID], None],
    ) -> None:
        """Take the parts, this process's name, and whom to tell of changes."""
        self._database = database
        self._log = log
        self._upstream = upstream
        self._process = process
        self._terms = terms
        self._changed = changed
        self._rounds = Rounds(database, log, (upstream.files, upstream.models), process=process, terms=terms)

    async def write(self, job: Job) -> None:
        """Write an answer to its end; what cuts it short is raised."""
        with _answering(job):
            await self._write(job)

    async def _write(self, job: Job) -> None:
        await TAKE_UP.reach(job.generation_id)
        work, asking = await self._asking(job)
        answer, bounds = job.answer, self._terms.bounds
        if answer.sequence == 0:
            self._log.append(job.generation_id, [GenerationStarted(job.generation_id, answer.next_sequence())])
        async with asyncio.timeout(self._upstream.claude.deadlines.answer):
            # A recovered answer that has content was left at the end of a round.
            step = Step.END_ROUND if answer.content else Step.ASK_CLAUDE
            requests, is_last_round = 0, False
            while True:
                match step:
                    case Step.ASK_CLAUDE:
                        await self._hear(job, asking)
                        requests += 1
                        if not _continues(answer, work):
                            return
                        step = Step.END_ROUND
                    case Step.END_ROUND:
                        await self._rounds.end(job, work)
                        if is_last_round:
                            return
                        is_last_round = bounds.are_reached(answer.rounds, answer.calls) or requests > bounds.rounds
                        asking.go_on(answer.content, container=answer.container, last=is_last_round)
                        step = Step.ASK_CLAUDE

    async def _hear(self, job: Job, asking: AskingForAnswer) -> None:
        """Ask Claude, and take what comes, to the end of a round."""
        await ASKING.reach(job.generation_id)
        # Whoever has taken the answer over asks Claude too: nobody pays for a round twice.
        await job.may_write()
        async for events in self._upstream.claude.stream(asking, job.failed):
            for part in [events] if job.answer.schema is None else split_before_stops(events):
                await job.answer.check_json(part[0], answer_problem)
                await job.may_write()
                HEARD.hit(job.generation_id)
                self._take(job, part)
            self._watch_cost(job)

    def _watch_cost(self, job: Job) -> None:
        """Break off what costs more than was reserved for it."""
        if job.allowance is not None:
            answer = job.answer
            more = {"cache_write_1h_tokens": answer.written_for_an_hour, "web_searches": answer.web_searches}
            calls = [answer.billed() | more, *(attempt.usage for attempt in job.failed)]
            if sum(self._terms.prices.amount(job.model or "", used) or 0 for used in calls) > job.allowance:
                raise StreamError(EXCEEDED)

    def _take(self, job: Job, events: Sequence[Json]) -> None:
        """Show what came together together; also what stands before one that makes no sense."""
        ours: list[GenerationEvent] = []
        TAKE.hit(job.generation_id)
        try:
            job.answer.take(events, ours)
        finally:
            if ours:
                job.first_token_at = job.first_token_at or now()
                self._log.append(job.generation_id, ours)

    async def _asking(self, job: Job) -> tuple[Work, AskingForAnswer]:
        work, job.work = job.work, None
        if work is None:
            found = await patiently(self._database, self._taking_up(job))
            work, job.allowance, job.owner = found.work, found.allowance, found.owner
            self._changed(found.owner.id)
        job.message_id = work.message_id
        model = await self._upstream.models.get(work.model)
        job.model, job.answer.schema = work.model, work.options.get("output_schema")
        ask = partial(work.asking, model, self._upstream.files, caching=self._terms.caching)
        job.asking = ask() if len(work.turns) <= MANY_TURNS else await asyncio.to_thread(ask)
        return work, job.asking

    def _taking_up(self, job: Job) -> Callable[[], Awaitable[TakenUp]]:
        parts = (self._terms.budget, self._upstream.models, self._upstream.toolbox)
        return lambda: take_up(self._database, job, self._process, self._terms.lease_end(), parts)


def _continues(answer: Answer, work: Work) -> bool:
    """Return whether Claude has called tools, or has paused, so that another request follows."""
    # If Claude was told of no tools, it cannot have called any.
    has_called = answer.stop_reason == CALLED and answer.has_calls and bool(work.tools.definitions)
    return has_called or answer.stop_reason == PAUSED


@contextmanager
def _answering(job: Job) -> Generator[None]:
    """Open the span of an answer: requests to Claude, calls of tools and transactions are its parts."""
    written_here.set(job.generation_id)
    with tracer.start_as_current_span(f"invoke_agent {AGENT}", **QUIET) as span:
        ended = "completed"
        try:
            yield
        except asyncio.CancelledError:
            ended = "interrupted" if job.ending is None else job.ending.name.lower()
            raise
        except Suspended:
            ended = "awaiting_tool_results"
            raise
        except Exception as error:
            ended = "failed"
            fail(span, kind_of(error))
            raise
        finally:
            if span.is_recording():
                span.set_attributes({**_said_of(job), "tertulia.generation.end": ended})


def _said_of(job: Job) -> dict[str, str | int]:
    said: dict[str, str | int] = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": AGENT,
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": job.model or "",
        "tertulia.generation.id": str(job.generation_id),
        "tertulia.rounds": job.answer.rounds,
        **used(job.answer.total()),
    }
    if job.owner is not None:
        said["gen_ai.conversation.id"] = str(job.owner.conversation_id)
    return said
