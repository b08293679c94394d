"""Queries on generations: what callers ask for, and what the generator writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import Select

from db.ownership import owned, some_of
from db.tables import UNFINISHED, Conversation, Generation, IdempotencyKey, Message, now

KEY_LIFETIME = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class UsageSum:
    """Tokens as Claude's API billed them, of one or many generations."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def cost_usd(self) -> Decimal | None:
        """The price is not known here."""
        return None


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


async def active(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, Generation]:
    """Give the first of those that run or wait in each of those conversations, by the conversation's id."""
    return {own: line[0] for own, line in (await unfinished(session, owner, ids)).items()}


async def count_unfinished(session: AsyncSession, owner: UUID) -> int:
    """Count the owner's generations that run or wait."""
    query = select(func.count()).select_from(Generation).join(Conversation)
    query = query.where(Conversation.owner_id == owner, col(Generation.status).in_(UNFINISHED))
    return (await session.exec(query)).one()


async def by_key(session: AsyncSession, owner: UUID, key: str) -> IdempotencyKey | None:
    """Give what an idempotency key of the last 24 hours stands for."""
    found = await session.get(IdempotencyKey, (owner, key))
    if found is not None and found.created_at < now() - KEY_LIFETIME:
        await session.delete(found)
        await session.flush()
        return None
    return found


async def usage_of_owner(session: AsyncSession, owner: UUID, since: datetime | None) -> UsageSum:
    """Sum the owner's usage, of all time or since a moment."""
    query = cast("Select[int, int, int, int]", Select(*_sums()).join(Conversation))
    query = query.where(Conversation.owner_id == owner)
    if since is not None:
        query = query.where(col(Generation.created_at) >= since)
    return UsageSum(*(await session.exec(query)).one())


_WHOLE = select(Generation, Message, Conversation).where(
    Generation.id == bindparam("generation"),
    Message.id == Generation.message_id,
    Conversation.id == Generation.conversation_id,
)


async def unscoped(session: AsyncSession, generation_id: UUID) -> tuple[Generation, Message, Conversation] | None:
    """Give a generation with its answer and conversation. Without an owner: for the generator alone."""
    return (await session.exec(_WHOLE, params={"generation": generation_id})).one_or_none()


async def of_conversation(session: AsyncSession, owner: UUID, conversation_id: UUID) -> Sequence[UUID]:
    """Give the ids of all generations of the owner's conversation."""
    query = select(Generation.id).join(Conversation)
    query = query.where(Conversation.owner_id == owner, Generation.conversation_id == conversation_id)
    return (await session.exec(query)).all()


def _sums() -> list[ColumnElement[Any]]:
    counts = (
        col(Generation.input_tokens),
        col(Generation.output_tokens),
        col(Generation.cache_read_tokens),
        col(Generation.cache_write_tokens),
    )
    return [func.coalesce(func.sum(count), 0) for count in counts]
