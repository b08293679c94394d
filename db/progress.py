"""Save the progress of unfinished answers, for processes that hold their leases."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy
from sqlalchemy import Text, bindparam, update
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db import answer_tails
from tertulia.db.statements import defer
from tertulia.db.tables import METADATA, TOKEN_COUNTS, Generation, Message

_GENERATIONS, _MESSAGES = (METADATA.tables[model.__tablename__] for model in (Generation, Message))
_USED = [f"used_{name}" for name in TOKEN_COUNTS]
# For PostgreSQL, with one array for each column: the number of answers does not change the statement.
_SAVE_GENERATIONS = sqlalchemy.text(
    "UPDATE generations SET sequence = written, first_token_at = began, "  # noqa: S608 - only names of columns
    f"{', '.join(f'{name} = {used}' for name, used in zip(TOKEN_COUNTS, _USED, strict=True))} "
    "FROM unnest(CAST(:of_generation AS uuid[]), CAST(:written AS bigint[]), CAST(:began AS timestamptz[]), "
    f"{', '.join(f'CAST(:{used} AS bigint[])' for used in _USED)}) "
    f"AS progress (of_generation, written, began, {', '.join(_USED)}) WHERE generations.id = of_generation"
)
_SAVE_MESSAGES = sqlalchemy.text(
    "WITH removed AS (DELETE FROM answer_tails WHERE message_id = ANY(CAST(:of_message AS uuid[]))) "
    "UPDATE messages SET content = CAST(blocks AS json) "
    "FROM unnest(CAST(:of_message AS uuid[]), CAST(:blocks AS text[])) AS progress (of_message, blocks) "
    "WHERE messages.id = of_message"
)


@dataclass(frozen=True, slots=True)
class Progress:
    """The content and usage of an unfinished answer."""

    generation_id: UUID
    message_id: UUID
    sequence: int
    first_token_at: datetime | None
    content: str
    """The blocks as JSON."""
    usage: dict[str, int]


@dataclass(frozen=True, slots=True)
class TailProgress:
    """The tail of an unfinished answer whose content is saved up to the event `base`."""

    generation_id: UUID
    message_id: UUID
    base: int
    sequence: int
    content: str
    """The tail (see `answer_tails.tail_of`)."""


async def save_progress(session: AsyncSession, progress: Sequence[Progress | TailProgress]) -> None:
    """Store the progress of many answers, in the transaction that renewed their leases."""
    tails = [item for item in progress if isinstance(item, TailProgress)]
    columns = ("message_id", "base", "sequence", "content")
    await answer_tails.save(session, [{name: getattr(tail, name) for name in columns} for tail in tails])
    await _save_complete(session, [item for item in progress if isinstance(item, Progress)])


async def _save_complete(session: AsyncSession, progress: Sequence[Progress]) -> None:
    if not progress:
        return
    connection = await session.connection()
    generations = [
        {
            "of_generation": item.generation_id,
            "written": item.sequence,
            "began": item.first_token_at,
            **{f"used_{name}": item.usage.get(name) for name in TOKEN_COUNTS},
        }
        for item in progress
    ]
    messages = [{"of_message": item.message_id, "blocks": item.content} for item in progress]
    if connection.dialect.name == "postgresql":
        await connection.execute(_SAVE_GENERATIONS, _columns(generations))
        await connection.execute(_SAVE_MESSAGES, _columns(messages))
        return
    await defer(session, answer_tails.REMOVE, [{"of_message": item.message_id} for item in progress])
    await connection.execute(
        update(_GENERATIONS)
        .where(_GENERATIONS.c.id == bindparam("of_generation"))
        .values(
            sequence=bindparam("written"),
            first_token_at=bindparam("began"),
            **{name: bindparam(f"used_{name}") for name in TOKEN_COUNTS},
        ),
        generations,
    )
    text_of_message = update(_MESSAGES).where(_MESSAGES.c.id == bindparam("of_message"))
    await connection.execute(text_of_message.values(content=bindparam("blocks", type_=Text())), messages)


def _columns(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}
