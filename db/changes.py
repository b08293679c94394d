"""The numbered changes to an owner's conversations, for lists on several devices.

Numbers are given under a lock on the owner's row, so that they become visible in their order: who has seen number n has
missed nothing below it.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.tables import ChangeKind, ConversationChange, User, now

KEPT = timedelta(hours=24)
PAGE = 100


async def record(
    session: AsyncSession, owner: UUID, kind: ChangeKind, conversation_id: UUID, generation_id: UUID | None = None
) -> None:
    """Number and keep a change, in the transaction that makes it; locks the owner."""
    counting = update(User).where(col(User.id) == owner).values(changes=col(User.changes) + 1)
    sequence = (await session.exec(counting.returning(col(User.changes)))).one()[0]
    session.add(
        ConversationChange(
            owner_id=owner,
            sequence=sequence,
            kind=kind,
            conversation_id=conversation_id,
            generation_id=generation_id,
        )
    )


async def newest(session: AsyncSession, owner: UUID) -> int:
    """Give the number of the owner's last change, 0 before the first."""
    return (await session.exec(select(User.changes).where(User.id == owner))).one()


async def oldest_kept(session: AsyncSession, owner: UUID) -> int | None:
    """Give the lowest number that is still kept."""
    query = select(func.min(ConversationChange.sequence)).where(ConversationChange.owner_id == owner)
    return (await session.exec(query)).one()


async def behind(session: AsyncSession, owner: UUID, after: int) -> Sequence[ConversationChange]:
    """Give the changes behind a number, in order, a hundred at most."""
    query = select(ConversationChange).where(ConversationChange.owner_id == owner, ConversationChange.sequence > after)
    return (await session.exec(query.order_by(col(ConversationChange.sequence)).limit(PAGE))).all()


async def trim(session: AsyncSession) -> None:
    """Forget what is older than a day, of all owners."""
    await session.exec(delete(ConversationChange).where(col(ConversationChange.created_at) < now() - KEPT))
