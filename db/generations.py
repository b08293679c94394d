"""Queries on generations, for the API and for the generator."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import sqlalchemy
from sqlalchemy import Uuid, bindparam, delete, func, literal, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.ownership import owned, owned_row, some_of
from tertulia.db.rows import GENERATIONS, MESSAGES, GenerationRow, MessageRow, raw, read
from tertulia.db.statements import fetch
from tertulia.db.tables import METADATA, UNFINISHED, Conversation, Generation, IdempotencyKey, Message, Status, now
from tertulia.json import Json

KEY_LIFETIME = timedelta(hours=24)


_OWNED = select(Generation).where(owned(Generation.conversation_id))
_BY_IDS = _OWNED.where(some_of(Generation.id))
_READ = sqlalchemy.select(*GENERATIONS.columns).where(owned(Generation.conversation_id))
_READ_BY_IDS = _READ.where(some_of(Generation.id))
_READ_BY_MESSAGES = _READ.where(some_of(Generation.message_id))
_WITH_ANSWERS = sqlalchemy.select(*GENERATIONS.columns, *MESSAGES.columns).where(
    some_of(Generation.id), col(Message.id) == col(Generation.message_id), owned(Generation.conversation_id)
)
_BY_MESSAGES = _OWNED.where(some_of(Generation.message_id))
_UNFINISHED = (
    _OWNED.where(some_of(Generation.conversation_id), col(Generation.status).in_(UNFINISHED))
    # Ids are UUIDv7, so this order is oldest first.
    .order_by(col(Generation.id))
)


async def get_many(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, Generation]:
    """Return the generations with these ids that are in the owner's conversations, by id, with all columns."""
    rows = await session.exec(_BY_IDS, params={"owner": owner, "ids": ids})
    return {row.id: row for row in rows.all()}


async def read_many(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, GenerationRow]:
    """Return the generations with these ids that are in the owner's conversations, by id."""
    result = await read(session, _READ_BY_IDS, {"owner": owner, "ids": ids})
    return {row.id: row for row in result.rows(GENERATIONS)}


async def count_running(session: AsyncSession, owner: UUID) -> int:
    """Count an owner's running generations, without those that wait for tool results, because waiting costs nothing."""
    mine = select(func.count()).where(owned(Generation.conversation_id), Generation.status == Status.RUNNING)
    return (await session.exec(mine, params={"owner": owner})).one()


async def with_answers(
    session: AsyncSession, owner: UUID, ids: Sequence[UUID]
) -> dict[UUID, tuple[GenerationRow, MessageRow]]:
    """Return the generations with these ids that are in the owner's conversations, each with its answer, by id."""
    result = await read(session, _WITH_ANSWERS, {"owner": owner, "ids": ids})
    rows = zip(result.rows(GENERATIONS), result.rows(MESSAGES), strict=True)
    return {generation.id: (generation, message) for generation, message in rows}


async def read_of_messages(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, GenerationRow]:
    """Return the generations that wrote the messages, by the message's id."""
    result = await read(session, _READ_BY_MESSAGES, {"owner": owner, "ids": ids})
    return {row.message_id: row for row in result.rows(GENERATIONS)}


async def of_messages(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, Generation]:
    """Return the generations that wrote the messages, by the message's id, with all columns."""
    rows = await session.exec(_BY_MESSAGES, params={"owner": owner, "ids": ids})
    return {row.message_id: row for row in rows.all()}


async def unfinished(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, list[Generation]]:
    """Return the unfinished generations of each conversation, oldest first, by the conversation's id."""
    by_conversation: dict[UUID, list[Generation]] = {}
    for row in (await session.exec(_UNFINISHED, params={"owner": owner, "ids": ids})).all():
        by_conversation.setdefault(row.conversation_id, []).append(row)
    return by_conversation


