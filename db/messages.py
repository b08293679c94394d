"""Queries on messages and whole branches. `db.branches` reads parts of a branch."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy
from sqlalchemy import ColumnElement, Text, Uuid, and_, bindparam, delete, exists, func, literal, true, update
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db import spending
from tertulia.db.ownership import owned, some_of
from tertulia.db.read_limit import without_read_limit
from tertulia.db.rows import MESSAGES, MessageRow, raw, read
from tertulia.db.tables import METADATA, Generation, Message, Role, now
from tertulia.json import Json

_MESSAGES, _GENERATIONS = METADATA.tables["messages"], METADATA.tables["generations"]
IDS_AT_ONCE = 1000
"""The most ids in one statement. Databases limit the number of parameters."""
_BY_IDS = select(Message).where(some_of(Message.id), owned(Message.conversation_id))


async def get_many(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, Message]:
    """Return the messages with these ids in the owner's conversations, by id, for a transaction that changes them."""
    rows = await session.exec(_BY_IDS, params={"owner": owner, "ids": ids})
    return {row.id: row for row in rows.all()}


_READ = sqlalchemy.select(*MESSAGES.columns).where(some_of(Message.id), owned(Message.conversation_id))


async def read_many(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, MessageRow]:
    """Return the messages with these ids that are in the owner's conversations, by id."""
    result = await read(session, _READ, {"owner": owner, "ids": ids})
    return {row.id: row for row in result.rows(MESSAGES)}


_REQUESTED, _OTHER = aliased(Message), aliased(Message)


def _is_version_of_requested(message: Any) -> ColumnElement[bool]:
    return and_(
        col(message.conversation_id) == col(_REQUESTED.conversation_id),
        # By the index of depths. No index serves the comparison of parents on PostgreSQL, because it accepts nulls.
        col(message.depth) == col(_REQUESTED.depth),
        col(message.parent_id).is_not_distinct_from(_REQUESTED.parent_id),
        col(message.role) == col(_REQUESTED.role),
    )


_VERSIONS = (
    sqlalchemy.select(raw(_REQUESTED.id), *MESSAGES.columns)
    .join_from(_REQUESTED, Message, _is_version_of_requested(Message))
    .where(
        some_of(_REQUESTED.id),
        # Most messages have one version, and the caller has read it.
        exists().where(col(_OTHER.id) != col(_REQUESTED.id), _is_version_of_requested(_OTHER)),
        owned(Message.conversation_id),
    )
    .order_by(col(Message.id))
)


async def versions(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, list[MessageRow]]:
    """Return all versions of each message that has others, including the message itself, oldest first, by its id."""
    versions: dict[UUID, list[MessageRow]] = {}
    result = await read(session, _VERSIONS, {"owner": owner, "ids": ids})
    for message_id, message in zip(result.values(Uuid()), result.rows(MESSAGES), strict=True):
        versions.setdefault(message_id, []).append(message)
    return versions


BRANCH_ROWS = 500
"""The number of messages that one query reads. Decoding their rows blocks the event loop for about 15 ms."""


def _branch_end() -> Any:
    step = select(col(Message.id), col(Message.parent_id), literal(1).label("step"))
    path = step.where(Message.id == bindparam("leaf")).cte("branch_end", recursive=True)
    parent = aliased(Message)
    above = select(col(parent.id), col(parent.parent_id), path.c.step + 1).join(path, path.c.parent_id == parent.id)
    return path.union_all(above.where(path.c.step < BRANCH_ROWS))


_END = _branch_end()
_BRANCH_END = select(Message).join(_END, _END.c.id == Message.id).order_by(_END.c.step)
"""The last `BRANCH_ROWS` messages of the branch that ends in `leaf`, newest first."""


class PromptMessage(NamedTuple):
    """The columns of a message that its prompt depends on."""

    id: UUID
    conversation_id: UUID
    parent_id: UUID | None
    role: Role
    depth: int
    content: list[Json]
    context: Any
    created_at: datetime


class BranchMessage(NamedTuple):
    """A message of a branch, with fields of its generation."""

    message: Message | PromptMessage
    prefix: str | None = None
    context_tokens: int | None = None
    stop_reason: str | None = None
    model: str | None = None
    refusal: Json | None = None
    repairs: Json | None = None
    response_id: str | None = None


async def branch(session: AsyncSession, leaf_id: UUID | None) -> list[Message]:
    """Return all messages of a branch, oldest first. For the generator: not limited to an owner."""
    newest_first: list[Message] = []
    # A conversation must accept messages even if it has more text than one response may contain.
    with without_read_limit():
        while leaf_id is not None:
            rows = (await session.exec(_BRANCH_END, params={"leaf": leaf_id})).all()
            newest_first += rows
            leaf_id = rows[-1].parent_id if len(rows) == BRANCH_ROWS else None
    return newest_first[::-1]


_PARENT, _BEFORE = aliased(Message), aliased(Message)
_LAST, _EARLIER = aliased(Generation), aliased(Generation)
_CONTEXT = (
    select(Message.id, func.coalesce(_LAST.context_tokens, _EARLIER.context_tokens))
    .outerjoin(_LAST, col(_LAST.message_id) == col(Message.id))
    .outerjoin(_PARENT, col(_PARENT.id) == col(Message.parent_id))
    .outerjoin(_BEFORE, col(_BEFORE.id) == col(_PARENT.parent_id))
    .outerjoin(_EARLIER, col(_EARLIER.message_id) == col(_BEFORE.id))
    .where(some_of(Message.id), owned(Message.conversation_id))
)


