"""Named steps at which a test makes the server fail, or wait.

A module declares its steps when it is imported, so the list of all steps is complete once the server is imported. A
step that is not armed costs one comparison. Only code that runs in the process can arm one: no setting, variable or
request does.
"""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from inspect import isawaitable
from typing import Any

Action = Callable[[Any], Awaitable[None] | None]
"""Called with the item that is at the step; what it raises is raised there, what it returns is awaited there."""

_declared: dict[str, "Failpoint"] = {}


class Failpoint:
    """One named step; `item` is the id of what is being worked on, where there is one."""

    __slots__ = ("_action", "name")

    def __init__(self, name: str) -> None:
        """Declare a step; raise ValueError where another one has its name."""
        if name in _declared:
            raise ValueError(f"There is a failpoint {name} already.")
        _declared[name] = self
        self.name = name
        self._action: Action | None = None

    def hit(self, item: object = None) -> None:
        """Run the action, which must be synchronous."""
        if self._action is not None and isawaitable(self._action(item)):
            raise TypeError(f"The failpoint {self.name} is in code that cannot wait.")

    async def reach(self, item: object = None) -> None:
        """Run the action, and wait for it where it is asynchronous."""
        if self._action is not None and isawaitable(waiting := self._action(item)):
            await waiting

    @contextmanager
    def armed(self, action: Action) -> Generator[None]:
        """Run an action at this step, in all threads, until the block ends."""
        before, self._action = self._action, action
        try:
            yield
        finally:
            self._action = before


def declared() -> dict[str, Failpoint]:
    """Return all steps by name."""
    return dict(_declared)


@contextmanager
def armed(name: str, action: Action) -> Generator[None]:
    """Run an action at the step of that name until the block ends; raise KeyError where there is no such step."""
    with _declared[name].armed(action):
        yield
