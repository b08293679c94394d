"""Protection against guessing passwords: waits for each address, and delays for all sign-ins with a name."""

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from tertulia.server.auth import passwords
from tertulia.server.auth import throttle as guesses
from tertulia.server.auth.passwords import Passwords, Unfit, check_password
from tertulia.server.auth.throttle import LocalFailures, SignInThrottle

Result = TypeVar("Result")
HERE, THERE = "192.0.2.1", "192.0.2.2"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(guesses, "time", clock)
    return clock


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the list of requested delays. They are recorded, not waited for."""
    delays: list[float] = []

    async def sleep(seconds: float) -> None:
        delays.append(seconds)

    monkeypatch.setattr(guesses, "asyncio", SimpleNamespace(sleep=sleep))
    return delays


def run(work: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(work)


def failed(guesses: SignInThrottle, times: int, address: str = HERE) -> None:
    for _ in range(times):
        run(guesses.failed("ada", address))


def test_after_ten_wrong_passwords_an_address_waits_2_seconds_then_4_up_to_a_minute(clock: Clock) -> None:
    counted = SignInThrottle(LocalFailures())
    failed(counted, 9)
    waits: list[float] = []
    for _ in range(8):
        waits.append(run(counted.wait("ada", HERE)))
        failed(counted, 1)
    assert waits == [0, 2, 4, 8, 16, 32, 60, 60]
    assert run(counted.wait("ada", THERE)) == 0
    assert run(counted.wait("grace", HERE)) == 0


def test_a_wait_begins_with_the_last_wrong_password(clock: Clock) -> None:
    counted = SignInThrottle(LocalFailures())
    failed(counted, 11)
    assert run(counted.wait("ada", HERE)) == 4
    clock.now += 3
    assert run(counted.wait("ada", HERE)) == 1
    clock.now += 1
    assert run(counted.wait("ada", HERE)) == 0


def test_wrong_passwords_are_forgotten_15_minutes_after_the_last_one(clock: Clock) -> None:
    counted = SignInThrottle(LocalFailures())
    failed(counted, 10)
    clock.now += 899
    failed(counted, 1)
    assert run(counted.wait("ada", HERE)) == 4
    clock.now += 900
    failed(counted, 1)
    assert run(counted.wait("ada", HERE)) == 0


def test_the_right_password_resets_only_the_failures_of_its_address(clock: Clock, slept: list[float]) -> None:
    counted = SignInThrottle(LocalFailures())
    failed(counted, 15)
    failed(counted, 15, THERE)
    run(counted.succeeded("ada", HERE))
    assert run(counted.wait("ada", HERE)) == 0
    assert run(counted.wait("ada", THERE)) == 60
    run(counted.delay("ada"))
    assert slept == [0.5]


def test_after_20_wrong_passwords_from_any_address_responses_are_delayed_up_to_2_seconds(
    clock: Clock, slept: list[float]
) -> None:
    counted = SignInThrottle(LocalFailures())
    for number in range(20):
        failed(counted, 1, f"192.0.2.{number}")
    run(counted.delay("ada"))
    assert slept == []
    for number in range(20, 70):
        failed(counted, 1, f"192.0.2.{number}")
        run(counted.delay("ada"))
    assert slept == [pytest.approx(min(excess * 0.05, 2)) for excess in range(1, 51)]
    run(counted.delay("grace"))
    assert len(slept) == 50
    assert run(counted.wait("ada", HERE)) == 0


def test_when_too_many_failures_are_stored_the_oldest_are_forgotten(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guesses, "MOST_KEPT", 3)
    counted = LocalFailures()
    for name in ("first", "second", "third", "first", "fourth"):
        run(counted.add(name))
    counts = {name: run(counted.get(name)).count for name in ("first", "second", "third", "fourth")}
    assert counts == {"first": 2, "second": 0, "third": 1, "fourth": 1}


def test_only_a_few_passwords_are_hashed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        hashing_functions, release = list[object](), asyncio.Event()

        async def to_thread(function: object, *_arguments: object) -> str:
            hashing_functions.append(function)
            await release.wait()
            return ""

        monkeypatch.setattr(passwords, "asyncio", SimpleNamespace(Semaphore=asyncio.Semaphore, to_thread=to_thread))
        hashing = Passwords()
        for hash_password in (lambda: hashing.hash("parsnip"), lambda: hashing.verify("parsnip", None)):
            tasks = [asyncio.ensure_future(hash_password()) for _ in range(10)]
            for _ in range(20):
                await asyncio.sleep(0)
            # Each hash takes tens of megabytes of memory.
            assert len(hashing_functions) == passwords.AT_ONCE == 2
            release.set()
            await asyncio.gather(*tasks)
            hashing_functions.clear()
            release.clear()

    run(work())


def test_the_addresses_of_one_customer_are_counted_together() -> None:
    assert guesses.network_of("2001:db8::1") == guesses.network_of("2001:db8::ffff:1") == "2001:db8::/64"
    assert guesses.network_of("2001:db8:0:1::1") == "2001:db8:0:1::/64"
    assert guesses.network_of("::ffff:192.0.2.1") == guesses.network_of("192.0.2.1") == "192.0.2.1"
    assert guesses.network_of("fe80::1%eth0") == "fe80::/64"
    assert guesses.network_of("no address") == "no address"


@pytest.mark.parametrize("password", ["parsnip", "aaaaaaaa", "Ada@example.org"])
def test_passwords_that_are_easy_to_guess_are_refused(password: str) -> None:
    with pytest.raises(Unfit, match="password"):
        check_password(password, "ada@example.org")


@pytest.mark.parametrize("password", ["parsnips", "abababab"])
def test_other_passwords_are_accepted(password: str) -> None:
    check_password(password, "ada@example.org")


def test_closing_the_throttle_closes_the_connections_of_its_counts() -> None:
    class Store(LocalFailures):
        is_closed = False

        async def close(self) -> None:
            self.is_closed = True

    store = Store()
    run(SignInThrottle(store).close())
    assert store.is_closed


def test_a_password_may_have_1000_characters_and_all_of_them_count() -> None:
    async def work() -> None:
        longest, hashing = "ab" * 500, Passwords()
        check_password(longest, "ada")
        with pytest.raises(Unfit, match="password"):
            check_password(longest + "a", "ada")
        hashed = await hashing.hash(longest)
        assert await hashing.verify(longest, hashed)
        assert not await hashing.verify(longest + "a", hashed)
        assert not await hashing.verify(longest[:-1], hashed)

    run(work())


def test_right_after_the_start_of_the_machine_nothing_has_failed(clock: Clock) -> None:
    clock.now = 5.0
    assert run(LocalFailures().get("ada")).count == 0
