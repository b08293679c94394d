"""The garbage collector: small passes often, and the whole one when nobody is being answered.

A pass holds the event loop for as long as it has objects to look at. What stays for ever is frozen at the start; what
is young is looked at in thousands; all the rest waits for a quiet moment.
"""

import asyncio
import gc
from collections.abc import Callable

YOUNG = (5_000, 3, 1_000_000)
"""New objects until a first pass, first passes until a second; a whole one never comes by itself.

Fewer would be reached by what is alive within one turn, when Claude writes as fast as we read; more would be a pause.
"""
LOOK_SECONDS = 10.0
ENOUGH, TOO_MANY = 20, 200
"""Second passes, of some ten thousand objects each, behind which a whole one may be, and behind which it must be.

On a server that is never idle they take about a quarter of an hour, in which memory grows by some 100 MB.
"""


def calm() -> None:
    """Leave alone what is there already, modules and schema; from then on as above."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*YOUNG)


async def collect_when_idle(idle: Callable[[], bool]) -> None:
    """Collect everything in quiet moments, for ever."""
    done = _second_passes()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        waiting = _second_passes() - done
        if waiting >= TOO_MANY or (waiting >= ENOUGH and idle()):
            gc.collect()
            done = _second_passes()


def _second_passes() -> int:
    return int(gc.get_stats()[1]["collections"])
