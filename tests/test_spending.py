"""The ledger, the spending of all users, and reservations: which amounts count, for whom, and in which period."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from rows import NOON, Rows, api_call, rolled_back, seconds, with_database
from sqlmodel import col, select

from tertulia.db import ledger, spending, spent_here
from tertulia.db.database import Database
from tertulia.db.ledger import Committed, Period, UsageOfDay, UsageSum, dollars, month_of
from tertulia.db.spending import SHARDS, Reservation, ServerCommitted, Spending
from tertulia.db.tables import Status

TODAY = NOON.date()
ENDED = (Status.COMPLETED, Status.STOPPED, Status.FAILED)


@pytest.fixture(autouse=True)
def present(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spending, "now", lambda: NOON)


async def amounts(rows: Rows) -> dict[tuple[date, int], int]:
    """Return the stored spending by day and shard."""
    stored = (await rows.session.exec(select(Spending).execution_options(populate_existing=True))).all()
    return {(row.day, row.shard): row.amount for row in stored}


def reservation(owner: UUID, amount: int, expires_in: float) -> Reservation:
    return Reservation(owner_id=owner, amount=amount, expires_at=seconds(expires_in))


def test_amounts_are_exact_in_dollars() -> None:
    assert dollars(1) == Decimal("1e-12")
    assert str(dollars(2_500_000_000_000)) == "2.5"
    assert str(dollars(100 * 10**12)) == "100"
    assert UsageSum(amount=None).cost_usd is None
    assert UsageSum(amount=10**12).cost_usd == 1
    assert (UsageSum().tokens, UsageSum().amount) == (0, 0)


@pytest.mark.parametrize(
    ("moment", "start", "end"),
    [
        (datetime(2026, 12, 31, 23, 59, 59, 5, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        (datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        (datetime(2026, 1, 15, 7, 8, 9, 10, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_a_month_begins_on_its_first_day_in_utc(moment: datetime, start: datetime, end: datetime) -> None:
    assert month_of(moment) == (start, end)


def test_calls_are_added_to_the_spending_of_their_days_in_the_owners_shard() -> None:
    async def test(rows: Rows) -> None:
        owner = await rows.user()
        yesterday = TODAY - timedelta(days=1)
        calls = [api_call(owner, amount=amount, day=day) for amount, day in ((5, TODAY), (7, TODAY), (100, yesterday))]
        await spending.record(rows.session, [*calls, api_call(owner, amount=None)])
        shard = owner.int % SHARDS
        assert await amounts(rows) == {(TODAY, shard): 12, (yesterday, shard): 100}
        await spending.record(rows.session, [api_call(owner, amount=3)])
        assert await amounts(rows) == {(TODAY, shard): 15, (yesterday, shard): 100}
        assert await ledger.is_known(rows.session, calls[0].id)
        assert not await ledger.is_known(rows.session, uuid4())

    rolled_back(test)


def test_the_metrics_count_calls_once_their_transaction_is_committed(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        async with database.write() as session:
            owner, details = await Rows(session).user(), {"costs": {"input": 8}}
            calls = [api_call(owner, model="counted", input_tokens=5, details=details) for _ in range(2)]
            await spending.record(session, calls)
            assert spent_here.totals().tokens["counted", "input"] == 0
        totals = spent_here.totals()
        assert (totals.tokens["counted", "input"], totals.costs["counted", "input"]) == (10, 16)

    with_database(tmp_path, test)


def test_calls_that_cost_nothing_leave_no_row() -> None:
    async def test(rows: Rows) -> None:
        await spending.record(rows.session, [api_call(await rows.user(), amount=0)])
        assert await amounts(rows) == {}

    rolled_back(test)


def test_each_owner_has_one_of_16_shards() -> None:
    async def test(rows: Rows) -> None:
        for number in (0, 15, 16):
            await spending.add(rows.session, UUID(int=number), {TODAY: 1})
        assert await amounts(rows) == {(TODAY, 0): 2, (TODAY, 15): 1}

    rolled_back(test)


def test_the_servers_spending_is_the_sum_of_all_users_this_month_and_today() -> None:
    async def test(rows: Rows) -> None:
        assert await spending.committed(rows.session) == ServerCommitted(0, 0, 0)
        first = TODAY.replace(day=1)
        for day, amount in (
            (first - timedelta(days=1), 1),
            (first, 20),
            (TODAY - timedelta(days=1), 300),
            (TODAY, 4_000),
        ):
            await spending.add(rows.session, uuid4(), {day: amount})
        assert await spending.committed(rows.session) == ServerCommitted(4_320, 4_000, 0)

    rolled_back(test)


def test_running_and_waiting_answers_and_unexpired_reservations_count_as_reserved() -> None:
    async def test(rows: Rows) -> None:
        ada, bob = await rows.user("ada"), await rows.user("bob")
        conversation, of_bob = await rows.conversation(ada), await rows.conversation(bob)
        running = (Status.QUEUED, Status.RUNNING, Status.AWAITING_TOOL_RESULTS)
        for number, status in enumerate((*running, *ENDED)):
            await rows.generation(conversation, status=status, reserved=10**number)
        await rows.generation(conversation, reserved=None)
        await rows.generation(of_bob, reserved=1_000_000)
        for owner, amount, expires in ((ada, 2_000, 1), (bob, 5_000_000, 1)):
            await spending.reserve(rows.session, reservation(owner, amount, expires))
        assert (await spending.committed(rows.session)).reserved == 111 + 2_000 + 6_000_000
        since = NOON - timedelta(days=1)
        assert await ledger.committed(rows.session, ada, since) == Committed(0, 2_111)
        assert await ledger.committed(rows.session, bob, since) == Committed(0, 6_000_000)

    rolled_back(test)


def test_a_reservation_counts_until_it_expires_or_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(rows: Rows) -> None:
        owner = await rows.user()
        first, second = reservation(owner, 1, 10), reservation(owner, 20, 60)
        for each in (first, second):
            await spending.reserve(rows.session, each)
        assert (await spending.committed(rows.session)).reserved == 21
        monkeypatch.setattr(spending, "now", lambda: seconds(10))
        assert (await spending.committed(rows.session)).reserved == 20
        assert (await ledger.committed(rows.session, owner, NOON)).reserved == 20
        await spending.reserve(rows.session, reservation(owner, 300, 100))
        stored = (await rows.session.exec(select(Reservation.amount).order_by(col(Reservation.amount)))).all()
        assert list(stored) == [20, 300]
        await spending.release(rows.session, second.id)
        assert (await spending.committed(rows.session)).reserved == 300

    rolled_back(test)


def test_the_reservations_of_a_deleted_owner_count_as_spent() -> None:
    async def test(rows: Rows) -> None:
        ada, bob = await rows.user("ada"), await rows.user("bob")
        await rows.generation(await rows.conversation(ada), reserved=40)
        await rows.generation(await rows.conversation(bob), reserved=5_000)
        await spending.reserve(rows.session, reservation(ada, 2, 1))
        await spending.reserve(rows.session, reservation(bob, 600, 1))
        await spending.settle_all(rows.session, ada)
        assert await amounts(rows) == {(TODAY, ada.int % SHARDS): 42}

    rolled_back(test)


def test_an_owners_spending_is_the_cost_of_their_calls_in_the_period() -> None:
    async def test(rows: Rows) -> None:
        ada, bob = await rows.user("ada"), await rows.user("bob")
        for owner, amount, second in ((ada, 1, -1), (ada, 20, 0), (ada, 300, 1), (bob, 4_000, 0), (ada, None, 0)):
            await rows.call(owner, amount=amount, created_at=seconds(second))
        assert await ledger.committed(rows.session, ada, NOON) == Committed(320, 0)
        assert await ledger.committed(rows.session, uuid4(), NOON) == Committed(0, 0)

    rolled_back(test)


def test_a_period_includes_its_start_and_excludes_its_end() -> None:
    async def test(rows: Rows) -> None:
        ada, bob = await rows.user("ada"), await rows.user("bob")
        for owner, tokens, second, model in (
            (ada, 1, -1, "one"), (ada, 20, 0, "one"), (ada, 300, 5, "two"), (ada, 4_000, 10, "one"), (bob, 50_000, 5, "one"),
        ):  # fmt: skip
            await rows.call(owner, input_tokens=tokens, amount=tokens, created_at=seconds(second), model=model)

        async def counted(period: Period) -> int:
            usage = await ledger.usage(rows.session, ada, period)
            assert usage.amount == usage.input_tokens
            return usage.tokens

        assert await counted(Period()) == 4_321
        assert await counted(Period(since=NOON)) == 4_320
        assert await counted(Period(until=seconds(10))) == 321
        assert await counted(Period(NOON, seconds(10))) == 320
        assert await counted(Period(NOON, seconds(10), "two")) == 300
        assert await counted(Period(model="one")) == 4_021

    rolled_back(test)


def test_each_kind_of_token_is_summed_and_one_unknown_price_makes_the_cost_unknown() -> None:
    async def test(rows: Rows) -> None:
        owner = await rows.user()
        assert await ledger.usage(rows.session, owner, Period()) == UsageSum()
        counts = {"input_tokens": 1, "output_tokens": 20, "cache_read_tokens": 300, "cache_write_tokens": 4_000}
        for _ in range(2):
            await rows.call(owner, amount=5, **counts)
        assert await ledger.usage(rows.session, owner, Period()) == UsageSum(2, 40, 600, 8_000, 10)
        await rows.call(owner, amount=None, **counts)
        assert await ledger.usage(rows.session, owner, Period()) == UsageSum(3, 60, 900, 12_000, None)

    rolled_back(test)


def test_usage_by_day_has_one_ordered_row_for_each_day_and_model() -> None:
    async def test(rows: Rows) -> None:
        owner = await rows.user()
        await rows.call(await rows.user("bob"), input_tokens=9)
        yesterday = TODAY - timedelta(days=1)
        for day, model in ((TODAY, "b"), (TODAY, "a"), (yesterday, "b"), (TODAY, "a")):
            await rows.call(owner, input_tokens=1, amount=2, day=day, model=model)
        await rows.call(owner, day=TODAY, model="c", created_at=seconds(10))
        days = await ledger.usage_by_day(rows.session, owner, Period(until=seconds(10)))
        assert days == [
            UsageOfDay(yesterday, "b", UsageSum(1, amount=2)),
            UsageOfDay(TODAY, "a", UsageSum(2, amount=4)),
            UsageOfDay(TODAY, "b", UsageSum(1, amount=2)),
        ]

    rolled_back(test)


def test_the_usage_of_an_answer_includes_only_its_own_calls_and_not_the_title() -> None:
    async def test(rows: Rows) -> None:
        owner, generation_id = await rows.user(), uuid4()
        for tokens, columns in (
            (1, {}),
            (20, {"created_at": seconds(-1)}),
            (300, {"purpose": "title"}),
            (4_000, {"generation_id": uuid4()}),
            (50_000, {"created_at": seconds(1)}),
        ):
            await rows.call(
                owner, **({"input_tokens": tokens, "amount": tokens, "generation_id": generation_id} | columns)
            )
        await rows.call(await rows.user("bob"), input_tokens=600_000, generation_id=generation_id)
        usage = await ledger.of_generation(rows.session, owner, generation_id, NOON)
        assert (usage.input_tokens, usage.amount) == (50_001, 50_001)

    rolled_back(test)
