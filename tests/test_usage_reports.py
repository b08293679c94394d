"""`tertulia usage`: who has used how much."""

import csv
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from client import Api
from conftest import EMBEDDED
from rows import NOON, Rows, rolled_back
from running import prepare_database
from test_command import run_here

from tertulia.cli import usage as usage_module
from tertulia.cli.usage import period_of, write_csv, write_table
from tertulia.cli.usage_command import UsageKey
from tertulia.db import ledger
from tertulia.db.ledger import Period
from tertulia.db.usage_reports import DELETED, KEYS, TOKENS, ReportedUsage, usage_report

PARTS = {"input_tokens": 1, "output_tokens": 20, "cache_read_tokens": 300, "cache_write_tokens": 4_000}
DAY, ALL = timedelta(days=1), Period()


@pytest.fixture
def url(place: dict[str, Any], setup: str) -> str:
    if setup == EMBEDDED:
        prepare_database(place["database_url"])
    return str(place["database_url"]).replace("postgresql://", "postgresql+asyncpg://")


@pytest.mark.both
def test_each_key_of_a_report_has_the_sums_of_its_calls(url: str) -> None:
    async def test(rows: Rows) -> None:
        ada, bob = await rows.user("ada"), await rows.user("bob")
        sales, plain = await rows.conversation(ada, assistant="sales"), await rows.conversation(bob)
        later = NOON + 20 * DAY  # in the next month
        await rows.call(ada, amount=2 * 10**12, conversation_id=sales, **PARTS)
        await rows.call(ada, amount=10**11, model="other", **PARTS)  # its conversation was deleted
        await rows.call(bob, amount=3 * 10**12, conversation_id=plain, **PARTS)
        await rows.call(bob, amount=None, conversation_id=plain, day=later.date(), created_at=later, **PARTS)

        async def report(*keys: UsageKey, period: Period = ALL) -> list[tuple[Any, ...]]:
            lines = await usage_report(rows.session, keys, period)
            for line in lines:
                assert line.tokens == {name: line.requests * number for name, number in PARTS.items()}
            return [(*line.keys.values(), line.requests, str(line.cost_usd), line.unpriced_requests) for line in lines]

        january, february = ("2026-01", "2026-02")
        assert await report(UsageKey.USER) == [("bob", str(bob), 2, "3", 1), ("ada", str(ada), 2, "2.1", 0)]
        assert await report(UsageKey.ASSISTANT) == [("", 2, "3", 1), ("sales", 1, "2", 0), (DELETED, 1, "0.1", 0)]
        assert await report(UsageKey.MODEL) == [("claude-opus-5-5", 3, "5", 1), ("other", 1, "0.1", 0)]
        assert await report(UsageKey.MONTH) == [(january, 3, "5.1", 0), (february, 1, "0", 1)]
        assert await report(UsageKey.DAY, UsageKey.USER, period=Period(since=NOON + DAY)) == [
            (str(later.date()), "bob", str(bob), 1, "0", 1)
        ]
        assert await report(UsageKey.MODEL, UsageKey.MONTH, period=Period(until=NOON)) == []
        assert await report(period=Period(until=NOON)) == [(0, "0", 0)]
        for owner, line in zip((bob, ada), await usage_report(rows.session, ["user"], Period()), strict=True):
            usage = await ledger.usage(rows.session, owner, Period())
            assert [*line.tokens.values()] == [*usage[:4]]
            assert usage.cost_usd == (None if line.unpriced_requests else line.cost_usd)

    rolled_back(test, url)


def test_the_options_of_the_command_are_the_keys_of_reports() -> None:
    assert set(UsageKey) == set(KEYS)
    assert {*ReportedUsage.__slots__} == {"keys", "requests", "tokens", "cost_usd", "unpriced_requests"}


def test_cells_that_a_spreadsheet_would_run_begin_with_an_apostrophe() -> None:
    rows = [
        ["name", "cost_usd"],
        ["=1+2", "1"],
        ["@ada", "2"],
        ["-ada", "3"],
        ["+ada", "4"],
        ['a"b,c', "5"],
        ["\tx", "6"],
    ]
    assert write_csv(rows) == (
        "name,cost_usd\n'=1+2,1\n'@ada,2\n'-ada,3\n'+ada,4\n\"a\"\"b,c\",5\n'\tx,6"
    )  # fmt: skip


def test_a_table_is_aligned() -> None:
    assert write_table([["user", "cost"], ["ada", "12.5"], ["robert", "1"]], 1) == (
        "user    cost\nada     12.5\nrobert     1"
    )  # fmt: skip


def test_the_report_agrees_with_what_the_api_shows(fresh: Api, place: dict[str, Any], tmp_path: Path) -> None:
    fresh.answer("Hello")
    usage = fresh.ask("{ viewer { usage { inputTokens outputTokens cacheReadTokens cacheWriteTokens costUsd } } }")
    environment = {"DATABASE_URL": place["database_url"]}
    keys = [f"--by={key}" for key in ("user", "day", "month")]
    done = run_here(tmp_path, "usage", "--format=csv", "--since=2026-01-01", *keys, **environment)
    (row,) = csv.DictReader(done.stdout.splitlines())
    month, day = row["month"], row["day"]
    assert (row["user"], month, row["unpriced_requests"]) == ("local", day[:7], "0")
    assert [int(row[name]) for name in TOKENS] == [*usage["viewer"]["usage"].values()][:4]
    assert Decimal(row["cost_usd"]) == Decimal(usage["viewer"]["usage"]["costUsd"])
    table = run_here(tmp_path, "usage", "--month", month, **environment).stdout.splitlines()
    assert table[1].split()[-2:] == table[2].split()[-2:] == [row["cost_usd"], "0"]
    assert table[2].startswith("total ")
    none = "There is no usage in this period.\n"
    assert run_here(tmp_path, "usage", "--since", day, "--until", day, **environment).stdout.splitlines() == table
    assert run_here(tmp_path, "usage", "--until", str(date(2026, 1, 1)), **environment).stdout == none


def test_a_report_is_of_the_current_month_in_utc_unless_a_period_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_module, "now", lambda: NOON)
    january, february, march = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3))
    assert period_of(None, None, None) == Period(january, february)
    assert period_of("2026-02", None, None) == Period(february, march)
    first, last, never = map(datetime.fromisoformat, ("2026-01-01", "2026-01-31", "9999-12-31"))
    assert period_of(None, first, last) == Period(january, february)
    assert period_of(None, None, last) == Period(None, february)
    assert period_of(None, first, never) == Period(january)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--month", "2026-13"), "--month: must be a month such as 2026-11, not '2026-13'."),
        (("--month", "0000-01"), "--month: must be a month such as 2026-11, not '0000-01'."),
        (("--month", "2026-11", "--since", "2026-11-01"), "--month: cannot be used with --since or --until."),
        (("--since", "2026-11-02", "--until", "2026-11-01"), "--until: must not be before --since, 2026-11-02."),
    ],
)
def test_a_wrong_period_is_refused(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    done = run_here(tmp_path, "usage", *arguments)
    assert (done.exit_code, done.stderr) == (2, f"{says}\n")
