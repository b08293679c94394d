"""SQLite connections that need one round trip to the driver's thread for each statement.

SQLAlchemy's adapter calls aiosqlite four times for one statement: to create a cursor, execute, fetch and close. On one
core, each call costs more than the statement itself. A cursor of this module needs one call, and a transaction begins
together with its first statement.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple, Self

import aiosqlite

from tertulia.db.cases import UNICODE_LOWER, to_lower


class Result(NamedTuple):
    """The result of a statement, with the attribute names of DB-API cursors (PEP 249)."""

    rows: list[Any]
    description: Any
    rowcount: int
    lastrowid: int | None


class Connection(aiosqlite.Connection):
    """An aiosqlite connection with `Cursor`s. Its transactions begin with their first statement."""

    _tx: Any  # aiosqlite's queue of (future, function)
    _beginning: str | None = None
    _begun = False

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        """Create a connection. Its thread calls `connector` to open the database."""
        super().__init__(connector, iter_chunk_size=1)
        # As in SQLAlchemy's own adapter: an open connection must not keep the process alive.
        self._thread.daemon = True

    async def _connect(self) -> aiosqlite.Connection:
        try:
            return await super()._connect()
        finally:
            if self._connection is None:
                # The thread is ending. It must report that before the event loop closes.
                self._thread.join()

    def begin(self, statement: str) -> None:
        """Store the statement that begins the transaction. It is executed right before the next statement."""
        self._beginning = statement

    def cursor(self) -> Any:
        """Create a cursor, without a round trip to the thread."""
        return Cursor(self)

    async def run(self, statement: str, parameters: Any, *, many: bool) -> Result:
        """Execute a statement in the driver's thread, and return the complete result.

        Args:
            statement: The SQL statement.
            parameters: Its parameters, or a sequence of them if `many` is true.
            many: Execute the statement once for each of the parameters.
        """
        beginning, self._beginning = self._beginning, None
        # Set before the statement has run, because the thread executes it even if this task is cancelled.
        self._begun = self._begun or beginning is not None
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        execute = _execute_many if many else _execute
        self._tx.put_nowait((done, partial(execute, self._conn, beginning, statement, parameters)))
        return await done

    async def commit(self) -> None:
        """Commit, if any statement was executed."""
        if self._end():
            await super().commit()

    async def rollback(self) -> None:
        """Roll back, if any statement was executed. The pool calls this after each commit too."""
        if self._end():
            await super().rollback()

    def _end(self) -> bool:
        has_begun, self._begun, self._beginning = self._begun, False, None
        return has_begun


class Cursor:
    """A cursor with the methods that SQLAlchemy's adapter uses (its protocol `AsyncIODBAPICursor`)."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        """Create a cursor of a connection."""
        self._connection = connection
        self._result = Result([], None, -1, None)

    async def __aenter__(self) -> Self:
        """Return the cursor itself, which is not opened separately."""
        return self

    async def execute(self, statement: str, parameters: Any = ()) -> None:
        """Execute a statement and store its result."""
        self._result = await self._connection.run(statement, parameters, many=False)

    async def executemany(self, statement: str, parameters: Iterable[Any]) -> None:
        """Execute a statement once for each of the parameters."""
        self._result = await self._connection.run(statement, parameters, many=True)

    async def fetchall(self) -> list[Any]:
        """Return all rows of the last statement."""
        return self._result.rows

    async def close(self) -> None:
        """Do nothing, because SQLite's cursor is already closed."""

    def __getattr__(self, name: str) -> Any:
        """Return `description`, `rowcount` and `lastrowid` of the last statement."""
        return getattr(self._result, name)


def connect(file: str, *, patience: float, **options: Any) -> Connection:
    """Return a connection, which must be awaited.

    Args:
        file: The path of the database.
        patience: The timeout in seconds for a lock that another process holds.
        options: Arguments of `sqlite3.connect`.
    """
    return Connection(partial(_open, file, patience, options))


def _open(file: str, patience: float, options: dict[str, Any]) -> sqlite3.Connection:
    # With an isolation level, the driver would begin transactions itself, and they would always be deferred.
    connection: sqlite3.Connection = sqlite3.connect(file, timeout=patience, isolation_level=None, **options)
    connection.execute("PRAGMA journal_mode = WAL")
    # In WAL mode, NORMAL keeps the file consistent after a power failure. FULL would sync on each commit.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    add_functions(connection)
    return connection


def add_functions(connection: sqlite3.Connection) -> None:
    """Add the SQL functions that statements use and that SQLite does not have."""
    connection.create_function(UNICODE_LOWER, 1, to_lower, deterministic=True)


def _execute(connection: sqlite3.Connection, beginning: str | None, statement: str, parameters: Any) -> Result:
    if beginning is not None:
        connection.execute(beginning)
    cursor = connection.execute(statement, parameters)
    rows = cursor.fetchall() if cursor.description else []
    result = Result(rows, cursor.description, cursor.rowcount, cursor.lastrowid)
    cursor.close()
    return result


def _execute_many(connection: sqlite3.Connection, beginning: str | None, statement: str, parameters: Any) -> Result:
    if beginning is not None:
        connection.execute(beginning)
    cursor = connection.executemany(statement, parameters)
    result = Result([], None, cursor.rowcount, cursor.lastrowid)
    cursor.close()
    return result
