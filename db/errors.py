"""What can go wrong with the database itself."""

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

DATABASE_ERRORS = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""Whatever a transaction raises: while it connects, the driver's own exceptions come through SQLAlchemy."""


class DatabaseUnavailable(Exception):
    """The database cannot be opened, migrated or written to; the message is one line for the operator."""
