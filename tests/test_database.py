"""Transactions: what is committed, who waits for whom, what is closed, and how a full disk is noticed."""

import asyncio
import errno
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiosqlite.core
import pytest
from rows import NOON, Rows, empty_file, record_round_trips, replace_here, seconds, with_database
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from tertulia.db import accounts, database, sqlite
from tertulia.db.accounts import AuthenticatedUser
from tertulia.db.database import Database, open_engine
from tertulia.db.identities import PersonalToken
from tertulia.db.statements import defer
from tertulia.db.tables import User


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, while other tasks run."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what it waits for sets no event
            await asyncio.sleep(0)


async def names(store: Database) -> set[str]:
    async with store.read() as session:
        return set((await session.exec(select(User.name))).all())


def test_a_transaction_is_committed_at_its_end_and_rolled_back_on_an_error(tmp_path: Path) -> None:
    async def test(store: Database) -> None:
        async with store.write() as session:
            await accounts.get_or_create(session, "ada")

        async def fail() -> None:
            async with store.write() as session:
                await accounts.get_or_create(session, "bob")
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await fail()
        async with store.renew() as session:
            await accounts.get_or_create(session, "eve")
        assert await names(store) == {"ada", "eve"}
        await store.check()

    with_database(tmp_path, test)


def test_an_error_may_still_refer_to_the_rows_of_its_transaction(tmp_path: Path) -> None:
    async def test(store: Database) -> None:
        users: list[User] = []

        async def fail() -> None:
            async with store.write() as session:
                users.append(await accounts.get_or_create(session, "ada"))
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await fail()
        assert users[0].name == "ada"

    with_database(tmp_path, test)


def test_rows_can_be_read_after_their_transaction(tmp_path: Path) -> None:
    async def test(store: Database) -> None:
        async with store.write() as session:
            user = await accounts.get_or_create(session, "ada")
        assert user.name == "ada"

    with_database(tmp_path, test)


def test_one_writer_at_a_time_and_readers_beside_it(tmp_path: Path) -> None:
    async def test(store: Database) -> None:
        assert store.in_turn
        order: list[str] = []

        async def write(name: str) -> None:
            async with store.write() as session:
                order.append(f"begin {name}")
                await accounts.get_or_create(session, name)
                await asyncio.sleep(0)
                order.append(f"end {name}")

        async with store.write() as session:
            await accounts.get_or_create(session, "ada")
            waiting = [asyncio.create_task(write(name)) for name in ("bob", "eve")]
            assert await names(store) == set()
            assert order == []
        await asyncio.gather(*waiting)
        assert order == ["begin bob", "end bob", "begin eve", "end eve"]

    with_database(tmp_path, test)


def test_a_writer_locks_the_file_from_its_first_statement_on_and_a_reader_does_not(tmp_path: Path) -> None:
    async def test(store: Database) -> None:
        file = sqlite3.connect(str(store.engine.url.database), timeout=0, isolation_level=None)
        async with store.read() as session:
            await session.exec(select(User.id))
            file.execute("BEGIN IMMEDIATE")
            file.execute("ROLLBACK")
        async with store.write() as session:
            await session.exec(select(User.id))
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                file.execute("BEGIN IMMEDIATE")
        async with store.renew() as session:
            await session.exec(select(User.id))
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                file.execute("BEGIN IMMEDIATE")
        file.execute("BEGIN IMMEDIATE")
        file.execute("ROLLBACK")
        file.close()

    with_database(tmp_path, test)


@pytest.fixture
def executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    return record_round_trips(monkeypatch, tmp_path)


def without_pragmas(round_trips: list[list[str]]) -> list[list[str]]:
    """Return the round trips without those of SQLAlchemy, which reads a setting from each new connection."""
    return [words for words in round_trips if words != ["PRAGMA"]]


ADDING = text("INSERT INTO spending (day, shard, amount) VALUES (:day, :shard, :amount)")


def spent(shard: int, amount: int | None = 1) -> dict[str, Any]:
    return {"day": "2026-01-01", "shard": shard, "amount": amount}


