"""The table of requests that limits have refused, and its queries. Rows end with their user."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, Date, Index, delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import Field, SQLModel, col
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.statements import defer
from tertulia.db.tables import METADATA, User

NOBODY = UUID(int=0)
"""The key of hits without a user: primary keys cannot be null."""


class LimitHits(SQLModel, table=True):
    """How often a limit has refused requests of one user on one day."""

    __tablename__: ClassVar[Any] = "limit_hits"
    __table_args__: ClassVar[Any] = (Index("limit_hits_by_owner", "owner_id"),)

    day: date = Field(primary_key=True, sa_type=Date)
    limit_name: str = Field(primary_key=True)
    # The same as `owner_id`, or `NOBODY`.
    subject: UUID = Field(primary_key=True)
    owner_id: UUID | None = Field(default=None, foreign_key="users.id", ondelete="CASCADE")
    hits: int = Field(sa_type=BigInteger)


@dataclass(frozen=True, slots=True)
class LimitKey:
    """A limit, the day in UTC, and the user whose request it refused; None if the user is not known."""

    day: date
    limit: str
    user_id: UUID | None


@dataclass(frozen=True, slots=True)
class ReportedHits:
    """How often a limit has refused requests of one user on one day."""

    day: date
    limit_name: str
    user_id: UUID | None
    user_name: str | None
    count: int


_HITS = METADATA.tables["limit_hits"].c


def _add(into: Any) -> Any:
    adding = into(METADATA.tables["limit_hits"])
    more = {"hits": _HITS.hits + adding.excluded.hits}
    return adding.on_conflict_do_update(index_elements=["day", "limit_name", "subject"], set_=more)


_ADD = {"sqlite": _add(sqlite_insert), "postgresql": _add(postgresql_insert)}


async def add(session: AsyncSession, key: LimitKey, more: int) -> None:
    """Add to the hits of a limit, unless the user was deleted.

    A transaction must add to one row only: the deletion of a user locks the user's rows in another order.
    """
    owner = key.user_id
    if owner is not None and await session.get(User, owner) is None:
        return
    values = {"day": key.day, "limit_name": key.limit, "subject": owner or NOBODY, "owner_id": owner, "hits": more}
    await defer(session, _ADD[session.get_bind().dialect.name], values)


async def report(
    session: AsyncSession, since: date, until: date, owner: UUID | None, most: int
) -> Sequence[ReportedHits]:
    """Return up to `most` hits of a period, the newest day and the most hits first.

    Args:
        session: The session to use.
        since: The first day.
        until: The last day.
        owner: The user whose hits are returned; None for all users.
        most: The most rows to return.
    """
    query = select(_HITS.day, _HITS.limit_name, col(User.id), col(User.name), _HITS.hits)
    query = query.join_from(METADATA.tables["limit_hits"], User, col(User.id) == _HITS.owner_id, isouter=True)
    query = query.where(_HITS.day >= since, _HITS.day <= until)
    if owner is not None:
        query = query.where(_HITS.owner_id == owner)
    order = (_HITS.day.desc(), _HITS.hits.desc(), _HITS.limit_name, _HITS.subject)
    connection = await session.connection()
    return [ReportedHits(*row) for row in await connection.execute(query.order_by(*order).limit(most))]


async def trim(session: AsyncSession, before: date, most: int) -> int:
    """Delete up to `most` rows from before a day. Return how many were deleted."""
    key = (_HITS.day, _HITS.limit_name, _HITS.subject)
    old = select(*key).where(_HITS.day < before).limit(most).with_for_update(skip_locked=True)
    return (await session.exec(delete(LimitHits).where(tuple_(*key).in_(old)))).rowcount
