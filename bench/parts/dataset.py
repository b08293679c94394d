"""Write a database with COUNT conversations of the local user, each with messages, search words and generations.

Usage: python -m bench.parts.dataset FILE|DATABASE_URL COUNT [MESSAGES]

A conversation has two to four messages, or MESSAGES. In one of six, Claude waits for the result of a tool: a starting
server changes answers in any other unfinished state. The tables and migrations are Tertulia's. The rows are the same
each time.
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Table, insert
from sqlmodel import SQLModel

from bench.upstream import MODEL
from tertulia.db.database import open_engine
from tertulia.db.migrate import migrate
from tertulia.db.search import SearchRebuild, insertion
from tertulia.db.tables import METADATA, TOKEN_COUNTS, Conversation, Generation, Message, Role, Status, User
from tertulia.db.tool_calls import CallStatus, ToolCall
from tertulia.db.words import VERSION

Row = dict[str, Any]

LOCAL_USER = "local"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NEVER = datetime(2100, 1, 1, tzinfo=UTC)
ONE_OF, ACTIVE = 6, 5
"""Conversations whose number has the remainder ACTIVE by ONE_OF wait for a tool. All of them end with an answer."""
TOOL_USE = "toolu_bench"
TOOL_BLOCK = {"type": "tool_use", "id": TOOL_USE, "name": "look_up", "input": {}}
BATCH = 500
TEXT = "Claude says what there is to say about this, in two or three sentences, as it does most of the time. "


def identity(kind: int, number: int) -> UUID:
    """Return an id that sorts like its number."""
    return UUID(int=(0x01900000 << 96) | (kind << 64) | number)


def conversation(number: int, count: int = 0) -> dict[Table, list[Row]]:
    """Return the rows of a conversation by table: itself, its messages, their generations, and a waiting call."""
    count = count or 2 + number % 3
    created_at = BEGIN + timedelta(minutes=number)
    conversation_id = identity(1, number)
    messages: list[Row] = []
    generations: list[Row] = []
    calls: list[Row] = []
    for depth in range(count):
        answer = depth % 2 == 1
        waits = depth == count - 1 and number % ONE_OF == ACTIVE
        text = f"{depth}: number{number} " + TEXT * (2 if answer else 1)
        message = Message(
            id=identity(2, max(count, 4) * number + depth),
            conversation_id=conversation_id,
            parent_id=messages[-1]["id"] if messages else None,
            role=Role.ASSISTANT if answer else Role.USER,
            depth=depth,
            content=[{"type": "text", "text": text}, *([TOOL_BLOCK] if waits else [])],
            created_at=created_at + timedelta(seconds=depth),
        )
        messages.append(message.model_dump())
        if answer:
            generations.append(_generation(number, message, waits=waits))
        if waits:
            calls.append(_call(conversation_id, generations[-1]["id"], message.created_at))
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
    return {
        _table(Conversation): [row.model_dump()],
        _table(Message): messages,
        _table(Generation): generations,
        _table(ToolCall): calls,
    }


def _call(conversation_id: UUID, generation_id: UUID, created_at: datetime) -> Row:
    return ToolCall(
        id=identity(4, generation_id.int & 0xFFFFFFFF),
        owner_id=identity(0, 0),
        conversation_id=conversation_id,
        generation_id=generation_id,
        tool_use_id=TOOL_USE,
        name="look_up",
        status=CallStatus.WAITING,
        created_at=created_at,
    ).model_dump()


def _generation(number: int, answer: Message, *, waits: bool) -> Row:
    return Generation(
        id=identity(3, answer.id.int & 0xFFFFFFFF),
        conversation_id=answer.conversation_id,
        message_id=answer.id,
        status=Status.AWAITING_TOOL_RESULTS if waits else Status.COMPLETED,
        tools_expire_at=NEVER if waits else None,
        model=MODEL,
        sequence=12,
        stop_reason=None if waits else "end_turn",
        input_tokens=100 + number % 50,
        output_tokens=200 + number % 70,
        cache_read_tokens=10,
        cache_write_tokens=0,
        created_at=answer.created_at,
        started_at=answer.created_at,
        first_token_at=answer.created_at,
        finished_at=None if waits else answer.created_at,
    ).model_dump()


async def write(url: str, count: int, messages: int) -> None:
    """Migrate the database, then write all rows in batches."""
    await migrate(url)
    engine = open_engine(url)
    async with engine.execution_options(writes=True).begin() as connection:
        await connection.execute(insert(_table(User)), [User(id=identity(0, 0), name=LOCAL_USER).model_dump()])
        for begin in range(0, count, BATCH):
            batch = [conversation(number, messages) for number in range(begin, min(begin + BATCH, count))]
            for table in batch[0]:
                if rows := [row for one in batch for row in one[table]]:
                    await connection.execute(insert(table), rows)
            owner = identity(0, 0)
            entries = ((owner, row["id"], row["content"]) for one in batch for row in one[_table(Message)])
            await connection.execute(*insertion(connection.dialect.name, entries))
        # Otherwise, a server would index all messages again while it is measured.
        indexed = SearchRebuild(version=VERSION, finished=True).model_dump()
        await connection.execute(insert(_table(SearchRebuild)), [indexed])
        if connection.dialect.name == "postgresql":
            # A server that is in use has statistics.
            await connection.exec_driver_sql("ANALYZE")
    await engine.dispose()


def _table(model: type[SQLModel]) -> Table:
    return METADATA.tables[str(model.__tablename__)]


if __name__ == "__main__":
    target = sys.argv[1] if "://" in sys.argv[1] else f"sqlite+aiosqlite:///{sys.argv[1]}"
    asyncio.run(write(target, int(sys.argv[2]), int([*sys.argv, "0"][3])))
