"""A user's monthly budget: reserved before Claude is asked, watched while it answers, settled when it has ended."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from claude.errors import ErrorCode, GenerationError
from claude.media import PDF
from claude.models import Model
from claude.prices import Prices
from claude.prompt import max_tokens
from claude.work import Work
from db import ledger
from db.database import AsyncSession
from db.ledger import UNIT, Period
from db.tables import now

BYTES_OF_TOKEN = 3
"""Of a request's JSON; a token seldom has less, so that a reservation is seldom too small."""
TOKENS_OF_PAGE, TOKENS_OF_IMAGE = 3000, 1600

EXCEEDED = GenerationError(ErrorCode.BUDGET_EXCEEDED, "The budget of this month is spent; what was written is kept.")


class BudgetSpent(Exception):
    """There is nothing left in this period."""

    def __init__(self, resets_at: datetime) -> None:
        """Say when there is new."""
        super().__init__("The budget of this month is spent.")
        self.resets_at = resets_at


class PriceUnknown(Exception):
    """A budget is set, and nobody knows what the model costs."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How much of a month's budget is used, in US dollars."""

    limit_usd: Decimal
    spent_usd: Decimal
    reserved_usd: Decimal
    resets_at: datetime


class Budget:
    """What each user may spend in a calendar month, in UTC; no limit where `monthly` is None."""

    def __init__(self, monthly: Decimal | None, prices: Prices, tokens_a_day: int | None = None) -> None:
        """Take US dollars, what things cost, and how many tokens a day (in UTC) each user may have, of all kinds."""
        self._tokens_a_day = tokens_a_day
        self._limit = None if monthly is None else int(monthly / UNIT)
        self._prices = prices

    async def reserve(self, session: AsyncSession, owner: UUID, work: Work, model: Model) -> int | None:
        """Give what an answer may cost: all that it can, or what is left; None without a budget. The owner is locked.

        Raises BudgetSpent, and PriceUnknown.
        """
        await self._check_tokens(session, owner)
        if self._limit is None:
            return None
        price = self._prices.of(work.model)
        if price is None:
            raise PriceUnknown
        most = price.amount(
            {
                "cache_write_tokens": _input_tokens(work),
                "cache_write_1h_tokens": _input_tokens(work) if work.slow else 0,
                "output_tokens": max_tokens(work.options, model.max_output_tokens),
            }
        )
        begun, resets_at = ledger.month_of(now())
        committed = await ledger.committed(session, owner, begun)
        left = self._limit - committed.spent - committed.reserved
        if left <= 0:
            raise BudgetSpent(resets_at)
        return min(most, left)

    async def _check_tokens(self, session: AsyncSession, owner: UUID) -> None:
        """Raise BudgetSpent where the day's tokens are used; the answer that crosses the line is still given whole."""
        if self._tokens_a_day is None:
            return
        today = now().replace(hour=0, minute=0, second=0, microsecond=0)
        used = await ledger.usage(session, owner, Period(today))
        if used.tokens >= self._tokens_a_day:
            raise BudgetSpent(today + timedelta(days=1))

    async def is_spent(self, session: AsyncSession, owner: UUID) -> bool:
        """Say whether nothing is left for small things."""
        if self._limit is None:
            return False
        committed = await ledger.committed(session, owner, ledger.month_of(now())[0])
        return committed.spent + committed.reserved >= self._limit

    async def standing(self, session: AsyncSession, owner: UUID) -> Standing | None:
        """Say how an owner stands; None without a budget."""
        if self._limit is None:
            return None
        begun, resets_at = ledger.month_of(now())
        committed = await ledger.committed(session, owner, begun)
        dollars = ledger.dollars
        return Standing(dollars(self._limit), dollars(committed.spent), dollars(committed.reserved), resets_at)


def _input_tokens(work: Work) -> int:
    """Guess generously."""
    size = len(work.system_prompt or "")
    for _, blocks, _ in work.turns:
        size += len(json.dumps(blocks, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    sources = [block["source"] for _, blocks, _ in work.turns for block in blocks if "source" in block]
    pages: int = sum(source.get("pages") or 1 for source in sources if source["media_type"] == PDF)
    images = sum(source["media_type"] != PDF for source in sources)
    return int(size // BYTES_OF_TOKEN + pages * TOKENS_OF_PAGE + images * TOKENS_OF_IMAGE)
