"""The delays between the attempts of a loop that retries."""

import random
from collections.abc import Callable


class Backoff:
    """Delays with full jitter: each is random, up to a bound that doubles.

    Without jitter, all processes would retry at the same moments after a database or Redis was away. Source:
    "Exponential Backoff And Jitter" in the AWS Architecture Blog.
    """

    def __init__(self, first: float, longest: float, uniform: Callable[[float, float], float] = random.uniform) -> None:
        """Start at the first bound.

        Args:
            first: The bound of the first delay, in seconds.
            longest: The largest bound, in seconds.
            uniform: Returns a random number between two.
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
        """Start again at the first bound, after an attempt that succeeded."""
        self._bound = self._first
