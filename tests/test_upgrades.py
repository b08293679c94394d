"""Upgrades: databases of earlier versions, interrupted and concurrent migrations, and compatibility of schemas."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Generator
from decimal import Decimal
from pathlib import Path
from shutil import copytree
from typing import Any
from uuid import UUID

import forking
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from client import Api, Json, wait_until
from conftest import EMBEDDED
from former import HEAD, RECORDED, REVISIONS, Recording, exported, load, recording
from graphql import build_schema
from people import MODE, PASSWORD, SECRET, post
from running import execute, tertulia
from servers import Servers
from sqlalchemy import Connection, inspect
from test_command import refused, run, run_here
from test_tools import submit

from tertulia.db import migrate as migrating
from tertulia.db.database import open_engine
from tertulia.db.errors import DatabaseUnavailable
from tertulia.db.migrate import MIGRATIONS, migrate, schema_of
from tertulia.db.tables import METADATA
from tertulia.server.auth.jwt import Tokens

ROOT = Path(__file__).parent.parent
OLDER = f"{int(REVISIONS[0]) - 1:04}"
"""A schema of a development version, before the first migration."""
UNSEEN = pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
"""SQLAlchemy cannot reflect an index on an expression from SQLite. That is harmless: no code relies on an index."""
LIST = "{ conversations(first: 50) { edges { node { id title pinned } } } }"
VIEWER = """query ($id: ID!) {
  viewer { name usage { costUsd } budget { spentUsd } usageByDay { model } }
  conversation(id: $id) { context { usedTokens } }
}"""
SEARCH = (
    "query ($words: String!) { searchMessages(query: $words, first: 50) { edges { node { conversation { id } } } } }"
)


@pytest.fixture
def place(setup: str, request: pytest.FixtureRequest, tmp_path: Path) -> Json:
    """An empty storage that was never migrated, with its URL in the form of the settings."""
    if setup == EMBEDDED:
        return {"database_url": f"sqlite+aiosqlite:///{tmp_path / 'tertulia.db'}"}
    servers: Servers = request.getfixturevalue("servers")
    empty = servers.empty()
    return {**empty, "database_url": empty["database_url"].replace("postgresql://", "postgresql+asyncpg://")}


def variables(place: Json) -> dict[str, str]:
    return {name.upper(): str(value) for name, value in place.items()}


# ---- databases of earlier versions -----------------------------------------------------------


@pytest.mark.usefixtures("sweeps")
@pytest.mark.both
@pytest.mark.parametrize("revision", RECORDED)
def test_a_database_of_an_earlier_version_is_served_with_all_its_data(
    revision: str, place: Json, tmp_path: Path
) -> None:
    recorded = recording(revision, place["database_url"])
    load(recorded, place["database_url"], tmp_path)
    done = run_here(tmp_path, "migrate", **variables(place))
    assert done.stdout.strip() == "The database is up to date."
    assert _spending(place) == _billed(place) > 0
    with tertulia(tmp_path, **place, **MODE, monthly_budget_usd=50) as address:
        with Api(address, recorded.personal_token) as api:
            _has_all_conversations(api, recorded)
            _finds_messages(api, recorded)
            _continues(api, recorded)
        _signs_in(address, place)


def _spending(place: Json) -> int:
    return int(execute(place, "SELECT coalesce(sum(amount), 0) FROM spending")[0][0])


def _billed(place: Json) -> int:
    return int(execute(place, "SELECT coalesce(sum(amount), 0) FROM calls")[0][0])


def _has_all_conversations(api: Api, recorded: Recording) -> None:
    ids = recorded.ids
    nodes = [edge["node"] for edge in api.ask(LIST)["conversations"]["edges"]]
    assert {node["id"] for node in nodes} == {ids[name] for name in (*recorded.conversations, "waiting", "running")}
    assert {node["title"]: node["pinned"] for node in nodes if node["title"]} == {"Travel": True}
    for name, conversation in recorded.conversations.items():
        assert api.conversation(ids[name]) == conversation
        # Versions with the schema 0014 exported options and tools that are not set as null.
        assert _without_empty(exported(api, ids[name])) == _without_empty(recorded.exports[name])
    assert api.http.get(f"/attachments/{ids['attachment']}").content == recorded.attachment
    response = api.ask(VIEWER, id=ids["travel"])
    assert response["conversation"]["context"]["usedTokens"] == recorded.used_tokens > 0
    # The answers that were running in the recording are settled meanwhile.
    assert Decimal(response["viewer"]["usage"]["costUsd"]) * 10**12 >= recorded.spent > 0
    assert response["viewer"]["budget"]["spentUsd"] == response["viewer"]["usage"]["costUsd"]
    assert {day["model"] for day in response["viewer"]["usageByDay"]} == {"claude-opus-5-5"}


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        items = {name: _without_empty(item) for name, item in value.items()}
        return {name: item for name, item in items.items() if item not in (None, False, [], {})}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value


def _finds_messages(api: Api, recorded: Recording) -> None:
    for words, name in (("lovely", "travel"), ("Porto breeze", "travel"), ("number11", "long")):
        assert _search(api, words) == {recorded.ids[name]}
    # Versions with the schema 0014 did not split `v1.2.3` into words; their messages are indexed again.
    wait_until(lambda: _search(api, "1.2") == {recorded.ids["long"]}, "the rebuilt index")


def _search(api: Api, words: str) -> set[str]:
    return {edge["node"]["conversation"]["id"] for edge in api.ask(SEARCH, words=words)["searchMessages"]["edges"]}


def _continues(api: Api, recorded: Recording) -> None:
    ids = recorded.ids
    lost = api.follow(ids["running answer"])[-1]
    assert (lost["error"]["code"], lost["generation"]["message"]["text"]) == ("INTERRUPTED", "Half of it")
    assert api.follow(ids["queued answer"])[-1]["__typename"] == "GenerationCompleted"
    again = api.send("Where shall I go?", idempotencyKey=recorded.key)
    assert (again["replayed"], again["generation"]["id"]) == (True, ids["answer"])
    (tool_use,) = (
        block for block in api.messages(ids["waiting"])[-1]["content"] if block["__typename"] == "ToolUseBlock"
    )
    submit(api, ids["waiting answer"], {"toolUseId": tool_use["toolUseId"], "output": "a page about penguins"})
    assert "penguins" in api.follow(ids["waiting answer"])[-1]["generation"]["message"]["text"]
    for name in ("travel", "shown"):
        assert api.answer("Are you still there?", conversationId=ids[name])["__typename"] == "GenerationCompleted"


def _signs_in(address: str, place: Json) -> None:
    ((sign_in, owner),) = execute(place, "SELECT id, owner_id FROM sign_ins")
    former = Tokens(SECRET).refresh(UUID(str(owner)), UUID(str(sign_in)), 0)
    assert post(address, "refresh", refresh_token=former).status_code == 200
    form = {"grant_type": "password", "username": "ada", "password": PASSWORD}
    with Api(address, post(address, "token", **form).json()["access_token"]) as api:
        assert api.ask("{ viewer { name } }") == {"viewer": {"name": "ada"}}
    # Names that resemble an existing account's are refused for accounts of all versions. This one has a Cyrillic letter.
    assert post(address, "register", username="ad\u0430", password=PASSWORD).status_code == 409


@UNSEEN
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
@pytest.mark.both
def test_migrations_create_the_tables_that_the_code_declares(place: Json) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"include_object": _is_declared, "compare_type": True})
        return list(compare_metadata(context, METADATA))

    asyncio.run(migrate(place["database_url"]))
    assert _with_connection(place["database_url"], differences) == []


def _is_declared(item: Any, name: str | None, *_: Any) -> bool:
    # SQLAlchemy cannot describe the full-text index `message_words`.
    return "message_words" not in str(name) and "message_words" not in str(getattr(item, "table", ""))


def _with_connection(url: str, work: Any) -> Any:
    async def asked() -> Any:
        engine = open_engine(url)
        try:
            async with engine.execution_options(writes=True).begin() as connection:
                return await connection.run_sync(work)
        finally:
            await engine.dispose()

    return asyncio.run(asked())


# ---- migrations that are interrupted or concurrent -------------------------------------------

FORKS = """
import asyncio, os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from tertulia.db.migrate import migrate

