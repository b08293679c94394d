"""What can go wrong with the database itself."""

import asyncpg
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

DATABASE_ERRORS = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""Whatever a transaction raises: while it connects, the driver's own exceptions come through SQLAlchemy."""


AWAY = (OperationalError, InterfaceError, asyncpg.InterfaceError, OSError)
"""Those that say nothing of the rows that were asked for."""


class DatabaseUnavailable(Exception):
    """The database cannot be opened, migrated or written to; the message is one line for the operator."""
