"""The event log in the memory of one process."""

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
"""The seconds for which a finished log can be read."""
KEPT_BYTES = 64_000_000
"""The total size of finished logs in bytes. Above it, the oldest are removed."""
WRITING = Failpoint("journal.writing")
SLACK = 0.01
"""The seconds by which a timer may be early."""


class MemoryLog:
    """An EventLog for one process. With a journal, the events that readers have seen survive the process."""

    def __init__(self, journal: Journal | None = None, life_after_end: float = LIFE_AFTER_END) -> None:
        """Create an empty log. Finished logs are kept for `life_after_end` seconds."""
        self._journal = journal
        self._life_after_end = life_after_end
        self._streams: dict[UUID, Stream] = {}
        self._notifier = Notifier()
        self._ended: deque[tuple[float, Stream, int]] = deque()
        self._ended_bytes = 0

    @property
    def longest_wait(self) -> float:
        """Always 0: events in memory do not wait."""
        return 0.0

    def open(self, generation_id: UUID, lease: Lease, events: Sequence[GenerationEvent] = ()) -> Stream:
        """Open a log for writing after `events`."""
        before = self._streams.get(generation_id)
        stream = self._streams[generation_id] = Stream(generation_id, events, lease=lease)
        if before is not None:
            before.close()
        self._notifier.notify(generation_id)
        return stream

    def append(self, generation_id: UUID, events: Sequence[GenerationEvent]) -> None:
        """Append events and notify the readers. Events of a released log are dropped."""
        stream = self.append_hidden(generation_id, events)
        if stream is not None:
            self._show(stream, stream.last, events)

    def mark_saved(self, generation_id: UUID, sequence: int) -> None:
        """Show the events that were appended while the lease had lapsed."""
        stream = self._streams.get(generation_id)
        if stream is not None:
            self.show(generation_id, stream.last)

    def append_hidden(self, generation_id: UUID, events: Sequence[GenerationEvent]) -> Stream | None:
        """Append events without showing them. Return the stream; None if there are no events or it takes none."""
        stream = self._streams.get(generation_id)
        if stream is None or stream.ended or not events:
            return None
        for event in events:
            stream.append(event)
        return stream

    def show(self, generation_id: UUID, last: int) -> None:
        """Show the events up to a sequence number to readers, unless the lease has lapsed."""
        stream = self._streams.get(generation_id)
        if stream is not None:
            self._show(stream, last)

    def _show(self, stream: Stream, last: int, newest: Sequence[GenerationEvent] = ()) -> None:
        """Show events. All events that readers of this process see pass through this method.

        `newest` are the newest events, if the caller has them.
        """
        lease = stream.lease
        if last <= stream.last_visible or lease is None or not lease.seems_held:
            return
        if self._journal is not None and not (stream.ended and last == stream.last):
            if WRITING.is_armed:
                WRITING.hit(stream.generation_id)
            is_complete = bool(newest) and newest[0].sequence == stream.last_visible + 1
            self._journal.write(
                stream.generation_id, newest if is_complete else tuple(stream.iter_events(stream.last_visible, last))
            )
        # A process that was frozen since the first check may have written after another process had taken over.
        if not lease.holds:
            return
        stream.show(last)
        if stream.is_over:
            if self._journal is not None:
                self._journal.forget(stream.generation_id)
            self._retire(stream)

    async def check_storage(self) -> None:
        """Raise OSError if the journal cannot be written."""
        if self._journal is not None:
            await asyncio.to_thread(self._journal.check_storage)

    async def flush(self, generation_id: UUID) -> None:
        """Return at once, because appended events are shown immediately."""

    async def flush_all(self, seconds: float) -> None:
        """Return at once, because appended events are shown immediately."""

    def suspend(self, generation_id: UUID, lease: Lease) -> None:
        """Stop writing a log, which can still be read, until it is opened again."""
        stream = self._streams.get(generation_id)
        if stream is not None and stream.lease is lease:
            stream.lease = None

    def release(self, generation_id: UUID, lease: Lease | None = None) -> None:
        """Remove a log from memory. Its readers look for a log that was opened meanwhile."""
        stream = self._streams.get(generation_id)
        if lease is not None and (stream is None or stream.lease is not lease):
            return
        if self._journal is not None:
            self._journal.close(generation_id)
        stream = self._streams.pop(generation_id, None)
        if stream is not None:
            stream.close()

    async def discard(self, generation_id: UUID) -> None:
        """Remove a log and its journal."""
        self.release(generation_id)
        if self._journal is not None:
            self._journal.forget(generation_id)

    async def take_over(self, generation_id: UUID, lease: Lease) -> Stream | None:
        """Return the visible events, or those in the journal of a former process on this machine."""
        return await self.read(generation_id) or Stream(generation_id)

    async def read(self, generation_id: UUID) -> Stream | None:
        """Return all events so far; None if the log was removed."""
        stream = self.local_stream(generation_id)
        if stream is not None or self._journal is None:
            return stream
        events = self._journal.read(generation_id)
        return Stream(generation_id, events) if events else None

    def local_stream(self, generation_id: UUID) -> Stream | None:
        """Return the stream in memory; None if another process may have continued it."""
        stream = self._streams.get(generation_id)
        return stream if stream is not None and (stream.is_held or stream.lease is None) else None

    async def follow(self, generation_id: UUID, follower: Follower) -> AsyncGenerator[Sequence[GenerationEvent]]:
        """Yield the events after `follower.after`, then new events, and end after the terminal event."""
        while True:
            stream, previous_after = self._streams.get(generation_id), follower.after
            if stream is None:
                if not await self._wait_until_open(generation_id):
                    yield []
            # No other task runs between this check and the wait below.
            elif stream.last_visible > follower.after:
                batch = stream.events_after(follower.after)
                follower.after = stream.last_visible
                yield batch
            elif stream.is_over:
                return
            else:
                # A stream that this process writes always ends. Any other stream may be continued by another process.
                with stream.notifications_for(follower) as notification:
                    done, _ = await asyncio.wait([notification], timeout=None if stream.is_held else SILENCE)
                if stream.closed or (not done and follower.after == previous_after):
                    yield []

    async def _wait_until_open(self, generation_id: UUID) -> bool:
        """Wait until a log is opened in this process. Return False after a timeout."""
        notification = self._notifier.subscribe(generation_id)
        try:
            # Python 3.11's `wait_for` ignores a cancellation that arrives together with the notification.
            async with asyncio.timeout(SILENCE / 5):
                await notification
        except TimeoutError:
            return False
        finally:
            self._notifier.unsubscribe(generation_id, notification)
        return True

    def _retire(self, stream: Stream) -> None:
        """Compact a finished log, and schedule its removal."""
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
