"""What a log of events promises, and what signals promise, whatever carries them."""

from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import Protocol
from uuid import UUID

from streams.events import GenerationEvent
from streams.stream import Follower, Stream
from tertulia.isolation import ItemLoop

HANDLERS = ItemLoop("signals.handlers")
SILENCE = 5.0
"""Seconds after which a reader of another process's log is told that nothing came."""


class EventLog(Protocol):
    """The ordered, replayable events of generations.

    Order: events are kept as appended; the n-th has the sequence n. Nothing is appended behind a terminal event.
    Atomicity: an event that one reader has seen, every reader sees, also when the writer's process is killed.
    Readers: any number, from any point; a slow one costs the writer nothing and holds no queue of its own.
    Life: a log lives from `open` until some time after its terminal event, then it is gone; a gone log is not an
    empty one.
    """

    @property
    def waits(self) -> float:
        """For how many seconds the oldest event has waited to be seen by everybody; 0 where all are."""
        ...

    def open(self, generation_id: UUID, events: Sequence[GenerationEvent] = ()) -> object:
        """Begin to write a log in this process, behind the events that another one has left."""
        ...

    def append(self, generation_id: UUID, events: Sequence[GenerationEvent]) -> None:
        """Keep events that came together, and wake their readers; never waits."""
        ...

    async def flush(self, generation_id: UUID) -> None:
        """Wait until all that was appended can be seen by everybody, or cannot be for now."""
        ...

    def suspend(self, generation_id: UUID) -> None:
        """Write no more for now: whoever goes on opens it again, here or elsewhere."""
        ...

    def release(self, generation_id: UUID) -> None:
        """Write it no longer here: another process may, and its readers look there."""
        ...

    async def discard(self, generation_id: UUID) -> None:
        """Forget a log everywhere: the row was never committed, or was deleted."""
        ...

    async def read(self, generation_id: UUID) -> Stream | None:
        """Give all events so far, or None where the log is gone, incomplete, or cannot be reached."""
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
