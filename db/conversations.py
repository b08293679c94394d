"""Queries on conversations. Each is limited to the owner unless its docstring says otherwise."""

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
    case,
    delete,
    exists,
    false,
    func,
    literal,
    literal_column,
    true,
    tuple_,
    update,
)
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db import metadata
from tertulia.db.cases import UnicodeLower
from tertulia.db.ownership import some_of
from tertulia.db.paging import Connection, Edge, Page, PageError, connect, decode_cursor, encode_cursor
from tertulia.db.tables import METADATA, TOKEN_COUNTS, UNFINISHED, Conversation, Generation, UtcDateTime
from tertulia.json import clean_text

SWEPT_AT_ONCE = 100
NEVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Filter:
    """The filter of a list of conversations. Fields that are None do not filter."""

    archived: bool | None = None
    pinned: bool | None = None
    title_contains: str | None = None
    temporary: bool = False
    metadata_terms: frozenset[str] = frozenset()
    """The terms (`db.metadata`) that the metadata must have."""
    assistant_id: str | None = None


async def get(session: AsyncSession, owner: UUID, conversation_id: UUID) -> Conversation | None:
    """Return the conversation with this id, or None if the owner has none."""
    return (await get_many(session, owner, [conversation_id])).get(conversation_id)


_BY_IDS = select(Conversation).where(some_of(Conversation.id), col(Conversation.owner_id) == bindparam("owner"))


async def get_many(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, Conversation]:
    """Return the conversations with these ids that belong to the owner, by id."""
    rows = await session.exec(_BY_IDS, params={"owner": owner, "ids": ids})
    return {row.id: row for row in rows.all()}


async def by_external_id(session: AsyncSession, owner: UUID, external_id: str) -> Conversation | None:
    """Return the owner's conversation with this id of the application, or None if the owner has none."""
    mine = col(Conversation.owner_id) == owner, col(Conversation.external_id) == external_id
    return (await session.exec(select(Conversation).where(*mine))).one_or_none()


class Order(StrEnum):
    """The sort order of a list of conversations."""

    LAST_ACTIVE = "last_active"
    LEAST_ACTIVE = "least_active"
    NEWEST = "newest"
    OLDEST = "oldest"
    TITLE = "title"


# Identical to the expression of the index. With a parameter in it, neither database would use the index.
_TITLE = func.coalesce(func.lower(col(Conversation.title)), literal_column("''"))
_KEYS: dict[Order, tuple[Any, bool]] = {
    Order.LAST_ACTIVE: (col(Conversation.updated_at), True),
    Order.LEAST_ACTIVE: (col(Conversation.updated_at), False),
    Order.NEWEST: (col(Conversation.created_at), True),
    Order.OLDEST: (col(Conversation.created_at), False),
    Order.TITLE: (_TITLE, False),
}
"""The sort key of each order, and whether it is descending."""


async def page(
    session: AsyncSession, owner: UUID, page: Page, filter: Filter, order: Order = Order.LAST_ACTIVE
) -> Connection[Conversation]:
    """Return a page of the owner's conversations."""
    key, descending = _KEYS[order]
    query = select(Conversation, key).where(_listed(owner, filter), *_conditions(filter))
    for argument, cursor, is_after in (("after", page.after, True), ("before", page.before, False)):
        if cursor is not None:
            cursor_keys = tuple_(*_decode_position(argument, cursor, order))
            keys = tuple_(key, col(Conversation.id))
            query = query.where(keys < cursor_keys if is_after == descending else keys > cursor_keys)
    downwards = descending != page.backward
    query = query.order_by(*(column.desc() if downwards else column.asc() for column in (key, col(Conversation.id))))
    rows = (await session.exec(query.limit(page.size + 1))).all()
    connection = connect(rows, page, lambda row: encode_cursor(quote(_as_text(row[1]), safe=""), str(row[0].id)))
    return Connection([Edge(edge.cursor, edge.node[0]) for edge in connection.edges], connection.page_info)


async def change(session: AsyncSession, owner: UUID, conversation_id: UUID, values: dict[str, Any]) -> bool:
    """Set columns of the owner's conversation. Return whether it exists."""
    mine = and_(col(Conversation.owner_id) == owner, col(Conversation.id) == conversation_id)
    changed = await session.exec(update(Conversation).where(mine).values(**values))
    return bool(changed.rowcount)


async def name(session: AsyncSession, conversation_id: UUID, title: str) -> bool:
    """Set the title of a conversation that has none. Return whether it was set. Not limited to an owner."""
    naming = update(_TABLE).where(_TABLE.c.id == conversation_id, _TABLE.c.title.is_(None))
    connection = await session.connection()
    return bool((await connection.execute(naming.values(title=title))).rowcount)


