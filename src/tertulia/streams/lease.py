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
    """The time until which a process holds a generation. The generation's task renews it; the log checks it.

    A process that was frozen for longer than its lease shows no events until it has read from the database whether
    another process has taken the generation over.
    """

    __slots__ = ("until",)

    def __init__(self, expires_at: datetime | None) -> None:
        """Create a lease from the row's `lease_until`. Without one, the lease has lapsed."""
        # In this order: a process that is frozen between the two lines gets a shorter lease, never a longer one.
        read_at = clock()
        self.until = read_at if expires_at is None else read_at + (expires_at - datetime.now(UTC)).total_seconds()

    @property
    def holds(self) -> bool:
        """Whether no other process can have taken the generation over yet."""
        return clock() < self.until

    @property
    def seconds_left(self) -> float:
        """The seconds until the lease lapses; 0 if it has lapsed."""
        return max(self.until - clock(), 0.0)

    def renew(self, lease: "Lease") -> None:
        """Extend the lease to that of another, which was created before the transaction that renewed the row."""
        self.until = max(self.until, lease.until)

    def never_expire(self) -> None:
        """Never lapse: this process has saved the generation's end, so no other process will write it."""
        self.until = math.inf
