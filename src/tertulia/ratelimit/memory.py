"""Moving windows in the memory of one process, with the signatures of the library `limits`, which is used with Redis.

The library's own in-memory storage is not used, because after each request it scans the calls of all users, in a thread
for each user.
"""

import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from limits import RateLimitItem, WindowStats

Identifiers = tuple[str, ...]


class Windows(Protocol):
    """Counts hits in moving windows, with the methods of the strategies of the library `limits`."""

    async def hit(self, item: "RateLimitItem", *identifiers: str, cost: int = 1) -> bool:
        """Count `cost` if it is within the rate, and return whether it is."""
        ...

    async def get_window_stats(self, item: "RateLimitItem", *identifiers: str) -> "WindowStats":
        """Return when the oldest hit leaves the window, in seconds since the epoch, and how much remains."""
        ...


@dataclass(slots=True)
class _Window:
    """The hits in a window, oldest first. Each has a time and a cost."""

    hits: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]])
    used: int = 0

    def remove_hits(self, before: float) -> None:
        while self.hits and self.hits[0][0] <= before:
            self.used -= self.hits.popleft()[1]


class LocalWindows:
    """Counts hits exactly.

    Each hit removes the expired hits of its window, and up to two windows without recent hits.
    """

    def __init__(self) -> None:
        """Initialize without hits."""
        self._windows: dict[RateLimitItem, OrderedDict[Identifiers, _Window]] = {}

    async def hit(self, item: "RateLimitItem", *identifiers: str, cost: int = 1) -> bool:
        """Count `cost` if it is within the rate, and return whether it is."""
        current_time = time.time()
        windows = self._windows.setdefault(item, OrderedDict())
        window = windows.setdefault(identifiers, _Window())
        windows.move_to_end(identifiers)
        window.remove_hits(current_time - item.get_expiry())
        self._sweep(windows, current_time - item.get_expiry())
        if window.used + cost > item.amount:
            return False
        window.hits.append((current_time, cost))
        window.used += cost
        return True

    async def get_window_stats(self, item: "RateLimitItem", *identifiers: str) -> "WindowStats":
        """Return when the oldest hit leaves the window, in seconds since the epoch, and how much remains."""
        from limits import WindowStats

        current_time = time.time()
        windows = self._windows.get(item, OrderedDict[Identifiers, _Window]())
        window = windows.get(identifiers, _Window())
        window.remove_hits(current_time - item.get_expiry())
        oldest = window.hits[0][0] if window.hits else current_time
        return WindowStats(oldest + item.get_expiry(), item.amount - window.used)

    @staticmethod
    def _sweep(windows: OrderedDict[Identifiers, _Window], before: float) -> None:
        # The least recently used windows come first. Each hit adds at most one window, so removing two is enough.
        for _ in range(2):
            first = next(iter(windows))
            if windows[first].hits and windows[first].hits[-1][0] > before:
                return
            if len(windows) > 1:
                del windows[first]
