"""The events of one generation in a compact form: adjacent deltas of one block are stored together."""

import asyncio
from array import array
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from sys import getsizeof
from uuid import UUID

from tertulia.isolation import ItemLoop
from tertulia.streams.codec import encode
from tertulia.streams.events import Delta, GenerationEvent, TerminalEvent
from tertulia.streams.lease import Lease

FOLLOWERS = ItemLoop("followers")
OBJECT_BYTES = 200
"""The approximate size of an event or a run in bytes, without its text."""


class _Run:
    """Adjacent deltas of one block. `first` is the first one's sequence number; `offsets` are where each begins."""

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
        """The text in UTF-16, whose code units offsets count; empty if slices do not need it."""
        return b"" if self.pieces is not None or self.text.isascii() else self.text.encode("utf-16-le", "surrogatepass")

    def slice(self, begin: int, end: int, units: bytes = b"") -> str:
        """Return the text of the pieces from `begin` up to, but not including, `end`."""
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
        """Join the pieces into one text, because no more deltas follow."""
        if self.pieces is not None:
            self.text = "".join(self.pieces)
            self.pieces = None


class Follower:
    """A follower of a stream. `after` is the sequence number of the last event that was delivered.

    With `push`, events are delivered at once when they are shown. `push` returns whether it accepted an event; the task
    that waits for the notification delivers those that it did not accept.
    """

    __slots__ = ("_notification", "after", "push")

    def __init__(self, after: int, push: Callable[[GenerationEvent], bool] | None = None) -> None:
        """Follow the events after a sequence number."""
        self.after = after
        self.push = push
        self._notification: asyncio.Future[None] | None = None

    def listen(self) -> "asyncio.Future[None]":
        """Return a future that is resolved when there are new events."""
        self._notification = asyncio.get_running_loop().create_future()
        return self._notification

    def notify(self, stream: "Stream") -> None:
        """Deliver new events, or wake the task."""
        notification = self._notification
        if (
            notification is not None
            and not notification.done()
            and (self.push is None or not self._push_events(stream, self.push))
        ):
            notification.set_result(None)

    def wake(self) -> None:
        """Wake the task, even if there are no new events."""
        if self._notification is not None and not self._notification.done():
            self._notification.set_result(None)

    def _push_events(self, stream: "Stream", push: Callable[[GenerationEvent], bool]) -> bool:
        for event in stream.events_after(self.after):
            if not push(event):
                return False
            self.after = event.sequence
        return True


class Stream:
    """The events of one generation with the sequence numbers `before` + 1 to `last`.

    Readers see them up to `shown`. To save memory, deltas are not stored as separate objects.
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
        """Begin after the number `before`, with shown events. `lease` is that of a writer in this process."""
        self.generation_id = generation_id
        self.lease = lease
        self.before = self.last = self.last_visible = before
        self.ended = False
        self.closed = False
        self._parts: list[_Run | GenerationEvent] = []
        self._open: _Run | None = None
        self._newest: GenerationEvent | None = None
        self._followers: list[Follower] = []
        for event in events:
            self.append(event)
        self.last_visible = self.last

    @property
    def over(self) -> bool:
        """Whether readers have been shown the terminal event."""
        return self.ended and self.last_visible == self.last

    @property
    def is_held(self) -> bool:
        """Whether this process writes the stream and no other process can."""
        return self.lease is not None and self.lease.holds

    @property
    def newest(self) -> GenerationEvent | None:
        """The last event that is shown; None where there is none."""
        events = self.events_after(self.last_visible - 1)
        return events[-1] if events else None

    @property
    def begins_at_one(self) -> bool:
        """Whether the stream holds the events from sequence number 1 on."""
        first = self._parts[0] if self._parts else None
        return first is not None and (first.first if isinstance(first, _Run) else first.sequence) == 1

    def append(self, event: GenerationEvent) -> None:
        """Append the next event. Readers see it once `shown` has reached its number."""
        self.last = event.sequence
        self._newest = event
        if isinstance(event, Delta):
            run = self._open
            if run is not None and run.pieces is not None and run.index == event.index and run.kind is type(event):
                run.pieces.append(event.text)
                run.offsets.append(event.offset)
            else:
                self._open = _Run(event)
                self._parts.append(self._open)
            return
        self._open = None
        self._parts.append(event)
        self.ended = isinstance(event, TerminalEvent)

    def show(self, upto: int) -> None:
        """Show the events up to a sequence number to readers."""
        self.last_visible = upto
        for follower in tuple(self._followers):
            # No context manager, because this runs for each token and follower.
            try:
                follower.notify(self)
                FOLLOWERS.step.hit(self.generation_id)
            except Exception as error:  # noqa: BLE001 - it must not affect the writer or other followers
                FOLLOWERS.fail(self.generation_id, error)
                follower.wake()

    def wake(self) -> None:
        """Wake all followers, even if there are no new events."""
        for follower in self._followers:
            follower.wake()

    def close(self) -> None:
        """Close the stream. Followers must look up its successor."""
        self.closed = True
        self.wake()

    @contextmanager
    def notifications_for(self, follower: Follower) -> "Generator[asyncio.Future[None]]":
        """Register a follower that has read all events. Yields the future that is resolved when there are new ones."""
        self._followers.append(follower)
        try:
            yield follower.listen()
        finally:
            self._followers.remove(follower)

    def events_after(self, after: int) -> list[GenerationEvent]:
        """Return the shown events after a sequence number. Adjacent deltas are merged, with the last number."""
        if self._newest is not None and after + 1 == self.last_visible == self._newest.sequence:
            # The common case, a reader that lacks only the newest event, needs no search.
            return [self._newest]
        events: list[GenerationEvent] = []
        for part in reversed(self._parts):
            if not isinstance(part, _Run):
                if part.sequence <= after:
                    break
                if part.sequence <= self.last_visible:
                    events.append(part)
                continue
            if part.last <= after:
                break
            begin, end = max(after + 1 - part.first, 0), min(self.last_visible + 1 - part.first, len(part.offsets))
            if begin < end:
                events.append(part.merge(self.generation_id, begin, end))
        events.reverse()
        return events

    def iter_events(self, after: int = 0, upto: int | None = None) -> Iterator[GenerationEvent]:
        """Yield each event after a sequence number, without merging, up to `upto` or the last shown event."""
        upto = self.last_visible if upto is None else upto
        for part in self._parts:
            if not isinstance(part, _Run):
                if after < part.sequence <= upto:
                    yield part
                continue
            # Encoded once: encoding for each delta would take quadratic time.
            units = part.units
            for index in range(max(after + 1 - part.first, 0), min(upto + 1 - part.first, len(part.offsets))):
                yield part.merge(self.generation_id, index, index + 1, units)

    def seal(self) -> None:
        """Reduce memory, because no more events follow."""
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
