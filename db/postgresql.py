"""Connections to PostgreSQL with asyncpg. Only imported if PostgreSQL is used."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import asyncpg

_driver: Any = asyncpg


class ConnectError(OSError):
    """PostgreSQL refused or lost a new connection. The message is that of the server or the driver."""


class _SetupErrors:
    async def set_type_codec(self, *arguments: Any, **options: Any) -> None:
        """Set the codec of a type. SQLAlchemy calls this for each new connection."""
        with _as_connect_error():
            await _driver.Connection.set_type_codec(self, *arguments, **options)


_Connection = type("Connection", (_SetupErrors, _driver.Connection), {"__slots__": ()})


async def connect(*arguments: Any, **options: Any) -> Any:
    """Open a connection.

    Raises:
        ConnectError: The server refused the connection.
        OSError: The server cannot be reached.
    """
    with _as_connect_error():
        return await _driver.connect(*arguments, connection_class=_Connection, **options)


@contextmanager
def _as_connect_error() -> Generator[None]:
    # SQLAlchemy wraps the driver's exceptions, but not those of new connections.
    try:
        yield
    except (_driver.PostgresError, _driver.InterfaceError) as error:
        raise ConnectError(str(error)) from error
