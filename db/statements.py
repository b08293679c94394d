"""Statements that SQLAlchemy only compiles, once, and that the driver of SQLite executes.

They cost a fraction of the same statements in a session. Those whose results are not needed are executed together with
the next statement of the transaction or with its commit, so that a transaction needs few round trips to the driver's
thread. On PostgreSQL, SQLAlchemy executes them.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Executable
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db import sqlite
from tertulia.json import Json, dumps, loads_stored

_DIALECT: Any = SQLiteDialect_aiosqlite(json_serializer=dumps, json_deserializer=loads_stored)
COMPILED = 256
"""The number of compiled statements that are kept."""
AT_ONCE = 100
"""The number of rows that are converted before other tasks run."""


async def defer(session: AsyncSession, statement: Executable, parameters: Json | Sequence[Json]) -> None:
    """Execute a statement in the transaction, at the latest before its commit.

    If the statement fails, its error is raised by this function, by the next statement or by the commit.

    Args:
        session: The session to use.
        statement: A statement whose result is not needed. It should be a constant, because it is compiled once.
        parameters: Its parameters, or several rows of parameters with the same keys.
    """
    connection = await session.connection()
    if (driver := _sqlite_driver(connection)) is None:
        await connection.execute(statement, parameters)
        return
    rows = [parameters] if isinstance(parameters, dict) else parameters
    compiled = _compile(statement, tuple(rows[0]))
    driver.defer(compiled.text, [compiled.values(row) for row in rows], many=True)


async def fetch(session: AsyncSession, statement: Executable, parameters: Json) -> list[tuple[Any, ...]]:
    """Execute a statement, and return its rows.

    Args:
        session: The session to use.
        statement: A statement that returns columns. It should be a constant, because it is compiled once.
        parameters: Its parameters.
    """
    connection = await session.connection()
    if (driver := _sqlite_driver(connection)) is None:
        return [tuple(row) for row in await connection.execute(statement, parameters)]
    compiled = _compile(statement, tuple(parameters))
    stored = await _run(driver, compiled, parameters)
    rows: list[tuple[Any, ...]] = []
    for start in range(0, len(stored), AT_ONCE):
        if start:
            await asyncio.sleep(0)
        rows += [compiled.row(row) for row in stored[start : start + AT_ONCE]]
    return rows


async def fetch_raw(connection: AsyncConnection, statement: Executable, parameters: Json) -> Sequence[Sequence[Any]]:
    """Execute a statement, and return its rows as the driver returns them.

    Args:
        connection: The connection to use.
        statement: A statement whose columns have no conversion. It should be a constant, because it is compiled once.
        parameters: Its parameters.
    """
    if (driver := _sqlite_driver(connection)) is None:
        return (await connection.execute(statement, parameters)).all()
    return await _run(driver, _compile(statement, tuple(parameters)), parameters)


async def _run(driver: sqlite.Connection, compiled: "_Compiled", parameters: Json) -> list[Any]:
    try:
        return (await driver.run(compiled.text, compiled.values(parameters), many=False)).rows
    except sqlite3.Error as error:
        # As SQLAlchemy wraps it. The parameters contain users' text, which must not be logged.
        raise DBAPIError.instance(compiled.text, {}, error, sqlite3.Error, hide_parameters=True) from error


def _sqlite_driver(connection: AsyncConnection) -> sqlite.Connection | None:
    raw: Any = connection.sync_connection
    driver = raw.connection.driver_connection
    return driver if isinstance(driver, sqlite.Connection) else None


_Convert = Callable[[Any], Any] | None


class _Compiled(NamedTuple):
    """A statement for SQLite, with the conversions of its parameters and of its columns, where one is needed."""

    text: str
    constants: Json
    parameters: Sequence[tuple[str, _Convert]]
    columns: Sequence[_Convert]

    def values(self, parameters: Json) -> list[Any]:
        """Return parameters in the order and the form in which the driver expects them."""
        named = self.constants | parameters if self.constants else parameters
        return [named[name] if convert is None else convert(named[name]) for name, convert in self.parameters]

    def row(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Return a row of the driver with Python's types."""
        return tuple(
            value if convert is None else convert(value) for value, convert in zip(values, self.columns, strict=True)
        )


@lru_cache(COMPILED)
def _compile(statement: Any, keys: tuple[str, ...]) -> _Compiled:
    compiled = statement.compile(dialect=_DIALECT, column_keys=list(keys))
    if compiled.post_compile_params or compiled.literal_execute_params:
        raise ValueError("The statement contains a list of values, which SQLAlchemy renders for each execution.")
    bound = [compiled.binds[name] for name in compiled.positiontup]
    columns = [column.type for column in getattr(statement, "exported_columns", ())]
    return _Compiled(
        str(compiled),
        {parameter.key: parameter.value for parameter in bound if parameter.key not in keys and not parameter.required},
        [(parameter.key, parameter.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)) for parameter in bound],
        [type_.dialect_impl(_DIALECT).result_processor(_DIALECT, None) for type_ in columns],
    )
