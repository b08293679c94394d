"""SQLite's connections: one visit to the driver's thread for each statement, and none for what needs none.

SQLAlchemy's adapter asks aiosqlite four times for one statement: for a cursor, to execute, to fetch, to close. On one
core each of them costs more than the statement itself; a cursor here does it all in one, and a transaction begins
together with its first statement.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple, Self

import aiosqlite

from tertulia.db.cases import UNICODE_LOWER, small


class Result(NamedTuple):
    """All that a statement gave, as DB-API's cursors name it (PEP 249)."""

    rows: list[Any]
    description: Any
    rowcount: int
    lastrowid: int | None


class Connection(aiosqlite.Connection):
    """An aiosqlite connection with light cursors, whose transactions begin when something is executed in them."""

    _tx: Any  # aiosqlite's queue of (future, function)
    _beginning: str | None = None
    _begun = False

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        """Take what opens the database; it runs in the connection's thread."""
        super().__init__(connector, iter_chunk_size=1)
        # As SQLAlchemy has it for connections of its own: a process may end while one is open.
        self._thread.daemon = True

    async def _connect(self) -> aiosqlite.Connection:
        try:
            return await super()._connect()
        finally:
            if self._connection is None:
                # It has only to say that it ends, and must have done so before the event loop closes.
                self._thread.join()

    def begin(self, statement: str) -> None:
        """Begin with this statement, right before the first one that is executed."""
        self._beginning = statement

    def cursor(self) -> Any:
        """Give a cursor; the thread is not asked for it."""
        return Cursor(self)

    async def visit(self, statement: str, parameters: Any, *, many: bool) -> Result:
        """Execute in the driver's thread, once or `many` times, and bring all of it back."""
        beginning, self._beginning = self._beginning, None
        # Noted here and not when it is done: the waiting may be cancelled, the thread goes on all the same.
        self._begun = self._begun or beginning is not None
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        run = _execute_many if many else _execute
        self._tx.put_nowait((done, partial(run, self._conn, beginning, statement, parameters)))
        return await done

    async def commit(self) -> None:
        """Commit, where anything was executed."""
        if self._end():
            await super().commit()

    async def rollback(self) -> None:
        """Roll back, where anything was executed; the pool asks for it after each commit, too."""
        if self._end():
            await super().rollback()

    def _end(self) -> bool:
        begun, self._begun, self._beginning = self._begun, False, None
        return begun


class Cursor:
    """What SQLAlchemy's adapter asks of a cursor (its protocol AsyncIODBAPICursor)."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        """Take the connection that executes."""
        self._connection = connection
        self._result = Result([], None, -1, None)

    async def __aenter__(self) -> Self:
        """There is nothing to open."""
        return self

    async def execute(self, statement: str, parameters: Any = ()) -> None:
        """Execute, and keep what it gave."""
        self._result = await self._connection.visit(statement, parameters, many=False)

    async def executemany(self, statement: str, parameters: Iterable[Any]) -> None:
        """Execute once for each of the parameters."""
        self._result = await self._connection.visit(statement, parameters, many=True)

    async def fetchall(self) -> list[Any]:
        """Give the rows."""
        return self._result.rows

    async def close(self) -> None:
        """There is nothing to close: the real cursor is gone already."""

    def __getattr__(self, name: str) -> Any:
        """Give `description`, `rowcount` and `lastrowid` of what was executed last."""
        return getattr(self._result, name)


def connect(file: str, *, patience: float, **options: Any) -> Connection:
    """Give a connection, to be awaited, that waits `patience` seconds for another process's lock on the file."""
    return Connection(partial(_open, file, patience, options))


def _open(file: str, patience: float, options: dict[str, Any]) -> sqlite3.Connection:
    # Without an isolation level the driver begins no transactions by itself; they would always be deferred.
    connection: sqlite3.Connection = sqlite3.connect(file, timeout=patience, isolation_level=None, **options)
    connection.execute("PRAGMA journal_mode = WAL")
    # In WAL mode NORMAL keeps the file whole after a power cut; FULL would sync on each commit.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    add_functions(connection)
    return connection


def add_functions(connection: sqlite3.Connection) -> None:
    """Add the functions of SQL that statements need and SQLite does not have."""
    connection.create_function(UNICODE_LOWER, 1, small, deterministic=True)


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
