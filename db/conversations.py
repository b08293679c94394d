"""Queries on conversations: each goes through the owner who asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import quote, unquote
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    String,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal,
    literal_column,
    tuple_,
    update,
)
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.cases import UnicodeLower
from tertulia.db.ownership import some_of
from tertulia.db.paging import Connection, Edge, Page, PageError, connect, decode_cursor, encode_cursor
from tertulia.db.tables import METADATA, TOKEN_COUNTS, UNFINISHED, Conversation, Generation, UtcDateTime
from tertulia.json import clean_text

SWEPT_AT_ONCE = 100
NEVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list of conversations is narrowed to; None narrows nothing."""

    archived: bool | None = None
    pinned: bool | None = None
    title_contains: str | None = None
    temporary: bool = False


async def get(session: AsyncSession, owner: UUID, conversation_id: UUID) -> Conversation | None:
    """Give the owner's conversation of that id."""
    return (await get_many(session, owner, [conversation_id])).get(conversation_id)


_BY_IDS = select(Conversation).where(some_of(Conversation.id), col(Conversation.owner_id) == bindparam("owner"))


async def get_many(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, Conversation]:
    """Give those of the conversations that are the owner's."""
    found = await session.exec(_BY_IDS, params={"owner": owner, "ids": ids})
    return {row.id: row for row in found.all()}


class Order(StrEnum):
    """What a list of conversations is ordered by."""

    LAST_ACTIVE = "last_active"
    LEAST_ACTIVE = "least_active"
    NEWEST = "newest"
    OLDEST = "oldest"
    TITLE = "title"


# Word for word as the index has it: with a parameter in it, neither database would use that.
_TITLE = func.coalesce(func.lower(col(Conversation.title)), literal_column("''"))
_KEYS: dict[Order, tuple[Any, bool]] = {
    Order.LAST_ACTIVE: (col(Conversation.updated_at), True),
    Order.LEAST_ACTIVE: (col(Conversation.updated_at), False),
    Order.NEWEST: (col(Conversation.created_at), True),
    Order.OLDEST: (col(Conversation.created_at), False),
    Order.TITLE: (_TITLE, False),
}
"""By what, and whether the greatest comes first."""


async def page(
    session: AsyncSession, owner: UUID, page: Page, narrowed: Filter, order: Order = Order.LAST_ACTIVE
) -> Connection[Conversation]:
    """Give a page of the owner's conversations."""
    key, descending = _KEYS[order]
    query = select(Conversation, key).where(Conversation.owner_id == owner, *_conditions(narrowed))
    for argument, cursor, behind in (("after", page.after, True), ("before", page.before, False)):
        if cursor is not None:
            place = tuple_(*_place(argument, cursor, order))
            keys = tuple_(key, col(Conversation.id))
            query = query.where(keys < place if behind == descending else keys > place)
    downwards = descending != page.backward
    query = query.order_by(*(one.desc() if downwards else one.asc() for one in (key, col(Conversation.id))))
    rows = (await session.exec(query.limit(page.size + 1))).all()
    found = connect(rows, page, lambda row: encode_cursor(quote(_written(row[1]), safe=""), str(row[0].id)))
    return Connection([Edge(edge.cursor, edge.node[0]) for edge in found.edges], found.page_info)


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


async def unused_since(
    session: AsyncSession, before: datetime | None, temporary_before: datetime
) -> Sequence[tuple[UUID, UUID]]:
    """Give conversations that nobody has used since then, with their owners; some at a time. For the sweeper.

    Those that are being answered stay.
    """
    running = exists().where(
        col(Generation.conversation_id) == col(Conversation.id), col(Generation.status).in_(UNFINISHED)
    )
    due = and_(col(Conversation.temporary), col(Conversation.updated_at) < temporary_before)
    found: list[tuple[UUID, UUID]] = []
    for old in [due] if before is None else [due, col(Conversation.updated_at) < before]:
        query = select(Conversation.id, Conversation.owner_id).where(old, ~running)
        found += (await session.exec(query.order_by(col(Conversation.updated_at)).limit(SWEPT_AT_ONCE))).all()
    return list(dict.fromkeys(found))


async def remove(session: AsyncSession, owner: UUID, conversation_id: UUID) -> bool:
    """Delete the owner's conversation with everything in it; return whether there was one."""
    mine = and_(col(Conversation.owner_id) == owner, col(Conversation.id) == conversation_id)
    return bool((await session.exec(delete(Conversation).where(mine))).rowcount)


async def hide(session: AsyncSession, owner: UUID, conversation_id: UUID) -> bool:
    """Take a conversation that is being removed out of all lists; return whether there is one.

    It becomes a temporary conversation that was last used in 1970, so that retention finishes an interrupted removal.
    """
    values = {"temporary": True, "active_leaf_id": None, "updated_at": NEVER}
    return await change(session, owner, conversation_id, values)


_TABLE = METADATA.tables["conversations"]
_ADD_USAGE = (
    update(_TABLE)
    .where(_TABLE.c.id == bindparam("of"))
    .values({name: _TABLE.c[name] + bindparam(f"more_{name}", type_=BigInteger) for name in (*TOKEN_COUNTS, "amount")})
)


async def add_usage(session: AsyncSession, conversation_id: UUID, used: dict[str, int], amount: int | None) -> None:
    """Add tokens to what a conversation has used, by its columns' names, and what they have cost, if that is known.

    Without an owner: for the generator.
    """
    if used:
        more = {f"more_{name}": used.get(name, 0) for name in TOKEN_COUNTS}
        connection = await session.connection()
        await connection.execute(_ADD_USAGE, {"of": conversation_id, "more_amount": amount, **more})


def _conditions(narrowed: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [col(Conversation.temporary) == narrowed.temporary]
    if narrowed.archived is not None:
        conditions.append(col(Conversation.archived) == narrowed.archived)
    if narrowed.pinned is not None:
        conditions.append(col(Conversation.pinned) == narrowed.pinned)
    if narrowed.title_contains:
        title = UnicodeLower(col(Conversation.title))
        conditions.append(title.contains(clean_text(narrowed.title_contains.lower()), autoescape=True))
    return conditions


def _place(argument: str, cursor: str, order: Order) -> tuple[Any, UUID]:
    value, row_id = decode_cursor(argument, cursor, 2)
    try:
        text = clean_text(unquote(value))
        read = text if order is Order.TITLE else datetime.fromisoformat(text).astimezone(UTC)
        return literal(read, String() if order is Order.TITLE else UtcDateTime()), UUID(row_id)
    except (ValueError, OverflowError):
        raise PageError(argument, "is not a cursor of this list") from None


def _written(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
