"""Errors of the database itself."""

from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

DATABASE_ERRORS = (SQLAlchemyError, OSError)
"""The errors that transactions raise. Connecting raises OSError: see `db.postgresql`."""
AWAY = (OperationalError, InterfaceError, OSError)
"""The errors of a database that is unavailable. They are independent of the statement."""


class DatabaseUnavailable(Exception):
    """The database cannot be opened, migrated or written to. The message is one line for the operator."""
