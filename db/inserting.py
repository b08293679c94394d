"""Inserting rows without SQLAlchemy's unit of work, which would track them and cost more."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

import sqlalchemy
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.statements import defer
from tertulia.db.tables import METADATA
from tertulia.json import Json

Row = TypeVar("Row", bound=SQLModel)
_CONSTANT = (str, int, bool, type(None))


class _Blank(NamedTuple):
    """How an empty row is created, and the defaults of its columns: constants, and functions that create values."""

    create: Callable[[], Any]
    constants: Json
    factories: dict[str, Callable[[], Any]]


def new_row(model: type[Row], /, **values: Any) -> Row:
    """Return `model(**values)` for `insert`. It costs a tenth, because SQLAlchemy does not track the columns.

    Raises:
        TypeError: The table has no such column, or a column without a default is not given.
    """
    # Any, because a class that is a variable is not known to be hashable.
    of_model: Any = model
    blank = _blank(of_model)
    defaults = {name: create() for name, create in blank.factories.items() if name not in values}
    columns = blank.constants | defaults | values
    if len(columns) != len(model.model_fields) or not columns.keys() <= model.model_fields.keys():
        raise TypeError(f"{model.__name__} has other columns: {sorted(columns.keys() ^ model.model_fields.keys())}")
    row: Row = blank.create()
    attributes: dict[str, Any] = vars(row)
    attributes.update(columns)
    return row


async def insert(session: AsyncSession, rows: Sequence[SQLModel]) -> None:
    """Insert rows of one table, in one statement and in order, at the latest before the commit (see `db.statements`).

    The session does not track them, so later changes to the objects are not stored.
    """
    model: Any = type(rows[0])
    values = [{name: getattr(row, name) for name in model.model_fields} for row in rows]
    await defer(session, _into(model.__tablename__), values)


@cache
def _blank(model: type[SQLModel]) -> _Blank:
    # Any, because the types of Pydantic's fields are partly unknown.
    fields: dict[str, Any] = dict(model.model_fields)
    optional = {name: field for name, field in fields.items() if not field.is_required()}
    constants = {
        name: field.default
        for name, field in optional.items()
        if field.default_factory is None and isinstance(field.default, _CONSTANT)
    }
    factories = {
        name: field.default_factory or (lambda field=field: field.get_default())
        for name, field in optional.items()
        if name not in constants
    }
    return _Blank(sqlalchemy.inspect(model).class_manager.new_instance, constants, factories)


@cache
def _into(table: str) -> sqlalchemy.Insert:
    return sqlalchemy.insert(METADATA.tables[table])
