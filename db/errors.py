"""Errors of the database itself."""

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

DATABASE_ERRORS = (SQLAlchemyError, OSError)
"""The errors that transactions raise. Connecting raises OSError: see `db.postgresql`."""
AWAY = (OperationalError, InterfaceError, OSError)
"""The errors of a database that is unavailable. They are independent of the statement."""


_CONFLICTS = ("40001", "40P01")
"""The codes of a serialization failure and of a deadlock (appendix A of PostgreSQL's documentation)."""


def is_conflict(error: DBAPIError) -> bool:
    """Return whether PostgreSQL has aborted a transaction because of another one, so that it can be repeated."""
    return getattr(error.orig, "sqlstate", None) in _CONFLICTS


class DatabaseUnavailable(Exception):
    """The database cannot be opened, migrated or written to. The message is one line for the operator."""
