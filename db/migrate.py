"""Migrations to the newest schema with Alembic, and the schema that a database has.

The first migration is 0014. Databases of earlier development versions had other migrations and are refused. Alembic is
only imported if there is something to migrate, because most starts find the newest schema.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, event, inspect, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tertulia.db.address import read_address
from tertulia.db.database import explain, open_engine
from tertulia.db.errors import DATABASE_ERRORS

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
BRIDGE = "b41a9df of 2026-11-28"
"""A commit that can still migrate the schemas before the first migration."""
PATIENCE = 5.0
"""Timeout in seconds for a database that is locked or does not respond at startup."""
LOCK_PATIENCE = 10.0
"""Timeout in seconds for a table lock on PostgreSQL. While a migration waits, all later queries wait for it."""
STATEMENT_PATIENCE = 3600.0
"""Timeout in seconds for one statement of a migration, or for waiting until another process has migrated."""
ONE_AT_A_TIME = 7_310_838_061
"""The key of the advisory lock that lets only one of several replicas migrate. The number is arbitrary."""
INDEXES_ONE_AT_A_TIME = 7_310_838_062
"""The key of the advisory lock that lets only one of several replicas build indexes."""
LOCK_INTERVAL = 0.5
"""Seconds between two attempts to take the lock for building indexes."""
MOVING = "moving"
"""The revision of a database to which `db.moving` has not moved all rows yet, so that no server uses it."""
UNDEFINED = ("42703", "42P01")
"""PostgreSQL's error codes for a column and a table that do not exist."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema of a database, and the newest one that this version supports."""

    current: str | None
    """None if there are no tables yet."""
    newest: str

    @property
    def unsupported(self) -> str | None:
        """The reason why this version cannot use the database, or None if it can, perhaps after a migration."""
        return None if self.current is None else unsupported_reason(self.current)


async def migrate(url: str, revision: str = "head") -> None:
    """Run all pending migrations in one transaction.

    If the process is killed meanwhile, the schema stays as it was. On PostgreSQL, indexes of existing tables are built
    before the transaction, so that other processes can write meanwhile.

    Args:
        url: The address of the database.
        revision: The revision to migrate to; by default the newest.

    Raises:
        DatabaseUnavailable: The database cannot be opened or written to, or this version does not support its schema.
    """
    if not read_address(url).url.drivername.startswith("sqlite"):
        async with connected(url) as engine, engine.connect() as connection:
            await _build_indexes(await connection.execution_options(isolation_level="AUTOCOMMIT"), revision)
    async with _writing(url) as connection:
        await connection.run_sync(upgrade, revision)


async def schema_of(url: str) -> Schema:
    """Return the schema of a database without changing it.

    Raises:
        DatabaseUnavailable: The database cannot be opened or written to.
    """
    if not _exists(url):
        return Schema(None, _newest())
    async with _writing(url) as connection:
        if connection.dialect.name == "postgresql":
            read_only = (await connection.exec_driver_sql("SHOW transaction_read_only")).scalar_one()
            if read_only == "on":
                raise explain(OSError("it is read-only"), url)
        return await connection.run_sync(read_schema)


def unsupported_reason(revision: str) -> str | None:
    """Return why this version cannot use a database with this schema, or None if it can, perhaps after a migration."""
    if revision in _revisions():
        return None
    if revision == MOVING:
        return "a move to it has not finished; repeat `tertulia move` with the same databases, or delete it"
    oldest = min(_revisions())
    if revision in {f"{number:04}" for number in range(1, int(oldest))}:
        return (
            f"its schema is {revision}, and this version can migrate {oldest} and later;"
            f" first run `tertulia migrate` of the commit {BRIDGE}"
        )
    return (
        f"its schema is {revision}, and this version supports schemas up to {_newest()};"
        " use the version of Tertulia that migrated it, or a newer one"
    )


def _exists(url: str) -> bool:
    """Return whether the database exists. This is checked first, because opening an SQLite file creates it."""
    address = read_address(url).url
    if not address.drivername.startswith("sqlite") or Path(address.database or "").exists():
        return True
    folder = Path(address.database or "").absolute().parent
    if not folder.is_dir():
        raise explain(FileNotFoundError(f"the folder {folder} does not exist"), url)
    return False


@asynccontextmanager
async def _writing(url: str) -> AsyncGenerator[AsyncConnection]:
    async with connected(url) as engine, engine.execution_options(writes=True).begin() as connection:
        yield connection


