"""The events of one generation in a compact form: adjacent deltas of one block are stored together."""

import asyncio
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from sys import getsizeof
from uuid import UUID

from tertulia.isolation import ItemLoop
from tertulia.streams.codec import encode
from tertulia.streams.events import Delta, GenerationEvent, TerminalEvent
from tertulia.streams.lease import Lease

FOLLOWERS = ItemLoop("followers")
PREPARED_AT_ONCE = 50
"""The number of messages that are prepared before they are written. A system call evicts the code that prepares them
from the processor's caches."""
MOST_PIECES = 256
"""The number of deltas in a run. Their texts are then joined, because a short string takes ten times as much memory in
a separate object. Joining all deltas of a long answer again and again would take quadratic time."""
OBJECT_BYTES = 200
"""The approximate size of an event or a run of deltas in bytes, without the text."""


class _Run:
    """Adjacent deltas of one block. `first` is the sequence of the first delta; `offsets` are those of all deltas."""

    __slots__ = ("first", "index", "kind", "offsets", "pieces", "text")

    def __init__(self, delta: Delta) -> None:
        self.kind = type(delta)
        self.index = delta.index
        self.first = delta.sequence
        self.offsets = array("I", [delta.offset])
        self.pieces: list[str] | None = [delta.text]
        self.text = ""

    @property
    def last(self) -> int:
        return self.first + len(self.offsets) - 1

    @property
    def units(self) -> bytes:
        """The text in UTF-16, because offsets count its code units; empty if `slice` does not need it."""
        return b"" if self.pieces is not None or self.text.isascii() else self.text.encode("utf-16-le", "surrogatepass")

    def slice(self, begin: int, end: int, units: bytes = b"") -> str:
        """Return the text of the pieces from the index `begin` up to, but not including, `end`."""
        if self.pieces is not None:
            return "".join(self.pieces[begin:end])
        start = self.offsets[begin] - self.offsets[0]
        stop = self.offsets[end] - self.offsets[0] if end < len(self.offsets) else None
        if self.text.isascii():
            return self.text[start:stop]
        units = units or self.units
        return units[2 * start : None if stop is None else 2 * stop].decode("utf-16-le", "surrogatepass")

    def merge(self, generation_id: UUID, begin: int, end: int, units: bytes = b"") -> Delta:
        text = self.slice(begin, end, units)
        return self.kind(generation_id, self.first + end - 1, self.index, self.offsets[begin], text)

    @property
    def size(self) -> int:
        """The size of a sealed run's text and offsets in bytes."""
        return getsizeof(self.text) + self.offsets.itemsize * len(self.offsets)

    def seal(self) -> None:
        """Join the pieces into one text to save memory. No more deltas may follow."""
        if self.pieces is not None:
            self.text = "".join(self.pieces)
            self.pieces = None


class Push(ABC):
    """Delivers events in the turn of the event loop in which they are shown, which saves waking a task for each."""

    __slots__ = ("write",)

    def __init__(self, write: Callable[[bytes], object]) -> None:
        """Initialize with a function that writes messages without waiting."""
        self.write = write

    @abstractmethod
    def message(self, event: GenerationEvent) -> bytes | None:
        """Return the message to write for an event; None if the task that follows must deliver it."""


