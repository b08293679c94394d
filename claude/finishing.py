"""Saving the end of an answer: its row, its text, the words to find it by, and the bill, in one transaction."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

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
    answer, failed = job.answer, list(job.failed)
    answered = bool(answer.usage or answer.content or answer.request_id) or not failed
    rows = [_call(job, place, prices, Status.FAILED, attempt.request_id, attempt.usage) for attempt in failed]
    if answered:
        used = answer.billed() | {"cache_write_1h_tokens": answer.written_for_an_hour}
        rows.append(_call(job, place, prices, status, answer.request_id, used))
        rows[-1].estimated = not answer.counted
    return rows


def _call(
    job: Job, place: Place, prices: Prices, outcome: Status, request_id: str | None, used: Mapping[str, int]
) -> Call:
    moment, model = now(), job.model or ""
    counts: dict[str, Any] = {**used}
    return Call(
        owner_id=place.owner_id,
        conversation_id=place.conversation_id,
        generation_id=job.generation_id,
        purpose="answer",
        model=model,
        request_id=request_id,
        outcome=outcome,
        amount=prices.amount(model, used),
        prices=prices.version,
        day=moment.date(),
        created_at=moment,
        **counts,
    )


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
    }
