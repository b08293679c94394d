"""The lease of a generation on this process's own clock. It limits until when the process may show or send events."""

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

# On Linux, CLOCK_MONOTONIC stops while the machine is suspended, and CLOCK_BOOTTIME does not.
_CLOCK: Any = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
fast_clock = time.monotonic
"""A clock that cannot be set either, and that needs no system call, but may stop while the machine is suspended."""
clock: Callable[[], float] = partial(time.clock_gettime, _CLOCK)
"""Returns the seconds of a clock that cannot be set, and that does not stop while the process or machine sleeps."""


class Lease:
    """The time until which a process holds a generation. The checkpoint renews it, and the log checks it.

    A process that was frozen for longer than its lease shows no events until it has renewed the lease in the database,
    because another process may have taken over the generation.
    """

    __slots__ = ("fast_until", "until")

    def __init__(self, expires_at: datetime | None) -> None:
        """Create a lease from the row's `lease_until`. If that is None, the lease has lapsed."""
        # In this order: a process that is frozen between the two lines gets a shorter lease, and never a longer one.
        read_at, fast_read_at = clock(), fast_clock()
        seconds = 0.0 if expires_at is None else (expires_at - datetime.now(UTC)).total_seconds()
        self.until, self.fast_until = read_at + seconds, fast_read_at + seconds

    @property
    def holds(self) -> bool:
        """Whether the lease has not lapsed, so that no other process can have taken over the generation."""
        return clock() < self.until

    @property
    def seems_held(self) -> bool:
        """Like `holds`, but cheaper, and wrong if the machine was suspended since the lease was renewed.

        Check `holds` before events are shown or sent.
        """
        return fast_clock() < self.fast_until

    @property
    def seconds_left(self) -> float:
        """The seconds until the lease lapses; 0 if it has lapsed."""
        return max(self.until - clock(), 0.0)

    def renew(self, lease: "Lease") -> None:
        """Extend the lease to that of `lease`, which was created before the transaction that renewed the row."""
        self.until = max(self.until, lease.until)
        self.fast_until = max(self.fast_until, lease.fast_until)

    def never_expire(self) -> None:
        """Make the lease permanent: this process has saved the generation's end, so no other process will write it."""
        self.until = self.fast_until = math.inf
