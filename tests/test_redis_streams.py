"""The log in Redis: writing after lost data or replies, expiry of keys, and how followers join."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis as redis_client
from client import WAIT, wait_until
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from servers import Servers

from tertulia import failpoints
from tertulia.streams.codec import encode
from tertulia.streams.events import GenerationCompleted, GenerationEvent, GenerationStarted, TextDelta
from tertulia.streams.lease import Lease
from tertulia.streams.redis import reader as redis_reader
from tertulia.streams.redis import writer as redis_writer
from tertulia.streams.redis.log import RedisLog
from tertulia.streams.redis.reader import RedisReader
from tertulia.streams.redis.scripts import (
    holder_key,
    journal_key,
    journal_line,
    signals_key,
    stream_key,
)
from tertulia.streams.stream import Follower
from tertulia.tools.execution import Bounds

MINUTE = 60


@pytest.fixture
def url(servers: Servers) -> str:
    """The address of an empty Redis database."""
    return servers.redis_url()


@pytest.fixture
def client(url: str) -> Any:
    with redis_client.Redis.from_url(url) as connection:
        yield connection


def run(work: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(WAIT):
            await work

    asyncio.run(bounded())


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[RedisLog]:
    log = RedisLog(url, uuid4())
    await log.start()
    try:
        yield log
    finally:
        await log.close()


def lease() -> Lease:
    return Lease(datetime.now(UTC) + timedelta(seconds=60))


def delta(id: UUID, sequence: int, text: str = "text") -> GenerationEvent:
    return TextDelta(id, sequence, 0, 0, text)


async def begin(log: RedisLog, id: UUID, *events: GenerationEvent) -> None:
    """Open a log, and wait until Redis has its first events."""
    log.open(id, lease())
    log.append(id, [GenerationStarted(id, 1), *events])
    await log.flush(id)


async def sequences(log: RedisLog, id: UUID) -> list[int] | None:
    stream = await log.read(id)
    return None if stream is None else [event.sequence for event in stream.iter_events()]


async def reads(log: RedisLog, id: UUID, expected: list[int]) -> None:
    """Wait until a log has these events."""
    while await sequences(log, id) != expected:  # noqa: ASYNC110 - Redis has no event to wait for
        await asyncio.sleep(0.005)


def test_a_stream_that_redis_has_lost_is_written_again_from_its_first_event(url: str, client: Any) -> None:
    async def work() -> None:
        id = uuid4()
        async with opened(url) as writer, opened(url) as reader:
            await begin(writer, id, delta(id, 2))
            client.flushdb()
            writer.append(id, [delta(id, 3)])
            await writer.flush(id)
            assert await sequences(reader, id) == [1, 2, 3]

    run(work())


def test_a_failed_batch_is_sent_again_without_another_event(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_writer, "INTERVAL", 0.001)
    failures = iter([RedisConnectionError("Redis is away."), RedisConnectionError("Redis is still away.")])

    def fail(_item: object) -> None:
        for error in failures:
            raise error

    async def work() -> None:
        id = uuid4()
        async with opened(url) as writer, opened(url) as reader:
            with failpoints.armed("redis.sending", fail):
                # This returns although Redis fails, so that the end of an answer does not wait for Redis.
                await begin(writer, id, delta(id, 2))
                await reads(reader, id, [1, 2])

    run(work())


def test_batches_are_sent_at_intervals_and_retries_are_delayed_while_redis_is_unavailable(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    def fail(_item: object) -> None:
        if len(slept) in (1, 2):
            raise RedisConnectionError("Redis is away.")

    async def work() -> None:
        sleep, next_batch = asyncio.sleep, asyncio.Event()

        async def pause(seconds: float) -> None:
            slept.append(seconds)
            next_batch.clear()
            await next_batch.wait()

        async def paused(number: int) -> None:
            while len(slept) < number:
                await sleep(0.005)

        monkeypatch.setattr("tertulia.streams.redis.writer.asyncio", Pausing(pause))
        id = uuid4()
        async with opened(url) as log, opened(url) as reader:
            with failpoints.armed("redis.sending", fail):
                log.open(id, lease())
                for number, event in enumerate([GenerationStarted(id, 1), delta(id, 2), delta(id, 3)], 1):
                    log.append(id, [event])
                    await paused(number)
                    # Events that are appended meanwhile wait for the next batch.
                    assert await sequences(reader, id) == [1]
                    next_batch.set()
                await paused(4)
                assert await sequences(reader, id) == [1, 2, 3]
                next_batch.set()

    run(work())
    assert 0 <= slept[0] <= redis_writer.LONGEST_INTERVAL
    assert 0 <= slept[1] <= 10 * redis_writer.LONGEST_INTERVAL
    assert 0 <= slept[2] <= 20 * redis_writer.LONGEST_INTERVAL
    assert 0 <= slept[3] <= redis_writer.LONGEST_INTERVAL


def test_batches_begin_15_ms_apart_and_later_if_they_take_long() -> None:
    pauses = [redis_writer._pause(took) for took in (0.0, 0.001, 0.005, 0.007, 0.02, 1.0)]
    assert pauses == pytest.approx([0.015, 0.014, 0.01, 0.014, 0.005, 0.0])


class Pausing:
    """The module `asyncio` with another `sleep`."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        self.sleep = sleep

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)


