"""Rates, connection slots and failed sign-ins: in this process, in Redis, and while Redis is unavailable."""

import asyncio
from collections.abc import Coroutine
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
import redis as redis_client
from rows import replace_here
from servers import Servers

from tertulia.ratelimit import limits as limits_module
from tertulia.ratelimit import memory, slots
from tertulia.ratelimit.errors import RateLimited
from tertulia.ratelimit.limits import Limit, Limits, Rate, Rates, Subscriptions, Window
from tertulia.ratelimit.slots import SLOT_SECONDS, LocalConnectionSlots, RedisConnectionSlots
from tertulia.server.auth import throttle
from tertulia.server.auth.throttle import (
    FORGOTTEN_AFTER,
    Failures,
    LocalFailures,
    RedisFailures,
    SignInThrottle,
    network_of,
)

NOWHERE = "redis://127.0.0.1:1/0"
VIEWER = uuid4()


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


class Clock:
    """The present of windows and slots, which a test sets."""

    def __init__(self, patch: pytest.MonkeyPatch, *modules: Any) -> None:
        self.now = 1_000_000.0
        for module in modules:
            patch.setattr(module, "time", self)

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


def assert_disconnected(store: Any) -> None:
    assert [connection.is_connected for connection in store._redis.connection_pool._available_connections] == [False]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch, limits_module, memory, throttle)


@pytest.fixture
def url(servers: Servers) -> str:
    return servers.redis_url()


def test_a_rate_is_a_number_per_time_and_per_minute_without_a_unit() -> None:
    rates = [Rate("x", notation) for notation in ("60/minute", "60", " 60 ", "5 per 2 hour")]
    assert [(rate.amount, rate.seconds) for rate in rates] == [(60, 60), (60, 60), (60, 60), (5, 7200)]


def test_calls_above_a_rate_wait_until_the_oldest_one_leaves_the_window(clock: Clock) -> None:
    async def work() -> None:
        rates, rate = Rates(None), Rate("x", "3/minute")
        assert (await rates.window(rate, "ada")).resets_in == 0.0
        assert await rates.hit(rate, "ada", 2) is None
        clock.now += 10
        assert await rates.hit(rate, "ada", 2) == 50
        window = await rates.window(rate, "ada")
        assert (window.rate, window.remaining, window.resets_in) == (rate, 1, 50)
        assert await rates.hit(rate, "ada") is None
        assert await rates.hit(rate, "bob", 3) is None
        assert (await rates.window(rate, "ada")).remaining == 0
        clock.now += 49.995
        assert await rates.hit(rate, "ada") == 0.01
        assert (await rates.window(rate, "ada")).resets_in == pytest.approx(0.005, abs=1e-6)
        await rates.close()

    run(work())


def test_while_the_store_is_away_all_calls_are_allowed_and_it_is_left_alone_for_two_seconds(clock: Clock) -> None:
    async def work() -> None:
        rates, rate = Rates(NOWHERE), Rate("x", "1/minute")
        asked: list[str] = []

        class Store:
            async def hit(self, *_: object, **__: object) -> bool:
                asked.append("hit")
                raise ConnectionError

            async def get_window_stats(self, *_: object) -> Any:
                asked.append("stats")
                raise ConnectionError

        rates._windows = cast("Any", Store())
        assert [await rates.hit(rate, "ada") for _ in range(3)] == [None] * 3
        window = await rates.window(rate, "ada")
        assert (window.remaining, window.resets_in) == (1, 0.0)
        assert asked == ["hit"]
        clock.now += 1.5
        await rates.hit(rate, "ada")
        assert asked == ["hit"]
        clock.now += 0.5
        window = await rates.window(rate, "ada")
        assert (window.remaining, window.resets_in) == (1, 0.0)
        await rates.window(rate, "ada")
        assert asked == ["hit", "stats"]
        clock.now += 2
        await rates.hit(rate, "ada")
        assert asked == ["hit", "stats", "hit"]
        await rates.close()

    run(work())


