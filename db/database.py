"""The one door to the database: `async with database.read()` or `.write()` is one transaction."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from functools import partial
from typing import Any
from uuid import uuid4

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import Connection, Executable, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db import sqlite
from tertulia.db.address import read_address, show_address
from tertulia.db.errors import DatabaseUnavailable
from tertulia.db.read_limit import count_stored
from tertulia.db.tables import User
from tertulia.json import dumps, loads_stored
from tertulia.storage import is_storage_full

__all__ = ["AsyncSession", "Database", "ReadSnapshot", "explain", "open_engine"]

tracer = trace.get_tracer("tertulia")

PATIENCE = 20.0
"""Seconds that a write waits for another process's lock on the SQLite file, or for a connection to PostgreSQL."""
POOL = 20
"""Connections to PostgreSQL from one process, at most; one more is kept for renewing leases."""
LEFT_FOR_OTHERS = 5
"""Of these, those that no query may hold from its first read to its end."""
PROBE_BYTES = 65_536
CLOSE_SECONDS, LOOK_SECONDS = 2.0, 0.01
FILE_POOL, FILE_OVERFLOW = 5, 10
"""Connections to a SQLite file that are kept, and those that are opened beside them; each has a thread."""


class Database:
    """Sessions on one database. Sessions are short: none is open while a socket waits or Claude writes."""

    def __init__(self, url: str) -> None:
        """Take a SQLAlchemy async URL; nothing is opened yet."""
        self.engine = open_engine(url)
        sqlite = self.engine.dialect.name == "sqlite"
        self._kept = self.engine if sqlite else open_engine(url, pool=1)
        self.in_turn = sqlite
        """Whether only one writes at a time."""
        self._readers = _sessions(self.engine)
        # SQLite's transactions see one moment anyway.
        still = self.engine if sqlite else self.engine.execution_options(isolation_level="REPEATABLE READ")
        self._still = _sessions(still, autoflush=False)
        # However many queries wait for something else, those who write find connections.
        self._moments = asyncio.Semaphore(self.connections[1] - LEFT_FOR_OTHERS)
        self._writers = _sessions(self.engine.execution_options(writes=True))
        self._renewers = _sessions(self._kept.execution_options(writes=True))
        # SQLite has one writer at a time, and its own waiting is by polling and unfair; ours is a queue.
        self._turn: Any = asyncio.Lock() if sqlite else nullcontext()
        self._is_full = False
        self._system = {"db.system.name": "sqlite" if sqlite else "postgresql"}

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncSession]:
        """Open a transaction that only reads: one consistent view."""
        with self._traced("read"):
            async with self._readers.begin() as session:
                yield session

    @asynccontextmanager
    async def moment(self) -> AsyncGenerator["ReadSnapshot"]:
        """Let several read the database as it is at one moment, in one transaction."""
        async with AsyncExitStack() as stack:

            async def begin() -> AsyncSession:
                await stack.enter_async_context(self._moments)
                return await stack.enter_async_context(self._still())

            moment = ReadSnapshot(self, begin)
            try:
                yield moment
            finally:
                await moment.close()

    async def row(self, statement: Executable, **values: object) -> Any:
        """Read at most one row by one statement. Each request begins with one, and a session costs as much again."""
        async with self.engine.connect() as connection:
            return (await connection.execute(statement, values)).one_or_none()

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncSession]:
        """Open a transaction that writes: committed at the end, rolled back on any exception."""
        with self._traced("write"), self._watched():
            async with self._turn, self._writers.begin() as session:
                try:
                    yield session
                except BaseException:
                    # A rollback would empty the rows that the error carries out.
                    session.expunge_all()
                    raise

    @asynccontextmanager
    async def renew(self) -> AsyncGenerator[AsyncSession]:
        """Like `write`, for leases: however many callers wait for a connection, it has one of its own."""
        with self._watched():
            async with self._turn, self._renewers.begin() as session:
                yield session

    @property
    def connections(self) -> tuple[int, int]:
        """How many connections are in use, and how many can be."""
        pool: Any = self.engine.pool
        return pool.checkedout(), FILE_POOL + FILE_OVERFLOW if self.in_turn else POOL

    async def check(self) -> None:
        """Read a row; raises where the database cannot answer. A constant would come even without its file."""
        async with self._readers.begin() as session:
            await session.exec(select(User.id).limit(1))

    async def check_storage(self) -> None:
        """Raise where nothing can be stored. Only after a write has failed for want of space is one tried here."""
        if self._is_full:
            async with self.write() as session:
                connection = await session.connection()
                # It takes pages, and leaves none behind.
                table = f"space_probe_{uuid4().hex}"
                for statement in (
                    f"CREATE TABLE {table} (data TEXT)",
                    f"INSERT INTO {table} VALUES ('{'x' * PROBE_BYTES}')",  # noqa: S608 - both are made here
                    f"DROP TABLE {table}",
                ):
                    await connection.execute(text(statement))

    @contextmanager
    def _watched(self) -> Generator[None]:
        """Note whether a write failed for want of space."""
        try:
            yield
        except Exception as error:
            self._is_full = self._is_full or is_storage_full(error)
            raise
        self._is_full = False

    @contextmanager
    def _traced(self, what: str) -> Generator[None]:
        """Open the span of a transaction, with the wait for its turn; none where it is a part of no trace."""
        if not trace.get_current_span().is_recording():
            yield
            return
        with tracer.start_as_current_span(
            f"database {what}",
            kind=SpanKind.CLIENT,
            attributes=self._system,
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
        """Close all connections, when those that are in use are back, or after `CLOSE_SECONDS`."""
        # One that comes back later is never closed, and SQLite's thread for it does not end.
        pools: list[Any] = [self.engine.pool, self._kept.pool]
        for _ in range(int(CLOSE_SECONDS / LOOK_SECONDS)):
            if not any(pool.checkedout() for pool in pools):
                break
            await asyncio.sleep(LOOK_SECONDS)
        await self.engine.dispose()
        await self._kept.dispose()


class ReadSnapshot:
    """The database at one moment. The transaction begins with the first who reads; they read one after the other."""

    def __init__(self, database: Database, begin: Callable[[], Awaitable[AsyncSession]]) -> None:
        """Take the database, and what opens the session."""
        self._database = database
        self._begin = begin
        self._session: AsyncSession | None = None
        self._turn = asyncio.Lock()
        self._over = False

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncSession]:
        """Give the one session; to who comes when it is over, one of their own."""
        async with self._turn:
            if not self._over:
                self._session = self._session or await self._begin()
                yield self._session
                return
        async with self._database.read() as session:
            yield session

    async def close(self) -> None:
        """Wait for who reads, and let nobody read this moment any more."""
        async with self._turn:
            self._over = True


