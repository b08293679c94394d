"""The rate limits of the Claude account, as each response of the API reports them, and the delay that keeps to them.

The API's limits are token buckets, which fill up continuously and are full at the time of `reset`. So a request that
finds its bucket empty waits for its share, and each further one a little longer. Source: "Rate limits" in the Claude
API documentation.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

PREFIX = "anthropic-ratelimit-"
KINDS = ("requests", "tokens", "input-tokens", "output-tokens")
SHARE = 0.01
"""The part of a limit of tokens that one request is assumed to need: the API may refuse it from there on."""
MAX_DELAY = 15.0
"""The longest delay of a request in seconds. After it, the API decides."""
MAX_MODELS = 64
MINUTE = 60.0
MAX_COUNT = 10**12
"""The largest valid number in a header."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A limit, as a response has reported it.

    Attributes:
        limit: The size of the bucket: requests or tokens a minute.
        remaining: What was left in it at `read_at`.
        reset_at: The Unix time at which it is full again.
        read_at: The Unix time of the response.
    """

    limit: int
    remaining: int
    reset_at: float
    read_at: float

    def seconds_until(self, needed: float, now: float) -> float:
        """Return the seconds until the bucket contains `needed`, at the rate at which it fills up."""
        used, seconds = self.limit - self.remaining, self.reset_at - self.read_at
        rate = used / seconds if used > 0 and seconds > 0 else self.limit / MINUTE
        available = min(self.remaining + rate * max(now - self.read_at, 0.0), self.limit)
        return max(needed - available, 0.0) / rate


class RateLimits:
    """The limits of each model, the requests that have no response yet, and how long requests have waited."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Initialize without limits, which the first response reports."""
        self._clock = clock
        self._limits: dict[str, dict[str, RateLimit]] = {}
        self._pending: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
        """The requests of each model that have no response yet, and those of them that are not sent yet."""
        self.waits = 0
        self.waited_seconds = 0.0
        """The number of requests that were delayed, and the sum of their delays."""

    def __iter__(self) -> Iterator[tuple[str, str, RateLimit]]:
        """Yield each known limit, with its model and its kind."""
        for model, limits in self._limits.items():
            for kind, limit in limits.items():
                yield model, kind, limit

    async def wait(self, model: str, *, has_begun: bool) -> None:
        """Wait until the limits of a model have room for another request, at most MAX_DELAY seconds.

        `finish` must be called after the response, or after a failure.

        Args:
            model: The model's id.
            has_begun: Whether the request continues an answer that users already read. Such a request never waits.
        """
        delay = 0.0 if has_begun else self.delay(model)
        self._pending[model] += 1
        if delay <= 0:
            return
        self.waits += 1
        self.waited_seconds += delay
        self._waiting[model] += 1
        try:
            await asyncio.sleep(delay)
        except asyncio.CancelledError:
            self.finish(model, {})
            raise
        finally:
            self._waiting[model] -= 1

    def delay(self, model: str) -> float:
        """Return the delay of another request for a model in seconds, at most MAX_DELAY."""
        now, limits = self._clock(), self._limits.get(model, {})
        needed = {kind: (self._waiting[model] + 1) * limit.limit * SHARE for kind, limit in limits.items()}
        needed["requests"] = self._pending[model] + 1
        delays = [limit.seconds_until(needed[kind], now) for kind, limit in limits.items()]
        return min(max(delays, default=0.0), MAX_DELAY)

    def finish(self, model: str, headers: Mapping[str, str]) -> None:
        """Record the end of a request, and the limits in the headers of its response; `{}` without a response."""
        self._pending[model] -= 1
        limits = {kind: limit for kind in KINDS if (limit := _limit_in(headers, kind, self._clock())) is not None}
        if limits:
            self._limits.pop(model, None)
            self._limits[model] = limits
        if len(self._limits) > MAX_MODELS:
            oldest = next(iter(self._limits))
            for values in (self._limits, self._pending, self._waiting):
                values.pop(oldest, None)


def _limit_in(headers: Mapping[str, str], kind: str, now: float) -> RateLimit | None:
    """Return the limit of a kind in the headers; None if they have none, or if it is not valid."""
    limit, remaining, reset = (headers.get(f"{PREFIX}{kind}-{name}") for name in ("limit", "remaining", "reset"))
    try:
        rate_limit = RateLimit(
            int(limit or ""), int(remaining or ""), datetime.fromisoformat(reset or "").timestamp(), now
        )
    except (ValueError, OverflowError):
        return None
    return rate_limit if 0 <= rate_limit.remaining <= MAX_COUNT and 0 < rate_limit.limit <= MAX_COUNT else None
