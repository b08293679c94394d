"""Transactions of PostgreSQL that change the same rows at the same time: none is aborted because of a deadlock."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from client import WAIT
from rows import Rows

from tertulia.db import guests, messages, search
from tertulia.db.database import Database
from tertulia.db.paging import Page
from tertulia.db.search import SearchRebuild
from tertulia.db.tables import User
from tertulia.db.words import VERSION, Term

pytestmark = pytest.mark.joined

WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0
"""


class Transactions:
    """Transactions on an empty database."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.database = Database(address.replace("postgresql://", "postgresql+asyncpg://"))

    async def ended_or_waiting(self, task: "asyncio.Task[Any]") -> None:
        """Wait until a task has ended, or until a transaction waits for the lock of another one."""
        observer: Any = await asyncpg.connect(self.address)
        while not task.done() and not await observer.fetchval(WAITING):
            await asyncio.wait({task}, timeout=0.01)
        await observer.close()

    async def messages(self, count: int = 2) -> list[UUID]:
        """Store a conversation with messages that are indexed."""
        async with self.database.write() as session:
            rows = Rows(session)
            owner, conversation_id = await rows.user(), await rows.conversation()
            ids = [await rows.message(conversation_id) for _ in range(count)]
            await search.add(session, *[(owner, id, [{"type": "text", "text": "old"}]) for id in ids])
        return ids


Test = Callable[[Callable[[Transactions], Awaitable[None]]], None]


@pytest.fixture
def run(place: dict[str, Any]) -> Test:
    """Run a test with a deadline."""

    async def bounded(test: Callable[[Transactions], Awaitable[None]]) -> None:
        transactions = Transactions(place["database_url"])
        try:
            async with asyncio.timeout(WAIT):
                await test(transactions)
        finally:
            await transactions.database.close()

    return lambda test: asyncio.run(bounded(test))


async def rebuilt_until(database: Database) -> UUID | None:
    async with database.read() as session:
        progress = await session.get(SearchRebuild, VERSION)
    return None if progress is None else progress.after


def test_a_rebuild_of_the_search_index_waits_for_no_message_that_is_being_deleted(run: Test) -> None:
    async def test(on: Transactions) -> None:
        first, second = await on.messages()
        async with on.database.write() as session:
            await messages.remove(session, [second])
            rebuild = asyncio.create_task(search._rebuild_some(on.database))
            await on.ended_or_waiting(rebuild)
            await messages.remove(session, [first])
        assert await rebuild is True
        assert await rebuilt_until(on.database) is None
        (kept,) = await on.messages(1)
        assert await search._rebuild_some(on.database) is True
        assert await rebuilt_until(on.database) == kept

    run(test)


def test_a_rebuild_of_the_search_index_keeps_the_words_of_a_message_whose_owner_changes(
    run: Test, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(on: Transactions) -> None:
        async with on.database.write() as session:
            rows = Rows(session)
            guest, account = User(name="guest-1", issuer=guests.ISSUER, subject="1"), await rows.user()
            session.add(guest)
            await session.flush()
            message_id = await rows.message(await rows.conversation(guest.id))
        values = search._values

        async def move() -> None:
            async with on.database.write() as session:
                await guests.move(session, guest.id, account)

        def moved_meanwhile(dialect: str, rows: Any) -> Any:
            if dialect == "postgresql" and rows[0][0] == guest.id:
                # The rebuild has read the message.
                asyncio.run_coroutine_threadsafe(move(), loop).result(WAIT)
            return values(dialect, rows)

        loop = asyncio.get_running_loop()
        with monkeypatch.context() as patch:
            patch.setattr(search, "_values", moved_meanwhile)
            assert await search._rebuild_some(on.database) is True
        async with on.database.read() as session:
            found = await search.find(session, account, [Term(("hi",))], Page(first=10))
        assert [message.id for message, _ in found] == [message_id]

    run(test)
