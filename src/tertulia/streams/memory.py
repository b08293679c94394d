"""The log in this process's memory: a stream for each generation, and a doorbell for those who wait."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from uuid import UUID

from tertulia.failpoints import Failpoint
from tertulia.streams.events import GenerationEvent
from tertulia.streams.journal import Journal
from tertulia.streams.lease import Lease
from tertulia.streams.log import SILENCE
from tertulia.streams.notifier import Notifier
from tertulia.streams.stream import Follower, Stream

LIFE_AFTER_END = 15 * 60.0
"""Seconds for which a finished log can still be read."""
KEPT_BYTES = 64_000_000
"""What finished logs may take together; beyond it the oldest go first."""
WRITING = Failpoint("journal.writing")
SLACK = 0.01
"""Seconds by which a timer may be early."""


class MemoryLog:
    """An EventLog for one process. With a journal, what was seen outlives the process."""

    def __init__(self, journal: Journal | None = None, life_after_end: float = LIFE_AFTER_END) -> None:
        """Take the journal, if any, and the seconds for which a finished log is kept."""
        self._journal = journal
        self._life_after_end = life_after_end
        self._streams: dict[UUID, Stream] = {}
        self._notifier = Notifier()
        self._ended: deque[tuple[float, Stream, int]] = deque()
        self._ended_bytes = 0

    @property
    def waits(self) -> float:
        """Nothing waits here."""
        return 0.0

    def open(self, generation_id: UUID, lease: Lease, events: Sequence[GenerationEvent] = ()) -> Stream:
        """Begin to write a log, after the events that are there already."""
        before = self._streams.get(generation_id)
        stream = self._streams[generation_id] = Stream(generation_id, events, lease=lease)
        if before is not None:
            before.close()
        self._notifier.notify(generation_id)
        return stream

    def append(self, generation_id: UUID, events: Sequence[GenerationEvent]) -> None:
        """Keep events and wake their readers; those of a released log are dropped."""
        if self.keep(generation_id, events):
            self.show(generation_id, events[-1].sequence, events)

    def saved(self, generation_id: UUID, sequence: int) -> None:
        """Show what was kept while the lease had lapsed."""
        stream = self._streams.get(generation_id)
        if stream is not None:
            self.show(generation_id, stream.last)

    def keep(self, generation_id: UUID, events: Sequence[GenerationEvent]) -> bool:
        """Keep events without showing them yet; False where the log is released, or has ended."""
        stream = self._streams.get(generation_id)
        if stream is None or stream.ended or not events:
            return False
        for event in events:
            stream.append(event)
        return True

    def show(self, generation_id: UUID, upto: int, fresh: Sequence[GenerationEvent] = ()) -> None:
        """Let readers see the events up to a number; nothing while the lease has lapsed.

        Whatever readers of this process see of its own answers passes here. `fresh`: the newest of the events, where
        the caller has them.
        """
        stream = self._streams.get(generation_id)
        if stream is None or upto <= stream.shown or not stream.is_held:
            return
        if self._journal is not None and not (stream.ended and upto == stream.last):
            WRITING.hit(generation_id)
            whole = bool(fresh) and fresh[0].sequence == stream.shown + 1
            self._journal.write(generation_id, fresh if whole else tuple(stream.each(stream.shown, upto)))
            # A process that was frozen since the first look may have written too late for whoever has taken over.
            if not stream.is_held:
                return
        stream.show(upto)
        if stream.over:
            if self._journal is not None:
                self._journal.forget(generation_id)
            self._retire(stream)

    async def check_storage(self) -> None:
        """Raise OSError where the journal cannot be written."""
        if self._journal is not None:
            await asyncio.to_thread(self._journal.check_storage)

    async def flush(self, generation_id: UUID) -> None:
        """Return at once: what was appended is seen."""

    def suspend(self, generation_id: UUID, lease: Lease) -> None:
        """Keep it as it is, held by no process, until one opens it again."""
        stream = self._streams.get(generation_id)
        if stream is not None and stream.lease is lease:
            stream.lease = None

    def release(self, generation_id: UUID, lease: Lease | None = None) -> None:
        """Forget it here; its readers look elsewhere."""
        stream = self._streams.get(generation_id)
        if lease is not None and (stream is None or stream.lease is not lease):
            return
        if self._journal is not None:
            self._journal.close(generation_id)
        stream = self._streams.pop(generation_id, None)
        if stream is not None:
            stream.close()

    async def discard(self, generation_id: UUID) -> None:
        """Forget it, and its journal."""
        self.release(generation_id)
        if self._journal is not None:
            self._journal.forget(generation_id)

    async def take(self, generation_id: UUID, lease: Lease) -> Stream | None:
        """Return the events that are shown; where another process on this machine wrote them, those in its journal."""
        return await self.read(generation_id) or Stream(generation_id)

    async def read(self, generation_id: UUID) -> Stream | None:
        """Return all events so far, or None where the log is gone."""
        stream = self.held(generation_id)
        if stream is not None or self._journal is None:
            return stream
        written = self._journal.read(generation_id)
        return Stream(generation_id, written) if written else None

    def held(self, generation_id: UUID) -> Stream | None:
        """Return what is written here; None where another process may have gone on with it by now."""
        stream = self._streams.get(generation_id)
        return stream if stream is not None and (stream.is_held or stream.lease is None) else None

    async def follow(self, generation_id: UUID, follower: Follower) -> AsyncGenerator[Sequence[GenerationEvent]]:
        """Give what stands behind the follower's number, then what comes, and end behind the terminal event."""
        while True:
            stream, begun = self._streams.get(generation_id), follower.after
            if stream is None:
                if not await self._opens(generation_id):
                    yield []
            # One look: between it and the wait below nothing else runs.
            elif stream.shown > follower.after:
                batch = stream.behind(follower.after)
                follower.after = stream.shown
                yield batch
            elif stream.over:
                return
            else:
                # What is written here comes to an end by itself. What is not may be gone on with elsewhere.
                with stream.followed(follower) as notification:
                    done, _ = await asyncio.wait([notification], timeout=None if stream.is_held else SILENCE)
                if stream.closed or (not done and follower.after == begun):
                    yield []

    async def _opens(self, generation_id: UUID) -> bool:
        """Wait a while for a log that is not written here; say whether it is now."""
        notification = self._notifier.listen(generation_id)
        try:
            await asyncio.wait_for(notification, SILENCE / 5)
        except TimeoutError:
            return False
        finally:
            self._notifier.leave(generation_id, notification)
        return True

    def _retire(self, stream: Stream) -> None:
        """Keep an ended log small, and not for ever."""
        stream.seal()
        now = asyncio.get_running_loop().time()
        self._ended.append((now + self._life_after_end, stream, stream.size))
        self._ended_bytes += stream.size
        asyncio.get_running_loop().call_later(self._life_after_end, self._expire)
        self._expire()

    def _expire(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._ended and (self._ended[0][0] <= now + SLACK or self._ended_bytes > KEPT_BYTES):
            _, stream, size = self._ended.popleft()
            self._ended_bytes -= size
            if self._streams.get(stream.generation_id) is stream:
                self.release(stream.generation_id)
