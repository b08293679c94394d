"""The reader of logs in Redis, step by step: which commands it sends, and when. The client is in memory."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from types import SimpleNamespace
from typing import Any
from uuid import UUID
from weakref import WeakSet

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from tertulia.streams.codec import encode
from tertulia.streams.events import GenerationCompleted, GenerationEvent, GenerationStarted, TextDelta
from tertulia.streams.redis import reader as redis_reader
from tertulia.streams.redis.reader import RedisReader, _Mirror
from tertulia.streams.redis.scripts import journal_key, journal_line, signals_key, stream_key, wake_key
from tertulia.streams.stream import Follower, Stream

ID, PROCESS, WRITER = UUID(int=7), UUID(int=1), str(UUID(int=2))
ORIGIN, STARTED = {b"p": WRITER.encode(), b"j": b"1"}, GenerationStarted(ID, 1)
STREAM, JOURNAL, SIGNALS, WAKE = stream_key(ID), journal_key(WRITER), signals_key(), wake_key(PROCESS)


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Client:
    """A client of Redis that records the commands, and replies as a test says."""

    def __init__(self) -> None:
        self.newest: Any = []
        """The newest entry of every stream, and of the signals."""
        self.replies: list[Any] = []
        """The replies to the blocking command, which may be errors. Then there are no more entries."""
        self.looked_up: list[str] = []
        self.added: list[str] = []
        self.added_when: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0)
        self.reads: list[tuple[set[str], int]] = []
        """The keys and the time limit in milliseconds of each blocking command."""
        self.signals_after = b""
        """The entry after which the last blocking command has read the signals."""
        self.before_read: Callable[[], object] = lambda: None

    def pipeline(self, **_options: object) -> Any:
        def xrevrange(key: str, **_options: object) -> None:
            self.looked_up.append(key)

        async def execute(*, raise_on_error: bool = True) -> list[Any]:
            if raise_on_error and isinstance(self.newest, Exception):
                raise self.newest
            return [self.newest]

        return SimpleNamespace(xrevrange=xrevrange, execute=execute)

    async def xrevrange(self, *_arguments: object, **_options: object) -> Any:
        return self.newest

    async def xrange(self, key: str, **_options: object) -> list[Any]:
        self.looked_up.append(key)
        return []

    async def xadd(self, key: str, *_arguments: object, **_options: object) -> None:
        await self.added_when()
        self.added.append(key)

    async def expire(self, *_arguments: object) -> None:
        pass

    async def xread(self, positions: dict[str, Any], block: int) -> Any:
        self.before_read()
        self.reads.append((set(positions), block))
        self.signals_after = positions[SIGNALS]
        reply = self.replies.pop(0) if self.replies else None
        if isinstance(reply, BaseException):
            raise reply
        return reply


def with_reader(test: Any) -> None:
    """Run a test with a reader and its client."""

    async def work() -> None:
        client: Any = Client()
        await test(RedisReader(client, PROCESS), client)

    asyncio.run(work())


async def followed(reader: RedisReader, work: Coroutine[Any, Any, None], after: int = 0) -> Any:
    """Do some work while the reader has a follower. Return its first batch; None if it still waits."""
    follower = reader.follow(ID, Follower(after))
    waiting = asyncio.ensure_future(anext(follower))
    await asyncio.sleep(0)
    try:
        await work
        await turns()
        return waiting.result() if waiting.done() else None
    finally:
        waiting.cancel()
        with suppress(asyncio.CancelledError, StopAsyncIteration):
            await waiting
        await follower.aclose()


def test_streams_are_read_every_half_a_second_while_their_journal_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(redis_reader, "time", SimpleNamespace(monotonic=lambda: now[0]))

    async def test(reader: RedisReader, client: Client) -> None:
        client.newest = [(b"1-0", ORIGIN)]

        async def work() -> None:
            for ahead in (0, 0.4, 0.5, 0.9):
                now[0] = 1000.0 + ahead
                await reader._read_once()

        await followed(reader, work())
        every, only_journal = ({SIGNALS, WAKE, JOURNAL, STREAM}, 5000), ({SIGNALS, WAKE, JOURNAL}, 500)
        assert client.reads == [every, only_journal, every, only_journal]
        # The newest entry of a stream is read once.
        assert client.looked_up == [STREAM]

    with_reader(test)


def test_a_stream_without_a_journal_is_always_read() -> None:
    async def test(reader: RedisReader, client: Client) -> None:
        async def work() -> None:
            for _ in range(2):
                await reader._read_once()

        await followed(reader, work())
        assert client.reads == [({SIGNALS, WAKE, STREAM}, 5000)] * 2

    with_reader(test)


def test_a_follower_wakes_the_reader_if_it_needs_events_that_are_not_read_yet() -> None:
    async def test(reader: RedisReader, client: Client) -> None:
        async def begin_earlier() -> None:
            await followed(reader, begin_as_early())

        async def begin_as_early() -> None:
            await followed(reader, turns())

        await followed(reader, begin_earlier(), after=2)
        assert client.added == [WAKE, WAKE]

    with_reader(test)


def test_a_reply_of_the_time_before_a_follower_began_earlier_leaves_no_gap() -> None:
    async def test(reader: RedisReader, client: Any) -> None:
        events: list[GenerationEvent] = [STARTED, TextDelta(ID, 2, 0, 0, "Hello"), GenerationCompleted(ID, 3)]
        last, everything = (b"3-0", {b"e": encode(events[2:])}), (b"3-0", {b"e": encode(events)})
        client.replies = [[(STREAM.encode(), [entry])] for entry in (last, everything)]
        early = reader.follow(ID, Follower(0))
        read, begun = client.xread, list[asyncio.Task[Any]]()

        async def read_slowly(positions: dict[str, Any], block: int) -> Any:
            reply = await read(positions, block)
            if not begun:
                begun.append(asyncio.ensure_future(anext(early)))
                await turns()
            return reply

        async def work() -> None:
            client.xread = read_slowly
            for has_events in (False, True):
                await reader._read_once()
                await turns()
                assert begun[0].done() == has_events
            assert [event.sequence for event in begun[0].result()] == [1, 2, 3]
            await early.aclose()

        assert await followed(reader, work(), after=2) == events[2:]

    with_reader(test)


def test_the_stream_and_the_journal_of_an_ended_answer_are_read_no_more() -> None:
    async def test(reader: RedisReader, client: Client) -> None:
        client.newest = [(b"1-0", ORIGIN)]
        client.replies = [[(STREAM.encode(), [(b"2-0", {b"e": encode([STARTED, GenerationCompleted(ID, 2)])})])]]

        async def work() -> None:
            for _ in range(2):
                await reader._read_once()

        await followed(reader, work())
        assert [keys for keys, _ in client.reads] == [{SIGNALS, WAKE, JOURNAL, STREAM}, {SIGNALS, WAKE}]

    with_reader(test)


def test_the_delays_of_an_outage_begin_again_after_a_success_and_each_outage_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    delays: list[str] = []

    class Delays:
        def __init__(self, *_bounds: float) -> None:
            pass

        def next(self) -> float:
            delays.append("longer")
            return 0.0

        def reset(self) -> None:
            delays.append("reset")

    monkeypatch.setattr(redis_reader, "Backoff", Delays)

    async def test(reader: RedisReader, client: Client) -> None:
        away = [RedisConnectionError() for _ in range(3)]
        client.replies = [*away[:2], None, away[2], asyncio.CancelledError()]
        was_away = list[bool]()
        client.before_read = lambda: was_away.append(reader.away)
        with pytest.raises(asyncio.CancelledError):
            await reader.run()
        assert delays == ["longer", "longer", "reset", "longer"]
        assert was_away == [False, True, True, False, True]
        assert sum("Redis is unavailable, so events" in record.getMessage() for record in caplog.records) == 2

    with_reader(test)


def test_a_damaged_line_with_known_events_is_ignored() -> None:
    mirror = _Mirror(Stream(ID, [STARTED]))
    mirror.extend_by_line(1, b"?")
    assert mirror.expects_more
    mirror.extend([(b"2-0", {b"e": encode([GenerationStarted(ID, 2)])})], 1)
    assert mirror.stream.last == 2


@pytest.mark.parametrize("step", ["lookup", "origin_of", "extend", "extend_by_line", "decode"])
def test_a_log_whose_events_cannot_be_added_is_read_from_the_database_at_once(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise MemoryError

    async def test(reader: RedisReader, client: Client) -> None:
        client.newest = ResponseError("WRONGTYPE") if step == "lookup" else [(b"1-0", ORIGIN)]
        started = encode([STARTED])
        if step == "extend":
            client.replies = [[(STREAM.encode(), [(b"1-0", {b"e": started})])]]
        elif step == "extend_by_line":
            client.replies = [[(JOURNAL.encode(), [(b"2-0", {b"j": journal_line(str(ID).encode(), 1, started)})])]]
        if step == "decode":
            client.replies = [[(STREAM.encode(), [(b"1-0", {b"e": b"?"})])]]
        elif step != "lookup":
            monkeypatch.setattr(redis_reader, step, fail)

        async def work() -> None:
            for _ in range(2):
                await reader._read_once()

        # The empty batch makes the follower read the database.
        assert await followed(reader, work()) == []
        assert [STREAM in keys for keys, _ in client.reads] == [step not in ("lookup", "origin_of"), False]

    with_reader(test)


def test_a_reader_waits_a_second_for_signals_that_are_being_sent() -> None:
    async def test(reader: RedisReader, client: Client) -> None:
        loop, now, sending = asyncio.get_running_loop(), [1000.0], asyncio.Event()
        vars(loop)["time"] = lambda: now[0]
        client.added_when = sending.wait
        reader.signal("stop", ID)
        closing = asyncio.create_task(reader.close())
        for ahead, is_closed in ((0.0, False), (0.9, False), (1.1, True)):
            now[0] = 1000.0 + ahead
            await turns()
            assert closing.done() == is_closed
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with_reader(test)


def test_a_reader_keeps_none_of_its_finished_tasks() -> None:
    async def test(reader: RedisReader, client: Client) -> None:
        reader.signal("stop", ID)
        tasks = WeakSet(asyncio.all_tasks() - {asyncio.current_task()})
        assert len(tasks) == 1
        await turns()
        assert client.added == [SIGNALS]
        gc.collect()
        assert len(tasks) == 0

    with_reader(test)


@pytest.mark.parametrize(("is_away", "seconds"), [(False, 5), (True, 1)])
def test_followers_look_elsewhere_after_5_seconds_of_silence_and_every_second_without_redis(
    *, is_away: bool, seconds: float
) -> None:
    async def test(reader: RedisReader, _client: Client) -> None:
        loop, now = asyncio.get_running_loop(), [1000.0]
        vars(loop)["time"] = lambda: now[0]
        reader.away = is_away

        async def advance(by: float) -> None:
            now[0] += by

        assert await followed(reader, advance(seconds - 0.1)) is None
        assert await followed(reader, advance(seconds + 0.1)) == []

    with_reader(test)


def test_a_follower_that_is_cancelled_while_it_is_notified_ends_at_once() -> None:
    async def test(reader: RedisReader, client: Client) -> None:
        client.replies = [[(STREAM.encode(), [(b"1-0", {b"e": b"?"})])]]
        follower = reader.follow(ID, Follower(0))
        waiting = asyncio.ensure_future(anext(follower))
        await asyncio.sleep(0)
        await reader._read_once()
        waiting.cancel()
        await turns()
        assert waiting.cancelled()
        await follower.aclose()

    with_reader(test)


def test_signals_of_the_time_before_a_reader_are_not_received() -> None:
    async def test(reader: RedisReader, client: Client) -> None:
        client.newest, client.replies = [(b"5-0", {b"stop": b"?"})], [asyncio.CancelledError()]
        with pytest.raises(asyncio.CancelledError):
            await reader.run()
        assert client.signals_after == b"5-0"

    with_reader(test)


def test_an_answer_that_has_ended_is_read_from_memory_and_any_answer_without_redis() -> None:
    async def test(reader: RedisReader, client: Client) -> None:
        client.replies = [[(STREAM.encode(), [(b"2-0", {b"e": encode([STARTED, GenerationCompleted(ID, 2)])})])]]

        async def work() -> None:
            assert await reader.read(ID) is None
            assert client.looked_up == [STREAM]
            await reader._read_once()
            client.looked_up.clear()
            reader.away = True
            assert await reader.read(UUID(int=8)) is None
            reader.away = False
            ended = await reader.read(ID)
            assert ended is not None
            assert [event.sequence for event in ended.iter_events()] == [1, 2]
            assert client.looked_up == []

        await followed(reader, work())

    with_reader(test)


@pytest.mark.parametrize("signals", [True, False])
def test_without_followers_only_a_reader_that_receives_signals_reads(*, signals: bool) -> None:
    async def work() -> None:
        client: Any = Client()
        reader = RedisReader(client, PROCESS, signals=signals)
        await followed(reader, turns())
        client.replies = [asyncio.CancelledError()]
        running = asyncio.create_task(reader.run())
        await turns()
        assert len(client.reads) == signals
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(work())
