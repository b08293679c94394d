"""Writes an answer in rounds, and appends its events to the generation's log.

A round is a request to Claude, its response, and the calls of tools in that response.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial
from uuid import UUID

from tertulia.attachments.generated_files import Answer
from tertulia.billing.budget import EXCEEDED
from tertulia.billing.prices import terms_of
from tertulia.claude.errors import (
    REFUSED,
    BrokenStream,
    ErrorCode,
    GenerationError,
    StreamError,
    describe,
    interruption_by,
    request_errors,
    unavailability_by,
)
from tertulia.claude.models import Model
from tertulia.claude.output_schema import ends_block, split_before_stops
from tertulia.claude.parser import REFUSAL
from tertulia.claude.providers import Provider
from tertulia.claude.token_counts import TokenCounter
from tertulia.claude.tracing import AGENT, QUIET, fail, kind_of, traceparent, tracer, usage_attributes, written_here
from tertulia.db.database import Database
from tertulia.db.tables import now
from tertulia.failpoints import Failpoint
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.generation.answer_lines import log_round
from tertulia.generation.config import EngineConfig, EngineServices
from tertulia.generation.continuation import Continuations
from tertulia.generation.input import GenerationInput
from tertulia.generation.prompt_measurement import PromptMeasurer
from tertulia.generation.recovery import StartedGeneration, start_generation
from tertulia.generation.request import Features, MessagesRequest
from tertulia.generation.retry import retry_while_unavailable
from tertulia.generation.state import ActiveGeneration, Suspended
from tertulia.generation.tool_rounds import Rounds
from tertulia.json import Json
from tertulia.streams.events import GenerationEvent, GenerationStarted
from tertulia.streams.log import EventLog
from tertulia.text_filters import TextStream
from tertulia.threads import offload
from tertulia.tools.json_schema import answer_problem

CALLED, PAUSED = "tool_use", "pause_turn"
"""The stop reasons after which another round follows."""
JOIN_SECONDS = 2.0
"""The longest time for which the beginning of a continuation is held back, to find out what it repeats."""
ASKING, HEARD = Failpoint("round.asking"), Failpoint("round.heard")
TAKE_UP = Failpoint("writer.take_up")

logger = logging.getLogger("tertulia.generator")


class Step(Enum):
    """The next step of a generation."""

    ASK_CLAUDE = auto()
    END_ROUND = auto()
    """Run the tools that Claude has called, and record their results."""


@dataclass(slots=True)
class Prompt:
    """The input of an answer, and the request to Claude that the server builds from it.

    `fallback` is the model that replaces both when the answer continues; None if it is the same model.
    """

    work: GenerationInput
    request: MessagesRequest
    fallback: Model | None = None


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
        """Initialize the loop of a process.

        Args:
            database: The database.
            log: The log of events.
            services: The client of Claude's API, the models, the tools and the files.
            process: The id of this process, which holds the leases.
            config: The limits of an answer.
            changed: Called with the id of an owner whose list of conversations has changed.
        """
        self._database = database
        self._log = log
        self._services = services
        self._process = process
        self._config = config
        self._changed = changed
        self._rounds = Rounds(database, log, services.files, services.models, process=process, config=config)
        self._features = {provider: Features() for provider in Provider}
        self._continuations = Continuations(database, log, self._rounds, config)
        counter = TokenCounter(services.claude)
        self._prompt_measurer = PromptMeasurer(database, counter, services.files, config.budget, process=process)

    async def write(self, active: ActiveGeneration) -> None:
        """Write an answer until it is complete.

        Raises:
            Suspended: The generation waits for tool results.
            Exception: The answer has failed. `claude.errors.request_errors` are failures of the request to Claude.
        """
        with _span_of_answer(active):
            await self._write(active)

    async def store_files(self, active: ActiveGeneration) -> None:
        """Store the files that Claude has made so far and that are not stored yet. Nothing is raised."""
        if active.owner is not None and active.message_id is not None:
            answer = Answer(active.owner.id, active.owner.conversation_id, active.message_id)
            await self._services.generated_files.store(answer, active.answer.content)

    async def _write(self, active: ActiveGeneration) -> None:
        await TAKE_UP.reach(active.generation_id)
        prompt = await self._prepare(active)
        answer, bounds = active.answer, self._config.bounds
        if answer.sequence == 0:
            self._log.append(active.generation_id, [GenerationStarted(active.generation_id, answer.next_sequence())])
        async with asyncio.timeout(self._services.claude.deadlines.answer):
            # A resumed answer that has content was interrupted after a response, before its round was recorded.
            step = Step.END_ROUND if answer.content else Step.ASK_CLAUDE
            if active.has_lost_request:
                await self._continuations.bill_lost_request(active, prompt.work)
            if active.interruption is not None:
                step = await self._continue(active, prompt, active.interruption)
            requests, is_last_round = 0, False
            while True:
                match step:
                    case Step.ASK_CLAUDE:
                        next_step = await self._ask(active, prompt)
                        if next_step is None:
                            return
                        step, requests = next_step, requests + 1
                    case Step.END_ROUND:
                        await self._rounds.end(active, prompt.work)
                        if is_last_round or active.steered_by is not None:
                            return
                        # `answer.rounds` counts only rounds with tool results. Claude can also pause without any.
                        is_last_round = bounds.are_reached(answer.rounds, answer.calls) or requests > bounds.rounds
                        prompt.request.add_round(
                            answer.original_content, container=answer.container, last=is_last_round
                        )
                        prompt.request.previous_response = answer.response_id
                        step = Step.ASK_CLAUDE

    async def _ask(self, active: ActiveGeneration, prompt: Prompt) -> Step | None:
        """Ask Claude, and process the response. Return the next step; None if the answer is complete."""
        answer = active.answer
        try:
            await self._receive_round(active, prompt.request)
        except request_errors() as failure:
            if answer.stop_reason == REFUSAL:
                code = describe(failure).code.value
                logger.warning("Generation %s was refused, and its fallback fails: %s", active.generation_id, code)
                return None
            return await self._continue_after(active, prompt, failure)
        log_round(active)
        await self.store_files(active)
        self._continuations.bill_declined(active)
        # If the API has asked a fallback model, it writes the next rounds too.
        active.model = answer.writer or active.model
        if answer.stop_reason == REFUSAL and self._continuations.may_continue(active):
            fallback = self._continuations.fallback_of(active.model, prompt.work.options, REFUSED)
            if fallback is not None:
                prompt.fallback = await self._services.models.get(fallback)
                return await self._continue(active, prompt, REFUSED)
        if not _continues(answer, prompt.work):
            return None
        if active.model is not None and active.model != prompt.work.model:
            await self._switch(active, prompt, await self._services.models.get(active.model))
        return Step.END_ROUND

    async def _continue_after(self, active: ActiveGeneration, prompt: Prompt, failure: Exception) -> Step:
        """Continue the answer after a request has failed. If that is not possible, raise the failure again."""
        unavailability = unavailability_by(failure)
        error = interruption_by(failure, active.answer.request_id) or unavailability
        if error is None or not self._continuations.may_continue(active):
            raise failure
        fallback = self._continuations.fallback_of(
            prompt.work.model, prompt.work.options, error, is_unavailable=unavailability is not None
        )
        has_begun = isinstance(failure, BrokenStream) or active.answer.request_id or active.answer.content
        if fallback is None and (not has_begun or error.code is ErrorCode.RATE_LIMITED):
            raise failure
        if fallback is not None:
            prompt.fallback = await self._services.models.get(fallback)
            error = replace(error, retry_after_seconds=None)
        return await self._continue(active, prompt, error)

    async def _continue(self, active: ActiveGeneration, prompt: Prompt, error: GenerationError) -> Step:
        token = (active.answer.refusal or {}).get("fallback_credit_token")
        if not await self._continuations.begin(active, prompt.work, error):
            return Step.END_ROUND
        if prompt.fallback is not None:
            is_elsewhere = prompt.fallback.provider is not self._services.models.known(prompt.work.model).provider
            messages = None if active.answer.has_text or is_elsewhere else prompt.request.first_messages
            await self._switch(active, prompt, prompt.fallback)
            prompt.fallback = None
            if error is REFUSED and token is not None and messages is not None:
                prompt.request.redeem(token, messages)
        active.model = prompt.work.model
        self._log.append(active.generation_id, [active.answer.begin_attempt(error.code)])
        self._config.observer.on_continue(error.code.value)
        prompt.request.continue_answer(active.answer.original_content)
        await self._continuations.wait(active, error)
        return Step.ASK_CLAUDE

    async def _receive_round(self, active: ActiveGeneration, request: MessagesRequest) -> None:
        """Send the request to Claude, and process its events until the end of the round."""
        await ASKING.reach(active.generation_id)
        # Check the lease first: a process that has taken over the generation sends the same request, and the round
        # would be paid for twice.
        await active.may_write()
        active.answer.fallbacks = request.fallbacks
        push = partial(self._process_events, active, request)
        async for events in self._services.claude.stream(request, active.failed, push):
            for batch in split_before_stops(events):
                await active.answer.check_json(batch[0], answer_problem)
                await active.may_write()
                self._process_events(active, request, batch, has_waited=True)

    def _process_events(
        self, active: ActiveGeneration, request: MessagesRequest, events: Sequence[Json], *, has_waited: bool = False
    ) -> bool:
        """Append the events of one read as one batch. Those before a malformed event are appended too.

        Returns:
            False if something must be awaited first: the renewal of the lease, or the validation of a block that must
            be JSON. Always True if the caller has waited for them.
        """
        answer = active.answer
        must_wait = not active.lease.seems_held or (answer.schema is not None and ends_block(events))
        if must_wait and not has_waited:
            return False
        generation_events: list[GenerationEvent] = []
        if events[0]["type"] == "message_start":
            request.note_dropped(events[0]["message"]["input_transformations"])
        if HEARD.is_armed:
            HEARD.hit(answer.generation_id)
        try:
            answer.process(events, generation_events)
        finally:
            if generation_events:
                active.first_token_at = active.first_token_at or now()
                self._log.append(answer.generation_id, generation_events)
        if answer.attempt and answer.is_joining and active.join_timer is None:
            active.join_timer = asyncio.get_running_loop().call_later(JOIN_SECONDS, self._release_join, active)
        if active.allowance is not None:
            self._check_cost(active, active.allowance)
        return True

    def _check_cost(self, active: ActiveGeneration, allowance: int) -> None:
        """Raise StreamError if the answer costs more than was reserved for it."""
        answer = active.answer
        other_usage = {"cache_write_1h_tokens": answer.cache_write_1h_tokens, "web_searches": answer.web_searches}
        calls = [answer.billed() | other_usage, *(attempt.usage for attempt in active.failed)]
        prices, model, terms = self._config.prices, active.model or "", answer.terms
        if sum(prices.amount(model, usage, terms) or 0 for usage in calls) > allowance:
            raise StreamError(EXCEEDED)

    def _release_join(self, active: ActiveGeneration) -> None:
        """Show the text that a continuation holds back to find out what it repeats."""
        active.join_timer = None
        if not active.writing.done():
            self._log.append(active.generation_id, active.answer.release_join())

    async def _prepare(self, active: ActiveGeneration) -> Prompt:
        work, active.work = active.work, None
        if work is None:
            started = await retry_while_unavailable(self._database, self._starting(active))
            work, active.allowance, active.owner = started.work, started.allowance, started.owner
            self._changed(started.owner.id)
        active.message_id = work.message_id
        model = await self._services.models.get(work.model)
        if (owner := active.owner) is not None:
            stream = TextStream(owner.id, owner.name, owner.conversation_id, active.generation_id, owner.subject)
            active.answer.new_filter = self._services.hooks.text_filters(stream)
        active.answer.schema = work.options.get("output_schema")
        active.answer.requested_terms = terms_of(work.options)
        if active.answer.sequence == 0:
            work = await self._prompt_measurer.measure(active, work, model)
        prompt = Prompt(work, await self._build_request(work, model))
        fallbacks = self._config.continuation.fallbacks_of(work.model, work.options)
        if work.pinned is not None and work.pinned in fallbacks:
            await self._switch(active, prompt, await self._services.models.get(work.pinned))
        active.model, active.request = prompt.work.model, prompt.request
        return prompt

    async def _switch(self, active: ActiveGeneration, prompt: Prompt, model: Model) -> None:
        """Replace the model of the next requests by a fallback model."""
        prompt.work = replace(prompt.work.for_fallback(model), repairs=prompt.request.repairs)
        prompt.request = active.request = await self._build_request(prompt.work, model)
        active.answer.writer = active.model = model.id

    async def _build_request(self, work: GenerationInput, model: Model) -> MessagesRequest:
        policy = self._config.continuation
        ids = policy.fallbacks_of(work.model, work.options) if policy.allows(work.options) else ()
        build = partial(
            work.messages_request,
            model,
            self._services.files,
            caching=self._config.caching,
            features=self._features[model.provider],
            fallbacks=[await self._services.models.get(id) for id in ids],
        )
        return await offload(len(work.turns), build)

    def _starting(self, active: ActiveGeneration) -> Callable[[], Awaitable[StartedGeneration]]:
        return lambda: start_generation(
            self._database,
            active,
            self._process,
            self._config.lease_end(),
            budget=self._config.budget,
            models=self._services.models,
            tool_registry=self._services.tool_registry,
        )


def _continues(answer: AnswerAccumulator, work: GenerationInput) -> bool:
    """Return whether another request follows, because Claude has called tools or has paused its turn."""
    # A request without tools can still get a response with calls, which cannot be run.
    has_called = answer.stop_reason == CALLED and answer.has_calls and bool(work.tools.definitions)
    return has_called or answer.stop_reason == PAUSED


@contextmanager
def _span_of_answer(active: ActiveGeneration) -> Generator[None]:
    """Open the span of an answer; requests to Claude, tool calls and transactions are its children."""
    written_here.set(active.generation_id)
    with tracer.start_as_current_span(f"invoke_agent {AGENT}", **QUIET) as span:
        active.trace = traceparent(span)
        outcome = "completed"
        try:
            yield
            outcome = "completed" if active.steered_by is None else "stopped"
        except asyncio.CancelledError:
            outcome = "interrupted" if active.ending is None else active.ending.name.lower()
            raise
        except Suspended:
            outcome = "awaiting_tool_results"
            raise
        except Exception as error:
            outcome = "failed"
            fail(span, kind_of(error))
            raise
        finally:
            if span.is_recording():
                span.set_attributes({**_span_attributes(active), "tertulia.generation.end": outcome})


def _span_attributes(active: ActiveGeneration) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": AGENT,
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": active.model or "",
        "tertulia.generation.id": str(active.generation_id),
        "tertulia.rounds": active.answer.rounds,
        **usage_attributes(active.answer.total()),
    }
    if active.owner is not None:
        attributes["gen_ai.conversation.id"] = str(active.owner.conversation_id)
    return attributes
