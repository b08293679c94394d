"""The contributions of assistants to generations: rendered instructions, and the names of tools.

A generation refers to its contribution by a digest, so that one row is enough for all generations of a conversation
whose contribution is the same. Any process can then send the same request again, without the viewer's claims and even
if the assistant's file has changed meanwhile.
"""

import hashlib
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import JSON, delete, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import Field, SQLModel, col
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.tables import Generation
from tertulia.json import Json, encode


class Contribution(SQLModel, table=True):
    """The contribution of an assistant to generations of a conversation, as JSON."""

    __tablename__: ClassVar[Any] = "assistant_contributions"

    conversation_id: UUID = Field(foreign_key="conversations.id", ondelete="CASCADE", primary_key=True)
    digest: str = Field(primary_key=True)
    content: Json = Field(sa_type=JSON)


def digest_of(content: Json) -> str:
    """Return the digest under which a contribution is stored."""
    return hashlib.sha256(encode(content)).hexdigest()


async def add(session: AsyncSession, conversation_id: UUID, digest: str, content: Json) -> None:
    """Store a contribution, unless the conversation has it already."""
    values = {"conversation_id": conversation_id, "digest": digest, "content": content}
    adding = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    await session.exec(adding(Contribution).values(**values).on_conflict_do_nothing())


async def get(session: AsyncSession, conversation_id: UUID, digest: str) -> Json | None:
    """Return a contribution of a conversation. For the generator: not limited to an owner."""
    row = await session.get(Contribution, (conversation_id, digest))
    return row.content if row is not None else None


async def remove_unused(session: AsyncSession, conversation_id: UUID) -> None:
    """Delete the contributions of a conversation to which none of its generations refers. Not limited to an owner."""
    used = select(col(Generation.contribution)).where(
        col(Generation.conversation_id) == conversation_id, col(Generation.contribution).is_not(None)
    )
    unused = delete(Contribution).where(
        col(Contribution.conversation_id) == conversation_id, col(Contribution.digest).not_in(used)
    )
    await session.exec(unused)
