"""Queries on parts of branches. A branch is the path from a leaf of a conversation's tree to its root.

Their cost depends on the length of the part, and not on the length of the branch or the place of the part in it. Depths
count messages from the root, so a part is a window of depths.

At most depths, a conversation has a single message, which all branches of at least this depth contain. Therefore the
walk along the parents begins at the first such message at or after the end of the window. It begins at the leaf if all
messages from there to the leaf have other versions.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, FromClause, Integer, Select, Uuid, bindparam, case, func, select, true
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.ownership import owned
from tertulia.db.paging import Connection, Page, PageError, connect, decode_cursor, encode_cursor
from tertulia.db.rows import MESSAGES, MessageRow, read
from tertulia.db.tables import METADATA

_MESSAGES = METADATA.tables["messages"]
MAX_DEPTH_DIGITS = 9
MAX_DEPTH = 10**MAX_DEPTH_DIGITS


def _by_id(name: str, id: ColumnElement[Any], *, lateral: bool) -> tuple[FromClause, ColumnElement[bool]]:
    """Return the message with an id that is a column of another table, and the condition of the join to that table."""
    message = _MESSAGES.alias(name)
    if not lateral:
        return message, message.c.id == id
    # Without it, PostgreSQL reads the whole table for the join if its statistics predate a long conversation.
    return select(message).where(message.c.id == id).offset(0).lateral(), true()


def _window(is_readable: ColumnElement[bool], *, lateral: bool) -> CTE:
    """Return the messages of a branch from the depth `low` to the depth `high`, but at most the last `most` of them.

    The statement must be executed with these parameters and `leaf`, the last message of the branch.

    Args:
        is_readable: A condition on the leaf.
        lateral: Whether messages are read one by one, which SQLite does anyway.
    """
    only, start = _MESSAGES.alias("only"), _MESSAGES.alias("start")
    high, low, most = (bindparam(name, type_=Integer) for name in ("high", "low", "most"))
    end = (
        select(
            _MESSAGES.c.id,
            _MESSAGES.c.conversation_id,
            _MESSAGES.c.depth,
            case((_MESSAGES.c.depth < high, _MESSAGES.c.depth), else_=high).label("high"),
        )
        .where(_MESSAGES.c.id == bindparam("leaf", type_=Uuid), is_readable)
        .cte("branch_end")
    )
    depth_without_versions = (
        select(only.c.depth)
        .where(only.c.conversation_id == end.c.conversation_id, only.c.depth >= end.c.high, only.c.depth < end.c.depth)
        .group_by(only.c.depth)
        .having(func.count() == 1)
        .order_by(only.c.depth)
        .limit(1)
        .correlate(end)
        .scalar_subquery()
    )
    start_id = (
        select(start.c.id)
        .where(start.c.conversation_id == end.c.conversation_id, start.c.depth == depth_without_versions)
        .correlate(end)
        .scalar_subquery()
    )
    first, is_first = _by_id("first", func.coalesce(start_id, end.c.id), lateral=lateral)
    columns = select(first.c.id, first.c.parent_id, first.c.depth, end.c.high)
    path = columns.join_from(end, first, is_first).cte("branch", recursive=True)
    parent, is_parent = _by_id("parent", path.c.parent_id, lateral=lateral)
    return path.union_all(
        select(parent.c.id, parent.c.parent_id, parent.c.depth, path.c.high)
        .join_from(path, parent, is_parent)
        .where(parent.c.depth >= low, parent.c.depth > path.c.high - most)
    )


def _in_window(path: CTE) -> ColumnElement[bool]:
    # The walk may begin after the window.
    return (path.c.depth <= path.c.high) & (path.c.depth >= bindparam("low", type_=Integer))


def _page(*, lateral: bool) -> Select[Any]:
    path = _window(owned(_MESSAGES.c.conversation_id), lateral=lateral)
    message, is_message = _by_id("shown", path.c.id, lateral=lateral)
    columns = select(*MESSAGES.columns_of(message)).join_from(path, message, is_message)
    return columns.where(_in_window(path)).order_by(path.c.depth.desc())


def _at_depth(*, lateral: bool) -> Select[Any]:
    path = _window(true(), lateral=lateral)
    return select(path.c.id).where(_in_window(path))


_PAGE = {"sqlite": _page(lateral=False), "postgresql": _page(lateral=True)}
_AT_DEPTH = {"sqlite": _at_depth(lateral=False), "postgresql": _at_depth(lateral=True)}


async def page(session: AsyncSession, owner: UUID, leaf_id: UUID | None, page: Page) -> Connection[MessageRow]:
    """Return a page of the branch that ends with `leaf_id`, oldest first. Raise PageError for a wrong cursor."""
    low = 0 if page.after is None else _depth("after", page.after) + 1
    high = MAX_DEPTH if page.before is None else _depth("before", page.before) - 1
    if leaf_id is None:
        return connect([], page, _cursor)
    # The message after the page shows whether there is another page.
    most = page.size + 1
    if not page.backward:
        high = min(high, low + page.size)
    parameters: dict[str, Any] = {"owner": owner, "leaf": leaf_id, "low": low, "high": high, "most": most}
    rows = (await read(session, _PAGE[session.get_bind().dialect.name], parameters)).rows(MESSAGES)
    return connect(rows if page.backward else rows[::-1], page, _cursor)


async def on_branch(session: AsyncSession, leaf_id: UUID | None, message_id: UUID) -> bool:
    """Return whether a message is on the branch that ends with `leaf_id`. The caller has checked the owner of both."""
    connection = await session.connection()
    query = select(_MESSAGES.c.depth).where(_MESSAGES.c.id == message_id)
    depth = (await connection.execute(query)).scalar_one_or_none()
    if leaf_id is None or depth is None:
        return False
    window = {"leaf": leaf_id, "low": depth, "high": depth, "most": 1}
    id_at_depth = (await connection.execute(_AT_DEPTH[connection.dialect.name], window)).scalar_one_or_none()
    return bool(id_at_depth == message_id)


def _cursor(row: MessageRow) -> str:
    return encode_cursor(str(row.depth))


def _depth(argument: str, cursor: str) -> int:
    (depth,) = decode_cursor(argument, cursor, 1)
    if not depth.isdecimal() or len(depth) > MAX_DEPTH_DIGITS:
        raise PageError(argument, "is not a cursor of this list.")
    return int(depth)
