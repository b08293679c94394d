"""Rows for the tests of queries, in a SQLite database of the process, or in one of the test's own."""

import asyncio
import atexit
import re
import shutil
import threading
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from sqlite3 import Connection
from tempfile import mkdtemp
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from running import prepare_database

from tertulia.db import accounts, sqlite
from tertulia.db.database import AsyncSession, Database
from tertulia.db.inserting import insert
from tertulia.db.tables import ApiCall, Conversation, Generation, Message, Role, Status

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
"""The present of most of these tests."""
MODEL = "claude-opus-5-5"


def seconds(number: float) -> datetime:
    """Return the time so many seconds after noon."""
    return NOON + timedelta(seconds=number)


def replace_here(patch: pytest.MonkeyPatch, module: ModuleType, name: str, replacement: Callable[..., Any]) -> None:
    """Replace a function of the standard library in this thread only: servers of other tests run in other threads."""
    thread, original = threading.get_ident(), getattr(module, name)

    def choose(*arguments: Any) -> Any:
        return (replacement if threading.get_ident() == thread else original)(*arguments)

    patch.setattr(module, name, choose)


def record_round_trips(patch: pytest.MonkeyPatch, folder: Path) -> list[list[str]]:
    """Record the first words of the statements of each round trip to the thread of a SQLite file in this folder."""
    round_trips: list[list[str]] = []
    execute = sqlite._execute

    def recorded(connection: Connection, statements: Sequence[sqlite.Statement]) -> Any:
        # Servers of other tests use other files.
        file: str = connection.execute("PRAGMA database_list").fetchone()[2]
        if file.startswith(str(folder)):
            round_trips.append([re.split(r"\W", statement.text, maxsplit=1)[0] for statement in statements])
        return execute(connection, statements)

    patch.setattr(sqlite, "_execute", recorded)
    return round_trips


class Rows:
    """Inserts rows in one transaction. Columns that a test does not name have plausible values."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def user(self, name: str = "ada") -> UUID:
        return (await accounts.get_or_create(self.session, name)).id

    async def conversation(self, owner: UUID | None = None, **columns: Any) -> UUID:
        owner = owner or await self.user()
        values: dict[str, Any] = {"model": MODEL} | columns
        conversation = Conversation(owner_id=owner, **values)
        await insert(self.session, [conversation])
        return conversation.id

    async def message(
        self,
        conversation_id: UUID,
        parent: UUID | None = None,
        *,
        role: Role = Role.USER,
        depth: int = 0,
        **columns: Any,
    ) -> UUID:
        content = [{"type": "text", "text": "Hi."}]
        values: dict[str, Any] = {"content": content, "parent_id": parent, "role": role, "depth": depth} | columns
        message = Message(conversation_id=conversation_id, **values)
        await insert(self.session, [message])
        return message.id

    async def generation(
        self, conversation_id: UUID | None = None, message_id: UUID | None = None, **columns: Any
    ) -> UUID:
        """Insert a running generation, with an empty answer if `message_id` is None."""
        conversation_id = conversation_id or await self.conversation()
        message_id = message_id or await self.message(conversation_id, role=Role.ASSISTANT, depth=1, content=[])
        values: dict[str, Any] = {"status": Status.RUNNING, "model": MODEL} | columns
        generation = Generation(conversation_id=conversation_id, message_id=message_id, **values)
        await insert(self.session, [generation])
        return generation.id

    async def call(self, owner: UUID | None = None, **columns: Any) -> UUID:
        """Insert an API call at noon."""
        call = api_call(owner or await self.user(), **columns)
        await insert(self.session, [call])
        return call.id


def api_call(owner: UUID, **columns: Any) -> ApiCall:
    """Return an API call at noon."""
    values: dict[str, Any] = {
        "purpose": "answer", "model": MODEL, "outcome": Status.COMPLETED, "prices": "test", "day": NOON.date(), "created_at": NOON,
    }  # fmt: skip
    return ApiCall(owner_id=owner, **(values | columns))


@cache
def _url_of_process() -> str:
    folder = mkdtemp(prefix="tertulia-rows-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    url = f"sqlite+aiosqlite:///{Path(folder) / 'tertulia.db'}"
    prepare_database(url)
    return url


def rolled_back(test: Callable[[Rows], Awaitable[None]], url: str | None = None) -> None:
    """Run a test in one transaction, which is rolled back: no test sees the rows of another.

    Without the URL of a database, all tests of a process use the same SQLite file.
    """
    url = url or _url_of_process()

    async def work() -> None:
        database = Database(url)
        try:
            async with database.write() as session:
                await test(Rows(session))
                await session.rollback()
        finally:
            await database.close()

    asyncio.run(work())


def empty_file(folder: Path) -> str:
    """Return the address of an empty database in a folder."""
    url = f"sqlite+aiosqlite:///{folder / 'rows.db'}"
    prepare_database(url)
    return url


def with_database(folder: Path, test: Callable[[Database], Awaitable[None]]) -> None:
    """Run a test on an empty database in a folder, for code that opens transactions itself."""
    url = empty_file(folder)

    async def work() -> None:
        database = Database(url)
        try:
            await test(database)
        finally:
            await database.close()

    asyncio.run(work())
