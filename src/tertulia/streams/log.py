"""What a log of events promises, and what signals promise, whatever carries them."""

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
"""Seconds after which a reader of another process's log is told that nothing came."""


class EventLog(Protocol):
    """The ordered, replayable events of generations.

    Order: events are kept as appended; the n-th has the sequence n. Nothing is appended after a terminal event.
    Atomicity: an event that one reader has seen, every reader sees, also when the writer's process is killed.
    Leases: nothing is shown or sent while the writer's lease has lapsed. It is kept until the lease is renewed
    (`saved`) or the log is released.
    Readers: any number, from any point; a slow one costs the writer nothing and holds no queue of its own.
    Life: a log lives from `open` until some time after its terminal event, then it is gone; a gone log is not an
    empty one.
    """

    @property
    def waits(self) -> float:
        """For how many seconds the oldest event has waited to be seen by everybody; 0 where all are."""
        ...

    def open(self, generation_id: UUID, lease: Lease, events: Sequence[GenerationEvent] = ()) -> object:
        """Begin to write a log in this process, after `events`, which replace what is stored under this id."""
        ...

    def append(self, generation_id: UUID, events: Sequence[GenerationEvent]) -> None:
        """Keep events that came together, and wake their readers; never waits."""
        ...

    def saved(self, generation_id: UUID, sequence: int) -> None:
        """Note that the row has the events up to `sequence`, and that the lease was renewed: they may be shown."""
        ...

    async def flush(self, generation_id: UUID) -> None:
        """Wait until all that was appended can be seen by everybody, or cannot be for now."""
        ...

    def suspend(self, generation_id: UUID, lease: Lease) -> None:
        """Write no more for now: the process that goes on opens it again. No effect where one here has done so."""
        ...

    def release(self, generation_id: UUID, lease: Lease | None = None) -> None:
        """Write it no longer here: another process may, and its readers look there.

        `lease`: only if it was opened with this one.
        """
        ...

    async def discard(self, generation_id: UUID) -> None:
        """Forget a log everywhere: the row was never committed, or was deleted."""
        ...

    async def take(self, generation_id: UUID, lease: Lease) -> Stream | None:
        """Return all events of a log that this process has claimed; its former writer can add none from then on.

        Nothing was shown where it is empty. Returns None where it is incomplete or cannot be read, so that more may
        have been shown than is known; and where the lease ends before.
        """
        ...

    async def read(self, generation_id: UUID) -> Stream | None:
        """Return all events so far, or None where the log is gone, incomplete, or cannot be reached."""
        ...

    def follow(self, generation_id: UUID, follower: Follower) -> AsyncGenerator[Sequence[GenerationEvent]]:
        """Give what is behind the follower's number, then what comes, in batches, and end behind the terminal event.

        A batch is all that has come; neighbouring deltas of one block stand in it as one, with the later number.
        An empty batch says that nothing came for a while, or that the log cannot be reached: the reader looks elsewhere
        whether the generation has ended.
        """
        ...


class Signals(Protocol):
    """Doorbells between processes. One may be lost, so whoever waits for one also looks by itself from time to time."""

    def send(self, name: str, subject: UUID) -> None:
        """Ring in every process, this one included; never waits."""
        ...

    def on(self, name: str, handler: Callable[[UUID], None]) -> None:
        """Call a handler for each ring of that name."""
        ...


class LocalSignals:
    """Signals within one process."""

    def __init__(self) -> None:
        """Begin with no handlers."""
        self._handlers: dict[str, list[Callable[[UUID], None]]] = {}

    def on(self, name: str, handler: Callable[[UUID], None]) -> None:
        """Call a handler for each ring of that name."""
        self._handlers.setdefault(name, []).append(handler)

    def send(self, name: str, subject: UUID) -> None:
        """Ring."""
        for handler in self._handlers.get(name, ()):
            HANDLERS.attempt_now(f"{name} {subject}", partial(handler, subject))
