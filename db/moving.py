"""Moves all rows of a database to an empty one, of either kind, byte for byte (`tertulia move`).

Tables are copied in pages by primary key. Each page is a transaction, which also stores the position, so that a move
that was killed continues. Until the end, the schema of the target is `MOVING`, so that no server uses it. The index of
the search is not copied: it is built on the target.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy
from sqlalchemy import Column, Connection, MetaData, Table, Text, delete, event, func, insert, inspect, literal, tuple_
from sqlalchemy import update as update_table
from sqlalchemy.ext.asyncio import AsyncConnection

from tertulia.db import (
    answer_tails,
    contributions,
    generated_files,
    identities,
    limit_hits,
    memories,
    metadata,
    migrate,
    outbox,
    search,
    shares,
    spending,
    tool_calls,
    tool_connections,
)
from tertulia.db.address import read_address
from tertulia.db.move_checks import Totals, find_live_leases, find_sessions, stored_type, totals_of
from tertulia.db.tables import METADATA
from tertulia.db.words import VERSION
from tertulia.json import dumps, loads, loads_stored

DECLARING = (
    *(answer_tails, contributions, generated_files, identities, limit_hits, memories, metadata, outbox, search, shares),
    *(spending, tool_calls, tool_connections),
)
"""The modules that declare tables, in addition to `db.tables`."""
NOT_COPIED = {
    "search_rebuilds": "the target indexes all messages with the rules of this version",
    "message_words": "the words of the search, which the target extracts from the messages itself",
    "alembic_version": "the schema, which must be the same",
}
"""The tables whose rows are not copied, with the reason. SQLite's own tables of `message_words` belong to it."""
PAGE = 500
"""The rows of one transaction."""
WORDS = "message_words"
"""The name of the step that indexes messages, which is the last."""
_STATE = Table("move_state", MetaData(), *(Column(name, Text) for name in ("source", "schema", "position")))
_VERSION = Table("alembic_version", MetaData(), Column("version_num", Text))
_MESSAGE, _CONVERSATION, _GENERATION = (METADATA.tables[name] for name in ("messages", "conversations", "generations"))


class MoveRefused(Exception):
    """A move is not possible. The message is the reason, in one line."""


Progress = Callable[[str, int, int], None]
"""A function that is called with the name of a table, and how many of its rows are copied, of how many."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The result of a move: the rows of each table, which were compared with those of the source."""

    rows: dict[str, int]
    is_resumed: bool


@dataclass(frozen=True, slots=True)
class Position:
    """The table that is being copied, and the primary key of the last row that was copied, as texts."""

    table: str
    after: list[str]

    def to_text(self) -> str:
        """Return the position as it is stored."""
        return dumps({"table": self.table, "after": self.after})


def tables() -> list[Table]:
    """Return the tables that are copied. A table follows those that it refers to."""
    return [table for table in METADATA.sorted_tables if table.name not in NOT_COPIED]


async def move(source_url: str, target_url: str, progress: Progress, *, rehearse: bool = False) -> Moved:
    """Move all rows of a database to an empty one.

    Args:
        source_url: The address of the database with the rows. Nothing in it is changed.
        target_url: The address of an empty database, or of one to which a move from the same source was interrupted.
        progress: Called after each page.
        rehearse: Copy and compare everything, but leave the target as it was. The source may be in use meanwhile.

    Raises:
        MoveRefused: One of the databases is in use or cannot be used for this, or their rows differ at the end.
        DatabaseUnavailable: One of the databases is unavailable.
    """
    source_name, target_name = (read_address(url).without_password for url in (source_url, target_url))
    if source_name == target_name:
        raise MoveRefused("TARGET: is the same database as SOURCE.")
    await _check_schemas(source_url, target_url)
    if not rehearse:
        async with _opened(source_url, "SOURCE") as source, _opened(target_url, "TARGET") as target:
            mover = Mover(source, target, progress)
            return await mover.move(source_name)
    file = _file(target_url)
    if file is None:
        async with _opened(source_url, is_snapshot=True) as source, _opened(target_url) as target:
            return await Mover(source, target, progress, commits=False).move(source_name)
    await _check_target_file(target_url, file)
    trial = file.with_name(f"{file.name}-rehearsal")
    _remove(trial)
    try:
        async with (
            _opened(source_url, is_snapshot=True) as source,
            _opened(f"sqlite:///{trial.absolute()}") as target,
        ):
            return await Mover(source, target, progress).move(source_name)
    finally:
        _remove(trial)


