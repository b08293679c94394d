"""Notifications for waiting tasks. They have no data: a notified task reads the current state itself."""

import asyncio
from contextlib import suppress
from uuid import UUID


class Notifier:
    """Notifies the tasks that wait for a subject."""

    def __init__(self) -> None:
        """Initialize without subscriptions."""
        self._waiting: dict[UUID, list[asyncio.Future[None]]] = {}

    def notify(self, subject: UUID) -> None:
        """Notify all tasks that wait for the subject."""
        for notification in self._waiting.pop(subject, ()):
            if not notification.done():
                notification.set_result(None)

    def notify_all(self) -> None:
        """Notify all waiting tasks."""
        for subject in list(self._waiting):
            self.notify(subject)

    def subscribe(self, subject: UUID) -> asyncio.Future[None]:
        """Return a future that the next notification resolves. To miss nothing, call this before reading the state."""
        notification: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(subject, []).append(notification)
        return notification

    def unsubscribe(self, subject: UUID, notification: asyncio.Future[None]) -> None:
        """Stop waiting for a subject."""
        waiting = self._waiting.get(subject, [])
        with suppress(ValueError):
            waiting.remove(notification)
        if not waiting:
            self._waiting.pop(subject, None)
