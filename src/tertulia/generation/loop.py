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
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.generation.config import EngineConfig, EngineServices
from tertulia.generation.input import GenerationInput
from tertulia.generation.recovery import TakenUp, take_up
from tertulia.generation.request import MessagesRequest
from tertulia.generation.retry import retry_while_unavailable
from tertulia.generation.state import ActiveGeneration, Suspended
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


class GenerationLoop:
    """Writes the answers of this process."""

    def __init__(
        self,
        database: Database,
        log: EventLog,
        services: EngineServices,
        *,
        process: UUID,
        config: EngineConfig,
        changed: Callable[[UUID], None],
    ) -> None:
        """Take the parts, this process's name, and whom to tell of changes."""
        self._database = database
        self._log = log
        self._services = services
        self._process = process
        self._config = config
        self._changed = changed
        self._rounds = Rounds(database, log, services.files, services.models, process=process, config=config)

    async def write(self, active: ActiveGeneration) -> None:
        """Write an answer to its end; what cuts it short is raised."""
        with _answering(active):
            await self._write(active)

    async def _write(self, active: ActiveGeneration) -> None:
        await TAKE_UP.reach(active.generation_id)
        work, asking = await self._asking(active)
        answer, bounds = active.answer, self._config.bounds
        if answer.sequence == 0:
            self._log.append(active.generation_id, [GenerationStarted(active.generation_id, answer.next_sequence())])
        async with asyncio.timeout(self._services.claude.deadlines.answer):
            # A recovered answer that has content was left at the end of a round.
            step = Step.END_ROUND if answer.content else Step.ASK_CLAUDE
            requests, is_last_round = 0, False
            while True:
                match step:
                    case Step.ASK_CLAUDE:
                        await self._hear(active, asking)
                        requests += 1
                        if not _continues(answer, work):
                            return
                        step = Step.END_ROUND
                    case Step.END_ROUND:
                        await self._rounds.end(active, work)
                        if is_last_round:
                            return
                        is_last_round = bounds.are_reached(answer.rounds, answer.calls) or requests > bounds.rounds
                        asking.go_on(answer.content, container=answer.container, last=is_last_round)
                        step = Step.ASK_CLAUDE

    async def _hear(self, active: ActiveGeneration, asking: MessagesRequest) -> None:
        """Ask Claude, and take what comes, to the end of a round."""
        await ASKING.reach(active.generation_id)
        # Whoever has taken the answer over asks Claude too: nobody pays for a round twice.
        await active.may_write()
        async for events in self._services.claude.stream(asking, active.failed):
            for part in [events] if active.answer.schema is None else split_before_stops(events):
                await active.answer.check_json(part[0], answer_problem)
                await active.may_write()
                HEARD.hit(active.generation_id)
                self._take(active, part)
            self._watch_cost(active)

    def _watch_cost(self, active: ActiveGeneration) -> None:
        """Break off what costs more than was reserved for it."""
        if active.allowance is not None:
            answer = active.answer
            more = {"cache_write_1h_tokens": answer.written_for_an_hour, "web_searches": answer.web_searches}
            calls = [answer.billed() | more, *(attempt.usage for attempt in active.failed)]
            if sum(self._config.prices.amount(active.model or "", used) or 0 for used in calls) > active.allowance:
                raise StreamError(EXCEEDED)

    def _take(self, active: ActiveGeneration, events: Sequence[Json]) -> None:
        """Show what came together together; also what stands before one that makes no sense."""
        ours: list[GenerationEvent] = []
        TAKE.hit(active.generation_id)
        try:
            active.answer.take(events, ours)
        finally:
            if ours:
                active.first_token_at = active.first_token_at or now()
                self._log.append(active.generation_id, ours)

    async def _asking(self, active: ActiveGeneration) -> tuple[GenerationInput, MessagesRequest]:
        work, active.work = active.work, None
        if work is None:
            found = await retry_while_unavailable(self._database, self._taking_up(active))
            work, active.allowance, active.owner = found.work, found.allowance, found.owner
            self._changed(found.owner.id)
        active.message_id = work.message_id
        model = await self._services.models.get(work.model)
        active.model, active.answer.schema = work.model, work.options.get("output_schema")
        ask = partial(work.asking, model, self._services.files, caching=self._config.caching)
        active.asking = ask() if len(work.turns) <= MANY_TURNS else await asyncio.to_thread(ask)
        return work, active.asking

    def _taking_up(self, active: ActiveGeneration) -> Callable[[], Awaitable[TakenUp]]:
        return lambda: take_up(
            self._database,
            active,
            self._process,
            self._config.lease_end(),
            budget=self._config.budget,
            models=self._services.models,
            tool_registry=self._services.tool_registry,
        )


def _continues(answer: AnswerAccumulator, work: GenerationInput) -> bool:
    """Return whether Claude has called tools, or has paused, so that another request follows."""
    # If Claude was told of no tools, it cannot have called any.
    has_called = answer.stop_reason == CALLED and answer.has_calls and bool(work.tools.definitions)
    return has_called or answer.stop_reason == PAUSED


@contextmanager
def _answering(active: ActiveGeneration) -> Generator[None]:
    """Open the span of an answer: requests to Claude, calls of tools and transactions are its parts."""
    written_here.set(active.generation_id)
    with tracer.start_as_current_span(f"invoke_agent {AGENT}", **QUIET) as span:
        ended = "completed"
        try:
            yield
        except asyncio.CancelledError:
            ended = "interrupted" if active.ending is None else active.ending.name.lower()
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
                span.set_attributes({**_said_of(active), "tertulia.generation.end": ended})


def _said_of(active: ActiveGeneration) -> dict[str, str | int]:
    said: dict[str, str | int] = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": AGENT,
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": active.model or "",
        "tertulia.generation.id": str(active.generation_id),
        "tertulia.rounds": active.answer.rounds,
        **used(active.answer.total()),
    }
    if active.owner is not None:
        said["gen_ai.conversation.id"] = str(active.owner.conversation_id)
    return said
