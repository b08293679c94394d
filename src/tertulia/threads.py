"""Threads for functions of the application that are not async."""

from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar


class WorkerThreads:
    """Runs functions in threads, and limits their number in each event loop."""

    def __init__(self, name: str, most: int) -> None:
        """Initialize with a name that no other instance has, and the maximum number of threads."""
        self._most = most
        self._limiters: RunVar[anyio.CapacityLimiter] = RunVar(f"threads_of_{name}")

    async def run(self, function: Callable[..., Any], *arguments: object) -> Any:
        """Call a function in a thread and return its result.

        A thread cannot be cancelled. If this call is cancelled, its thread is abandoned, and is occupied until the
        function ends.
        """
        return await anyio.to_thread.run_sync(function, *arguments, abandon_on_cancel=True, limiter=self._limiter())

    def _limiter(self) -> anyio.CapacityLimiter:
        try:
            return self._limiters.get()
        except LookupError:
            limiter = anyio.CapacityLimiter(self._most)
            self._limiters.set(limiter)
            return limiter
