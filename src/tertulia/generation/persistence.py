"""Save the end of a generation in one transaction: its row, its text, the search index and its API calls.

If the database rejects that, the row is saved as failed, without anything that may have been rejected. Then each of the
other parts is saved separately, as far as possible.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from tertulia.billing.prices import Prices
from tertulia.billing.records import Payer, call
from tertulia.claude.compaction import COMPACTED
from tertulia.claude.errors import UNSAVED, GenerationError
from tertulia.db import changes, conversations, leases, outbox, search, spending, tool_calls
from tertulia.db.database import AsyncSession, Database
from tertulia.db.errors import DATABASE_ERRORS
from tertulia.db.leases import GenerationLocation
from tertulia.db.tables import ApiCall, ChangeKind, Status, now
from tertulia.failpoints import Failpoint
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.generation.state import ActiveGeneration, Suspended
from tertulia.isolation import ItemLoop
from tertulia.json import Json

ENDS_AT_ONCE = 8
"""The ends that a process saves concurrently. Requests need connections too when a thousand answers end at once."""
SAVE, SAVE_FAILURE, SAVE_SUSPENSION = Failpoint("end.save"), Failpoint("end.save_failure"), Failpoint("suspension.save")
PARTS = ItemLoop("end.parts")

Part = Callable[[AsyncSession], Awaitable[object]]


def finish_limiter(database: Database) -> AbstractAsyncContextManager[Any]:
    """Return the limiter that each end acquires before a connection. None is needed if writes are serialized."""
    return nullcontext() if database.in_turn else asyncio.Semaphore(ENDS_AT_ONCE)


@dataclass(frozen=True, slots=True)
class SavedEnd:
    """The result of saving the end of a generation. Without a location, nothing was saved.

    Attributes:
        location: The location of the generation; None if the conversation was deleted, or if the lease is lost.
        lease_held: Whether no other process has taken over the generation. True if the conversation was deleted.
        has_following: Whether another generation may wait for this end.
    """

    location: GenerationLocation | None
    lease_held: bool
    has_following: bool = False


async def save_end(
    session: AsyncSession,
    active: ActiveGeneration,
    status: Status,
    error: GenerationError | None,
    *,
    holder: UUID,
    prices: Prices,
) -> SavedEnd:
    """Save the end of a generation in a transaction."""
    generation_id = active.generation_id
    SAVE.hit(generation_id)
    if active.owner is not None:
        await leases.lock_owner(session, active.owner.id)
    elif await leases.lock_owner_of(session, generation_id) is None:
        return SavedEnd(None, lease_held=True)
    usage, amount = active.answer.total(), total_amount(active, prices)
    values = _columns(active, status, error) | usage | {"amount": amount, "reserved": None, "tools_expire_at": None}
    finished = await leases.finish(session, generation_id, holder, values)
    if finished is None:
        was_deleted = await leases.status_of(session, generation_id) is None
        return SavedEnd(None, lease_held=was_deleted)
    location, has_following = finished.location, finished.has_following
    if active.owner is not None and active.owner.id != location.owner_id:
        # The conversation of a guest now belongs to an account.
        await leases.lock_owner(session, location.owner_id)
        has_following = True
    for part in _parts(active, location, status, prices).values():
        await part(session)
    await outbox.add_generation(session, generation_id)
    return SavedEnd(location, lease_held=True, has_following=has_following)


async def save_failure(
    database: Database, active: ActiveGeneration, holder: UUID, prices: Prices
) -> tuple[GenerationLocation | None, bool]:
    """Save an end as failed, then each of the parts that can be saved. Return the same as `save_end`."""
    generation_id, number = active.generation_id, active.answer.sequence
    SAVE_FAILURE.hit(generation_id)
    if not await save_error(database, generation_id, holder, UNSAVED, number):
        return None, False

    async def find_location() -> GenerationLocation | None:
        async with database.read() as session:
            return await leases.lock_owner_of(session, generation_id)

    location = await PARTS.attempt(f"{generation_id} location", find_location)
    if location is None:
        return None, True
    for name, part in _parts(active, location, Status.FAILED, prices).items():
        await PARTS.attempt(f"{generation_id} {name}", partial(_save_part, database, location, part))
    return location, True


async def save_error(
    database: Database, generation_id: UUID, holder: UUID, error: GenerationError, number: int | None
) -> bool:
    """End a generation as failed with the text that was saved last, or without its tail if the database refuses that.

    Args:
        database: The database.
        generation_id: The generation.
        holder: The process that holds its lease.
        error: The error.
        number: The number of the terminal event; None for the number after the last saved one.

    Returns:
        False if the lease is lost or the generation has ended.
    """
    end = partial(_end_as_failed, database, generation_id, holder, error, number)
    try:
        return await end(keeps_tail=True)
    except DATABASE_ERRORS:
        return await end(keeps_tail=False)


async def _end_as_failed(
    database: Database,
    generation_id: UUID,
    holder: UUID,
    error: GenerationError,
    number: int | None,
    *,
    keeps_tail: bool,
) -> bool:
    json = error.to_json()
    async with database.write() as session:
        ended = await leases.end_as_failed(session, generation_id, holder, json, number, keeps_tail=keeps_tail)
    return ended is not None


async def _save_part(database: Database, location: GenerationLocation, part: Part) -> None:
    async with database.write() as session:
        await leases.lock_owner(session, location.owner_id)
        await part(session)


def _parts(active: ActiveGeneration, location: GenerationLocation, status: Status, prices: Prices) -> dict[str, Part]:
    """Return the functions that save everything except the generation's row, by name."""
    return {**_parts_of_message(active, location), **_parts_of_bill(active, location, status, prices)}


