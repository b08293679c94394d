"""Between two rounds of an answer: the tools that Claude has called.

Each call is written down before it is made, and never made twice: what a lost process may have carried out is told to
Claude as an error. What the client or the user has to say is waited for without a process (Suspended).
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from claude import calling
from claude.answer import Answer
from claude.budget import EXCEEDED, BudgetSpent, PriceUnknown
from claude.calling import blocks_of, failed, make, submitted
from claude.errors import ErrorCode, GenerationError, StreamError
from claude.files import Files
from claude.finishing import calls_of, round_amount, total_amount
from claude.job import Ending, Job, Suspended
from claude.media import PictureRoom
from claude.models import Models
from claude.patience import patiently
from claude.terms import Terms
from claude.tools import Json, Result, Tool, ToolContext
from claude.work import Work
from db import leases, ledger, spending, tool_calls
from db.database import AsyncSession, Database
from db.inserting import insert
from db.leases import Place
from db.tables import Call, Status, now
from db.tool_calls import CallStatus, ToolCall
from streams.events import GenerationEvent
from streams.log import EventLog
from tertulia.failpoints import Failpoint

WRITTEN_DOWN = Failpoint("round.written_down")
WRITE_DOWN, CALL, SETTLE = Failpoint("rounds.write_down"), Failpoint("rounds.call"), Failpoint("rounds.settle")


@dataclass(slots=True)
class Plan:
    """What becomes of the calls of a round: made here, answered already, or waited for; by their ids."""

    made: dict[str, tuple[Tool, Json]] = field(default_factory=dict[str, "tuple[Tool, Json]"])
    answered: dict[str, tuple[Result, CallStatus]] = field(default_factory=dict[str, "tuple[Result, CallStatus]"])
    waiting: dict[int, Json] = field(default_factory=dict[int, Json])
    approvals: list[int] = field(default_factory=list[int])


class Rounds:
    """Ends rounds, and makes their calls."""

    def __init__(
        self, database: Database, log: EventLog, parts: tuple[Files, Models], *, process: UUID, terms: Terms
    ) -> None:
        """Take the parts, and this process's name."""
        self._database = database
        self._log = log
        self._files, self._models = parts
        self._process = process
        self._terms = terms

    async def end(self, job: Job, work: Work) -> None:
        """Write down what a round has cost, and give all its calls their results; raise Suspended where some wait."""
        shown: list[GenerationEvent] = []
        broken = job.answer.mend_calls(shown)
        self.show(job, shown)
        bill = self._end_round(job)
        # What is written down must not be ahead of what others can read, or nobody could go on with the log.
        await self._log.flush(job.generation_id)
        plan = await patiently(self._database, lambda: self._write_down(job, work, broken, bill))
        await WRITTEN_DOWN.reach(job.generation_id)
        room = await self._room(job, work)
        for block in job.answer.open_calls().values():
            if block["id"] in plan.made and (begun := job.answer.begin_result(block["id"])) is not None:
                self.show(job, [begun])
            elif block["id"] in plan.answered:
                await self._give(job, block["id"], plan.answered[block["id"]][0], room)
        outcomes = await self._make_all(job, plan.made, room)
        await self._log.flush(job.generation_id)
        await patiently(self._database, lambda: self._settle(job, work, plan, outcomes))
        if plan.waiting:
            expires_at = now() + timedelta(seconds=self._terms.bounds.waiting_seconds)
            raise Suspended(plan.waiting, plan.approvals, expires_at)

    def show(self, job: Job, events: Sequence[GenerationEvent]) -> None:
        """Append events, if there are any."""
        if events:
            job.first_token_at = job.first_token_at or now()
            self._log.append(job.generation_id, events)

    def _end_round(self, job: Job) -> list[Call]:
        """Close the round's account; give the rows of its bill."""
        bill: list[Call] = []
        if job.owner is not None and (job.answer.billed() or job.answer.request_id or job.failed):
            place = (job.owner.id, job.owner.conversation_id)
            bill = calls_of(job, place, Status.COMPLETED, self._terms.prices)
        job.answer.end_round(round_amount(job, self._terms.prices))
        job.failed.clear()
        return bill

    async def _write_down(self, job: Job, work: Work, broken: set[str], bill: Sequence[Call]) -> Plan:
        answer = job.answer
        WRITE_DOWN.hit(job.generation_id)
        async with self._database.write() as session:
            place = await self._hold(session, job)
            rows = await tool_calls.of_generation(session, job.generation_id)
            plan = _plan(answer, work, rows, broken, self._terms)
            await leases.write_answer(session, place.message_id, answer.content)
            new = [id for id in (*plan.made, *plan.answered, *_ids(plan.waiting)) if id not in rows]
            if bill and not await ledger.is_known(session, bill[0].id):
                await spending.record(session, bill)
            if new:
                await insert(session, [_row(job, id, answer, plan) for id in new])
            await tool_calls.begin(session, job.generation_id, [id for id in plan.made if id in rows])
        return plan

    async def _settle(self, job: Job, work: Work, plan: Plan, outcomes: dict[str, CallStatus]) -> None:
        """Write down how calls ended, and keep money for another round."""
        ended = {id: status for id, (_, status) in plan.answered.items()} | outcomes
        SETTLE.hit(job.generation_id)
        async with self._database.write() as session:
            place = await self._hold(session, job)
            await tool_calls.settle(session, job.generation_id, ended)
            await leases.write_answer(session, place.message_id, job.answer.content)
            if not plan.waiting:
                await self._reserve(session, job, work, place)

    async def _reserve(self, session: AsyncSession, job: Job, work: Work, place: Place) -> None:
        budget = self._terms.budget
        if job.allowance is not None:
            await leases.renew(session, job.generation_id, self._process, {"reserved": None})
        further = work.behind(job.answer.content)
        try:
            allowance = await budget.reserve(session, place.owner_id, further, self._models.known(work.model))
        except (BudgetSpent, PriceUnknown):
            raise StreamError(EXCEEDED) from None
        if allowance is not None:
            await leases.renew(session, job.generation_id, self._process, {"reserved": allowance})
        job.allowance = allowance

    async def _hold(self, session: AsyncSession, job: Job) -> Place:
        """Make sure that this process may still write, and save where the answer stands."""
        place = await leases.lock_owner_of(session, job.generation_id)
        if place is None:
            raise StreamError(GenerationError(ErrorCode.NOT_FOUND, "The conversation was deleted."))
        answer = job.answer
        values = {
            "sequence": answer.sequence,
            "stop_reason": answer.stop_reason,
            "amount": total_amount(job, self._terms.prices),
            **answer.total(),
        }
        if await leases.renew(session, job.generation_id, self._process, values) is None:
            job.end(Ending.LOST)
            raise asyncio.CancelledError
        return place

    async def _make_all(
        self, job: Job, made: Mapping[str, tuple[Tool, Json]], room: PictureRoom
    ) -> dict[str, CallStatus]:
        """Make calls side by side; each result is shown when it is there."""
        if not made or job.owner is None:
            return {}
        owner, outcomes = job.owner, dict[str, CallStatus]()
        # From here on they may have been carried out: everybody is to see that they were begun.
        await self._log.flush(job.generation_id)

        async def one(tool_use_id: str, tool: Tool, input: Json) -> None:
            CALL.hit(job.generation_id)
            context = ToolContext(owner.id, owner.name, owner.conversation_id, job.generation_id, tool_use_id)
            # A process that has taken the answer over tells Claude that the call may have been made.
            await job.may_write()
            result = await make(tool, input, context, self._terms.bounds)
            outcomes[tool_use_id] = CallStatus.FAILED if result.is_error else CallStatus.SUCCEEDED
            await self._give(job, tool_use_id, result, room)

        async with asyncio.TaskGroup() as group:
            for tool_use_id, (tool, input) in made.items():
                group.create_task(one(tool_use_id, tool, input))
        return outcomes

    async def _room(self, job: Job, work: Work) -> PictureRoom:
        """Return the room that the conversation has for pictures of tools."""
        if job.owner is None:
            return PictureRoom([], 0, None, inline=False)
        owner = job.owner.id
        contents = [*(content for _, content, _ in work.turns), job.answer.content]
        window = self._models.known(work.model).max_input_tokens
        return await patiently(self._database, lambda: self._files.room(owner, contents, window))

    async def _give(self, job: Job, tool_use_id: str, result: Result, room: PictureRoom) -> None:
        if job.owner is None:
            return
        place = (job.owner.id, job.owner.conversation_id)
        first, *pictures = await blocks_of(tool_use_id, result, self._files, room, place)
        await job.may_write()
        shown = job.answer.finish_result(first)
        for picture in pictures:
            shown += job.answer.add(picture)
        self.show(job, shown)