async def _check_schemas(source_url: str, target_url: str) -> None:
    source, target = await migrate.schema_of(source_url), await migrate.schema_of(target_url)
    if source.current is None:
        raise MoveRefused("SOURCE: is not a database of Tertulia, or is empty.")
    if source.unsupported:
        raise MoveRefused(f"SOURCE: cannot be moved: {source.unsupported}.")
    if source.current != source.newest:
        raise MoveRefused(
            f"SOURCE: its schema is {source.current}, and this version requires {source.newest};"
            " first run `tertulia migrate` with it as DATABASE_URL."
        )
    if target.current not in (None, target.newest, migrate.MOVING):
        raise MoveRefused(f"TARGET: its schema is {target.current}, not {target.newest}. Use an empty database.")


@asynccontextmanager
async def _opened(url: str, name: str | None = None, *, is_snapshot: bool = False) -> AsyncGenerator[AsyncConnection]:
    """Open a connection.

    Args:
        url: The address of the database.
        name: Its name in the error if another process uses it; None if others may use it.
        is_snapshot: Read the state of one moment, and change nothing.
    """
    async with migrate.connected(url, raw_json=True) as engine:
        is_sqlite = engine.dialect.name == "sqlite"
        if name is not None and is_sqlite:
            event.listen(engine.sync_engine, "connect", _lock_out_others)
        options: dict[str, Any] = {} if is_snapshot else {"writes": True}
        if is_snapshot and not is_sqlite:
            options["isolation_level"] = "REPEATABLE READ"
        async with engine.execution_options(**options).connect() as connection:
            if name is not None and (users := await find_sessions(connection)):
                raise MoveRefused(f"{name}: {users}. Stop all servers that use this database first.")
            yield connection


def _lock_out_others(connection: Any, _record: object) -> None:
    # The first transaction fails if another process has opened the file, and keeps all others out until the end.
    def lock(driver: Any) -> Any:
        return driver.execute_fetchall("PRAGMA locking_mode = EXCLUSIVE")

    connection.run_async(lock)


def _file(url: str) -> Path | None:
    address = read_address(url).url
    return Path(address.database or "") if address.drivername.startswith("sqlite") else None


def _remove(file: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)


async def _check_target_file(url: str, file: Path) -> None:
    """Check the target of a rehearsal, which is copied to another file next to it."""
    if await asyncio.to_thread(file.exists):
        async with _opened(url, is_snapshot=True) as connection:
            schema = await connection.run_sync(migrate.read_schema)
            _check_is_unused(schema)
            if schema.current is not None:
                await _check_is_empty(connection)


def _check_is_unused(schema: migrate.Schema) -> None:
    if schema.current == migrate.MOVING:
        raise MoveRefused("TARGET: a move to it was interrupted. Repeat it without --rehearse, or delete the database.")


async def _check_is_empty(target: AsyncConnection) -> None:
    for table in tables():
        if (await target.execute(sqlalchemy.select(table).limit(1))).first() is not None:
            raise MoveRefused(f"TARGET: has rows already, in {table.name}. Use an empty database.")


