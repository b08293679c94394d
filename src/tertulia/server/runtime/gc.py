"""Garbage collection: small passes often, and full ones while the server is idle.

A pass blocks the event loop for as long as it traverses objects. Permanent objects are frozen at the start, young ones
are traversed a few thousand at a time, and all others wait until the server is idle.
"""

import asyncio
import gc
from collections.abc import Callable

YOUNG = (5_000, 3, 1_000_000)
"""New objects until a first pass, first passes until a second; a full one never starts by itself.

One turn of the loop can have nearly as many live objects, when Claude writes as fast as we read; more would be a pause.
"""
LOOK_SECONDS = 10.0
ENOUGH, TOO_MANY = 20, 200
"""Second passes, of some ten thousand objects each, after which a full one may start, and after which it must.

On a server that is never idle they take about a quarter of an hour, in which memory grows by some 100 MB.
"""


def calm() -> None:
    """Freeze all existing objects, such as modules and the schema, and set the thresholds above."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*YOUNG)


async def collect_when_idle(idle: Callable[[], bool]) -> None:
    """Run full collections while the server is idle, forever."""
    passes_at_collection = _second_passes()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        passes_since = _second_passes() - passes_at_collection
        if passes_since >= TOO_MANY or (passes_since >= ENOUGH and idle()):
            gc.collect()
            passes_at_collection = _second_passes()


def _second_passes() -> int:
    return int(gc.get_stats()[1]["collections"])
