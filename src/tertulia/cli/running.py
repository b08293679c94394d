"""Helpers of the subcommands: the settings, the migration of the database, results and refusals."""

import asyncio
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tertulia.server.settings import Settings


def print_result(work: "Coroutine[None, None, str]") -> None:
    """Run a command and print its result; exit with 2 if it fails."""
    from tertulia.cli.users import CommandError

    try:
        typer.echo(asyncio.run(work))
    except CommandError as error:
        refuse(str(error))


def read_settings() -> "Settings":
    """Return the settings; exit with 2 if one is wrong."""
    from tertulia.server.environment import WrongSetting
    from tertulia.server.settings import load_settings

    try:
        return load_settings()
    except WrongSetting as error:
        refuse(str(error))


def migrate_database(settings: "Settings") -> None:
    """Create the database if it does not exist, and migrate it to the newest schema; exit with 2 if that fails."""
    from tertulia.db.errors import DatabaseUnavailable
    from tertulia.db.migrate import migrate as run_migrations

    try:
        asyncio.run(run_migrations(settings.database_url))
    except DatabaseUnavailable as error:
        refuse(str(error))


def prepare_database(settings: "Settings", *, create: bool = False, migrates: bool = True) -> None:
    """Print which database the command works on, and exit with 2 if it cannot be used.

    Args:
        settings: The settings with the address of the database.
        create: Create the database if it does not exist.
        migrates: Migrate the database to the newest schema. Otherwise, an older one is refused.
    """
    from tertulia.db.address import show_address
    from tertulia.db.errors import DatabaseUnavailable
    from tertulia.db.migrate import schema_of

    address = show_address(settings.database_url)
    try:
        schema = asyncio.run(schema_of(settings.database_url))
    except DatabaseUnavailable as error:
        refuse(str(error))
    if schema.current is None and not create:
        refuse(f"DATABASE_URL: there is no database yet: {address}. `tertulia serve` and `tertulia migrate` create it.")
    if not migrates and schema.current != schema.newest:
        reason = schema.unsupported or f"its schema is {schema.current}, not {schema.newest}; run `tertulia migrate`"
        refuse(f"DATABASE_URL: cannot use {address}: {reason}.")
    if migrates:
        migrate_database(settings)
    typer.echo(f"Database: {address}", err=True)


def refuse(message: str) -> NoReturn:
    """Print an error, and exit with 2."""
    typer.echo(message, err=True)
    raise typer.Exit(2)
