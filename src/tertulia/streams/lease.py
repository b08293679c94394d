"""The lease of a generation on this process's own clock: until when it may show or send what it has written."""

import math
import time
from datetime import UTC, datetime
from typing import Any

# CLOCK_MONOTONIC stands still on Linux while the machine is suspended; CLOCK_BOOTTIME goes on.
_CLOCK: Any = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def clock() -> float:
    """Return the seconds of a clock that nobody sets, and that goes on while the process or the machine sleeps."""
    return time.clock_gettime(_CLOCK)


class Lease:
    """Until when a process holds a generation. The job renews it, and the log reads it before it shows anything.

    A process that was frozen for longer than its lease finds it lapsed, and is silent until its row tells whether
    another process has taken the generation over.
    """

    __slots__ = ("until",)

    def __init__(self, expires_at: datetime | None) -> None:
        """Take the row's `lease_until`; without one, the lease has lapsed."""
        # In this order: a process that is frozen between the two lines gets a shorter lease, never a longer one.
        begun = clock()
        self.until = begun if expires_at is None else begun + (expires_at - datetime.now(UTC)).total_seconds()

    @property
    def holds(self) -> bool:
        """Whether no other process can have taken the generation over yet."""
        return clock() < self.until

    @property
    def seconds_left(self) -> float:
        """For how many seconds it holds; 0 where it has lapsed."""
        return max(self.until - clock(), 0.0)

    def renew(self, lease: "Lease") -> None:
        """Hold as long as another lease, which was created before the transaction that has renewed the row."""
        self.until = max(self.until, lease.until)

    def settle(self) -> None:
        """Hold for ever: this process has saved the generation's end, so no other one will ever write it."""
        self.until = math.inf
