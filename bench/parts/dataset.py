"""Write a database with COUNT conversations of the local user, each with messages, search words and generations.

Usage: python -m bench.parts.dataset FILE COUNT

The tables and migrations are Tertulia's. The rows are the same each time.
"""

import asyncio
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Table, insert
from sqlmodel import SQLModel

from bench.upstream import MODEL
from tertulia.db.database import open_engine
from tertulia.db.migrate import migrate
from tertulia.db.search import insertion
from tertulia.db.tables import METADATA, TOKEN_COUNTS, Conversation, Generation, Message, Role, Status, User

Row = dict[str, Any]

LOCAL_USER = "local"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = 500
TEXT = "Claude says what there is to say about this, in two or three sentences, as it does most of the time. "


def identity(kind: int, number: int) -> UUID:
    """Return an id that sorts like its number."""
    return UUID(int=(0x01900000 << 96) | (kind << 64) | number)


def conversation(number: int) -> tuple[Row, list[Row], list[Row]]:
    """Return the rows of a conversation, its messages and the generations of its answers."""
    created_at = BEGIN + timedelta(minutes=number)
    conversation_id = identity(1, number)
    messages: list[Row] = []
    generations: list[Row] = []
    for depth in range(2 + number % 3):
        answer = depth % 2 == 1
        text = f"{depth}: number{number} " + TEXT * (2 if answer else 1)
        message = Message(
            id=identity(2, 4 * number + depth),
            conversation_id=conversation_id,
            parent_id=messages[-1]["id"] if messages else None,
            role=Role.ASSISTANT if answer else Role.USER,
            depth=depth,
            content=[{"type": "text", "text": text}],
            created_at=created_at + timedelta(seconds=depth),
        )
        messages.append(message.model_dump())
        if answer:
            generations.append(_generation(number, message))
    row = Conversation(
        id=conversation_id,
        owner_id=identity(0, 0),
        title=f"Conversation {number}",
        model=MODEL,
        active_leaf_id=messages[-1]["id"],
        amount=None,
        **{name: sum(generation[name] for generation in generations) for name in TOKEN_COUNTS},
        created_at=created_at,
        updated_at=created_at + timedelta(seconds=len(messages)),
    )
    return row.model_dump(), messages, generations


def _generation(number: int, answer: Message) -> Row:
    return Generation(
        id=identity(3, answer.id.int & 0xFFFFFFFF),
        conversation_id=answer.conversation_id,
        message_id=answer.id,
        status=Status.COMPLETED,
        model=MODEL,
        sequence=12,
        stop_reason="end_turn",
        input_tokens=100 + number % 50,
        output_tokens=200 + number % 70,
        cache_read_tokens=10,
        cache_write_tokens=0,
        created_at=answer.created_at,
        started_at=answer.created_at,
        first_token_at=answer.created_at,
        finished_at=answer.created_at,
    ).model_dump()


async def write(url: str, count: int) -> None:
    """Migrate the database, then write all rows in batches."""
    await migrate(url)
    engine = open_engine(url)
    async with engine.execution_options(writes=True).begin() as connection:
        await connection.execute(insert(_table(User)), [User(id=identity(0, 0), name=LOCAL_USER).model_dump()])
        for begin in range(0, count, BATCH):
            batch = dict(_batch(range(begin, min(begin + BATCH, count))))
            for table, rows in batch.items():
                await connection.execute(insert(table), rows)
            owner = identity(0, 0)
            entries = ((owner, row["id"], row["content"]) for row in batch[_table(Message)])
            await connection.execute(*insertion("sqlite", entries))
    await engine.dispose()


def _batch(numbers: range) -> Iterator[tuple[Table, list[Row]]]:
    conversations = [conversation(number) for number in numbers]
    yield _table(Conversation), [row for row, _, _ in conversations]
    yield _table(Message), [row for _, rows, _ in conversations for row in rows]
    yield _table(Generation), [row for _, _, rows in conversations for row in rows]


def _table(model: type[SQLModel]) -> Table:
    return METADATA.tables[str(model.__tablename__)]


if __name__ == "__main__":
    asyncio.run(write(f"sqlite+aiosqlite:///{sys.argv[1]}", int(sys.argv[2])))