async def unused_since(
    session: AsyncSession, before: datetime | None, temporary_before: datetime
) -> Sequence[tuple[UUID, UUID]]:
    """Return a batch of conversations that retention must delete, with their owners. Not limited to an owner.

    Conversations with an unfinished generation are excluded.

    Args:
        session: The session to use.
        before: Conversations that were last used before this time are returned; None for temporary ones only.
        temporary_before: The same for temporary conversations.
    """
    running = exists().where(
        col(Generation.conversation_id) == col(Conversation.id), col(Generation.status).in_(UNFINISHED)
    )
    due = and_(col(Conversation.temporary), col(Conversation.updated_at) < temporary_before)
    rows: list[tuple[UUID, UUID]] = []
    for old in [due] if before is None else [due, col(Conversation.updated_at) < before]:
        query = select(Conversation.id, Conversation.owner_id).where(old, ~running)
        rows += (await session.exec(query.order_by(col(Conversation.updated_at)).limit(SWEPT_AT_ONCE))).all()
    return list(dict.fromkeys(rows))


async def remove(session: AsyncSession, owner: UUID, conversation_id: UUID) -> bool:
    """Delete the owner's conversation with everything in it. Return whether it existed."""
    mine = and_(col(Conversation.owner_id) == owner, col(Conversation.id) == conversation_id)
    return bool((await session.exec(delete(Conversation).where(mine))).rowcount)


async def is_hidden(session: AsyncSession, owner: UUID, conversation_id: UUID) -> bool:
    """Return whether the owner's conversation is hidden, because it is being deleted or imported."""
    mine = and_(col(Conversation.owner_id) == owner, col(Conversation.id) == conversation_id)
    query = select(Conversation.id).where(mine, col(Conversation.updated_at) == NEVER)
    return (await session.exec(query)).one_or_none() is not None


async def hide(session: AsyncSession, owner: UUID, conversation_id: UUID) -> bool:
    """Hide a conversation from all lists while it is being deleted. Return whether it exists.

    It becomes a temporary conversation that was last used in 1970, so that retention completes an interrupted deletion.
    """
    values = {"temporary": True, "active_leaf_id": None, "updated_at": NEVER, "external_id": None}
    return await change(session, owner, conversation_id, values)


_TABLE = METADATA.tables["conversations"]
_ADD_USAGE = (
    update(_TABLE)
    .where(_TABLE.c.id == bindparam("of"))
    .values({name: _TABLE.c[name] + bindparam(f"more_{name}", type_=BigInteger) for name in (*TOKEN_COUNTS, "amount")})
)


async def add_usage(session: AsyncSession, conversation_id: UUID, usage: dict[str, int], amount: int | None) -> None:
    """Add the usage of a generation to that of its conversation. For the generator: not limited to an owner.

    Args:
        session: The session to use.
        conversation_id: The conversation.
        usage: Token counts by the names of their columns.
        amount: The cost in 10^-12 US dollars, or None if a price is unknown.
    """
    if usage:
        counts = {f"more_{name}": usage.get(name, 0) for name in TOKEN_COUNTS}
        connection = await session.connection()
        await connection.execute(_ADD_USAGE, {"of": conversation_id, "more_amount": amount, **counts})


def _listed(owner: UUID, filter: Filter) -> ColumnElement[bool]:
    """Return the condition that a conversation is the owner's and has the filter's metadata."""
    is_mine = col(Conversation.owner_id) == owner
    if not filter.metadata_terms:
        return is_mine
    matches = col(Conversation.id).in_(metadata.containing(owner, sorted(filter.metadata_terms)))
    # In this form, no index on the owner serves the condition. Otherwise a database might read all conversations of the
    # owner in the order of the list, instead of those that the index of metadata names.
    return and_(matches, case((is_mine, true()), else_=false()))


def _conditions(filter: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [col(Conversation.temporary) == filter.temporary]
    if filter.archived is not None:
        conditions.append(col(Conversation.archived) == filter.archived)
    if filter.pinned is not None:
        conditions.append(col(Conversation.pinned) == filter.pinned)
    if filter.assistant_id is not None:
        conditions.append(col(Conversation.assistant) == clean_text(filter.assistant_id))
    if filter.title_contains:
        title = UnicodeLower(col(Conversation.title))
        conditions.append(title.contains(clean_text(filter.title_contains.lower()), autoescape=True))
    return conditions


def _decode_position(argument: str, cursor: str, order: Order) -> tuple[Any, UUID]:
    value, row_id = decode_cursor(argument, cursor, 2)
    try:
        text = clean_text(unquote(value))
        read = text if order is Order.TITLE else datetime.fromisoformat(text).astimezone(UTC)
        return literal(read, String() if order is Order.TITLE else UtcDateTime()), UUID(row_id)
    except (ValueError, OverflowError):
        raise PageError(argument, "is not a cursor of this list.") from None


def _as_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
