"""The log in Redis refuses late batches, replaced writers and takeovers without a lease."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis as redis_client
from client import WAIT
from redis.exceptions import ConnectionError as RedisConnectionError
from servers import RedisServer

from tertulia.redis_client import AWAY
from tertulia.streams.events import GenerationStarted, TextDelta
from tertulia.streams.lease import Lease
from tertulia.streams.redis import log as redis_log
from tertulia.streams.redis import reader as redis_reader
from tertulia.streams.redis.log import RedisLog
from tertulia.streams.redis.scripts import stream_key
from tertulia.streams.stream import Follower


@pytest.fixture
def redis(tmp_path: Path) -> Generator[RedisServer]:
    server = RedisServer(tmp_path / "redis")
    yield server
    server.stop()


@asynccontextmanager
async def opened(redis: RedisServer) -> AsyncGenerator[RedisLog]:
    log = RedisLog(redis.url(0), uuid4())
    await log.start()
    yield log
    await log.close()


def lease(seconds: float) -> Lease:
    return Lease(datetime.now(UTC) + timedelta(seconds=seconds))


def delta(id: UUID, sequence: int, text: str) -> TextDelta:
    return TextDelta(id, sequence, 0, 0, text)


def test_a_batch_that_redis_runs_after_the_end_of_the_lease_is_refused(redis: RedisServer) -> None:
    async def work() -> None:
        id = uuid4()
        async with opened(redis) as former, opened(redis) as later:
            short_lease = lease(1)
            former.open(id, short_lease)
            former.append(id, [GenerationStarted(id, 1)])
            await former.flush(id)
            redis.process.send_signal(signal.SIGSTOP)
            former.append(id, [delta(id, 2, "never stored")])
            await asyncio.sleep(short_lease.seconds_left)
            redis.process.send_signal(signal.SIGCONT)
            # The former writer's command was sent first, so Redis has run it by now.
            taken_over = await later.take_over(id, lease(20))
            assert taken_over is not None
            assert [event.sequence for event in taken_over.iter_events()] == [1]
            stream = await former.read(id)
            assert stream is not None
            assert stream.last == 1
            later.open(id, lease(20), list(taken_over.iter_events()))
            later.append(id, [delta(id, 2, "stored")])
            await later.flush(id)
            stored = await former.read(id)
            assert stored is not None
            assert [event.text for event in stored.iter_events() if isinstance(event, TextDelta)] == ["stored"]

    asyncio.run(work())


def test_a_takeover_locks_the_former_writer_out(redis: RedisServer) -> None:
    async def work() -> None:
        id = uuid4()
        async with opened(redis) as former, opened(redis) as later:
            # The clocks of two machines may differ: the former writer still believes that it holds the lease.
            former.open(id, lease(20))
            former.append(id, [GenerationStarted(id, 1)])
            await former.flush(id)
            taken_over = await later.take_over(id, lease(20))
            assert taken_over is not None
            former.append(id, [delta(id, 2, "never stored")])
            await former.flush(id)
            stream = await later.read(id)
            assert stream is not None
            assert stream.last == 1
            # The former writer's process now reads what the later one has written.
            own_view = await former.read(id)
            assert own_view is not None
            assert own_view.last == 1

    asyncio.run(work())


def test_a_lapsed_lease_cannot_take_a_log_over(redis: RedisServer) -> None:
    async def work() -> None:
        id = uuid4()
        async with opened(redis) as writer, opened(redis) as frozen:
            writer.open(id, lease(20))
            writer.append(id, [GenerationStarted(id, 1)])
            await writer.flush(id)
            assert await frozen.take_over(id, Lease(None)) is None
            writer.append(id, [delta(id, 2, "continued")])
            await writer.flush(id)
            stream = await frozen.read(id)
            assert stream is not None
            assert stream.last == 2

    asyncio.run(work())


def test_an_unreadable_entry_affects_only_its_own_log(redis: RedisServer) -> None:
    async def work() -> None:
        bad, good = uuid4(), uuid4()
        client = redis_client.Redis(unix_socket_path=str(redis.socket))
        client.xadd(stream_key(bad), {"e": "not an event"}, id="1-0")
        client.close()
        async with opened(redis) as writer, opened(redis) as reader:
            assert await reader.read(bad) is None
            assert await reader.take_over(bad, lease(20)) is None
            writer.open(good, lease(20))
            writer.append(good, [GenerationStarted(good, 1)])
            await writer.flush(good)
            stream = await reader.read(good)
            assert stream is not None
            assert stream.last == 1

    asyncio.run(work())


def test_a_log_whose_redis_is_away_shows_what_is_saved_and_can_be_discarded_and_its_check_fails(tmp_path: Path) -> None:
    async def work() -> None:
        log, id = RedisLog(f"unix://{tmp_path / 'missing'}", uuid4()), uuid4()
        log.open(id, lease(20))
        log.append(id, [GenerationStarted(id, 1), delta(id, 2, "not saved")])
        stream = await log.read(id)
        assert stream is not None
        assert stream.last_visible == 0
        log.mark_saved(id, 1)
        assert stream.last_visible == 1
        await log.discard(id)
        with pytest.raises(AWAY):
            await log.check()
        await log.close()

    asyncio.run(work())


def test_the_longest_wait_is_that_of_all_partitions_of_a_cluster() -> None:
    async def work() -> None:
        log, id = RedisLog("redis+cluster://127.0.0.1:1", uuid4()), uuid4()
        lapsed = lease(-1)
        log.open(id, lapsed)
        log.append(id, [GenerationStarted(id, 1)])
        assert log.longest_wait == 0
        lapsed.renew(lease(20))
        log.mark_saved(id, 0)
        assert log.longest_wait > 0
        log.release(id)
        # Nothing is left to send.
        async with asyncio.timeout(WAIT):
            await log.flush(id)
        await log.close()

    asyncio.run(work())


def test_redis_must_respond_within_five_seconds_and_a_batch_is_not_sent_to_another_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timeouts: list[tuple[float, float, int]] = []

    def connect(_url: str, *, cluster_retries: int, socket_connect_timeout: float, socket_timeout: float) -> None:
        timeouts.append((socket_connect_timeout, socket_timeout, cluster_retries))

    monkeypatch.setattr(redis_log, "connect_redis", connect)
    RedisLog("redis+cluster://127.0.0.1:1", uuid4())
    # A command that blocks takes longer.
    assert timeouts == [(2.0, 5.0, 0), (2.0, 5.0 + redis_reader.BLOCK_MS / 1000, 1)]


def test_a_log_that_ends_writes_its_last_events_and_a_follower_of_its_own_process_gets_each_batch(
    redis: RedisServer,
) -> None:
    async def work() -> None:
        id = uuid4()
        async with opened(redis) as log, opened(redis) as reader:
            log.open(id, lease(20))
            followers = [each.follow(id, Follower(0)) for each in (log, reader)]
            for sequence, event in enumerate([GenerationStarted(id, 1), delta(id, 2, "x")], 1):
                log.append(id, [event])
                for follower in followers:
                    while not (batch := await anext(follower)):
                        pass
                    assert [event.sequence for event in batch] == [sequence]
            for follower in followers:
                await follower.aclose()
            ending = RedisLog(redis.url(0), uuid4())
            other = uuid4()
            ending.open(other, lease(20))
            ending.append(other, [GenerationStarted(other, 1)])
            await ending.close()
            stream = await reader.read(other)
            assert stream is not None
            assert stream.last == 1

    asyncio.run(work())


class Pauses:
    """The module asyncio, whose `sleep` takes no time but advances a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.seconds: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.seconds.append(seconds)


