"""Turns of the event loop: a long computation lets other work run every few milliseconds."""

import asyncio
import threading
from time import perf_counter

SLICE = 0.005
"""Seconds for all long computations together in one turn of the event loop."""


class _Turn(threading.local):
    """The current turn of this thread's event loop."""

    began = 0.0
    ends = False


_turn = _Turn()


def _begin() -> None:
    _turn.began, _turn.ends = perf_counter(), False


async def share_loop() -> None:
    """Return at once while this turn has time left; otherwise let the event loop run its other work first.

    All callers share the turn: of many that wait, as many continue in the next turn as fit into it.
    """
    while perf_counter() - _turn.began > SLICE:
        if not _turn.ends:
            # It runs before those that wait here, because they are scheduled after it.
            _turn.ends = True
            asyncio.get_running_loop().call_soon(_begin)
        await asyncio.sleep(0)
