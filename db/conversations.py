"""Queries on conversations. Each is limited to the owner unless its docstring says otherwise."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, unquote
from uuid import UUID

import sqlalchemy
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    String,
    Uuid,
    and_,
    bindparam,
    case,
    delete,
    exists,
    false,
    func,
    literal_column,
    true,
    tuple_,
    update,
)
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db import metadata
from tertulia.db.cases import UnicodeLower
from tertulia.db.ownership import owned_row, some_of
from tertulia.db.paging import Connection, Page, PageError, connect, decode_cursor, encode_cursor
from tertulia.db.rows import CONVERSATIONS, ConversationRow, raw, read
from tertulia.db.statements import defer, fetch
from tertulia.db.tables import METADATA, TOKEN_COUNTS, UNFINISHED, Conversation, Generation
from tertulia.json import clean_text

SWEPT_AT_ONCE = 100
ESCAPE = "/"
"""The character that precedes `%`, `_` and itself in patterns of LIKE if they have no special meaning."""
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


_BY_IDS = select(Conversation).where(some_of(Conversation.id), owned_row(Conversation.owner_id))


async def get_many(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, Conversation]:
    """Return the conversations with these ids that belong to the owner, by id, for a transaction that changes them."""
    rows = await session.exec(_BY_IDS, params={"owner": owner, "ids": ids})
    return {row.id: row for row in rows.all()}


_READ = sqlalchemy.select(*CONVERSATIONS.columns).where(some_of(Conversation.id), owned_row(Conversation.owner_id))


async def read_many(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, ConversationRow]:
    """Return the conversations with these ids that belong to the owner, by id."""
    result = await read(session, _READ, {"owner": owner, "ids": ids})
    return {row.id: row for row in result.rows(CONVERSATIONS)}


async def by_external_id(session: AsyncSession, owner: UUID, external_id: str) -> Conversation | None:
    """Return the owner's conversation with this id of the application, or None if the owner has none."""
    mine = col(Conversation.owner_id) == owner, col(Conversation.external_id) == external_id
    return (await session.exec(select(Conversation).where(*mine))).one_or_none()


async def by_external_ids(session: AsyncSession, owner: UUID, external_ids: Collection[str]) -> dict[str, Conversation]:
    """Return the owner's conversations with these ids of the application. Those that do not exist are missing."""
    mine = col(Conversation.owner_id) == owner, col(Conversation.external_id).in_(external_ids)
    rows = await session.exec(select(Conversation).where(*mine))
    return {row.external_id: row for row in rows if row.external_id is not None}


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
) -> Connection[ConversationRow]:
    """Return a page of the owner's conversations."""
    parameters: dict[str, Any] = {"owner": owner, "most": page.size + 1}
    for argument, cursor in (("after", page.after), ("before", page.before)):
        if cursor is not None:
            parameters |= _decode_position(argument, cursor, order)
    if filter.assistant_id is not None:
        parameters["assistant"] = clean_text(filter.assistant_id)
    if filter.title_contains:
        parameters["title"] = _escape(clean_text(filter.title_contains.lower()))
    shape = _PageShape(
        order,
        page.backward,
        page.after is not None,
        page.before is not None,
        filter.archived,
        filter.pinned,
        bool(filter.title_contains),
        filter.temporary,
        filter.assistant_id is not None,
    )
    is_constant = not filter.metadata_terms
    statement = _constant_page(shape) if is_constant else _select_page(shape, filter.metadata_terms)
    result = await read(session, statement, parameters, is_constant=is_constant)
    rows, keys = result.rows(CONVERSATIONS), result.values(_KEYS[order][0].type)
    cursors = {row.id: _cursor(key, row.id.int) for row, key in zip(rows, keys, strict=True)}
    return connect(rows, page, lambda row: cursors[row.id])


class _PageShape(NamedTuple):
    """The parts of a page and of its filter that decide the statement, in addition to terms of metadata."""

    order: Order
    backward: bool
    after: bool
    before: bool
    archived: bool | None
    pinned: bool | None
    has_title: bool
    temporary: bool
    has_assistant: bool


def _select_page(shape: _PageShape, metadata_terms: frozenset[str] = frozenset()) -> Select[Any]:
    """Return the statement of a page.

    Its parameters are `owner`, `most`, those of `_decode_position`, and `title` and `assistant` if the shape has them.
    """
    key, descending = _KEYS[shape.order]
    query = sqlalchemy.select(*CONVERSATIONS.columns, raw(key)).where(_listed(metadata_terms), *_conditions(shape))
    position = tuple_(key, col(Conversation.id))
    for argument, is_set, is_after in (("after", shape.after, True), ("before", shape.before, False)):
        if is_set:
            cursor = tuple_(bindparam(f"{argument}_key", type_=key.type), bindparam(f"{argument}_id", type_=Uuid))
            query = query.where(position < cursor if is_after == descending else position > cursor)
    downwards = descending != shape.backward
    query = query.order_by(*(column.desc() if downwards else column.asc() for column in (key, col(Conversation.id))))
    return query.limit(bindparam("most", type_=Integer))


