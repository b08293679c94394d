"""Between two rounds of an answer: the tools that Claude has called.

Each call is written down before it is made, and never made twice: what a lost process may have carried out is told to
Claude as an error. What the client or the user has to say is waited for without a process (Suspended).
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from tertulia.attachments.files import Files
from tertulia.attachments.media import PictureRoom
from tertulia.billing.budget import EXCEEDED, BudgetSpent, PriceUnknown
from tertulia.billing.records import Payer
from tertulia.claude.errors import ErrorCode, GenerationError, StreamError
from tertulia.claude.models import Models
from tertulia.db import leases, ledger, spending, tool_calls
from tertulia.db.database import AsyncSession, Database
from tertulia.db.inserting import insert
from tertulia.db.leases import Place
from tertulia.db.tables import ApiCall, Status, now
from tertulia.db.tool_calls import CallStatus, ToolCall
from tertulia.failpoints import Failpoint
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.generation.call_plan import Answered, CallPlan, Make, PlannedCall, Wait, plan_calls
from tertulia.generation.config import EngineConfig
from tertulia.generation.input import GenerationInput
from tertulia.generation.persistence import calls_of, round_amount, total_amount
from tertulia.generation.retry import retry_while_unavailable
from tertulia.generation.state import ActiveGeneration, Ending, Suspended
from tertulia.streams.events import GenerationEvent
from tertulia.streams.log import EventLog
from tertulia.tools import execution
from tertulia.tools.base import Result, ToolContext
from tertulia.tools.execution import blocks_of, make

WRITTEN_DOWN = Failpoint("round.written_down")
WRITE_DOWN, CALL, SETTLE = Failpoint("rounds.write_down"), Failpoint("rounds.call"), Failpoint("rounds.settle")


class Rounds:
    """Ends rounds, and makes their calls."""

    def __init__(
        self, database: Database, log: EventLog, files: Files, models: Models, *, process: UUID, config: EngineConfig
    ) -> None:
        """Take the parts, and this process's name."""
        self._database = database
        self._log = log
        self._files = files
        self._models = models
        self._process = process
        self._config = config

    async def end(self, active: ActiveGeneration, work: GenerationInput) -> None:
        """Write down what a round has cost, and give all its calls their results; raise Suspended where some wait."""
        shown: list[GenerationEvent] = []
        unreadable = active.answer.mend_calls(shown)
        self.show(active, shown)
        bill = self._end_round(active)
        # What is written down must not be ahead of what others can read, or nobody could go on with the log.
        await self._log.flush(active.generation_id)
        plan = await retry_while_unavailable(self._database, lambda: self._record(active, work, unreadable, bill))
        await WRITTEN_DOWN.reach(active.generation_id)
        room = await self._room(active, work)
        for call in plan.calls:
            if isinstance(call.decision, Answered):
                await self._give(active, call.tool_use_id, call.decision.result, room)
            elif (
                isinstance(call.decision, Make) and (begun := active.answer.begin_result(call.tool_use_id)) is not None
            ):
                self.show(active, [begun])
        outcomes = await self._make_all(active, plan.made, room)
        await self._log.flush(active.generation_id)
        await retry_while_unavailable(self._database, lambda: self._settle(active, work, plan, outcomes))
        if plan.waiting:
            expires_at = now() + timedelta(seconds=self._config.bounds.waiting_seconds)
            raise Suspended(plan.waiting, plan.approvals, expires_at)

    def show(self, active: ActiveGeneration, events: Sequence[GenerationEvent]) -> None:
        """Append events, if there are any."""
        if events:
            active.first_token_at = active.first_token_at or now()
            self._log.append(active.generation_id, events)

    def _end_round(self, active: ActiveGeneration) -> list[ApiCall]:
        """Close the round's account; give the rows of its bill."""
        bill: list[ApiCall] = []
        if active.owner is not None and (active.answer.billed() or active.answer.request_id or active.failed):
            payer = Payer(active.owner.id, active.owner.conversation_id, active.generation_id)
            bill = calls_of(active, payer, Status.COMPLETED, self._config.prices)
        active.answer.end_round(round_amount(active, self._config.prices))
        active.failed.clear()
        return bill

    async def _record(
        self, active: ActiveGeneration, work: GenerationInput, unreadable: set[str], bill: Sequence[ApiCall]
    ) -> CallPlan:
        """Store the round, its bill and its calls, before any of these calls is made."""
        answer = active.answer
        WRITE_DOWN.hit(active.generation_id)
        async with self._database.write() as session:
            place = await self._hold(session, active)
            rows = await tool_calls.of_generation(session, active.generation_id)
            limit_reached = self._config.bounds.are_reached(answer.rounds, answer.calls)
            plan = plan_calls(answer.open_calls(), rows, work.tools, unreadable=unreadable, limit_reached=limit_reached)
            await leases.write_answer(session, place.message_id, answer.content)
            new = [_row(active, call) for call in plan.calls if call.tool_use_id not in rows]
            if bill and not await ledger.is_known(session, bill[0].id):
                await spending.record(session, bill)
            if new:
                await insert(session, new)
            await tool_calls.begin(session, active.generation_id, [id for id in plan.made if id in rows])
        return plan

    async def _settle(
        self, active: ActiveGeneration, work: GenerationInput, plan: CallPlan, outcomes: dict[str, CallStatus]
    ) -> None:
        """Store how calls ended, and reserve money for another round."""
        ended = {id: answered.status for id, answered in plan.answered.items()} | outcomes
        SETTLE.hit(active.generation_id)
        async with self._database.write() as session:
            place = await self._hold(session, active)
            await tool_calls.settle(session, active.generation_id, ended)
            await leases.write_answer(session, place.message_id, active.answer.content)
            if not plan.waiting:
                await self._reserve(session, active, work, place)

    async def _reserve(
        self, session: AsyncSession, active: ActiveGeneration, work: GenerationInput, place: Place
    ) -> None:
        budget = self._config.budget
        if active.allowance is not None:
            await leases.renew(session, active.generation_id, self._process, {"reserved": None})
        further = work.behind(active.answer.content)
        try:
            allowance = await budget.reserve(session, place.owner_id, further, self._models.known(work.model))
        except (BudgetSpent, PriceUnknown):
            raise StreamError(EXCEEDED) from None
        if allowance is not None:
            await leases.renew(session, active.generation_id, self._process, {"reserved": allowance})
        active.allowance = allowance

    async def _hold(self, session: AsyncSession, active: ActiveGeneration) -> Place:
        """Make sure that this process may still write, and save where the answer stands."""
        place = await leases.lock_owner_of(session, active.generation_id)
        if place is None:
            raise StreamError(GenerationError(ErrorCode.NOT_FOUND, "The conversation was deleted."))
        answer = active.answer
        values = {
            "sequence": answer.sequence,
            "stop_reason": answer.stop_reason,
            "amount": total_amount(active, self._config.prices),
            **answer.total(),
        }
        if await leases.renew(session, active.generation_id, self._process, values) is None:
            active.end(Ending.LOST)
            raise asyncio.CancelledError
        return place

    async def _make_all(
        self, active: ActiveGeneration, made: Mapping[str, Make], room: PictureRoom
    ) -> dict[str, CallStatus]:
        """Make calls side by side; each result is shown when it is there."""
        if not made or active.owner is None:
            return {}
        owner, outcomes = active.owner, dict[str, CallStatus]()
        # From here on they may have been carried out: everybody is to see that they were begun.
        await self._log.flush(active.generation_id)

        async def make_one(tool_use_id: str, call: Make) -> None:
            CALL.hit(active.generation_id)
            context = ToolContext(owner.id, owner.name, owner.conversation_id, active.generation_id, tool_use_id)
            # A process that has taken the answer over tells Claude that the call may have been made.
            await active.may_write()
            result = await make(call.tool, call.input, context, self._config.bounds)
            outcomes[tool_use_id] = CallStatus.FAILED if result.is_error else CallStatus.SUCCEEDED
            await self._give(active, tool_use_id, result, room)

        async with asyncio.TaskGroup() as group:
            for tool_use_id, call in made.items():
                group.create_task(make_one(tool_use_id, call))
        return outcomes

    async def _room(self, active: ActiveGeneration, work: GenerationInput) -> PictureRoom:
        """Return the room that the conversation has for pictures of tools."""
        if active.owner is None:
            return PictureRoom([], 0, None, inline=False)
        owner = active.owner.id
        contents = [*(turn.blocks for turn in work.turns), active.answer.content]
        window = self._models.known(work.model).max_input_tokens
        return await retry_while_unavailable(self._database, lambda: self._files.room(owner, contents, window))

    async def _give(self, active: ActiveGeneration, tool_use_id: str, result: Result, room: PictureRoom) -> None:
        if active.owner is None:
            return
        owner_id, conversation_id = active.owner.id, active.owner.conversation_id
        first, *pictures = await blocks_of(tool_use_id, result, self._files, room, owner_id, conversation_id)
        await active.may_write()
        shown = active.answer.finish_result(first)
        for picture in pictures:
            shown += active.answer.add(picture)
        self.show(active, shown)


def close_calls(answer: AnswerAccumulator, ending: Ending | None) -> list[GenerationEvent]:
    """Give an error to each call that has no result when the answer ends: the conversation stays whole."""
    words = execution.EXPIRED if ending is Ending.EXPIRED else execution.STOPPED
    shown: list[GenerationEvent] = []
    for block in answer.open_calls().values():
        shown += answer.finish_result(
            {"type": "tool_result", "tool_use_id": block["id"], "content": words, "is_error": True}
        )
    return shown


def _row(active: ActiveGeneration, call: PlannedCall) -> ToolCall:
    if active.owner is None:
        raise ValueError(active)
    decision = call.decision
    if isinstance(decision, Answered):
        status = decision.status
    else:
        status = CallStatus.RUNNING if isinstance(decision, Make) else CallStatus.WAITING
    return ToolCall(
        owner_id=active.owner.id,
        conversation_id=active.owner.conversation_id,
        generation_id=active.generation_id,
        tool_use_id=call.tool_use_id,
        name=call.block["name"],
        status=status,
        asks_first=isinstance(decision, Wait) and decision.asks_first,
        started_at=now() if status is CallStatus.RUNNING else None,
    )