def test_a_store_that_does_not_answer_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "STORE_PATIENCE", 0.01)

    class Store:
        async def hit(self, *_: object, **__: object) -> bool:
            return await asyncio.Event().wait()

        async def get_window_stats(self, *_: object) -> Any:
            await asyncio.Event().wait()

    async def work() -> None:
        rate, first, second = Rate("x", "1/minute"), Rates(None), Rates(None)
        first._windows = second._windows = cast("Any", Store())
        async with asyncio.timeout(5):
            assert await first.hit(rate, "ada") is None
            assert await second.window(rate, "ada") == Window(rate, 1, 0.0)

    run(work())


def test_rates_in_redis_are_counted_for_all_replicas(url: str) -> None:
    async def work() -> None:
        first, second, rate = Rates(url), Rates(url), Rate("x", "2/minute")
        assert [await rates.hit(rate, "ada") for rates in (first, second)] == [None, None]
        wait = await first.hit(rate, "ada")
        assert wait is not None
        assert 50 < wait <= 60
        window = await second.window(rate, "ada")
        assert window.remaining == 0
        assert 50 < window.resets_in <= 60
        for rates in (first, second):
            await rates.close()
            assert_disconnected(rates)

    run(work())


def test_each_call_counts_for_its_own_limit(clock: Clock) -> None:
    async def work() -> None:
        refused: list[tuple[str, UUID | None]] = []
        limits = Limits(
            Rates(None), LocalConnectionSlots(), Rate("requests", "1"), Rate("messages", "1"), Rate("uploads", "3"),
            Rate("shares", "1"), generations=5, sockets=2, on_refused=lambda limit, user_id: refused.append((limit, user_id)),
        )  # fmt: skip
        await limits.check_request(VIEWER)
        await limits.check_send(VIEWER)
        await limits.check_upload(VIEWER, 2 * 1024 * 1024)
        await limits.check_upload(VIEWER, 1)
        await limits.check_share("192.0.2.1")
        for check in (
            limits.check_request(VIEWER),
            limits.check_send(VIEWER),
            limits.check_upload(VIEWER, 1),
            limits.check_share("192.0.2.1"),
        ):
            with pytest.raises(RateLimited) as raised:
                await check
            assert raised.value.retry_after_seconds == 60
        assert refused == [("requests", VIEWER), ("messages", VIEWER), ("uploads", VIEWER), ("shares", None)]
        await limits.check_request(uuid4())
        await limits.check_share("192.0.2.2")
        assert [window.rate.name for window in await limits.windows(VIEWER)] == ["requests", "messages"]
        async with limits.connection_slot(VIEWER):
            assert await limits.status(VIEWER, 2) == [
                Limit("requests", 1, 0, 60, 60.0), Limit("messages", 1, 0, 60, 60.0), Limit("uploads", 3, 0, 60, 60.0),
                Limit("generations", 5, 3), Limit("sockets", 2, 1),
            ]  # fmt: skip
            async with limits.connection_slot(VIEWER):
                assert (await limits.status(VIEWER, 2))[4] == Limit("sockets", 2, 0)
        assert (await limits.status(VIEWER, 9))[3:] == [Limit("generations", 5, 0), Limit("sockets", 2, 2)]

    run(work())


def test_without_limits_everything_is_allowed_and_nothing_is_reported() -> None:
    async def work() -> None:
        limits = Limits(Rates(None), LocalConnectionSlots())
        for check in (limits.check_request(VIEWER), limits.check_send(VIEWER), limits.check_upload(VIEWER, 10**9)):
            await check
        async with limits.connection_slot(VIEWER):
            assert await limits.connection_slots.count(VIEWER) == 0
        assert await limits.windows(VIEWER) == []
        assert await limits.status(VIEWER, 3) == []

    run(work())


