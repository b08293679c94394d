"""Checks of `db.moving`: whether a database is in use, and the counts and sums of its tables."""

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    Integer,
    String,
    Table,
    Text,
    TypeDecorator,
    case,
    cast,
    func,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from tertulia.db.tables import METADATA, UNFINISHED, now

ATTEMPTS, INTERVAL = 10, 0.5
"""How often sessions of PostgreSQL are counted, and the seconds in between: a closed one can be listed a bit longer."""
_SESSIONS = sqlalchemy.text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND application_name IN ('tertulia', current_setting('application_name'))"
)
_GENERATION = METADATA.tables["generations"]


@dataclass(frozen=True, slots=True)
class Totals:
    """The number of rows of a table, and a sum of each column."""

    rows: int
    sums: dict[str, Any]

    def difference(self, expected: "Totals") -> str:
        """Describe what differs, for an error message."""
        if self.rows != expected.rows:
            return f"{self.rows:,} rows instead of {expected.rows:,}"
        columns = [name for name, value in self.sums.items() if value != expected.sums[name]]
        return f"the values of {', '.join(columns)}"


async def totals_of(connection: AsyncConnection, table: Table) -> Totals:
    """Return the number of rows and the sums, which are the same on both kinds of databases for the same rows."""
    columns = [column for column in table.columns for _ in _sums(column)]
    sums = [value for column in table.columns for value in _sums(column)]
    row: Any = (await connection.execute(sqlalchemy.select(func.count(), *sums).select_from(table))).one()
    by_column: dict[str, list[Any]] = {}
    for column, value in zip(columns, row[1:], strict=True):
        # PostgreSQL returns the sums of large integers as decimals.
        by_column.setdefault(column.name, []).append(int(value) if isinstance(value, Decimal) else value)
    return Totals(int(row[0]), by_column)


def _sums(column: Column[Any]) -> list[ColumnElement[Any]]:
    """Return the number of values, and the sum of numbers, the length of texts or the range of times."""
    count, kind = func.count(column), stored_type(column)
    if isinstance(kind, Boolean):
        return [count, func.sum(case((column, 1), else_=0))]
    if isinstance(kind, Integer):
        return [count, func.sum(column)]
    if isinstance(kind, DateTime):
        return [count, func.min(column), func.max(column)]
    if isinstance(kind, (String, JSON)):
        return [count, func.sum(func.length(cast(column, Text)))]
    return [count]


def stored_type(column: Column[Any]) -> TypeEngine[Any]:
    """Return the type as which a column is stored, without what decorates it."""
    decorated: TypeEngine[Any] = column.type
    return decorated.impl_instance if isinstance(decorated, TypeDecorator) else decorated


async def find_live_leases(connection: AsyncConnection) -> str | None:
    """Return a message if a process is writing answers; None otherwise."""
    is_live = sqlalchemy.and_(_GENERATION.c.status.in_(UNFINISHED), _GENERATION.c.lease_until > now())
    query = sqlalchemy.select(func.count(), func.max(_GENERATION.c.lease_until)).where(is_live)
    count, until = (await connection.execute(query)).one()
    if not count:
        return None
    return f"a server is writing {count:,} answers. Stop it; if it was killed, wait until {until:%H:%M:%S} UTC."


async def find_sessions(connection: AsyncConnection) -> str | None:
    """Return a message if another process of Tertulia uses the database; None otherwise.

    On SQLite, the caller has opened the file in the exclusive mode, so its first transaction fails in that case.
    """
    if connection.dialect.name == "sqlite":
        return await _try_exclusive(connection)
    count = 0
    for attempt in range(ATTEMPTS):
        count = int((await connection.execute(_SESSIONS)).scalar_one())
        if not count:
            return None
        # The list of sessions is a snapshot of the transaction.
        await connection.rollback()
        await asyncio.sleep(INTERVAL if attempt < ATTEMPTS - 1 else 0)
    return f"{count} connections of Tertulia are open to it"


async def _try_exclusive(connection: AsyncConnection) -> str | None:
    try:
        await connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
    except OperationalError as error:
        if "database is locked" not in str(error):
            raise
        await connection.rollback()
        return "another process has opened this file"
    return None
