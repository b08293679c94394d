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
from client import WAIT, Api, Json
from rows import MODEL, Rows
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

from tertulia.billing.budget import Budget
from tertulia.billing.prices import Prices
from tertulia.billing.server_budget import ServerBudget
from tertulia.claude.models import Models
from tertulia.db import (
    accounts,
    attachments,
    changes,
    generations,
    guests,
    leases,
    limit_hits,
    messages,
    outbox,
    search,
    shares,
    spending,
    tool_connections,
)
from tertulia.db.database import AsyncSession, Database
from tertulia.db.identities import AuditEntry, SignIn
from tertulia.db.inserting import insert
from tertulia.db.limit_hits import NOBODY, LimitHits
from tertulia.db.outbox import DeliveryStatus, OutboxEvent
from tertulia.db.paging import Page
from tertulia.db.progress import Progress, save_progress
from tertulia.db.search import SearchRebuild
from tertulia.db.spending import Reservation
from tertulia.db.tables import (
    Attachment,
    Blob,
    ChangeKind,
    Conversation,
    ConversationChange,
    IdempotencyKey,
    Message,
    User,
    now,
)
from tertulia.db.tool_connections import ToolAuthorization
from tertulia.db.words import VERSION, Term
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.generation.recovery import start_generation
from tertulia.generation.retention import detach, remove_part
from tertulia.resolvers.sharing import Sharing
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


OLD = now() - timedelta(days=60)
Trim = tuple[SQLModel, SQLModel, Callable[[AsyncSession], Awaitable[object]]]
"""Two rows that have expired, and what deletes or ends such rows."""


def columns(**columns: Any) -> Json:
    return columns


async def trims(on: Transactions) -> list[Trim]:
    """Store expired rows of all kinds."""
    answer = await stored(on.database)
    conversation_id = answer.owner.conversation_id
    owner = columns(owner_id=answer.owner.id)
    share = columns(conversation_id=conversation_id, leaf_id=answer.message_id, expires_at=OLD, **owner)
    change = columns(kind=ChangeKind.UPDATED, conversation_id=conversation_id, created_at=OLD, **owner)
    key = columns(fingerprint="", generation_id=answer.id, created_at=OLD, **owner)
    authorization = columns(server="mail", secrets="", return_to="/", expires_at=OLD, **owner)
    event = columns(subscriber="app", event="message.rated", **owner)
    blob = Blob()
    attachment = columns(blob_id=blob.id, filename="a", media_type="image/png", created_at=OLD, **owner)

    def trim(make: Callable[[int], SQLModel], work: Callable[[AsyncSession], Awaitable[object]]) -> Trim:
        return make(1), make(2), work

    made: list[Trim] = [
        trim(lambda number: IdempotencyKey(key=str(number), **key), lambda session: generations.trim_keys(session, 9)),
        trim(lambda number: shares.Share(digest=str(number), **share), lambda session: shares.trim(session, 9)),
        trim(
            lambda number: ToolAuthorization(digest=str(number), **authorization),
            lambda session: tool_connections.trim(session, 9),
        ),
        trim(
            lambda _: AuditEntry(action="signed_in", created_at=OLD),
            lambda session: accounts.trim_audit(session, now(), 9),
        ),
        trim(
            lambda number: LimitHits(day=OLD.date(), limit_name=str(number), subject=NOBODY, hits=1),
            lambda session: limit_hits.trim(session, UNTIL.date(), 9),
        ),
        trim(lambda number: ConversationChange(sequence=number, **change), changes.trim),
        trim(lambda _: Attachment(size_bytes=1, **attachment), attachments.forget_unsent),
        trim(lambda _: SignIn(expires_at=OLD, **owner), lambda session: accounts.forget_ended(session, now())),
        trim(
            lambda _: Reservation(amount=1, expires_at=OLD, **owner),
            lambda session: spending.reserve(session, Reservation(amount=1, expires_at=UNTIL, **owner)),
        ),
        trim(
            lambda _: OutboxEvent(status=DeliveryStatus.FAILED, finished_at=OLD, give_up_at=OLD, **event),
            lambda session: outbox.trim(session, 9),
        ),
        trim(lambda _: OutboxEvent(give_up_at=OLD, **event), outbox.expire),
        trim(
            lambda _: OutboxEvent(subscriber="gone", event="message.rated", give_up_at=UNTIL, **owner),
            lambda session: outbox.disable(session, "gone"),
        ),
    ]
    async with on.database.write() as session:
        await insert(session, [blob])
        for first, second, _ in made:
            await insert(session, [first, second])
    return made


def test_the_removal_of_expired_rows_waits_for_no_row_that_another_transaction_has_locked(run: Test) -> None:
    async def test(on: Transactions) -> None:
        made = await trims(on)

        async def trim(work: Callable[[AsyncSession], Awaitable[object]]) -> None:
            async with on.database.write() as session:
                await work(session)

        async with on.database.write() as session:
            for row, _, _ in made:
                assert await find(session, row, with_for_update=True)
            for row, _, work in made:
                task = asyncio.create_task(trim(work))
                await on.ended_or_waiting(task)
                assert task.done(), row
                await task
        async with on.database.read() as session:
            for locked, free, _ in made:
                rows: list[Any] = [await find(session, row) for row in (locked, free)]
                assert rows[0] is not None
                was_pending = isinstance(free, OutboxEvent) and free.finished_at is None
                assert rows[1].finished_at if was_pending else rows[1] is None

    run(test)


