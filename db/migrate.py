"""Bring a database to the newest schema with Alembic, or say which one it has."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncConnection

from tertulia.db.address import read_address
from tertulia.db.database import explain, open_engine
from tertulia.db.errors import DATABASE_ERRORS

MIGRATIONS = Path(__file__).parent / "migrations"
PATIENCE = 5.0
"""Seconds that a start waits for a database that is locked or silent, before it says so."""
LOCK_PATIENCE = 10.0
"""Seconds that a migration waits for a table of PostgreSQL that somebody reads, while all others wait behind it."""
STATEMENT_PATIENCE = 3600.0
"""Seconds that one statement of a migration may take, or the migration of another process that this one waits for."""
ONE_AT_A_TIME = 7_310_838_061
"""The advisory lock that lets only one of several replicas migrate; a number of our own."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The revision that a database is at, None where it has no tables yet, and the one that this version wants."""

    has: str | None
    wants: str
    known: bool
    """Whether this version can use the database: it may have to be migrated, but by no newer version yet."""


async def migrate(url: str, revision: str = "head") -> None:
    """Run all migrations that are missing; a database that is up to date is left as it is.

    All of them are one transaction: a process that is killed in the middle leaves the former schema behind.
    Raises DatabaseUnavailable where it cannot be opened or written to, or has been migrated by a newer version.
    """
    async with _writing(url) as connection:
        await connection.run_sync(_upgrade, revision)


async def schema_of(url: str) -> Schema:
    """Say which schema a database has, and leave it as it is.

    Raises DatabaseUnavailable where it cannot be opened or written to.
    """
    if not _is_there(url):
        return Schema(None, _scripts().get_current_head() or "", known=True)
    async with _writing(url) as connection:
        if connection.dialect.name == "postgresql":
            read_only = (await connection.exec_driver_sql("SHOW transaction_read_only")).scalar_one()
            if read_only == "on":
                raise explain(OSError("it takes no writes"), url)
        return await connection.run_sync(_look)


def is_known(revision: str) -> bool:
    """Say whether this version can use a database of that schema, once it is migrated."""
    return revision in _revisions()


def _is_there(url: str) -> bool:
    """Say whether there is anything to open: to open a file of SQLite makes it."""
    address = read_address(url).url
    if not address.drivername.startswith("sqlite") or Path(address.database or "").exists():
        return True
    folder = Path(address.database or "").absolute().parent
    if not folder.is_dir():
        raise explain(FileNotFoundError(f"there is no folder {folder}"), url)
    return False


@asynccontextmanager
async def _writing(url: str) -> AsyncGenerator[AsyncConnection]:
    engine = open_engine(url, PATIENCE)
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _leave_references_alone)
    else:
        event.listen(engine.sync_engine, "do_connect", _take_your_time)
    try:
        async with engine.execution_options(writes=True).begin() as connection:
            yield connection
    except TimeoutError as error:
        raise explain(OSError("it does not answer in time"), url) from error
    except DATABASE_ERRORS as error:
        raise explain(error, url) from error
    finally:
        await engine.dispose()


def _leave_references_alone(connection: Any, _record: object) -> None:
    # SQLite alters some tables by making them anew, and to drop the old one would delete all that refers to its rows.
    def turn_off(driver: Any) -> Any:
        return driver.execute_fetchall("PRAGMA foreign_keys = OFF")

    connection.run_async(turn_off)


def _take_your_time(_dialect: object, _record: object, _arguments: object, options: dict[str, Any]) -> None:
    # What is long for a request is not long for a table of millions of rows: it could never be migrated.
    options["command_timeout"] = STATEMENT_PATIENCE


def _upgrade(connection: Connection, revision: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ONE_AT_A_TIME})")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(LOCK_PATIENCE * 1000)}")
    found = _look(connection)
    if not found.known:
        raise OSError(
            f"it has the schema {found.has}, and this version knows none behind {found.wants}:"
            " start the version of Tertulia that migrated it, or a newer one"
        )
    if revision == "head" and found.has == found.wants:
        return
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise OSError("after the migration some rows refer to others that are not there; nothing was changed")


def _look(connection: Connection) -> Schema:
    scripts = _scripts()
    heads = MigrationContext.configure(connection).get_current_heads()
    return Schema(heads[0] if heads else None, scripts.get_current_head() or "", known=set(heads) <= _revisions())


@cache
def _revisions() -> frozenset[str]:
    return frozenset(script.revision for script in _scripts().walk_revisions())


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
