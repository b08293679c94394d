"""Transactions: each `async with database.read()` or `database.write()` is one."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import Connection, Executable, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, async_sessionmaker, create_async_engine
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db import spent_here, sqlite
from tertulia.db.address import read_address, show_address
from tertulia.db.errors import DatabaseUnavailable, is_conflict
from tertulia.db.outbox import SUBSCRIBERS, Subscribers
from tertulia.db.read_limit import count_stored
from tertulia.db.tables import User
from tertulia.json import dumps, loads_stored
from tertulia.storage import is_storage_full

__all__ = ["AsyncSession", "Database", "ReadSnapshot", "explain", "open_engine"]

tracer = trace.get_tracer("tertulia")
logger = logging.getLogger("tertulia.db")
Result = TypeVar("Result")

PATIENCE = 20.0
"""Timeout in seconds for the lock on the SQLite file that another process holds, or for connecting to PostgreSQL."""
POOL = 20
"""Maximum connections of one process to PostgreSQL, in addition to one that is reserved for renewing leases."""
LEFT_FOR_OTHERS = 5
"""The number of these connections that snapshots may not use, so that writers always get one."""
ATTEMPTS = 3
"""The number of attempts of a transaction that is in conflict with others."""
PROBE_BYTES = 65_536
CLOSE_SECONDS, LOOK_SECONDS = 2.0, 0.01
FILE_POOL, FILE_OVERFLOW = 5, 10
"""The connections to an SQLite file that are kept open, and the maximum of additional ones. Each has a thread."""


class Session(AsyncSession):
    """A session that looks its connection up once in a transaction, because that costs more than some statements."""

    _connection: AsyncConnection | None = None

    async def connection(
        self,
        bind_arguments: dict[str, Any] | None = None,
        execution_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> AsyncConnection:
        """Return the connection of the transaction."""
        if bind_arguments or execution_options or options:
            return await super().connection(bind_arguments, execution_options, **options)
        if self._connection is None or self._connection.closed or not self.in_transaction():
            self._connection = await super().connection()
        return self._connection


class Database:
    """Opens sessions of one database. Sessions are short: none is open while a socket waits or Claude writes."""

    def __init__(self, url: str, subscribers: Subscribers | None = None) -> None:
        """Create the engines for a DATABASE_URL, without connecting.

        Args:
            url: The address of the database.
            subscribers: The names of the subscribers of each event, which transactions store in the outbox.
        """
        self.engine = open_engine(url)
        sqlite = self.engine.dialect.name == "sqlite"
        self._renewal_engine = self.engine if sqlite else open_engine(url, pool=1)
        self.in_turn = sqlite
        """Whether the database has only one writer at a time."""
        self._readers = _sessions(self.engine)
        # A transaction of SQLite always reads a snapshot.
        snapshot_engine = self.engine if sqlite else self.engine.execution_options(isolation_level="REPEATABLE READ")
        self._snapshots = _sessions(snapshot_engine, autoflush=False)
        self._snapshot_slots = asyncio.Semaphore(self.connections[1] - LEFT_FOR_OTHERS)
        self._subscribers = dict(subscribers or {})
        info = {SUBSCRIBERS: self._subscribers}
        self._writers = _sessions(self.engine.execution_options(writes=True), info=info)
        self._renewers = _sessions(self._renewal_engine.execution_options(writes=True), info=info)
        # SQLite allows one writer at a time. Its own lock is polled and unfair; this lock is a queue.
        self._turn: Any = asyncio.Lock() if sqlite else nullcontext()
        self._is_full = False
        self._span_attributes = {"db.system.name": "sqlite" if sqlite else "postgresql"}

    def subscribe(self, subscribers: Subscribers) -> None:
        """Store the events of later transactions for these subscribers, instead of those before."""
        self._subscribers.clear()
        self._subscribers.update(subscribers)

    @property
    def subscribers(self) -> Subscribers:
        """The names of the subscribers of each event."""
        return self._subscribers

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncSession]:
        """Open a read-only transaction."""
        with self._trace("read"):
            async with self._readers.begin() as session:
                yield session

    @asynccontextmanager
    async def read_snapshot(self) -> AsyncGenerator["ReadSnapshot"]:
        """Open a snapshot of the database, which several tasks can read in one transaction."""
        async with AsyncExitStack() as stack:

            async def begin() -> AsyncSession:
                await stack.enter_async_context(self._snapshot_slots)
                return await stack.enter_async_context(self._snapshots())

            snapshot = ReadSnapshot(self, begin)
            try:
                yield snapshot
            finally:
                await snapshot.close()

    async def row(self, statement: Executable, **values: object) -> Any:
        """Return the row of a statement, or None.

        This creates no session, because each request runs it, and a session would double its cost.
        """
        async with self.engine.connect() as connection:
            return (await connection.execute(statement, values)).one_or_none()

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncSession]:
        """Open a read-write transaction. It is committed at the end of the block, and rolled back on any exception."""
        with self._trace("write"), self._detect_full_disk():
            async with self._turn, self._writers.begin() as session:
                try:
                    yield session
                except BaseException:
                    # A rollback expires rows, and the error may refer to some.
                    session.expunge_all()
                    raise
            spent_here.committed(session)

    async def write_again(self, work: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
        """Run `work` in a transaction like `write`, and repeat it if PostgreSQL aborts it because of another one.

        Transactions lock rows in the same order, but those of the previous release may not during an upgrade.
        """
        for _ in range(ATTEMPTS - 1):
            try:
                async with self.write() as session:
                    return await work(session)
            except DBAPIError as error:
                if not is_conflict(error):
                    raise
                logger.warning("A transaction is repeated, because it was in conflict with another one: %s", error)
        async with self.write() as session:
            return await work(session)

    @asynccontextmanager
    async def renew(self) -> AsyncGenerator[AsyncSession]:
        """Open a transaction like `write`, on a connection reserved for leases, so that it waits for no other."""
        with self._detect_full_disk():
            async with self._turn, self._renewers.begin() as session:
                yield session

    @property
    def connections(self) -> tuple[int, int]:
        """The number of connections in use, and their maximum."""
        pool: Any = self.engine.pool
        return pool.checkedout(), FILE_POOL + FILE_OVERFLOW if self.in_turn else POOL

    async def check(self) -> None:
        """Raise if the database is unavailable. This reads a table: SQLite can read a constant without its file."""
        async with self._readers.begin() as session:
            await session.exec(select(User.id).limit(1))

    async def check_storage(self) -> None:
        """Raise if nothing can be stored. Writing is only tested after a write has failed because the disk is full.

        The success of another transaction proves nothing: many change no row, and small ones reuse free space.
        """
        if self._is_full:
            async with self.write() as session:
                connection = await session.connection()
                # The statements allocate pages and free them again.
                table = f"space_probe_{uuid4().hex}"
                for statement in (
                    f"CREATE TABLE {table} (data TEXT)",
                    f"INSERT INTO {table} VALUES ('{'x' * PROBE_BYTES}')",  # noqa: S608 - both are made here
                    f"DROP TABLE {table}",
                ):
                    await connection.execute(text(statement))
            self._is_full = False

    @contextmanager
    def _detect_full_disk(self) -> Generator[None]:
        """Record that a write failed because the disk is full."""
        try:
            yield
        except Exception as error:
            self._is_full = self._is_full or is_storage_full(error)
            raise

    @contextmanager
    def _trace(self, access: str) -> Generator[None]:
        """Record a span of a transaction, including its wait for a connection, if the current trace is recorded."""
        if not trace.get_current_span().is_recording():
            yield
            return
        with tracer.start_as_current_span(
            f"database {access}",
            kind=SpanKind.CLIENT,
            attributes=self._span_attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except Exception as error:
                span.set_status(StatusCode.ERROR)
                span.set_attribute("error.type", type(error).__name__)
                raise

    async def close(self) -> None:
        """Close all connections as soon as none is in use, at the latest after `CLOSE_SECONDS`."""
        # A connection that is returned later is never closed, and on SQLite its thread does not end.
        pools: list[Any] = [self.engine.pool, self._renewal_engine.pool]
        for _ in range(int(CLOSE_SECONDS / LOOK_SECONDS)):
            if not any(pool.checkedout() for pool in pools):
                break
            await asyncio.sleep(LOOK_SECONDS)
        await self.engine.dispose()
        await self._renewal_engine.dispose()


class ReadSnapshot:
    """A snapshot of the database. Its transaction begins with the first read. Only one task reads at a time."""

    def __init__(self, database: Database, begin: Callable[[], Awaitable[AsyncSession]]) -> None:
        """Create a snapshot whose session is opened by `begin`."""
        self._database = database
        self._begin = begin
        self._session: AsyncSession | None = None
        self._turn = asyncio.Lock()
        self._is_closed = False

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncSession]:
        """Yield the session of the snapshot, or a new session if the snapshot is closed."""
        async with self._turn:
            if not self._is_closed:
                self._session = self._session or await self._begin()
                yield self._session
                return
        async with self._database.read() as session:
            yield session

    async def close(self) -> None:
        """Wait for the current reader, and close the snapshot."""
        async with self._turn:
            self._is_closed = True


def open_engine(url: str, patience: float = PATIENCE, pool: int = POOL, *, raw_json: bool = False) -> AsyncEngine:
    """Create an engine for a DATABASE_URL.

    Args:
        url: The address. SQLite connections use WAL mode and check foreign keys.
        patience: The timeout in seconds for the lock of an SQLite file, or for connecting to PostgreSQL.
        pool: The maximum number of connections to PostgreSQL.
        raw_json: Read and write JSON as its text, byte for byte.
    """
    # Error messages must not quote the parameters of statements, because users' text would then be logged.
    common: dict[str, Any] = {"hide_parameters": True, "json_serializer": dumps, "json_deserializer": _parse}
    if raw_json:
        common |= {"json_serializer": _unchanged, "json_deserializer": _unchanged}
    address = read_address(url)
    if not address.url.drivername.startswith("sqlite"):
        from tertulia.db import postgresql

        # The pre-ping costs a round trip. It keeps requests from failing after a restart of the database server.
        return create_async_engine(
            address.url,
            pool_size=pool,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args={
                "async_creator_fn": postgresql.connect,
                "command_timeout": 60,
                **address.arguments(patience),
            },
            **common,
        )
    opening = {"async_creator_fn": partial(sqlite.connect, patience=patience)}
    engine = create_async_engine(
        address.url, pool_size=FILE_POOL, max_overflow=FILE_OVERFLOW, connect_args=opening, **common
    )
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def explain(error: BaseException, url: str) -> DatabaseUnavailable:
    """Return an error that describes in one line why the database cannot be used, without its password."""
    cause = (str(getattr(error, "orig", error)) or type(error).__name__).splitlines()[0]
    return DatabaseUnavailable(f"DATABASE_URL: cannot use {show_address(url)}: {cause}")


def _sessions(
    engine: AsyncEngine, *, autoflush: bool = True, info: dict[str, Any] | None = None
) -> async_sessionmaker[AsyncSession]:
    return async_sessionmaker(engine, class_=Session, expire_on_commit=False, autoflush=autoflush, info=info)


def _parse(text: str) -> object:
    count_stored(len(text))
    return loads_stored(text)


def _unchanged(text: object) -> object:
    return text


def _begin_sqlite(connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection
    driver.begin(writes=connection.get_execution_options().get("writes", False))
