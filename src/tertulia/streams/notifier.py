"""Doorbells: those who wait are woken, and look for themselves. A bell carries nothing, so none can be lost."""

import asyncio
from contextlib import suppress
from uuid import UUID


class Notifier:
    """A doorbell for each subject that somebody waits for."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._waiting: dict[UUID, list[asyncio.Future[None]]] = {}

    def notify(self, subject: UUID) -> None:
        """Wake all who wait for the subject."""
        for notification in self._waiting.pop(subject, ()):
            if not notification.done():
                notification.set_result(None)

    def notify_all(self) -> None:
        """Wake all who wait for anything."""
        for subject in list(self._waiting):
            self.notify(subject)

    def listen(self, subject: UUID) -> asyncio.Future[None]:
        """Give a future that the next ring resolves; to be asked for before one looks."""
        notification: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(subject, []).append(notification)
        return notification

    def leave(self, subject: UUID, notification: asyncio.Future[None]) -> None:
        """Wait no longer."""
        waiting = self._waiting.get(subject, [])
        with suppress(ValueError):
            waiting.remove(notification)
        if not waiting:
            self._waiting.pop(subject, None)
