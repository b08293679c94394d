"""Backpressure: while the event loop is late, answers are read less often, and several tokens are processed together.

As long as the loop keeps up, each token is read, stored and sent separately. Without backpressure, answers would delay
each other and all requests: sending a message takes dozens of iterations of the loop.
"""

import asyncio
import time

LOOK_SECONDS = 0.05
LATE = 0.004
"""Seconds of delay of the event loop that are tolerated."""
LONGER, SHORTER = 0.005, 0.001
"""Seconds by which each measurement changes the pause: it grows fast and shrinks slowly."""
LONGEST = 0.060
"""The longest pause, in seconds, which readers do not notice."""


class Backpressure:
    """The pause between two reads of an answer, in seconds; zero while the event loop is on time."""

    def __init__(self) -> None:
        """Initialize without a pause."""
        self.delay = 0.0

    async def watch(self) -> None:
        """Measure periodically how late the event loop is, until cancelled."""
        while True:
            expected_time = time.monotonic() + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
            self.adapt(time.monotonic() - expected_time)

    def adapt(self, late: float) -> None:
        """Adapt the pause to a delay of the event loop, in seconds."""
        if late > LATE:
            self.delay = min(self.delay + LONGER, LONGEST)
        elif late < LATE / 2:
            self.delay = max(self.delay - SHORTER, 0.0)