async def find(session: AsyncSession, row: SQLModel, *, with_for_update: bool = False) -> Any:
    model: Any = type(row)
    return await session.get(model, inspect(model).primary_key_from_instance(row), with_for_update=with_for_update)


async def fail(session: AsyncSession, code: str) -> None:
    """Make PostgreSQL fail as if there were a conflict with another transaction."""
    await (await session.connection()).execute(text(f"DO $$ BEGIN RAISE SQLSTATE '{code}'; END $$"))


@pytest.mark.parametrize(("code", "failures", "attempts"), [("40P01", 2, 3), ("40001", 3, 3), ("22012", 1, 1)])
def test_a_transaction_is_repeated_twice_after_a_conflict_and_not_after_other_errors(
    run: Test, code: str, failures: int, attempts: int
) -> None:
    async def test(on: Transactions) -> None:
        tried: list[UUID] = []

        async def work(session: AsyncSession) -> UUID:
            tried.append(await Rows(session).user())
            if len(tried) <= failures:
                await fail(session, code)
            return tried[-1]

        if failures < attempts:
            assert await on.database.write_again(work) == tried[-1]
        else:
            with pytest.raises(DBAPIError):
                await on.database.write_again(work)
        assert len(tried) == attempts
        async with on.database.read() as session:
            stored_ids = [user.id for user in await accounts.all_users(session)]
        assert stored_ids == tried[failures:]

    run(test)


def test_a_deletion_is_repeated_if_it_was_aborted_because_of_another_transaction(
    fresh: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    aborted: list[object] = []
    deepest = messages.deepest

    async def abort_once(session: AsyncSession, *arguments: Any) -> Any:
        if not aborted:
            aborted.append(arguments)
            await fail(session, "40P01")
        return await deepest(session, *arguments)

    monkeypatch.setattr(messages, "deepest", abort_once)
    creating = "mutation { createConversation(input: {}) { ... on ConversationPayload { conversation { id } } } }"
    id = fresh.ask(creating)["createConversation"]["conversation"]["id"]
    deleting = "mutation ($id: ID!) { deleteConversation(id: $id) { ... on DeletedConversation { deletedId } } }"
    assert fresh.ask(deleting, id=id)["deleteConversation"] == {"deletedId": id}
    assert aborted


def test_views_of_shares_are_counted_while_their_conversation_is_deleted(run: Test) -> None:
    async def test(on: Transactions) -> None:
        answer = await stored(on.database)
        common = columns(owner_id=answer.owner.id, conversation_id=answer.owner.conversation_id)
        both = [shares.Share(digest=str(n), leaf_id=answer.message_id, **common) for n in range(2)]
        async with on.database.write() as session:
            await insert(session, both)
        sharing = Sharing(on.database, is_on=True)
        for share in both:
            sharing.count_view(share.id)
        async with on.database.write() as session:
            # A deletion locks them in any order.
            await shares.remove(session, answer.owner.id, both[1].id)
            storing = asyncio.create_task(sharing.store_views())
            await on.ended_or_waiting(storing)
            await shares.remove(session, answer.owner.id, both[0].id)
        await storing

    run(test)


def test_the_end_of_all_tokens_locks_users_in_the_order_in_which_others_do(run: Test) -> None:
    async def test(on: Transactions) -> None:
        first, second = (User(name=name, issuer="https://id", subject=name) for name in ("first", "second"))
        async with on.database.write() as session:
            # Without an order, the rows would be locked as they are stored.
            for user in (second, first):
                await accounts.add(session, user)

        async def end_tokens() -> None:
            async with on.database.write() as session:
                await accounts.revoke_everything(session, None)

        async with on.database.write() as session:
            await leases.lock_owner(session, first.id)
            ending = asyncio.create_task(end_tokens())
            await on.ended_or_waiting(ending)
            assert not ending.done()
            await leases.lock_owner(session, second.id)
        await ending
        async with on.database.read() as session:
            assert all([(await accounts.existing(session, user.id)).signed_out_at for user in (first, second)])

    run(test)


def test_an_authorization_is_used_while_its_user_is_deleted(run: Test) -> None:
    async def test(on: Transactions) -> None:
        async with on.database.write() as session:
            owner = await Rows(session).user()
            common = columns(owner_id=owner, server="mail", secrets="", return_to="/", expires_at=UNTIL)
            await tool_connections.begin(session, ToolAuthorization(digest="state", **common))

        async def remove() -> None:
            async with on.database.write() as session:
                await leases.lock_owner(session, owner)
                assert await accounts.remove_user(session, owner)

        async with on.database.write() as session:
            assert await tool_connections.take(session, "state", has_code=False)
            removal = asyncio.create_task(remove())
            await on.ended_or_waiting(removal)
            await tool_connections.begin(session, ToolAuthorization(digest="confirmation", has_code=True, **common))
        await removal

    run(test)
