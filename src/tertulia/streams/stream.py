"""The events of one generation, kept small: neighbouring deltas of one block as their pieces, at the end as a text."""

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
"""About how many bytes an event or a run takes besides its text."""


class _Run:
    """Neighbouring deltas of one block: `first` is the number of the first one, `offsets` say where each begins."""

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
        """The UTF-16 that offsets count in; empty where slices need none."""
        return b"" if self.pieces is not None or self.text.isascii() else self.text.encode("utf-16-le", "surrogatepass")

    def slice(self, begin: int, end: int, units: bytes = b"") -> str:
        """Join the pieces from the `begin`-th up to the `end`-th, left out."""
        if self.pieces is not None:
            return "".join(self.pieces[begin:end])
        left = self.offsets[begin] - self.offsets[0]
        right = self.offsets[end] - self.offsets[0] if end < len(self.offsets) else None
        if self.text.isascii():
            return self.text[left:right]
        units = units or self.units
        return units[2 * left : None if right is None else 2 * right].decode("utf-16-le", "surrogatepass")

    def merged(self, generation_id: UUID, begin: int, end: int, units: bytes = b"") -> Delta:
        text = self.slice(begin, end, units)
        return self.kind(generation_id, self.first + end - 1, self.index, self.offsets[begin], text)

    @property
    def size(self) -> int:
        """The bytes of a sealed run's text and offsets."""
        return getsizeof(self.text) + self.offsets.itemsize * len(self.offsets)

    def seal(self) -> None:
        """Keep one text instead of the pieces: nothing is added any more."""
        if self.pieces is not None:
            self.text = "".join(self.pieces)
            self.pieces = None


class Follower:
    """Who follows a stream: `after` is the number of the last event that was handed on.

    With `push`, events are handed on at once, where they are shown; it says whether it took one. What it does not take
    is left to the task that waits for the bell.
    """

    __slots__ = ("_notification", "after", "push")

    def __init__(self, after: int, push: Callable[[GenerationEvent], bool] | None = None) -> None:
        """Begin behind a number."""
        self.after = after
        self.push = push
        self._notification: asyncio.Future[None] | None = None

    def listen(self) -> "asyncio.Future[None]":
        """Give the bell that rings when there is something to take."""
        self._notification = asyncio.get_running_loop().create_future()
        return self._notification

    def notify(self, stream: "Stream") -> None:
        """Hand on what is new, or wake the task."""
        notification = self._notification
        if (
            notification is not None
            and not notification.done()
            and (self.push is None or not self._pushed(stream, self.push))
        ):
            notification.set_result(None)

    def wake(self) -> None:
        """Wake the task, whatever there is."""
        if self._notification is not None and not self._notification.done():
            self._notification.set_result(None)

    def _pushed(self, stream: "Stream", push: Callable[[GenerationEvent], bool]) -> bool:
        for event in stream.behind(self.after):
            if not push(event):
                return False
            self.after = event.sequence
        return True


class Stream:
    """What is known of one generation's events: those numbered `before` + 1 to `last`.

    Readers see them up to `shown`. Many answers have many tokens, so no object is kept for a delta.
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
        "lease",
        "shown",
    )

    def __init__(
        self,
        generation_id: UUID,
        events: Sequence[GenerationEvent] = (),
        before: int = 0,
        lease: Lease | None = None,
    ) -> None:
        """Begin after the number `before`, with events that are shown already; `lease`: that of its writer here."""
        self.generation_id = generation_id
        self.lease = lease
        self.before = self.last = self.shown = before
        self.ended = False
        self.closed = False
        self._parts: list[_Run | GenerationEvent] = []
        self._open: _Run | None = None
        self._newest: GenerationEvent | None = None
        self._followers: list[Follower] = []
        for event in events:
            self.append(event)
        self.shown = self.last

    @property
    def over(self) -> bool:
        """Whether readers have been shown the terminal event."""
        return self.ended and self.shown == self.last

    @property
    def is_held(self) -> bool:
        """Whether this process writes it, and no other one can."""
        return self.lease is not None and self.lease.holds

    @property
    def newest(self) -> GenerationEvent | None:
        """The last event that is shown; None where there is none."""
        found = self.behind(self.shown - 1)
        return found[-1] if found else None

    @property
    def begins_at_one(self) -> bool:
        """Whether nothing is missing at its beginning."""
        first = self._parts[0] if self._parts else None
        return first is not None and (first.first if isinstance(first, _Run) else first.sequence) == 1

    def append(self, event: GenerationEvent) -> None:
        """Keep the next event; a reader sees it when `shown` says so."""
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
        """Let readers see the events up to a number."""
        self.shown = upto
        for follower in tuple(self._followers):
            # Not by a context manager: this is done for each token and follower.
            try:
                follower.notify(self)
                FOLLOWERS.step.hit(self.generation_id)
            except Exception as error:  # noqa: BLE001 - neither the writer nor other followers may pay for it
                FOLLOWERS.fail(self.generation_id, error)
                follower.wake()

    def wake(self) -> None:
        """Let all who follow look around: there may be nothing new here."""
        for follower in self._followers:
            follower.wake()

    def close(self) -> None:
        """Tell all who follow that they must look elsewhere."""
        self.closed = True
        self.wake()

    @contextmanager
    def followed(self, follower: Follower) -> "Generator[asyncio.Future[None]]":
        """Give the bell that rings for a follower who has taken all."""
        self._followers.append(follower)
        try:
            yield follower.listen()
        finally:
            self._followers.remove(follower)

    def behind(self, after: int) -> list[GenerationEvent]:
        """Give what is shown behind a number; neighbouring deltas of one block as one, with the later number."""
        if self._newest is not None and after + 1 == self.shown == self._newest.sequence:
            # What nearly every reader is waiting for needs no search.
            return [self._newest]
        found: list[GenerationEvent] = []
        for part in reversed(self._parts):
            if not isinstance(part, _Run):
                if part.sequence <= after:
                    break
                if part.sequence <= self.shown:
                    found.append(part)
                continue
            if part.last <= after:
                break
            begin, end = max(after + 1 - part.first, 0), min(self.shown + 1 - part.first, len(part.offsets))
            if begin < end:
                found.append(part.merged(self.generation_id, begin, end))
        found.reverse()
        return found

    def each(self, after: int = 0, upto: int | None = None) -> Iterator[GenerationEvent]:
        """Give the events behind a number one by one, up to `upto`, or to the last that is shown."""
        upto = self.shown if upto is None else upto
        for part in self._parts:
            if not isinstance(part, _Run):
                if after < part.sequence <= upto:
                    yield part
                continue
            # Encoded once: for each delta, the time would grow with the square of the text.
            units = part.units
            for place in range(max(after + 1 - part.first, 0), min(upto + 1 - part.first, len(part.offsets))):
                yield part.merged(self.generation_id, place, place + 1, units)

    def seal(self) -> None:
        """Take less memory: nothing is added any more."""
        self._open = self._newest = None
        for part in self._parts:
            if isinstance(part, _Run):
                part.seal()

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes once it is sealed."""
        return sum(
            OBJECT_BYTES + (part.size if isinstance(part, _Run) else len(encode([part]))) for part in self._parts
        )
