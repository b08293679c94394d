"""Connections to PostgreSQL by asyncpg; imported for the first engine on PostgreSQL."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import asyncpg

_driver: Any = asyncpg


class ConnectError(OSError):
    """PostgreSQL refused or lost a new connection; the message is the server's or the driver's."""


class _SetupErrors:
    async def set_type_codec(self, *arguments: Any, **options: Any) -> None:
        """Set how values of a type are read and written, which SQLAlchemy does for each new connection."""
        with _as_connect_error():
            await _driver.Connection.set_type_codec(self, *arguments, **options)


_Connection = type("Connection", (_SetupErrors, _driver.Connection), {"__slots__": ()})


async def connect(*arguments: Any, **options: Any) -> Any:
    """Open a connection.

    Raises:
        ConnectError: The server refused it.
        OSError: The server cannot be reached.
    """
    with _as_connect_error():
        return await _driver.connect(*arguments, connection_class=_Connection, **options)


@contextmanager
def _as_connect_error() -> Generator[None]:
    # SQLAlchemy wraps exceptions of the driver, but not those of new connections.
    try:
        yield
    except (_driver.PostgresError, _driver.InterfaceError) as error:
        raise ConnectError(str(error)) from error
