"""Taking up an answer that waited in line, or that lost its process."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tertulia.billing.budget import EXCEEDED, Budget, BudgetSpent, PriceUnknown
from tertulia.claude.errors import ErrorCode, GenerationError, StreamError
from tertulia.claude.models import Model, Models
from tertulia.db import accounts, changes, generations, leases, ledger, messages, tool_calls
from tertulia.db.database import AsyncSession, Database
from tertulia.db.ledger import UsageSum
from tertulia.db.tables import TOKEN_COUNTS, ChangeKind, Generation, Message, Status, now
from tertulia.db.tool_calls import ToolCall
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.generation.input import GenerationInput, generation_input
from tertulia.generation.state import ActiveGeneration, Ending, Owner
from tertulia.streams.events import GenerationEvent, GenerationStarted, TerminalEvent, fold
from tertulia.streams.lease import Lease
from tertulia.streams.log import EventLog
from tertulia.tools.registry import ToolRegistry

BETWEEN = ("tool_use", "tool_result", "image")
"""Kinds of blocks that an answer ends with between two rounds."""


@dataclass(frozen=True, slots=True)
class TakenUp:
    """What is to be asked, and whose list of conversations has changed."""

    work: GenerationInput
    owner: Owner
    allowance: int | None


async def take_up(
    database: Database,
    active: ActiveGeneration,
    holder: UUID,
    lease_until: datetime,
    *,
    budget: Budget,
    models: Models,
    tool_registry: ToolRegistry,
) -> TakenUp:
    """Begin it in the database; give what is to be asked of Claude.

    Raises StreamError where the conversation is gone, or the budget is spent; ends the job where the lease is lost.
    """
    async with database.write() as session:
        place = await leases.lock_owner_of(session, active.generation_id)
        found = await generations.unscoped(session, active.generation_id)
        if found is None or place is None:
            raise StreamError(GenerationError(ErrorCode.NOT_FOUND, "The conversation was deleted."))
        generation, answer, conversation = found
        branch = await messages.branch(session, answer.parent_id)
        tools = tool_registry.of(conversation.tools, models.known(generation.model))
        work = generation_input(generation, conversation, branch, tools)
        # Asked before the update, which the session carries into the row that it holds.
        waited = generation.status is Status.QUEUED
        values = {"status": Status.RUNNING, "prefix": work.prefix, "lease_until": lease_until, "tools_expire_at": None}
        values["started_at"] = generation.started_at or now()
        allowance = await _reserve(session, budget, place.owner_id, generation, work, models.known(work.model))
        values |= {"reserved": allowance}
        if await leases.renew(session, generation.id, holder, values) is None:
            active.end(Ending.LOST)
            raise asyncio.CancelledError
        if waited:
            started = ChangeKind.GENERATION_STARTED
            await changes.record(session, place.owner_id, (started, conversation.id, generation.id))
        name = await accounts.name_of(session, place.owner_id)
    return TakenUp(work, Owner(place.owner_id, name, conversation.id), allowance)


@dataclass(frozen=True, slots=True)
class LostGeneration:
    """What the database has of an answer that lost its process: its rows, its calls of tools, what is on the bill."""

    generation: Generation
    message: Message
    calls: Mapping[str, ToolCall]
    billed: UsageSum


async def find_left(database: Database, generation_id: UUID) -> LostGeneration | None:
    """Find it; None where its conversation is gone."""
    async with database.read() as session:
        found = await generations.unscoped(session, generation_id)
        if found is None:
            return None
        generation, message, conversation = found
        calls = await tool_calls.of_generation(session, generation_id)
        billed = await ledger.of_generation(session, conversation.owner_id, generation_id, generation.created_at)
    return LostGeneration(generation, message, calls, billed)


@dataclass(frozen=True, slots=True)
class RecoveredAnswer:
    """What a process has left of an answer; `events` are those of its log, None where the log is not whole.

    `known`: nobody has seen more of it.
    """

    answer: AnswerAccumulator
    events: Sequence[GenerationEvent] | None
    known: bool


async def recover_answer(log: EventLog, left: LostGeneration, lease: Lease) -> RecoveredAnswer:
    """Return what a process has left of an answer, and lock that process out of the log."""
    generation = left.generation
    waits = generation.status is not Status.RUNNING
    written = None if generation.status is Status.QUEUED else await log.take(generation.id, lease)
    events = [event for event in (written.each() if written else ()) if not isinstance(event, TerminalEvent)]
    is_log_newer = bool(events) and events[-1].sequence >= generation.sequence
    content = fold(events) if is_log_newer else left.message.content
    sequence = max(generation.sequence, len(events))
    if not content and sequence == 1:
        events = [GenerationStarted(generation.id, 1)]
    answer = AnswerAccumulator(generation.id, sequence, content)
    counts = {name: getattr(generation, name) for name in TOKEN_COUNTS}
    counted = {name: count for name, count in counts.items() if count is not None}
    billed = {name: getattr(left.billed, name) for name in TOKEN_COUNTS} if left.billed.tokens else {}
    answer.restore(counted, billed, left.billed.amount, generation.stop_reason)
    # A log that lost its beginning is not continued: its readers see the row.
    is_whole = len(events) == sequence
    # The row of an answer that waits, in line or for results of tools, has all of it.
    return RecoveredAnswer(answer, events if is_whole else None, known=waits or written is not None)


def ending_of(left: LostGeneration, recovered: RecoveredAnswer) -> Ending | None:
    """Return how an answer that was taken over ends at once; None where it goes on."""
    generation, answer = left.generation, recovered.answer
    if generation.stop_requested:
        return Ending.STOPPED
    if generation.tools_expire_at is not None and generation.tools_expire_at <= now():
        return Ending.EXPIRED
    if not recovered.known or (answer.content and not is_between_rounds(answer, left.calls)):
        # Claude cannot be asked to go on with its own text, and nobody's text is replaced or paid for twice.
        return Ending.INTERRUPTED
    return None


def is_between_rounds(answer: AnswerAccumulator, calls: Mapping[str, ToolCall]) -> bool:
    """Say whether it was left where a round had ended, and all its calls were written down: so it can go on."""
    content = answer.content
    whole = all(not block.get("partial") or block.get("type") == "tool_result" for block in content)
    called = [block["id"] for block in content if block.get("type") == "tool_use"]
    return whole and content[-1].get("type") in BETWEEN and all(id in calls for id in called)


async def _reserve(
    session: AsyncSession, budget: Budget, owner: UUID, generation: Generation, work: GenerationInput, model: Model
) -> int | None:
    if generation.reserved is not None:
        return generation.reserved
    try:
        return await budget.reserve(session, owner, work, model)
    except (BudgetSpent, PriceUnknown):
        raise StreamError(EXCEEDED) from None
