"""Budgets of users and of the server: reserved before Claude is asked, watched while it answers, settled at the end."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from tertulia.attachments.media import PDF
from tertulia.billing.prices import Price, Prices
from tertulia.billing.server_budget import BudgetSpent, ServerBudget
from tertulia.claude.compaction import is_near
from tertulia.claude.errors import ErrorCode, GenerationError
from tertulia.claude.models import Model
from tertulia.claude.prompt import Turn, max_tokens
from tertulia.db import ledger, spending
from tertulia.db.database import AsyncSession
from tertulia.db.ledger import UNIT, Period
from tertulia.db.spending import Reservation
from tertulia.db.tables import now
from tertulia.json import Json

__all__ = ["EXCEEDED", "Budget", "BudgetSpent", "BudgetStatus", "PriceUnknown", "PricedRequest"]

BYTES_OF_TOKEN = 3
"""Of a request's JSON; a token seldom has less, so that a reservation is seldom too small."""
TOKENS_OF_PAGE, TOKENS_OF_IMAGE = 3000, 1600

EXCEEDED = GenerationError(ErrorCode.BUDGET_EXCEEDED, "The budget is spent; what was written is kept.")
SPENT, TOKENS_SPENT = "The budget of this month is spent.", "The tokens of this day are used."
WEB_SEARCH = "web_search"
SEARCHES, SEARCHED = 10, 3
"""Web searches of one answer, and how often Claude reads its prompt then: guesses, as the API has no limit."""


class PriceUnknown(Exception):
    """A budget is set, and nobody knows what the model costs."""


class PricedRequest(Protocol):
    """The parts of a request that its price depends on."""

    @property
    def model(self) -> str: ...
    @property
    def system_prompt(self) -> str | None: ...
    @property
    def options(self) -> Json: ...
    @property
    def turns(self) -> Sequence[Turn]: ...
    @property
    def tool_definitions(self) -> Sequence[Json]: ...
    @property
    def slow(self) -> bool: ...
    @property
    def context_tokens(self) -> int: ...


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """How much of a month's budget is used, in US dollars."""

    limit_usd: Decimal
    spent_usd: Decimal
    reserved_usd: Decimal
    resets_at: datetime


class Budget:
    """What each user may spend in a calendar month, in UTC; no limit where `monthly` is None."""

    def __init__(
        self,
        monthly: Decimal | None,
        prices: Prices,
        tokens_a_day: int | None = None,
        server: ServerBudget | None = None,
    ) -> None:
        """Accept each user's US dollars a month and tokens a day, and what all users together may spend."""
        self._tokens_a_day = tokens_a_day
        self._limit = None if monthly is None else int(monthly / UNIT)
        self._prices = prices
        self.server = server or ServerBudget()

    @property
    def is_limited(self) -> bool:
        """Whether money is limited."""
        return self._limit is not None or self.server.is_limited

    async def reserve(self, session: AsyncSession, owner: UUID, request: PricedRequest, model: Model) -> int | None:
        """Return what an answer may cost, in units: all that it can, or what is left; None without a budget.

        The owner is locked. Where the server has a budget, no other transaction can reserve until this one has ended.

        Raises:
            BudgetSpent: nothing is left.
            PriceUnknown: nobody knows what the model costs.
        """
        tokens_spent = await self._tokens_spent(session, owner)
        left = None
        if self.is_limited:
            price = self._prices.of(request.model)
            if price is None:
                raise PriceUnknown
            left = min(_most(request, model, price), *await self._left(session, owner))
        # A spent budget lasts at least as long as the day.
        if tokens_spent is not None:
            raise tokens_spent
        return left

    async def reserve_call(self, session: AsyncSession, owner: UUID, request: Json, seconds: float) -> UUID | None:
        """Reserve for one call outside of a generation, for `seconds`; return the reservation's id.

        Without a budget that is None. The owner is locked. Raises as `reserve`.
        """
        if not self.is_limited:
            return None
        price = self._prices.of(request["model"])
        if price is None:
            raise PriceUnknown
        tokens = len(json.dumps(request, ensure_ascii=False).encode("utf-8", "surrogatepass")) // BYTES_OF_TOKEN
        most = price.amount({"input_tokens": tokens, "output_tokens": request["max_tokens"]})
        left = min(most, *await self._left(session, owner))
        reservation = Reservation(owner_id=owner, amount=left, expires_at=now() + timedelta(seconds=seconds))
        await spending.reserve(session, reservation)
        return reservation.id

    async def _left(self, session: AsyncSession, owner: UUID) -> list[int]:
        """Return what is left of each budget; raise BudgetSpent. The user's is first: the server's locks others out."""
        left = list[int]()
        if self._limit is not None:
            begun, resets_at = ledger.month_of(now())
            committed = await ledger.committed(session, owner, begun)
            left.append(self._limit - committed.spent - committed.reserved)
            if left[0] <= 0:
                raise BudgetSpent(resets_at, SPENT)
        if self.server.is_limited:
            left.append(await self.server.left(session))
        return left

    async def _tokens_spent(self, session: AsyncSession, owner: UUID) -> BudgetSpent | None:
        """Return an error where the day's tokens are used; the answer that crosses the line is still given whole."""
        if self._tokens_a_day is None:
            return None
        today = now().replace(hour=0, minute=0, second=0, microsecond=0)
        used = await ledger.usage(session, owner, Period(today))
        return BudgetSpent(today + timedelta(days=1), TOKENS_SPENT) if used.tokens >= self._tokens_a_day else None

    async def standing(self, session: AsyncSession, owner: UUID) -> BudgetStatus | None:
        """Say how an owner stands; None without a budget."""
        if self._limit is None:
            return None
        begun, resets_at = ledger.month_of(now())
        committed = await ledger.committed(session, owner, begun)
        dollars = ledger.dollars
        return BudgetStatus(dollars(self._limit), dollars(committed.spent), dollars(committed.reserved), resets_at)


def _most(request: PricedRequest, model: Model, price: Price) -> int:
    """Return what an answer costs at most, as far as that can be known before Claude is asked."""
    inputs, output = _input_tokens(request), max_tokens(request.options, model.max_output_tokens)
    searches = SEARCHES if any(tool["name"] == WEB_SEARCH for tool in request.tool_definitions) else 0
    inputs *= SEARCHED if searches else 1
    if model.compacts and is_near(request.context_tokens, model):
        # The summary is a call of its own.
        inputs, output = 2 * inputs, 2 * output
    return price.amount(
        {
            "cache_write_tokens": inputs,
            "cache_write_1h_tokens": inputs if request.slow else 0,
            "output_tokens": output,
            "web_searches": searches,
        }
    )


def _input_tokens(request: PricedRequest) -> int:
    """Guess generously."""
    size = len(request.system_prompt or "")
    for turn in request.turns:
        size += len(json.dumps(turn.blocks, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    sources = [block["source"] for turn in request.turns for block in turn.blocks if "source" in block]
    pages: int = sum(source.get("pages") or 1 for source in sources if source["media_type"] == PDF)
    images = sum(source["media_type"] != PDF for source in sources)
    return int(size // BYTES_OF_TOKEN + pages * TOKENS_OF_PAGE + images * TOKENS_OF_IMAGE)
