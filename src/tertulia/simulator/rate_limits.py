"""The simulated Claude's rate limits: their headers, and the limit that a scenario uses up.

Source: "Rate limits" in the Claude API documentation.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from math import ceil

from tertulia.simulator.request_rules import Refused

LIMITS = {"requests": 4_000, "tokens": 4_000_000, "input-tokens": 2_000_000, "output-tokens": 2_000_000}


class RateLimits:
    """The requests of each model. A scenario can use them up for a time."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._exhausted_until: dict[str, float] = {}

    def exhaust(self, model: str, seconds: float) -> None:
        """Accept no other request for a model for some seconds."""
        self._exhausted_until[model] = self._clock() + seconds

    def check(self, model: str) -> None:
        """Raise Refused if no request for a model is accepted now."""
        wait = self._exhausted_until.get(model, 0.0) - self._clock()
        if wait > 0:
            message = "This request would exceed your organization's rate limit."
            raise Refused(429, "rate_limit_error", message, {"retry-after": str(ceil(wait)), **self.headers(model)})

    def headers(self, model: str | None = None) -> dict[str, str]:
        """Return the headers of a response."""
        now, headers = self._clock(), dict[str, str]()
        exhausted_until = self._exhausted_until.get(model or "", 0.0)
        for name, limit in LIMITS.items():
            is_exhausted = name == "requests" and exhausted_until > now
            reset = datetime.fromtimestamp(exhausted_until if is_exhausted else now + 1, UTC)
            # The bucket of the scenario has room for one request.
            headers[f"anthropic-ratelimit-{name}-limit"] = str(1 if is_exhausted else limit)
            headers[f"anthropic-ratelimit-{name}-remaining"] = str(0 if is_exhausted else limit - 1)
            headers[f"anthropic-ratelimit-{name}-reset"] = reset.isoformat(timespec="milliseconds").replace(
                "+00:00", "Z"
            )
        return headers
