"""Start generations in the database, and recover those that have lost their process."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tertulia.billing.budget import EXCEEDED, Budget, BudgetSpent, PriceUnknown
from tertulia.claude.errors import INTERRUPTED, ErrorCode, GenerationError, StreamError
from tertulia.claude.models import Model, Models
from tertulia.db import accounts, answer_tails, changes, generations, leases, ledger, tool_calls
from tertulia.db.database import AsyncSession, Database
from tertulia.db.ledger import UsageSum
from tertulia.db.prompt_branches import BranchReader, with_branches
from tertulia.db.tables import TOKEN_COUNTS, ChangeKind, Generation, Message, Status, now
from tertulia.db.tool_calls import CallStatus, ToolCall
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.generation.config import ContinuationPolicy
from tertulia.generation.contribution import select_tools, stored_contribution
from tertulia.generation.input import GenerationInput, generation_input
from tertulia.generation.state import ActiveGeneration, Ending, Owner, tool_results_required
from tertulia.streams.events import GenerationContinued, GenerationEvent, GenerationStarted, TerminalEvent, fold
from tertulia.streams.lease import Lease
from tertulia.streams.log import EventLog
from tertulia.threads import offload
from tertulia.tools.registry import ToolRegistry

BETWEEN = ("tool_use", "tool_result", "image")
"""The types that the last block of an answer can have between two rounds."""
SETTLED = (CallStatus.SUCCEEDED, CallStatus.FAILED, CallStatus.UNKNOWN)
"""The statuses of calls whose results are saved."""


@dataclass(frozen=True, slots=True)
class StartedGeneration:
    """The input, the owner and the allowance (see `ActiveGeneration`) of a generation that has started."""

    work: GenerationInput
    owner: Owner
    allowance: int | None


async def start_generation(
    database: Database,
    active: ActiveGeneration,
    holder: UUID,
    lease_until: datetime,
    *,
    budget: Budget,
    models: Models,
    tool_registry: ToolRegistry,
) -> StartedGeneration:
    """Set a generation to running, reserve its cost, and read its input.

    Raises:
        StreamError: The conversation was deleted, or the budget is used up.
        CancelledError: The lease is lost, so the generation has ended in this process.
    """

    async def start(branches: BranchReader) -> StartedGeneration:
        async with database.write() as session:
            return await _start(
                session,
                branches,
                active,
                holder,
                lease_until,
                budget=budget,
                models=models,
                tool_registry=tool_registry,
            )

    return await with_branches(database, start)


async def _start(
    session: AsyncSession,
    branches: BranchReader,
    active: ActiveGeneration,
    holder: UUID,
    lease_until: datetime,
    *,
    budget: Budget,
    models: Models,
    tool_registry: ToolRegistry,
) -> StartedGeneration:
    location = await leases.lock_owner_of(session, active.generation_id)
    rows = await generations.unscoped(session, active.generation_id)
    if rows is None or location is None:
        raise StreamError(GenerationError(ErrorCode.NOT_FOUND, "The conversation was deleted."))
    generation, answer, conversation = rows
    branch = await branches.read(session, answer.parent_id)
    contribution = await stored_contribution(session, generation)
    plan, model = budget.plans.of(generation.plan), models.known(generation.model)
    user_tools = await tool_registry.user_tools(session, location.owner_id)
    tools = select_tools(tool_registry, conversation, model, contribution, plan.allows_tool, user_tools)
    work = await offload(len(branch), lambda: generation_input(generation, conversation, branch, tools, contribution))
    # Read before the update, which also changes the row in the session.
    was_queued = generation.status is Status.QUEUED
    values = {"status": Status.RUNNING, "prefix": work.prefix, "lease_until": lease_until, "tools_expire_at": None}
    values["started_at"] = generation.started_at or now()
    if await leases.renew(session, generation.id, holder, values) is None:
        active.end(Ending.LOST)
        raise asyncio.CancelledError
    # After the lock of the generation: until the commit, no other transaction can reserve from the server's budget.
    allowance = await _reserve(session, budget, location.owner_id, generation, work, models.known(work.model))
    if allowance != generation.reserved:
        await leases.renew(session, generation.id, holder, {"reserved": allowance})
    if was_queued:
        kind = ChangeKind.GENERATION_STARTED
        await changes.record(session, location.owner_id, (kind, conversation.id, generation.id))
    user = await accounts.existing(session, location.owner_id)
    return StartedGeneration(work, Owner(user.id, user.name, conversation.id, user.subject), allowance)


@dataclass(frozen=True, slots=True)
class LostGeneration:
    """The rows of a generation that has lost its process, its tool calls by id, and its usage in the ledger.

    The rows have the sequence and the content of the last checkpoint.
    """

    generation: Generation
    message: Message
    calls: Mapping[str, ToolCall]
    billed: UsageSum


async def find_lost(database: Database, generation_id: UUID) -> LostGeneration | None:
    """Return a generation that has lost its process; None if its conversation was deleted."""
    async with database.read() as session:
        rows = await generations.unscoped(session, generation_id)
        if rows is None:
            return None
        generation, message, conversation = rows
        calls = await tool_calls.of_generation(session, generation_id)
        billed = await ledger.of_generation(session, conversation.owner_id, generation_id, generation.created_at)
        saved = await answer_tails.find(session, generation_id)
    if saved is not None:
        generation.sequence, message.content = saved.sequence, saved.content
    return LostGeneration(generation, message, calls, billed)


@dataclass(frozen=True, slots=True)
class RecoveredAnswer:
    """The saved state of an answer.

    Attributes:
        answer: The accumulator, with the latest content that was saved in the row or in the log.
        events: The events of the log; None if the log is incomplete.
        is_current: Whether no client can have received content after this state.
    """

    answer: AnswerAccumulator
    events: Sequence[GenerationEvent] | None
    is_current: bool


async def recover_answer(log: EventLog, lost_generation: LostGeneration, lease: Lease) -> RecoveredAnswer:
    """Return the saved state of an answer, and take over the log from the lost process."""
    generation = lost_generation.generation
    stream = None if generation.status is Status.QUEUED else await log.take_over(generation.id, lease)
    events = [event for event in (stream.iter_events() if stream else ()) if not isinstance(event, TerminalEvent)]
    is_log_newer = bool(events) and events[-1].sequence >= generation.sequence
    content = fold(events) if is_log_newer else lost_generation.message.content
    sequence = max(generation.sequence, len(events))
    suspension = tool_results_required(generation, content, lost_generation.calls)
    if suspension is not None and len(events) == suspension.sequence - 1:
        # Results can be submitted before the process that suspended the generation has written the event to the log.
        events.append(suspension)
    if not content and sequence == 1:
        events = [GenerationStarted(generation.id, 1)]
    answer = AnswerAccumulator(generation.id, sequence, content)
    counts = {name: getattr(generation, name) for name in TOKEN_COUNTS}
    counted = {name: count for name, count in counts.items() if count is not None}
    billed = (
        {name: getattr(lost_generation.billed, name) for name in TOKEN_COUNTS} if lost_generation.billed.tokens else {}
    )
    answer.restore(counted, billed, lost_generation.billed.amount, generation.stop_reason)
    answer.attempt = generation.continuations
    # A log without its beginning cannot be continued. Its readers read the row instead.
    is_complete = len(events) == sequence
    # The row of a generation that is queued, suspended or just resumed is complete.
    is_current = generation.status is not Status.RUNNING or suspension is not None or stream is not None
    return RecoveredAnswer(answer, events if is_complete else None, is_current=is_current)


def ending_of(
    lost_generation: LostGeneration, recovered: RecoveredAnswer, policy: ContinuationPolicy
) -> Ending | GenerationError | None:
    """Return why a generation that was taken over must end at once, or the error after which Claude is asked for the
    rest of the answer; None if it can be resumed without that.
    """
    generation, answer = lost_generation.generation, recovered.answer
    if generation.stop_requested:
        return Ending.STOPPED
    is_suspended = generation.status is Status.AWAITING_TOOL_RESULTS
    if is_suspended and generation.tools_expire_at is not None and generation.tools_expire_at <= now():
        return Ending.EXPIRED
    if not recovered.is_current:
        return Ending.INTERRUPTED
    if not answer.content or is_between_rounds(answer, lost_generation.calls):
        return None
    may_continue = policy.allows(generation.options) and policy.allows_another(answer.attempt, begun_at(generation))
    # Clients may have seen more than an incomplete log contains, which must not be replaced.
    return INTERRUPTED if may_continue and recovered.events is not None else Ending.INTERRUPTED


def has_lost_request(lost_generation: LostGeneration, recovered: RecoveredAnswer) -> bool:
    """Return whether the lost process has sent a request of whose response nothing was saved, except its usage.

    It sends a request as soon as the log says that the answer begins or continues, or the calls have their results.
    """
    answer, calls = recovered.answer, lost_generation.calls
    if lost_generation.generation.status is not Status.RUNNING:
        return False
    if not answer.content:
        return answer.sequence > 0
    if is_between_rounds(answer, calls):
        return not answer.billed() and all(call.status in SETTLED for call in calls.values())
    continued = [event.attempt for event in recovered.events or () if isinstance(event, GenerationContinued)]
    return not answer.billed() and answer.attempt in (0, *continued)


def is_in_response(lost_generation: LostGeneration, recovered: RecoveredAnswer) -> bool:
    """Return whether a process was lost while it received a response, whose output Claude has not counted."""
    answer = recovered.answer
    if lost_generation.generation.status is not Status.RUNNING or not answer.content:
        return False
    return not is_between_rounds(answer, lost_generation.calls)


def begun_at(generation: Generation) -> datetime:
    """Return when the answer began, or was requested if it has not."""
    return generation.first_token_at or generation.started_at or generation.created_at


def is_between_rounds(answer: AnswerAccumulator, calls: Mapping[str, ToolCall]) -> bool:
    """Return whether an answer was interrupted between rounds with all its calls recorded, so that it can continue."""
    content = answer.content
    all_complete = all(not block.get("partial") or block.get("type") == "tool_result" for block in content)
    call_ids = [block["id"] for block in content if block.get("type") == "tool_use"]
    return all_complete and content[-1].get("type") in BETWEEN and all(id in calls for id in call_ids)


async def _reserve(
    session: AsyncSession, budget: Budget, owner: UUID, generation: Generation, work: GenerationInput, model: Model
) -> int | None:
    if generation.reserved is not None:
        return generation.reserved
    try:
        return await budget.reserve(session, owner, work, model, generation.plan)
    except (BudgetSpent, PriceUnknown):
        raise StreamError(EXCEEDED) from None
