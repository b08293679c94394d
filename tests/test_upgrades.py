"""Upgrades: from every schema that there was, with all that was there; old and new versions side by side."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import forking
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from client import Api, Json, apply, wait_until
from conftest import EMBEDDED
from conftest import SECRET as KEY
from former import Past, former_code, lay_files, put, remember, used_tokens
from graphql import build_schema
from people import MODE, post
from running import execute, killed_after, tertulia
from scripted import Gate, says, scripted
from servers import Servers
from sqlalchemy import Connection, inspect
from test_command import environment, refused, run, run_here
from test_tools import submit

from tertulia.db import migrate as migrating
from tertulia.db.database import open_engine
from tertulia.db.errors import DatabaseUnavailable
from tertulia.db.migrate import MIGRATIONS, migrate, schema_of
from tertulia.db.tables import METADATA

ROOT = Path(__file__).parent.parent
REVISIONS = sorted(script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())
HEAD = REVISIONS[-1]
OLDER = f"{int(REVISIONS[0]) - 1:04}"
"""A schema of a development version, before the first migration."""
UNSEEN = pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
"""SQLAlchemy does not read an index on an expression back from SQLite; code relies on no index."""
USAGE = "{ viewer { usage { inputTokens outputTokens costUsd } usageByDay { model usage { inputTokens } } } }"
SEARCH = "query ($words: String!) { searchMessages(query: $words) { edges { node { conversation { id } } } } }"


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """What there was: made once, and put into a database of each schema."""
    return remember(tmp_path_factory.mktemp("past"))


@pytest.fixture
def place(setup: str, request: pytest.FixtureRequest, tmp_path: Path) -> Json:
    """An empty storage that was never migrated, with the address as settings have it."""
    if setup == EMBEDDED:
        return {"database_url": f"sqlite+aiosqlite:///{tmp_path / 'tertulia.db'}"}
    servers: Servers = request.getfixturevalue("servers")
    empty = servers.empty()
    return {**empty, "database_url": empty["database_url"].replace("postgresql://", "postgresql+asyncpg://")}


def variables(place: Json) -> dict[str, str]:
    return {name.upper(): str(value) for name, value in place.items()}


# ---- every schema that there was -------------------------------------------------------------


@pytest.mark.parametrize("revision", REVISIONS)
def test_all_that_was_there_is_there_after_an_upgrade(revision: str, past: Past, place: Json, tmp_path: Path) -> None:
    _is_there_after_an_upgrade(revision, past, place, tmp_path)


@pytest.mark.joined
@pytest.mark.parametrize("revision", REVISIONS[:1])
def test_so_it_is_on_postgresql(revision: str, past: Past, place: Json, tmp_path: Path) -> None:
    _is_there_after_an_upgrade(revision, past, place, tmp_path)


def _is_there_after_an_upgrade(revision: str, past: Past, place: Json, tmp_path: Path) -> None:
    put(past, place["database_url"], revision)
    lay_files(past, tmp_path)
    done = run_here(tmp_path, "migrate", **variables(place))
    assert done.stdout.strip() == "The database is up to date."
    sums = [execute(place, f"SELECT coalesce(sum(amount), 0) FROM {table}") for table in ("spending", "calls")]
    assert sums[0] == sums[1]
    ((front,),) = execute(place, "SELECT waits_for FROM generations WHERE status = 'queued'")
    assert str(UUID(str(front))) == past.ids["running answer"]
    with tertulia(tmp_path, **place, **MODE) as address:
        with Api(address, past.personal) as api:
            _finds_everything(api, past)
            _goes_on(api, past)
        _lets_in(address, past)


def _finds_everything(api: Api, past: Past) -> None:
    listed = api.ask("{ conversations(first: 50) { edges { node { id title pinned } } } }")["conversations"]["edges"]
    assert {edge["node"]["id"] for edge in listed} == past.conversations
    names = {edge["node"]["title"]: edge["node"]["pinned"] for edge in listed if edge["node"]["title"]}
    assert names == {"Travel": True, "Long": False}
    for name, seen in past.seen.items():
        assert api.conversation(past.ids[name]) == seen
    assert used_tokens(api, past.ids["travel"]) == past.used > 0
    (kept,) = past.blobs.values()
    assert api.http.get(f"/attachments/{past.ids['attachment']}").content == kept
    for words, name in (("lovely", "travel"), ("Porto breeze", "travel"), ("number299", "long")):
        found = api.ask(SEARCH, words=words)["searchMessages"]["edges"]
        assert {edge["node"]["conversation"]["id"] for edge in found} == {past.ids[name]}
    _has_the_bill(api, past)


def _has_the_bill(api: Api, past: Past) -> None:
    rows = past.rows["calls"]
    viewer = api.ask(USAGE)["viewer"]
    assert viewer["usage"]["inputTokens"] >= sum(row["input_tokens"] or 0 for row in rows) > 0
    assert {day["model"] for day in viewer["usageByDay"]} == {row["model"] for row in rows if row["input_tokens"]}


def _goes_on(api: Api, past: Past) -> None:
    lost = api.follow(past.ids["running answer"])[-1]
    assert (lost["error"]["code"], lost["generation"]["message"]["text"]) == ("INTERRUPTED", "Half of it")
    assert api.follow(past.ids["queued answer"])[-1]["__typename"] == "GenerationCompleted"
    again = api.send("Where shall I go?", idempotencyKey=past.key)
    assert (again["replayed"], again["generation"]["id"]) == (True, past.ids["answer"])
    id = past.ids["waiting answer"]
    (call,) = past.rows["tool_calls"]
    submit(api, id, {"toolUseId": call["tool_use_id"], "output": "a page about penguins"})
    assert "penguins" in api.follow(id)[-1]["generation"]["message"]["text"]
    for name in (past.ids["travel"], past.ids["shown"]):
        assert api.answer("Are you still there?", conversationId=name)["__typename"] == "GenerationCompleted"


def _lets_in(address: str, past: Past) -> None:
    with Api(address, past.access) as api:
        assert api.ask("{ viewer { name } }") == {"viewer": {"name": "local"}}
    assert post(address, "refresh", refresh_token=past.refresh).status_code == 200


@UNSEEN
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
@pytest.mark.both
def test_the_migrations_make_the_tables_that_the_code_speaks_of(place: Json) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"include_object": _is_ours, "compare_type": True})
        return list(compare_metadata(context, METADATA))

    asyncio.run(migrate(place["database_url"]))
    assert _ask(place["database_url"], differences) == []


def _is_ours(item: Any, name: str | None, *_: Any) -> bool:
    # The words for searching are no table that SQLAlchemy could speak of.
    return "message_words" not in str(name) and "message_words" not in str(getattr(item, "table", ""))


def _ask(url: str, work: Any) -> Any:
    async def asked() -> Any:
        engine = open_engine(url)
        try:
            async with engine.execution_options(writes=True).begin() as connection:
                return await connection.run_sync(work)
        finally:
            await engine.dispose()

    return asyncio.run(asked())


# ---- what comes in between -------------------------------------------------------------------

FORKS = """
import asyncio, os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from tertulia.db.migrate import migrate

