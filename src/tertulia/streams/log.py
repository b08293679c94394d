"""The contracts of event logs and of signals between processes."""

from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import Protocol
from uuid import UUID

from tertulia.isolation import ItemLoop
from tertulia.streams.events import GenerationEvent
from tertulia.streams.lease import Lease
from tertulia.streams.stream import Follower, Stream

HANDLERS = ItemLoop("signals.handlers")
SILENCE = 5.0
"""Seconds without events after which a reader of another process's log gets an empty batch."""


class EventLog(Protocol):
    """The ordered, replayable events of generations.

    Order: events stay in the order in which they were appended; the n-th has the sequence n. The terminal one is last.
    Atomicity: an event that one reader has seen, every reader sees, also when the writer's process is killed.
    Leases: no event is shown or sent while the writer's lease has lapsed. Events are buffered until the lease is
    renewed (`saved`) or the log is released.
    Readers: any number, from any point; a slow one costs the writer nothing and holds no queue of its own.
    Life: a log exists from `open` until some time after its terminal event. A removed log differs from an empty one.
    """

    @property
    def waits(self) -> float:
        """The seconds for which the oldest event has waited until all readers can see it; 0 if none waits."""
        ...

    def open(self, generation_id: UUID, lease: Lease, events: Sequence[GenerationEvent] = ()) -> object:
        """Open a log for writing in this process. `events` replace the stored events, and new ones follow them."""
        ...

    def append(self, generation_id: UUID, events: Sequence[GenerationEvent]) -> None:
        """Append events and notify their readers. Never waits."""
        ...

    def saved(self, generation_id: UUID, sequence: int) -> None:
        """Show events up to `sequence`: the database has them, and the lease was renewed."""
        ...

    async def flush(self, generation_id: UUID) -> None:
        """Wait until all readers can see the appended events, or the log's storage is unavailable."""
        ...

    def suspend(self, generation_id: UUID, lease: Lease) -> None:
        """Stop writing until a process opens the log again. No effect if this process has already done so."""
        ...

    def release(self, generation_id: UUID, lease: Lease | None = None) -> None:
        """Stop writing in this process. Another process may continue, and readers follow its log.

        With `lease`, this has no effect on a log that was opened with another lease.
        """
        ...

    async def discard(self, generation_id: UUID) -> None:
        """Remove a log everywhere, because its row was never committed or was deleted."""
        ...

    async def take_over(self, generation_id: UUID, lease: Lease) -> Stream | None:
        """Return all events of a log that this process has claimed, and lock out its former writer.

        No event was shown if the log is empty. Returns None if it is incomplete or cannot be read, in which case
        readers may have seen other events, or if the lease ends before.
        """
        ...

    async def read(self, generation_id: UUID) -> Stream | None:
        """Return all events so far, or None if the log is gone, incomplete or unavailable."""
        ...

    def follow(self, generation_id: UUID, follower: Follower) -> AsyncGenerator[Sequence[GenerationEvent]]:
        """Yield the events after the follower's number, then new ones, in batches. End after the terminal event.

        A batch holds all new events. Adjacent deltas of one block are merged, with the last sequence number. An empty
        batch means that there were no events for a while, or that the log is unavailable: the reader must check in the
        database whether the generation has ended.
        """
        ...


class Signals(Protocol):
    """Notifications between processes. They may be lost, so receivers must also poll from time to time."""

    def send(self, name: str, subject: UUID) -> None:
        """Send a signal to every process, including this one. Never waits."""
        ...

    def on(self, name: str, handler: Callable[[UUID], None]) -> None:
        """Call a handler for each ring of that name."""
        ...


class LocalSignals:
    """Signals within one process."""

    def __init__(self) -> None:
        """Begin without handlers."""
        self._handlers: dict[str, list[Callable[[UUID], None]]] = {}

    def on(self, name: str, handler: Callable[[UUID], None]) -> None:
        """Call a handler for each ring of that name."""
        self._handlers.setdefault(name, []).append(handler)

    def send(self, name: str, subject: UUID) -> None:
        """Call the handlers of a signal."""
        for handler in self._handlers.get(name, ()):
            HANDLERS.attempt_now(f"{name} {subject}", partial(handler, subject))
