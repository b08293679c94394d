"""Saving the end of an answer: its row, its text, the words to find it by, and the bill, in one transaction."""

from typing import Any
from uuid import UUID

from claude.billing import Payer, call
from claude.errors import GenerationError
from claude.job import Job
from claude.prices import Prices
from db import changes, conversations, leases, search
from db.database import AsyncSession
from db.inserting import insert
from db.leases import Place
from db.tables import Call, ChangeKind, Status, now


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
    used = answer.billed()
    amount = prices.amount(job.model or "", used | {"cache_write_1h_tokens": answer.written_for_an_hour})
    values = _columns(job, status, error) | used | {"amount": amount, "reserved": None}
    if await leases.renew(session, job.generation_id, holder, values) is None:
        return None, False
    if content := answer.content:
        await leases.write_answer(session, place.message_id, content)
        if not place.temporary:
            await search.add(session, (place.owner_id, place.message_id, content))
    await conversations.add_usage(session, place.conversation_id, used, amount)
    if calls := _calls(job, place, status, prices):
        await insert(session, calls)
    ended = ChangeKind.GENERATION_ENDED
    await changes.record(session, place.owner_id, (ended, place.conversation_id, job.generation_id))
    return place, True


def _calls(job: Job, place: Place, status: Status, prices: Prices) -> list[Call]:
    """Give the bill's rows: one for each call, the one that answered last; none where Claude was never asked."""
    if job.model is None:
        return []
    payer = Payer(place.owner_id, place.conversation_id, job.generation_id)
    answer, rows = job.answer, list[Call]()
    for attempt in job.failed:
        row = call(payer, prices, job.model, Status.FAILED, attempt.usage)
        row.request_id = attempt.request_id
        rows.append(row)
    if answer.usage or answer.content or answer.request_id or not rows:
        used = answer.billed() | {"cache_write_1h_tokens": answer.written_for_an_hour}
        row = call(payer, prices, job.model, status, used)
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
