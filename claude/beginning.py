"""Taking up an answer that waited in line, or that lost its process before it had written anything."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from claude.errors import ErrorCode, GenerationError, StreamError
from claude.job import Ending, Job
from claude.work import Work, work_of
from db import changes, generations, leases, messages
from db.database import Database
from db.tables import ChangeKind, Status, now


@dataclass(frozen=True, slots=True)
class TakenUp:
    """What is to be asked, and whose list of conversations has changed."""

    work: Work
    owner_id: UUID


async def take_up(database: Database, job: Job, holder: UUID, lease_end: Callable[[], datetime]) -> TakenUp:
    """Begin it in the database; give what is to be asked of Claude.

    Raises StreamError where the conversation is gone, and ends the job where the lease is lost.
    """
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
        values = {"status": Status.RUNNING, "started_at": now(), "prefix": work.prefix, "lease_until": lease_end()}
        if await leases.renew(session, generation.id, holder, values) is None:
            job.end(Ending.LOST)
            raise asyncio.CancelledError
        if waited:
            started = ChangeKind.GENERATION_STARTED
            await changes.record(session, place.owner_id, (started, conversation.id, generation.id))
    return TakenUp(work, place.owner_id)
