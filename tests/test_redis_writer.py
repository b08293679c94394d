"""The writer and the reader of logs in Redis, step by step: what is sent, shown, refused, released and mirrored."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from client import WAIT
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from servers import RedisServer, Servers

from tertulia import failpoints
from tertulia.streams.codec import encode
from tertulia.streams.events import GenerationCompleted, GenerationEvent, GenerationStarted, TextDelta
from tertulia.streams.lease import Lease, clock
from tertulia.streams.memory import MemoryLog
from tertulia.streams.redis import batch as redis_batch
from tertulia.streams.redis import writer as redis_writer
from tertulia.streams.redis.batch import STORE_SECONDS
from tertulia.streams.redis.reader import RedisReader, _Mirror
from tertulia.streams.redis.scripts import CHANGED, holder_key, journal_key, journal_lines, stream_key, wake_key
from tertulia.streams.redis.writer import SOON, RedisWriter
from tertulia.streams.stream import Follower, Stream

ID = UUID(int=7)


@pytest.fixture
def url(servers: Servers) -> str:
    return servers.redis_url()


@pytest.fixture
def own_redis(tmp_path: Path) -> Generator[RedisServer]:
    """A server whose commands can be counted, because no other client uses it."""
    redis = RedisServer(tmp_path / "redis")
    yield redis
    redis.stop()


class Process:
    """The writer of one process, whose loop does not run: a test writes step by step."""

    def __init__(self, redis: Any, life_after_end: float = 900) -> None:
        self.redis = redis
        self.memory = MemoryLog()
        self.lags: list[float] = []
        self.holder = uuid4()
        self.writer = RedisWriter(redis, self.holder, life_after_end, self.memory, self.lags.append)

    def open(self, *events: GenerationEvent, seconds: float = 60, id: UUID = ID) -> Lease:
        """Open a log with events that are not sent yet."""
        lease = Lease(datetime.now(UTC) + timedelta(seconds=seconds))
        self.writer.open(self.memory.open(id, lease))
        self.append(*events, id=id)
        return lease

    def append(self, *events: GenerationEvent, id: UUID = ID) -> None:
        self.memory.append_hidden(id, events)
        self.writer.schedule(id)

    async def write(self) -> bool:
        waiting, self.writer._waiting = self.writer._waiting, set()
        return await self.writer._write(waiting)

    async def entries(self, id: UUID = ID) -> list[int]:
        """Return the numbers of the last events of the entries in the stream of an answer."""
        return [int(entry.split(b"-")[0]) for entry, _ in await self.redis.xrange(stream_key(id), min="1-0")]

    async def lines(self, id: UUID = ID) -> list[int]:
        """Return the numbers of the last events of the lines of an answer in the journal."""
        entries = await self.redis.xrange(journal_key(str(self.holder)))
        lines = [line for _, fields in entries for line in journal_lines(fields)]
        return [last for name, last, _ in lines if name == str(id).encode()]

    async def store(self) -> None:
        """Store the events that only the journal has, as the loop does after a second."""
        for id in list(self.writer._journal._tails):
            self.writer._writing[id].is_unsure = True
            self.append(delta(self.writer._writing[id].stream.last + 1), id=id)
        await self.write()

    @property
    def shown(self) -> int:
        stream = self.memory._streams.get(ID)
        return -1 if stream is None else stream.last_visible


def run(url: str, test: Callable[[Process], Awaitable[None]]) -> None:
    async def work() -> None:
        async with connected(url) as redis, asyncio.timeout(WAIT):
            await test(Process(redis))

    asyncio.run(work())


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Any]:
    client: Any = Redis
    redis = client.from_url(url)
    try:
        yield redis
    finally:
        await redis.aclose()


def started() -> GenerationEvent:
    return GenerationStarted(ID, 1)


def delta(sequence: int) -> GenerationEvent:
    return TextDelta(ID, sequence, 0, 0, "x")


def test_events_are_shown_once_redis_has_them(url: str) -> None:
    async def test(process: Process) -> None:
        process.open(started(), delta(2))
        assert process.shown == 0
        assert await process.write() is True
        assert (process.shown, await process.entries()) == (2, [2])
        assert await process.write() is False
        process.append(delta(3))
        assert await process.write() is True
        assert (process.shown, await process.entries(), await process.lines()) == (3, [2], [2, 3])
        assert (await process.redis.get(holder_key(ID))).decode() == str(process.holder)

    run(url, test)


def test_a_flush_ends_when_redis_has_the_events_and_at_once_if_there_is_nothing_to_send(url: str) -> None:
    async def test(process: Process) -> None:
        await process.writer.flush(ID)
        process.open(started())
        flushes = [asyncio.create_task(process.writer.flush(ID)) for _ in range(2)]
        await asyncio.sleep(0)
        assert not any(flush.done() for flush in flushes)
        await process.write()
        await asyncio.gather(*flushes)
        await process.writer.flush(ID)
        process.append(delta(2))
        waiting = asyncio.create_task(process.writer.flush(ID))
        await asyncio.sleep(0)
        process.writer._handle_failure({ID}, OSError())
        await waiting
        await process.writer.flush(ID)
        assert process.writer._waiting == {ID}

    run(url, test)


@pytest.mark.parametrize("last", [TextDelta(ID, 2, 0, 0, "x"), GenerationCompleted(ID, 2)])
def test_a_flush_waits_for_events_that_arrive_while_a_batch_is_sent(url: str, last: GenerationEvent) -> None:
    async def test(process: Process) -> None:
        process.open(started())
        arriving = iter([last])
        with failpoints.armed("redis.sent", lambda _item: process.append(*arriving)):
            flush = asyncio.create_task(process.writer.flush(ID))
            await asyncio.sleep(0)
            await process.write()
            assert (flush.done(), process.shown, list(process.writer._writing)) == (False, 1, [ID])
            await process.write()
            await flush
        assert (process.shown, await process.lines()) == (2, [1, 2])

    run(url, test)


def test_nothing_is_sent_after_the_lease_has_lapsed(url: str) -> None:
    async def test(process: Process) -> None:
        process.open(started(), seconds=-1)
        assert process.writer._waiting == set()
        await process.writer.flush(ID)
        process.writer._waiting.add(ID)
        assert await process.write() is False
        assert (process.shown, await process.entries()) == (0, [])
        # A flush does not wait for a lease that may have been lost.
        lease = process.open(started())
        flushed = asyncio.create_task(process.writer.flush(ID))
        await asyncio.sleep(0)
        lease.until = clock()
        assert await process.write() is False
        await flushed

    run(url, test)


def test_an_ended_log_is_written_no_more_and_expires(url: str) -> None:
    async def test(process: Process) -> None:
        lease = process.open(started())
        await process.write()
        assert 7_190 < await process.redis.ttl(stream_key(ID)) <= 7_200
        lease.never_expire()
        process.append(GenerationCompleted(ID, 2))
        await process.write()
        assert (process.shown, process.writer._writing) == (2, {})
        assert 890 < await process.redis.ttl(stream_key(ID)) <= 900

    run(url, test)


def test_a_writer_that_was_replaced_releases_its_log(url: str) -> None:
    async def test(process: Process) -> None:
        process.open(started())
        await process.write()
        other = Process(process.redis)
        taken = await other.writer.take_over(ID, Lease(datetime.now(UTC) + timedelta(seconds=60)))
        assert taken is not None
        assert [event.sequence for event in taken.iter_events()] == [1]
        process.append(delta(2))
        flushed = asyncio.create_task(process.writer.flush(ID))
        await asyncio.sleep(0)
        await process.write()
        await flushed
        assert (process.writer._writing, process.shown, await process.entries()) == ({}, -1, [1])

    run(url, test)


def test_only_the_log_that_was_taken_over_is_released_and_the_others_are_sent_again(url: str) -> None:
    async def test(process: Process) -> None:
        other = UUID(int=8)
        process.open(started())
        process.open(GenerationStarted(other, 1), id=other)
        await process.write()
        await Process(process.redis).writer.take_over(other, Lease(datetime.now(UTC) + timedelta(seconds=60)))
        for id in (ID, other):
            process.append(TextDelta(id, 2, 0, 0, "x"), id=id)
        await process.write()
        assert (set(process.writer._writing), process.writer._waiting) == ({ID}, {ID})
        await process.write()
        assert (process.shown, await process.lines(), await process.lines(other)) == (2, [1, 2], [1])

    run(url, test)


def test_a_batch_that_redis_runs_after_the_end_of_one_of_its_leases_is_sent_again(url: str) -> None:
    async def test(process: Process) -> None:
        other = UUID(int=8)
        process.open(started(), seconds=60)
        process.open(GenerationStarted(other, 1), id=other, seconds=600)
        await process.writer._read_clock(stream_key(ID))
        assert process.writer._ahead is not None
        # The clock of Redis was read five minutes too early, so one lease seems to have ended.
        process.writer._ahead -= 300
        await process.write()
        assert (process.shown, process.writer._waiting) == (0, {ID, other})
        await process.write()
        assert (process.shown, await process.entries(), await process.entries(other)) == (1, [1], [1])

    run(url, test)


def test_a_log_is_taken_over_whole_or_not_at_all_and_only_within_the_lease(url: str) -> None:
    async def test(process: Process) -> None:
        held = Lease(datetime.now(UTC) + timedelta(seconds=60))
        empty = await process.writer.take_over(ID, held)
        assert empty is not None
        assert list(empty.iter_events()) == []
        assert (await process.redis.get(holder_key(ID))).decode() == str(process.holder)
        with pytest.raises(RedisError):
            await process.writer.take_over(ID, Lease(datetime.now(UTC) - timedelta(seconds=1)))
        await process.redis.xadd(stream_key(ID), {"e": encode([delta(2)])}, id="2-0")
        assert await process.writer.take_over(ID, held) is None
        await process.redis.xadd(stream_key(ID), {"e": b"?"}, id="3-0")
        assert await process.writer.take_over(ID, held) is None

    run(url, test)


def test_a_process_that_was_frozen_reads_the_clock_of_redis_again_to_take_a_log_over(url: str) -> None:
    async def test(process: Process) -> None:
        # It was frozen for a minute between the reply with the time of Redis and its handling.
        process.writer._ahead = (await process.redis.time())[0] - clock() - 60
        held = Lease(datetime.now(UTC) + timedelta(seconds=20))
        with pytest.raises(RedisError):
            await process.writer.take_over(ID, held)
        assert await process.writer.take_over(ID, held) is not None

    run(url, test)


def test_a_release_ends_a_log_that_was_opened_with_that_lease(url: str) -> None:
    async def test(process: Process) -> None:
        lease = process.open(started())
        flushed = asyncio.create_task(process.writer.flush(ID))
        await asyncio.sleep(0)
        process.writer.release(ID, Lease(None))
        assert not flushed.done()
        process.writer.release(ID, lease)
        await flushed
        assert process.writer._writing == {}
        process.writer.release(ID)
        process.open(started())
        process.writer.release(ID)
        assert process.writer._writing == {}

    run(url, test)


@pytest.mark.parametrize("step", ["redis.batches", "redis.results"])
def test_a_log_that_cannot_be_sent_is_released_and_the_others_are_sent(step: str, url: str) -> None:
    async def test(process: Process) -> None:
        other = UUID(int=8)
        process.open(started())
        process.open(GenerationStarted(other, 1), id=other)

        def fail(item: object) -> None:
            if item == ID:
                raise RuntimeError

        with failpoints.armed(step, fail):
            assert await process.write() is True
        assert (set(process.writer._writing), set(process.memory._streams)) == ({other}, {other})
        assert await process.entries(other) == [1]

    run(url, test)


def test_a_log_that_redis_refuses_is_sent_again_and_the_others_are_shown(url: str) -> None:
    async def test(process: Process) -> None:
        other = UUID(int=8)
        process.open(started())
        process.open(GenerationStarted(other, 1), id=other)
        await process.write()
        await process.redis.set(stream_key(ID), "not a stream")
        for id in (ID, other):
            process.writer._writing[id].is_unsure = True
            process.append(TextDelta(id, 2, 0, 0, "x"), id=id)
        with pytest.raises(RedisError, match="WRONGTYPE"):
            await process.write()
        assert (process.shown, process.memory._streams[other].last_visible) == (1, 2)
        await process.redis.delete(stream_key(ID))
        process.writer.schedule(ID)
        while await process.write() and process.writer._waiting:
            pass
        assert (process.shown, await process.entries()) == (2, [2])

    run(url, test)


def test_a_log_that_was_released_while_it_was_sent_is_stored_no_more(url: str) -> None:
    async def test(process: Process) -> None:
        process.open(started())
        await process.write()
        process.append(delta(2))
        with failpoints.armed("redis.sent", lambda _item: process.writer.release(ID)):
            await process.write()
        assert (await process.lines(), process.shown) == ([1, 2], 1)
        assert process.writer._journal.due(time.monotonic() + 2 * STORE_SECONDS) == []

    run(url, test)


def test_a_log_that_other_processes_take_over_meanwhile_is_not_taken_over() -> None:
    class Replies:
        """A client of a Redis in which another process writes the stream at each attempt."""

        attempts = 0

        def pipeline(self, **_options: object) -> Any:
            return SimpleNamespace(eval=self.ignore, xrange=self.ignore, execute=self.execute)

        def ignore(self, *_arguments: object) -> None:
            pass

        async def execute(self) -> list[Any]:
            self.attempts += 1
            return [[CHANGED, 0, str(uuid4()).encode()], []]

    async def test() -> None:
        replies = Replies()
        process = Process(replies)
        process.writer._ahead = 0.0
        with pytest.raises(RedisError, match="Other processes write"):
            await process.writer.take_over(ID, Lease(datetime.now(UTC) + timedelta(seconds=60)))
        assert replies.attempts == 3

    asyncio.run(test())


def test_a_process_that_ends_writes_what_redis_lacks(url: str) -> None:
    async def test(process: Process) -> None:
        process.open(started())
        await process.write()
        await process.redis.flushdb()
        process.append(delta(2))
        await process.writer.finish()
        assert (process.shown, await process.entries()) == (2, [2])

    run(url, test)


def test_the_end_of_a_lease_is_that_of_redis_clock_and_an_endless_one_is_0(url: str) -> None:
    async def test(process: Process) -> None:
        lease = Lease(datetime.now(UTC) + timedelta(seconds=60))
        for missing in (None, lease):
            with pytest.raises(ValueError):  # noqa: PT011 - it names the lease
                process.writer._deadline(missing)
        await process.writer._read_clock(stream_key(ID))
        ahead = process.writer._ahead
        assert ahead is not None
        seconds, microseconds = await process.redis.time()
        assert abs(ahead + clock() - seconds - microseconds / 1_000_000) < 5
        assert process.writer._deadline(lease) == int((lease.until + ahead) * 1000)
        lease.never_expire()
        assert process.writer._deadline(lease) == 0

    run(url, test)


def test_the_longest_wait_is_that_of_the_oldest_event_and_each_batch_reports_its_own(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(process: Process) -> None:
        now = [100.0]
        monkeypatch.setattr(redis_writer, "time", SimpleNamespace(monotonic=lambda: now[0]))
        writer = process.writer
        assert writer.longest_wait == 0.0
        process.open(started())
        now[0] = 107.0
        process.append(delta(2))
        assert writer.longest_wait == 7.0
        running = asyncio.create_task(writer.run())
        while not process.lags:  # noqa: ASYNC110 - Redis has no event to wait for
            await asyncio.sleep(0.001)
        assert (process.lags, writer.longest_wait) == ([7.0], 0.0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run(url, test)


class Pauses:
    """The module asyncio, whose `sleep` takes no time. The hundredth call is a cancellation."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if len(self.seconds) == 100:
            raise asyncio.CancelledError


