"""Loops over many items, in which a failure affects only its item.

An exception in a loop over generations, conversations or followers would stop the work for all other items, and one at
startup would prevent the server from starting. Therefore each such loop is an `ItemLoop`, with a name.
"""

import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from tertulia.failpoints import Failpoint

FIRST_PAUSE, LONGEST_PAUSE = 30.0, 3600.0
"""Seconds for which a failed item is skipped, at first and at most. Each further failure doubles them."""
MAX_SET_ASIDE = 10_000
"""Failed items that a loop remembers. Those that failed first are forgotten first."""

Item = TypeVar("Item")
Result = TypeVar("Result")

logger = logging.getLogger("tertulia.isolation")
_loops: dict[str, "ItemLoop"] = {}


class ItemLoop:
    """A loop with a name. An item that fails is logged with its id, counted and set aside; the others continue.

    `skips` and `each` skip an item that was set aside until its pause ends, so that a loop that runs every second
    neither retries nor logs it every second. Cancellations are not failures: they propagate.
    """

    def __init__(self, name: str) -> None:
        """Declare a loop, and a failpoint of the same name that is hit before the work on each item."""
        self.name = name
        self.failures = 0
        self.step = Failpoint(name)
        self._set_aside: OrderedDict[object, tuple[float, float]] = OrderedDict()
        _loops[name] = self

    def skips(self, item_id: object) -> bool:
        """Return whether an item is set aside: it has failed, and its pause has not ended."""
        entry = self._set_aside.get(item_id)
        return entry is not None and time.monotonic() < entry[0]

    async def attempt(self, item_id: object, work: Callable[[], Awaitable[Result]]) -> Result | None:
        """Return the result of the work on one item; None if it failed."""
        try:
            self.step.hit(item_id)
            result = await work()
        except Exception as error:  # noqa: BLE001 - a failure of any kind costs only its item
            self.fail(item_id, error)
            return None
        self._set_aside.pop(item_id, None)
        return result

    def attempt_now(self, item_id: object, work: Callable[[], Result]) -> Result | None:
        """Like `attempt`, for synchronous work."""
        try:
            self.step.hit(item_id)
            result = work()
        except Exception as error:  # noqa: BLE001 - a failure of any kind costs only its item
            self.fail(item_id, error)
            return None
        self._set_aside.pop(item_id, None)
        return result

    async def each(self, item_ids: Iterable[Item], work: Callable[[Item], Awaitable[object]]) -> bool:
        """Work on the items one after another, except those that are set aside. Return whether none has failed."""
        has_failed = False
        for item_id in item_ids:
            if not self.skips(item_id):
                await self.attempt(item_id, partial(work, item_id))
                has_failed = has_failed or self.skips(item_id)
        return not has_failed

    @contextmanager
    def guarded(self, item_id: object, otherwise: Callable[[], object]) -> Generator[None]:
        """Run the block for one item. If it fails, call `otherwise`, and continue after the block."""
        try:
            yield
            self.step.hit(item_id)
        except Exception as error:  # noqa: BLE001 - a failure of any kind costs only its item
            self.fail(item_id, error)
            otherwise()

    def fail(self, item_id: object, error: BaseException) -> None:
        """Log and count a failure, and set its item aside."""
        self.failures += 1
        _, pause = self._set_aside.pop(item_id, (0.0, FIRST_PAUSE / 2))
        pause = min(2 * pause, LONGEST_PAUSE)
        self._set_aside[item_id] = time.monotonic() + pause, pause
        if len(self._set_aside) > MAX_SET_ASIDE:
            self._set_aside.popitem(last=False)
        logger.error("%s: %s failed; other items are not affected", self.name, item_id, exc_info=error)


def loops() -> dict[str, ItemLoop]:
    """Return all loops by name."""
    return dict(_loops)


def failures() -> Counter[str]:
    """Return how many items have failed in this process, by the name of their loop."""
    return Counter({name: loop.failures for name, loop in _loops.items()})
