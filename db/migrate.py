"""Migrate a database to the newest schema with Alembic, or report which schema it has.

The first migration is 0014. The development versions before it had other steps, so their databases are refused.
Alembic is imported only if there is something to migrate: most starts find the newest schema.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, event, inspect
from sqlalchemy.ext.asyncio import AsyncConnection

from tertulia.db.address import read_address
from tertulia.db.database import explain, open_engine
from tertulia.db.errors import DATABASE_ERRORS

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
BRIDGE = "b41a9df of 2026-11-28"
"""A commit that still migrates the schemas before the first migration."""
PATIENCE = 5.0
"""Timeout in seconds for a database that is locked or does not respond at startup."""
LOCK_PATIENCE = 10.0
"""Timeout in seconds for a table lock on PostgreSQL. While a migration waits, later queries queue after it."""
STATEMENT_PATIENCE = 3600.0
"""Timeout in seconds for one statement of a migration, or for the migration of another process."""
ONE_AT_A_TIME = 7_310_838_061
"""The advisory lock that lets only one of several replicas migrate. The number is arbitrary."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema of a database, and the newest one that this version supports."""

    current: str | None
    """None if there are no tables yet."""
    newest: str

    @property
    def unsupported(self) -> str | None:
        """Why this version cannot use the database; None if it can, perhaps after a migration."""
        return None if self.current is None else unsupported_reason(self.current)


async def migrate(url: str, revision: str = "head") -> None:
    """Run all pending migrations in one transaction.

    A process that is killed in between leaves the former schema.

    Raises:
        DatabaseUnavailable: The database cannot be opened or written to, or this version does not support its schema.
    """
    async with _writing(url) as connection:
        await connection.run_sync(_upgrade, revision)


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
                raise explain(OSError("it takes no writes"), url)
        return await connection.run_sync(_read_schema)


def unsupported_reason(revision: str) -> str | None:
    """Return why this version cannot use a database with a schema; None if it can, perhaps after a migration."""
    if revision in _revisions():
        return None
    oldest = min(_revisions())
    if revision in {f"{number:04}" for number in range(1, int(oldest))}:
        return (
            f"its schema is {revision}, and this version migrates {oldest} and later:"
            f" first run `tertulia migrate` of the commit {BRIDGE}"
        )
    return (
        f"its schema is {revision}, and the newest that this version knows is {_newest()}:"
        " start the version of Tertulia that migrated it, or a newer one"
    )


def _exists(url: str) -> bool:
    """Return whether the database exists. This is checked first, because opening an SQLite file creates it."""
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
        event.listen(engine.sync_engine, "connect", _disable_foreign_keys)
    else:
        event.listen(engine.sync_engine, "do_connect", _raise_command_timeout)
    try:
        async with engine.execution_options(writes=True).begin() as connection:
            yield connection
    except TimeoutError as error:
        raise explain(OSError("it does not answer in time"), url) from error
    except DATABASE_ERRORS as error:
        raise explain(error, url) from error
    finally:
        await engine.dispose()


def _disable_foreign_keys(connection: Any, _record: object) -> None:
    # Some migrations recreate SQLite tables. Dropping the old one would delete all rows that refer to its rows.
    def turn_off(driver: Any) -> Any:
        return driver.execute_fetchall("PRAGMA foreign_keys = OFF")

    connection.run_async(turn_off)


def _raise_command_timeout(_dialect: object, _record: object, _arguments: object, options: dict[str, Any]) -> None:
    # With the timeout of requests, a table with millions of rows could never be migrated.
    options["command_timeout"] = STATEMENT_PATIENCE


def _upgrade(connection: Connection, revision: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ONE_AT_A_TIME})")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(LOCK_PATIENCE * 1000)}")
    schema = _read_schema(connection)
    if schema.unsupported:
        raise OSError(schema.unsupported)
    if revision == "head" and schema.current == schema.newest:
        return
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise OSError("the migration would leave rows that refer to missing ones, so nothing was changed")


def _read_schema(connection: Connection) -> Schema:
    heads: list[str] = []
    if inspect(connection).has_table("alembic_version"):
        heads = list(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars())
    return Schema(", ".join(heads) or None, _newest())


def _newest() -> str:
    return max(_revisions())


@cache
def _revisions() -> frozenset[str]:
    """Return the revisions, by the names of their files."""
    return frozenset(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