def test_events_are_sent_again_every_half_a_second_at_most_however_long_redis_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_arguments: object) -> None:
        raise RedisConnectionError

    async def test() -> None:
        process = Process(SimpleNamespace(eval=fail))
        pauses = Pauses()
        monkeypatch.setattr(redis_writer, "asyncio", pauses)
        process.open(started())
        with pytest.raises(asyncio.CancelledError):
            await process.writer.run()
        assert 0.25 < max(pauses.seconds) <= 0.5
        # Processes do not retry at the same time.
        assert len(set(pauses.seconds)) > 90
        assert len([text for text in caplog.messages if text.startswith("Redis is unavailable")]) == 1

    asyncio.run(test())


def test_after_a_success_the_delays_begin_again_and_batches_have_their_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test() -> None:
        process, pauses, now = Process(None), Pauses(), [100.0]
        monkeypatch.setattr(redis_writer, "asyncio", pauses)
        monkeypatch.setattr(redis_writer, "time", SimpleNamespace(monotonic=lambda: now[0]))

        async def write(_waiting: object) -> bool:
            now[0] += 0.001
            process.writer._notification.set()
            if len(pauses.seconds) % 2:
                raise RedisConnectionError
            return True

        monkeypatch.setattr(process.writer, "_write", write)
        process.writer._notification.set()
        with pytest.raises(asyncio.CancelledError):
            await process.writer.run()
        assert pauses.seconds[::2] == pytest.approx([0.014] * 50)
        assert max(pauses.seconds[1::2]) <= 0.25

    asyncio.run(test())