def die_at(point):
    seen = 0
    def count(*_):
        nonlocal seen
        seen += 1
        if seen == point:
            os.kill(os.getpid(), signal.SIGKILL)
    event.listen(Engine, "before_cursor_execute", count)

def fork(point):
    child = os.fork()
    if child == 0:
        if point:
            die_at(point)
        try:
            asyncio.run(migrate(sys.argv[1]))
        except BaseException as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return child

def end(children):
    print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children), flush=True)

if sys.argv[2] == "together":
    end([fork(0) for _ in range(4)])
else:
    for point in map(int, sys.argv[2:]):
        end([fork(point)])
"""


def _forked(place: Json, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", FORKS, place["database_url"], *arguments],
        env={**os.environ, "PYTHONPATH": str(forking.CODE)},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.both
def test_a_migration_that_was_killed_goes_on_at_the_next_start(past: Past, place: Json, tmp_path: Path) -> None:
    put(past, place["database_url"], REVISIONS[0])
    lay_files(past, tmp_path)
    points = ("7", "10", "14", "19")
    assert _forked(place, *points) == ["-9"] * len(points)
    schema = asyncio.run(schema_of(place["database_url"]))
    assert (schema.current, schema.newest) == (REVISIONS[0], HEAD)
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        _finds_everything(api, past)
        _goes_on(api, past)


@pytest.mark.both
def test_processes_that_migrate_at_once_do_it_once(past: Past, place: Json, tmp_path: Path) -> None:
    put(past, place["database_url"], REVISIONS[0])
    assert _forked(place, "together") == ["0"] * 4
    assert execute(place, "SELECT version_num FROM alembic_version") == [(HEAD,)]
    spent = sum(row["amount"] or 0 for row in past.rows["calls"])
    assert execute(place, "SELECT coalesce(sum(amount), 0) FROM spending") == [(spent,)]


@pytest.mark.both
def test_processes_that_start_at_once_on_nothing_make_the_tables_once(place: Json) -> None:
    assert _forked(place, "20", "55") == ["-9"] * 2
    assert asyncio.run(schema_of(place["database_url"])).current is None
    assert _forked(place, "together") == ["0"] * 4
    assert execute(place, "SELECT version_num FROM alembic_version") == [(HEAD,)]


@pytest.mark.both
@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("9999", f"its schema is 9999, and the newest that this version knows is {HEAD}: start the version"),
        (OLDER, f"its schema is {OLDER}, and this version migrates {REVISIONS[0]} and later: first run"),
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
    if "sqlite" in place["database_url"]:
        lines += refused(run(tmp_path, "serve", "--port", "0", **variables(place))).splitlines()
    for line in lines:
        assert line.startswith("DATABASE_URL")
        assert reason in line
    done = run_here(tmp_path, "doctor", **variables(place))
    assert f"wrong  database: {reason}" in done.stdout
    assert execute(place, "SELECT version_num FROM alembic_version") == [(schema,)]


@pytest.mark.both
def test_doctor_says_which_schema_there_is_and_which_one_is_wanted(place: Json, tmp_path: Path) -> None:
    given = variables(place)
    asyncio.run(migrate(place["database_url"], REVISIONS[0]))
    before = run_here(tmp_path, "doctor", **given)
    line = f"wrong  database: schema {REVISIONS[0]}, this version wants {HEAD}: run `tertulia migrate`"
    assert line in before.stdout.splitlines()
    assert before.exit_code == 1
    assert execute(place, "SELECT version_num FROM alembic_version") == [(REVISIONS[0],)]
    run_here(tmp_path, "migrate", **given)
    after = run_here(tmp_path, "doctor", **given)
    (line,) = [line for line in after.stdout.splitlines() if "database:" in line]
    assert line.startswith("ok")
    assert f"up to date, schema {HEAD}" in line
    assert after.exit_code == 0


def test_doctor_makes_no_database(tmp_path: Path) -> None:
    done = run_here(tmp_path, "doctor")
    assert "has no tables yet" in done.stdout
    assert not (tmp_path / "tertulia.db").exists()
    done = run_here(tmp_path, "doctor", DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/nowhere/tertulia.db")
    assert (done.exit_code, "there is no folder" in done.stdout) == (1, True)


@pytest.mark.joined
def test_a_migration_does_not_keep_everybody_waiting_behind_who_reads(
    place: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "LOCK_PATIENCE", 0.1)
    monkeypatch.setattr(migrating, "STATEMENT_PATIENCE", 20)
    url = place["database_url"]

    async def beside_a_reader() -> None:
        await migrate(url, REVISIONS[0])
        engine = open_engine(url)
        async with engine.begin() as reading:
            await reading.exec_driver_sql("LOCK TABLE users IN ACCESS SHARE MODE")
            with pytest.raises(DatabaseUnavailable, match="lock timeout"):
                await migrate(url)
        assert (await schema_of(url)).current == REVISIONS[0]
        await migrate(url)
        await engine.dispose()

    asyncio.run(beside_a_reader())


@pytest.mark.joined
def test_a_migration_waits_for_another_ones_for_as_long_as_a_large_table_takes(
    place: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert migrating.STATEMENT_PATIENCE >= 3600
    monkeypatch.setattr(migrating, "STATEMENT_PATIENCE", 0.1)
    url = place["database_url"]

    async def beside_another() -> None:
        engine = open_engine(url)
        async with engine.begin() as other:
            await other.exec_driver_sql(f"SELECT pg_advisory_xact_lock({migrating.ONE_AT_A_TIME})")
            with pytest.raises(DatabaseUnavailable, match="does not answer in time"):
                await migrate(url)
        await engine.dispose()

    asyncio.run(beside_another())


def test_a_database_that_is_silent_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrating, "PATIENCE", 0.1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        given = {"DATABASE_URL": f"postgresql://tertulia:secret@127.0.0.1:{port}/tertulia"}
        done = run_here(tmp_path, "migrate", **given)
        shown = f"postgresql+asyncpg://tertulia:***@127.0.0.1:{port}/tertulia"
        assert done.stderr == f"DATABASE_URL: cannot use {shown}: it does not answer in time\n"
        assert "does not answer in time" in run_here(tmp_path, "doctor", **given).stdout


# ---- old and new side by side ----------------------------------------------------------------


def _shape(connection: Connection) -> dict[str, Any]:
    """Say what code that reads and writes a table relies on."""
    inspector = inspect(connection)
    shape: dict[str, Any] = {}
    for table in inspector.get_table_names():
        if table.startswith(("alembic_", "message_words")):
            continue
        unique: set[tuple[Any, ...]] = {
            (one["name"], *one["column_names"]) for one in inspector.get_unique_constraints(table)
        }
        unique |= {(one["name"], *one["column_names"]) for one in inspector.get_indexes(table) if one["unique"]}
        shape[table] = {
            "columns": {one["name"]: one for one in inspector.get_columns(table)},
            "key": inspector.get_pk_constraint(table)["constrained_columns"],
            "unique": unique,
            "checks": {(one["name"], one["sqltext"]) for one in inspector.get_check_constraints(table)},
            "references": {
                (*one["constrained_columns"], one["referred_table"]) for one in inspector.get_foreign_keys(table)
            },
        }
    return shape


def _broken(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Say what code of the schema before cannot do with the one after."""
    found = [f"{table} is gone" for table in before.keys() - after.keys()]
    for table in before.keys() & after.keys():
        old, new = before[table], after[table]
        found += [f"{table}.{name} is gone" for name in old["columns"].keys() - new["columns"].keys()]
        if old["key"] != new["key"]:
            found.append(f"{table} has another key")
        for name, column in new["columns"].items():
            is_new = name not in old["columns"]
            if is_new and not column["nullable"] and column["default"] is None:
                found.append(f"{table}.{name} has no default")
            elif not is_new and str(old["columns"][name]["type"]) != str(column["type"]):
                found.append(f"{table}.{name} is of another type")
            elif not is_new and old["columns"][name]["nullable"] and not column["nullable"]:
                found.append(f"{table}.{name} takes no NULL any more")
        known = old["columns"].keys()
        found += [f"{table}: {one} must be unique" for one in new["unique"] - old["unique"] if {*one[1:]} & known]
        found += [f"{table}: {one} is checked" for one in new["checks"] - old["checks"]]
        found += [f"{table}: {one} must be there" for one in new["references"] - old["references"] if one[0] in known]
    return sorted(found)


