"""The budgets of users: a cost is reserved before a request to Claude, checked during it, and billed at its end."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from tertulia.attachments.files import TEXT_BYTES
from tertulia.billing.prices import Price, Prices, terms_of
from tertulia.billing.server_budget import BudgetSpent, ServerBudget
from tertulia.claude.compaction import is_near
from tertulia.claude.errors import ErrorCode, GenerationError
from tertulia.claude.models import Model
from tertulia.claude.prompt import Turn, max_tokens
from tertulia.claude.repairs import ATTACHED
from tertulia.db import ledger, spending
from tertulia.db.database import AsyncSession
from tertulia.db.ledger import UNIT, Period
from tertulia.db.spending import Reservation
from tertulia.db.tables import now
from tertulia.json import Json, encode
from tertulia.ratelimit.plans import Plan, Plans
from tertulia.threads import offload

__all__ = ["EXCEEDED", "Budget", "BudgetSpent", "BudgetStatus", "PriceUnknown", "PricedRequest"]

BYTES_PER_TOKEN = 3
"""The bytes per token in the JSON of a request. Tokens seldom have fewer, so reservations are seldom too small."""
TOKENS_PER_PAGE, TOKENS_PER_IMAGE = 3000, 1600
"""Estimates for a page of a PDF and for an image."""

EXCEEDED = GenerationError(
    ErrorCode.BUDGET_EXCEEDED, "The budget was used up during the answer. The text written until then is kept."
)
SPENT, TOKENS_SPENT = "The budget of this month is used up.", "The tokens of this day are used up."
WEB_SEARCH = "web_search"
SEARCHES, PROMPT_READS_WITH_SEARCH = 10, 3
"""The web searches of one answer, and how often it reads its prompt with them. These are estimates, because the API has
no limit."""


class PriceUnknown(Exception):
    """A budget is set, but the price of the model is not known."""


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
    """The use of a user's monthly budget, in US dollars."""

    limit_usd: Decimal
    spent_usd: Decimal
    reserved_usd: Decimal
    resets_at: datetime


@dataclass(frozen=True, slots=True)
class TokenStatus:
    """The use of a user's tokens of a day."""

    limit: int
    remaining: int
    resets_at: datetime


