"""Doorbells: those who wait are woken, and look for themselves. A bell carries nothing, so none can be lost."""

import asyncio
from contextlib import suppress
from uuid import UUID


class Bells:
    """A doorbell for each subject that somebody waits for."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._waiting: dict[UUID, list[asyncio.Future[None]]] = {}

    def ring(self, subject: UUID) -> None:
        """Wake all who wait for the subject."""
        for bell in self._waiting.pop(subject, ()):
            if not bell.done():
                bell.set_result(None)

    def ring_all(self) -> None:
        """Wake all who wait for anything."""
        for subject in list(self._waiting):
            self.ring(subject)

    def listen(self, subject: UUID) -> asyncio.Future[None]:
        """Give a future that the next ring resolves; to be asked for before one looks."""
        bell: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(subject, []).append(bell)
        return bell

    def leave(self, subject: UUID, bell: asyncio.Future[None]) -> None:
        """Wait no longer."""
        waiting = self._waiting.get(subject, [])
        with suppress(ValueError):
            waiting.remove(bell)
        if not waiting:
            self._waiting.pop(subject, None)