def test_a_batch_whose_reply_was_lost_is_stored_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_writer, "INTERVAL", 0.001)
    failures = iter([RedisConnectionError("The connection was lost before the reply.")])

    def fail(_item: object) -> None:
        for error in failures:
            raise error

    async def work() -> None:
        id = uuid4()
        async with opened(url) as writer, opened(url) as reader:
            await begin(writer, id)
            with failpoints.armed("redis.sent", fail):
                writer.append(id, [delta(id, 2)])
                # Readers of this process see an event once Redis has confirmed it.
                await reads(writer, id, [1, 2])
            assert await sequences(reader, id) == [1, 2]

    run(work())


def test_events_that_redis_has_in_two_batches_are_read_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_writer, "INTERVAL", 0.001)

    async def work() -> None:
        id, failures = uuid4(), [RedisConnectionError("The connection was lost before the reply.")]
        async with opened(url) as writer, opened(url) as reader:
            await begin(writer, id)

            def fail(_item: object) -> None:
                if failures:
                    # This event is appended before the batch is sent again, so the second batch contains both.
                    writer.append(id, [delta(id, 3, "three")])
                    raise failures.pop()

            with failpoints.armed("redis.sent", fail):
                writer.append(id, [delta(id, 2, "two")])
                await reads(writer, id, [1, 2, 3])
            stream = await reader.read(id)
            assert stream is not None
            texts = [(event.sequence, event.text) for event in stream.iter_events() if isinstance(event, TextDelta)]
            assert texts == [(2, "two"), (3, "three")]

    run(work())


def test_a_writer_that_was_replaced_is_refused_for_every_later_event(url: str) -> None:
    async def work() -> None:
        id = uuid4()
        async with opened(url) as former, opened(url) as later, opened(url) as reader:
            await begin(former, id)
            taken_over = await later.take_over(id, lease())
            assert taken_over is not None
            later.open(id, lease(), list(taken_over.iter_events()))
            later.append(id, [delta(id, 2, "of the later writer")])
            await later.flush(id)
            for sequence in (2, 3):
                former.append(id, [delta(id, sequence, "of the former writer")])
                await former.flush(id)
            # The former writer's process, too, shows only what the later one has written.
            for log in (reader, former):
                stream = await log.read(id)
                assert stream is not None
                texts = [event.text for event in stream.iter_events() if isinstance(event, TextDelta)]
                assert texts == ["of the later writer"]

    run(work())


def test_an_ended_stream_and_its_writers_key_expire_after_15_minutes(url: str, client: Any) -> None:
    async def work() -> None:
        id = uuid4()
        async with opened(url) as writer:
            await begin(writer, id)
            writer.append(id, [GenerationCompleted(id, 2)])
            await writer.flush(id)
        for key in (stream_key(id), holder_key(id)):
            assert 13 * MINUTE < client.ttl(key) <= 15 * MINUTE

    run(work())


def test_a_running_stream_is_kept_for_longer_than_an_answer_waits_for_tools(url: str, client: Any) -> None:
    async def work() -> None:
        id, own_lease = uuid4(), lease()
        async with opened(url) as writer:
            writer.open(id, own_lease)
            writer.append(id, [GenerationStarted(id, 1)])
            await writer.flush(id)
            writer.suspend(id, own_lease)
        for key in (stream_key(id), holder_key(id)):
            assert Bounds().waiting_seconds < client.ttl(key) < 24 * 60 * MINUTE

    run(work())


