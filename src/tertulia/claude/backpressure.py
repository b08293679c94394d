"""Backpressure: while the event loop is overloaded, answers are read less often, so that tokens are processed together.

While the loop has room, each token is read, stored and sent separately. In an overloaded loop without backpressure,
answers would delay each other and all requests, because sending a message takes dozens of iterations of the loop.

One late look at the loop says nothing about its load, because any long turn causes one. Looks are samples: the loop is
overloaded if it was late at most of them. For the same reason, CoDel considers only a queue that stands (RFC 8289).
"""

import asyncio
import time

LOOK_SECONDS = 0.025
"""The seconds between two looks at the loop."""
LATE = 0.004
"""The tolerated lateness of the loop at a look, in seconds."""
LOOKS = 8
"""The number of looks after which the delay may shrink."""
MOST, FEW = 6, 2
"""The numbers of late looks, of LOOKS, from which the delay grows, and up to which it may shrink."""
ROOM = 0.75
"""The used share of the loop's core below which the delay may shrink. A fuller core would have no room without it."""
SHORTEST, LONGEST = 0.010, 0.060
"""The shortest and the longest delay in seconds. Readers do not notice the longest one."""


class Backpressure:
    """Computes the delay between two reads of an answer, in seconds. It is 0 while the event loop has room."""

    def __init__(self) -> None:
        """Initialize without a delay."""
        self.delay = 0.0
        self._looks = self._late = 0
        self._used = 0.0

    async def watch(self) -> None:
        """Measure the load of the event loop every LOOK_SECONDS, until cancelled."""
        begun, cpu = time.monotonic(), time.thread_time()
        while True:
            due = time.monotonic() + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
            now, used = time.monotonic(), time.thread_time()
            self.adapt(now - due, (used - cpu) / max(now - begun, LOOK_SECONDS))
            begun, cpu = now, used

    def adapt(self, late: float, used: float) -> None:
        """Adapt the delay to a look. Each change of the delay needs new looks.

        Args:
            late: The lateness of the loop, in seconds.
            used: The share of its core that the loop has used since the last look.
        """
        self._looks += 1
        self._late += late > LATE
        self._used += used
        if self._late >= MOST:
            self._change(min(max(2 * self.delay, SHORTEST), LONGEST))
        elif self._looks == LOOKS:
            has_room = self._late <= FEW and self._used < ROOM * LOOKS
            shorter = self.delay / 2 if self.delay > SHORTEST else 0.0
            self._change(shorter if has_room else self.delay)

    def _change(self, delay: float) -> None:
        self.delay = delay
        self._looks = self._late = 0
        self._used = 0.0
