"""Threads for functions of the application that are not async, and for work that takes long."""

from collections.abc import Callable
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

MANY = 100
"""From this number of messages on, work on them runs in a thread. Fewer take at most about a millisecond."""
MOST_WORKERS = 4
"""The most threads of `offload`, in each event loop."""
Result = TypeVar("Result")


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


# Not the threads of `asyncio.to_thread`: lookups of names occupy those for seconds, and transactions wait for workers.
_WORKERS = WorkerThreads("long_work", MOST_WORKERS)


async def offload(messages: int, work: Callable[[], Result]) -> Result:
    """Return the result of `work`, which runs in a thread if it handles many messages.

    Unlike the event loop, a thread gives up the interpreter's lock every few milliseconds for others.
    """
    return work() if messages < MANY else await in_thread(work)


async def in_thread(work: Callable[[], Result]) -> Result:
    """Return the result of `work`, which uses the processor for long, and runs in a thread."""
    result: Result = await _WORKERS.run(work)
    return result
