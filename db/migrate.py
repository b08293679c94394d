"""Bring a database to the newest schema with Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from db.database import explain, open_engine
from db.errors import DATABASE_ERRORS

MIGRATIONS = Path(__file__).parent / "migrations"
PATIENCE = 5.0
"""Seconds that a start waits for a database that is locked or silent, before it says so."""
ONE_AT_A_TIME = 7_310_838_061
"""The advisory lock that lets only one of several replicas migrate; a number of our own."""


async def migrate(url: str) -> None:
    """Run all migrations that are missing; a database that is up to date is left as it is.

    Raises DatabaseUnavailable where it cannot be opened or written to.
    """
    engine = open_engine(url, PATIENCE)
    try:
        async with engine.execution_options(writes=True).begin() as connection:
            await connection.run_sync(_upgrade)
    except DATABASE_ERRORS as error:
        raise explain(error, url) from error
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ONE_AT_A_TIME})")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