def test_a_connection_holds_a_slot_until_it_ends_and_renews_it_every_thirty_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work() -> None:
        slept: list[float] = []
        gate = asyncio.Event()
        sleep = asyncio.sleep

        async def shortened(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) > 2:
                await gate.wait()

        refused: list[str] = []
        limits = Limits(
            Rates(None), LocalConnectionSlots(), sockets=1, on_refused=lambda limit, _: refused.append(limit)
        )
        acquired: list[tuple[object, ...]] = []
        acquire = limits.connection_slots.acquire

        async def recorded(*arguments: Any) -> bool:
            acquired.append(arguments)
            return await acquire(*arguments)

        monkeypatch.setattr(limits.connection_slots, "acquire", recorded)
        replace_here(monkeypatch, asyncio, "sleep", shortened)
        async with limits.connection_slot(VIEWER):
            for _ in range(5):
                await sleep(0)
            assert slept == [SLOT_SECONDS / 3] * 3 == [30.0] * 3
            assert len(set(acquired)) == 1
            assert len(acquired) == 3
            with pytest.raises(RateLimited) as raised:
                await limits.connection_slot(VIEWER).__aenter__()
            assert raised.value.retry_after_seconds == SLOT_SECONDS
            assert refused == ["sockets"]
            tasks = len(asyncio.all_tasks())
        await sleep(0)
        assert len(asyncio.all_tasks()) == tasks - 1
        assert await limits.connection_slots.count(VIEWER) == 0

    run(work())


@pytest.mark.parametrize("kind", ["local", "redis"])
def test_slots_are_counted_for_each_viewer(kind: str, url: str) -> None:
    async def work() -> None:
        store: Any = LocalConnectionSlots() if kind == "local" else RedisConnectionSlots(url)
        ada, bob, first, second = (uuid4() for _ in range(4))
        assert [await store.acquire(ada, slot, 1) for slot in (first, first, second)] == [True, True, False]
        assert await store.acquire(ada, second, 2)
        assert await store.acquire(bob, uuid4(), 1)
        assert (await store.count(ada), await store.count(bob), await store.count(uuid4())) == (2, 1, 0)
        await store.release(ada, second)
        await store.release(ada, second)
        assert await store.count(ada) == 1
        assert not await store.acquire(ada, second, 1)
        await store.release(ada, first)
        assert await store.count(ada) == 0
        if kind == "local":
            assert list(store._counts) == [bob]
        if kind == "redis":
            await store.close()
            assert_disconnected(store)

    run(work())


def test_slots_in_redis_expire_with_their_process(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, slots)

    async def work() -> None:
        store = RedisConnectionSlots(url)
        dead, alive = uuid4(), uuid4()
        assert await store.acquire(VIEWER, dead, 1)
        clock.now += SLOT_SECONDS - 0.001
        assert await store.count(VIEWER) == 1
        assert not await store.acquire(VIEWER, alive, 1)
        clock.now += 0.001
        assert await store.acquire(VIEWER, alive, 1)
        clock.now += 0.001
        assert await store.count(VIEWER) == 1
        redis: Any = redis_client.Redis
        with redis.from_url(url) as client:
            (key,) = client.keys("*")
            assert 90_000 < client.pttl(key) <= 200_000
        await store.close()

    run(work())


def test_slots_are_free_while_redis_is_away() -> None:
    async def work() -> None:
        store = RedisConnectionSlots(NOWHERE)
        assert await store.acquire(VIEWER, uuid4(), 0)
        assert await store.count(VIEWER) == 0
        await store.release(VIEWER, uuid4())
        await store.close()

    run(work())


def test_subscriptions_are_counted_and_those_that_end_with_an_answer_are_waited_for() -> None:
    async def work() -> None:
        subscriptions = Subscriptions(per_socket=1, at_once=2)
        with subscriptions.slot(), subscriptions.slot(ends=True):
            assert subscriptions.open == 2
            with pytest.raises(Exception, match="2") as raised:
                subscriptions.slot().__enter__()
            assert cast("Any", raised.value).extensions == {"code": "RATE_LIMITED"}
            waiting = asyncio.create_task(subscriptions.wait_until_ended(60))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not waiting.done()
        assert subscriptions.open == 0
        await asyncio.wait_for(waiting, 5)
        await asyncio.wait_for(subscriptions.wait_until_ended(60), 5)
        with subscriptions.slot():
            await asyncio.wait_for(subscriptions.wait_until_ended(60), 5)
        with subscriptions.slot(ends=True):
            with subscriptions.slot(ends=True):
                pass
            waiting = asyncio.create_task(subscriptions.wait_until_ended(60))
            for _ in range(10):
                await asyncio.sleep(0)
            assert not waiting.done()
            waiting.cancel()
            await subscriptions.wait_until_ended(0)

    run(work())


