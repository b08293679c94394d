"""Inserting rows without SQLAlchemy's unit of work, which would track them and cost more."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import sqlalchemy
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.statements import defer
from tertulia.db.tables import METADATA


async def insert(session: AsyncSession, rows: Sequence[SQLModel]) -> None:
    """Insert rows of one table, in one statement and in order, at the latest before the commit (see `db.statements`).

    The session does not track them, so later changes to the objects are not stored.
    """
    model: Any = type(rows[0])
    values = [{name: getattr(row, name) for name in model.model_fields} for row in rows]
    await defer(session, _into(model.__tablename__), values)


@cache
def _into(table: str) -> sqlalchemy.Insert:
    return sqlalchemy.insert(METADATA.tables[table])
