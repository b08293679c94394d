"""Queries on the numbered changes to an owner's conversations, which keep lists on several devices in sync.

Numbers are assigned under a lock on the owner's row, so that changes become visible in order: a reader that has seen
number n has missed no lower number.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Integer, bindparam, delete, func, insert, tuple_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db import outbox
from tertulia.db.statements import defer
from tertulia.db.tables import METADATA, ChangeKind, ConversationChange, User, now

USERS = METADATA.tables["users"]
KEPT = timedelta(hours=24)
PAGE = 100


Change = tuple[ChangeKind, UUID, UUID | None]
"""The kind of a change, its conversation, and the generation that caused it, if any."""

_CHANGES = METADATA.tables["conversation_changes"]
_COUNT = (
    update(USERS)
    .where(USERS.c.id == bindparam("owner"))
    .values(changes=USERS.c.changes + bindparam("more", type_=Integer))
)
_NEWEST = select(USERS.c.changes).where(USERS.c.id == bindparam("of")).scalar_subquery()
_INSERT = insert(_CHANGES).values(sequence=_NEWEST - bindparam("newer", type_=Integer))
_EVENTS = {ChangeKind.CREATED: "conversation.created", ChangeKind.DELETED: "conversation.deleted"}


async def record(session: AsyncSession, owner: UUID, *changes: Change) -> None:
    """Number and store changes, and their events, in the transaction that makes them. This locks the owner."""
    await defer(session, _COUNT, {"owner": owner, "more": len(changes)})
    common, keys = {"owner_id": owner, "of": owner, "created_at": now()}, ("kind", "conversation_id", "generation_id")
    newer = range(len(changes) - 1, -1, -1)
    rows = [
        {**common, "newer": count, **dict(zip(keys, change, strict=True))}
        for count, change in zip(newer, changes, strict=True)
    ]
    await defer(session, _INSERT, rows)
    for kind, conversation_id, _ in changes:
        if (event := _EVENTS.get(kind)) is not None:
            await outbox.add(session, owner, event, {"conversation_id": conversation_id})


async def newest(session: AsyncSession, owner: UUID) -> int:
    """Return the number of the owner's last change, or 0 if there is none."""
    return (await session.exec(select(User.changes).where(User.id == owner))).one()


async def oldest_kept(session: AsyncSession, owner: UUID) -> int | None:
    """Return the lowest number that is still stored, or None if there is none."""
    query = select(func.min(ConversationChange.sequence)).where(ConversationChange.owner_id == owner)
    return (await session.exec(query)).one()


async def changes_after(session: AsyncSession, owner: UUID, after: int) -> Sequence[ConversationChange]:
    """Return the changes after a number, in order, at most `PAGE`."""
    query = select(ConversationChange).where(ConversationChange.owner_id == owner, ConversationChange.sequence > after)
    return (await session.exec(query.order_by(col(ConversationChange.sequence)).limit(PAGE))).all()


async def trim(session: AsyncSession) -> None:
    """Delete the changes of all owners that are older than 24 hours."""
    key = tuple_(_CHANGES.c.owner_id, _CHANGES.c.sequence)
    old = select(_CHANGES.c.owner_id, _CHANGES.c.sequence).where(_CHANGES.c.created_at < now() - KEPT)
    await session.exec(delete(_CHANGES).where(key.in_(old.with_for_update(skip_locked=True))))
