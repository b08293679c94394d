"""Queries on guests: users without an account, whose conversations an account can take over."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db import changes, leases, memories, search
from tertulia.db.identities import SignIn
from tertulia.db.tables import METADATA, ChangeKind, Conversation, IdempotencyKey, Message, User
from tertulia.db.tool_connections import ToolConnection

ISSUER = "guest"
"""The value of `issuer` for guests in the table of users."""
PLAN = "guest"
"""The plan of guests."""
_STAYS = (
    "sign_ins",
    "personal_tokens",
    "conversation_changes",
    "idempotency_keys",
    "limit_hits",
    "tool_authorizations",
    "tool_connections",
)
"""The tables of which an account gets no rows, because they belong to the sign-ins and requests of the guest."""
_USERS = METADATA.tables["users"]


async def convert(session: AsyncSession, guest: UUID, account: User) -> bool:
    """Turn a guest into an account with the name and the password of `account`, and revoke the guest's sign-ins.

    Returns:
        False if the name is taken, or the user is not a guest.
    """
    values = {
        "name": account.name,
        "name_skeleton": account.name_skeleton,
        "password_hash": account.password_hash,
        "issuer": None,
        "subject": None,
        "plan": None,
    }
    try:
        async with session.begin_nested():
            done = await session.exec(update(_USERS).where(_is_guest(guest)).values(**values))
    except IntegrityError:
        return False
    return bool(done.rowcount)


async def move(session: AsyncSession, guest: UUID, owner: UUID) -> Sequence[UUID]:
    """Move all rows of a guest to another user, in the caller's transaction.

    Both are locked. The guest has no unfinished generations. An external id that the owner already uses is removed.

    Returns:
        The ids of the conversations. Empty if the user is not a guest, or has none.
    """
    for user_id in sorted((guest, owner)):
        await leases.lock_owner(session, user_id)
    if (await session.exec(select(User.id).where(_is_guest(guest)))).one_or_none() is None:
        return []
    taken = select(Conversation.external_id).where(Conversation.owner_id == owner)
    theirs = METADATA.tables["conversations"].c.owner_id == guest
    conversations = METADATA.tables["conversations"]
    clashes = update(conversations).where(theirs, conversations.c.external_id.in_(taken)).values(external_id=None)
    await session.exec(clashes)
    await session.exec(delete(IdempotencyKey).where(col(IdempotencyKey.owner_id) == guest))
    await session.exec(delete(ToolConnection).where(col(ToolConnection.owner_id) == guest))
    listed = await _listed(session, guest)
    await _index_for(session, guest, owner)
    await memories.move_guest(session, guest, owner)
    for table in METADATA.sorted_tables:
        column = table.c.get("owner_id")
        if column is not None and column.foreign_keys and table.name not in _STAYS:
            await session.exec(update(table).where(column == guest).values(owner_id=owner))
    if listed:
        await changes.record(session, owner, *[(ChangeKind.CREATED, id, None) for id in listed])
    return listed


async def is_guest(session: AsyncSession, user_id: UUID) -> bool:
    """Return whether the user is a guest."""
    return (await session.exec(select(User.id).where(_is_guest(user_id)))).one_or_none() is not None


async def unused_since(session: AsyncSession, before: datetime, most: int) -> Sequence[UUID]:
    """Return guests who came before a time, and have neither signed in nor changed a conversation since."""
    used = exists().where(col(Conversation.owner_id) == col(User.id), col(Conversation.updated_at) >= before)
    signed_in = exists().where(col(SignIn.owner_id) == col(User.id), col(SignIn.rotated_at) >= before)
    query = select(User.id).where(User.issuer == ISSUER, User.created_at < before, ~used, ~signed_in)
    return (await session.exec(query.order_by(col(User.id)).limit(most))).all()


async def _listed(session: AsyncSession, guest: UUID) -> Sequence[UUID]:
    query = select(Conversation.id).where(Conversation.owner_id == guest, col(Conversation.temporary).is_(False))
    return (await session.exec(query.order_by(col(Conversation.id)))).all()


async def _index_for(session: AsyncSession, guest: UUID, owner: UUID) -> None:
    """Index the guest's messages for the search of another user."""
    query = select(Message).join(Conversation).where(Conversation.owner_id == guest)
    query = query.where(col(Conversation.temporary).is_(False)).order_by(col(Message.id))
    # The lock makes `search.rebuild` skip them.
    rows = (await session.exec(query.with_for_update(key_share=True, of=Message))).all()
    await search.reindex(session, *[(owner, message.id, message.content) for message in rows])


def _is_guest(user_id: UUID) -> ColumnElement[bool]:
    return (_USERS.c.id == user_id) & (_USERS.c.issuer == ISSUER)
