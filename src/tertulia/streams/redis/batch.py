"""A batch of events for Redis: the state of each answer that the process writes, and the arguments of the script."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tertulia.streams.codec import encode
from tertulia.streams.events import TerminalEvent, ToolResultsRequired
from tertulia.streams.redis.scripts import LIFE_WHILE_WRITTEN, holder_key, journal_key, journal_line, stream_key
from tertulia.streams.stream import Stream

STORE_SECONDS = 1.0
"""The seconds after which events of the journal are stored in the stream of their answer."""
KEPT_SECONDS, KEPT_AFTER_RELEASE = 3.0, 30.0
"""The seconds for which the journal keeps entries for readers, and events of a released answer that its stream lacks
for the process that takes it over."""
RENEW_SECONDS = 60.0
"""The seconds after which the life of keys is extended."""


@dataclass(slots=True)
class Writing:
    """An answer that this process writes."""

    stream: Stream
    tag: str | None = None
    """The hash tag of its partition on a cluster."""
    sent: int = 0
    """The number of the last event in Redis."""
    stored: int = 0
    """The number of the last event in the answer's stream in Redis. The journal has the others."""
    replaces: bool = True
    """Whether the next batch replaces the stream in Redis."""
    is_unsure: bool = False
    """Whether Redis may have lost events, so that the next events are stored in the stream, which also checks it."""
    is_marked: bool = True
    """Whether the stream in Redis has the marker. Without it, all events are stored at once."""
    renewed_at: float = 0.0
    """When the life of the keys was extended."""
    flushed: list[asyncio.Future[None]] = field(default_factory=list[asyncio.Future[None]])
    holder_key: str = field(init=False)
    stream_key: str = field(init=False)
    name: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Format the keys once, and not for each batch."""
        id = self.stream.generation_id
        self.holder_key, self.stream_key = holder_key(id, self.tag), stream_key(id, self.tag)
        self.name = str(id).encode()

    @property
    def may_be_sent(self) -> bool:
        """Whether there are new events, and the lease holds."""
        return self.sent < self.stream.last and self.stream.is_held

    def note_stored(self, last: int, part: "Part", now: float) -> None:
        """Note that the stream in Redis has the events up to `last`, after it has been written."""
        self.sent = self.stored = last
        # If Redis has lost the whole stream, it is created again, with its marker and its life.
        self.replaces, self.is_unsure = last == 0, last < part.end
        self.is_marked = self.replaces or (self.is_marked and not part.unmarks)
        if part.renews:
            self.renewed_at = now

    def resolve(self) -> None:
        """End all calls that wait until Redis has all events."""
        for flushed in self.flushed:
            if not flushed.done():
                flushed.set_result(None)
        self.flushed.clear()


@dataclass(frozen=True, slots=True)
class Part:
    """The part of an answer in a batch."""

    id: UUID
    writing: Writing
    end: int
    line: bytes
    store: Sequence[Any] | None = None
    """The arguments if the events are also stored in the answer's stream."""
    renews: bool = False
    """Whether the life of its keys is extended."""
    unmarks: bool = False
    """Whether the marker is removed."""


def make_part(id: UUID, writing: Writing, now: float, life_after_end: int, *, is_due: bool) -> Part:
    """Return the part of an answer, with all events that Redis lacks. If `is_due`, its events are stored."""
    stream, end = writing.stream, writing.stream.last
    events = list(stream.iter_events(writing.sent, end))
    encoded = encode(events)
    is_last = bool(events) and isinstance(events[-1], (TerminalEvent, ToolResultsRequired))
    line = journal_line(writing.name, end, encoded) if events else b""
    if not (is_due or is_last or writing.replaces or writing.is_unsure or not writing.is_marked):
        return Part(id, writing, end, line)
    if writing.stored != writing.sent:
        encoded = encode(stream.iter_events(writing.stored, end))
    life = _new_life(writing, now, life_after_end)
    flags = ("o" if writing.replaces else "") + ("p" if is_last else "")
    arguments = writing.stored, end, encoded, life, flags
    return Part(id, writing, end, line, arguments, renews=life != "", unmarks=is_last)


