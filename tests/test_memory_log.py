"""The event log in memory: retention of ended answers, behavior without a lease, and the journal."""

import asyncio
import errno
import tracemalloc
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from tertulia import failpoints
from tertulia.streams import lease, memory
from tertulia.streams.events import (
    ContentBlockFinished,
    ContentBlockStarted,
    GenerationCompleted,
    GenerationEvent,
    GenerationStarted,
    TextDelta,
)
from tertulia.streams.journal import Journal
from tertulia.streams.lease import Lease
from tertulia.streams.memory import MemoryLog
from tertulia.streams.stream import MOST_PIECES, Follower, Stream

MINUTE, MEGABYTE = 60.0, 1_000_000


class LoopClock:
    """The clock of the running event loop; `skip` advances it and runs the timers that are due."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self._skipped = 0.0
        time = loop.time
        patch.setattr(loop, "time", lambda: time() + self._skipped)

    async def skip(self, seconds: float) -> None:
        self._skipped += seconds
        for _ in range(3):
            await asyncio.sleep(0)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def new_lease() -> Lease:
    return Lease(datetime.now(UTC) + timedelta(seconds=60))


def write(log: MemoryLog, *events: Callable[[UUID, int], GenerationEvent], ended: bool = True) -> UUID:
    """Write a log of `GenerationStarted`, these events and, unless `ended` is false, a terminal event."""
    id, lease = uuid4(), new_lease()
    log.open(id, lease)
    kinds = [GenerationStarted, *events, *([GenerationCompleted] if ended else [])]
    if ended:
        lease.never_expire()
    for number, kind in enumerate(kinds, 1):
        log.append(id, [kind(id, number)])
    # The checkpoint of an answer may follow its end.
    log.mark_saved(id, len(kinds))
    return id


async def sequences(log: MemoryLog, id: UUID) -> list[int] | None:
    stream = await log.read(id)
    return None if stream is None else [event.sequence for event in stream.iter_events()]


async def kept(log: MemoryLog, ids: Sequence[UUID]) -> list[bool]:
    return [await log.read(id) is not None for id in ids]


def test_a_log_can_be_read_for_15_minutes_after_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        clock, log = LoopClock(monkeypatch), MemoryLog()
        first = write(log)
        await clock.skip(10 * MINUTE)
        second = write(log)
        await clock.skip(5 * MINUTE - 1)
        assert await kept(log, [first, second]) == [True, True]
        await clock.skip(2)
        assert await kept(log, [first, second]) == [False, True]
        await clock.skip(10 * MINUTE)
        assert await kept(log, [first, second]) == [False, False]

    run(work())


def test_a_running_log_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        clock, log = LoopClock(monkeypatch), MemoryLog()
        id = write(log, ended=False)
        await clock.skip(60 * MINUTE)
        assert await sequences(log, id) == [1]

    run(work())


TEXT = "x" * MEGABYTE
SHAPES: dict[str, list[Callable[[UUID, int], GenerationEvent]]] = {
    "one long text": [lambda id, number: TextDelta(id, number, 0, 0, TEXT)],
    "a tool result": [lambda id, number: ContentBlockFinished(id, number, 0, {"type": "tool_result", "content": TEXT})],
    "a block with a large start": [
        lambda id, number: ContentBlockStarted(id, number, 0, {"type": "tool_use", "input": {"text": TEXT}})
    ],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_ended_logs_use_at_most_64_megabytes_and_the_oldest_are_removed_first(shape: str) -> None:
    async def work() -> None:
        log = MemoryLog()
        ids = [write(log, *SHAPES[shape]) for _ in range(70)]
        is_kept = await kept(log, ids)
        assert is_kept == sorted(is_kept)
        assert 62 <= sum(is_kept) <= 64

    run(work())


def letter(id: UUID, number: int) -> GenerationEvent:
    return TextDelta(id, number, 0, number, "x")


def test_the_offsets_of_many_small_deltas_count_towards_the_limit() -> None:
    async def work() -> None:
        log = MemoryLog()
        # 0.2 MB of text, and 0.8 MB of offsets.
        first = write(log, *[letter] * 200_000)
        others = [write(log, *SHAPES["one long text"]) for _ in range(63)]
        assert await kept(log, [first, *others]) == [False] + [True] * 63

    run(work())


def test_a_running_log_is_not_removed_to_make_space_for_ended_ones() -> None:
    async def work() -> None:
        log = MemoryLog()
        running = write(log, *SHAPES["one long text"], ended=False)
        for _ in range(70):
            write(log, *SHAPES["one long text"])
        assert await sequences(log, running) == [1, 2]

    run(work())


def test_events_are_hidden_from_a_lapsed_lease_until_its_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        now = 1_000.0
        monkeypatch.setattr("tertulia.streams.lease.clock", lambda: now)
        log, id, lease = MemoryLog(), uuid4(), new_lease()
        stream = log.open(id, lease)
        log.append(id, [GenerationStarted(id, 1)])
        now += 61
        log.append(id, [TextDelta(id, 2, 0, 0, "kept")])
        assert stream.last_visible == 1
        # Another process may have taken the generation over.
        assert await log.read(id) is None
        lease.renew(new_lease())
        log.mark_saved(id, 2)
        assert await sequences(log, id) == [1, 2]

    run(work())


def test_events_are_hidden_after_the_machine_was_suspended_for_longer_than_the_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        log, id = MemoryLog(Journal(tmp_path)), uuid4()
        stream = log.open(id, new_lease())
        log.append(id, [GenerationStarted(id, 1)])
        suspended_at = lease.clock()
        # The faster clock has stopped.
        monkeypatch.setattr(lease, "clock", lambda: suspended_at + 61)
        log.append(id, [TextDelta(id, 2, 0, 0, "late")])
        assert stream.last_visible == 1

    run(work())


@pytest.mark.parametrize("text", ["abcdef", "añbñcñ", "🥕🥕🥕"])
def test_an_ended_log_that_began_in_the_middle_of_a_text_can_be_read_after_any_event(text: str) -> None:
    id, begins_at = uuid4(), 7
    units = [len(piece.encode("utf-16-le")) // 2 for piece in text]
    deltas = [TextDelta(id, number + 1, 0, begins_at + sum(units[:number]), piece) for number, piece in enumerate(text)]
    stream = Stream(id, deltas)
    stream.seal()
    for after in range(len(text)):
        assert (
            "".join(event.text for event in stream.iter_events(after) if isinstance(event, TextDelta)) == text[after:]
        )


@pytest.mark.parametrize("word", ["word ", "wörd ", "🥕 "])
def test_a_long_running_log_is_read_exactly_and_takes_little_more_memory_than_its_text(word: str) -> None:
    id, count = uuid4(), 4 * MOST_PIECES + 7
    size = len(word.encode("utf-16-le")) // 2
    texts = [f"{number % 10}{word}" for number in range(count)]
    events: list[GenerationEvent] = [GenerationStarted(id, 1), ContentBlockStarted(id, 2, 0, {"type": "text"})]
    stream = Stream(id, events)
    tracemalloc.start()
    try:
        for number, text in enumerate(texts):
            stream.append(TextDelta(id, number + 3, 0, number * (size + 1), text))
        snapshot = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    # Servers of other tests may run in other threads.
    here = [tracemalloc.Filter(inclusive=True, filename_pattern=name) for name in ("*/tertulia/streams/*", __file__)]
    used = sum(trace.size for trace in snapshot.filter_traces(here).traces)
    stream.show(count + 2)
    assert len("".join(texts)) < used < (4 * (size + 1) + 24) * count
    assert [event.sequence for event in stream.iter_events()] == list(range(1, count + 3))
    for after in (0, 2, 3, MOST_PIECES + 1, MOST_PIECES + 2, MOST_PIECES + 3, 3 * MOST_PIECES, count + 1):
        (*_, merged) = stream.events_after(after)
        begin = max(after - 2, 0)
        assert merged == TextDelta(id, count + 2, 0, begin * (size + 1), "".join(texts[begin:])), after
    assert [len(stream.events_after(after)) for after in (0, 1, 2, count + 2)] == [3, 2, 1, 0]


def test_events_after_the_terminal_event_are_dropped() -> None:
    async def work() -> None:
        log = MemoryLog()
        id = write(log)
        log.append(id, [TextDelta(id, 3, 0, 0, "late")])
        assert await sequences(log, id) == [1, 2]

    run(work())


def journaled(folder: Path, id: UUID) -> list[int]:
    """Return the numbers of the events that the next process would read from the journal."""
    return [event.sequence for event in Journal(folder).read(id)]


def test_the_journal_has_the_shown_events_and_is_empty_once_the_answer_has_ended(tmp_path: Path) -> None:
    async def work() -> None:
        log = MemoryLog(Journal(tmp_path))
        id = write(log, lambda id, number: TextDelta(id, number, 0, 0, "shown"), ended=False)
        ended = write(log)
        assert (journaled(tmp_path, id), journaled(tmp_path, ended)) == ([1, 2], [])
        assert await sequences(log, ended) == [1, 2]
        await log.discard(id)
        assert (journaled(tmp_path, id), await log.read(id)) == ([], None)

    run(work())
    assert list(tmp_path.iterdir()) == []


def test_the_journal_includes_events_written_while_the_lease_had_lapsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        now = 1_000.0
        for each in ("clock", "fast_clock"):
            monkeypatch.setattr(lease, each, lambda: now)
        log, id, own_lease = MemoryLog(Journal(tmp_path)), uuid4(), new_lease()
        log.open(id, own_lease)
        log.append(id, [GenerationStarted(id, 1)])
        now += 61
        log.append(id, [TextDelta(id, 2, 0, 0, "kept ")])
        assert journaled(tmp_path, id) == [1]
        own_lease.renew(new_lease())
        log.append(id, [TextDelta(id, 3, 0, 5, "shown")])
        assert journaled(tmp_path, id) == [1, 2, 3]
        now += 61
        log.append(id, [TextDelta(id, 4, 0, 10, "saved")])
        own_lease.renew(new_lease())
        log.mark_saved(id, 4)
        assert journaled(tmp_path, id) == [1, 2, 3, 4]
        log.release(id)

    run(work())


def test_no_event_is_shown_that_the_journal_lacks_and_the_next_process_takes_over_what_it_has(tmp_path: Path) -> None:
    def fail(_item: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    async def work() -> None:
        log = MemoryLog(Journal(tmp_path))
        id = write(log, ended=False)
        with failpoints.armed("journal.writing", fail), pytest.raises(OSError, match="Input/output error"):
            log.append(id, [TextDelta(id, 2, 0, 0, "not shown")])
        for each in (log, MemoryLog(Journal(tmp_path))):
            taken_over = await each.take_over(id, new_lease())
            assert taken_over is not None
            assert [event.sequence for event in taken_over.iter_events()] == [1]
            unknown = await each.take_over(uuid4(), new_lease())
            assert unknown is not None
            assert unknown.last == 0
        log.release(id)

    run(work())


def test_a_log_that_waits_for_the_client_can_be_read_without_a_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        now = 1_000.0
        monkeypatch.setattr("tertulia.streams.lease.clock", lambda: now)
        log, id, lease = MemoryLog(), uuid4(), new_lease()
        log.open(id, lease)
        log.append(id, [GenerationStarted(id, 1)])
        log.suspend(id, lease)
        now += 3_600
        # No process holds the lease while the generation waits for the client, so there can be no further events.
        assert await sequences(log, id) == [1]

    run(work())


def test_only_the_lease_with_which_a_log_was_opened_suspends_or_releases_it() -> None:
    async def work() -> None:
        log, id, lease, other = MemoryLog(), uuid4(), new_lease(), new_lease()
        for end in (log.suspend, log.release):
            end(id, lease)
        log.open(id, lease)
        for end in (log.suspend, log.release):
            end(id, other)
        log.append(id, [GenerationStarted(id, 1)])
        assert await sequences(log, id) == [1]
        assert log.longest_wait == 0.0
        log.suspend(id, lease)
        log.append(id, [TextDelta(id, 2, 0, 0, "late")])
        assert await sequences(log, id) == [1]
        log.release(id)
        assert await sequences(log, id) is None

    run(work())


def test_followers_are_told_to_look_elsewhere_when_their_log_is_missing_silent_or_released(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "SILENCE", 0.01)

    async def work() -> None:
        log, id, lease = MemoryLog(), uuid4(), new_lease()
        follower = log.follow(id, Follower(0))
        assert await anext(follower) == []
        log.open(id, lease)
        log.append(id, [GenerationStarted(id, 1)])
        assert [event.sequence for event in await anext(follower)] == [1]
        # No process holds a lease, so another one may continue the answer.
        log.suspend(id, lease)
        assert await anext(follower) == []
        log.open(id, lease, [GenerationStarted(id, 1)])
        waiting = asyncio.ensure_future(anext(follower))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        log.release(id)
        assert await waiting == []
        log.open(id, lease, [GenerationStarted(id, 1)])
        log.append(id, [GenerationCompleted(id, 2)])
        assert [[event.sequence for event in batch] async for batch in follower] == [[2]]

    run(work())


def test_followers_continue_at_once_in_a_log_that_is_opened_for_the_first_time_or_again() -> None:
    async def work() -> None:
        log, id = MemoryLog(), uuid4()
        follower = log.follow(id, Follower(0))
        for sequence in (1, 2):
            waiting = asyncio.ensure_future(anext(follower))
            for _ in range(3):
                await asyncio.sleep(0)
            log.open(id, new_lease(), [GenerationStarted(id, 1), TextDelta(id, 2, 0, 0, "x")][:sequence])
            for _ in range(10):
                await asyncio.sleep(0)
            batch = waiting.result()
            if sequence == 2:
                # The first log was closed, so the caller looks for the log elsewhere.
                assert batch == []
                batch = await anext(follower)
            assert [event.sequence for event in batch] == [sequence]
        await follower.aclose()

    run(work())


def test_a_follower_that_is_cancelled_while_its_log_is_opened_ends_at_once() -> None:
    async def work() -> None:
        log, id = MemoryLog(), uuid4()
        follower = log.follow(id, Follower(0))
        waiting = asyncio.ensure_future(anext(follower))
        await asyncio.sleep(0)
        log.open(id, new_lease())
        waiting.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        assert waiting.cancelled()
        await follower.aclose()

    run(work())
