"""Prices: the exact amount of one call, from the token counts that Claude reports."""

from decimal import Decimal
from uuid import uuid4

import pytest

from tertulia.billing.prices import TABLE, VERSION, Prices, Terms
from tertulia.billing.records import Payer, call
from tertulia.claude.providers import Provider
from tertulia.db.tables import Status

DOLLAR = 10**12
"""In units, the integers in which amounts are stored: millionths of a millionth of a dollar."""
MILLION = 1_000_000


def dollars(model: str, usage: dict[str, int], prices: Prices | None = None) -> Decimal:
    amount = (prices or Prices()).amount(model, usage)
    assert amount is not None
    return Decimal(amount) / DOLLAR


@pytest.mark.parametrize(
    ("usage", "price"),
    [
        ({"input_tokens": MILLION}, "4"),
        ({"output_tokens": MILLION}, "20"),
        ({"cache_read_tokens": MILLION}, "0.20"),
        ({"cache_write_tokens": MILLION}, "5"),
        ({"cache_write_tokens": MILLION, "cache_write_1h_tokens": MILLION}, "8"),
        ({"cache_write_tokens": MILLION, "cache_write_1h_tokens": 400_000}, "6.2"),
        ({"web_searches": 3}, "0.03"),
        ({"input_tokens": 1, "output_tokens": 1}, "0.000024"),
    ],
)
def test_each_kind_of_token_has_its_own_price(usage: dict[str, int], price: str) -> None:
    assert dollars("claude-opus-5-5", usage) == Decimal(price)


LONG = {
    "new": {"input_tokens": 100_001},
    "read from the cache": {"input_tokens": 1, "cache_read_tokens": 100_000},
    "written to the cache": {"input_tokens": 1, "cache_write_tokens": 100_000},
    "written to the cache for an hour": {
        "input_tokens": 1,
        "cache_write_tokens": 100_000,
        "cache_write_1h_tokens": 100_000,
    },
    "of all kinds": {"input_tokens": 40_001, "cache_read_tokens": 30_000, "cache_write_tokens": 30_000},
}


@pytest.mark.parametrize("usage", LONG.values(), ids=LONG)
def test_cached_tokens_count_toward_a_long_prompt(usage: dict[str, int]) -> None:
    price, shorter = TABLE["claude-haiku-5-5"], {**usage, "input_tokens": usage["input_tokens"] - 1}
    assert price.amount(usage) == 5 * (price.amount(shorter) + price.amount({"input_tokens": 1}))


def test_output_tokens_do_not_make_a_prompt_long_but_cost_more_after_a_long_prompt() -> None:
    assert dollars("claude-haiku-5-5", {"output_tokens": MILLION}) == Decimal("0.5")
    assert dollars("claude-haiku-5-5", {"input_tokens": 100_001, "output_tokens": MILLION}) == Decimal("2.5500005")


def test_searches_cost_the_same_after_a_long_prompt() -> None:
    without = dollars("claude-haiku-5-5", {"input_tokens": 200_000})
    assert without == Decimal("0.1")
    assert dollars("claude-haiku-5-5", {"input_tokens": 200_000, "web_searches": 2}) == without + Decimal("0.02")


def test_most_models_cost_the_same_after_a_long_prompt() -> None:
    assert dollars("claude-opus-5-5", {"input_tokens": 200_000}) == Decimal("0.8")


@pytest.mark.parametrize(
    ("terms", "price"),
    [
        (Terms(), "4.01"),
        (Terms("standard", "eu"), "4.01"),
        (Terms("fast"), "8.01"),
        (Terms(geo="us"), "4.41"),
        (Terms("fast", "us"), "8.81"),
    ],
)
def test_tokens_cost_twice_as_much_in_fast_mode_and_a_tenth_more_in_the_us(terms: Terms, price: str) -> None:
    amount = TABLE["claude-opus-5-5"].amount({"input_tokens": MILLION, "web_searches": 1}, terms)
    assert Decimal(amount) / DOLLAR == Decimal(price)


def test_a_model_that_a_cloud_serves_in_a_region_costs_a_tenth_more() -> None:
    cloud = Prices(provider=Provider.BEDROCK)
    for name, price in (("global", "5"), ("eu", "5.5")):
        assert dollars(f"{name}.anthropic.claude-opus-4-6-v1", {"input_tokens": MILLION}, cloud) == Decimal(price)


def test_the_row_of_a_call_has_the_cost_of_each_part_that_cost_something() -> None:
    payer = Payer(uuid4(), uuid4(), uuid4())
    rows = [
        call(payer, Prices(), "claude-opus-5-5", Status.COMPLETED, usage)
        for usage in ({"input_tokens": 2, "output_tokens": 1}, {})
    ]
    assert [row.details for row in rows] == [{"costs": {"input": 8 * 10**6, "output": 20 * 10**6}}, None]
    assert [row.amount for row in rows] == [28 * 10**6, 0]


def test_the_price_list_has_the_proportions_of_the_published_prices() -> None:
    for model, price in TABLE.items():
        assert (price.output, price.write, price.write_1h) == (
            5 * price.input,
            price.input * Decimal("1.25"),
            2 * price.input,
        ), model
        assert 0 < price.read <= price.input / 10, model


def test_a_price_in_the_settings_replaces_the_listed_price_and_marks_the_version() -> None:
    own = Prices({"claude-opus-5-5": {"input": "1", "output": "3"}})
    assert own.version == f"{VERSION}+own"
    assert Prices().version == VERSION
    expected = {
        "input_tokens": "1",
        "output_tokens": "3",
        "cache_write_tokens": "1.25",
        "cache_read_tokens": "0.1",
    }
    for name, price in expected.items():
        assert dollars("claude-opus-5-5", {name: MILLION}, own) == Decimal(price)
    both = {"cache_write_tokens": MILLION, "cache_write_1h_tokens": MILLION}
    assert dollars("claude-opus-5-5", both, own) == 2
    assert dollars("claude-sonnet-5-5", {"input_tokens": MILLION}, own) == 2


def test_cache_prices_in_the_settings_are_used_unchanged() -> None:
    own = Prices({"m": {"input": 1, "output": 3, "write": "1.5", "write_1h": "2.5", "read": "0.25"}})
    assert dollars("m", {"cache_write_tokens": MILLION, "cache_write_1h_tokens": MILLION}, own) == Decimal("2.5")
    assert dollars("m", {"cache_write_tokens": MILLION}, own) == Decimal("1.5")
    assert dollars("m", {"cache_read_tokens": MILLION}, own) == Decimal("0.25")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"input": 1}, "m: `input` and `output` must be prices"),
        ({"input": 1, "output": "dear"}, "m: `input` and `output` must be prices"),
        ({"input": -1, "output": 1}, "m: prices must be numbers of at least 0"),
        ({"input": 1, "output": "inf"}, "m: prices must be numbers of at least 0"),
        ({"input": 1, "output": 1, "read": "-0.1"}, "m: prices must be numbers of at least 0"),
    ],
)
def test_a_wrong_price_in_the_settings_is_refused_with_its_model(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Prices({"m": values})


def test_the_cost_of_one_call_is_limited_to_the_range_of_its_column() -> None:
    dear = Prices({"m": {"input": "1000000", "output": 0}})
    assert dollars("m", {"input_tokens": MILLION}, dear) == 100_000