def close_calls(answer: Answer, ending: Ending | None) -> list[GenerationEvent]:
    """Give an error to each call that has no result when the answer ends: the conversation stays whole."""
    words = calling.EXPIRED if ending is Ending.EXPIRED else calling.STOPPED
    shown: list[GenerationEvent] = []
    for block in answer.open_calls().values():
        shown += answer.finish_result(
            {"type": "tool_result", "tool_use_id": block["id"], "content": words, "is_error": True}
        )
    return shown


def _plan(answer: Answer, work: Work, rows: Mapping[str, ToolCall], broken: set[str], terms: Terms) -> Plan:
    plan, bounds = Plan(), terms.bounds
    # Those of one turn are made together, or none of them.
    too_many = bounds.are_reached(answer.rounds, answer.calls)
    for index, block in answer.open_calls().items():
        row, tool_use_id = rows.get(block["id"]), block["id"]
        tool = work.tools.running.get(block["name"])
        if row is not None:
            _go_on(plan, (index, block), row, tool)
        elif tool_use_id in broken:
            plan.answered[tool_use_id] = failed(calling.NOT_JSON), CallStatus.FAILED
        elif too_many:
            plan.answered[tool_use_id] = failed(calling.TOO_MANY), CallStatus.FAILED
        elif block["name"] in work.tools.client:
            plan.waiting[index] = block
        elif tool is None:
            plan.answered[tool_use_id] = failed(calling.NO_SUCH.format(block["name"][:100])), CallStatus.FAILED
        elif block["name"] in work.tools.asking:
            plan.waiting[index] = block
            plan.approvals.append(index)
        else:
            plan.made[tool_use_id] = (tool, block["input"])
    return plan


