"""The tails of long answers that are being written: what is new since the content of the message was saved.

A tail belongs to the content whose last event is its `base`, which is the `sequence` of the generation's row. If that
is another number, the content was saved after the tail, and the tail is ignored.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy
from sqlalchemy import Text, bindparam, delete
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.statements import defer
from tertulia.db.tables import METADATA, UNFINISHED
from tertulia.json import InvalidJson, Json, dumps, loads_stored

TEXTS = ("text", "thinking", "partial_json")
"""The keys of blocks whose values grow."""

logger = logging.getLogger("tertulia.db")


class AnswerTail(SQLModel, table=True):
    """The tail of an answer. `sequence` is its last event."""

    __tablename__: ClassVar[Any] = "answer_tails"

    message_id: UUID = Field(foreign_key="messages.id", ondelete="CASCADE", primary_key=True)
    base: int
    sequence: int
    content: str = Field(sa_type=Text)


_TAILS, _GENERATIONS, _MESSAGES = (METADATA.tables[name] for name in ("answer_tails", "generations", "messages"))
_COLUMNS = ("base", "sequence", "content")
_INSERT = sqlite_insert(_TAILS)
_SAVE_ON_SQLITE = _INSERT.on_conflict_do_update(
    index_elements=["message_id"], set_={name: _INSERT.excluded[name] for name in _COLUMNS}
)
_SAVE = sqlalchemy.text(
    "INSERT INTO answer_tails (message_id, base, sequence, content) SELECT * FROM unnest("
    "CAST(:message_id AS uuid[]), CAST(:base AS int[]), CAST(:sequence AS int[]), CAST(:content AS text[])) "
    "ON CONFLICT (message_id) DO UPDATE "
    "SET base = excluded.base, sequence = excluded.sequence, content = excluded.content"
)
REMOVE = delete(_TAILS).where(_TAILS.c.message_id == bindparam("of_message"))
"""Removes the tail of a message, whose content is saved in the same transaction."""
_FIND = (
    sqlalchemy.select(_TAILS.c.message_id, _TAILS.c.sequence, _TAILS.c.content, _MESSAGES.c.content)
    .join(_MESSAGES, _MESSAGES.c.id == _TAILS.c.message_id)
    .join(_GENERATIONS, _GENERATIONS.c.message_id == _TAILS.c.message_id)
    .where(
        _GENERATIONS.c.id == bindparam("generation"),
        _GENERATIONS.c.sequence == _TAILS.c.base,
        _GENERATIONS.c.status.in_(UNFINISHED),
    )
)


@dataclass(frozen=True, slots=True)
class SavedAnswer:
    """The saved content of an unfinished answer, with its tail, and its last event."""

    message_id: UUID
    sequence: int
    content: list[Json]


async def save(session: AsyncSession, tails: Sequence[Json]) -> None:
    """Store the tails of many answers, given as columns, in the transaction that renewed their leases."""
    if not tails:
        return
    if session.get_bind().dialect.name == "sqlite":
        await defer(session, _SAVE_ON_SQLITE, tails)
        return
    connection = await session.connection()
    await connection.execute(_SAVE, {name: [tail[name] for tail in tails] for name in ("message_id", *_COLUMNS)})


async def find(session: AsyncSession, generation_id: UUID) -> SavedAnswer | None:
    """Return the saved answer of an unfinished generation; None if it has no tail. Not limited to an owner."""
    connection = await session.connection()
    row = (await connection.execute(_FIND, {"generation": generation_id})).one_or_none()
    if row is None:
        return None
    message_id, sequence, tail, content = row
    try:
        return SavedAnswer(message_id, sequence, joined(content, loads_stored(tail)))
    except (InvalidJson, LookupError, TypeError) as error:
        logger.warning("The newest text of message %s cannot be read: %r", message_id, error)
        return None


def tail_of(base: Sequence[Json], content: Sequence[Json]) -> str:
    """Return what `content` has and `base` does not have, as JSON.

    These are the number of blocks that did not change, and the other blocks. `grown` names the key of the first of them
    whose value is only what was added to it.
    """
    kept = 0
    while kept < min(len(base), len(content)) and base[kept] == content[kept]:
        kept += 1
    blocks, grown = list(content[kept:]), None
    if blocks and kept < len(base):
        grown = _grown(base[kept], blocks[0])
        if grown is not None:
            blocks[0] = {**blocks[0], grown: blocks[0][grown][len(base[kept][grown]) :]}
    return dumps({"kept": kept, "grown": grown, "blocks": blocks})


def joined(base: Sequence[Json], tail: Json) -> list[Json]:
    """Return the content that `tail_of` compared with `base`."""
    kept, grown = tail["kept"], tail["grown"]
    blocks: list[Json] = tail["blocks"]
    if kept > len(base):
        raise LookupError(kept)
    if grown is not None:
        blocks = [{**blocks[0], grown: base[kept][grown] + blocks[0][grown]}, *blocks[1:]]
    return [*base[:kept], *blocks]


def _grown(before: Json, after: Json) -> str | None:
    for key in TEXTS:
        text, longer = before.get(key), after.get(key)
        if text and isinstance(text, str) and isinstance(longer, str) and longer.startswith(text):
            # Reading the saved content replaces half of a surrogate pair. The other half cannot be added to that.
            return None if "\ud800" <= text[-1] <= "\udbff" else key
    return None
