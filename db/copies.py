"""Consistent copies of an SQLite database while other processes write to it."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 20.0
"""Timeout for another process's lock on the file, in seconds."""


class BadCopy(Exception):
    """A file cannot be copied, or is not an intact Tertulia database. The message gives the reason."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a copy.

    Attributes:
        schema: The revision of its schema.
        conversations: The number of conversations.
        blobs: The ids of all blobs, in hexadecimal.
        attached_blobs: The ids of the blobs that attachments refer to.
    """

    schema: str
    conversations: int
    blobs: frozenset[str]
    attached_blobs: frozenset[str]


def copy(source: Path, target: Path) -> None:
    """Copy a database, while other processes may write to it, to a new file. Raise BadCopy if that fails."""
    with _opened(source) as connection:
        # This is a read transaction, so in WAL mode it blocks no writer. The copy contains no deleted data.
        connection.execute("VACUUM INTO ?", (str(target),))


def inspect_backup(file: Path) -> Contents:
    """Check the integrity of a copy and return its contents. Raise BadCopy if it is damaged."""
    with _opened(file) as connection:
        problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise BadCopy(f"{file} is damaged: {problem.splitlines()[0]}")
        schema = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        conversations = connection.execute("SELECT count(*) FROM conversations").fetchone()[0]
        # A database of a development version before the first migration may have no attachments.
        query = "SELECT 1 FROM sqlite_master WHERE name = 'attachments'"
        has_attachments = connection.execute(query).fetchone() is not None
        rows = connection.execute("SELECT id FROM blobs").fetchall() if has_attachments else []
        attachment_rows = connection.execute("SELECT blob_id FROM attachments").fetchall() if has_attachments else []
    return Contents(
        schema, conversations, frozenset(row[0] for row in rows), frozenset(row[0] for row in attachment_rows)
    )


@contextmanager
def _opened(file: Path) -> Generator[sqlite3.Connection]:
    try:
        # The mode `rw` does not create a missing file.
        address = f"{file.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(address, uri=True, timeout=PATIENCE, isolation_level=None)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise BadCopy(f"{file}: {error}") from error
