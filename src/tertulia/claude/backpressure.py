"""Gathering: while the event loop is late, what an answer's next tokens cost is shared by several of them.

Each token is read, kept and sent by itself as long as there is time for it. Without it, answers would get in each
other's way, and requests in theirs: a send takes dozens of turns of the loop.
"""

import asyncio
import time

LOOK_SECONDS = 0.05
LATE = 0.004
"""Seconds by which the event loop may be late."""
LONGER, SHORTER = 0.005, 0.001
"""Seconds by which each look changes the pause: fast where the loop is late, slow where it is in time again."""
LONGEST = 0.060
"""A pause that nobody who reads takes for one."""


class Backpressure:
    """How many seconds an answer rests behind what it has shown; none while the event loop is in time."""

    def __init__(self) -> None:
        """Begin without a pause."""
        self.pause = 0.0

    async def watch(self) -> None:
        """Look again and again how late the event loop is; ends only by being cancelled."""
        while True:
            due = time.monotonic() + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
            self.adapt(time.monotonic() - due)

    def adapt(self, late: float) -> None:
        """Take by how many seconds the loop was late."""
        if late > LATE:
            self.pause = min(self.pause + LONGER, LONGEST)
        elif late < LATE / 2:
            self.pause = max(self.pause - SHORTER, 0.0)
