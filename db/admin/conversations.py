"""Conversations of any user, for operators who may read them."""

from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.tables import Conversation, User


async def find(session: AsyncSession, conversation_id: UUID) -> tuple[Conversation, User] | None:
    """Return the conversation with this id and its owner; None if it is temporary, or is being deleted or imported."""
    query = select(Conversation, User).join(User, col(User.id) == col(Conversation.owner_id))
    query = query.where(col(Conversation.id) == conversation_id, ~col(Conversation.temporary))
    return (await session.exec(query)).one_or_none()