def _parts_of_message(active: ActiveGeneration, location: GenerationLocation) -> dict[str, Part]:
    async def text(session: AsyncSession) -> None:
        if content := active.answer.content:
            await leases.write_answer(session, location.message_id, content)

    async def words(session: AsyncSession) -> None:
        if not location.temporary:
            await search.add(session, (location.owner_id, location.message_id, active.answer.content))

    async def change(session: AsyncSession) -> None:
        kind = ChangeKind.GENERATION_ENDED
        await changes.record(session, location.owner_id, (kind, location.conversation_id, active.generation_id))

    return {"text": text, "words": words, "change": change}


def _parts_of_bill(
    active: ActiveGeneration, location: GenerationLocation, status: Status, prices: Prices
) -> dict[str, Part]:
    answer = active.answer

    async def usage(session: AsyncSession) -> None:
        await conversations.add_usage(session, location.conversation_id, answer.total(), total_amount(active, prices))

    async def bill(session: AsyncSession) -> None:
        if calls := calls_of(
            active, Payer(location.owner_id, location.conversation_id, active.generation_id), status, prices
        ):
            await spending.record(session, calls)

    async def tools(session: AsyncSession) -> None:
        if answer.calls:
            await tool_calls.close(session, active.generation_id)

    return {"usage": usage, "bill": bill, "tools": tools}


async def save_released(database: Database, active: ActiveGeneration, holder: UUID, prices: Prices) -> bool:
    """Save an unfinished answer, and end its lease. Return False if the lease was lost."""
    answer = active.answer
    async with database.write() as session:
        location = await leases.lock_owner_of(session, active.generation_id)
        if location is None:
            return False
        values: dict[str, Any] = {
            "sequence": answer.sequence,
            "first_token_at": active.first_token_at,
            "lease_until": now(),
            "amount": total_amount(active, prices),
        }
        if await leases.renew(session, active.generation_id, holder, values | answer.total()) is None:
            return False
        await leases.write_answer(session, location.message_id, answer.content)
    return True


class StopRequested(Exception):
    """The generation must stop instead of waiting for tools."""


