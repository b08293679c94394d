"""SQLite connections that need one round trip to the driver's thread for each result.

SQLAlchemy's adapter calls aiosqlite four times for one statement: to create a cursor, execute, fetch and close. On one
core, each call costs more than the statement itself. A cursor of this module needs one call. A transaction begins
together with its first statement, and statements without a result are executed with the next one or with the commit.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
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


class Statement(NamedTuple):
    """A statement with its parameters, or with a sequence of them if `many` is true."""

    text: str
    parameters: Any = ()
    many: bool = False


class Connection(aiosqlite.Connection):
    """An aiosqlite connection with `Cursor`s. Its transactions begin with their first statement."""

    _tx: Any  # aiosqlite's queue of (future, function)
    _begun = False
    _writes = False

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        """Create a connection. Its thread calls `connector` to open the database."""
        super().__init__(connector, iter_chunk_size=1)
        self._pending: list[Statement] = []
        # As in SQLAlchemy's own adapter: an open connection must not keep the process alive.
        self._thread.daemon = True

    async def _connect(self) -> aiosqlite.Connection:
        try:
            return await super()._connect()
        finally:
            if self._connection is None:
                # The thread is ending. It must report that before the event loop closes.
                self._thread.join()

    async def close(self) -> None:
        """Close the database, and return when the thread has ended.

        A thread that still runs while the interpreter shuts down is ended by force, which can abort the process.
        """
        await super().close()
        # The thread has reported its last result, so this takes no time.
        if self._thread.is_alive():
            self._thread.join()

    def begin(self, *, writes: bool) -> None:
        """Start a transaction, together with its first statement."""
        # A deferred transaction that reads first and then writes fails at once with "database is locked".
        self._pending, self._writes = [Statement("BEGIN IMMEDIATE" if writes else "BEGIN")], writes

    def defer(self, statement: str, parameters: Any, *, many: bool) -> None:
        """Store a statement whose result is not needed. It is executed right before the next statement or the commit.

        If it fails, the next statement or the commit raises its error.

        Raises:
            sqlite3.ProgrammingError: The transaction only reads, so the end of it would discard the statement.
        """
        if not self._writes:
            raise sqlite3.ProgrammingError("A transaction that only reads cannot change rows.")
        self._pending.append(Statement(statement, parameters, many=many))

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
        pending, self._pending = self._pending, []
        # Set before the statement has run, because the thread executes it even if this task is cancelled.
        self._begun = self._begun or bool(pending)
        last = Statement(statement, parameters, many=many)
        result: Result = await self._in_thread(partial(_execute, self._conn, [*pending, last]))
        return result

    async def commit(self) -> None:
        """Execute the deferred statements, and commit. Nothing is done if the transaction has no statement."""
        pending = self._pending
        is_empty = not self._begun and len(pending) <= 1
        self._end()
        if is_empty:
            return
        if self._writes:
            await self._in_thread(partial(_commit, self._conn, pending))
        else:
            # Nobody waits for the end of a transaction that only reads: the thread executes it before anything else.
            self._tx.put_nowait((None, partial(_end_reading, self._conn)))

    async def rollback(self) -> None:
        """Roll back, if any statement was executed. The pool calls this after each commit too."""
        if self._end():
            await super().rollback()

    def _end(self) -> bool:
        has_begun, self._begun, self._pending = self._begun, False, []
        return has_begun

    async def _in_thread(self, function: Callable[[], Any]) -> Any:
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._tx.put_nowait((done, function))
        return await done


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


def _execute(connection: sqlite3.Connection, statements: Sequence[Statement]) -> Result:
    """Execute statements, and return the result of the last one."""
    result = Result([], None, -1, None)
    for text, parameters, many in statements:
        cursor = connection.executemany(text, parameters) if many else connection.execute(text, parameters)
        rows = cursor.fetchall() if cursor.description else []
        result = Result(rows, cursor.description, cursor.rowcount, cursor.lastrowid)
        cursor.close()
    return result


def _end_reading(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):
        _execute(connection, [Statement("ROLLBACK")])


def _commit(connection: sqlite3.Connection, statements: Sequence[Statement]) -> None:
    try:
        _execute(connection, [*statements, Statement("COMMIT")])
    except BaseException:
        connection.rollback()
        raise
