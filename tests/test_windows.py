"""Moving windows in memory: the rate holds in every interval of its length, and unused windows are removed."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import parse

from tertulia.ratelimit import memory
from tertulia.ratelimit.memory import LocalWindows

RATE = parse("5/10 seconds")
steps = st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 6), st.floats(0, 7)), max_size=40)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now


@given(steps)
def test_no_interval_exceeds_the_rate_and_nothing_below_it_is_refused(steps: list[tuple[str, int, float]]) -> None:
    async def walk() -> None:
        local, accepted = LocalWindows(), list[tuple[str, float, int]]()
        for key, cost, wait in steps:
            clock.now += wait
            used = sum(cost for name, at, cost in accepted if name == key and at > clock.now - 10)
            assert (await local.get_window_stats(RATE, key)).remaining == 5 - used
            assert await local.hit(RATE, key, cost=cost) == (used + cost <= 5)
            if used + cost <= 5:
                accepted.append((key, clock.now, cost))

    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "time", clock)
        asyncio.run(walk())


def test_a_hit_counts_until_exactly_the_end_of_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    async def walk() -> None:
        local = LocalWindows()
        assert await local.hit(RATE, "ada", cost=5)
        clock.now += 9.5
        assert not await local.hit(RATE, "ada")
        clock.now += 0.5
        assert await local.hit(RATE, "ada", cost=5)
        clock.now += 10
        assert (await local.get_window_stats(RATE, "ada")).remaining == 5

    clock = Clock()
    monkeypatch.setattr(memory, "time", clock)
    asyncio.run(walk())


def test_unused_windows_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def walk() -> None:
        local = LocalWindows()
        await local.hit(RATE, "stays")
        for number in range(1000):
            await local.hit(RATE, str(number))
        clock.now += 5
        await local.hit(RATE, "stays")
        clock.now += 6
        for _ in range(501):
            await local.hit(RATE, "stays", cost=6)
        assert {len(remaining) for remaining in vars(local)["_windows"].values()} == {1}

    clock = Clock()
    monkeypatch.setattr(memory, "time", clock)
    asyncio.run(walk())