class Budget:
    """The budgets of users and of the server. A month is a calendar month in UTC."""

    def __init__(
        self,
        monthly: Decimal | None,
        prices: Prices,
        tokens_a_day: int | None = None,
        server: ServerBudget | None = None,
        plans: Plans | None = None,
    ) -> None:
        """Initialize with the limits.

        Args:
            monthly: The US dollars of each user per month; None means no limit.
            prices: The prices of models.
            tokens_a_day: The tokens of each user per day in UTC; None means no limit.
            server: The budget of all users together; None means no limit.
            plans: The plans, whose limits replace `monthly` and `tokens_a_day`.
        """
        self.plans = plans or Plans(default=Plan(monthly_budget_usd=monthly, daily_tokens=tokens_a_day))
        self._prices = prices
        self.server = server or ServerBudget()

    @property
    def is_limited(self) -> bool:
        """Whether the spending of some users or of the server is limited."""
        return self.server.is_limited or any(plan.monthly_budget_usd is not None for plan in self.plans.all)

    async def reserve(
        self, session: AsyncSession, owner: UUID, request: PricedRequest, model: Model, plan: str | None = None
    ) -> int | None:
        """Return the maximum cost of an answer in units, limited by the rest of the budgets; None without a budget.

        The owner must be locked in this transaction, in which the caller stores the reservation. If the server has a
        budget, other transactions wait for this one before they reserve.

        Args:
            session: The session to use.
            owner: The owner of the answer.
            request: The request.
            model: The model of the request.
            plan: The name of the plan with which the answer was requested.

        Raises:
            BudgetSpent: A budget is used up.
            PriceUnknown: The price of the model is not known.
        """
        limits = self.plans.of(plan)
        tokens_spent = await self._tokens_spent(session, owner, limits)
        amount = None
        if self._limits(limits):
            price = self._prices.of(request.model)
            if price is None:
                raise PriceUnknown
            cost = await offload(len(request.turns), lambda: _max_cost(request, model, price))
            amount = min(cost, *await self._remaining(session, owner, limits))
        # A spent budget is raised first, because it lasts at least until the end of the day.
        if tokens_spent is not None:
            raise tokens_spent
        return amount

    async def reserve_call(
        self, session: AsyncSession, owner: UUID, request: Json, seconds: float, plan: str | None = None
    ) -> UUID | None:
        """Reserve the cost of one API call that is not part of a generation.

        Args:
            session: A transaction in which the owner is locked.
            owner: The owner of the budget.
            request: The body of the request.
            seconds: The time after which the reservation expires.
            plan: The name of the plan of the owner.

        Returns:
            The id of the reservation; None without a budget.

        Raises:
            BudgetSpent: A budget is used up.
            PriceUnknown: The price of the model is not known.
        """
        limits = self.plans.of(plan)
        if not self._limits(limits):
            return None
        price = self._prices.of(request["model"])
        if price is None:
            raise PriceUnknown
        tokens = len(json.dumps(request, ensure_ascii=False).encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN
        usage = {"input_tokens": tokens, "output_tokens": request["max_tokens"]}
        max_cost = price.amount(usage, terms_of(request))
        amount = min(max_cost, *await self._remaining(session, owner, limits))
        reservation = Reservation(owner_id=owner, amount=amount, expires_at=now() + timedelta(seconds=seconds))
        await spending.reserve(session, reservation)
        return reservation.id

    def max_cost(self, request: PricedRequest, model: Model, input_tokens: int | None = None) -> int | None:
        """Return the maximum cost of an answer in units; None if the price of the model is not known.

        Args:
            request: The request.
            model: Its model.
            input_tokens: The tokens of the prompt; None to estimate them.
        """
        price = self._prices.of(request.model)
        return None if price is None else _max_cost(request, model, price, input_tokens)

    def _limits(self, plan: Plan) -> bool:
        """Return whether the spending of the plan's users is limited."""
        return plan.monthly_budget_usd is not None or self.server.is_limited

    async def _remaining(self, session: AsyncSession, owner: UUID, plan: Plan) -> list[int]:
        """Return the rest of each budget, or raise BudgetSpent. The server's is read last, because that locks it."""
        amounts = list[int]()
        if plan.monthly_budget_usd is not None:
            month_start, resets_at = ledger.month_of(now())
            committed = await ledger.committed(session, owner, month_start)
            amounts.append(_units(plan.monthly_budget_usd) - committed.spent - committed.reserved)
            if amounts[0] <= 0:
                raise BudgetSpent(resets_at, SPENT)
        if self.server.is_limited:
            amounts.append(await self.server.left(session))
        return amounts

    async def _tokens_spent(self, session: AsyncSession, owner: UUID, plan: Plan) -> BudgetSpent | None:
        """Return an error if the tokens of the day are used up. The answer that reaches the limit is completed."""
        status = await self.token_status(session, owner, plan)
        return BudgetSpent(status.resets_at, TOKENS_SPENT) if status is not None and not status.remaining else None

    async def token_status(self, session: AsyncSession, owner: UUID, plan: Plan) -> TokenStatus | None:
        """Return the status of an owner's tokens of today; None if the plan does not limit them."""
        if plan.daily_tokens is None:
            return None
        today = now().replace(hour=0, minute=0, second=0, microsecond=0)
        usage = await ledger.usage(session, owner, Period(today))
        return TokenStatus(plan.daily_tokens, max(plan.daily_tokens - usage.tokens, 0), today + timedelta(days=1))

    async def status(self, session: AsyncSession, owner: UUID, plan: Plan | None = None) -> BudgetStatus | None:
        """Return the status of an owner's monthly budget; None without one. Without `plan`, it is the default plan."""
        limit_usd = (plan or self.plans.of(None)).monthly_budget_usd
        if limit_usd is None:
            return None
        month_start, resets_at = ledger.month_of(now())
        committed = await ledger.committed(session, owner, month_start)
        dollars = ledger.dollars
        return BudgetStatus(
            dollars(_units(limit_usd)), dollars(committed.spent), dollars(committed.reserved), resets_at
        )


def _units(amount_usd: Decimal) -> int:
    return int(amount_usd / UNIT)


def _max_cost(request: PricedRequest, model: Model, price: Price, input_tokens: int | None = None) -> int:
    """Return the maximum cost of an answer in units, as far as it can be estimated before the request."""
    inputs = estimate_input_tokens(request) if input_tokens is None else input_tokens
    output = max_tokens(request.options, model.max_output_tokens)
    searches = SEARCHES if any(tool["name"] == WEB_SEARCH for tool in request.tool_definitions) else 0
    inputs *= PROMPT_READS_WITH_SEARCH if searches else 1
    if model.compacts and is_near(request.context_tokens, model):
        # Writing the summary is a separate call.
        inputs, output = 2 * inputs, 2 * output
    return price.amount(
        {
            "cache_write_tokens": inputs,
            "cache_write_1h_tokens": inputs if request.slow else 0,
            "output_tokens": output,
            "web_searches": searches,
        },
        terms_of(request.options),
    )


def estimate_input_tokens(request: PricedRequest) -> int:
    """Return an estimate of the input tokens, which is seldom too low."""
    size = len(request.system_prompt or "")
    # Deferred tools are part of the prompt only if Claude finds them.
    size += sum(len(encode(tool)) for tool in request.tool_definitions if not tool.get("defer_loading"))
    for turn in request.turns:
        size += len(json.dumps(turn.blocks, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    blocks = [block for turn in request.turns for block in turn.blocks if block.get("type") in ATTACHED]
    sources = [block["source"] for block in blocks if block["type"] == "document" and "source" in block]
    size += sum(source.get(TEXT_BYTES) or 0 for source in sources)
    pages: int = sum(source.get("pages") or 1 for source in sources if TEXT_BYTES not in source)
    images = sum(block["type"] == "image" for block in blocks)
    return int(size // BYTES_PER_TOKEN + pages * TOKENS_PER_PAGE + images * TOKENS_PER_IMAGE)