def test_a_takeover_is_tried_for_five_seconds_while_redis_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[UUID] = []

    async def fail(id: UUID, _lease: Lease) -> None:
        attempts.append(id)
        assert len(attempts) < 1_000
        raise RedisConnectionError

    async def work() -> None:
        log, pauses = RedisLog(f"unix://{tmp_path / 'missing'}", uuid4()), Pauses()
        monkeypatch.setattr(log._partitions[0].writer, "take_over", fail)
        monkeypatch.setattr(redis_log, "asyncio", pauses)
        monkeypatch.setattr(redis_log, "clock", lambda: pauses.now)
        assert await log.take_over(uuid4(), lease(600)) is None
        assert len(attempts) == len(pauses.seconds) > 5
        assert 5 <= sum(pauses.seconds) < 6
        assert max(pauses.seconds) <= 0.8
        await log.close()

    asyncio.run(work())


def test_a_takeover_that_redis_does_not_answer_ends_with_the_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait(_id: UUID, _lease: Lease) -> None:
        await asyncio.Event().wait()

    async def work() -> None:
        log = RedisLog(f"unix://{tmp_path / 'missing'}", uuid4())
        monkeypatch.setattr(log._partitions[0].writer, "take_over", wait)
        monkeypatch.setattr(redis_log, "TAKEOVER_DELAY", 0.001)
        async with asyncio.timeout(WAIT):
            assert await log.take_over(uuid4(), lease(0.05)) is None
        await log.close()

    asyncio.run(work())