class Follower:
    """A follower of a stream. `after` is the sequence number of the last event that was delivered.

    With `push`, events are delivered as soon as they are visible. Those for which it has no message are delivered by
    the task that waits for the notification.
    """

    __slots__ = ("_notification", "after", "push")

    def __init__(self, after: int, push: Push | None = None) -> None:
        """Follow the events after a sequence number."""
        self.after = after
        self.push = push
        self._notification: asyncio.Future[None] | None = None

    def listen(self) -> "asyncio.Future[None]":
        """Return a future that is resolved when there are new events."""
        self._notification = asyncio.get_running_loop().create_future()
        return self._notification

    def messages(self, stream: "Stream", batches: dict[int, list[GenerationEvent]]) -> bytes:
        """Return what to write for the new events, or wake the task. Empty if there is nothing to write.

        Args:
            stream: The stream that is followed.
            batches: The new events after each sequence number. Followers with the same `after` share the objects, so
                that an event is encoded once for all of them.
        """
        push = self.push
        if self._notification is None or push is None:
            self.wake()
            return b""
        events = batches.get(self.after)
        if events is None:
            events = batches[self.after] = stream.events_after(self.after)
        messages = b""
        for event in events:
            message = push.message(event)
            if message is None:
                self.wake()
                break
            self.after = event.sequence
            # Adding to empty bytes copies nothing, and nearly always there is one event.
            messages += message
        return messages

    def wake(self) -> None:
        """Wake the task, even if there are no new events."""
        notification, self._notification = self._notification, None
        if notification is not None and not notification.done():
            notification.set_result(None)


