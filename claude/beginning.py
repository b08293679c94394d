"""Taking up an answer that waited in line, or that lost its process."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from claude.answer import Answer
from claude.budget import EXCEEDED, Budget, BudgetSpent, PriceUnknown
from claude.errors import ErrorCode, GenerationError, StreamError
from claude.job import Ending, Job
from claude.models import Model, Models
from claude.work import Work, work_of
from db import changes, generations, leases, messages
from db.database import AsyncSession, Database
from db.leases import COUNTS
from db.tables import ChangeKind, Generation, Message, Status, now
from streams.events import GenerationStarted, TerminalEvent, fold
from streams.log import EventLog


@dataclass(frozen=True, slots=True)
class TakenUp:
    """What is to be asked, and whose list of conversations has changed."""

    work: Work
    owner_id: UUID
    allowance: int | None


async def take_up(
    database: Database, job: Job, holder: UUID, lease_until: datetime, money: tuple[Budget, Models]
) -> TakenUp:
    """Begin it in the database; give what is to be asked of Claude.

    Raises StreamError where the conversation is gone, or the budget is spent; ends the job where the lease is lost.
    """
    budget, models = money
    async with database.write() as session:
        place = await leases.lock_owner_of(session, job.generation_id)
        found = await generations.unscoped(session, job.generation_id)
        if found is None or place is None:
            raise StreamError(GenerationError(ErrorCode.NOT_FOUND, "The conversation was deleted."))
        generation, answer, conversation = found
        branch = await messages.branch(session, answer.parent_id)
        work = work_of(generation, conversation, branch)
        # Asked before the update, which the session carries into the row that it holds.
        waited = generation.status is Status.QUEUED
        values = {"status": Status.RUNNING, "started_at": now(), "prefix": work.prefix, "lease_until": lease_until}
        allowance = await _reserve(session, budget, place.owner_id, generation, work, models.known(work.model))
        values |= {"reserved": allowance}
        if await leases.renew(session, generation.id, holder, values) is None:
            job.end(Ending.LOST)
            raise asyncio.CancelledError
        if waited:
            started = ChangeKind.GENERATION_STARTED
            await changes.record(session, place.owner_id, (started, conversation.id, generation.id))
    return TakenUp(work, place.owner_id, allowance)


async def left_behind(log: EventLog, generation: Generation, message: Message) -> Answer:
    """Give what a process has left of an answer, and open its log behind that, where it is whole."""
    written = await log.read(generation.id)
    events = [event for event in (written.each() if written else ()) if not isinstance(event, TerminalEvent)]
    content = fold(events) if events and events[-1].sequence >= generation.sequence else message.content
    last = max(generation.sequence, len(events))
    if not content and last == 1:
        events = [GenerationStarted(generation.id, 1)]
    if len(events) == last:
        # A log that lost its beginning is not gone on with: its readers see the row.
        log.open(generation.id, events)
    answer = Answer(generation.id, last, content)
    counts = {name: getattr(generation, name) for name in COUNTS}
    answer.usage = {name: count for name, count in counts.items() if count is not None}
    return answer


async def _reserve(
    session: AsyncSession, budget: Budget, owner: UUID, generation: Generation, work: Work, model: Model
) -> int | None:
    if generation.reserved is not None:
        return generation.reserved
    try:
        return await budget.reserve(session, owner, work, model)
    except (BudgetSpent, PriceUnknown):
        raise StreamError(EXCEEDED) from None