def kill_at(statement):
    executed = 0
    def count(*_):
        nonlocal executed
        executed += 1
        if executed == statement:
            os.kill(os.getpid(), signal.SIGKILL)
    event.listen(Engine, "before_cursor_execute", count)

def fork(url, statement):
    child = os.fork()
    if child == 0:
        if statement:
            kill_at(statement)
        try:
            asyncio.run(migrate(url))
        except BaseException as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return child

for line in sys.stdin:
    url, *statements = line.split()
    children = [fork(url, int(statement)) for statement in statements]
    print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children), flush=True)
"""
Migrating = Callable[..., list[int]]
"""Accepts a storage and, for each process, the number of the statement at which it is killed; returns the exit codes."""


@pytest.fixture(scope="module")
def migrate_in_processes() -> Generator[Migrating]:
    """Migrate in concurrent processes, forked from one that has imported the code. A process with 0 is not killed."""
    with subprocess.Popen(
        [sys.executable, "-c", FORKS],
        env={**os.environ, "PYTHONPATH": str(forking.CODE)},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def run_all(place: Json, *statements: int) -> list[int]:
            stdin.write(f"{place['database_url']} {' '.join(map(str, statements))}\n")
            stdin.flush()
            return [int(code) for code in stdout.readline().split()]

        yield run_all
        stdin.close()
        assert process.wait(60) == 0


def _rows(connection: Connection) -> dict[str, list[str]]:
    """Return all rows, by table."""
    tables = inspect(connection).get_table_names()
    return {table: sorted(map(repr, connection.exec_driver_sql(f"SELECT * FROM {table}"))) for table in tables}


@pytest.mark.both
def test_a_killed_migration_changes_nothing_and_later_processes_run_it_once(
    migrate_in_processes: Migrating, place: Json, tmp_path: Path
) -> None:
    load(recording(REVISIONS[0], place["database_url"]), place["database_url"], tmp_path)
    before = _with_connection(place["database_url"], _rows)
    for statement in (7, 10, 14, 19):
        assert migrate_in_processes(place, statement) == [-9]
    schema = asyncio.run(schema_of(place["database_url"]))
    assert (schema.current, schema.newest) == (REVISIONS[0], HEAD)
    assert _with_connection(place["database_url"], _rows) == before
    assert migrate_in_processes(place, 0, 0, 0, 0) == [0] * 4
    assert execute(place, "SELECT version_num FROM alembic_version") == [(HEAD,)]
    assert _spending(place) == _billed(place) > 0


@pytest.mark.both
def test_concurrent_processes_create_the_tables_of_an_empty_database_once(
    migrate_in_processes: Migrating, place: Json
) -> None:
    for statement in (20, 55):
        assert migrate_in_processes(place, statement) == [-9]
    assert asyncio.run(schema_of(place["database_url"])).current is None
    assert migrate_in_processes(place, 0, 0, 0, 0) == [0] * 4
    assert execute(place, "SELECT version_num FROM alembic_version") == [(HEAD,)]


REBUILD = """
from alembic import op
revision, down_revision = "9999", "{head}"

