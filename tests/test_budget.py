"""Budgets: what is reserved for an answer and for one call, and when a user's or the server's budget is spent."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from client import Json
from rows import MODEL, NOON, Rows, rolled_back, seconds
from sqlmodel import select

from tertulia.billing import budget as budgets
from tertulia.billing import server_budget
from tertulia.billing.budget import Budget, BudgetSpent, BudgetStatus, PriceUnknown
from tertulia.billing.prices import Price, Prices
from tertulia.billing.server_budget import ServerBudget
from tertulia.claude.models import Model
from tertulia.claude.prompt import Turn
from tertulia.db import spending
from tertulia.db.spending import Reservation
from tertulia.ratelimit.plans import Plan, Plans

PRICES = Prices({MODEL: {"input": 1, "output": 10, "write": 2, "write_1h": 3, "read": 0.5}})
TOKEN = 10**6
"""The price of an input token in units."""
SEARCH = 10**10
"""The price of a web search in units."""
TODAY = datetime(2026, 1, 15, tzinfo=UTC)


@pytest.fixture(autouse=True)
def present(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (budgets, server_budget, spending):
        monkeypatch.setattr(module, "now", lambda: NOON)


@dataclass
class Request:
    """The parts of a request that its price depends on."""

    turns: Sequence[Turn] = ()
    model: str = MODEL
    system_prompt: str | None = None
    options: Json = field(default_factory=lambda: {"max_tokens": 1})
    tool_definitions: Sequence[Json] = ()
    slow: bool = False
    context_tokens: int = 0


def model(**more: Any) -> Model:
    return Model(MODEL, MODEL, default=False, simulated=False, **more)


def user(*blocks: Json) -> Turn:
    return Turn("user", list(blocks))


def limited(dollars: float | None = 1_000_000, tokens_a_day: int | None = None, **server: float) -> Budget:
    monthly = None if dollars is None else Decimal(str(dollars))
    limits = {name: Decimal(str(amount)) for name, amount in server.items()}
    return Budget(monthly, PRICES, tokens_a_day, ServerBudget(**limits))


async def reserve(rows: Rows, budget: Budget, request: Request, used: Model | None = None) -> int | None:
    return await budget.reserve(rows.session, await rows.user(), request, used or model())


OUTPUT = 10 * TOKEN
"""The cost of one token of output, which is the maximum of the requests."""


@pytest.mark.parametrize(
    ("request_", "amount"),
    [
        (Request(), OUTPUT),
        (Request(options={"max_tokens": 7}), 7 * OUTPUT),
        (Request(system_prompt="x" * 300), 100 * 2 * TOKEN + OUTPUT),
        (Request(system_prompt="x" * 300, slow=True), 100 * 3 * TOKEN + OUTPUT),
        # The JSON of a turn has 2 brackets.
        (Request([user()] * 3), 2 * 2 * TOKEN + OUTPUT),
        (Request([user({"t": "é"})]), 4 * 2 * TOKEN + OUTPUT),
        (Request([user({"type": "image", "source": {"media_type": "image/png"}})]), (19 + 1_600) * 2 * TOKEN + OUTPUT),
        (
            Request([user({"type": "document", "source": {"media_type": "application/pdf", "pages": 3}})]),
            (26 + 9_000) * 2 * TOKEN + OUTPUT,
        ),
        (
            Request([user({"type": "document", "source": {"media_type": "application/pdf"}})]),
            (22 + 3_000) * 2 * TOKEN + OUTPUT,
        ),
        # A text has no pages.
        (
            Request([user({"type": "document", "source": {"media_type": "text/plain", "text_bytes": 300}})]),
            (27 + 100) * 2 * TOKEN + OUTPUT,
        ),
        (
            Request([user({"type": "document", "source": {"media_type": "text/csv", "text_bytes": None}})]),
            26 * 2 * TOKEN + OUTPUT,
        ),
        (Request(system_prompt="x" * 300, tool_definitions=[{"name": "add"}]), 104 * 2 * TOKEN + OUTPUT),
        (Request(tool_definitions=[{"name": "add", "defer_loading": True}]), OUTPUT),
        (
            Request(system_prompt="x" * 300, tool_definitions=[{"name": "add"}, {"name": "web_search"}]),
            3 * 111 * 2 * TOKEN + 10 * SEARCH + OUTPUT,
        ),
    ],
)
def test_the_most_that_an_answer_can_cost_is_reserved(request_: Request, amount: int) -> None:
    async def test(rows: Rows) -> None:
        assert await reserve(rows, limited(), request_) == amount

    rolled_back(test)


def test_the_most_that_an_answer_can_cost_is_known_with_the_price_of_its_model_and_exact_with_its_tokens() -> None:
    request = Request(system_prompt="x" * 300)
    assert limited().max_cost(request, model()) == 100 * 2 * TOKEN + OUTPUT
    assert limited().max_cost(request, model(), 7) == 7 * 2 * TOKEN + OUTPUT
    assert limited().max_cost(Request(model="unknown"), model()) is None


def test_an_answer_that_may_be_summarized_first_reserves_twice_as_much() -> None:
    compacting = model(compacts=True, max_input_tokens=200_000)

    async def test(rows: Rows) -> None:
        near = Request(system_prompt="x" * 300, context_tokens=199_999)
        once = 100 * 2 * TOKEN + OUTPUT
        assert await reserve(rows, limited(), near, compacting) == 2 * once
        assert await reserve(rows, limited(), near, model(max_input_tokens=200_000)) == once
        assert await reserve(rows, limited(), Request(system_prompt="x" * 300), compacting) == once

    rolled_back(test)


def test_without_a_budget_nothing_is_reserved() -> None:
    async def test(rows: Rows) -> None:
        budget = limited(None)
        assert not budget.is_limited
        assert await reserve(rows, budget, Request(model="unknown")) is None
        assert await budget.reserve_call(rows.session, await rows.user(), {"model": "unknown"}, 60) is None
        assert await budget.status(rows.session, await rows.user()) is None
        assert not ServerBudget().is_limited
        assert await ServerBudget().periods(rows.session) == []

    rolled_back(test)


def test_with_a_budget_of_any_kind_prices_must_be_known() -> None:
    async def test(rows: Rows) -> None:
        for budget in (limited(), limited(None, monthly=1), limited(None, daily=1)):
            assert budget.is_limited
            assert Budget(None, PRICES, plans=Plans([Plan(name="pro", monthly_budget_usd=Decimal(1))])).is_limited
            with pytest.raises(PriceUnknown):
                await reserve(rows, budget, Request(model="unknown"))
            with pytest.raises(PriceUnknown):
                await budget.reserve_call(rows.session, await rows.user(), {"model": "unknown"}, 60)

    rolled_back(test)


async def spend(rows: Rows, amount: int, owner: UUID | None = None, second: float = 0) -> None:
    await rows.call(owner, amount=amount, created_at=seconds(second))


def test_what_is_left_of_a_users_month_is_reserved_at_most_and_a_spent_month_resets_at_its_end() -> None:
    async def test(rows: Rows) -> None:
        budget = limited(0.001)  # 10^9 units
        await spend(rows, 5, second=-15 * 86_400)
        await spend(rows, 7 * 10**9, await rows.user("bob"))
        await spend(rows, 10**9 - 30)
        request = Request(options={"max_tokens": 1_000})
        assert await reserve(rows, budget, request) == 30
        await rows.generation(reserved=29)
        assert await reserve(rows, budget, request) == 1
        await spend(rows, 1)
        with pytest.raises(BudgetSpent, match="month") as raised:
            await reserve(rows, budget, request)
        assert raised.value.resets_at == datetime(2026, 2, 1, tzinfo=UTC)
        status = await budget.status(rows.session, await rows.user())
        assert status == BudgetStatus(
            Decimal("0.001"), Decimal("0.000999999971"), Decimal("0.000000000029"), datetime(2026, 2, 1, tzinfo=UTC)
        )

    rolled_back(test)


def test_the_least_that_is_left_of_the_users_and_the_servers_budget_is_reserved() -> None:
    async def test(rows: Rows) -> None:
        await spend(rows, 10**9 - 50)
        await spending.add(rows.session, await rows.user(), {NOON.date(): 10**9 - 20})
        request = Request(options={"max_tokens": 1_000})
        assert await reserve(rows, limited(0.001, monthly=0.001), request) == 20
        assert await reserve(rows, limited(0.001, monthly=0.002), request) == 50
        assert await reserve(rows, limited(0.001), request) == 50
        assert await reserve(rows, limited(None, daily=0.001), request) == 20

    rolled_back(test)


def test_a_call_reserves_its_input_and_its_whole_output_for_some_seconds() -> None:
    async def test(rows: Rows) -> None:
        owner = await rows.user()
        request: Json = {"model": MODEL, "max_tokens": 5, "text": "é" * 100}
        id = await limited().reserve_call(rows.session, owner, request, 60)
        stored = (await rows.session.exec(select(Reservation))).one()
        size = len('{"model": "claude-opus-5-5", "max_tokens": 5, "text": ""}') + 200
        assert (stored.id, stored.owner_id, stored.expires_at) == (id, owner, seconds(60))
        assert stored.amount == size // 3 * TOKEN + 5 * OUTPUT
        await limited(0.000_001).reserve_call(rows.session, await rows.user("bob"), request, 60)
        amounts = (await rows.session.exec(select(Reservation.amount))).all()
        assert sorted(amounts) == [10**6, stored.amount]

    rolled_back(test)


def test_the_tokens_of_a_day_are_used_at_the_limit_and_free_again_the_next_day() -> None:
    async def test(rows: Rows) -> None:
        budget = limited(None, 100)
        await rows.call(input_tokens=1_000, created_at=TODAY - timedelta(seconds=1))
        await rows.call(input_tokens=50, created_at=TODAY)
        await rows.call(output_tokens=49, created_at=TODAY + timedelta(seconds=30))
        assert await reserve(rows, budget, Request()) is None
        await rows.call(cache_read_tokens=1)
        with pytest.raises(BudgetSpent, match="tokens") as raised:
            await reserve(rows, budget, Request())
        assert raised.value.resets_at == TODAY + timedelta(days=1)

    rolled_back(test)


def test_a_spent_month_is_reported_before_the_tokens_of_a_day() -> None:
    async def test(rows: Rows) -> None:
        await rows.call(input_tokens=100, amount=10**9)
        for budget, message in ((limited(0.001, 100), "month"), (limited(1, 100), "tokens")):
            with pytest.raises(BudgetSpent, match=message):
                await reserve(rows, budget, Request())

    rolled_back(test)


def test_the_server_has_what_is_left_of_its_month_and_of_its_day() -> None:
    async def test(rows: Rows) -> None:
        owner = await rows.user()
        await spending.add(rows.session, owner, {NOON.date(): 10, NOON.date() - timedelta(days=1): 100})
        await rows.generation(reserved=1_000)
        budget = ServerBudget(Decimal("0.001"), Decimal("0.0005"))
        month, day = await budget.periods(rows.session)
        assert (month.period, month.limit, month.spent, month.reserved) == ("month", 10**9, 110, 1_000)
        assert (day.period, day.limit, day.spent, day.reserved) == ("day", 5 * 10**8, 10, 1_000)
        assert (month.resets_at, day.resets_at) == (datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 1, 16, tzinfo=UTC))
        assert (month.left, day.left) == (10**9 - 1_110, 5 * 10**8 - 1_010)
        assert await budget.left(rows.session) == day.left
        (only,) = await ServerBudget(daily=Decimal(1)).periods(rows.session)
        assert only.period == "day"

    rolled_back(test)


def test_a_server_that_has_one_unit_left_has_not_spent_its_budget() -> None:
    async def test(rows: Rows) -> None:
        owner = await rows.user()
        await spending.add(rows.session, owner, {NOON.date(): 10**9 - 1})
        tight = ServerBudget(Decimal("0.001"), Decimal(1))
        assert await tight.left(rows.session) == 1
        await spending.add(rows.session, owner, {NOON.date(): 1})
        for budget, resets_at in (
            (tight, datetime(2026, 2, 1, tzinfo=UTC)),
            (ServerBudget(Decimal(1), Decimal("0.001")), datetime(2026, 1, 16, tzinfo=UTC)),
            (ServerBudget(Decimal("0.001"), Decimal("0.001")), datetime(2026, 2, 1, tzinfo=UTC)),
        ):
            with pytest.raises(BudgetSpent) as raised:
                await budget.left(rows.session)
            assert raised.value.resets_at == resets_at

    rolled_back(test)


def test_reservations_from_the_servers_budget_wait_for_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    locked: list[object] = []

    async def lock(session: object) -> None:
        locked.append(session)

    monkeypatch.setattr(spending, "lock", lock)

    async def test(rows: Rows) -> None:
        await reserve(rows, limited(1), Request())
        assert locked == []
        await reserve(rows, limited(1, monthly=1), Request())
        assert locked == [rows.session]

    rolled_back(test)


def test_ten_searches_cost_ten_cents_and_a_million_is_the_unit_of_prices() -> None:
    price = Price(Decimal(1), Decimal(10), Decimal(2), Decimal(3), Decimal("0.5"))
    assert price.amount({"web_searches": 10}) == 10 * SEARCH
    assert price.amount({"input_tokens": 1_000_000}) == 10**12
    assert price.amount({"cache_write_tokens": 10, "cache_write_1h_tokens": 4}) == (6 * 2 + 4 * 3) * TOKEN
