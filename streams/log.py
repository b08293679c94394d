"""What a log of events promises, whatever keeps it."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol
from uuid import UUID

from streams.events import GenerationEvent


class EventLog(Protocol):
    """The ordered, replayable events of generations.

    Order: events are kept as appended; the n-th has the sequence n. Nothing is appended behind a terminal event.
    Atomicity: an event that one reader has seen, every reader sees, and none is seen before it is kept.
    Readers: any number, from any point; a slow one costs the writer nothing and holds no queue of its own.
    Life: a log lives from `open` until some time after its terminal event, then it is gone; a gone log is not an
    empty one.
    """

    def open(self, generation_id: UUID) -> None:
        """Begin an empty log; called before the generation's row is committed, so that no reader finds none."""
        ...

    def discard(self, generation_id: UUID) -> None:
        """Forget a log at once: the row was never committed, or was deleted."""
        ...

    def append(self, event: GenerationEvent) -> None:
        """Keep an event and wake its readers; never waits."""
        ...

    def events(self, generation_id: UUID) -> Sequence[GenerationEvent] | None:
        """Give all events so far, the n-th at index n - 1, or None where the log is gone."""
        ...

    def follow(self, generation_id: UUID, after: int) -> AsyncIterator[Sequence[GenerationEvent]]:
        """Give what stands behind `after`, then what comes, in batches, and end behind the terminal event."""
        ...