def upgrade():
    with op.batch_alter_table("users", recreate="always"):
        pass
"""


def test_rebuilding_an_sqlite_table_keeps_the_rows_that_refer_to_it(
    place: Json, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(recording(REVISIONS[0], place["database_url"]), place["database_url"], tmp_path)
    before = _with_connection(place["database_url"], _rows)
    scripts = copytree(MIGRATIONS, tmp_path / "migrations")
    (scripts / "versions" / "9999_rebuild.py").write_text(REBUILD.format(head=HEAD))
    monkeypatch.setattr(migrating, "MIGRATIONS", scripts)
    monkeypatch.setattr(migrating, "_revisions", migrating._revisions.__wrapped__)
    asyncio.run(migrate(place["database_url"]))
    assert asyncio.run(schema_of(place["database_url"])).current == "9999"
    after = _with_connection(place["database_url"], _rows)
    tables = ("conversations", "messages", "calls", "idempotency_keys", "attachments", "conversation_changes")
    assert {name: len(after[name]) for name in tables} == {name: len(before[name]) for name in tables}


@pytest.mark.both
@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("9999", f"its schema is 9999, and this version supports schemas up to {HEAD}; use the version"),
        (OLDER, f"its schema is {OLDER}, and this version can migrate {REVISIONS[0]} and later; first run"),
    ],
)
def test_a_database_of_an_unsupported_schema_is_refused_with_one_line(
    schema: str, reason: str, place: Json, tmp_path: Path
) -> None:
    asyncio.run(migrate(place["database_url"]))
    execute(place, f"UPDATE alembic_version SET version_num = '{schema}'")
    lines = []
    for command in (("migrate",), ("user", "list")):
        done = run_here(tmp_path, *command, **variables(place))
        assert done.exit_code == 2
        lines += done.stderr.splitlines()
    if "sqlite" in place["database_url"] and schema != OLDER:
        lines += refused(run(tmp_path, "serve", "--port", "0", **variables(place))).splitlines()
    for line in lines:
        assert line.startswith("DATABASE_URL")
        assert reason in line
    done = run_here(tmp_path, "doctor", **variables(place))
    assert f"wrong  database: {reason}" in done.stdout
    assert execute(place, "SELECT version_num FROM alembic_version") == [(schema,)]


@pytest.mark.both
def test_doctor_reports_the_current_and_the_required_schema(place: Json, tmp_path: Path) -> None:
    environment = variables(place)
    asyncio.run(migrate(place["database_url"], REVISIONS[0]))
    before = run_here(tmp_path, "doctor", **environment)
    line = f"wrong  database: schema {REVISIONS[0]}, this version requires {HEAD}: run `tertulia migrate`"
    assert line in before.stdout.splitlines()
    assert before.exit_code == 1
    assert execute(place, "SELECT version_num FROM alembic_version") == [(REVISIONS[0],)]
    run_here(tmp_path, "migrate", **environment)
    after = run_here(tmp_path, "doctor", **environment)
    (line,) = [line for line in after.stdout.splitlines() if "database:" in line]
    assert line.startswith("ok")
    assert f"up to date, schema {HEAD}" in line
    assert after.exit_code == 0


def test_doctor_does_not_create_a_database(tmp_path: Path) -> None:
    done = run_here(tmp_path, "doctor")
    assert "has no tables yet" in done.stdout
    assert not (tmp_path / "tertulia.db").exists()
    done = run_here(tmp_path, "doctor", DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/nowhere/tertulia.db")
    assert (done.exit_code, "does not exist" in done.stdout) == (1, True)


@pytest.mark.joined
def test_a_migration_that_waits_for_a_reader_fails_after_a_short_time(
    place: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "LOCK_PATIENCE", 0.1)
    monkeypatch.setattr(migrating, "STATEMENT_PATIENCE", 20)
    url = place["database_url"]

    async def migrate_during_a_read() -> None:
        await migrate(url, REVISIONS[0])
        engine = open_engine(url)
        async with engine.begin() as reading:
            await reading.exec_driver_sql("LOCK TABLE users IN ACCESS SHARE MODE")
            with pytest.raises(DatabaseUnavailable, match="lock timeout"):
                await migrate(url)
        assert (await schema_of(url)).current == REVISIONS[0]
        await migrate(url)
        await engine.dispose()

    asyncio.run(migrate_during_a_read())


@pytest.mark.joined
def test_a_migration_waits_at_least_an_hour_for_another_migration(place: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    assert migrating.STATEMENT_PATIENCE >= 3600
    monkeypatch.setattr(migrating, "STATEMENT_PATIENCE", 0.1)
    url = place["database_url"]

    async def migrate_during_a_migration() -> None:
        engine = open_engine(url)
        async with engine.begin() as other:
            await other.exec_driver_sql(f"SELECT pg_advisory_xact_lock({migrating.ONE_AT_A_TIME})")
            with pytest.raises(DatabaseUnavailable, match="did not respond in time"):
                await migrate(url)
        await engine.dispose()

    asyncio.run(migrate_during_a_migration())


def test_a_database_that_does_not_respond_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "PATIENCE", 0.1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        environment = {"DATABASE_URL": f"postgresql://tertulia:secret@127.0.0.1:{port}/tertulia"}
        done = run_here(tmp_path, "migrate", **environment)
        url = f"postgresql+asyncpg://tertulia:***@127.0.0.1:{port}/tertulia"
        assert done.stderr == f"DATABASE_URL: cannot use {url}: it did not respond in time\n"
        assert "did not respond in time" in run_here(tmp_path, "doctor", **environment).stdout


# ---- migrations only add ---------------------------------------------------------------------


def _shape(connection: Connection) -> dict[str, Any]:
    """Return what code that reads and writes the tables relies on."""
    inspector = inspect(connection)
    shape: dict[str, Any] = {}
    for table in inspector.get_table_names():
        if table.startswith(("alembic_", "message_words")):
            continue
        unique: set[tuple[Any, ...]] = {
            (item["name"], *item["column_names"]) for item in inspector.get_unique_constraints(table)
        }
        unique |= {(item["name"], *item["column_names"]) for item in inspector.get_indexes(table) if item["unique"]}
        shape[table] = {
            "columns": {item["name"]: item for item in inspector.get_columns(table)},
            "key": inspector.get_pk_constraint(table)["constrained_columns"],
            "unique": unique,
            "checks": {(item["name"], item["sqltext"]) for item in inspector.get_check_constraints(table)},
            "references": {
                (*item["constrained_columns"], item["referred_table"]) for item in inspector.get_foreign_keys(table)
            },
        }
    return shape


def _broken(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the changes that break code of the earlier schema."""
    changes = [f"{table} is gone" for table in before.keys() - after.keys()]
    for table in before.keys() & after.keys():
        old, new = before[table], after[table]
        changes += [f"{table}.{name} is gone" for name in old["columns"].keys() - new["columns"].keys()]
        if old["key"] != new["key"]:
            changes.append(f"{table} has another key")
        for name, column in new["columns"].items():
            is_new = name not in old["columns"]
            if is_new and not column["nullable"] and column["default"] is None:
                changes.append(f"{table}.{name} has no default")
            elif not is_new and str(old["columns"][name]["type"]) != str(column["type"]):
                changes.append(f"{table}.{name} is of another type")
            elif not is_new and old["columns"][name]["nullable"] and not column["nullable"]:
                changes.append(f"{table}.{name} no longer accepts NULL")
        old_columns = old["columns"].keys()
        # Earlier code leaves new columns without a default null, and rows with a null are always unique.
        null = {name for name in new["columns"].keys() - old_columns if new["columns"][name]["default"] is None}
        changes += [
            f"{table}: {item} must be unique"
            for item in new["unique"] - old["unique"]
            if {*item[1:]} & old_columns and not {*item[1:]} & null
        ]
        changes += [f"{table}: {item} is checked" for item in new["checks"] - old["checks"]]
        changes += [
            f"{table}: {item} must exist" for item in new["references"] - old["references"] if item[0] in old_columns
        ]
    return sorted(changes)