@lru_cache(maxsize=200)
def _constant_page(shape: _PageShape) -> Select[Any]:
    """Return the statement of a page without terms of metadata. Building a statement takes longer than executing it."""
    return _select_page(shape)


async def change(session: AsyncSession, owner: UUID, conversation_id: UUID, values: dict[str, Any]) -> bool:
    """Set columns of the owner's conversation. Return whether it exists."""
    mine = and_(col(Conversation.owner_id) == owner, col(Conversation.id) == conversation_id)
    changed = await session.exec(update(Conversation).where(mine).values(**values))
    return bool(changed.rowcount)


async def activate(session: AsyncSession, conversation: Conversation, leaf_id: UUID, time: datetime) -> None:
    """Make a branch the active one, in the row and in the object, and record that the conversation was used."""
    # The session would compare all columns of the object, and wait for the result of a separate statement.
    session.expunge(conversation)
    conversation.active_leaf_id, conversation.updated_at = leaf_id, time
    await defer(session, _ACTIVATE, {"activated": conversation.id, "active_leaf_id": leaf_id, "updated_at": time})


async def name(session: AsyncSession, conversation_id: UUID, title: str) -> bool:
    """Set the title of a conversation that has none. Return whether it was set. Not limited to an owner."""
    return bool(await fetch(session, _NAME, {"conversation": conversation_id, "new_title": title}))


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
_ACTIVATE = update(_TABLE).where(_TABLE.c.id == bindparam("activated"))
_NAME: Any = (
    update(_TABLE)
    .where(_TABLE.c.id == bindparam("conversation"), _TABLE.c.title.is_(None))
    .values(title=bindparam("new_title"))
    .returning(_TABLE.c.id)
)
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
        await defer(session, _ADD_USAGE, {"of": conversation_id, "more_amount": amount, **counts})


def _listed(metadata_terms: frozenset[str]) -> ColumnElement[bool]:
    """Return the condition that a conversation is the owner's and has all of the terms."""
    owner = bindparam("owner", type_=Uuid)
    is_mine = col(Conversation.owner_id) == owner
    if not metadata_terms:
        return is_mine
    matches = col(Conversation.id).in_(metadata.containing(owner, sorted(metadata_terms)))
    # In this form, no index on the owner serves the condition. Otherwise a database might read all conversations of the
    # owner in the order of the list, instead of those that the index of metadata names.
    return and_(matches, case((is_mine, true()), else_=false()))


def _conditions(shape: _PageShape) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [col(Conversation.temporary) == shape.temporary]
    if shape.archived is not None:
        conditions.append(col(Conversation.archived) == shape.archived)
    if shape.pinned is not None:
        conditions.append(col(Conversation.pinned) == shape.pinned)
    if shape.has_assistant:
        conditions.append(col(Conversation.assistant) == bindparam("assistant", type_=String))
    if shape.has_title:
        title = UnicodeLower(col(Conversation.title))
        conditions.append(title.contains(bindparam("title", type_=String), escape=ESCAPE))
    return conditions


def _escape(text: str) -> str:
    """Return the pattern of LIKE that matches exactly this text."""
    for character in (ESCAPE, "%", "_"):
        text = text.replace(character, ESCAPE + character)
    return text


def _decode_position(argument: str, cursor: str, order: Order) -> dict[str, Any]:
    """Return the parameters of a statement for a cursor; raise PageError if the cursor is invalid."""
    value, row_id = decode_cursor(argument, cursor, 2)
    try:
        text = clean_text(unquote(value))
        key = text if order is Order.TITLE else datetime.fromisoformat(text).astimezone(UTC)
        return {f"{argument}_key": key, f"{argument}_id": UUID(row_id)}
    except (ValueError, OverflowError):
        raise PageError(argument, "is not a cursor of this list.") from None


@lru_cache(maxsize=4096)
def _cursor(key: datetime | str, id: int) -> str:
    # Separators of cursors must not be in their parts.
    text = key.isoformat().replace(":", "%3A").replace("+", "%2B") if isinstance(key, datetime) else quote(key, safe="")
    return encode_cursor(text, str(UUID(int=id)))
