"""Garbage collection: frequent small passes, and full ones while the server is idle.

A pass blocks the event loop while it traverses objects. Permanent objects are frozen at the start, young ones are
traversed a few thousand at a time, and all others are traversed when the server is idle.
"""

import asyncio
import gc
from collections.abc import Callable

YOUNG = (5_000, 3, 1_000_000)
"""gc's thresholds: new objects until a pass over the first generation, and such passes until one over the second.

The third threshold prevents full passes, which `collect_when_idle` starts. One turn of the event loop can create nearly
5,000 live objects, when Claude writes as fast as we read. A higher threshold would block the loop for longer.
"""
CHECK_SECONDS = 10.0
"""Seconds between checks whether the server is idle."""
MIN_PASSES, MAX_PASSES = 20, 200
"""Passes over the second generation after which a full pass starts on an idle server, and on any server.

Each traverses some ten thousand objects. On a server that is never idle, 200 passes take about 15 minutes, in which
memory grows by about 100 MB.
"""


def tune_gc() -> None:
    """Freeze all existing objects, such as modules and the schema, and set the thresholds `YOUNG`."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*YOUNG)


async def collect_when_idle(idle: Callable[[], bool]) -> None:
    """Run full collections, forever: when `idle` returns True, and otherwise after `MAX_PASSES`."""
    passes_at_collection = _second_passes()
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        passes_since = _second_passes() - passes_at_collection
        if passes_since >= MAX_PASSES or (passes_since >= MIN_PASSES and idle()):
            gc.collect()
            passes_at_collection = _second_passes()


def _second_passes() -> int:
    return int(gc.get_stats()[1]["collections"])