@UNSEEN
@pytest.mark.both
def test_no_migration_breaks_the_version_before_it(place: Json) -> None:
    shapes = []
    for revision in REVISIONS:
        asyncio.run(migrate(place["database_url"], revision))
        shapes.append(_with_connection(place["database_url"], _shape))
    changes = {
        revision: _broken(before, after)
        for revision, before, after in zip(REVISIONS[1:], shapes, shapes[1:], strict=False)
    }
    assert {revision: broken for revision, broken in changes.items() if broken} == {}


CHANGES = {
    "DROP TABLE audit": "audit is gone",
    "ALTER TABLE users DROP COLUMN issuer": "users.issuer is gone",
    "ALTER TABLE users RENAME COLUMN subject TO who": "users.subject is gone",
    "ALTER TABLE users ADD COLUMN age INTEGER NOT NULL": "users.age has no default",
    "ALTER TABLE users ALTER COLUMN issuer SET NOT NULL": "users.issuer no longer accepts NULL",
    "ALTER TABLE users ALTER COLUMN issuer TYPE VARCHAR(3)": "users.issuer is of another type",
    "CREATE UNIQUE INDEX one ON users (issuer)": "users: ('one', 'issuer') must be unique",
    "ALTER TABLE users ADD CHECK (changes < 9)": "is checked",
    "ALTER TABLE users ADD COLUMN fine INTEGER NOT NULL DEFAULT 1": None,
    "CREATE INDEX two ON users (issuer)": None,
}


