"""Queries that read complete conversations for exports."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Uuid, literal, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db import attachments, conversations, generated_files
from tertulia.db.generated_files import GeneratedFile
from tertulia.db.tables import Attachment, Conversation, Generation, Message

ROWS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class ConversationContents:
    """A conversation with its attachments, the messages of all branches, oldest first, and the files of messages."""

    conversation: Conversation
    messages: Sequence[tuple[Message, Generation | None]]
    attachments: Sequence[Attachment]
    files: Mapping[UUID, Sequence[GeneratedFile]]


async def all_of(session: AsyncSession, owner: UUID) -> Sequence[UUID]:
    """Return the ids of an owner's conversations, oldest first, without temporary ones."""
    query = select(Conversation.id).where(Conversation.owner_id == owner, ~col(Conversation.temporary))
    return (await session.exec(query.order_by(col(Conversation.created_at), col(Conversation.id)))).all()


async def contents_of(session: AsyncSession, owner: UUID, conversation_id: UUID) -> ConversationContents | None:
    """Return a conversation of the owner with its messages and attachments, or None if it does not exist."""
    conversation = await conversations.get(session, owner, conversation_id)
    if conversation is None:
        return None
    attached = await attachments.of_conversation(session, owner, conversation_id)
    rows = [row async for row in _messages(session, conversation_id)]
    files = await generated_files.of_conversation(session, conversation_id)
    return ConversationContents(conversation, rows, attached, files)


async def _messages(session: AsyncSession, conversation_id: UUID) -> AsyncGenerator[tuple[Message, Generation | None]]:
    """Yield messages with their generations, read in batches, because thousands of rows block the event loop."""
    query = select(Message, Generation).outerjoin(Generation, col(Generation.message_id) == col(Message.id))
    query = query.where(Message.conversation_id == conversation_id).order_by(col(Message.depth), col(Message.id))
    rows = (await session.exec(query.limit(ROWS_AT_ONCE))).all()
    while rows:
        for message, generation in rows:
            yield message, generation
        after = rows[-1][0]
        is_after = tuple_(col(Message.depth), col(Message.id)) > tuple_(literal(after.depth), literal(after.id, Uuid()))
        rows = (await session.exec(query.where(is_after).limit(ROWS_AT_ONCE))).all()
