"""Generations of this process for tests of the modules that start, recover and end them, without Claude."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from client import Json
from rows import MODEL, Rows

from tertulia.db.database import Database
from tertulia.db.tables import Generation, Message, Role
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.generation.state import ActiveGeneration, Owner
from tertulia.streams.events import GenerationEvent
from tertulia.streams.lease import Lease

ME, OTHER = uuid4(), uuid4()
"""This process, and another one."""


def lease(seconds: float = 60) -> Lease:
    return Lease(datetime.now(UTC) + timedelta(seconds=seconds))


async def written() -> None:
    """A task that has written its answer."""


async def never() -> None:
    """A task that does not end by itself."""
    await asyncio.Event().wait()


async def raising(error: BaseException) -> None:
    raise error


@asynccontextmanager
async def active(
    work: Coroutine[Any, Any, None], answer: AnswerAccumulator | None = None, **fields: Any
) -> AsyncGenerator[ActiveGeneration]:
    """Yield a generation whose task runs `work`, and has taken its first step."""
    values: Json = {"lease": lease(), "message_id": uuid4(), "model": MODEL} | fields
    generation = ActiveGeneration(answer or AnswerAccumulator(uuid4()), **values)
    generation.writing = asyncio.create_task(work)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    try:
        yield generation
    finally:
        generation.writing.cancel()
        await asyncio.gather(generation.writing, return_exceptions=True)


def texts(*texts: str) -> list[Json]:
    return [{"type": "text", "text": text} for text in texts]


def process(answer: AnswerAccumulator, *events: Json) -> list[GenerationEvent]:
    output: list[GenerationEvent] = []
    answer.process(events, output)
    return output


class Stored:
    """The rows of one generation, which this process holds."""

    def __init__(self, database: Database, owner: UUID, generation: Generation) -> None:
        self.database = database
        self.owner = Owner(owner, "ada", generation.conversation_id)
        self.id, self.message_id = generation.id, generation.message_id

    async def generation(self) -> Generation:
        async with self.database.read() as session:
            row = await session.get(Generation, self.id)
        assert row is not None
        return row

    async def content(self) -> list[Json]:
        async with self.database.read() as session:
            row = await session.get(Message, self.message_id)
        assert row is not None
        return row.content


async def stored(database: Database, conversation: Json | None = None, **columns: Any) -> Stored:
    """Insert a generation after a message of the user."""
    async with database.write() as session:
        rows = Rows(session)
        owner = await rows.user()
        conversation_id = await rows.conversation(owner, **(conversation or {}))
        question = await rows.message(conversation_id)
        answer = await rows.message(conversation_id, question, role=Role.ASSISTANT, depth=1, content=[])
        id = await rows.generation(conversation_id, answer, **({"holder": ME} | columns))
        row = await session.get(Generation, id)
        assert row is not None
        return Stored(database, owner, row)
