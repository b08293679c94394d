"""Exact prices of tokens: a table with a version, and overrides by the operator.

Amounts are integers in units of 10⁻¹² US dollars (`db.ledger.UNIT`). Source of the prices: the pricing page of the
Claude API documentation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from tertulia.claude.providers import Provider, canonical_name, is_regional, model_name
from tertulia.db.ledger import UNIT

VERSION = "2026-11-24"
A_MILLION = 1_000_000
WEB_SEARCH = Decimal("0.01")
"""The US dollars for one search by Claude's server tool, with any model."""
LONG_PROMPT = 100_000
"""The number of prompt tokens above which some models cost more."""
REGIONAL = Decimal("1.1")
"""The factor for models that a cloud serves in a region or geography. Source: "Third-party platform pricing" there."""
FAST = 2
"""The factor of the prices of tokens in fast mode. It is the same for all models that support it."""
FROM_US = Decimal("1.1")
"""The factor of the prices of tokens if inference may only run in the US. Source: "Data residency"."""
LARGEST = 10**17
"""The maximum amount of one call in units, which is 100,000 US dollars. A column can store 92 times as much."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms on which the price of a request depends, besides its model and its tokens.

    Attributes:
        speed: The speed, `standard` or `fast`; None for the standard.
        geo: The region in which inference runs, such as `us`; None for any.
    """

    speed: str | None = None
    geo: str | None = None

    @property
    def factor(self) -> Decimal:
        """The factor of the prices of tokens. Searches cost the same."""
        return (FAST if self.speed == "fast" else 1) * (FROM_US if self.geo == "us" else Decimal(1))


STANDARD = Terms()


def terms_of(values: Mapping[str, Any]) -> Terms:
    """Return the terms in the options of a generation, or in the usage that the Messages API reports."""
    return Terms(values.get("speed"), values.get("inference_geo"))


@dataclass(frozen=True, slots=True)
class Price:
    """The prices of a model in US dollars per million tokens. `write`, `write_1h` and `read` are those of the cache."""

    input: Decimal
    output: Decimal
    write: Decimal
    write_1h: Decimal
    read: Decimal
    long_prompt_factor: int = 1

    def times(self, factor: Decimal) -> "Price":
        """Return the price of a model that costs `factor` times as much."""
        names = ("input", "output", "write", "write_1h", "read")
        return replace(self, **{name: getattr(self, name) * factor for name in names})

    def amount(self, usage: Mapping[str, int], terms: Terms = STANDARD) -> int:
        """Return the cost of a call in units. `usage` are token counts by the names of the ledger's columns."""
        return min(int((sum(self.parts(usage, terms).values()) / UNIT).to_integral_value()), LARGEST)

    def parts(self, usage: Mapping[str, int], terms: Terms = STANDARD) -> dict[str, Decimal]:
        """Return the cost of a call in US dollars, by the kind of what it pays for."""
        uncached, cache_read = usage.get("input_tokens", 0), usage.get("cache_read_tokens", 0)
        cache_write, for_an_hour = usage.get("cache_write_tokens", 0), usage.get("cache_write_1h_tokens", 0)
        factor = self.long_prompt_factor if uncached + cache_read + cache_write > LONG_PROMPT else 1
        tokens = {
            "input": self.input * uncached,
            "cache_read": self.read * cache_read,
            "cache_write": self.write * (cache_write - for_an_hour) + self.write_1h * for_an_hour,
            "output": self.output * usage.get("output_tokens", 0),
        }
        parts = {kind: amount * factor * terms.factor / A_MILLION for kind, amount in tokens.items()}
        return parts | {"web_search": WEB_SEARCH * usage.get("web_searches", 0)}


