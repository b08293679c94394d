"""The bill: one row for each call of Claude's API, kept when the conversation is gone.

Amounts are whole numbers of 10^-12 US dollars, so that their sums are exact on either database.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.spending import reserved_of
from tertulia.db.tables import METADATA
from tertulia.json import clean_text

_CALLS = METADATA.tables["calls"].c
UNIT = Decimal("1e-12")
"""US dollars of one unit of an amount."""


def dollars(amount: int) -> Decimal:
    """Give units in US dollars."""
    return Decimal(f"{(amount * UNIT).normalize():f}")


@dataclass(frozen=True, slots=True)
class UsageSum:
    """Tokens as Claude's API billed them, of one or many calls; `amount` is None where a price is not known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    amount: int | None = 0

    @property
    def tokens(self) -> int:
        """All of them, of whatever kind."""
        return self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens

    @property
    def cost_usd(self) -> Decimal | None:
        """The amount in US dollars."""
        return None if self.amount is None else dollars(self.amount)


@dataclass(frozen=True, slots=True)
class UsageOfDay:
    """What one model has used on one day, in UTC."""

    day: date
    model: str
    usage: UsageSum


@dataclass(frozen=True, slots=True)
class Period:
    """Which calls are counted: from `since` on, up to `until`, and of one model; None leaves open."""

    since: datetime | None = None
    until: datetime | None = None
    model: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Give them as conditions of a statement."""
        found: list[ColumnElement[bool]] = []
        if self.since is not None:
            found.append(_CALLS.created_at >= self.since)
        if self.until is not None:
            found.append(_CALLS.created_at < self.until)
        if self.model is not None:
            found.append(_CALLS.model == clean_text(self.model))
        return found


async def usage(session: AsyncSession, owner: UUID, period: Period) -> UsageSum:
    """Sum what an owner has used."""
    connection = await session.connection()
    row = (await connection.execute(select(*_sums()).where(_CALLS.owner_id == owner, *period.conditions()))).one()
    return _usage(row)


async def is_known(session: AsyncSession, call_id: UUID) -> bool:
    """Say whether a call is on the bill: a commit may have gone through whose answer was lost."""
    connection = await session.connection()
    return (await connection.execute(select(_CALLS.id).where(_CALLS.id == call_id))).one_or_none() is not None


async def of_generation(session: AsyncSession, owner: UUID, generation_id: UUID, since: datetime) -> UsageSum:
    """Sum what is on the bill for a generation, from the time when it was created."""
    of_it = (_CALLS.owner_id == owner, _CALLS.created_at >= since, _CALLS.generation_id == generation_id)
    connection = await session.connection()
    return _usage((await connection.execute(select(*_sums()).where(*of_it, _CALLS.purpose == "answer"))).one())


async def usage_by_day(session: AsyncSession, owner: UUID, period: Period) -> Sequence[UsageOfDay]:
    """Sum it for each day and model, oldest day first."""
    query = select(*_sums(), _CALLS.day, _CALLS.model).where(_CALLS.owner_id == owner, *period.conditions())
    query = query.group_by(_CALLS.day, _CALLS.model).order_by(_CALLS.day, _CALLS.model)
    connection = await session.connection()
    return [UsageOfDay(row.day, row.model, _usage(row)) for row in await connection.execute(query)]


@dataclass(frozen=True, slots=True)
class Committed:
    """What an owner has spent since a moment, and what running answers may still cost; in units."""

    spent: int
    reserved: int


async def committed(session: AsyncSession, owner: UUID, since: datetime) -> Committed:
    """Sum it; calls of an unknown price count nothing."""
    spent = select(func.coalesce(func.sum(_CALLS.amount), 0)).where(
        _CALLS.owner_id == owner, _CALLS.created_at >= since
    )
    connection = await session.connection()
    row = (await connection.execute(select(spent.scalar_subquery(), reserved_of(owner)))).one()
    return Committed(int(row[0]), int(row[1]))


def month_of(moment: datetime) -> tuple[datetime, datetime]:
    """Give the beginning of a moment's month and of the next one, in UTC."""
    begun = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return begun, (begun + timedelta(days=32)).replace(day=1)


def _usage(row: Any) -> UsageSum:
    # PostgreSQL's sums of bigint are numeric.
    return UsageSum(
        int(row.input_tokens),
        int(row.output_tokens),
        int(row.cache_read_tokens),
        int(row.cache_write_tokens),
        None if row.amount is None else int(row.amount),
    )


def _sums() -> list[ColumnElement[Any]]:
    counts = (_CALLS.input_tokens, _CALLS.output_tokens, _CALLS.cache_read_tokens, _CALLS.cache_write_tokens)
    known = func.count() == func.count(_CALLS.amount)
    amount = case((known, func.coalesce(func.sum(_CALLS.amount), 0)), else_=None)
    return [*(func.coalesce(func.sum(count), 0).label(count.key) for count in counts), amount.label("amount")]
