"""Run the tools that Claude has called, between two rounds of an answer.

Each call is recorded before it runs, and never runs twice: if a lost process may have run it, its result is an error.
While a generation waits for results or approvals of clients, no process runs it (see `Suspended`).
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from tertulia.attachments.files import Files
from tertulia.attachments.media import PictureRoom
from tertulia.billing.budget import EXCEEDED, BudgetSpent, PriceUnknown
from tertulia.billing.records import Payer
from tertulia.claude.errors import ErrorCode, GenerationError, StreamError
from tertulia.claude.models import Models
from tertulia.claude.prompt import TOOL_OUTPUT
from tertulia.db import leases, ledger, spending, steering, tool_calls
from tertulia.db.database import AsyncSession, Database
from tertulia.db.inserting import insert
from tertulia.db.leases import GenerationLocation
from tertulia.db.tables import ApiCall, Status, now
from tertulia.db.tool_calls import CallStatus, ToolCall
from tertulia.failpoints import Failpoint
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.generation.call_plan import Answered, CallPlan, PlannedCall, RunTool, Wait, plan_calls
from tertulia.generation.config import EngineConfig
from tertulia.generation.input import GenerationInput
from tertulia.generation.persistence import calls_of, repairs_of, round_amount, total_amount
from tertulia.generation.retry import retry_while_unavailable
from tertulia.generation.state import ActiveGeneration, Ending, Suspended
from tertulia.json import Json
from tertulia.streams.events import GenerationEvent
from tertulia.streams.log import EventLog
from tertulia.tools import execution
from tertulia.tools.base import Result, ToolContext
from tertulia.tools.execution import blocks_of, run_tool

WRITTEN_DOWN = Failpoint("round.written_down")
WRITE_DOWN, CALL, SETTLE = Failpoint("rounds.write_down"), Failpoint("rounds.call"), Failpoint("rounds.settle")


class Rounds:
    """Ends rounds, and runs their tool calls."""

    def __init__(
        self, database: Database, log: EventLog, files: Files, models: Models, *, process: UUID, config: EngineConfig
    ) -> None:
        """Initialize for the process with this id."""
        self._database = database
        self._log = log
        self._files = files
        self._models = models
        self._process = process
        self._config = config

    async def end(self, active: ActiveGeneration, work: GenerationInput) -> None:
        """Record the cost of a round, and run its calls. Raise Suspended if some of them wait for the client."""
        events: list[GenerationEvent] = []
        unreadable = active.answer.fix_invalid_inputs(events)
        self._append_events(active, events)
        bill = self._end_round(active)
        # If the rows were ahead of the log that other processes can read, they could not continue the log.
        await self._log.flush(active.generation_id)
        plan = await retry_while_unavailable(self._database, lambda: self._record_calls(active, work, unreadable, bill))
        await WRITTEN_DOWN.reach(active.generation_id)
        room = await self._room(active, work)
        for call in plan.calls:
            if isinstance(call.decision, Answered):
                await self._add_result(active, call.tool_use_id, call.decision.result, room)
            elif (
                isinstance(call.decision, RunTool)
                and (started_event := active.answer.begin_result(call.tool_use_id)) is not None
            ):
                self._append_events(active, [started_event])
        outcomes = await self._run_tools(active, plan.calls_to_run, room)
        await self._log.flush(active.generation_id)
        await retry_while_unavailable(self._database, lambda: self._record_results(active, work, plan, outcomes))
        if plan.waiting:
            expires_at = now() + timedelta(seconds=self._config.bounds.waiting_seconds)
            raise Suspended(plan.waiting, plan.approvals, expires_at)

    def _append_events(self, active: ActiveGeneration, events: Sequence[GenerationEvent]) -> None:
        """Append events, if there are any."""
        if events:
            active.first_token_at = active.first_token_at or now()
            self._log.append(active.generation_id, events)

    def _end_round(self, active: ActiveGeneration) -> list[ApiCall]:
        """End the round in the accumulator. Return the ledger rows of its API calls."""
        bill = self.bill_of(active, Status.COMPLETED)
        active.answer.end_round(self.amount_of(active))
        active.failed.clear()
        return bill

    def amount_of(self, active: ActiveGeneration) -> int | None:
        """Return the cost of the current round, in units; None if the price is not known."""
        return round_amount(active, self._config.prices)

    def bill_of(self, active: ActiveGeneration, outcome: Status) -> list[ApiCall]:
        """Return the ledger rows of the API calls since the last recorded one, of which the last has this outcome."""
        if active.owner is None or not (active.answer.billed() or active.answer.request_id or active.failed):
            return []
        payer = Payer(active.owner.id, active.owner.conversation_id, active.generation_id)
        return calls_of(active, payer, outcome, self._config.prices)

    async def _record_calls(
        self, active: ActiveGeneration, work: GenerationInput, unreadable: set[str], bill: Sequence[ApiCall]
    ) -> CallPlan:
        """Save the round, its API calls and its tool calls, before any of these tools runs."""
        answer = active.answer
        WRITE_DOWN.hit(active.generation_id)
        async with self._database.write() as session:
            location = await self.renew_lease(session, active)
            rows = await tool_calls.of_generation(session, active.generation_id)
            limit_reached = self._config.bounds.are_reached(answer.rounds, answer.calls)
            plan = plan_calls(answer.open_calls(), rows, work.tools, unreadable=unreadable, limit_reached=limit_reached)
            await leases.write_answer(session, location.message_id, answer.content)
            new = [_row(active, call) for call in plan.calls if call.tool_use_id not in rows]
            if bill and not await ledger.is_known(session, bill[0].id):
                await spending.record(session, bill)
            if new:
                await insert(session, new)
            await tool_calls.begin(session, active.generation_id, [id for id in plan.calls_to_run if id in rows])
        return plan

    async def _record_results(
        self, active: ActiveGeneration, work: GenerationInput, plan: CallPlan, outcomes: dict[str, CallStatus]
    ) -> None:
        """Save how tool calls ended. Unless the user's next message ends the answer, reserve another round's cost."""
        statuses = {id: answered.status for id, answered in plan.answered.items()} | outcomes
        SETTLE.hit(active.generation_id)
        async with self._database.write() as session:
            location = await self.renew_lease(session, active)
            await tool_calls.settle(session, active.generation_id, statuses)
            await leases.write_answer(session, location.message_id, active.answer.content)
            if plan.waiting:
                return
            if _accepts_message(active.answer.content):
                # The message ends this answer, and Claude reads it together with the results.
                active.steered_by = await steering.next_message(session, active.generation_id, location.message_id)
            if active.steered_by is None:
                await self.reserve(session, active, work, location)

    async def reserve(
        self, session: AsyncSession, active: ActiveGeneration, work: GenerationInput, location: GenerationLocation
    ) -> None:
        """Reserve the cost of another request; raise StreamError if the budget is used up."""
        budget = self._config.budget
        if active.allowance is not None:
            await leases.renew(session, active.generation_id, self._process, {"reserved": None})
        next_input = work.with_answer(active.answer.content)
        try:
            model = self._models.known(work.model)
            allowance = await budget.reserve(session, location.owner_id, next_input, model, location.plan)
        except (BudgetSpent, PriceUnknown):
            raise StreamError(EXCEEDED) from None
        if allowance is not None:
            await leases.renew(session, active.generation_id, self._process, {"reserved": allowance})
        active.allowance = allowance

    async def renew_lease(
        self, session: AsyncSession, active: ActiveGeneration, **columns: object
    ) -> GenerationLocation:
        """Renew the lease, and save the state of the answer and further columns of its generation.

        If the lease is lost, raise CancelledError.
        """
        location = await leases.lock_owner_of(session, active.generation_id)
        if location is None:
            raise StreamError(GenerationError(ErrorCode.NOT_FOUND, "The conversation was deleted."))
        answer = active.answer
        values = {
            "sequence": answer.sequence,
            "stop_reason": answer.stop_reason,
            "amount": total_amount(active, self._config.prices),
            **answer.total(),
            **repairs_of(active),
            **columns,
        }
        if await leases.renew(session, active.generation_id, self._process, values) is None:
            active.end(Ending.LOST)
            raise asyncio.CancelledError
        # The caller saves the content of this sequence, so the next checkpoint must not add to an earlier one.
        active.base = None
        return location

    async def _run_tools(
        self, active: ActiveGeneration, calls: Mapping[str, RunTool], room: PictureRoom
    ) -> dict[str, CallStatus]:
        """Run calls concurrently, append each result when it is available, and return the status of each call by id."""
        if not calls or active.owner is None:
            return {}
        owner, outcomes = active.owner, dict[str, CallStatus]()
        # From here on, the tools may have run, so every process must be able to read that they were started.
        await self._log.flush(active.generation_id)

        async def run_call(tool_use_id: str, call: RunTool) -> None:
            CALL.hit(active.generation_id)
            context = ToolContext(
                owner.id, owner.name, owner.conversation_id, active.generation_id, tool_use_id, owner.subject
            )
            # If another process has taken over the generation, it tells Claude that the tool may have run.
            await active.may_write()
            begun_at = time.monotonic()
            result = await run_tool(call.tool, call.input, context, self._config.bounds)
            outcome, seconds = "error" if result.is_error else "ok", time.monotonic() - begun_at
            self._config.observer.on_tool(call.tool.name, outcome, seconds, result.tokens)
            outcomes[tool_use_id] = CallStatus.FAILED if result.is_error else CallStatus.SUCCEEDED
            await self._add_result(active, tool_use_id, result, room)

        async with asyncio.TaskGroup() as group:
            for tool_use_id, call in calls.items():
                group.create_task(run_call(tool_use_id, call))
        return outcomes

    async def _room(self, active: ActiveGeneration, work: GenerationInput) -> PictureRoom:
        """Return the room that the conversation has for pictures from tools."""
        if active.owner is None:
            return PictureRoom([], 0, None, inline=False)
        owner = active.owner.id
        contents = [*(turn.blocks for turn in work.turns), active.answer.content]
        window = self._models.known(work.model).max_input_tokens
        return await retry_while_unavailable(self._database, lambda: self._files.room(owner, contents, window))

    async def _add_result(self, active: ActiveGeneration, tool_use_id: str, result: Result, room: PictureRoom) -> None:
        if active.owner is None:
            return
        owner_id, conversation_id = active.owner.id, active.owner.conversation_id
        first, *pictures = await blocks_of(tool_use_id, result, self._files, room, owner_id, conversation_id)
        await active.may_write()
        events = active.answer.finish_result(first)
        for picture in pictures:
            events += active.answer.add(picture)
        self._append_events(active, events)


def _accepts_message(content: Sequence[Json]) -> bool:
    """Return whether a user's message can follow the answer: it ends with results, and each call has its result.

    While a server tool waits for results of other tools, the API accepts nothing but results.
    """
    answered = {block.get("tool_use_id") for block in content}
    is_open = any(str(block.get("type")).endswith("tool_use") and block.get("id") not in answered for block in content)
    return not is_open and bool(content) and content[-1].get("type") in TOOL_OUTPUT


def close_calls(answer: AnswerAccumulator, ending: Ending | None) -> list[GenerationEvent]:
    """Add an error result to each call without a result, because the API requires one. Return the events."""
    error_text = execution.EXPIRED if ending is Ending.EXPIRED else execution.STOPPED
    events: list[GenerationEvent] = []
    for block in answer.open_calls().values():
        events += answer.finish_result(
            {"type": "tool_result", "tool_use_id": block["id"], "content": error_text, "is_error": True}
        )
    return events


def _row(active: ActiveGeneration, call: PlannedCall) -> ToolCall:
    if active.owner is None:
        raise ValueError(active)
    decision = call.decision
    if isinstance(decision, Answered):
        status = decision.status
    else:
        status = CallStatus.RUNNING if isinstance(decision, RunTool) else CallStatus.WAITING
    return ToolCall(
        owner_id=active.owner.id,
        conversation_id=active.owner.conversation_id,
        generation_id=active.generation_id,
        tool_use_id=call.tool_use_id,
        name=call.block["name"],
        status=status,
        asks_first=isinstance(decision, Wait) and decision.requires_approval,
        started_at=now() if status is CallStatus.RUNNING else None,
    )
