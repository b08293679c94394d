"""Queries on generations, for the API and for the generator."""

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
    # Ids are UUIDv7, so this order is oldest first.
    .order_by(col(Generation.id))
)


async def get_many(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, Generation]:
    """Return the generations with these ids that are in the owner's conversations, by id."""
    rows = await session.exec(_BY_IDS, params={"owner": owner, "ids": ids})
    return {row.id: row for row in rows.all()}


async def count_running(session: AsyncSession, owner: UUID) -> int:
    """Count an owner's running generations, without those that wait for tool results, because waiting costs nothing."""
    mine = select(func.count()).where(owned(Generation.conversation_id), Generation.status == Status.RUNNING)
    return (await session.exec(mine, params={"owner": owner})).one()


async def with_answers(
    session: AsyncSession, owner: UUID, ids: Sequence[UUID]
) -> dict[UUID, tuple[Generation, Message]]:
    """Return the generations with these ids that are in the owner's conversations, each with its answer, by id."""
    rows = await session.exec(_WITH_ANSWERS, params={"owner": owner, "ids": ids})
    return {generation.id: (generation, message) for generation, message in rows.all()}


async def of_messages(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, Generation]:
    """Return the generations that wrote the messages, by the message's id."""
    rows = await session.exec(_BY_MESSAGES, params={"owner": owner, "ids": ids})
    return {row.message_id: row for row in rows.all()}


async def unfinished(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, list[Generation]]:
    """Return the unfinished generations of each conversation, oldest first, by the conversation's id."""
    by_conversation: dict[UUID, list[Generation]] = {}
    for row in (await session.exec(_UNFINISHED, params={"owner": owner, "ids": ids})).all():
        by_conversation.setdefault(row.conversation_id, []).append(row)
    return by_conversation


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
    """Return the generation of each conversation that runs or is the first in the queue, by the conversation's id.

    If several branches have one, that of the active branch is returned.
    """
    queues: dict[UUID, list[Generation]] = {}
    leaves: dict[UUID, UUID | None] = {}
    for row, leaf in (await session.exec(_ACTIVE, params={"owner": owner, "ids": ids})).all():
        queues.setdefault(row.conversation_id, []).append(row)
        leaves[row.conversation_id] = leaf
    return {key: _first(queue, leaves[key]) for key, queue in queues.items()}


def _first(queue: Sequence[Generation], leaf: UUID | None) -> Generation:
    by_id = {generation.id: generation for generation in queue}
    first = next((generation for generation in queue if generation.message_id == leaf), queue[0])
    while first.waits_for is not None and first.waits_for in by_id:
        first = by_id[first.waits_for]
    return first


async def unfinished_of_owner(session: AsyncSession, owner: UUID) -> Sequence[UUID]:
    """Return the ids of the owner's unfinished generations, oldest first."""
    query = select(Generation.id).join(Conversation).order_by(col(Generation.id))
    return (
        await session.exec(query.where(Conversation.owner_id == owner, col(Generation.status).in_(UNFINISHED)))
    ).all()


async def by_key(session: AsyncSession, owner: UUID, key: str) -> IdempotencyKey | None:
    """Return the row of an idempotency key that was used in the last 24 hours. An older row is deleted."""
    row = await session.get(IdempotencyKey, (owner, key))
    if row is not None and row.created_at < now() - KEY_LIFETIME:
        await session.delete(row)
        await session.flush()
        return None
    return row


async def trim_keys(session: AsyncSession, most: int) -> int:
    """Delete up to `most` idempotency keys that are older than 24 hours. Return how many were deleted."""
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
    """Return a generation with its answer and its conversation. For the generator: not limited to an owner."""
    return (await session.exec(_WHOLE, params={"generation": generation_id})).one_or_none()