class Prices:
    """The prices of all known models."""

    def __init__(
        self, overrides: Mapping[str, Mapping[str, Any]] | None = None, provider: Provider = Provider.ANTHROPIC
    ) -> None:
        """Initialize with the operator's overrides.

        Args:
            overrides: By model, the US dollars per million tokens by the names of Price's fields. `input` and `output`
                are required; the prices of the cache are derived from `input`.
            provider: The provider of models whose ids name none.

        Raises:
            ValueError: An override is invalid.
        """
        configured = {model: _parse_price(model, values) for model, values in (overrides or {}).items()}
        self._prices = {**TABLE, **configured}
        self._by_id = dict(configured)
        self._provider = provider
        self.version = f"{VERSION}+own" if configured else VERSION

    def of(self, model: str) -> Price | None:
        """Return a model's price; None if it is not known.

        A model of a cloud costs as much as Anthropic's model of the same name, and REGIONAL times as much if the cloud
        serves it in a region. A date at the end of the id is ignored.
        """
        price = self._by_id.get(model)
        if price is None:
            name = model_name(model, self._provider)
            price = self._prices.get(name.name) or self._prices.get(canonical_name(name.name))
            if price is not None:
                price = self._by_id[model] = price.times(REGIONAL) if is_regional(name) else price
        return price

    def amount(self, model: str, usage: Mapping[str, int], terms: Terms = STANDARD) -> int | None:
        """Return the cost of a call in units; None if the price is not known."""
        price = self.of(model)
        return None if price is None else price.amount(usage, terms)


def _parse_price(model: str, values: Mapping[str, Any]) -> Price:
    try:
        base = {name: Decimal(str(values[name])) for name in ("input", "output")}
        cache_prices = {
            name: Decimal(str(values[name])) if name in values else base["input"] * factor
            for name, factor in (("write", Decimal("1.25")), ("write_1h", Decimal(2)), ("read", Decimal("0.1")))
        }
    except (KeyError, ArithmeticError, TypeError) as error:
        raise ValueError(f"{model}: `input` and `output` must be prices in US dollars per million tokens") from error
    if any(not price.is_finite() or price < 0 for price in (*base.values(), *cache_prices.values())):
        raise ValueError(f"{model}: prices must be numbers of at least 0")
    return Price(base["input"], base["output"], cache_prices["write"], cache_prices["write_1h"], cache_prices["read"])


def _price(input: str, output: str, write: str, write_1h: str, read: str, long_prompt_factor: int = 1) -> Price:
    return Price(Decimal(input), Decimal(output), Decimal(write), Decimal(write_1h), Decimal(read), long_prompt_factor)


TABLE = {
    # input, output, cache write for 5 minutes, cache write for an hour, cache read
    "claude-fable-5-2": _price("8", "40", "10", "16", "0.20"),
    "claude-mythos-5-2": _price("8", "40", "10", "16", "0.20"),
    "claude-fable-5-1": _price("10", "50", "12.5", "20", "0.25"),
    "claude-opus-5-5": _price("4", "20", "5", "8", "0.20"),
    "claude-sonnet-5-5": _price("2", "10", "2.5", "4", "0.10"),
    "claude-haiku-5-5": _price("0.10", "0.50", "0.125", "0.20", "0.01", long_prompt_factor=5),
    "claude-fable-5": _price("10", "50", "12.5", "20", "1"),
    "claude-opus-5": _price("5", "25", "6.25", "10", "0.5"),
    "claude-sonnet-5": _price("2", "10", "2.5", "4", "0.2"),
    "claude-opus-4-8": _price("5", "25", "6.25", "10", "0.5"),
    "claude-opus-4-7": _price("5", "25", "6.25", "10", "0.5"),
    "claude-opus-4-6": _price("5", "25", "6.25", "10", "0.5"),
    "claude-opus-4-5": _price("5", "25", "6.25", "10", "0.5"),
    "claude-sonnet-4-6": _price("3", "15", "3.75", "6", "0.3"),
    "claude-sonnet-4-5": _price("3", "15", "3.75", "6", "0.3"),
    "claude-haiku-4-5": _price("1", "5", "1.25", "2", "0.1"),
}