async def context_tokens(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return the context size in tokens after each answer, or before the answer while it is being written."""
    rows: Any = await session.exec(_CONTEXT, params={"owner": owner, "ids": ids})
    return {message_id: count for message_id, count in rows.all() if count is not None}


def _subtree(*, lateral: bool) -> Any:
    below = select(col(Message.id)).where(Message.id == bindparam("top")).cte("below", recursive=True)
    child = aliased(Message)
    if lateral:
        # Without it, PostgreSQL reads the whole table for each level if its statistics predate a long conversation.
        children = select(child.id).where(col(child.parent_id) == below.c.id).offset(0).lateral()
        return below.union_all(select(children.c.id).select_from(below.join(children, true())))
    return below.union_all(select(col(child.id)).join(below, col(child.parent_id) == below.c.id))


def _newest_leaf(*, lateral: bool) -> Any:
    below, leaf_child = _subtree(lateral=lateral), aliased(Message)
    leaves = select(below.c.id).where(~exists().where(col(leaf_child.parent_id) == below.c.id))
    return leaves.order_by(below.c.id.desc()).limit(1)


_SUBTREE = {
    "sqlite": select(_subtree(lateral=False).c.id),
    "postgresql": select(_subtree(lateral=True).c.id),
}
_NEWEST_LEAF = {"sqlite": _newest_leaf(lateral=False), "postgresql": _newest_leaf(lateral=True)}


async def newest_leaf(session: AsyncSession, message_id: UUID) -> UUID:
    """Return the newest leaf below a message, or the message itself if it is a leaf."""
    connection = await session.connection()
    result = await connection.execute(_NEWEST_LEAF[connection.dialect.name], {"top": message_id})
    newest: UUID = result.scalar_one()
    return newest


async def newest(session: AsyncSession, conversation_id: UUID) -> UUID | None:
    """Return the newest message of a conversation, which is a leaf. The caller has checked the owner."""
    query = select(Message.id).where(Message.conversation_id == conversation_id).order_by(col(Message.id).desc())
    return (await session.exec(query.limit(1))).one_or_none()


async def subtree(session: AsyncSession, message_id: UUID) -> list[UUID]:
    """Return the ids of a message and of all messages after it, on all branches. The caller has checked the owner."""
    connection = await session.connection()
    result = await connection.execute(_SUBTREE[connection.dialect.name], {"top": message_id})
    return list(result.scalars())


async def move(session: AsyncSession, message_id: UUID, conversation_id: UUID) -> list[UUID]:
    """Move a message, as the first one, and all messages after it into another, empty conversation of the owner.

    Returns:
        The ids of the moved messages.
    """
    ids = await subtree(session, message_id)
    to = {"conversation_id": conversation_id}
    for start in range(0, len(ids), IDS_AT_ONCE):
        some = ids[start : start + IDS_AT_ONCE]
        await session.exec(update(_MESSAGES).where(_MESSAGES.c.id.in_(some)).values(**to))
        await session.exec(update(_GENERATIONS).where(_GENERATIONS.c.message_id.in_(some)).values(**to))
    await session.exec(update(_MESSAGES).where(_MESSAGES.c.id == message_id).values(parent_id=None))
    return ids


async def contents_with_attachments(session: AsyncSession, conversation_id: UUID) -> list[list[Json]]:
    """Return the contents of all messages of a conversation that refer to attachments. Not limited to an owner."""
    refers = sqlalchemy.cast(col(Message.content), Text).contains('"attachment_id"')
    query = sqlalchemy.select(_MESSAGES.c.content).where(_MESSAGES.c.conversation_id == conversation_id, refers)
    with without_read_limit():
        rows = await (await session.connection()).execute(query)
    return [row.content for row in rows]


async def deepest(session: AsyncSession, conversation_id: UUID, count: int) -> Sequence[UUID]:
    """Return the ids of a conversation's deepest messages, deepest first. The caller has checked the owner."""
    query = select(Message.id).where(Message.conversation_id == conversation_id)
    return (await session.exec(query.order_by(col(Message.depth).desc()).limit(count))).all()


async def remove(session: AsyncSession, ids: Sequence[UUID]) -> list[UUID]:
    """Delete messages that have no children outside of `ids`.

    `ON DELETE CASCADE` on `parent_id` recurses once for each level below a deleted message. SQLite allows 1,000 levels,
    and PostgreSQL as many as fit in its stack. To stay within these limits, delete the deepest messages first, a few at
    a time.

    Returns:
        The ids of the generations that wrote the messages.
    """
    mine = col(Generation.message_id).in_(ids)
    generations = (await session.exec(select(Generation.id, Generation.reserved).where(mine))).all()
    await session.exec(delete(Message).where(col(Message.id).in_(ids)))
    # The reservation of a deleted answer is never settled, so it counts as spent. This is the last statement, because
    # transactions of other owners may wait for the row of spending while they hold generations.
    await spending.add(session, ids[0], {now().date(): sum(reserved or 0 for _, reserved in generations)})
    return [generation_id for generation_id, _ in generations]