def test_failures_in_redis_are_counted_and_forgotten_fifteen_minutes_after_the_last_one(url: str) -> None:
    async def work() -> None:
        first, second = RedisFailures(url), RedisFailures(url)
        assert await first.get("ada") == Failures()
        await first.add("ada")
        await second.add("ada")
        failures = await first.get("ada")
        assert failures.count == 2
        assert 0 <= failures.age < 5
        assert (await second.get("bob")).count == 0
        redis: Any = redis_client.Redis
        with redis.from_url(url) as client:
            (key,) = client.keys("*")
            assert key.startswith(b"tertulia:failures:")
            assert b"ada" not in key
            assert 895_000 < client.pttl(key) <= 900_000
            # The clock of Redis may be adjusted.
            client.pexpire(key, 960_000)
            assert (await first.get("ada")).age == 0
            client.pexpire(key, 300_000)
        assert 599 < (await first.get("ada")).age < 610
        await second.forget("ada")
        assert await first.get("ada") == Failures()
        for store in (first, second):
            await store.close()
            assert_disconnected(store)

    run(work())


def test_failures_are_counted_by_each_process_while_redis_is_away() -> None:
    async def work() -> None:
        store = RedisFailures(NOWHERE)
        for _ in range(2):
            await store.add("ada")
        assert (await store.get("ada")).count == 2
        await store.forget("ada")
        assert await store.get("ada") == Failures()
        await store.close()

    run(work())


def test_failures_are_forgotten_exactly_fifteen_minutes_after_the_last_one(clock: Clock) -> None:
    async def work() -> None:
        store = LocalFailures()
        await store.add("ada")
        clock.now += FORGOTTEN_AFTER - 0.5
        assert await store.get("ada") == Failures(1, FORGOTTEN_AFTER - 0.5)
        await store.add("ada")
        assert await store.get("ada") == Failures(2, 0)
        clock.now += FORGOTTEN_AFTER
        assert await store.get("ada") == Failures()
        await store.add("ada")
        assert (await store.get("ada")).count == 1
        assert await store.get("bob") == Failures()

    run(work())


def test_a_name_is_delayed_from_its_21st_failure_on_by_a_twentieth_of_a_second_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def work() -> None:
        guesses = SignInThrottle(LocalFailures())
        replace_here(monkeypatch, asyncio, "sleep", sleep)
        for number in range(70):
            await guesses.delay("ada")
            await guesses.failed("ada", f"192.0.2.{number}")
        await guesses.close()
        assert len(slept) == 49
        assert slept[:2] == pytest.approx([0.05, 0.1])
        assert slept[-10:] == [2.0] * 10

    run(work())


def test_the_wait_of_an_address_doubles_up_to_a_minute(clock: Clock) -> None:
    async def work() -> None:
        guesses = SignInThrottle(LocalFailures())
        waits: list[float] = []
        for _ in range(17):
            waits.append(await guesses.wait("ada", "192.0.2.1"))
            await guesses.failed("ada", "192.0.2.1")
        assert waits == [0.0] * 10 + [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
        clock.now += 59
        assert await guesses.wait("ada", "192.0.2.1") == 1.0
        clock.now += 2
        assert await guesses.wait("ada", "192.0.2.1") == 0.0
        assert await guesses.wait("ada", "192.0.2.2") == 0.0
        await guesses.succeeded("ada", "192.0.2.1")
        await guesses.failed("ada", "192.0.2.1")
        assert await guesses.wait("ada", "192.0.2.1") == 0.0

    run(work())


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("somewhere", "somewhere"),
    ],
)
def test_addresses_of_one_customer_are_one_network(address: str, network: str) -> None:
    assert network_of(address) == network
