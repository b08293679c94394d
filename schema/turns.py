"""Sharing of the event loop: long computations let other tasks run every few milliseconds."""

import asyncio
import threading
from time import perf_counter

SLICE = 0.005
"""Seconds that all long computations together may use in one turn of the event loop."""


class _Turn(threading.local):
    """The current turn of this thread's event loop."""

    began = 0.0
    ends = False


_turn = _Turn()


def _begin() -> None:
    _turn.began, _turn.ends = perf_counter(), False


async def share_loop() -> None:
    """Return at once while this turn of the event loop has time left; otherwise let other tasks run first.

    All callers share one turn. When many of them wait, as many continue in the next turn as its time allows.
    """
    while perf_counter() - _turn.began > SLICE:
        if not _turn.ends:
            # `_begin` runs before the tasks that wait here, because they are scheduled after it.
            _turn.ends = True
            asyncio.get_running_loop().call_soon(_begin)
        await asyncio.sleep(0)
