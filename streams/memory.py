"""The log in this process's memory: a list for each generation, and a doorbell for those who wait."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from streams.bells import Bells
from streams.events import GenerationEvent, TerminalEvent
from streams.journal import Journal
from streams.log import SILENCE

LIFE_AFTER_END = 15 * 60.0
"""Seconds for which a finished log can still be read."""


@dataclass(slots=True)
class _Stream:
    events: list[GenerationEvent] = field(default_factory=list[GenerationEvent])

    @property
    def ended(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1], TerminalEvent)


class MemoryLog:
    """An EventLog for one process. With a journal, what was seen outlives the process."""

    def __init__(self, journal: Journal | None = None, life_after_end: float = LIFE_AFTER_END) -> None:
        """Take the journal, if any, and the seconds for which a finished log is kept."""
        self._journal = journal
        self._life_after_end = life_after_end
        self._streams: dict[UUID, _Stream] = {}
        self._bells = Bells()

    def open(self, generation_id: UUID, events: Sequence[GenerationEvent] = ()) -> None:
        """Begin to write a log, behind the events that are there already."""
        self._streams[generation_id] = _Stream(list(events))
        self._bells.ring(generation_id)

    def append(self, event: GenerationEvent) -> None:
        """Keep an event and wake its readers; a released log swallows it."""
        stream = self._streams.get(event.generation_id)
        if stream is None or stream.ended:
            return
        terminal = isinstance(event, TerminalEvent)
        if self._journal is not None and not terminal:
            self._journal.write(event)
        stream.events.append(event)
        self._bells.ring(event.generation_id)
        if terminal:
            if self._journal is not None:
                self._journal.forget(event.generation_id)
            asyncio.get_running_loop().call_later(self._life_after_end, self._expire, event.generation_id, stream)

    async def flush(self, generation_id: UUID) -> None:
        """Return at once: what was appended is seen."""

    def release(self, generation_id: UUID) -> None:
        """Forget it here; its readers look elsewhere."""
        if self._journal is not None:
            self._journal.close(generation_id)
        self._streams.pop(generation_id, None)
        self._bells.ring(generation_id)

    async def discard(self, generation_id: UUID) -> None:
        """Forget it, and its journal."""
        self.release(generation_id)
        if self._journal is not None:
            self._journal.forget(generation_id)

    async def read(self, generation_id: UUID) -> Sequence[GenerationEvent] | None:
        """Give all events so far, or None where the log is gone."""
        return self.events(generation_id) or (self._journal.read(generation_id) or None if self._journal else None)

    def events(self, generation_id: UUID) -> Sequence[GenerationEvent] | None:
        """Give what is in memory."""
        stream = self._streams.get(generation_id)
        return None if stream is None else stream.events

    async def follow(self, generation_id: UUID, after: int) -> AsyncGenerator[Sequence[GenerationEvent]]:
        """Give what stands behind `after`, then what comes, and end behind the terminal event."""
        while True:
            stream = self._streams.get(generation_id)
            # One slice is one look: between it and the wait below nothing else runs.
            batch = stream.events[after:] if stream else []
            if batch:
                after += len(batch)
                yield batch
            elif stream is not None and stream.ended:
                return
            elif not await self.rings(generation_id, None if stream else SILENCE / 5):
                yield []

    async def rings(self, generation_id: UUID, patience: float | None) -> bool:
        """Wait for the next ring; say whether it came in time. Who writes here needs no patience: it always ends."""
        bell = self._bells.listen(generation_id)
        try:
            await asyncio.wait_for(bell, patience)
        except TimeoutError:
            return False
        finally:
            self._bells.leave(generation_id, bell)
        return self._streams.get(generation_id) is not None

    def _expire(self, generation_id: UUID, stream: _Stream) -> None:
        if self._streams.get(generation_id) is stream:
            self.release(generation_id)