class Mover:
    """Copies all rows from one connection to another."""

    def __init__(
        self, source: AsyncConnection, target: AsyncConnection, progress: Progress, *, commits: bool = True
    ) -> None:
        """Create a mover; without `commits`, everything is one transaction, which ends without a commit."""
        self._source, self._target, self._progress = source, target, progress
        self._commits = commits
        self._saved = ""

    async def move(self, source_name: str) -> Moved:
        """Copy all rows, or those that an interrupted move has left, and compare both databases."""
        if self._commits and (problem := await find_live_leases(self._source)):
            raise MoveRefused(f"SOURCE: {problem}")
        schema = await self._target.run_sync(migrate.read_schema)
        is_resumed = schema.current == migrate.MOVING and self._commits
        position = await self._resume(source_name) if is_resumed else await self._begin(source_name, schema)
        names = [table.name for table in tables()]
        if position.table != WORDS:
            for table in tables()[names.index(position.table) :]:
                await self._copy(table, position.after if table.name == position.table else [])
        await self._set_references()
        await self._index(position.after if position.table == WORDS else [])
        totals = await self._compare()
        await self._finish()
        return Moved({name: table.rows for name, table in totals.items()}, is_resumed)

    async def _begin(self, source_name: str, schema: migrate.Schema) -> Position:
        _check_is_unused(schema)
        await self._target.run_sync(migrate.upgrade)
        await _check_is_empty(self._target)
        position = Position(tables()[0].name, [])
        self._saved = position.to_text()
        await self._target.run_sync(_create_state)
        state = {"source": source_name, "schema": schema.newest, "position": self._saved}
        await self._target.execute(insert(_STATE).values(state))
        await self._target.execute(update_table(_VERSION).values(version_num=migrate.MOVING))
        await self._commit()
        return position

    async def _resume(self, source_name: str) -> Position:
        source, schema, self._saved = (await self._target.execute(sqlalchemy.select(_STATE))).one()
        newest = (await self._target.run_sync(migrate.read_schema)).newest
        if source != source_name:
            raise MoveRefused(f"TARGET: a move from another database to it was interrupted, {source}.")
        if schema != newest:
            raise MoveRefused(f"TARGET: the interrupted move had the schema {schema}. Use an empty database.")
        return Position(**loads(self._saved))

    async def _copy(self, table: Table, after: Sequence[str]) -> None:
        keys = list(table.primary_key.columns)
        total = await _count(self._source, table)
        done = await _count(self._target, table) if after else 0
        last = [_from_text(key, text) for key, text in zip(keys, after, strict=False)]
        while rows := await _page(self._source, table, last):
            values = [dict(zip(table.columns.keys(), row, strict=True)) for row in rows]
            last = [values[-1][key.name] for key in keys]
            for column in _self_references(table):
                _leave_out_later(values, column.name)
            await self._target.execute(insert(table), values)
            await self._save(Position(table.name, [str(value) for value in last]))
            done += len(rows)
            self._progress(table.name, done, total)

    async def _set_references(self) -> None:
        """Set the references to later rows of the same table, which did not exist when their rows were copied."""
        for table in tables():
            (key, *_) = table.primary_key.columns
            for column in _self_references(table):
                later = sqlalchemy.select(key, column).where(column > key)
                for row_id, reference in (await self._source.execute(later)).all():
                    change = update_table(table).where(key == row_id).values({column.name: reference})
                    await self._target.execute(change)
        await self._commit()

    async def _index(self, after: Sequence[str]) -> None:
        """Index all finished messages for the search."""
        dialect, done = self._target.dialect.name, 0
        last = UUID(after[0]) if after else None
        source = _MESSAGE.join(_CONVERSATION, _CONVERSATION.c.id == _MESSAGE.c.conversation_id)
        source = source.outerjoin(_GENERATION, _GENERATION.c.message_id == _MESSAGE.c.id)
        query = sqlalchemy.select(_CONVERSATION.c.owner_id, _MESSAGE.c.id, _MESSAGE.c.content).select_from(source)
        query = query.where(search.FINISHED).order_by(_MESSAGE.c.id).limit(PAGE)
        total = await _count(self._target, _MESSAGE)
        while True:
            page = query if last is None else query.where(_MESSAGE.c.id > last)
            rows = (await self._target.execute(page)).all()
            if not rows:
                break
            messages = [(owner, message_id, loads_stored(content)) for owner, message_id, content in rows]
            statement, values = await asyncio.to_thread(search.insertion, dialect, messages)
            if values:
                await self._target.execute(statement, values)
            last = rows[-1][1]
            await self._save(Position(WORDS, [str(last)]))
            done += len(rows)
            self._progress(WORDS, done, total)

    async def _compare(self) -> dict[str, Totals]:
        """Compare the counts and sums of all tables. Raise MoveRefused if any differs."""
        totals = {table.name: await totals_of(self._source, table) for table in tables()}
        for table in tables():
            moved = await totals_of(self._target, table)
            if moved != totals[table.name]:
                raise MoveRefused(
                    f"TARGET: the table {table.name} differs: {moved.difference(totals[table.name])}."
                    " The source has changed meanwhile. Delete the target database, and begin again."
                )
        if self._target.dialect.name == "sqlite":
            # PostgreSQL has checked each reference when its row was inserted.
            broken = (await self._target.exec_driver_sql("PRAGMA foreign_key_check")).first()
            if broken is not None:
                raise MoveRefused(f"SOURCE: a row of the table {broken[0]} refers to a row that does not exist.")
        return totals

    async def _finish(self) -> None:
        rebuilds = METADATA.tables["search_rebuilds"]
        await self._target.execute(delete(rebuilds))
        await self._target.execute(insert(rebuilds).values(version=VERSION, after=None, finished=True))
        schema = (await self._target.run_sync(migrate.read_schema)).newest
        await self._target.execute(update_table(_VERSION).values(version_num=schema))
        await self._target.run_sync(_STATE.drop)
        if self._target.dialect.name == "postgresql":
            # Without statistics, the first queries of a server would read whole tables.
            await self._target.exec_driver_sql("ANALYZE")
        await self._commit()

    async def _save(self, position: Position) -> None:
        text = position.to_text()
        change = update_table(_STATE).where(_STATE.c.position == self._saved).values(position=text)
        if (await self._target.execute(change)).rowcount != 1:
            raise MoveRefused("TARGET: another `tertulia move` is using this database.")
        self._saved = text
        await self._commit()

    async def _commit(self) -> None:
        if self._commits:
            await self._target.commit()


