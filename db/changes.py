"""The numbered changes to an owner's conversations, for lists on several devices.

Numbers are given under a lock on the owner's row, so that they become visible in their order: who has seen number n has
missed nothing below it.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import bindparam, delete, func, insert, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.tables import METADATA, ChangeKind, ConversationChange, User, now

USERS = METADATA.tables["users"]
KEPT = timedelta(hours=24)
PAGE = 100


Happened = tuple[ChangeKind, UUID, UUID | None]
"""What happened, to which conversation, by which generation."""

_COUNT = (
    update(USERS)
    .where(USERS.c.id == bindparam("owner"))
    .values(changes=USERS.c.changes + bindparam("more"))
    .returning(USERS.c.changes)
)
_INSERT = insert(METADATA.tables["conversation_changes"])


async def record(session: AsyncSession, owner: UUID, *happened: Happened) -> None:
    """Number and keep changes, in the transaction that makes them; locks the owner."""
    connection = await session.connection()
    last: int = (await connection.execute(_COUNT, {"owner": owner, "more": len(happened)})).scalar_one()
    keys, created = ("owner_id", "sequence", "created_at", "kind", "conversation_id", "generation_id"), now()
    first = last - len(happened) + 1
    rows = [dict(zip(keys, (owner, first + place, created, *one), strict=True)) for place, one in enumerate(happened)]
    await connection.execute(_INSERT, rows)


async def newest(session: AsyncSession, owner: UUID) -> int:
    """Give the number of the owner's last change, 0 before the first."""
    return (await session.exec(select(User.changes).where(User.id == owner))).one()


async def oldest_kept(session: AsyncSession, owner: UUID) -> int | None:
    """Give the lowest number that is still kept."""
    query = select(func.min(ConversationChange.sequence)).where(ConversationChange.owner_id == owner)
    return (await session.exec(query)).one()


async def changes_after(session: AsyncSession, owner: UUID, after: int) -> Sequence[ConversationChange]:
    """Give the changes behind a number, in order, a hundred at most."""
    query = select(ConversationChange).where(ConversationChange.owner_id == owner, ConversationChange.sequence > after)
    return (await session.exec(query.order_by(col(ConversationChange.sequence)).limit(PAGE))).all()


async def trim(session: AsyncSession) -> None:
    """Forget what is older than a day, of all owners."""
    await session.exec(delete(ConversationChange).where(col(ConversationChange.created_at) < now() - KEPT))
