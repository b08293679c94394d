"""Conditions that limit statements to an owner and to ids."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Dialect, Text, TypeDecorator, Uuid, bindparam, case, exists, false, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType
from sqlmodel import col

from tertulia.db.tables import Conversation
from tertulia.json import dumps


def owned(conversation_id: Any) -> ColumnElement[bool]:
    """Return the condition that the conversation in a column belongs to the owner.

    The statement must be executed with the parameter `owner`. This is not a join, because SQLite might start a join
    with all conversations of the owner instead of the requested rows.
    """
    owner = bindparam("owner", type_=Uuid)
    return exists().where(col(Conversation.id) == col(conversation_id), col(Conversation.owner_id) == owner)


def owned_row(owner_id: Any) -> ColumnElement[bool]:
    """Return the condition that the owner in a column is the parameter `owner`, for rows that ids select.

    In this form, no index on the owner serves it. Otherwise SQLite might read all rows of the owner.
    """
    return case((col(owner_id) == bindparam("owner", type_=Uuid), true()), else_=false())


def some_of(column: Any) -> ColumnElement[bool]:
    """Return the condition that a column is in `ids`, a parameter of the statement."""
    return _SomeOf(col(column), bindparam("ids", type_=_Ids()))


class _Ids(TypeDecorator[Sequence[UUID]]):
    """A sequence of ids as one parameter. One for each id would make each number of ids another statement."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Return an array for PostgreSQL, and the text of a JSON array for SQLite."""
        stored: Any = Text() if dialect.name == "sqlite" else ARRAY(Uuid())
        return dialect.type_descriptor(stored)

    def process_bind_param(self, value: Sequence[UUID] | None, dialect: Dialect) -> Any:
        """Convert the ids for the database."""
        if dialect.name != "sqlite":
            return value
        return dumps([id.hex for id in value or ()])


class _SomeOf(FunctionElement[bool]):
    """The condition that a column is in a parameter of the type `_Ids`."""

    type: Any = NullType()  # SQLAlchemy would compare a Boolean with 1 on SQLite, which no index serves.
    inherit_cache = True


@compiles(_SomeOf, "sqlite")
def _compile_for_sqlite(element: _SomeOf, compiler: Any, **options: Any) -> str:
    column, ids = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({ids}))"  # noqa: S608 - two parts of a statement


@compiles(_SomeOf, "postgresql")
def _compile_for_postgresql(element: _SomeOf, compiler: Any, **options: Any) -> str:
    column, ids = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} = ANY({ids})"
