"""Queries on attachments, and on the blobs that hold their bytes."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, exists, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.ownership import owned_row, some_of
from tertulia.db.tables import METADATA, Attachment, Blob, now

UNSENT = timedelta(hours=24)
"""How long an upload is kept without a message that refers to it."""
BEING_STORED = timedelta(hours=1)
"""How long a blob without an attachment is kept, because its upload may still be in progress."""
SWEPT_AT_ONCE = 100
SIZES = ("width", "height", "pages", "characters", "sent_bytes")
"""The columns that describe the content that Claude receives."""

_BLOBS = METADATA.tables["blobs"]
_BY_IDS = select(Attachment).where(some_of(Attachment.id), owned_row(Attachment.owner_id))
_SOURCES = select(Attachment.id, Blob, Attachment.filename).join(Blob).where(some_of(Attachment.id))


async def get_many(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, Attachment]:
    """Return the attachments with these ids that belong to the owner, by id."""
    rows = await session.exec(_BY_IDS, params={"owner": owner, "ids": ids})
    return {row.id: row for row in rows.all()}


async def of_conversation(session: AsyncSession, owner: UUID, conversation_id: UUID) -> list[Attachment]:
    """Return all attachments of a conversation of the owner, oldest first."""
    query = select(Attachment).where(Attachment.conversation_id == conversation_id, Attachment.owner_id == owner)
    return list((await session.exec(query.order_by(col(Attachment.id)))).all())


async def claim(session: AsyncSession, ids: Sequence[UUID], conversation_id: UUID) -> None:
    """Assign attachments to a conversation. The caller has checked that they belong to none."""
    if ids:
        claiming = update(METADATA.tables["attachments"]).where(col(Attachment.id).in_(ids))
        await session.exec(claiming.values(conversation_id=conversation_id))


def copy_for(old: Attachment, conversation_id: UUID) -> Attachment:
    """Return a new attachment with the same bytes for another conversation, without storing it."""
    same = ("owner_id", "blob_id", "filename", "media_type", "size_bytes", *SIZES)
    return Attachment(conversation_id=conversation_id, **{name: getattr(old, name) for name in same})


async def sources(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, tuple[Blob, str]]:
    """Return the blob and the filename of each attachment, by the attachment's id. Not limited to an owner."""
    rows = await session.exec(_SOURCES, params={"ids": ids})
    return {attachment_id: (blob, filename) for attachment_id, blob, filename in rows.all()}


async def blob(session: AsyncSession, blob_id: UUID) -> Blob | None:
    """Return a blob by its id. Not limited to an owner."""
    return await session.get(Blob, blob_id)


async def remember_file(session: AsyncSession, blob_id: UUID, file_id: str | None) -> None:
    """Store the id that a blob has in Claude's Files API, or remove it with None. Not limited to an owner."""
    await session.exec(update(_BLOBS).where(col(Blob.id) == blob_id).values(file_id=file_id))


async def forget_unsent(session: AsyncSession) -> None:
    """Delete the uploads of all owners that no message has used within a day."""
    unsent = select(Attachment.id).where(
        col(Attachment.conversation_id).is_(None), col(Attachment.created_at) < now() - UNSENT
    )
    await session.exec(delete(Attachment).where(col(Attachment.id).in_(unsent.with_for_update(skip_locked=True))))


async def unused(session: AsyncSession, ids: Sequence[UUID] | None = None) -> list[Blob]:
    """Return blobs that no attachment refers to. Not limited to an owner.

    Args:
        session: The session to use.
        ids: The blobs to check; None for all that are older than an hour.

    Returns:
        Up to 100 blobs, oldest first.
    """
    query = select(Blob).where(~exists().where(col(Attachment.blob_id) == col(Blob.id)))
    if ids is None:
        query = query.where(col(Blob.created_at) < now() - BEING_STORED)
    else:
        query = query.where(col(Blob.id).in_(ids))
    return list((await session.exec(query.order_by(col(Blob.id)).limit(SWEPT_AT_ONCE))).all())


async def remove_blobs(session: AsyncSession, ids: Sequence[UUID]) -> None:
    """Delete the rows of blobs. The caller has deleted their bytes."""
    await session.exec(delete(Blob).where(col(Blob.id).in_(ids)))