def test_a_transaction_without_statements_begins_nothing(tmp_path: Path, executed: list[list[str]]) -> None:
    async def test(store: Database) -> None:
        async with store.read():
            pass
        async with store.write():
            pass
        assert without_pragmas(executed) == []
        async with store.write() as session:
            for _ in range(2):
                await session.exec(select(User.id))
        assert without_pragmas(executed) == [["BEGIN", "SELECT"], ["SELECT"], ["COMMIT"]]
        executed.clear()
        async with store.read() as session:
            await session.exec(select(User.id))
        await until(lambda: without_pragmas(executed) == [["BEGIN", "SELECT"], ["ROLLBACK"]])

    with_database(tmp_path, test)


def test_statements_without_a_result_share_the_round_trip_of_the_next_one(
    tmp_path: Path, executed: list[list[str]]
) -> None:
    count = text("SELECT count(*) FROM spending")

    async def test(store: Database) -> None:
        async with store.write() as session:
            await defer(session, ADDING, spent(1))
            await defer(session, ADDING, [spent(2), spent(3)])
            assert (await session.exec(count)).scalar_one() == 3  # type: ignore[call-overload]
            await defer(session, ADDING, spent(4))
        assert without_pragmas(executed) == [["BEGIN", "INSERT", "INSERT", "SELECT"], ["INSERT", "COMMIT"]]
        assert (await store.row(count))[0] == 4
        executed.clear()
        async with store.write() as session:
            await defer(session, ADDING, spent(5))
        assert executed == [["BEGIN", "INSERT", "COMMIT"]]

    with_database(tmp_path, test)


@pytest.mark.parametrize("is_last", [True, False])
def test_a_failure_of_a_deferred_statement_rolls_the_transaction_back(tmp_path: Path, *, is_last: bool) -> None:
    async def test(store: Database) -> None:
        async def fail() -> None:
            async with store.write() as session:
                await defer(session, ADDING, spent(1))
                await defer(session, ADDING, spent(2, None))
                if not is_last:
                    await session.exec(select(User.id))

        for _ in range(2):
            with pytest.raises(IntegrityError) as failed:
                await fail()
            assert "2026" not in str(failed.value)
        async with store.write() as session:
            await defer(session, ADDING, spent(3))
        assert (await store.row(text("SELECT sum(shard) FROM spending")))[0] == 3

    with_database(tmp_path, test)


def test_statements_that_were_deferred_before_an_error_are_not_executed(
    tmp_path: Path, executed: list[list[str]]
) -> None:
    async def test(store: Database) -> None:
        async def fail() -> None:
            async with store.write() as session:
                await defer(session, ADDING, spent(1))
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await fail()
        assert without_pragmas(executed) == []
        assert (await store.row(text("SELECT count(*) FROM spending")))[0] == 0

    with_database(tmp_path, test)


def test_a_transaction_that_only_reads_refuses_to_defer_a_change(tmp_path: Path) -> None:
    async def test(store: Database) -> None:
        async with store.read() as session:
            with pytest.raises(sqlite3.ProgrammingError, match="only reads"):
                await defer(session, ADDING, spent(1))

    with_database(tmp_path, test)


def test_many_rows_are_written_by_one_statement_that_also_begins_the_transaction(tmp_path: Path) -> None:
    adding = text("INSERT INTO spending (day, shard, amount) VALUES (:day, :shard, :amount)")
    rows = [{"day": "2026-01-01", "shard": shard, "amount": 1} for shard in range(3)]

    async def test(store: Database) -> None:
        async def fail() -> None:
            async with store.write() as session:
                connection = await session.connection()
                assert (await connection.execute(adding, rows)).rowcount == 3
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await fail()
        assert (await store.row(text("SELECT count(*) FROM spending")))[0] == 0

    with_database(tmp_path, test)


def test_a_file_that_cannot_be_opened_leaves_no_thread(tmp_path: Path) -> None:
    async def work() -> None:
        connection = sqlite.connect(str(tmp_path / "nowhere" / "file.db"), patience=1.0)
        with pytest.raises(sqlite3.OperationalError):
            await connection
        assert not connection._thread.is_alive()

    asyncio.run(work())