@pytest.mark.joined
def test_breaking_changes_of_a_schema_are_detected(place: Json) -> None:
    asyncio.run(migrate(place["database_url"]))
    before = _with_connection(place["database_url"], _shape)
    for change, expected in CHANGES.items():

        def shape_after(connection: Connection, change: str = change) -> dict[str, Any]:
            with connection.begin_nested() as nested:
                connection.exec_driver_sql(change)
                shape = _shape(connection)
                nested.rollback()
            return shape

        detected = _broken(before, _with_connection(place["database_url"], shape_after))
        assert (detected == []) if expected is None else any(expected in detail for detail in detected), (
            change,
            detected,
        )


# ---- deprecations name a version -------------------------------------------------------------


def _without_a_date(sdl: str) -> list[str]:
    """Return what is deprecated without the version in which it will be removed."""
    undated = []
    for name, type_ in build_schema(sdl).type_map.items():
        parts = {**getattr(type_, "fields", {}), **getattr(type_, "values", {})}
        for field, part_ in dict(parts).items():
            parts |= {f"{field}.{name_}": argument for name_, argument in getattr(part_, "args", {}).items()}
        reasons = {
            part: part_.deprecation_reason for part, part_ in parts.items() if part_.deprecation_reason is not None
        }
        undated += [f"{name}.{part}" for part, reason in reasons.items() if not _names_version(reason)]
    return undated


def _names_version(reason: str) -> bool:
    before, separator, version = reason.rpartition(" will be removed in ")
    return bool(before and separator) and all(part.isdecimal() for part in version.rstrip(".").split("."))


def test_every_deprecation_names_a_version() -> None:
    assert _without_a_date((ROOT / "schema" / "schema.graphql").read_text(encoding="utf-8")) == []
    sample = """
      type Query {
        gone: Int @deprecated(reason: "Use `there`")
        going: Int @deprecated(reason: "Use `there`. This field will be removed in 1.0.")
        there(old: Int @deprecated): Int
      }
    """
    assert _without_a_date(sample) == ["Query.gone", "Query.there.old"]
