"""Queries on the ledger, which has one row for each call of Claude's API, also after the conversation is deleted.

Amounts are integers in units of 10^-12 US dollars, so that their sums are exact on both databases.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.spending import reserved_of
from tertulia.db.tables import METADATA
from tertulia.json import clean_text

_CALLS = METADATA.tables["calls"].c
UNIT = Decimal("1e-12")
"""The value of one unit in US dollars."""


def dollars(amount: int) -> Decimal:
    """Convert an amount to US dollars."""
    return Decimal(f"{(amount * UNIT).normalize():f}")


class UsageSum(NamedTuple):
    """The tokens of calls, as Claude's API billed them, and their cost. `amount` is None if a price is unknown."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    amount: int | None = 0

    @property
    def tokens(self) -> int:
        """The sum of all kinds of tokens."""
        return self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens

    @property
    def cost_usd(self) -> Decimal | None:
        """The amount in US dollars."""
        return None if self.amount is None else dollars(self.amount)


@dataclass(frozen=True, slots=True)
class UsageOfDay:
    """The usage of one model on one day in UTC."""

    day: date
    model: str
    usage: UsageSum


@dataclass(frozen=True, slots=True)
class Period:
    """Selects calls at or after `since`, before `until`, of one model. Fields that are None do not restrict."""

    since: datetime | None = None
    until: datetime | None = None
    model: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions of a statement."""
        conditions: list[ColumnElement[bool]] = []
        if self.since is not None:
            conditions.append(_CALLS.created_at >= self.since)
        if self.until is not None:
            conditions.append(_CALLS.created_at < self.until)
        if self.model is not None:
            conditions.append(_CALLS.model == clean_text(self.model))
        return conditions


async def usage(session: AsyncSession, owner: UUID, period: Period) -> UsageSum:
    """Return an owner's total usage."""
    connection = await session.connection()
    row = (await connection.execute(select(*_sums()).where(_CALLS.owner_id == owner, *period.conditions()))).one()
    return _usage(row)


async def usage_of_owners(session: AsyncSession, owners: Sequence[UUID], period: Period) -> dict[UUID, UsageSum]:
    """Return the usage of several owners, by owner. Owners without usage are missing."""
    query = select(*_sums(), _CALLS.owner_id).where(_CALLS.owner_id.in_(owners), *period.conditions())
    connection = await session.connection()
    return {row.owner_id: _usage(row) for row in await connection.execute(query.group_by(_CALLS.owner_id))}


async def is_known(session: AsyncSession, call_id: UUID) -> bool:
    """Return whether a call is recorded. A commit may have succeeded although the connection was lost."""
    connection = await session.connection()
    return (await connection.execute(select(_CALLS.id).where(_CALLS.id == call_id))).one_or_none() is not None


async def of_generation(session: AsyncSession, owner: UUID, generation_id: UUID, since: datetime) -> UsageSum:
    """Return the usage of the calls for a generation's answer. `since` is when the generation was created."""
    conditions = (_CALLS.owner_id == owner, _CALLS.created_at >= since, _CALLS.generation_id == generation_id)
    connection = await session.connection()
    return _usage((await connection.execute(select(*_sums()).where(*conditions, _CALLS.purpose == "answer"))).one())


async def usage_by_day(session: AsyncSession, owner: UUID, period: Period) -> Sequence[UsageOfDay]:
    """Return an owner's usage by day and model, oldest day first."""
    query = select(*_sums(), _CALLS.day, _CALLS.model).where(_CALLS.owner_id == owner, *period.conditions())
    query = query.group_by(_CALLS.day, _CALLS.model).order_by(_CALLS.day, _CALLS.model)
    connection = await session.connection()
    return [UsageOfDay(row.day, row.model, _usage(row)) for row in await connection.execute(query)]


@dataclass(frozen=True, slots=True)
class Committed:
    """An owner's spending since a time, and the reserved cost of running answers, in units."""

    spent: int
    reserved: int


async def committed(session: AsyncSession, owner: UUID, since: datetime) -> Committed:
    """Return an owner's spending and reservations. Calls with an unknown price are not counted."""
    spent = select(func.coalesce(func.sum(_CALLS.amount), 0)).where(
        _CALLS.owner_id == owner, _CALLS.created_at >= since
    )
    connection = await session.connection()
    row = (await connection.execute(select(spent.scalar_subquery(), reserved_of(owner)))).one()
    return Committed(int(row[0]), int(row[1]))


def month_of(time: datetime) -> tuple[datetime, datetime]:
    """Return the start of the month of a time, and the start of the next month, in UTC."""
    start = time.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return start, (start + timedelta(days=32)).replace(day=1)


def _usage(row: Any) -> UsageSum:
    # PostgreSQL returns sums of bigint as numeric.
    return UsageSum(
        int(row.input_tokens),
        int(row.output_tokens),
        int(row.cache_read_tokens),
        int(row.cache_write_tokens),
        None if row.amount is None else int(row.amount),
    )


def _sums() -> list[ColumnElement[Any]]:
    counts = (_CALLS.input_tokens, _CALLS.output_tokens, _CALLS.cache_read_tokens, _CALLS.cache_write_tokens)
    all_priced = func.count() == func.count(_CALLS.amount)
    amount = case((all_priced, func.coalesce(func.sum(_CALLS.amount), 0)), else_=None)
    return [*(func.coalesce(func.sum(count), 0).label(count.key) for count in counts), amount.label("amount")]