def test_connections_check_references_and_sync_seldom(tmp_path: Path) -> None:
    async def test(store: Database) -> None:
        async with store.read() as session:
            connection = await session.connection()
            settings = [
                (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            ]
        assert settings == ["wal", 1, 1, 20_000]

    with_database(tmp_path, test)


def test_a_snapshot_is_one_transaction_that_sees_nothing_newer(tmp_path: Path) -> None:
    async def test(store: Database) -> None:
        async with store.read_snapshot() as moment:
            async with moment.read() as first:
                assert (await first.exec(select(User.id))).all() == []
            async with store.write() as session:
                await accounts.get_or_create(session, "ada")
            async with moment.read() as second:
                assert second is first
                assert (await second.exec(select(User.id))).all() == []
            assert store.connections == (1, 15)
        assert store.connections == (0, 15)
        # A read after the end of the snapshot uses a new transaction.
        async with moment.read() as third:
            assert third is not first
            assert len((await third.exec(select(User.id))).all()) == 1

    with_database(tmp_path, test)


def test_a_snapshot_that_nobody_has_read_opens_no_transaction(tmp_path: Path) -> None:
    async def test(store: Database) -> None:
        async with store.read_snapshot():
            assert store.connections[0] == 0

    with_database(tmp_path, test)


def test_reads_of_a_snapshot_take_turns_and_its_end_waits_for_them(tmp_path: Path) -> None:
    async def test(store: Database) -> None:
        order: list[str] = []
        gate = asyncio.Event()

        async def read(name: str) -> None:
            async with moment.read():
                order.append(f"begin {name}")
                await gate.wait()
                order.append(f"end {name}")

        async with store.read_snapshot() as moment:
            reads = [asyncio.create_task(read(name)) for name in ("a", "b")]
            await until(lambda: bool(order))
            closing = asyncio.create_task(moment.close())
            for _ in range(5):
                await asyncio.sleep(0)
            assert order == ["begin a"]
            assert not closing.done()
            gate.set()
            await asyncio.gather(*reads, closing)
        assert order == ["begin a", "end a", "begin b", "end b"]

    with_database(tmp_path, test)


def test_snapshots_leave_five_connections_to_others(tmp_path: Path) -> None:
    async def test(store: Database) -> None:
        slots = store._snapshot_slots
        assert [slots.locked() for _ in range(11) if not slots.locked() and await slots.acquire()][:9] == [False] * 9
        assert slots.locked()
        assert store.connections[1] - 10 == database.LEFT_FOR_OTHERS == 5

    with_database(tmp_path, test)


def test_a_row_is_read_without_a_session(tmp_path: Path) -> None:
    async def test(store: Database) -> None:
        assert await store.row(select(User.name)) is None
        async with store.write() as session:
            await accounts.get_or_create(session, "ada")
        assert tuple(await store.row(select(User.name).where(User.name == "ada"))) == ("ada",)

    with_database(tmp_path, test)


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("transaction", ["write", "renew"])
def test_after_a_write_to_a_full_disk_storage_is_tested_until_a_test_succeeds(
    transaction: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(store: Database) -> None:
        statements: list[str] = []
        writing = store.write

        def recorded() -> Any:
            statements.append("write")
            return writing()

        monkeypatch.setattr(store, "write", recorded)
        opened = store.renew if transaction == "renew" else writing
        await store.check_storage()
        assert statements == []

        async def fail(error: Exception) -> None:
            async with opened():
                raise error

        for error in (OSError(errno.ENOSPC, "No space left on device"), RuntimeError()):
            with pytest.raises(type(error)):
                await fail(error)
        # A transaction that changes no row needs no space.
        async with opened():
            pass
        await store.check_storage()
        assert statements == ["write"]
        await store.check_storage()
        assert statements == ["write"]
        async with store.read() as session:
            connection = await session.connection()
            tables = await connection.execute(text("SELECT name FROM sqlite_master WHERE name LIKE 'space_probe%'"))
            assert tables.all() == []

    with_database(tmp_path, test)


def test_a_write_that_fails_for_another_reason_tests_no_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(store: Database) -> None:
        async def fail() -> None:
            async with store.write():
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await fail()
        monkeypatch.setattr(store, "write", full)
        await store.check_storage()

    with_database(tmp_path, test)


def test_closing_waits_for_connections_in_use_and_ends_all_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, threads, opened = empty_file(tmp_path), list[threading.Thread](), sqlite._open

    def recorded(file: str, *arguments: Any) -> sqlite3.Connection:
        # Servers of other tests, whose threads come and go, use other files.
        if file.startswith(str(tmp_path)):
            threads.append(threading.current_thread())
        return opened(file, *arguments)

    async def work() -> None:
        store = Database(url)
        gate = asyncio.Event()

        async def read() -> None:
            async with store.read() as session:
                await session.exec(select(User.id))
                await gate.wait()

        reading = asyncio.create_task(read())
        await until(lambda: store.connections[0] > 0)
        closing = asyncio.create_task(store.close())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not closing.done()
        gate.set()
        await asyncio.gather(reading, closing)
        # A thread that outlives this would be killed while the interpreter shuts down, which can abort a command.
        assert threads
        assert not any(thread.is_alive() for thread in threads)

    class SlowLog:
        """The log of the driver's threads, which keeps a thread busy after each result."""

        def debug(self, _message: str, *_: object) -> None:
            wait_a_little.wait(0.01)

    wait_a_little = threading.Event()
    monkeypatch.setattr(aiosqlite.core, "LOG", SlowLog())
    monkeypatch.setattr(sqlite, "_open", recorded)
    asyncio.run(work())


def test_closing_waits_two_seconds_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    sleep = asyncio.sleep

    async def shortened(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    async def test(store: Database) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(store.engine.pool, "checkedout", lambda: 1)
            replace_here(patch, asyncio, "sleep", shortened)
            await store.close()
        assert sum(slept) == pytest.approx(2.0)

    with_database(tmp_path, test)


def test_sqlite_has_one_engine_and_postgresql_another_one_for_leases(tmp_path: Path) -> None:
    async def test(store: Database) -> None:
        assert store._renewal_engine is store.engine

    with_database(tmp_path, test)

    async def work() -> None:
        store = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none")
        assert store._renewal_engine is not store.engine
        assert not store.in_turn
        assert store.connections == (0, 20)
        assert [
            slot for slot in range(20) if not store._snapshot_slots.locked() and await store._snapshot_slots.acquire()
        ][-1] == 14
        pools: list[Any] = [store.engine.pool, store._renewal_engine.pool]
        assert [(pool.size(), pool._max_overflow) for pool in pools] == [(20, 0), (1, 0)]
        await store.close()

    asyncio.run(work())


def test_values_of_statements_are_not_in_errors(tmp_path: Path) -> None:
    engine = open_engine(empty_file(tmp_path))

    async def work() -> None:
        async with engine.connect() as connection:
            with pytest.raises(Exception, match="parameters hidden"):
                await connection.execute(text("SELECT :secret FROM nowhere"), {"secret": "hunter2"})
        await engine.dispose()

    asyncio.run(work())


def test_requests_are_authenticated_by_sign_ins_and_tokens_that_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "now", lambda: NOON)

    async def test(store: Database) -> None:
        async with store.write() as session:
            ada = await Rows(session).user()
            begun = [(await accounts.begin_sign_in(session, ada, seconds(second))).id for second in (1, 0, 1)]
            await accounts.revoke(session, sign_in_id=begun[2])
            await accounts.set_plan(session, ada, "pro")
            for digest, expires_at in (("always", None), ("later", seconds(1)), ("now", NOON)):
                token = PersonalToken(owner_id=ada, label="", digest=digest, expires_at=expires_at)
                await accounts.add_token(session, token)
        user = AuthenticatedUser(ada, "ada", None, "pro")
        assert [await accounts.of_sign_in(store, id) for id in (*begun, uuid4())] == [user, None, None, None]
        assert [await accounts.of_token(store, digest) for digest in ("always", "later", "now", "none")] == [
            user, replace(user, expires_at=seconds(1)), None, None,
        ]  # fmt: skip

    with_database(tmp_path, test)