def _new_life(writing: Writing, now: float, life_after_end: int) -> int | str:
    if writing.stream.ended:
        return life_after_end
    if writing.replaces or now - writing.renewed_at > RENEW_SECONDS:
        return LIFE_WHILE_WRITTEN
    return ""


@dataclass(frozen=True, slots=True)
class _Tail:
    """Events that only the journal has: the number of its first entry with them, and when it was written."""

    number: int
    since: float


class Journal:
    """The journal of this process in Redis: its numbers, and which entries are still needed."""

    def __init__(self, process: str, tag: str | None) -> None:
        """Initialize the journal of a process, on a cluster for the partition with this hash tag."""
        self.key = journal_key(process, tag)
        self._process = process
        self._in_redis = self._number = 0
        self._renewed_at: float | None = None
        self._tails: dict[UUID, _Tail] = {}
        self._written: deque[tuple[float, int]] = deque()
        self._released: deque[tuple[float, int]] = deque()

    def arguments(self, parts: Sequence[Part], deadline: int, now: float) -> list[Any]:
        """Return the keys and arguments of the script that writes a batch. The stored parts come first."""
        stored = [part for part in parts if part.store is not None]
        lines = b"".join(part.line for part in parts)
        renews = self._renewed_at is None or now - self._renewed_at > RENEW_SECONDS
        keys = [self.key, *(part.writing.holder_key for part in parts)]
        keys += [part.writing.stream_key for part in stored]
        number = self._number + 1
        numbers = self._in_redis, number, lines, number + 1 - self._first_needed(now, number)
        own = self._process, deadline, *numbers, LIFE_WHILE_WRITTEN if renews else "", len(parts), len(stored)
        return [len(keys), *keys, *own, *(argument for part in stored for argument in part.store or ())]

    def note_written(self, parts: Sequence[Part], now: float) -> None:
        """Note that Redis has written a batch."""
        if not any(part.line for part in parts):
            return
        self._number += 1
        self._in_redis = self._number
        self._written.append((now, self._number))
        if self._renewed_at is None or now - self._renewed_at > RENEW_SECONDS:
            self._renewed_at = now

    def resume_after(self, number: int) -> None:
        """Continue a journal whose newest entry in Redis is not the expected one. Numbers are not used again."""
        self._in_redis, self._number = number, max(self._number, number)
        self._renewed_at = None

    def note_tail(self, id: UUID, now: float) -> None:
        """Note that only the journal has the events of an answer."""
        self._tails.setdefault(id, _Tail(self._number, now))

    def forget_tail(self, id: UUID) -> None:
        """Note that the stream of an answer has all events."""
        self._tails.pop(id, None)

    def release(self, id: UUID, now: float) -> None:
        """Keep the events that only the journal has for the process that takes an answer over."""
        tail = self._tails.pop(id, None)
        if tail is not None:
            self._released.append((now + KEPT_AFTER_RELEASE, tail.number))

    def due(self, now: float) -> list[UUID]:
        """Return the answers whose events must be stored now."""
        due: list[UUID] = []
        for id, tail in self._tails.items():
            if now - tail.since < STORE_SECONDS:
                break
            due.append(id)
        return due

    def seconds_until_due(self, now: float) -> float | None:
        """Return the seconds until events must be stored; None if there are none."""
        return next((tail.since + STORE_SECONDS - now for tail in self._tails.values()), None)

    def _first_needed(self, now: float, number: int) -> int:
        while self._written and now - self._written[0][0] > KEPT_SECONDS:
            self._written.popleft()
        while self._released and self._released[0][0] < now:
            self._released.popleft()
        needed = [tail.number for tail in self._tails.values()][:1]
        needed += [first for _, first in self._released]
        needed += [first for _, first in self._written][:1]
        return min([*needed, number])
