"""Saving the end of an answer: its row, its text, the words to find it by, and the bill, in one transaction."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any
from uuid import UUID

from claude.answer import Answer
from claude.billing import Payer, call
from claude.errors import GenerationError
from claude.job import Job, Suspended
from claude.prices import Prices
from db import changes, conversations, leases, search, tool_calls
from db.database import AsyncSession, Database
from db.inserting import insert
from db.leases import Place
from db.tables import Call, ChangeKind, Status, now

ENDS_AT_ONCE = 8
"""Of a process that has several connections: those who call find some too when a thousand answers end."""


def side_by_side(database: Database) -> AbstractAsyncContextManager[Any]:
    """Give what an end waits for before it asks for a connection; nothing where all who write do so in turn."""
    return nullcontext() if database.in_turn else asyncio.Semaphore(ENDS_AT_ONCE)


async def save_end(
    session: AsyncSession, job: Job, end: tuple[Status, GenerationError | None], holder: UUID, prices: Prices
) -> tuple[Place | None, bool]:
    """Save an end; give where the answer stood, and say whether it was still the holder's to save.

    There is no place where the conversation is gone, or the lease is lost.
    """
    status, error = end
    place = await leases.lock_owner_of(session, job.generation_id)
    if place is None:
        return None, True
    answer = job.answer
    used, amount = answer.total(), total_amount(job, prices)
    values = _columns(job, status, error) | used | {"amount": amount, "reserved": None, "tools_expire_at": None}
    if await leases.renew(session, job.generation_id, holder, values) is None:
        return None, False
    content = answer.content
    if content:
        await leases.write_answer(session, place.message_id, content)
        if not place.temporary:
            await search.add(session, (place.owner_id, place.message_id, content))
    await conversations.add_usage(session, place.conversation_id, used, amount)
    if calls := calls_of(job, (place.owner_id, place.conversation_id), status, prices):
        await insert(session, calls)
    if any(block.get("type") == "tool_use" for block in content):
        await tool_calls.close(session, job.generation_id)
    ended = ChangeKind.GENERATION_ENDED
    await changes.record(session, place.owner_id, (ended, place.conversation_id, job.generation_id))
    return place, True


class StopRequested(Exception):
    """Somebody has asked to stop what would have waited."""


async def save_suspension(database: Database, job: Job, suspended: Suspended, holder: UUID) -> Place | None:
    """Leave an answer to whoever brings the results of its tools; None where it is not the holder's any more.

    Raises StopRequested, and saves nothing.
    """
    async with database.write() as session:
        place = await leases.lock_owner_of(session, job.generation_id)
        if place is None:
            return None
        values: dict[str, Any] = {
            "status": Status.AWAITING_TOOL_RESULTS,
            "sequence": job.answer.sequence,
            "tools_expire_at": suspended.expires_at,
            **dict.fromkeys(("holder", "lease_until", "reserved")),
        }
        held = await leases.renew(session, job.generation_id, holder, values)
        if held is not None and held.stop_requested:
            raise StopRequested
        if held is None:
            return None
        await leases.write_answer(session, place.message_id, job.answer.content)
        updated = ChangeKind.UPDATED
        await changes.record(session, place.owner_id, (updated, place.conversation_id, job.generation_id))
    return place


def round_amount(job: Job, prices: Prices) -> int | None:
    """Give what this round has cost, in units; None where the price is not known."""
    return prices.amount(job.model or "", _counts(job.answer))


def total_amount(job: Job, prices: Prices) -> int | None:
    """Give what all rounds have cost."""
    amount, earlier = round_amount(job, prices), job.answer.earlier_amount
    return None if amount is None or earlier is None else amount + earlier


def _counts(answer: Answer) -> dict[str, int]:
    more = {"cache_write_1h_tokens": answer.written_for_an_hour, "web_searches": answer.web_searches}
    return answer.billed() | more


def calls_of(job: Job, place: tuple[UUID, UUID], status: Status, prices: Prices) -> list[Call]:
    """Give the bill's rows of a round: one for each call, the one that answered last; none where none was made.

    `place`: whose conversation, and which.
    """
    if job.model is None:
        return []
    payer = Payer(*place, job.generation_id)
    answer, rows = job.answer, list[Call]()
    for attempt in job.failed:
        row = call(payer, prices, job.model, Status.FAILED, attempt.usage)
        row.request_id = attempt.request_id
        rows.append(row)
    if answer.billed() or answer.request_id or not (rows or answer.earlier):
        row = call(payer, prices, job.model, status, _counts(answer))
        row.request_id, row.estimated = answer.request_id, not answer.counted
        rows.append(row)
    return rows


def _columns(job: Job, status: Status, error: GenerationError | None) -> dict[str, Any]:
    answer = job.answer
    first = {"first_token_at": job.first_token_at} if job.first_token_at else {}
    left_out = {"left_out": dict(job.asking.left_out)} if job.asking and job.asking.left_out else {}
    return {
        "status": status,
        "sequence": answer.sequence,
        "stop_reason": answer.stop_reason,
        "error": error.to_json() if error else None,
        "request_id": answer.request_id or (error.request_id if error else None),
        "finished_at": now(),
        **first,
        **left_out,
        "context_tokens": answer.context_tokens or (job.asking.context_tokens if job.asking else None),
    }