@asynccontextmanager
async def connected(url: str, *, raw_json: bool = False) -> AsyncGenerator[AsyncEngine]:
    """Yield an engine whose statements may take long, and which does not check foreign keys on SQLite.

    Args:
        url: The address of the database.
        raw_json: Read and write JSON as its text, byte for byte.

    Raises:
        DatabaseUnavailable: The database cannot be used, at any time in the block.
    """
    engine = open_engine(url, PATIENCE, raw_json=raw_json)
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _disable_foreign_keys)
    else:
        event.listen(engine.sync_engine, "do_connect", _raise_command_timeout)
    try:
        yield engine
    except TimeoutError as error:
        raise explain(OSError("it did not respond in time"), url) from error
    except DATABASE_ERRORS as error:
        raise explain(error, url) from error
    finally:
        await engine.dispose()


def _disable_foreign_keys(connection: Any, _record: object) -> None:
    # Some migrations recreate tables of SQLite. With foreign keys, dropping the old table would delete all rows that
    # refer to its rows.
    def turn_off(driver: Any) -> Any:
        return driver.execute_fetchall("PRAGMA foreign_keys = OFF")

    connection.run_async(turn_off)


def _raise_command_timeout(_dialect: object, _record: object, _arguments: object, options: dict[str, Any]) -> None:
    # The timeout of requests is too short to migrate a table with millions of rows.
    options["command_timeout"] = STATEMENT_PATIENCE


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run all pending migrations in the transaction of a connection.

    Raises:
        OSError: This version does not support the schema.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ONE_AT_A_TIME})")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(LOCK_PATIENCE * 1000)}")
    schema = read_schema(connection)
    if schema.unsupported:
        raise OSError(schema.unsupported)
    if revision == "head" and schema.current == schema.newest:
        return
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise OSError("the migration would leave rows that refer to missing rows, so nothing was changed")


async def _build_indexes(connection: AsyncConnection, revision: str) -> None:
    """Build the indexes that pending migrations declare as `CONCURRENT_INDEXES`, while other processes write.

    Building one in a transaction would block all writes to its table. A process that is killed meanwhile leaves an
    invalid index, which the next process replaces. The connection commits each statement.
    """
    indexes = await connection.run_sync(_pending_indexes, revision)
    if not indexes:
        return
    # A process that waited for the lock in a statement would hold a snapshot, and the build waits for all older ones.
    try_lock = f"SELECT pg_try_advisory_lock({INDEXES_ONE_AT_A_TIME})"
    while not (await connection.exec_driver_sql(try_lock)).scalar_one():  # noqa: ASYNC110 - other processes hold it
        await asyncio.sleep(LOCK_INTERVAL)
    try:
        for name, definition in indexes.items():
            valid = (await connection.execute(_IS_VALID, {"name": name})).scalar_one_or_none()
            if valid is False:
                await connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY {name}")
            if not valid:
                await _build_index(connection, f"CREATE INDEX CONCURRENTLY {name} ON {definition}")
    finally:
        await connection.exec_driver_sql(f"SELECT pg_advisory_unlock({INDEXES_ONE_AT_A_TIME})")


async def _build_index(connection: AsyncConnection, statement: str) -> None:
    try:
        await connection.exec_driver_sql(statement)
    except ProgrammingError as error:
        # A pending migration adds the table or the column, so it builds the index too.
        if getattr(error.orig, "sqlstate", None) not in UNDEFINED:
            raise


_IS_VALID = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


def _pending_indexes(connection: Connection, revision: str) -> dict[str, str]:
    """Return the definitions of the indexes that pending migrations add to existing tables, by name."""
    schema = read_schema(connection)
    if schema.current is None or schema.unsupported or schema.current == schema.newest:
        return {}
    from alembic.script import ScriptDirectory

    indexes: dict[str, str] = {}
    for script in ScriptDirectory.from_config(_config()).iterate_revisions(revision, schema.current):
        indexes |= getattr(script.module, "CONCURRENT_INDEXES", {})
    return indexes


def read_schema(connection: Connection) -> Schema:
    """Return the schema of a database, in the transaction of a connection."""
    heads: list[str] = []
    if inspect(connection).has_table("alembic_version"):
        heads = list(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars())
    return Schema(", ".join(heads) or None, _newest())


def _newest() -> str:
    return max(_revisions())


@cache
def _revisions() -> frozenset[str]:
    """Return the revisions, which are the beginnings of the file names."""
    return frozenset(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