def test_without_events_the_loop_sends_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(process: Process) -> None:
        pauses = Pauses()
        monkeypatch.setattr(redis_writer, "asyncio", pauses)
        running = asyncio.create_task(process.writer.run())
        process.open(started())
        await process.writer.flush(ID)
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(pauses.seconds) == 1
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run(url, test)


def test_events_are_stored_in_their_stream_within_a_second(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(process: Process) -> None:
        process.open(started())
        await process.write()
        process.append(delta(2))
        await process.write()
        process.append(delta(3))
        await process.write()
        assert (await process.entries(), await process.lines()) == ([1], [1, 2, 3])
        assert await process.write() is False
        later = time.monotonic() + 1.1
        monkeypatch.setattr(redis_writer, "time", SimpleNamespace(monotonic=lambda: later))
        # No new event is needed.
        assert await process.write() is True
        assert (await process.entries(), await process.lines()) == ([1, 3], [1, 2, 3])
        assert await process.write() is False

    run(url, test)


def test_each_answer_of_a_batch_knows_whether_its_own_stream_has_its_events(url: str) -> None:
    async def test(process: Process) -> None:
        ids = [ID, UUID(int=8)]
        for id in ids:
            process.open(GenerationStarted(id, 1), id=id)
        await process.write()
        for sequence, stored in enumerate(ids, 2):
            process.writer._writing[stored].is_unsure = True
            for id in ids:
                process.append(TextDelta(id, sequence, 0, 0, "x"), id=id)
            await process.write()
            assert process.writer._writing[stored].stored == sequence
            assert {id: process.writer._writing[id].stored for id in ids} == {
                id: (await process.entries(id))[-1] for id in ids
            }

    run(url, test)


def test_the_loop_wakes_when_events_are_due_and_soon_if_they_could_not_be_stored(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(redis_writer, "time", SimpleNamespace(monotonic=lambda: now[0]))

    async def test(process: Process) -> None:
        process.open(started())
        await process.write()
        process.writer._set_timer()
        assert process.writer._timer is None
        process.append(delta(2))
        await process.write()

        def seconds_left() -> float:
            process.writer._set_timer()
            timer = process.writer._timer
            assert timer is not None
            return timer.when() - asyncio.get_running_loop().time()

        assert SOON < seconds_left() <= STORE_SECONDS
        now[0] += 2 * STORE_SECONDS
        assert 0 < seconds_left() <= SOON

    run(url, test)


def test_the_loop_stores_events_of_an_answer_that_pauses(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_batch, "STORE_SECONDS", 0.05)

    async def test(process: Process) -> None:
        running = asyncio.create_task(process.writer.run())
        process.open(started())
        await process.writer.flush(ID)
        process.append(delta(2))
        await process.writer.flush(ID)
        assert process.shown == 2
        while await process.entries() != [1, 2]:  # noqa: ASYNC110 - Redis has no event to wait for
            await asyncio.sleep(0.005)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run(url, test)


def test_a_batch_of_up_to_250_answers_costs_five_commands(own_redis: RedisServer) -> None:
    async def test(process: Process) -> None:
        ids = [UUID(int=number) for number in range(1, 252)]
        for id in ids:
            process.open(GenerationStarted(id, 1), id=id)
        await process.write()
        for id in ids:
            process.append(TextDelta(id, 2, 0, 0, "x"), id=id)
        await process.redis.config_resetstat()
        await process.write()
        used = await process.redis.info("commandstats")
        commands = {name.removeprefix("cmdstat_"): stats["calls"] for name, stats in used.items()}
        names = ("evalsha", "time", "mget", "xrevrange", "xadd")
        # Two batches: Redis runs nothing else during one of them.
        assert {name: commands[name] for name in names} == dict.fromkeys(names, 2)
        assert sum(commands.values()) - commands.get("info", 0) - commands.get("config", 0) == 10
        entries = await process.redis.xrange(journal_key(str(process.holder)))
        lines = [[(name, last) for name, last, _ in journal_lines(fields)] for _, fields in entries]
        assert [len(batch) for batch in lines] == [250, 1, 250, 1]
        assert {name for batch in lines for name, _ in batch} == {str(id).encode() for id in ids}

    run(own_redis.url(0), test)


def test_what_redis_lacks_is_sent_again_from_there(url: str) -> None:
    async def test(process: Process) -> None:
        process.open(started(), delta(2))
        await process.write()
        await process.redis.delete(stream_key(ID))
        # The journal has the events. That the stream lacks others is noticed when they are stored.
        await process.store()
        process.append(delta(3))
        await process.write()
        process.writer._writing[ID].is_unsure = True
        process.append(delta(4))
        await process.write()
        assert (process.shown, process.writer._waiting) == (3, {ID})
        await process.write()
        assert (process.shown, await process.entries()) == (4, [4])
        assert await process.lines() == [2, 3, 4, 4]

    run(url, test)


def test_a_journal_that_redis_has_lost_is_continued_and_its_events_are_stored(url: str) -> None:
    async def test(process: Process) -> None:
        process.open(started())
        await process.write()
        process.append(delta(2))
        await process.write()
        await process.redis.delete(journal_key(str(process.holder)))
        process.append(delta(3))
        await process.write()
        assert (process.shown, process.writer._waiting, await process.lines()) == (2, {ID}, [])
        await process.write()
        assert (process.shown, await process.entries(), await process.lines()) == (3, [1, 3], [3])
        # Readers continue after the entries that were lost.
        ((number, _),) = await process.redis.xrange(journal_key(str(process.holder)))
        assert number == b"3-0"

    run(url, test)


def test_a_lost_journal_is_written_again_for_all_answers_and_nothing_waits_for_a_lapsed_one(url: str) -> None:
    async def test(process: Process) -> None:
        other = UUID(int=8)
        lease = process.open(started())
        process.open(GenerationStarted(other, 1), id=other)
        await process.write()
        process.append(TextDelta(other, 2, 0, 0, "x"), id=other)
        await process.write()
        await process.redis.delete(journal_key(str(process.holder)))
        process.append(delta(2))
        flushed = asyncio.create_task(process.writer.flush(ID))
        await asyncio.sleep(0)
        with failpoints.armed("redis.sent", lambda _item: setattr(lease, "until", clock())):
            await process.write()
        await flushed
        assert process.writer._waiting == {other}
        await process.write()
        assert (process.shown, await process.entries(other)) == (1, [1, 2])

    run(url, test)


@pytest.mark.parametrize("loses_all", [True, False])
def test_a_stream_that_redis_has_lost_is_created_again_with_its_marker_and_its_life(
    url: str, *, loses_all: bool
) -> None:
    async def test(process: Process) -> None:
        process.open(started())
        await process.write()
        process.append(delta(2))
        await process.write()
        if loses_all:
            await process.redis.flushdb()
        else:
            await process.redis.delete(stream_key(ID), holder_key(ID))
        process.append(delta(3))
        while await process.write() and process.writer._waiting:
            pass
        await process.store()
        await process.write()
        assert await process.entries() == [process.shown]
        # Without the marker, earlier versions would overlook later events, which only the journal has.
        assert (await process.redis.xrange(stream_key(ID), count=1))[0] == (b"0-1", {b"v": b"2"})
        keys = stream_key(ID), holder_key(ID), journal_key(str(process.holder))
        assert all([await process.redis.ttl(key) > 0 for key in keys])

    run(url, test)


def test_a_batch_that_redis_has_written_without_a_reply_is_shown_after_the_next_one(url: str) -> None:
    async def test(process: Process) -> None:
        process.open(started())
        await process.write()
        lost = iter([RedisConnectionError("The reply is lost.")])

        def lose(_item: object) -> None:
            for error in lost:
                raise error

        process.append(delta(2))
        with failpoints.armed("redis.sent", lose), pytest.raises(RedisConnectionError):
            await process.write()
        assert process.shown == 1
        process.append(delta(3))
        await process.write()
        await process.write()
        assert (process.shown, await process.entries(), await process.lines()) == (3, [1, 3], [1, 2, 3])

    run(url, test)


def test_the_journal_keeps_what_streams_lack_and_the_last_seconds(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(process: Process) -> None:
        clock_time = [time.monotonic()]
        monkeypatch.setattr(redis_writer, "time", SimpleNamespace(monotonic=lambda: clock_time[0]))
        other = UUID(int=8)
        process.open(started())
        process.open(GenerationStarted(other, 1), id=other)
        await process.write()
        process.append(TextDelta(other, 2, 0, 0, "x"), id=other)
        await process.write()
        # Another process may take the answer over, whose second event only the journal has.
        process.writer.release(other)
        numbers: list[list[int]] = []
        for sequence in range(2, 6):
            clock_time[0] += 9
            process.append(delta(sequence))
            await process.write()
            numbers.append(
                [int(n.split(b"-")[0]) for n, _ in await process.redis.xrange(journal_key(process.writer._holder))]
            )
        assert numbers == [[2, 3], [2, 3, 4], [2, 3, 4, 5], [5, 6]]

    run(url, test)


def entry(*events: GenerationEvent) -> tuple[bytes, dict[bytes, bytes]]:
    return f"{events[-1].sequence}-0".encode(), {b"e": encode(events)}


@pytest.mark.parametrize(("after", "last"), [(1, 3), (2, 4), (3, 4), (4, 3)])
def test_a_mirror_is_extended_only_where_that_leaves_no_gap(after: int, last: int) -> None:
    mirror = _Mirror(Stream(ID, [delta(3)], before=2))
    mirror.extend([entry(delta(4))], after)
    assert (mirror.stream.last, mirror.expects_more) == (last, True)


def test_a_mirror_that_cannot_be_read_expects_nothing_more() -> None:
    mirror = _Mirror(Stream(ID))
    mirror.extend([(b"1-0", {b"e": b"?"})], 0)
    assert (mirror.unreadable, mirror.expects_more) == (True, False)
    ended = _Mirror(Stream(ID))
    ended.extend([entry(started(), GenerationCompleted(ID, 2))], 0)
    assert not ended.expects_more
    damaged = _Mirror(Stream(ID))
    damaged.extend_by_line(1, b"?")
    assert (damaged.unreadable, damaged.expects_more) == (True, False)
    given_up = _Mirror(Stream(ID))
    given_up.give_up()
    assert not given_up.expects_more


def test_each_signal_is_received_once(url: str) -> None:
    async def test(process: Process) -> None:
        reader, received = RedisReader(process.redis, uuid4()), list[UUID]()
        reader.handlers.on("stop", received.append)
        for number in (1, 2):
            reader.signal("stop", UUID(int=number))
            await asyncio.wait(reader._tasks)
            await reader._read_once()
        assert received == [UUID(int=1), UUID(int=2)]
        await reader.close()

    run(url, test)


def test_the_key_that_wakes_a_reader_lives_an_hour_at_most(url: str) -> None:
    async def test(process: Process) -> None:
        id = uuid4()
        reader = RedisReader(process.redis, id)
        reader.wake()
        await asyncio.wait(reader._tasks)
        assert 3_590 < await process.redis.ttl(wake_key(id)) <= 3_600
        await reader.close()
        assert not await process.redis.exists(wake_key(id))

    run(url, test)


def test_a_reader_without_signals_reads_as_soon_as_it_has_a_follower(url: str) -> None:
    async def test(process: Process) -> None:
        process.open(started())
        await process.write()
        reader = RedisReader(process.redis, uuid4(), signals=False)
        running = asyncio.create_task(reader.run())
        await asyncio.sleep(0)
        follower = reader.follow(ID, Follower(0))
        assert [event.sequence for event in await anext(follower)] == [1]
        await follower.aclose()
        while not running.done():
            # The client may suppress a cancellation.
            running.cancel()
            await asyncio.wait([running], timeout=0.1)
        await reader.close()

    run(url, test)


def test_a_reader_reads_when_redis_was_unavailable_at_its_start() -> None:
    read = list[Any]()

    async def fail(*_arguments: object, **_options: object) -> None:
        raise RedisConnectionError

    async def stop(positions: Any, **_options: object) -> None:
        read.append(positions)
        raise asyncio.CancelledError

    async def test() -> None:
        client: Any = SimpleNamespace(xrevrange=fail, xread=stop)
        with pytest.raises(asyncio.CancelledError):
            await RedisReader(client, uuid4()).run()
        assert len(read) == 1

    asyncio.run(test())


def test_a_mirror_lives_as_long_as_it_has_followers(url: str) -> None:
    async def test(process: Process) -> None:
        process.open(started(), delta(2))
        await process.write()
        reader = RedisReader(process.redis, uuid4())
        first, second = (reader.follow(ID, Follower(0)) for _ in range(2))
        for follower in (first, second):
            waiting = asyncio.create_task(anext(follower))
            await asyncio.sleep(0)
            if not waiting.done():
                await reader._read_once()
            assert [event.sequence for event in await waiting] == [1, 2]
        assert list(reader._mirrors) == [ID]
        await first.aclose()
        assert list(reader._mirrors) == [ID]
        await second.aclose()
        assert reader._mirrors == {}
        await reader.close()

    run(url, test)