@UNSEEN
@pytest.mark.both
def test_each_migration_only_adds_so_that_the_version_before_it_goes_on(place: Json) -> None:
    shapes = []
    for revision in REVISIONS:
        asyncio.run(migrate(place["database_url"], revision))
        shapes.append(_ask(place["database_url"], _shape))
    found = {
        revision: _broken(before, after)
        for revision, before, after in zip(REVISIONS[1:], shapes, shapes[1:], strict=False)
    }
    assert {revision: broken for revision, broken in found.items() if broken} == {}


CHANGES = {
    "DROP TABLE audit": "audit is gone",
    "ALTER TABLE users DROP COLUMN issuer": "users.issuer is gone",
    "ALTER TABLE users RENAME COLUMN subject TO who": "users.subject is gone",
    "ALTER TABLE users ADD COLUMN age INTEGER NOT NULL": "users.age has no default",
    "ALTER TABLE users ALTER COLUMN issuer SET NOT NULL": "users.issuer takes no NULL any more",
    "ALTER TABLE users ALTER COLUMN issuer TYPE VARCHAR(3)": "users.issuer is of another type",
    "CREATE UNIQUE INDEX one ON users (issuer)": "users: ('one', 'issuer') must be unique",
    "ALTER TABLE users ADD CHECK (changes < 9)": "is checked",
    "ALTER TABLE users ADD COLUMN fine INTEGER NOT NULL DEFAULT 1": None,
    "CREATE INDEX two ON users (issuer)": None,
}


