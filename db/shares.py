"""Shares: links to frozen branches. A share refers to the last message of its branch, whose messages never change."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy
from sqlalchemy import BigInteger, Index, bindparam, delete, or_, update
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.conversations import NEVER
from tertulia.db.paging import Connection, Page, connect, decode_id, encode_cursor
from tertulia.db.statements import defer
from tertulia.db.tables import METADATA, Conversation, Message, UtcDateTime, new_id, now, optional_time


def _reference(column: str) -> Any:
    return Field(foreign_key=column, ondelete="CASCADE", nullable=False)


class Share(SQLModel, table=True):
    """A link to a branch. The token is stored as its SHA-256 hash: it is long and random, so it needs no slower hash.

    The foreign keys delete it with its owner, its conversation and any message of its branch: deleting a message
    deletes all messages after it, and so the last one.
    """

    __tablename__: ClassVar[Any] = "shares"
    __table_args__: ClassVar[Any] = (
        Index("shares_by_owner", "owner_id", "id"),
        Index("shares_by_conversation", "conversation_id", "id"),
        Index("shares_by_leaf", "leaf_id"),
        Index("shares_by_expiry", "expires_at"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    owner_id: UUID = _reference("users.id")
    conversation_id: UUID = _reference("conversations.id")
    leaf_id: UUID = _reference("messages.id")
    digest: str = Field(unique=True)
    # The title when the link was created.
    title: str | None = None
    include_thinking: bool = False
    include_tools: bool = False
    include_context: bool = False
    views: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    expires_at: datetime | None = optional_time()
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime, nullable=False)


_SHARES = METADATA.tables["shares"]
_IS_VALID = or_(col(Share.expires_at).is_(None), col(Share.expires_at) > bindparam("now", type_=UtcDateTime))
_OPENED = (
    select(Share)
    .join(Conversation, col(Conversation.id) == col(Share.conversation_id))
    .join(Message, col(Message.id) == col(Share.leaf_id))
    .where(
        Share.digest == bindparam("digest"),
        _IS_VALID,
        # Conversations and messages that are being deleted are hidden at once, and deleted a little later.
        Conversation.updated_at != NEVER,
        Message.conversation_id == Share.conversation_id,
    )
)


async def by_digest(session: AsyncSession, digest: str) -> Share | None:
    """Return the share whose token has this hash, or None if it is not valid. The token is the permission to read."""
    return (await session.exec(_OPENED, params={"digest": digest, "now": now()})).one_or_none()


async def page(
    session: AsyncSession, owner: UUID, page: Page, conversation_id: UUID | None = None
) -> Connection[Share]:
    """Return a page of the owner's valid shares, or of those of one conversation, newest first."""
    query = select(Share).where(Share.owner_id == owner, _IS_VALID)
    if conversation_id is not None:
        query = query.where(Share.conversation_id == conversation_id)
    if page.after is not None:
        query = query.where(col(Share.id) < decode_id("after", page.after))
    if page.before is not None:
        query = query.where(col(Share.id) > decode_id("before", page.before))
    order = col(Share.id).asc() if page.backward else col(Share.id).desc()
    rows = (await session.exec(query.order_by(order).limit(page.size + 1), params={"now": now()})).all()
    return connect(rows, page, lambda share: encode_cursor(str(share.id)))


async def remove(session: AsyncSession, owner: UUID, share_id: UUID) -> UUID | None:
    """Delete a share of the owner. Return the id of its conversation, or None if the owner has no such share."""
    mine = _SHARES.c.owner_id == owner, _SHARES.c.id == share_id
    connection = await session.connection()
    deleted = await connection.execute(delete(_SHARES).where(*mine).returning(_SHARES.c.conversation_id))
    return deleted.scalar_one_or_none()


async def trim(session: AsyncSession, most: int) -> int:
    """Delete up to `most` expired shares. Return how many were deleted."""
    expired = select(Share.id).where(col(Share.expires_at) <= now()).limit(most).with_for_update(skip_locked=True)
    return (await session.exec(delete(Share).where(col(Share.id).in_(expired)))).rowcount


_ADD_VIEWS = (
    update(_SHARES)
    .where(_SHARES.c.id == bindparam("share"))
    .values(views=_SHARES.c.views + bindparam("more", type_=sqlalchemy.BigInteger))
)


async def add_views(session: AsyncSession, share_id: UUID, more: int) -> None:
    """Add to the views of a share, unless it was deleted.

    A transaction must add to one share only: deletions lock the shares of a conversation in an order of their own.
    """
    await defer(session, _ADD_VIEWS, {"share": share_id, "more": more})