def test_a_discarded_log_leaves_no_key_in_redis(url: str, client: Any) -> None:
    async def work() -> None:
        id = uuid4()
        async with opened(url) as writer:
            await begin(writer, id)
            assert client.exists(stream_key(id), holder_key(id)) == 2
            await writer.discard(id)
            assert client.exists(stream_key(id), holder_key(id)) == 0
            assert await writer.read(id) is None

    run(work())


def test_a_process_that_ends_removes_its_own_key(url: str, client: Any) -> None:
    async def work() -> None:
        id = uuid4()
        async with opened(url) as writer, opened(url) as reader:
            await begin(writer, id)
            async with aclosing(reader.follow(id, Follower(0))) as batches:
                await anext(batches)
            # The key is written concurrently, so the first events may be there before it.
            keys = await asyncio.to_thread(wait_until, lambda: client.keys("tertulia:wake:*"), "the key")
            assert len(keys) == 1
        assert client.keys("tertulia:wake:*") == []

    run(work())


class ControlledRedis:
    """A connection that reports its blocking command to the test and can hold its reply back."""

    def __init__(self, url: str) -> None:
        connection: Any = Redis
        self._redis: Any = connection.from_url(url, socket_timeout=None)
        self.asked: asyncio.Queue[dict[Any, Any]] = asyncio.Queue()
        self.replied = asyncio.Event()
        self.passes = asyncio.Event()
        self.passes.set()
        self.errors: list[Exception] = []
        """Errors to raise instead of the next replies."""

    async def xread(self, positions: dict[Any, Any], block: int) -> Any:
        self.asked.put_nowait(positions)
        reply = await self._redis.xread(positions, block=block)
        self.replied.set()
        await self.passes.wait()
        if self.errors:
            raise self.errors.pop()
        return reply

    async def asks_for(self, key: str, position: str) -> None:
        """Wait until the command reads a stream after this entry."""
        while (await self.asked.get()).get(key) != position:
            pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._redis, name)


@asynccontextmanager
async def reading(url: str) -> AsyncGenerator[tuple[RedisReader, ControlledRedis]]:
    """Run a reader on a connection without a socket timeout."""
    held = ControlledRedis(url)
    connection: Any = held
    reader = RedisReader(connection, uuid4())
    task = asyncio.create_task(reader.run())
    try:
        yield reader, held
    finally:
        held.passes.set()
        while not task.done():
            # A cancellation that coincides with Redis's reply may get lost.
            task.cancel()
            await asyncio.wait([task], timeout=0.1)
        await reader.close()
        await held.aclose()


def test_a_stream_without_its_beginning_counts_as_missing(url: str, client: Any) -> None:
    async def work() -> None:
        id = uuid4()
        client.xadd(stream_key(id), {"e": encode([delta(id, 5)])}, id="5-0")
        async with opened(url) as log:
            assert await log.read(id) is None
            assert await log.read(uuid4()) is None
            assert await log.take_over(id, lease()) is None

    run(work())


def test_followers_read_elsewhere_after_their_process_has_lost_the_answer(url: str) -> None:
    async def work() -> None:
        id, own_lease = uuid4(), lease()
        async with opened(url) as log:
            log.open(id, own_lease)
            log.append(id, [GenerationStarted(id, 1)])
            await log.flush(id)
            async with aclosing(log.follow(id, Follower(1))) as batches:
                first = asyncio.ensure_future(anext(batches))
                await asyncio.sleep(0)
                log.release(id, own_lease)
                assert list(await first) == []
                assert [batch async for batch in batches] == []

    run(work())


def test_signals_in_redis_are_trimmed(url: str, client: Any) -> None:
    async def work() -> None:
        with client.pipeline() as many:
            for _ in range(5_000):
                many.xadd(signals_key(), {"changed": str(uuid4())})
            many.execute()
        heard = asyncio.Event()
        async with opened(url) as sender, opened(url) as other:
            other.on("ended", lambda _: heard.set())
            while not heard.is_set():
                sender.send("ended", uuid4())
                await asyncio.sleep(0.01)
        # Redis trims whole nodes of its tree, of a hundred entries each.
        assert client.xlen(signals_key()) < 1_500

    run(work())


