"""The log in this process's memory: a list for each generation, and a doorbell for those who wait."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from streams.events import GenerationEvent, TerminalEvent

LIFE_AFTER_END = 15 * 60.0
"""Seconds for which a finished log can still be read."""


@dataclass(slots=True)
class _Stream:
    events: list[GenerationEvent] = field(default_factory=list[GenerationEvent])
    waiting: list[asyncio.Future[None]] = field(default_factory=list[asyncio.Future[None]])

    @property
    def ended(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1], TerminalEvent)

    def ring(self) -> None:
        # A doorbell carries nothing: a reader that is woken looks for itself, so no event can be lost or doubled.
        for bell in self.waiting:
            if not bell.done():
                bell.set_result(None)
        self.waiting.clear()


class MemoryLog:
    """An EventLog for one process."""

    def __init__(self, life_after_end: float = LIFE_AFTER_END) -> None:
        """Take the seconds for which a finished log is kept."""
        self._life_after_end = life_after_end
        self._streams: dict[UUID, _Stream] = {}

    def open(self, generation_id: UUID) -> None:
        """Begin an empty log."""
        self._streams[generation_id] = _Stream()

    def discard(self, generation_id: UUID) -> None:
        """Forget a log at once; its readers end."""
        stream = self._streams.pop(generation_id, None)
        if stream is not None:
            stream.ring()

    def append(self, event: GenerationEvent) -> None:
        """Keep an event and wake its readers; a discarded log swallows it."""
        stream = self._streams.get(event.generation_id)
        if stream is None or stream.ended:
            return
        stream.events.append(event)
        stream.ring()
        if stream.ended:
            asyncio.get_running_loop().call_later(self._life_after_end, self.discard, event.generation_id)

    def events(self, generation_id: UUID) -> Sequence[GenerationEvent] | None:
        """Give all events so far, or None where the log is gone."""
        stream = self._streams.get(generation_id)
        return None if stream is None else stream.events

    async def follow(self, generation_id: UUID, after: int) -> AsyncIterator[Sequence[GenerationEvent]]:
        """Give what stands behind `after`, then what comes, and end behind the terminal event."""
        stream = self._streams.get(generation_id)
        while stream is not None:
            # One slice is one look: between it and the wait below nothing else runs.
            batch = stream.events[after:]
            if batch:
                after += len(batch)
                yield batch
            elif stream.ended or self._streams.get(generation_id) is not stream:
                return
            else:
                bell = asyncio.get_running_loop().create_future()
                stream.waiting.append(bell)
                await bell
