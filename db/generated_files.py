"""The files that Claude made for an answer, and the attachments as which they are stored.

The blocks of the answer contain only the ids of the files, and are sent back to Claude unchanged.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Index
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.ownership import owned, some_of
from tertulia.db.tables import Message, UtcDateTime, now


class GeneratedFile(SQLModel, table=True):
    """A file of an answer: its attachment, or why there is none."""

    __tablename__: ClassVar[Any] = "generated_files"
    __table_args__: ClassVar[Any] = (Index("generated_files_by_attachment", "attachment_id"),)

    message_id: UUID = Field(foreign_key="messages.id", ondelete="CASCADE", primary_key=True)
    # Its id in Claude's Files API.
    file_id: str = Field(primary_key=True)
    attachment_id: UUID | None = Field(default=None, foreign_key="attachments.id", ondelete="CASCADE", nullable=True)
    filename: str | None = None
    problem: str | None = None
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime, nullable=False)


_OWNED = (
    select(GeneratedFile)
    .join(Message, col(Message.id) == col(GeneratedFile.message_id))
    .where(some_of(GeneratedFile.message_id), owned(Message.conversation_id))
)


async def of_messages(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, list[GeneratedFile]]:
    """Return the files of messages of the owner, by message. Messages without files are left out."""
    return _by_message((await session.exec(_OWNED, params={"owner": owner, "ids": ids})).all())


async def of_conversation(session: AsyncSession, conversation_id: UUID) -> dict[UUID, list[GeneratedFile]]:
    """Return the files of a conversation's messages, by message. Not limited to an owner."""
    query = select(GeneratedFile).join(Message, col(Message.id) == col(GeneratedFile.message_id))
    return _by_message((await session.exec(query.where(Message.conversation_id == conversation_id))).all())


async def known_ids(session: AsyncSession, message_id: UUID) -> set[str]:
    """Return the ids of the files of a message that are stored, or cannot be. Not limited to an owner."""
    query = select(GeneratedFile.file_id).where(GeneratedFile.message_id == message_id)
    return set((await session.exec(query)).all())


async def attachments_of(session: AsyncSession, conversation_id: UUID) -> set[UUID]:
    """Return the ids of the attachments that are files of a conversation's messages. Not limited to an owner."""
    files = await of_conversation(session, conversation_id)
    return {row.attachment_id for rows in files.values() for row in rows if row.attachment_id is not None}


def copy_for(file: GeneratedFile, message_id: UUID, attachment_ids: Mapping[UUID, UUID]) -> GeneratedFile:
    """Return the file of a copied message, without storing it.

    Args:
        file: The file of the message that was copied.
        message_id: The copy of the message.
        attachment_ids: The ids of the copied attachments, by those of the originals.
    """
    attachment_id = None if file.attachment_id is None else attachment_ids.get(file.attachment_id)
    return GeneratedFile(
        message_id=message_id,
        file_id=file.file_id,
        attachment_id=attachment_id,
        filename=file.filename,
        problem=file.problem,
        created_at=file.created_at,
    )


def _by_message(rows: Sequence[GeneratedFile]) -> dict[UUID, list[GeneratedFile]]:
    files: dict[UUID, list[GeneratedFile]] = {}
    for row in rows:
        files.setdefault(row.message_id, []).append(row)
    return files