async def save_suspension(
    database: Database, active: ActiveGeneration, suspended: Suspended, holder: UUID
) -> GenerationLocation | None:
    """Save that a generation waits for tool results, and release its lease. Return None if the lease was lost.

    Raises:
        StopRequested: The generation must stop. Nothing is saved.
    """
    SAVE_SUSPENSION.hit(active.generation_id)
    async with database.write() as session:
        location = await leases.lock_owner_of(session, active.generation_id)
        if location is None:
            return None
        values: dict[str, Any] = {
            "status": Status.AWAITING_TOOL_RESULTS,
            "sequence": active.answer.sequence,
            "first_token_at": active.first_token_at,
            "tools_expire_at": suspended.expires_at,
            **dict.fromkeys(("holder", "lease_until", "reserved")),
        }
        renewed = await leases.renew(session, active.generation_id, holder, values)
        if renewed is not None and renewed.stop_requested:
            raise StopRequested
        if renewed is None:
            return None
        await leases.write_answer(session, location.message_id, active.answer.content)
        kind = ChangeKind.UPDATED
        await changes.record(session, location.owner_id, (kind, location.conversation_id, active.generation_id))
        await outbox.add_generation(session, active.generation_id)
    return location


def round_amount(active: ActiveGeneration, prices: Prices) -> int | None:
    """Return the cost of this round, in units; None if the price is not known."""
    return prices.amount(active.model or "", _counts(active.answer), active.answer.terms)


def total_amount(active: ActiveGeneration, prices: Prices) -> int | None:
    """Return the cost of all rounds, in units; None if the price is not known."""
    amount, earlier = round_amount(active, prices), active.answer.earlier_amount
    return None if amount is None or earlier is None else amount + earlier


def _counts(answer: AnswerAccumulator) -> dict[str, int]:
    other_usage = {"cache_write_1h_tokens": answer.cache_write_1h_tokens, "web_searches": answer.web_searches}
    return answer.billed() | other_usage


def calls_of(active: ActiveGeneration, payer: Payer, status: Status, prices: Prices) -> list[ApiCall]:
    """Return the ledger rows of a round, one for each API call, with the successful call last."""
    if active.model is None:
        return []
    answer, rows = active.answer, list[ApiCall]()
    for attempt in active.failed:
        outcome = Status.FAILED if attempt.model is None else Status.COMPLETED
        row = call(payer, prices, attempt.model or active.model, outcome, attempt.usage, answer.requested_terms)
        row.request_id = attempt.request_id
        rows.append(row)
    if answer.billed() or answer.request_id or not (rows or answer.earlier):
        row = call(payer, prices, active.model, status, _counts(answer), answer.terms)
        row.request_id, row.estimated = answer.request_id, not answer.counted
        tools = {"tools": names} if (names := answer.tools_of_round) else {}
        row.details = {**(row.details or {}), **answer.details(), **tools} or None
        rows.append(row)
    return rows


def repairs_of(active: ActiveGeneration) -> Json:
    """Return the column with the repairs of a generation's requests; empty if there are none."""
    repairs = None if active.request is None else active.request.repairs.to_json()
    return {} if repairs is None else {"repairs": repairs}


def _columns(active: ActiveGeneration, status: Status, error: GenerationError | None) -> dict[str, Any]:
    answer = active.answer
    steered = {"steered": True} if active.ended_by_message is not None else {}
    left_out = {"left_out": dict(active.request.left_out)} if active.request and active.request.left_out else {}
    left_out |= repairs_of(active)
    # The token is a secret of a few minutes.
    details = answer.refusal if answer.declined is None else answer.declined
    refusal = {name: text for name, text in (details or {}).items() if name != "fallback_credit_token"}
    return {
        "status": status,
        "sequence": answer.sequence,
        "stop_reason": answer.stop_reason,
        "refusal": refusal if details is not None else None,
        "stop_sequence": answer.stop_sequence,
        "response_id": answer.response_id,
        "error": error.to_json() if error else None,
        "request_id": answer.request_id or (error.request_id if error else None),
        "finished_at": now(),
        "first_token_at": active.first_token_at,
        **steered,
        **left_out,
        **({"trace": active.trace} if active.trace else {}),
        "context_tokens": _context_tokens(active),
    }


def _context_tokens(active: ActiveGeneration) -> int | None:
    """Return the number of tokens of the context window that are in use after the answer; None if it is not known."""
    answer = active.answer
    if answer.stop_reason == COMPACTED:
        # The next request contains only the summary.
        return answer.usage.get("output_tokens")
    return answer.context_tokens or (active.request.context_tokens if active.request else None)
