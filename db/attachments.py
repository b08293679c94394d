"""Queries on attachments, and on the blobs that hold their bytes."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import bindparam, delete, exists, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.ownership import some_of
from tertulia.db.tables import METADATA, Attachment, Blob, now

UNSENT = timedelta(hours=24)
"""How long an upload waits for the message that shows it."""
BEING_STORED = timedelta(hours=1)
"""A blob that no attachment names may be one whose upload goes on, for so long."""
SWEPT_AT_ONCE = 100

_BLOBS = METADATA.tables["blobs"]
_BY_IDS = select(Attachment).where(some_of(Attachment.id), col(Attachment.owner_id) == bindparam("owner"))
_SOURCES = select(Attachment.id, Blob, Attachment.filename).join(Blob).where(some_of(Attachment.id))


async def get_many(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, Attachment]:
    """Give those of the attachments that are the owner's."""
    found = await session.exec(_BY_IDS, params={"owner": owner, "ids": ids})
    return {row.id: row for row in found.all()}


async def of_conversation(session: AsyncSession, owner: UUID, conversation_id: UUID) -> list[Attachment]:
    """Give all that stand in a conversation of the owner's, oldest first."""
    query = select(Attachment).where(Attachment.conversation_id == conversation_id, Attachment.owner_id == owner)
    return list((await session.exec(query.order_by(col(Attachment.id)))).all())


async def claim(session: AsyncSession, ids: Sequence[UUID], conversation_id: UUID) -> None:
    """Let attachments that wait for a conversation belong to this one."""
    if ids:
        claiming = update(METADATA.tables["attachments"]).where(col(Attachment.id).in_(ids))
        await session.exec(claiming.values(conversation_id=conversation_id))


def again(old: Attachment, conversation_id: UUID) -> Attachment:
    """Make another attachment of the same bytes, for another conversation; it is not stored yet."""
    same = ("owner_id", "blob_id", "filename", "media_type", "size_bytes", "width", "height", "pages")
    return Attachment(conversation_id=conversation_id, **{name: getattr(old, name) for name in same})


async def sources(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, tuple[Blob, str]]:
    """Give each attachment's blob and filename, by the attachment's id. Without an owner: for the generator."""
    found = await session.exec(_SOURCES, params={"ids": ids})
    return {attachment_id: (blob, filename) for attachment_id, blob, filename in found.all()}


async def remember_file(session: AsyncSession, blob_id: UUID, file_id: str | None) -> None:
    """Keep the id that Claude's Files API gave, or forget it. Without an owner: for the generator."""
    await session.exec(update(_BLOBS).where(col(Blob.id) == blob_id).values(file_id=file_id))


async def forget_unsent(session: AsyncSession) -> None:
    """Delete uploads that no message has shown for a day. Without an owner: for the sweeper."""
    old = col(Attachment.created_at) < now() - UNSENT
    await session.exec(delete(Attachment).where(col(Attachment.conversation_id).is_(None), old))


async def unused(session: AsyncSession, ids: Sequence[UUID] | None = None) -> list[Blob]:
    """Give blobs that no attachment names: of those ids, or the oldest of all. Without an owner: for the sweeper."""
    query = select(Blob).where(~exists().where(col(Attachment.blob_id) == col(Blob.id)))
    if ids is None:
        query = query.where(col(Blob.created_at) < now() - BEING_STORED)
    else:
        query = query.where(col(Blob.id).in_(ids))
    return list((await session.exec(query.order_by(col(Blob.id)).limit(SWEPT_AT_ONCE))).all())


async def remove_blobs(session: AsyncSession, ids: Sequence[UUID]) -> None:
    """Delete the rows of blobs whose bytes are gone."""
    await session.exec(delete(Blob).where(col(Blob.id).in_(ids)))
