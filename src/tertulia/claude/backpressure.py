"""Backpressure: while the event loop is overloaded, answers are read less often, so that tokens are processed together.

While the loop has spare capacity, each token is read, stored and sent separately. In an overloaded loop without
backpressure, answers would delay each other and all requests, because sending a message takes dozens of iterations.

A single late sample says nothing about the load, because any long turn of the loop causes one. The loop is overloaded
if it was late in most samples. For the same reason, CoDel considers only standing queues (RFC 8289).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

SAMPLE_SECONDS = 0.025
"""The seconds between two samples of the loop's lateness while an answer is read."""
IDLE_SAMPLE_SECONDS = 0.25
"""The seconds between two samples at other times, so that an idle process seldom wakes its core."""
LATE = 0.004
"""The tolerated lateness of the loop, in seconds."""
SAMPLES = 8
"""The number of samples after which the delay may shrink."""
MANY_LATE, FEW_LATE = 6, 2
"""The numbers of late samples, of SAMPLES, from which the delay grows, and up to which it may shrink."""
LOW_USE = 0.75
"""The used share of the loop's core below which the delay may shrink. A fuller core would be overloaded without it."""
SHORTEST, LONGEST = 0.010, 0.060
"""The shortest and the longest delay in seconds. Readers do not notice the longest one."""


class Backpressure:
    """Computes the delay between two reads of an answer, in seconds. It is 0 unless the event loop is overloaded."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Initialize without a delay.

        Args:
            clock: Returns the time, in seconds.
            cpu_clock: Returns the CPU time that the current thread has used, in seconds.
            sleep: Waits for a number of seconds.
        """
        self._clock, self._cpu_clock, self._sleep = clock, cpu_clock, sleep
        self.delay = 0.0
        self.on_sample: Callable[[float], None] | None = None
        """Called with the lateness of the loop at each sample, in seconds."""
        self._answers = 0
        self._samples = self._late = 0
        self._used = 0.0

    @contextmanager
    def reading(self) -> Generator[None]:
        """Return a context in which an answer is read. As long as there is one, the loop is measured often."""
        self._answers += 1
        try:
            yield
        finally:
            self._answers -= 1

    async def watch(self) -> None:
        """Measure the load of the event loop until cancelled.

        The loop is measured every SAMPLE_SECONDS while an answer is read or there is a delay, and otherwise every
        IDLE_SAMPLE_SECONDS.
        """
        begun, cpu = self._clock(), self._cpu_clock()
        while True:
            seconds = SAMPLE_SECONDS if self._answers or self.delay else IDLE_SAMPLE_SECONDS
            due = self._clock() + seconds
            await self._sleep(seconds)
            now, used = self._clock(), self._cpu_clock()
            if self.on_sample is not None:
                self.on_sample(max(now - due, 0.0))
            self.adapt(now - due, (used - cpu) / max(now - begun, seconds))
            begun, cpu = now, used

    def adapt(self, late: float, used: float) -> None:
        """Adapt the delay to a sample. Each change of the delay needs new samples.

        Args:
            late: The lateness of the loop, in seconds.
            used: The share of its core that the loop has used since the last sample.
        """
        self._samples += 1
        self._late += late > LATE
        self._used += used
        if self._late >= MANY_LATE:
            self._change(min(max(2 * self.delay, SHORTEST), LONGEST))
        elif self._samples == SAMPLES:
            may_shrink = self._late <= FEW_LATE and self._used < LOW_USE * SAMPLES
            shorter = self.delay / 2 if self.delay > SHORTEST else 0.0
            self._change(shorter if may_shrink else self.delay)

    def _change(self, delay: float) -> None:
        self.delay = delay
        self._samples = self._late = 0
        self._used = 0.0
