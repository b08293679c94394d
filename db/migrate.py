"""Bring a database to the newest schema with Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from db.database import explain, open_engine

MIGRATIONS = Path(__file__).parent / "migrations"


async def migrate(url: str) -> None:
    """Run all migrations that are missing; a database that is up to date is left as it is.

    Raises DatabaseUnavailable where it cannot be opened or written to.
    """
    engine = open_engine(url)
    try:
        async with engine.execution_options(writes=True).begin() as connection:
            await connection.run_sync(_upgrade)
    except DBAPIError as error:
        raise explain(error, url) from error
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
