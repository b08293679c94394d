"""What can go wrong with the database itself."""

from sqlalchemy.exc import SQLAlchemyError

DatabaseError = SQLAlchemyError
"""Whatever a query raises."""


class DatabaseUnavailable(Exception):
    """The database cannot be opened, migrated or written to; the message is one line for the operator."""
