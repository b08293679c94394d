"""Copies of an SQLite database: each holds what one moment had, whoever writes meanwhile."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 20.0
"""Seconds that a copy waits for another process's lock on the file."""


class BadCopy(Exception):
    """A file that cannot be copied, or is no whole database of ours; the message says why."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a copy holds. `blobs`: ids of all bytes it knows of, as hex; `shown`: of those that attachments need."""

    schema: str
    conversations: int
    blobs: frozenset[str]
    shown: frozenset[str]


def copy(source: Path, target: Path) -> None:
    """Copy a database that others may be writing to; the target must not be there. Raises BadCopy."""
    with _opened(source) as connection:
        # A read transaction, which in WAL mode keeps nobody waiting; what was deleted is not in the copy.
        connection.execute("VACUUM INTO ?", (str(target),))


def inspect_backup(file: Path) -> Contents:
    """Read a copy through, and say what it holds. Raises BadCopy."""
    with _opened(file) as connection:
        problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise BadCopy(f"{file} is damaged: {problem.splitlines()[0]}")
        schema = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        conversations = connection.execute("SELECT count(*) FROM conversations").fetchone()[0]
        # A development version before the first migration may have no attachments yet.
        wanted = "SELECT 1 FROM sqlite_master WHERE name = 'attachments'"
        has_attachments = connection.execute(wanted).fetchone() is not None
        rows = connection.execute("SELECT id FROM blobs").fetchall() if has_attachments else []
        shown = connection.execute("SELECT blob_id FROM attachments").fetchall() if has_attachments else []
    return Contents(schema, conversations, frozenset(row[0] for row in rows), frozenset(row[0] for row in shown))


@contextmanager
def _opened(file: Path) -> Generator[sqlite3.Connection]:
    try:
        # Not made where it is not there.
        address = f"{file.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(address, uri=True, timeout=PATIENCE, isolation_level=None)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise BadCopy(f"{file}: {error}") from error
