"""Turns of users at a sandbox process, so that one user's jobs do not keep it busy for all others."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from tertulia.sandbox.process import MAX_WAITING, SandboxBusyError


@dataclass(slots=True)
class _Queue:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class Turns:
    """Lets each user have one job at a time in the queue of a sandbox. Further jobs of the same user wait here."""

    def __init__(self) -> None:
        """Initialize without users."""
        self._queues: dict[UUID, _Queue] = {}

    @asynccontextmanager
    async def of(self, owner: UUID) -> AsyncGenerator[None]:
        """Wait for the end of the user's earlier jobs. Raise SandboxBusyError if too many of them wait."""
        queue = self._queues.setdefault(owner, _Queue())
        if queue.waiting >= MAX_WAITING:
            raise SandboxBusyError(f"{MAX_WAITING} jobs of the user are already waiting")
        queue.waiting += 1
        try:
            async with queue.lock:
                yield
        finally:
            queue.waiting -= 1
            if not queue.waiting:
                self._queues.pop(owner, None)


TURNS = Turns()
"""The turns of the users of this process, for all sandboxes."""
