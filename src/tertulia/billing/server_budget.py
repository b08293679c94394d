"""The budget of the server: the limits of what all users together may spend per month and per day, in UTC."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from tertulia.db import ledger, spending
from tertulia.db.database import AsyncSession
from tertulia.db.ledger import UNIT
from tertulia.db.tables import now

SPENT = "The server's budget is used up."


class BudgetSpent(Exception):
    """A budget is used up. The message names the budget, without amounts."""

    def __init__(self, resets_at: datetime, message: str) -> None:
        """Initialize with the start of the next period and the message."""
        super().__init__(message)
        self.resets_at = resets_at


@dataclass(frozen=True, slots=True)
class PeriodBudget:
    """The budget of one period, `month` or `day`. Amounts are in units of the ledger."""

    period: str
    limit: int
    spent: int
    reserved: int
    resets_at: datetime

    @property
    def left(self) -> int:
        """The amount that can still be reserved; 0 or less if the budget is used up."""
        return self.limit - self.spent - self.reserved


class ServerBudget:
    """Limits the spending of all users together. Without limits, it makes no database queries."""

    def __init__(self, monthly: Decimal | None = None, daily: Decimal | None = None) -> None:
        """Initialize with the limits in US dollars; None means no limit."""
        self._monthly, self._daily = (None if limit is None else int(limit / UNIT) for limit in (monthly, daily))

    @property
    def is_limited(self) -> bool:
        """Whether spending is limited."""
        return self._monthly is not None or self._daily is not None

    async def left(self, session: AsyncSession) -> int:
        """Return the amount that may be reserved, and block other reservations until this transaction has ended.

        Raises:
            BudgetSpent: A budget is used up. `resets_at` is when all such periods have ended.
        """
        await spending.lock(session)
        periods = await self.periods(session)
        if spent := [period.resets_at for period in periods if period.left <= 0]:
            raise BudgetSpent(max(spent), SPENT)
        return min(period.left for period in periods)

    async def periods(self, session: AsyncSession) -> list[PeriodBudget]:
        """Return the budget of each period that has a limit."""
        if not self.is_limited:
            return []
        committed = await spending.committed(session)
        today = now().replace(hour=0, minute=0, second=0, microsecond=0)
        tomorrow, next_month = today + timedelta(days=1), ledger.month_of(today)[1]
        limits = (
            ("month", self._monthly, committed.month, next_month),
            ("day", self._daily, committed.day, tomorrow),
        )
        return [
            PeriodBudget(name, limit, spent, committed.reserved, resets_at)
            for name, limit, spent, resets_at in limits
            if limit is not None
        ]
