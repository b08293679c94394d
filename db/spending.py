"""Queries on the spending of all users, and on reservations from the server's budget.

The table `spending` has one amount for each day and shard, which is updated in the transaction that writes the ledger.
The sum of a month reads at most `31 * SHARDS` rows, however long the ledger is. The amounts are kept when a user is
deleted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Date, Index, SmallInteger, bindparam, case, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db import spent_here
from tertulia.db.inserting import insert
from tertulia.db.statements import defer
from tertulia.db.tables import METADATA, UNFINISHED, ApiCall, UtcDateTime, new_id, now

SHARDS = 16
"""The number of rows for one day. Transactions of different owners seldom wait for the same row."""
ONE_AT_A_TIME = 7_310_838_062
"""The key of PostgreSQL's advisory lock for reservations from the server's budget. `db.migrate` uses another key."""


class Spending(SQLModel, table=True):
    """The cost of one day's calls by the owners of one shard, in 10^-12 US dollars."""

    __tablename__: ClassVar[Any] = "spending"

    day: date = Field(primary_key=True, sa_type=Date)
    shard: int = Field(primary_key=True, sa_type=SmallInteger, sa_column_kwargs={"autoincrement": False})
    amount: int = Field(sa_type=BigInteger)


class Reservation(SQLModel, table=True):
    """The reserved cost of a call that is not part of a generation. It expires, in case its process is lost."""

    __tablename__: ClassVar[Any] = "reservations"
    __table_args__: ClassVar[Any] = (Index("reservations_by_owner", "owner_id"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    owner_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", nullable=False)
    amount: int = Field(sa_type=BigInteger)
    expires_at: datetime = Field(sa_type=UtcDateTime, nullable=False)


@dataclass(frozen=True, slots=True)
class ServerCommitted:
    """The spending of all users this month and today, and the reserved cost of running calls, in 10^-12 US dollars."""

    month: int
    day: int
    reserved: int


_SPENDING = METADATA.tables["spending"].c
_RESERVATIONS = METADATA.tables["reservations"].c
_GENERATIONS = METADATA.tables["generations"].c
_SPENT_TODAY = case((_SPENDING.day == bindparam("today", type_=Date), _SPENDING.amount), else_=0)
_RUNNING = select(func.coalesce(func.sum(_GENERATIONS.reserved), 0)).where(
    _GENERATIONS.reserved.is_not(None), _GENERATIONS.status.in_(UNFINISHED)
)
_CALLING = select(func.coalesce(func.sum(_RESERVATIONS.amount), 0)).where(
    _RESERVATIONS.expires_at > bindparam("now", type_=UtcDateTime())
)
_COMMITTED = select(
    func.coalesce(func.sum(_SPENDING.amount), 0),
    func.coalesce(func.sum(_SPENT_TODAY), 0),
    _RUNNING.scalar_subquery() + _CALLING.scalar_subquery(),
).where(_SPENDING.day >= bindparam("month", type_=Date))


def _add(into: Any) -> Any:
    adding = into(METADATA.tables["spending"])
    more = {"amount": _SPENDING.amount + adding.excluded.amount}
    return adding.on_conflict_do_update(index_elements=["day", "shard"], set_=more)


_ADD = {"sqlite": _add(sqlite_insert), "postgresql": _add(postgresql_insert)}


async def record(session: AsyncSession, calls: Sequence[ApiCall]) -> None:
    """Write calls of one owner to the ledger, and add their cost to the server's spending."""
    await insert(session, calls)
    amounts = dict[date, int]()
    for call in calls:
        amounts[call.day] = amounts.get(call.day, 0) + (call.amount or 0)
    await add(session, calls[0].owner_id, amounts)
    spent_here.add_when_committed(session, calls)


async def add(session: AsyncSession, key: UUID, amounts: Mapping[date, int]) -> None:
    """Add amounts to the server's spending.

    Args:
        session: The session to use.
        key: An id that selects the shard, such as the owner's.
        amounts: The amounts by day, in 10^-12 US dollars.
    """
    adding = _ADD[session.get_bind().dialect.name]
    # Sorted, because two transactions that update the same rows in different orders can deadlock.
    for day, amount in sorted(amounts.items()):
        if amount:
            await defer(session, adding, {"day": day, "shard": key.int % SHARDS, "amount": amount})


async def lock(session: AsyncSession) -> None:
    """Block other reservations from the server's budget until this transaction ends."""
    # SQLite allows only one writer at a time.
    if session.get_bind().dialect.name != "sqlite":
        connection = await session.connection()
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_AT_A_TIME})


async def committed(session: AsyncSession) -> ServerCommitted:
    """Return the server's spending of this month and this day, in UTC, and all reservations."""
    time = now()
    today = time.date()
    connection = await session.connection()
    values = {"month": today.replace(day=1), "today": today, "now": time}
    row = (await connection.execute(_COMMITTED, values)).one()
    return ServerCommitted(*(int(amount) for amount in row))


def reserved_of(owner: UUID) -> ColumnElement[int]:
    """Return an SQL expression for the reserved cost of an owner's running calls."""
    conversations = METADATA.tables["conversations"]
    answers = (
        select(func.coalesce(func.sum(_GENERATIONS.reserved), 0))
        .join(conversations, conversations.c.id == _GENERATIONS.conversation_id)
        .where(conversations.c.owner_id == owner, _GENERATIONS.status.in_(UNFINISHED))
    )
    calls = select(func.coalesce(func.sum(_RESERVATIONS.amount), 0)).where(
        _RESERVATIONS.owner_id == owner, _RESERVATIONS.expires_at > now()
    )
    return answers.scalar_subquery() + calls.scalar_subquery()


async def settle_all(session: AsyncSession, owner: UUID) -> None:
    """Count an owner's reservations as spent, before the owner's rows are deleted."""
    connection = await session.connection()
    reserved = (await connection.execute(select(reserved_of(owner)))).scalar_one()
    await add(session, owner, {now().date(): int(reserved)})


async def reserve(session: AsyncSession, reservation: Reservation) -> None:
    """Store a reservation, and delete those that have expired."""
    connection = await session.connection()
    expired = select(_RESERVATIONS.id).where(_RESERVATIONS.expires_at <= now()).with_for_update(skip_locked=True)
    await connection.execute(delete(METADATA.tables["reservations"]).where(_RESERVATIONS.id.in_(expired)))
    await insert(session, [reservation])


async def release(session: AsyncSession, reservation_id: UUID) -> None:
    """Delete a reservation, in the transaction that records the cost of its call."""
    connection = await session.connection()
    await connection.execute(delete(METADATA.tables["reservations"]).where(_RESERVATIONS.id == reservation_id))
