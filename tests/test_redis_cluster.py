"""A Redis Cluster of processes: replicas share answers, signals and limits, and a node that fails is replaced."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Generator
from contextlib import ExitStack, aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

import pytest
from client import WAIT, Api, apply
from conftest import SECRET
from redis.crc import key_slot
from running import tertulia
from scripted import Gate, says, scripted
from servers import RedisCluster, Servers
from test_command import refused, run, run_here

from tertulia.ratelimit import limits
from tertulia.ratelimit.limits import Rate, Rates
from tertulia.ratelimit.slots import RedisConnectionSlots
from tertulia.server.auth import throttle
from tertulia.server.auth.throttle import RedisFailures
from tertulia.streams.events import GenerationCompleted, GenerationStarted, TextDelta
from tertulia.streams.lease import Lease
from tertulia.streams.redis import log as redis_log
from tertulia.streams.redis.log import RedisLog
from tertulia.streams.redis.scripts import PARTITIONS, holder_key, partition_tags, stream_key
from tertulia.streams.stream import Follower


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[RedisCluster]:
    cluster = RedisCluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.close()


def complete(work: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(WAIT):
            await work

    asyncio.run(bounded())


@asynccontextmanager
async def opened(cluster: RedisCluster) -> AsyncGenerator[RedisLog]:
    log = RedisLog(cluster.url, uuid4())
    await log.start()
    try:
        yield log
    finally:
        await log.close()


def lease() -> Lease:
    return Lease(datetime.now(UTC) + timedelta(seconds=60))


def begin(log: RedisLog, id: UUID) -> None:
    log.open(id, lease())
    log.append(id, [GenerationStarted(id, 1)])


async def followed(log: RedisLog, id: UUID, after: int = 0) -> list[int]:
    """Follow a log to its end, and return the numbers of its events."""
    sequences: list[int] = []
    follower = Follower(after)
    while True:
        async with aclosing(log.follow(id, follower)) as batches:
            async for batch in batches:
                sequences += [event.sequence for event in batch]
                if batch and isinstance(batch[-1], GenerationCompleted):
                    return sequences


def test_an_answer_is_followed_and_stopped_on_another_replica(
    cluster: RedisCluster, servers: Servers, tmp_path: Path
) -> None:
    gate = Gate()
    place = servers.settings() | {"redis_url": cluster.url}
    with ExitStack() as stack:
        claude = stack.enter_context(scripted(says("one ", gate, "two"), says("half", Gate())))
        keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address}
        addresses = [stack.enter_context(tertulia(tmp_path, **place, **keyed)) for _ in range(2)]
        first, second = (stack.enter_context(Api(address)) for address in addresses)
        completed = first.send("Hello")["generation"]["id"]
        socket = stack.enter_context(second.socket())
        events = socket.events(completed)
        seen = [next(events)]
        gate.open.set()
        assert apply([*seen, *events]) == ["one two"]
        endless = first.send("Hello")["generation"]["id"]
        second.wait_for_text(endless, "half")
        assert second.stop(endless)["generation"]["status"] == "STOPPED"
        assert first.follow(endless)[-1]["__typename"] == "GenerationStopped"
        assert second.http.get("/readyz").json()["redis"] == "ok"


def test_many_answers_in_all_slots_are_followed_with_a_bounded_number_of_connections(cluster: RedisCluster) -> None:
    ids = [uuid4() for _ in range(60)]

    async def work() -> None:
        async with opened(cluster) as writer, opened(cluster) as reader:
            for id in ids:
                begin(writer, id)
            following = [asyncio.create_task(followed(reader, id)) for id in ids]
            await asyncio.gather(*(writer.flush(id) for id in ids))
            while not all(mirrored(reader, id) for id in ids):  # noqa: ASYNC110 - Redis has no event to wait for
                await asyncio.sleep(0.005)
            # The writing process blocks one connection, for signals.
            assert blocked(cluster) <= PARTITIONS + 1
            for id in ids:
                writer.append(id, [GenerationCompleted(id, 2)])
            assert await asyncio.gather(*following) == [[1, 2]] * len(ids)

    complete(work())
    primaries = [node for node in cluster.nodes if node.responds() and node.client.role()[0] == b"master"]
    shares = [sum(b"log" in key for key in node.client.keys("tertulia:*")) for node in primaries]
    assert min(shares) >= 5
    # The keys that a script touches have the same slot.
    for tag in partition_tags():
        assert key_slot(stream_key(ids[0], tag).encode()) == key_slot(holder_key(ids[0], tag).encode())


def mirrored(log: RedisLog, id: UUID) -> bool:
    mirror = log._partition(id).reader._mirrors.get(id)
    return mirror is not None and mirror.stream.last == 1


def blocked(cluster: RedisCluster) -> int:
    return sum(node.client.info("clients")["blocked_clients"] for node in cluster.nodes if node.responds())


def test_a_log_is_taken_over_with_all_its_events_and_its_former_writer_is_refused(
    cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine, the first connections to all nodes can take longer. Without Redis, nothing can be taken over.
    monkeypatch.setattr(redis_log, "CONNECT_SECONDS", WAIT)

    async def work() -> None:
        id = uuid4()
        async with opened(cluster) as former, opened(cluster) as later, opened(cluster) as reader:
            begin(former, id)
            await former.flush(id)
            taken_over = await later.take_over(id, lease())
            assert taken_over is not None
            assert [event.sequence for event in taken_over.iter_events()] == [1]
            former.append(id, [TextDelta(id, 2, 0, 0, "of the former writer")])
            await former.flush(id)
            later.open(id, lease(), list(taken_over.iter_events()))
            later.append(id, [TextDelta(id, 2, 0, 0, "of the later writer"), GenerationCompleted(id, 3)])
            await later.flush(id)
            stream = await reader.read(id)
            assert stream is not None
            texts = [event.text for event in stream.iter_events() if isinstance(event, TextDelta)]
            assert texts == ["of the later writer"]
            await later.discard(id)
            async with opened(cluster) as new_reader:
                assert await new_reader.read(id) is None

    complete(work())


def test_limits_are_counted_for_all_processes(cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine, the first connections to all nodes can take longer.
    monkeypatch.setattr(limits, "STORE_PATIENCE", WAIT)
    monkeypatch.setattr(throttle, "REDIS_PATIENCE", WAIT)

    async def work() -> None:
        rates, other_rates, rate = Rates(cluster.url), Rates(cluster.url), Rate("x", "2/minute")
        viewers = [uuid4() for _ in range(10)]
        for viewer in viewers:
            assert [await each.hit(rate, str(viewer)) for each in (rates, other_rates)] == [None, None]
            assert await rates.hit(rate, str(viewer)) is not None
            assert (await other_rates.window(rate, str(viewer))).remaining == 0
        slots, other_slots, slot = RedisConnectionSlots(cluster.url), RedisConnectionSlots(cluster.url), uuid4()
        for viewer in viewers:
            assert await slots.acquire(viewer, slot, 1)
            assert not await other_slots.acquire(viewer, uuid4(), 1)
            assert await other_slots.count(viewer) == 1
            await slots.release(viewer, slot)
        failures, other_failures = RedisFailures(cluster.url), RedisFailures(cluster.url)
        for viewer in viewers:
            await failures.add(str(viewer))
            assert (await other_failures.get(str(viewer))).count == 1
            await other_failures.forget(str(viewer))
            assert (await failures.get(str(viewer))).count == 0
        for each in (rates, other_rates, slots, other_slots, failures, other_failures):
            await each.close()

    complete(work())


def test_an_answer_continues_on_the_replica_of_a_node_that_was_killed(cluster: RedisCluster) -> None:
    number = next(number for number, node in enumerate(cluster.primaries) if node.responds())
    ids = [uuid4() for _ in range(30)]

    async def work() -> None:
        async with opened(cluster) as writer, opened(cluster) as reader, Counted(cluster) as counted:
            for id in ids:
                begin(writer, id)
            following = [asyncio.create_task(followed(reader, id)) for id in ids]
            await asyncio.gather(*(writer.flush(id) for id in ids))
            await asyncio.to_thread(cluster.fail_over, number)
            for id in ids:
                writer.append(id, [TextDelta(id, 2, 0, 0, "later"), GenerationCompleted(id, 3)])
            for sequences in await asyncio.gather(*following):
                assert (sequences[0], sequences[-1]) == (1, 3)
            await counted.works_again()
            heard = asyncio.Event()
            reader.on("heard", lambda _: heard.set())
            while not heard.is_set():
                writer.send("heard", uuid4())
                await asyncio.sleep(0.01)

    complete(work())


class Counted:
    """Slots of viewers in all parts of a cluster."""

    def __init__(self, cluster: RedisCluster) -> None:
        self.slots = RedisConnectionSlots(cluster.url)
        self.viewers = [uuid4() for _ in range(10)]

    async def __aenter__(self) -> Self:
        for viewer in self.viewers:
            assert await self.slots.acquire(viewer, uuid4(), 5)
        return self

    async def works_again(self) -> None:
        for viewer in self.viewers:
            while await self.slots.count(viewer) == 0:
                await self.slots.acquire(viewer, uuid4(), 5)

    async def __aexit__(self, *_: object) -> None:
        await self.slots.close()


def test_the_address_must_say_whether_redis_is_a_cluster(
    cluster: RedisCluster, own_servers: Servers, tmp_path: Path
) -> None:
    passed = run_here(tmp_path, "doctor", REDIS_URL=cluster.url)
    assert "redis: connected to a cluster; any number of processes can serve" in passed.output
    plain = next(f"redis://127.0.0.1:{node.port}" for node in cluster.nodes if node.responds())
    failed = run_here(tmp_path, "doctor", REDIS_URL=plain)
    assert failed.exit_code == 1
    assert "REDIS_URL: this is a node of a Redis Cluster, whose address must be redis+cluster://..." in failed.output
    line = refused(run(tmp_path, "serve", "--port", "0", REDIS_URL=plain))
    assert line.startswith("REDIS_URL: this is a node of a Redis Cluster")
