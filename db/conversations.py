"""Queries on conversations: each goes through the owner who asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, delete, func, or_, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.ownership import some_of
from db.paging import Connection, Page, PageError, connect, decode_cursor, encode_cursor
from db.tables import METADATA, Conversation, User


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list of conversations is narrowed to; None narrows nothing."""

    archived: bool | None = None
    pinned: bool | None = None
    title_contains: str | None = None


async def ensure_user(session: AsyncSession, name: str) -> User:
    """Give the user of that name, made at first sight; several replicas may do so at once."""
    user = User(name=name)
    insert = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    await session.exec(insert(User).values(**user.model_dump()).on_conflict_do_nothing())
    return (await session.exec(select(User).where(User.name == name))).one()


async def get(session: AsyncSession, owner: UUID, conversation_id: UUID) -> Conversation | None:
    """Give the owner's conversation of that id."""
    return (await get_many(session, owner, [conversation_id])).get(conversation_id)


_BY_IDS = select(Conversation).where(some_of(Conversation.id), col(Conversation.owner_id) == bindparam("owner"))


async def get_many(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, Conversation]:
    """Give those of the conversations that are the owner's."""
    found = await session.exec(_BY_IDS, params={"owner": owner, "ids": ids})
    return {row.id: row for row in found.all()}


async def page(session: AsyncSession, owner: UUID, page: Page, narrowed: Filter) -> Connection[Conversation]:
    """Give a page of the owner's conversations, most recently active first."""
    query = select(Conversation).where(Conversation.owner_id == owner, *_conditions(narrowed))
    for argument, cursor, older in (("after", page.after, True), ("before", page.before, False)):
        if cursor is not None:
            query = query.where(_beyond(*_place(argument, cursor), older=older))
    keys = (col(Conversation.updated_at), col(Conversation.id))
    query = query.order_by(*(key.asc() if page.backward else key.desc() for key in keys))
    rows = (await session.exec(query.limit(page.size + 1))).all()
    return connect(rows, page, lambda row: encode_cursor(row.updated_at.isoformat(), str(row.id)))


async def change(session: AsyncSession, owner: UUID, conversation_id: UUID, values: dict[str, Any]) -> bool:
    """Set columns of the owner's conversation; say whether there is one."""
    mine = and_(col(Conversation.owner_id) == owner, col(Conversation.id) == conversation_id)
    changed = await session.exec(update(Conversation).where(mine).values(**values))
    return bool(changed.rowcount)


async def name(session: AsyncSession, conversation_id: UUID, title: str) -> bool:
    """Give a conversation a title that has none; say whether it had none. Without an owner: for the generator."""
    naming = update(_TABLE).where(_TABLE.c.id == conversation_id, _TABLE.c.title.is_(None))
    connection = await session.connection()
    return bool((await connection.execute(naming.values(title=title))).rowcount)


async def remove(session: AsyncSession, owner: UUID, conversation_id: UUID) -> bool:
    """Delete the owner's conversation with all that hangs on it; say whether there was one."""
    mine = and_(col(Conversation.owner_id) == owner, col(Conversation.id) == conversation_id)
    return bool((await session.exec(delete(Conversation).where(mine))).rowcount)


_TABLE = METADATA.tables["conversations"]
COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
_ADD_USAGE = (
    update(_TABLE)
    .where(_TABLE.c.id == bindparam("of"))
    .values({name: _TABLE.c[name] + bindparam(f"more_{name}", type_=BigInteger) for name in (*COUNTS, "amount")})
)


async def add_usage(session: AsyncSession, conversation_id: UUID, used: dict[str, int], amount: int | None) -> None:
    """Add tokens to what a conversation has used, by its columns' names, and what they have cost, if that is known.

    Without an owner: for the generator.
    """
    if used:
        more = {f"more_{name}": used.get(name, 0) for name in COUNTS}
        connection = await session.connection()
        await connection.execute(_ADD_USAGE, {"of": conversation_id, "more_amount": amount, **more})


def _conditions(narrowed: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if narrowed.archived is not None:
        conditions.append(col(Conversation.archived) == narrowed.archived)
    if narrowed.pinned is not None:
        conditions.append(col(Conversation.pinned) == narrowed.pinned)
    if narrowed.title_contains:
        title = func.lower(col(Conversation.title))
        conditions.append(title.contains(narrowed.title_contains.lower(), autoescape=True))
    return conditions


def _place(argument: str, cursor: str) -> tuple[datetime, UUID]:
    moment, row_id = decode_cursor(argument, cursor, 2)
    try:
        return datetime.fromisoformat(moment), UUID(row_id)
    except ValueError:
        raise PageError(argument, "is not a cursor of this list") from None


def _beyond(moment: datetime, row_id: UUID, *, older: bool) -> ColumnElement[bool]:
    updated, identity = col(Conversation.updated_at), col(Conversation.id)
    if older:
        return or_(updated < moment, and_(updated == moment, identity < row_id))
    return or_(updated > moment, and_(updated == moment, identity > row_id))