def open_engine(url: str, patience: float = PATIENCE, pool: int = POOL) -> AsyncEngine:
    """Make an engine; its SQLite connections are in WAL mode, check foreign keys and wait for locks."""
    # An error that quotes the values of its statement brings what users wrote into the log.
    common: dict[str, Any] = {"hide_parameters": True, "json_serializer": dumps, "json_deserializer": _parse}
    address = read_address(url)
    if not address.url.drivername.startswith("sqlite"):
        from tertulia.db import postgresql

        # A pre-ping costs a round trip, and lets a server that was restarted go unnoticed.
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
    """Say in one line what is wrong with the database, without the password."""
    cause = (str(getattr(error, "orig", error)) or type(error).__name__).splitlines()[0]
    return DatabaseUnavailable(f"DATABASE_URL: cannot use {show_address(url)}: {cause}")


def _sessions(engine: AsyncEngine, *, autoflush: bool = True) -> async_sessionmaker[AsyncSession]:
    return async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False, autoflush=autoflush)


def _parse(text: str) -> object:
    count_stored(len(text))
    return loads_stored(text)


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads first and writes later fails at once with "database is locked".
    writes = connection.get_execution_options().get("writes", False)
    driver: Any = connection.connection.driver_connection
    driver.begin("BEGIN IMMEDIATE" if writes else "BEGIN")