@pytest.mark.joined
def test_what_is_taken_away_or_narrowed_is_seen(place: Json) -> None:
    asyncio.run(migrate(place["database_url"]))
    for change, wanted in CHANGES.items():

        def tried(connection: Connection, change: str = change) -> list[str]:
            before = _shape(connection)
            with connection.begin_nested() as nested:
                connection.exec_driver_sql(change)
                after = _shape(connection)
                nested.rollback()
            return _broken(before, after)

        found = _ask(place["database_url"], tried)
        assert (found == []) if wanted is None else any(wanted in one for one in found), (change, found)


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of the version before the present schema."""
    return former_code(tmp_path_factory.mktemp("former"))


@contextmanager
def _served_by(code: Path, folder: Path, given: dict[str, str]) -> Generator[tuple["subprocess.Popen[str]", str]]:
    """Serve with the code in a folder; gives the process and its address."""
    module = "tertulia.cli.main" if (code / "tertulia" / "cli").exists() else "server.command"
    program = f"from {module} import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "serve", "--port", "0"],
        cwd=folder,
        env={**environment(given), "PYTHONPATH": str(code)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    printed = ""
    try:
        with killed_after(process):
            for line in process.stdout:
                printed += line
                if "Ctrl+C" in line:
                    break
        addresses = [line.split()[-1] for line in printed.splitlines() if "Chat" in line]
        assert addresses, printed
        yield process, addresses[0]
    finally:
        process.kill()
        process.communicate(timeout=30)


class _Following(threading.Thread):
    """Follows an answer to its end."""

    def __init__(self, api: Api, generation: str) -> None:
        super().__init__(daemon=True)
        self.api, self.generation = api, generation
        self.events: list[Json] = []
        self.start()

    def run(self) -> None:
        self.events = self.api.follow(self.generation, 0)

    def whole(self) -> tuple[list[str], list[int]]:
        """Give the blocks, and the numbers of the events."""
        self.join(30)
        return apply(self.events), [event["sequence"] for event in self.events]


def _is_exact(numbers: list[int]) -> bool:
    """Each event once, in order; neighbouring deltas may have come as one."""
    return numbers == sorted(set(numbers)) and numbers != []


@pytest.mark.joined
def test_the_former_version_and_this_one_serve_side_by_side(former: Path, place: Json, tmp_path: Path) -> None:
    gates = [Gate() for _ in range(5)]
    begun, of_old, of_new, halted_old, last = gates
    replies = [says("on the ", begun, "old schema"), says("old ", of_old, "writes"), says("new ", of_new, "writes")]
    replies += [
        says("half of the old", halted_old),
        says("half of the new", halted_old),
        says("drained ", last, "whole"),
    ]
    with scripted(*replies) as claude:
        keyed = {"anthropic_api_key": KEY, "anthropic_base_url": claude.address}
        given = variables(place | keyed) | {"TERTULIA_ATTACHMENTS": str(tmp_path / "files")}
        with _served_by(former, tmp_path, given) as (process, address), Api(address) as old:
            assert execute(place, "SELECT version_num FROM alembic_version") != [(HEAD,)]
            sent = old.send("Before")
            assert begun.reached.wait(30)
            # The new version comes, and migrates while the old one writes.
            with tertulia(tmp_path, **place, **keyed) as here, Api(here) as new:
                assert execute(place, "SELECT version_num FROM alembic_version") == [(HEAD,)]
                followed = [_Following(api, sent["generation"]["id"]) for api in (old, new)]
                begun.open.set()
                seen = [one.whole() for one in followed]
                assert [text for text, _ in seen] == [["on the old schema"]] * 2
                assert all(_is_exact(numbers) for _, numbers in seen)
                for writer, reader, gate in ((old, new, of_old), (new, old, of_new)):
                    sent = writer.send("Go on", conversationId=sent["conversation"]["id"])
                    follower = _Following(reader, sent["generation"]["id"])
                    assert gate.reached.wait(30)
                    gate.open.set()
                    text, numbers = follower.whole()
                    assert text == ["old writes" if writer is old else "new writes"]
                    assert _is_exact(numbers)
                    assert old.messages(sent["conversation"]["id"]) == new.messages(sent["conversation"]["id"])
                for writer, stopper, wanted in ((old, new, "half of the old"), (new, old, "half of the new")):
                    other = writer.send("Tell me all")["generation"]["id"]
                    stopper.wait_for_text(other, wanted)
                    stopped = stopper.stop(other)["generation"]
                    assert (stopped["status"], stopped["message"]["text"]) == ("STOPPED", wanted)
                halted_old.open.set()
                # The old version is drained in the middle of an answer.
                sent = old.send("The last", conversationId=sent["conversation"]["id"])
                follower = _Following(new, sent["generation"]["id"])
                assert last.reached.wait(30)
                process.send_signal(signal.SIGTERM)
                wait_until(lambda: old.http.get("/readyz").status_code == 503, "the drain", 60)
                last.open.set()
                assert process.wait(30) == 0
                text, numbers = follower.whole()
                assert text == ["drained whole"]
                assert _is_exact(numbers)
                assert follower.events[-1]["__typename"] == "GenerationCompleted"
                assert len(claude.requests) == len(replies)
                found = new.ask(SEARCH, words="drained")["searchMessages"]["edges"]
                assert [edge["node"]["conversation"]["id"] for edge in found] == [sent["conversation"]["id"]]


# ---- what goes away says when ----------------------------------------------------------------


def _without_a_date(sdl: str) -> list[str]:
    """Give what is deprecated and does not say until which version it stays."""
    found = []
    for name, shown in build_schema(sdl).type_map.items():
        parts = {**getattr(shown, "fields", {}), **getattr(shown, "values", {})}
        for field, given in dict(parts).items():
            parts |= {f"{field}.{one}": argument for one, argument in getattr(given, "args", {}).items()}
        reasons = {
            part: given.deprecation_reason for part, given in parts.items() if given.deprecation_reason is not None
        }
        found += [f"{name}.{part}" for part, reason in reasons.items() if not _says_until(reason)]
    return found


def _says_until(reason: str) -> bool:
    before, found, version = reason.rpartition(" until ")
    return bool(before and found) and all(part.isdecimal() for part in version.rstrip(".").split("."))


def test_what_is_deprecated_says_until_when() -> None:
    assert _without_a_date((ROOT / "schema" / "schema.graphql").read_text(encoding="utf-8")) == []
    sample = """
      type Query {
        gone: Int @deprecated(reason: "Use `there`")
        going: Int @deprecated(reason: "Use `there`; stays until 1.0.")
        there(old: Int @deprecated): Int
      }
    """
    assert _without_a_date(sample) == ["Query.gone", "Query.there.old"]
