"""Named steps at which a test can make the server fail or wait.

A module declares its steps when it is imported, so the list of steps is complete when the server has been imported. A
step that is not armed costs one comparison. Only code in the same process can arm one: no setting, variable or request
can.
"""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from inspect import isawaitable
from typing import Any

Action = Callable[[Any], Awaitable[None] | None]
"""A function that is called with the item at the step. Its exceptions are raised there, and its result is awaited."""

_declared: dict[str, "Failpoint"] = {}


class Failpoint:
    """A named step. The `item` of its methods is the id of what is being worked on, if any."""

    __slots__ = ("_action", "is_armed", "name")

    def __init__(self, name: str) -> None:
        """Declare a step; raise ValueError if another one has the same name."""
        if name in _declared:
            raise ValueError(f"`name` must be unique: a failpoint {name} exists already.")
        _declared[name] = self
        self.name = name
        self._action: Action | None = None
        self.is_armed = False
        """Whether the step has an action. Steps that run for each token check this before they call `hit`."""

    def hit(self, item: object = None) -> None:
        """Run the action of an armed step; raise TypeError if it is asynchronous."""
        if self._action is not None and isawaitable(self._action(item)):
            raise TypeError(f"The action of the failpoint {self.name} must be synchronous.")

    async def reach(self, item: object = None) -> None:
        """Run the action of an armed step, and wait for it if it is asynchronous."""
        if self._action is not None and isawaitable(pending := self._action(item)):
            await pending

    @contextmanager
    def armed(self, action: Action) -> Generator[None]:
        """Run an action at this step, in all threads, until the block ends."""
        previous, self._action = self._action, action
        self.is_armed = True
        try:
            yield
        finally:
            self._action, self.is_armed = previous, previous is not None


def declared() -> dict[str, Failpoint]:
    """Return all steps by name."""
    return dict(_declared)


@contextmanager
def armed(name: str, action: Action) -> Generator[None]:
    """Run an action at the step with that name until the block ends; raise KeyError if there is none."""
    with _declared[name].armed(action):
        yield