def test_a_new_follower_interrupts_the_blocking_command(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Redis blocks forever, so an event can be read only if the command is started again.
    monkeypatch.setattr(redis_reader, "BLOCK_MS", 0)

    async def work() -> None:
        id = uuid4()
        async with opened(url) as writer, reading(url) as (reader, connection):
            await connection.asked.get()
            await begin(writer, id)
            async with aclosing(reader.follow(id, Follower(0))) as batches:
                assert [event.sequence for event in await anext(batches)] == [1]

    run(work())


def test_followers_and_readers_on_another_process_see_what_only_the_journal_has(url: str, client: Any) -> None:
    async def work() -> None:
        ids = [uuid4(), uuid4()]
        async with opened(url) as writer, opened(url) as reader, opened(url) as other:
            for id in ids:
                await begin(writer, id)
            for id in ids:
                writer.append(id, [delta(id, 2)])
            await asyncio.gather(*(writer.flush(id) for id in ids))
            assert [await sequences(other, id) for id in ids] == [[1, 2]] * 2
            for after, id in enumerate(ids):
                async with aclosing(reader.follow(id, Follower(after))) as batches:
                    seen = [event.sequence for event in await anext(batches)]
                    while seen[-1] < 2:
                        seen += [event.sequence for event in await anext(batches)]
                    assert seen == [[1, 2], [2]][after]
                    writer.append(id, [delta(id, 3)])
                    assert [event.sequence for event in await anext(batches)] == [3]
                    # Others can read what a follower has seen.
                    assert [await sequences(log, id) for log in (reader, other)] == [[1, 2, 3]] * 2
            streams = [client.xrange(stream_key(id), min="1-0") for id in ids]
            assert [[entry for entry, _ in entries] for entries in streams] == [[b"1-0"]] * 2

    run(work())


def test_a_takeover_includes_what_only_the_journal_has_also_the_second_one(url: str, client: Any) -> None:
    async def work() -> None:
        id, other = uuid4(), uuid4()
        async with opened(url) as first, opened(url) as second, opened(url) as third:
            for each in (other, id):
                await begin(first, each)
                first.append(each, [delta(each, 2, "two")])
                await first.flush(each)
                first.append(each, [delta(each, 3, "three"), delta(each, 4)])
                await first.flush(each)
            assert len(client.xrange(stream_key(id), min="1-0")) == 1
            # The second process ends before it writes.
            await second.take_over(id, lease())
            taken_over = await third.take_over(id, lease())
            assert taken_over is not None
            texts = [event.text for event in taken_over.iter_events() if isinstance(event, TextDelta)]
            assert texts == ["two", "three", "text"]
            first.append(id, [delta(id, 5, "of the former writer")])
            await first.flush(id)
            assert await sequences(third, id) == [1, 2, 3, 4]
            # The former writer writes its other answers, and their followers notice nothing.
            first.append(other, [delta(other, 5)])
            await first.flush(other)
            assert await sequences(third, other) == [1, 2, 3, 4, 5]
            third.open(id, lease(), list(taken_over.iter_events()))
            async with aclosing(second.follow(id, Follower(4))) as batches:
                waiting = asyncio.ensure_future(anext(batches))
                third.append(id, [delta(id, 5, "of the later writer")])
                (event,) = await waiting
                assert isinstance(event, TextDelta)
                assert event.text == "of the later writer"

    run(work())


def test_a_follower_continues_when_another_process_takes_over_the_answer(url: str) -> None:
    async def work() -> None:
        id = uuid4()
        async with opened(url) as first, opened(url) as second, opened(url) as reader:
            await begin(first, id)
            async with aclosing(reader.follow(id, Follower(0))) as batches:
                seen = [event.sequence for event in await anext(batches)]
                first.append(id, [delta(id, 2)])
                seen += [event.sequence for event in await anext(batches)]
                taken_over = await second.take_over(id, lease())
                assert taken_over is not None
                second.open(id, lease(), list(taken_over.iter_events()))
                for sequence in (3, 4, 5):
                    second.append(id, [delta(id, sequence)])
                    while seen[-1] < sequence:
                        seen += [event.sequence for event in await anext(batches)]
                second.append(id, [GenerationCompleted(id, 6)])
                async for batch in batches:
                    seen += [event.sequence for event in batch]
            assert seen == [1, 2, 3, 4, 5, 6]

    run(work())


def test_earlier_versions_cannot_read_a_stream_whose_events_are_also_in_a_journal(url: str, client: Any) -> None:
    async def work() -> None:
        id = uuid4()
        async with opened(url) as writer:
            await begin(writer, id)
            ((_, marker), (_, first)) = client.xrange(stream_key(id))
            # They read the field `e` of each entry, and nothing else.
            assert (b"e" in marker, b"e" in first) == (False, True)
            writer.append(id, [GenerationCompleted(id, 2)])
            await writer.flush(id)
            ended = [entry for entry, fields in client.xrange(stream_key(id)) if b"e" in fields]
            assert ended == [b"1-0", b"2-0"]
            assert client.xlen(stream_key(id)) == 2

    run(work())


def test_streams_of_earlier_versions_are_read_and_those_of_later_ones_are_not(url: str, client: Any) -> None:
    async def work() -> None:
        earlier, later = uuid4(), uuid4()
        client.xadd(stream_key(earlier), {"e": encode([GenerationStarted(earlier, 1), delta(earlier, 2)])}, id="2-0")
        client.xadd(stream_key(later), {"v": "3"}, id="0-1")
        client.xadd(stream_key(later), {"e": encode([GenerationStarted(later, 1)])}, id="1-0")
        async with opened(url) as log:
            assert await sequences(log, earlier) == [1, 2]
            assert await log.take_over(later, lease()) is None
            async with aclosing(log.follow(earlier, Follower(0))) as batches:
                assert [event.sequence for event in await anext(batches)] == [1, 2]
                client.xadd(stream_key(earlier), {"e": encode([delta(earlier, 3)])}, id="3-0")
                assert [event.sequence for event in await anext(batches)] == [3]
            taken_over = await log.take_over(earlier, lease())
            assert taken_over is not None
            assert taken_over.last == 3

    run(work())


def test_a_line_after_a_gap_waits_for_the_stream(url: str, client: Any) -> None:
    async def work() -> None:
        id, process = uuid4(), str(uuid4())
        client.xadd(stream_key(id), {"e": encode([GenerationStarted(id, 1)]), "p": process, "j": 1}, id="1-0")
        client.xadd(journal_key(process), {"j": journal_line(str(id).encode(), 3, encode([delta(id, 3)]))}, id="2-0")
        async with opened(url) as log, aclosing(log.follow(id, Follower(0))) as batches:
            assert [event.sequence for event in await anext(batches)] == [1]
            assert await sequences(log, id) == [1]
            events = encode([delta(id, 2), delta(id, 3)])
            client.xadd(stream_key(id), {"e": events, "p": process, "j": 2}, id="3-0")
            assert [event.sequence for event in await anext(batches)] == [3]
            client.xadd(
                journal_key(process), {"j": journal_line(str(id).encode(), 4, encode([delta(id, 4)]))}, id="3-0"
            )
            assert [event.sequence for event in await anext(batches)] == [4]

    run(work())


def test_a_follower_that_begins_earlier_than_the_mirror_gets_all_events(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_reader, "BLOCK_MS", 0)

    async def work() -> None:
        id = uuid4()
        async with opened(url) as writer, reading(url) as (reader, connection):
            await begin(writer, id, delta(id, 2))
            async with (
                aclosing(reader.follow(id, Follower(2))) as late,
                aclosing(reader.follow(id, Follower(0))) as early,
            ):
                first = asyncio.ensure_future(anext(late))
                await connection.asks_for(stream_key(id), "2-0")
                # The reply with the third event is on its way when another follower requests the first two.
                connection.passes.clear()
                connection.replied.clear()
                writer.append(id, [delta(id, 3)])
                await connection.replied.wait()
                second = asyncio.ensure_future(anext(early))
                await asyncio.sleep(0)
                connection.passes.set()
                sequences_seen = [event.sequence for event in await second]
                while sequences_seen[-1] < 3:
                    sequences_seen += [event.sequence for event in await anext(early)]
                # Adjacent deltas may be merged into one, with the later number.
                assert sequences_seen in ([1, 2, 3], [1, 3])
                assert [event.sequence for event in await first] == [3]

    run(work())


def test_followers_read_elsewhere_at_once_when_redis_is_lost(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_reader, "BLOCK_MS", 0)
    monkeypatch.setattr(redis_reader, "SILENCE", 10 * WAIT)

    async def work() -> None:
        id = uuid4()
        async with opened(url) as writer, reading(url) as (reader, connection):
            await begin(writer, id)
            async with aclosing(reader.follow(id, Follower(1))) as batches:
                waiting = asyncio.ensure_future(anext(batches))
                await connection.asks_for(stream_key(id), "1-0")
                connection.errors.append(RedisConnectionError("Redis is away."))
                reader.wake()
                assert list(await waiting) == []
                # Following continues after the last event once Redis is back.
                writer.append(id, [delta(id, 2)])
                while not (batch := await anext(batches)):
                    pass
                assert [event.sequence for event in batch] == [2]

    run(work())