def _go_on(plan: Plan, call: tuple[int, Json], row: ToolCall, tool: Tool | None) -> None:
    """Decide on a call that was written down before: it is made only where nobody can have made it."""
    index, block = call
    answer = row.answer
    if row.status is CallStatus.WAITING:
        plan.waiting[index] = block
        if row.asks_first:
            plan.approvals.append(index)
    elif row.status is not CallStatus.ANSWERED or answer is None:
        plan.answered[row.tool_use_id] = failed(calling.UNKNOWN), CallStatus.UNKNOWN
    elif not row.asks_first:
        result = submitted(answer)
        plan.answered[row.tool_use_id] = result, CallStatus.FAILED if result.is_error else CallStatus.SUCCEEDED
    elif not answer["approved"]:
        words = " ".join(filter(None, (calling.DENIED, answer.get("output"))))
        plan.answered[row.tool_use_id] = failed(words), CallStatus.FAILED
    elif tool is None:
        plan.answered[row.tool_use_id] = failed(calling.NO_SUCH.format(row.name)), CallStatus.FAILED
    else:
        plan.made[row.tool_use_id] = (tool, block["input"])


def _ids(waiting: Mapping[int, Json]) -> list[str]:
    return [block["id"] for block in waiting.values()]


def _row(job: Job, tool_use_id: str, answer: Answer, plan: Plan) -> ToolCall:
    if job.owner is None:
        raise ValueError(job)
    index, block = next((index, one) for index, one in answer.open_calls().items() if one["id"] == tool_use_id)
    status = CallStatus.WAITING
    if tool_use_id in plan.made:
        status = CallStatus.RUNNING
    elif tool_use_id in plan.answered:
        status = plan.answered[tool_use_id][1]
    return ToolCall(
        owner_id=job.owner.id,
        conversation_id=job.owner.conversation_id,
        generation_id=job.generation_id,
        tool_use_id=tool_use_id,
        name=block["name"],
        status=status,
        asks_first=index in plan.approvals,
        started_at=now() if status is CallStatus.RUNNING else None,
    )
