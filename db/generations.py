"""Queries on generations: what callers ask for, and what the generator writes."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import bindparam, delete, func, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.ownership import owned, some_of
from tertulia.db.tables import UNFINISHED, Conversation, Generation, IdempotencyKey, Message, Status, now

KEY_LIFETIME = timedelta(hours=24)


_OWNED = select(Generation).where(owned(Generation.conversation_id))
_BY_IDS = _OWNED.where(some_of(Generation.id))
_WITH_ANSWERS = select(Generation, Message).where(
    some_of(Generation.id), Message.id == Generation.message_id, owned(Generation.conversation_id)
)
_BY_MESSAGES = _OWNED.where(some_of(Generation.message_id))
_UNFINISHED = (
    _OWNED.where(some_of(Generation.conversation_id), col(Generation.status).in_(UNFINISHED))
    # By id is oldest first.
    .order_by(col(Generation.id))
)


async def get_many(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, Generation]:
    """Give those of the generations that stand in the owner's conversations."""
    found = await session.exec(_BY_IDS, params={"owner": owner, "ids": ids})
    return {row.id: row for row in found.all()}


async def count_running(session: AsyncSession, owner: UUID) -> int:
    """Count an owner's answers that are being written; those that wait for their clients cost nothing."""
    mine = select(func.count()).where(owned(Generation.conversation_id), Generation.status == Status.RUNNING)
    return (await session.exec(mine, params={"owner": owner})).one()


async def with_answers(
    session: AsyncSession, owner: UUID, ids: Sequence[UUID]
) -> dict[UUID, tuple[Generation, Message]]:
    """Give those of the generations that stand in the owner's conversations, each with its answer."""
    found = await session.exec(_WITH_ANSWERS, params={"owner": owner, "ids": ids})
    return {generation.id: (generation, message) for generation, message in found.all()}


async def of_messages(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, Generation]:
    """Give the generations that wrote those messages, by the message's id."""
    found = await session.exec(_BY_MESSAGES, params={"owner": owner, "ids": ids})
    return {row.message_id: row for row in found.all()}


async def unfinished(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, list[Generation]]:
    """Give the generations that run or wait in those conversations, oldest first, by the conversation's id."""
    found: dict[UUID, list[Generation]] = {}
    for row in (await session.exec(_UNFINISHED, params={"owner": owner, "ids": ids})).all():
        found.setdefault(row.conversation_id, []).append(row)
    return found


_ACTIVE = (
    select(Generation, Conversation.active_leaf_id)
    .join(Conversation)
    .where(
        some_of(Generation.conversation_id),
        col(Generation.status).in_(UNFINISHED),
        col(Conversation.owner_id) == bindparam("owner"),
    )
    .order_by(col(Generation.id))
)


async def active(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, Generation]:
    """Give what runs in each of those conversations, or waits first in its line, by the conversation's id.

    Of several branches the one that is shown counts, if it is being answered.
    """
    lines: dict[UUID, list[Generation]] = {}
    leaves: dict[UUID, UUID | None] = {}
    for row, leaf in (await session.exec(_ACTIVE, params={"owner": owner, "ids": ids})).all():
        lines.setdefault(row.conversation_id, []).append(row)
        leaves[row.conversation_id] = leaf
    return {own: _first(line, leaves[own]) for own, line in lines.items()}


def _first(line: Sequence[Generation], leaf: UUID | None) -> Generation:
    by_id = {one.id: one for one in line}
    found = next((one for one in line if one.message_id == leaf), line[0])
    while found.waits_for is not None and found.waits_for in by_id:
        found = by_id[found.waits_for]
    return found


async def unfinished_of_owner(session: AsyncSession, owner: UUID) -> Sequence[UUID]:
    """Return the ids of the owner's generations that run or wait, oldest first."""
    query = select(Generation.id).join(Conversation).order_by(col(Generation.id))
    return (
        await session.exec(query.where(Conversation.owner_id == owner, col(Generation.status).in_(UNFINISHED)))
    ).all()


async def by_key(session: AsyncSession, owner: UUID, key: str) -> IdempotencyKey | None:
    """Give what an idempotency key of the last 24 hours stands for."""
    found = await session.get(IdempotencyKey, (owner, key))
    if found is not None and found.created_at < now() - KEY_LIFETIME:
        await session.delete(found)
        await session.flush()
        return None
    return found


async def trim_keys(session: AsyncSession, most: int) -> int:
    """Delete at most so many idempotency keys that are older than 24 hours; return how many."""
    key = tuple_(IdempotencyKey.owner_id, IdempotencyKey.key)
    old = select(IdempotencyKey.owner_id, IdempotencyKey.key).where(
        col(IdempotencyKey.created_at) < now() - KEY_LIFETIME
    )
    done = await session.exec(delete(IdempotencyKey).where(key.in_(old.limit(most))))
    return done.rowcount


_WHOLE = select(Generation, Message, Conversation).where(
    Generation.id == bindparam("generation"),
    Message.id == Generation.message_id,
    Conversation.id == Generation.conversation_id,
)


async def unscoped(session: AsyncSession, generation_id: UUID) -> tuple[Generation, Message, Conversation] | None:
    """Give a generation with its answer and conversation. Without an owner: for the generator alone."""
    return (await session.exec(_WHOLE, params={"generation": generation_id})).one_or_none()
