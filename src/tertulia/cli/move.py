"""`tertulia move`: move all data from one database to another, between SQLite and PostgreSQL."""

import time

import typer

from tertulia.cli.users import CommandError
from tertulia.db.address import read_address, show_address
from tertulia.db.errors import DatabaseUnavailable
from tertulia.db.moving import MoveRefused
from tertulia.db.moving import move as move_rows
from tertulia.extras import MissingExtraError, require_extra
from tertulia.server.settings import database_file

REPORT_SECONDS = 5.0
"""How often a table that takes long is reported."""


async def move(source: str, target: str, *, rehearse: bool) -> str:
    """Move all data of a database to an empty one.

    Returns:
        The number of rows of each table, and what to set before the server is started again.

    Raises:
        CommandError: A database cannot be used for a move, or their rows differ at the end.
    """
    for name, url in (("SOURCE", source), ("TARGET", target)):
        _check(name, url)
    typer.echo(f"From {show_address(source)} to {show_address(target)}.", err=True)
    start = time.monotonic()
    try:
        moved = await move_rows(source, target, Reporter(), rehearse=rehearse)
    except MoveRefused as error:
        raise CommandError(str(error)) from error
    except DatabaseUnavailable as error:
        raise CommandError(str(error).removeprefix("DATABASE_URL: ").capitalize()) from error
    seconds = time.monotonic() - start
    lines = [f"{table:24}{rows:>12,}" for table, rows in moved.rows.items() if rows]
    verb = "Rehearsed the move of" if rehearse else "Moved"
    total = f"{verb} {sum(moved.rows.values()):,} rows in {seconds:.1f} seconds."
    lines.append(f"{total} The counts and sums of all {len(moved.rows)} tables are equal.")
    return "\n".join([*lines, "The target is unchanged." if rehearse else _describe_remainder(source, target)])


class Reporter:
    """Prints a line for each table, and one every few seconds while a table is copied."""

    def __init__(self) -> None:
        """Start with no table."""
        self._next = time.monotonic() + REPORT_SECONDS

    def __call__(self, table: str, done: int, total: int) -> None:
        """Print how many rows of a table are copied, if they are all, or if the last line is old."""
        if done < total and time.monotonic() < self._next:
            return
        typer.echo(f"{table}: {done:,} of {total:,} rows", err=True)
        self._next = time.monotonic() + REPORT_SECONDS


def _check(name: str, url: str) -> None:
    try:
        if read_address(url).url.drivername.startswith("postgresql"):
            require_extra("postgres", "PostgreSQL")
    except (ValueError, MissingExtraError) as error:
        raise CommandError(f"{name}: {str(error).rstrip('.')}.") from None


def _describe_remainder(source: str, target: str) -> str:
    """Describe what is not in the database, and how a server on the new one finds it."""
    file, settings = database_file(source), [f"DATABASE_URL={show_address(target)}"]
    if file is not None:
        folder, secret = file.with_name("tertulia-attachments"), file.with_name(f"{file.name}-secret")
        if folder.is_dir():
            settings.append(f"TERTULIA_ATTACHMENTS={folder.absolute()} (the files of attachments stay there)")
        if secret.is_file():
            settings.append(f"TERTULIA_SECRET_KEY=... (the content of {secret.absolute()}; sign-ins stay valid)")
    return "\n".join(["Start the server with these settings, and the others as before:", *settings])
