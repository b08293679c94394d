"""The contracts of event logs, and of signals between processes."""

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
"""The seconds without events after which a reader of another process's log gets an empty batch."""


class EventLog(Protocol):
    """The ordered, replayable events of generations.

    Order: events stay in the order in which they were appended, and the n-th event has the sequence n. The terminal
    event is the last one.
    Durability: an event that one reader has seen can be seen by every reader, also if the writer's process is killed.
    Leases: no event is shown or sent while the writer's lease has lapsed. Events are buffered until the lease is
    renewed (`mark_saved`) or the log is released.
    Readers: any number of readers can follow a log from any point. A slow reader costs the writer nothing, and has no
    queue.
    Lifetime: a log exists from `open` until some time after its terminal event. A removed log is not an empty log.
    """

    @property
    def longest_wait(self) -> float:
        """The seconds for which the oldest event that readers cannot see yet has been waiting; 0 if there is none."""
        ...

    def open(self, generation_id: UUID, lease: Lease, events: Sequence[GenerationEvent] = ()) -> object:
        """Open a log for writing in this process. `events` replace the stored events, and new events follow them."""
        ...

    def append(self, generation_id: UUID, events: Sequence[GenerationEvent]) -> None:
        """Append events and notify the readers. Returns without waiting."""
        ...

    def mark_saved(self, generation_id: UUID, sequence: int) -> None:
        """Show the events up to `sequence`, because they are saved in the database and the lease was renewed."""
        ...

    async def flush(self, generation_id: UUID) -> None:
        """Wait until all readers can see the appended events. Return at once if the log's storage is unavailable."""
        ...

    async def flush_all(self, seconds: float) -> None:
        """Wait until all readers can see the events appended so far to any log, but at most for `seconds`.

        Returns at once if the log's storage is unavailable.
        """
        ...

    def suspend(self, generation_id: UUID, lease: Lease) -> None:
        """Stop writing until a process opens the log again. Has no effect if this process has already done so."""
        ...

    def release(self, generation_id: UUID, lease: Lease | None = None) -> None:
        """Stop writing in this process. Readers then follow the log of the process that continues.

        With `lease`, this has no effect on a log that was opened with another lease.
        """
        ...

    async def discard(self, generation_id: UUID) -> None:
        """Remove a log in all processes, because its row was deleted or was never committed."""
        ...

    async def take_over(self, generation_id: UUID, lease: Lease) -> Stream | None:
        """Lock out the former writer of a log whose lease this process has acquired, and return all its events.

        Returns:
            The events. If there are none, no reader has seen any. None if the log is incomplete or cannot be read, or
            if the lease lapses first; readers may then have seen other events.
        """
        ...

    async def read(self, generation_id: UUID) -> Stream | None:
        """Return all events so far; None if the log was removed, is incomplete or is unavailable."""
        ...

    def follow(self, generation_id: UUID, follower: Follower) -> AsyncGenerator[Sequence[GenerationEvent]]:
        """Yield the events after `follower.after` in batches, then new events, and end after the terminal event.

        A batch has all new events. Adjacent deltas of one block are merged and have the last sequence number. An empty
        batch means that there were no events for SILENCE seconds, or that the log is unavailable. The reader must then
        check in the database whether the generation has ended.
        """
        ...


class Signals(Protocol):
    """Notifications between processes. They may be lost, so receivers must also poll from time to time."""

    def send(self, name: str, subject: UUID) -> None:
        """Send a signal to every process, including this one. Returns without waiting."""
        ...

    def on(self, name: str, handler: Callable[[UUID], None]) -> None:
        """Call a handler with the subject of each signal of that name."""
        ...


class LocalSignals:
    """Signals within one process."""

    def __init__(self) -> None:
        """Begin without handlers."""
        self._handlers: dict[str, list[Callable[[UUID], None]]] = {}

    def on(self, name: str, handler: Callable[[UUID], None]) -> None:
        """Call a handler with the subject of each signal of that name."""
        self._handlers.setdefault(name, []).append(handler)

    def send(self, name: str, subject: UUID) -> None:
        """Call the handlers of a signal at once."""
        for handler in self._handlers.get(name, ()):
            HANDLERS.attempt_now(f"{name} {subject}", partial(handler, subject))
