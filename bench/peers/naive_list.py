"""The list of the naive peer: a resolver for each field of a row, each with its own query.

The tables, the ORM and the async session are Tertulia's. DATABASE_URL names the file.
"""

import os
from datetime import datetime
from decimal import Decimal
from functools import cache
from uuid import UUID

import strawberry
from sqlalchemy import func
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.tables import UNFINISHED, Conversation, Generation, Message


@cache
def sessions() -> async_sessionmaker[AsyncSession]:
    """Return a session factory for DATABASE_URL, created once."""
    engine = create_async_engine(os.environ["DATABASE_URL"])
    return async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


@strawberry.type
class LastMessage:
    """The last message of a conversation."""

    id: strawberry.ID
    text: str
    role: str


@strawberry.type
class Sums:
    """The usage of a conversation."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cost_usd: Decimal | None = None


@strawberry.type
class Active:
    """An answer that is being written."""

    id: strawberry.ID
    status: str


@strawberry.type
class Row:
    """One conversation of the list."""

    id: strawberry.ID
    title: str | None
    updated_at: datetime
    leaf: strawberry.Private[UUID | None]

    @strawberry.field
    async def last_message(self) -> LastMessage | None:
        """Query the last message."""
        async with sessions()() as session:
            found = (await session.exec(select(Message).where(Message.id == self.leaf))).one_or_none()
        if found is None:
            return None
        text = "".join(block["text"] for block in found.content if block["type"] == "text")
        return LastMessage(id=strawberry.ID(str(found.id)), text=text, role=found.role.name)

    @strawberry.field
    async def usage(self) -> Sums:
        """Query the usage."""
        query = select(
            func.sum(Generation.input_tokens),
            func.sum(Generation.output_tokens),
            func.sum(Generation.cache_read_tokens),
            func.sum(Generation.cache_write_tokens),
        ).where(Generation.conversation_id == UUID(self.id))
        async with sessions()() as session:
            found = (await session.exec(query)).one()
        return Sums(
            input_tokens=found[0] or 0,
            output_tokens=found[1] or 0,
            cache_read_tokens=found[2] or 0,
            cache_write_tokens=found[3] or 0,
        )

    @strawberry.field
    async def active_generation(self) -> Active | None:
        """Query the running generation."""
        query = select(Generation).where(
            Generation.conversation_id == UUID(self.id), col(Generation.status).in_(UNFINISHED)
        )
        async with sessions()() as session:
            found = (await session.exec(query)).first()
        return None if found is None else Active(id=strawberry.ID(str(found.id)), status=found.status.name)


@strawberry.type
class Edge:
    """A conversation in the list."""

    cursor: str
    node: Row


@strawberry.type
class Page:
    """Whether more conversations follow, and after which cursor."""

    has_next_page: bool
    end_cursor: str | None


@strawberry.type
class Conversations:
    """The newest conversations."""

    first: strawberry.Private[int]

    @strawberry.field
    async def edges(self) -> list[Edge]:
        """Query the conversations."""
        query = select(Conversation).order_by(col(Conversation.updated_at).desc(), col(Conversation.id).desc())
        async with sessions()() as session:
            found = (await session.exec(query.limit(self.first))).all()
        return [Edge(cursor=str(row.id), node=_row(row)) for row in found]


def _row(row: Conversation) -> Row:
    return Row(id=strawberry.ID(str(row.id)), title=row.title, updated_at=row.updated_at, leaf=row.active_leaf_id)
