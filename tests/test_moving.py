"""Moves of all data between SQLite and PostgreSQL: `db.moving` and `tertulia move`."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from client import Api, Json
from former import HEAD, RECORDED, exported, load, recording
from people import MODE, PASSWORD, post
from rows import empty_file
from running import execute, tertulia
from servers import Servers
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    DateTime,
    Enum,
    Integer,
    String,
    Table,
    Uuid,
    insert,
    inspect,
    select,
)
from test_command import run_here
from test_upgrades import SEARCH

from tertulia.db import move_checks, moving
from tertulia.db.errors import DatabaseUnavailable
from tertulia.db.migrate import MOVING, connected, migrate, schema_of
from tertulia.db.move_checks import Totals, stored_type, totals_of
from tertulia.db.moving import NOT_COPIED, Mover, MoveRefused, tables
from tertulia.db.tables import METADATA

COUNT = 4
"""The rows of each table. The page size of these tests is 3."""
START = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
Rows = dict[str, list[tuple[Any, ...]]]


def silent(_table: str, _done: int, _total: int) -> None:
    """Report nothing."""


def move(source: str, target: str, progress: moving.Progress = silent, *, rehearse: bool = False) -> moving.Moved:
    return asyncio.run(moving.move(source, target, progress, rehearse=rehearse))


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "PAGE", 3)
    monkeypatch.setattr(move_checks, "INTERVAL", 0.05)


@pytest.fixture
def new_postgresql(servers: Servers) -> str:
    """The address of an empty PostgreSQL database without tables."""
    url: str = servers.empty()["database_url"]
    return url


@pytest.fixture
def filled(tmp_path: Path) -> str:
    """The address of an SQLite database with rows in every table."""
    (tmp_path / "source").mkdir()
    url = empty_file(tmp_path / "source")
    asyncio.run(fill(url))
    return url


@pytest.fixture
def new_sqlite(tmp_path: Path) -> str:
    """The address of an SQLite database that does not exist."""
    return f"sqlite:///{tmp_path / 'target.db'}"


async def fill(url: str) -> None:
    """Insert rows into every table, with values in every column."""
    ids: dict[str, list[UUID]] = {}
    async with connected(url, raw_json=True) as engine, engine.execution_options(writes=True).begin() as connection:
        for table in METADATA.sorted_tables:
            rows: list[dict[str, Any]] = [
                {column.name: value(column, number, ids) for column in table.columns} for number in range(COUNT)
            ]
            if table.name == "messages":
                # The first refers to the last, as after a change of the clock.
                rows[0]["parent_id"], rows[2]["parent_id"] = rows[-1]["id"], rows[1]["id"]
            ids[table.name] = [row["id"] for row in rows if "id" in row]
            await connection.execute(insert(table), rows)


def value(column: Column[Any], number: int, ids: dict[str, list[UUID]]) -> object:
    """Return a value for a column, which is unique if it must be."""
    references = [key.column.table.name for key in column.foreign_keys]
    if references and references[0] != column.table.name:
        return ids[references[0]][number]
    if references or (column.nullable and number == 1):
        return None
    seed = sum(map(ord, f"{column.table.name}.{column.name}"))
    makers: list[tuple[type, Callable[[], object]]] = [
        (Uuid, lambda: UUID(int=(number + 1) * 10**30 + seed)),
        (DateTime, lambda: START + timedelta(seconds=seed, microseconds=number)),
        (Date, lambda: date(2026, 1, 1 + number)),
        (Boolean, lambda: number % 2 == 0),
        (Enum, lambda: pick(column, number)),
        (Integer, lambda: seed + number),
        (JSON, lambda: as_json(column, number)),
        (String, lambda: f"{column.name} {number} äß 👋 \u202e"),
    ]
    return next(make() for kind, make in makers if isinstance(stored_type(column), kind))


def pick(column: Column[Any], number: int) -> StrEnum:
    kinds: Any = column.type.python_type
    return list[StrEnum](kinds)[number % len(kinds)]


def as_json(column: Column[Any], number: int) -> str:
    """Return JSON whose bytes are not those that this version would write."""
    if column.name == "content":
        return f'[{{"type" : "text", "text": "needle{number} of the hay \\ud83d\\udc4b"}}]'
    if column.nullable and number == 2:
        return "null"
    return f'{{"b" : 1.50, "a": [{number}, "\\u0000"], "a" : true}}'


async def read(url: str) -> Rows:
    """Return all rows of all tables, with JSON as its text."""
    async with connected(url, raw_json=True) as engine, engine.connect() as connection:
        return {
            table.name: sorted((tuple(row) for row in await connection.execute(select(table))), key=repr)
            for table in tables()
        }


def rows_of(url: str) -> Rows:
    return asyncio.run(read(url))


async def names(url: str) -> tuple[set[str], list[str]]:
    """Return the tables and the sequences of a database."""
    async with connected(url) as engine, engine.connect() as connection:
        return await connection.run_sync(
            lambda sync: (
                (set(inspect(sync).get_table_names()), inspect(sync).get_sequence_names())
                if sync.dialect.name == "postgresql"
                else (set(inspect(sync).get_table_names()), [])
            )
        )


@pytest.mark.both
def test_every_table_is_copied_or_has_a_reason_why_not(place: Json) -> None:
    asyncio.run(migrate(place["database_url"]))
    found, sequences = asyncio.run(names(place["database_url"]))
    of_search = {name for name in found if name.startswith("message_words_")}
    assert found - of_search == {table.name for table in tables()} | NOT_COPIED.keys()
    # A sequence would have to continue after the greatest copied number.
    assert sequences == []
    assert all(reason for reason in NOT_COPIED.values())


def test_all_rows_are_moved_to_postgresql_and_back_byte_for_byte(
    filled: str, new_postgresql: str, new_sqlite: str
) -> None:
    before = rows_of(filled)
    assert all(len(rows) == COUNT for rows in before.values())
    reported: list[tuple[str, int, int]] = []

    def report(table: str, done: int, total: int) -> None:
        reported.append((table, done, total))

    there = move(filled, new_postgresql, report)
    assert there.rows == {table.name: COUNT for table in tables()}
    assert ("messages", 3, COUNT) in reported
    assert rows_of(new_postgresql) == before
    assert not move(new_postgresql, new_sqlite).is_resumed
    assert rows_of(new_sqlite) == before
    assert rows_of(filled) == before
    for url in (new_postgresql, new_sqlite):
        assert asyncio.run(schema_of(url)).current == HEAD
        (rebuilt,) = execute(
            {"database_url": url.replace("sqlite:", "sqlite+aiosqlite:")}, "SELECT * FROM search_rebuilds"
        )
        assert bool(rebuilt.finished)


class Killed(BaseException):
    """The process is killed at this point."""


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"new_{request.param}")
    return url


def test_a_move_that_is_killed_after_a_page_continues(filled: str, target: str) -> None:
    before, pages, deaths = rows_of(filled), 0, 0
    moved: moving.Moved | None = None

    def die(_table: str, _done: int, _total: int) -> None:
        nonlocal pages
        pages += 1
        if pages % 5 == 0:
            raise Killed

    while moved is None:
        try:
            moved = move(filled, target, die)
        except Killed:
            deaths += 1
            if deaths == 1:
                with pytest.raises((MoveRefused, DatabaseUnavailable), match=r"interrupted|has not finished"):
                    move(filled, target, rehearse=True)
    # Each table has two pages of this size.
    assert pages > 2 * len(tables())
    assert deaths == pages // 5
    assert moved.is_resumed
    assert rows_of(target) == before


def test_a_page_that_is_not_committed_is_copied_again(
    filled: str, new_sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, count = Mover._save, 0

    async def fail(mover: Mover, position: moving.Position) -> None:
        nonlocal count
        count += 1
        if count % 2:
            raise Killed
        await save(mover, position)

    monkeypatch.setattr(Mover, "_save", fail)
    before = rows_of(filled)
    for _ in range(200):
        try:
            move(filled, new_sqlite)
            break
        except Killed:
            continue
    assert rows_of(new_sqlite) == before
    # Only one of these messages has ended and is in a conversation that is not temporary.
    words = execute(
        {"database_url": new_sqlite.replace("sqlite:", "sqlite+aiosqlite:")}, "SELECT words FROM message_words"
    )
    assert words == [("needle 3 of the hay 👋",)]


def test_no_server_uses_a_database_until_its_move_has_finished(filled: str, target: str, tmp_path: Path) -> None:
    def die(_table: str, _done: int, _total: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        move(filled, target, die)
    assert asyncio.run(schema_of(target)).current == MOVING
    done = run_here(tmp_path, "migrate", DATABASE_URL=target)
    assert done.exit_code == 2
    assert "repeat `tertulia move`" in done.stderr
    (tmp_path / "other").mkdir()
    with pytest.raises(MoveRefused, match="from another database"):
        move(empty_file(tmp_path / "other"), target)
    move(filled, target)
    assert run_here(tmp_path, "migrate", DATABASE_URL=target).exit_code == 0


def test_a_rehearsal_copies_everything_and_leaves_the_target_as_it_was(filled: str, target: str) -> None:
    before = asyncio.run(schema_of(target)).current
    moved = move(filled, target, rehearse=True)
    assert moved.rows == {table.name: COUNT for table in tables()}
    assert asyncio.run(schema_of(target)).current == before is None
    if target.startswith("sqlite"):
        assert list(Path(target.removeprefix("sqlite:///")).parent.glob("target.db*")) == []
    move(filled, target)
    with pytest.raises(MoveRefused, match="has rows already"):
        move(filled, target, rehearse=True)
    with pytest.raises(MoveRefused, match="has rows already"):
        move(filled, target)


def test_a_database_that_a_process_uses_is_not_moved(filled: str, new_sqlite: str) -> None:
    file = filled.partition("///")[2]
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("SELECT count(*) FROM users").fetchone()
        with pytest.raises(MoveRefused, match="SOURCE: another process has opened this file"):
            move(filled, new_sqlite)
        # A rehearsal reads a snapshot.
        move(filled, new_sqlite, rehearse=True)
    opened: list[str] = []

    def open_file(table: str, _done: int, _total: int) -> None:
        with closing(sqlite3.connect(file, timeout=0.01)) as late, pytest.raises(sqlite3.OperationalError) as error:
            late.execute("SELECT count(*) FROM users")
        opened.append(f"{table}: {error.value}")

    move(filled, new_sqlite, open_file)
    assert "users: database is locked" in opened


def test_a_postgresql_database_that_a_process_uses_is_not_moved(
    filled: str, new_postgresql: str, new_sqlite: str
) -> None:
    async def use(then: Callable[[], object]) -> None:
        url = new_postgresql.replace("+asyncpg", "")
        connection = await asyncpg.connect(url, server_settings={"application_name": "tertulia"})
        await asyncio.to_thread(then)
        await connection.close()

    def refuse(source: str, target: str, name: str) -> None:
        with pytest.raises(MoveRefused, match=f"{name}: 1 connections of Tertulia"):
            move(source, target)

    asyncio.run(use(lambda: refuse(filled, new_postgresql, "TARGET")))
    move(filled, new_postgresql)
    asyncio.run(use(lambda: refuse(new_postgresql, new_sqlite, "SOURCE")))


def test_answers_that_are_being_written_are_not_moved(filled: str, new_sqlite: str) -> None:
    lease = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%d %H:%M:%S.%f}"
    execute({"database_url": filled}, f"UPDATE generations SET lease_until = '{lease}' WHERE status = 'running'")
    with pytest.raises(MoveRefused, match="SOURCE: a server is writing 1 answers"):
        move(filled, new_sqlite)


def test_a_source_that_changes_between_two_attempts_is_noticed(filled: str, new_sqlite: str) -> None:
    def die(table: str, _done: int, _total: int) -> None:
        if table == "messages":
            raise Killed

    with pytest.raises(Killed):
        move(filled, new_sqlite, die)
    execute({"database_url": filled}, "UPDATE users SET name = name || 'x'")
    with pytest.raises(MoveRefused, match="the table users differs: the values of name"):
        move(filled, new_sqlite)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("DELETE FROM shares", "0 rows"),
        ("UPDATE shares SET views = views + 1", "the values of views"),
        ("UPDATE shares SET include_tools = 1 - include_tools WHERE include_tools = 0", "include_tools"),
        ("UPDATE shares SET title = 'x'", "title"),
        ("UPDATE shares SET expires_at = NULL", "expires_at"),
    ],
)
def test_counts_and_sums_of_different_rows_differ(filled: str, change: str, says: str) -> None:
    async def totals(table: Table) -> Totals:
        async with connected(filled) as engine, engine.connect() as connection:
            return await totals_of(connection, table)

    shares = METADATA.tables["shares"]
    before = asyncio.run(totals(shares))
    execute({"database_url": filled}, change)
    assert says in asyncio.run(totals(shares)).difference(before)


def test_only_a_database_with_the_newest_schema_is_moved(tmp_path: Path, new_sqlite: str) -> None:
    with pytest.raises(MoveRefused, match="SOURCE: is not a database of Tertulia"):
        move(f"sqlite:///{tmp_path / 'none.db'}", new_sqlite)
    with pytest.raises(MoveRefused, match="same database"):
        move(new_sqlite, new_sqlite)
    old = f"sqlite:///{tmp_path / 'old.db'}"
    load(recording(RECORDED[0], old), old, tmp_path)
    with pytest.raises(MoveRefused, match=f"SOURCE: its schema is {RECORDED[0]}, .* `tertulia migrate`"):
        move(old, new_sqlite)
    with pytest.raises(DatabaseUnavailable, match="folder"):
        move(old, f"sqlite:///{tmp_path / 'nowhere' / 'new.db'}")


@pytest.mark.both
def test_users_sign_in_and_find_everything_after_a_move(
    place: Json, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    source = f"sqlite:///{tmp_path / 'recorded.db'}"
    recorded = recording(RECORDED[-1], source)
    load(recorded, source, tmp_path)
    run_here(tmp_path, "migrate", DATABASE_URL=source)
    attachments = {"TERTULIA_ATTACHMENTS": str(tmp_path / "files")}
    url: str = request.getfixturevalue("new_postgresql" if "redis_url" in place else "new_sqlite")
    before = run_here(tmp_path, "export", "ada", DATABASE_URL=source, **attachments).stdout.splitlines()[1:]
    done = run_here(tmp_path, "move", source, url)
    assert done.exit_code == 0, done.output
    assert "messages: " in done.stderr
    assert "counts and sums of all" in done.stdout
    after = run_here(tmp_path, "export", "ada", DATABASE_URL=url, **attachments).stdout.splitlines()[1:]
    assert after == before
    assert len(before) > 10
    moved = {**place, "database_url": url}
    with tertulia(tmp_path, **moved, **MODE, attachments=str(tmp_path / "files")) as address:
        assert post(address, "token", grant_type="password", username="ada", password=PASSWORD).status_code == 200
        with Api(address, recorded.personal_token) as api:
            for name in recorded.conversations:
                assert exported(api, recorded.ids[name])
            assert api.ask(SEARCH, words="lovely")["searchMessages"]["edges"]
            assert api.http.get(f"/attachments/{recorded.ids['attachment']}").content == recorded.attachment


def test_the_command_names_what_is_not_in_the_database(filled: str, new_sqlite: str, tmp_path: Path) -> None:
    folder = Path(filled.partition("///")[2]).parent
    (folder / "tertulia-attachments").mkdir()
    (folder / "rows.db-secret").write_text("secret")
    done = run_here(tmp_path, "move", filled, new_sqlite)
    assert f"TERTULIA_ATTACHMENTS={folder / 'tertulia-attachments'}" in done.stdout
    assert f"TERTULIA_SECRET_KEY=... (the content of {folder / 'rows.db-secret'}" in done.stdout
    refused = run_here(tmp_path, "move", filled, "mysql://x")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("TARGET: must be sqlite")
    hidden = run_here(tmp_path, "move", filled, "postgresql://ada:hunter2@127.0.0.1:1/none")
    assert hidden.exit_code == 2
    assert "hunter2" not in hidden.output
    assert "ada:***@127.0.0.1" in hidden.stderr
