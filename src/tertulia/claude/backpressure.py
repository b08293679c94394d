"""Backpressure: while the event loop is late, answers are read less often, so that tokens are processed together.

While the loop is on time, each token is read, stored and sent separately. Without backpressure, answers would delay
each other and all requests, because sending a message takes dozens of iterations of the loop.
"""

import asyncio
import time

LOOK_SECONDS = 0.05
"""The seconds between two measurements."""
LATE = 0.004
"""The tolerated lateness of the event loop, in seconds."""
LONGER, SHORTER = 0.005, 0.001
"""The seconds by which one measurement changes the delay, which grows fast and shrinks slowly."""
LONGEST = 0.060
"""The maximum delay in seconds, which readers do not notice."""


class Backpressure:
    """Computes the delay between two reads of an answer, in seconds. It is 0 while the event loop is on time."""

    def __init__(self) -> None:
        """Initialize without a delay."""
        self.delay = 0.0

    async def watch(self) -> None:
        """Measure the lateness of the event loop every LOOK_SECONDS, until cancelled."""
        while True:
            expected_time = time.monotonic() + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
            self.adapt(time.monotonic() - expected_time)

    def adapt(self, late: float) -> None:
        """Adapt the delay to a measured lateness of the event loop, in seconds."""
        if late > LATE:
            self.delay = min(self.delay + LONGER, LONGEST)
        elif late < LATE / 2:
            self.delay = max(self.delay - SHORTER, 0.0)