class Stream:
    """The events of one generation with the sequence numbers `before` + 1 to `last`.

    Readers see the events up to `last_visible`. To save memory, deltas are not stored as separate objects.
    """

    __slots__ = (
        "_followers",
        "_newest",
        "_open",
        "_parts",
        "before",
        "closed",
        "ended",
        "generation_id",
        "last",
        "last_visible",
        "lease",
    )

    def __init__(
        self,
        generation_id: UUID,
        events: Sequence[GenerationEvent] = (),
        before: int = 0,
        lease: Lease | None = None,
    ) -> None:
        """Initialize with events that are visible at once.

        Args:
            generation_id: The generation.
            events: The first events of the stream.
            before: The sequence number before the first event.
            lease: The lease of the writer, if this process writes the stream.
        """
        self.generation_id = generation_id
        self.lease = lease
        self.before = self.last = self.last_visible = before
        self.ended = False
        self.closed = False
        self._parts: list[_Run | GenerationEvent] = []
        self._open: _Run | None = None
        self._newest: GenerationEvent | None = None
        self._followers: dict[Follower, None] = {}
        for event in events:
            self.append(event)
        self.last_visible = self.last

    @property
    def is_over(self) -> bool:
        """Whether the terminal event is visible."""
        return self.ended and self.last_visible == self.last

    @property
    def is_held(self) -> bool:
        """Whether this process writes the stream, and its lease has not lapsed."""
        return self.lease is not None and self.lease.holds

    @property
    def newest(self) -> GenerationEvent | None:
        """The last visible event; None if there is none."""
        events = self.events_after(self.last_visible - 1)
        return events[-1] if events else None

    @property
    def begins_at_one(self) -> bool:
        """Whether the stream has the events from sequence number 1 on."""
        first = self._parts[0] if self._parts else None
        return first is not None and (first.first if isinstance(first, _Run) else first.sequence) == 1

    def append(self, event: GenerationEvent) -> None:
        """Append the next event. Readers see it when `show` has been called."""
        self.last = event.sequence
        self._newest = event
        if isinstance(event, Delta):
            run = self._open
            if run is not None and run.pieces is not None and run.index == event.index and run.kind is type(event):
                run.pieces.append(event.text)
                run.offsets.append(event.offset)
                if len(run.pieces) == MOST_PIECES:
                    run.seal()
            else:
                self._open = _Run(event)
                self._parts.append(self._open)
            return
        self._open = None
        self._parts.append(event)
        self.ended = isinstance(event, TerminalEvent)

    def show(self, last: int) -> None:
        """Make the events up to the sequence number `last` visible, and deliver them to followers or wake these."""
        self.last_visible = last
        batches: dict[int, list[GenerationEvent]] = {}
        prepared: list[tuple[Callable[[bytes], object], bytes]] = []
        for follower in tuple(self._followers):
            # Without a context manager, because this runs for each token and each follower.
            try:
                if FOLLOWERS.step.is_armed:
                    FOLLOWERS.step.hit(self.generation_id)
                messages = follower.messages(self, batches)
                if messages and follower.push is not None:
                    prepared.append((follower.push.write, messages))
            except Exception as error:  # noqa: BLE001 - a failure must not affect the writer or other followers
                FOLLOWERS.fail(self.generation_id, error)
                follower.wake()
            if len(prepared) == PREPARED_AT_ONCE:
                self._write(prepared)
                prepared.clear()
        self._write(prepared)

    def _write(self, prepared: list[tuple[Callable[[bytes], object], bytes]]) -> None:
        for write, messages in prepared:
            try:
                write(messages)
            except Exception as error:  # noqa: BLE001 - the socket is lost, which the task that reads it notices
                FOLLOWERS.fail(self.generation_id, error)

    def wake(self) -> None:
        """Wake all followers, even if there are no new events."""
        for follower in tuple(self._followers):
            follower.wake()

    def close(self) -> None:
        """Close the stream, and wake its followers, which must look for another stream of the generation."""
        self.closed = True
        self.wake()

    @contextmanager
    def notifications_for(self, follower: Follower) -> "Generator[asyncio.Future[None]]":
        """Register a follower that has read all events. Yields a future that is resolved when there are new events."""
        self._followers[follower] = None
        try:
            yield follower.listen()
        finally:
            self._followers.pop(follower, None)

    def events_after(self, after: int) -> list[GenerationEvent]:
        """Return the visible events after a sequence number. Adjacent deltas are merged and have the last number."""
        if self._newest is not None and after + 1 == self.last_visible == self._newest.sequence:
            # The common case: the reader lacks only the newest event, which needs no search.
            return [self._newest]
        events: list[GenerationEvent] = []
        for part in self._parts_after(after):
            if not isinstance(part, _Run):
                if part.sequence <= self.last_visible:
                    events.append(part)
                continue
            begin, end = max(after + 1 - part.first, 0), min(self.last_visible + 1 - part.first, len(part.offsets))
            if begin < end:
                events.append(part.merge(self.generation_id, begin, end))
        return [_merged([*group]) for _, group in groupby(events, _block_of)] if len(events) > 1 else events

    def iter_events(self, after: int = 0, last: int | None = None) -> Iterator[GenerationEvent]:
        """Yield each event after the number `after`, unmerged, up to the number `last` or the last visible event."""
        last = self.last_visible if last is None else last
        for part in self._parts_after(after):
            if not isinstance(part, _Run):
                if part.sequence <= last:
                    yield part
                continue
            # Encoded once, because encoding for each delta would take quadratic time.
            units = part.units
            for index in range(max(after + 1 - part.first, 0), min(last + 1 - part.first, len(part.offsets))):
                yield part.merge(self.generation_id, index, index + 1, units)

    def _parts_after(self, after: int) -> "list[_Run | GenerationEvent]":
        """Return the parts that have events after a number. They are the last ones, so the others are not read."""
        start = len(self._parts)
        while start and _last_of(self._parts[start - 1]) > after:
            start -= 1
        return self._parts[start:]

    def seal(self) -> None:
        """Compact the stream to save memory. No more events may follow."""
        self._open = self._newest = None
        for part in self._parts:
            if isinstance(part, _Run):
                part.seal()

    @property
    def size(self) -> int:
        """The approximate size of the sealed stream in bytes."""
        return sum(
            OBJECT_BYTES + (part.size if isinstance(part, _Run) else len(encode([part]))) for part in self._parts
        )


def _last_of(part: _Run | GenerationEvent) -> int:
    return part.last if isinstance(part, _Run) else part.sequence


def _block_of(event: GenerationEvent) -> object:
    """Return a value that is equal for adjacent deltas that can be merged, which are parts of different runs."""
    return (type(event), event.index) if isinstance(event, Delta) else event.sequence


def _merged(events: list[GenerationEvent]) -> GenerationEvent:
    """Return one delta for adjacent deltas of one block."""
    first = events[0]
    if len(events) == 1 or not isinstance(first, Delta):
        return first
    text = "".join([event.text for event in events if isinstance(event, Delta)])
    return type(first)(first.generation_id, events[-1].sequence, first.index, first.offset, text)