_ACTIVE = (
    sqlalchemy.select(*GENERATIONS.columns, raw(Conversation.active_leaf_id))
    .join(Conversation, col(Conversation.id) == col(Generation.conversation_id))
    .where(
        some_of(Generation.conversation_id),
        # Each is a separate parameter. SQLAlchemy renders a list of values for each execution.
        col(Generation.status).in_(
            [literal(status, METADATA.tables["generations"].c.status.type) for status in UNFINISHED]
        ),
        owned_row(Conversation.owner_id),
    )
    .order_by(col(Generation.id))
)


async def active(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, GenerationRow]:
    """Return the generation of each conversation that runs or is the first in the queue, by the conversation's id.

    If several branches have one, that of the active branch is returned.
    """
    queues: dict[UUID, list[GenerationRow]] = {}
    leaves: dict[UUID, UUID | None] = {}
    result = await read(session, _ACTIVE, {"owner": owner, "ids": ids})
    for row, leaf in zip(result.rows(GENERATIONS), result.values(Uuid()), strict=True):
        queues.setdefault(row.conversation_id, []).append(row)
        leaves[row.conversation_id] = leaf
    return {key: _first(queue, leaves[key]) for key, queue in queues.items()}


def _first(queue: Sequence[GenerationRow], leaf: UUID | None) -> GenerationRow:
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


async def by_key(session: AsyncSession, owner: UUID, key: str, *, writes: bool) -> IdempotencyKey | None:
    """Return the row of an idempotency key that was used in the last 24 hours.

    Args:
        session: The session to use.
        owner: The user who used the key.
        key: The key.
        writes: Whether the transaction writes. Then an older row is deleted, so that the key can be stored again.
    """
    row = await session.get(IdempotencyKey, (owner, key))
    if row is None or row.created_at >= now() - KEY_LIFETIME:
        return row
    if writes:
        await session.delete(row)
        await session.flush()
    return None


async def trim_keys(session: AsyncSession, most: int) -> int:
    """Delete up to `most` idempotency keys that are older than 24 hours. Return how many were deleted."""
    key = tuple_(IdempotencyKey.owner_id, IdempotencyKey.key)
    old = select(IdempotencyKey.owner_id, IdempotencyKey.key).where(
        col(IdempotencyKey.created_at) < now() - KEY_LIFETIME
    )
    old = old.limit(most).with_for_update(skip_locked=True)
    done = await session.exec(delete(IdempotencyKey).where(key.in_(old)))
    return done.rowcount


_WHOLE = select(Generation, Message, Conversation).where(
    Generation.id == bindparam("generation"),
    Message.id == Generation.message_id,
    Conversation.id == Generation.conversation_id,
)


async def unscoped(session: AsyncSession, generation_id: UUID) -> tuple[Generation, Message, Conversation] | None:
    """Return a generation with its answer and its conversation. For the generator: not limited to an owner."""
    return (await session.exec(_WHOLE, params={"generation": generation_id})).one_or_none()


class AnswerToTitle(NamedTuple):
    """The columns of an answer that the title of its conversation depends on."""

    message_id: UUID
    model: str
    options: Json
    plan: str | None
    stop_reason: str | None
    depth: int
    title: str | None
    temporary: bool


_GENERATIONS, _MESSAGES, _CONVERSATIONS = (
    METADATA.tables[name] for name in ("generations", "messages", "conversations")
)
_TO_TITLE = sqlalchemy.select(
    *(_GENERATIONS.c[name] for name in ("message_id", "model", "options", "plan", "stop_reason")),
    _MESSAGES.c.depth,
    _CONVERSATIONS.c.title,
    _CONVERSATIONS.c.temporary,
).where(
    _GENERATIONS.c.id == bindparam("generation"),
    _MESSAGES.c.id == _GENERATIONS.c.message_id,
    _CONVERSATIONS.c.id == _GENERATIONS.c.conversation_id,
)


async def to_title(session: AsyncSession, generation_id: UUID) -> AnswerToTitle | None:
    """Return what the title after an answer depends on. For the generator: not limited to an owner."""
    rows = await fetch(session, _TO_TITLE, {"generation": generation_id})
    return AnswerToTitle(*rows[0]) if rows else None
