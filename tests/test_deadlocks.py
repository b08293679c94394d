"""Transactions of PostgreSQL that change the same rows at the same time: none is aborted because of a deadlock."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import asyncpg
import pytest
from active import ME, Stored, active, never, stored
from client import WAIT
from rows import MODEL, Rows
from sqlalchemy import text

from tertulia.billing.budget import Budget
from tertulia.billing.prices import Prices
from tertulia.billing.server_budget import ServerBudget
from tertulia.claude.models import Models
from tertulia.db import guests, leases, messages, search, spending
from tertulia.db.database import AsyncSession, Database
from tertulia.db.paging import Page
from tertulia.db.progress import Progress, save_progress
from tertulia.db.search import SearchRebuild
from tertulia.db.tables import Conversation, Message, User, now
from tertulia.db.words import VERSION, Term
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.generation.recovery import start_generation
from tertulia.generation.retention import detach, remove_part
from tertulia.tools.registry import ToolRegistry

pytestmark = pytest.mark.joined

UNTIL = now() + timedelta(hours=1)
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


async def checkpoint(session: AsyncSession, *rows: Stored) -> None:
    """Save the text of answers, whose leases the transaction has renewed."""
    await save_progress(session, [Progress(row.id, row.message_id, 1, None, "[]", {}) for row in rows])


async def remove_conversation(session: AsyncSession, answer: Stored) -> object:
    return await remove_part(session, answer.owner.id, answer.owner.conversation_id)


async def detach_answer(session: AsyncSession, answer: Stored) -> object:
    conversation = await session.get_one(Conversation, answer.owner.conversation_id)
    return await detach(session, conversation, await session.get_one(Message, answer.message_id))


@pytest.mark.parametrize("remove", [remove_conversation, detach_answer])
def test_a_deletion_waits_for_the_checkpoint_of_an_answer_before_it_changes_the_message(
    run: Test, remove: Callable[[AsyncSession, Stored], Awaitable[object]]
) -> None:
    async def test(on: Transactions) -> None:
        answer = await stored(on.database)

        async def delete() -> None:
            async with on.database.write() as session:
                await leases.lock_owner(session, answer.owner.id)
                assert await remove(session, answer) is not None

        async with on.database.renew() as session:
            assert await leases.renew_all(session, [answer.id], ME, UNTIL)
            deletion = asyncio.create_task(delete())
            await on.ended_or_waiting(deletion)
            await checkpoint(session, answer)
        await deletion

    run(test)


def test_a_checkpoint_locks_answers_in_the_order_in_which_deletions_do(run: Test) -> None:
    async def test(on: Transactions) -> None:
        # The newer one is stored first, so that a scan of the table finds it first.
        newer = await stored(on.database, id=UUID(int=2))
        older = await stored(on.database, id=UUID(int=1))

        async def renew() -> None:
            async with on.database.renew() as session:
                connection = await session.connection()
                await connection.execute(text("SET LOCAL enable_indexscan = off"))
                await connection.execute(text("SET LOCAL enable_bitmapscan = off"))
                assert len(await leases.renew_all(session, [newer.id, older.id], ME, UNTIL)) == 2

        async with on.database.write() as session:
            await leases.lock_unfinished(session, older.owner.conversation_id)
            renewal = asyncio.create_task(renew())
            await on.ended_or_waiting(renewal)
            await leases.lock_unfinished(session, newer.owner.conversation_id)
        await renewal

    run(test)


def test_a_deletion_that_waits_for_a_message_does_not_hold_the_row_of_the_servers_spending(run: Test) -> None:
    async def test(on: Transactions) -> None:
        answer = await stored(on.database, reserved=5)

        async def delete() -> None:
            async with on.database.write() as session:
                await messages.remove(session, [answer.message_id])

        async with on.database.write() as session:
            locking = text("SELECT 1 FROM messages WHERE id = :id FOR NO KEY UPDATE")
            await (await session.connection()).execute(locking, {"id": answer.message_id})
            deletion = asyncio.create_task(delete())
            await on.ended_or_waiting(deletion)
            await spending.add(session, answer.message_id, {now().date(): 7})
        await deletion
        async with on.database.read() as session:
            assert (await spending.committed(session)).day == 12

    run(test)


def test_an_answer_that_starts_reserves_from_the_servers_budget_after_it_has_locked_its_generation(run: Test) -> None:
    async def test(on: Transactions) -> None:
        answer = await stored(on.database)
        models = Models(cast("Any", None), default=MODEL, allowed=(), simulated=True)
        budget = Budget(None, Prices(), server=ServerBudget(Decimal(100)))

        async def start() -> None:
            async with active(never(), AnswerAccumulator(answer.id)) as generation:
                started = await start_generation(
                    on.database, generation, ME, UNTIL, budget=budget, models=models, tool_registry=ToolRegistry()
                )
            assert (await answer.generation()).reserved == started.allowance
            assert started.allowance

        async with on.database.renew() as session:
            assert await leases.renew_all(session, [answer.id], ME, UNTIL)
            starting = asyncio.create_task(start())
            await on.ended_or_waiting(starting)
            await spending.lock(session)
        await starting

    run(test)
