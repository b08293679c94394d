"""Whole conversations, for taking them out and putting them in."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Uuid, literal, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db import attachments, conversations
from tertulia.db.tables import Attachment, Conversation, Generation, Message

ROWS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Whole:
    """A conversation with all that hangs on it; messages of all branches, oldest first."""

    conversation: Conversation
    messages: Sequence[tuple[Message, Generation | None]]
    attachments: Sequence[Attachment]


async def all_of(session: AsyncSession, owner: UUID) -> Sequence[UUID]:
    """Give the ids of an owner's conversations, oldest first; without temporary ones."""
    query = select(Conversation.id).where(Conversation.owner_id == owner, ~col(Conversation.temporary))
    return (await session.exec(query.order_by(col(Conversation.created_at), col(Conversation.id)))).all()


async def whole(session: AsyncSession, owner: UUID, conversation_id: UUID) -> Whole | None:
    """Give a conversation of the owner's with all that hangs on it."""
    conversation = await conversations.get(session, owner, conversation_id)
    if conversation is None:
        return None
    attached = await attachments.of_conversation(session, owner, conversation_id)
    return Whole(conversation, [row async for row in _messages(session, conversation_id)], attached)


async def _messages(session: AsyncSession, conversation_id: UUID) -> AsyncGenerator[tuple[Message, Generation | None]]:
    """Yield messages with their generations, some at a time: making thousands of rows at once holds the event loop."""
    query = select(Message, Generation).outerjoin(Generation, col(Generation.message_id) == col(Message.id))
    query = query.where(Message.conversation_id == conversation_id).order_by(col(Message.depth), col(Message.id))
    found = (await session.exec(query.limit(ROWS_AT_ONCE))).all()
    while found:
        for message, generation in found:
            yield message, generation
        after = found[-1][0]
        place = tuple_(col(Message.depth), col(Message.id)) > tuple_(literal(after.depth), literal(after.id, Uuid()))
        found = (await session.exec(query.where(place).limit(ROWS_AT_ONCE))).all()