def _create_state(connection: Connection) -> None:
    if not inspect(connection).has_table(_STATE.name):
        _STATE.create(connection)


async def _count(connection: AsyncConnection, table: Table) -> int:
    return int((await connection.execute(sqlalchemy.select(func.count()).select_from(table))).scalar_one())


async def _page(connection: AsyncConnection, table: Table, after: Sequence[object]) -> Sequence[Sequence[Any]]:
    keys = list(table.primary_key.columns)
    query = sqlalchemy.select(table).order_by(*keys).limit(PAGE)
    if after:
        values = [literal(value, key.type) for key, value in zip(keys, after, strict=True)]
        query = query.where(tuple_(*keys) > tuple_(*values))
    return (await connection.execute(query)).all()


_READERS: dict[type, Callable[[str], object]] = {UUID: UUID, str: str, int: int, date: date.fromisoformat}


def _from_text(key: Column[Any], text: str) -> object:
    return _READERS[stored_type(key).python_type](text)


def _self_references(table: Table) -> list[Column[Any]]:
    return [column for column in table.columns if any(key.column.table is table for key in column.foreign_keys)]


def _leave_out_later(rows: Sequence[dict[str, Any]], column: str) -> None:
    """Remove references to rows with a greater id, because those are inserted later."""
    for row in rows:
        if row[column] is not None and row[column] > row["id"]:
            row[column] = None
