"""What can go wrong with the database itself."""

from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

DATABASE_ERRORS = (SQLAlchemyError, OSError)
"""What transactions raise. Connecting raises OSError: see `db.postgresql`."""


AWAY = (OperationalError, InterfaceError, OSError)
"""Those that say nothing of the rows that were asked for."""


class DatabaseUnavailable(Exception):
    """The database cannot be opened, migrated or written to; the message is one line for the operator."""
