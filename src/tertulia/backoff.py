"""The delays between attempts of a loop that retries."""

import random
from collections.abc import Callable

_random = random.Random()  # noqa: S311 - it spreads attempts; the state that an application seeds is not touched


class Backoff:
    """Delays with full jitter: each is random, up to a limit that doubles.

    Without jitter, all processes would retry at the same time after the database or Redis was unreachable. Source:
    "Exponential Backoff And Jitter" in the AWS Architecture Blog.
    """

    def __init__(
        self, first: float, longest: float, uniform: Callable[[float, float], float] = _random.uniform
    ) -> None:
        """Start at the first limit.

        Args:
            first: The limit of the first delay, in seconds.
            longest: The largest limit, in seconds.
            uniform: Returns a random number between two numbers.
        """
        self._first = first
        self._longest = longest
        self._uniform = uniform
        self._bound = first

    def next(self) -> float:
        """Return the seconds to wait before the next attempt."""
        delay = self._uniform(0, self._bound)
        self._bound = min(2 * self._bound, self._longest)
        return delay

    def reset(self) -> None:
        """Start again at the first limit, after an attempt that succeeded."""
        self._bound = self._first
