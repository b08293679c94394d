"""Retries of operations: how often and for how long, and periodic work. In these tests, only `sleep` advances time."""

import asyncio
import time
from typing import Any, cast

import pytest
from rows import replace_here

from tertulia.db.database import Database
from tertulia.generation import retry
from tertulia.generation.retry import ATTEMPTS, PATIENCE, is_available, retry_while_unavailable, run_periodically


class Constant:
    """Delays of ten seconds."""

    def __init__(self, first: float, longest: float) -> None:
        assert (first, longest) == (0.1, 2.0)

    def next(self) -> float:
        return 10.0


class Flaky:
    """A database that is unavailable at first, and work that fails at first."""

    def __init__(self, patch: pytest.MonkeyPatch, *, unavailable: int = 0, failures: int = 10**6) -> None:
        self.unavailable, self.failures = unavailable, failures
        self.calls = 0
        self.slept: list[float] = []
        replace_here(patch, asyncio, "sleep", self.sleep)
        replace_here(patch, time, "monotonic", lambda: sum(self.slept))
        patch.setattr(retry, "Backoff", Constant)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def check(self) -> None:
        if self.unavailable > 0:
            self.unavailable -= 1
            raise RuntimeError

    async def work(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise OSError
        return "done"

    def run(self, **more: Any) -> str:
        return asyncio.run(retry_while_unavailable(cast("Database", self), self.work, **more))


def test_work_that_succeeds_at_last_returns_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    flaky = Flaky(monkeypatch, failures=4)
    assert flaky.run() == "done"
    assert (flaky.calls, flaky.slept) == (5, [10.0] * 4)


def test_work_that_an_available_database_rejects_is_tried_five_times(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ATTEMPTS == 5
    flaky = Flaky(monkeypatch)
    with pytest.raises(OSError):  # noqa: PT011 - it has no message
        flaky.run()
    assert (flaky.calls, len(flaky.slept)) == (5, 4)


def test_an_unavailable_database_is_retried_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PATIENCE == 60.0
    flaky = Flaky(monkeypatch, unavailable=10**6)
    with pytest.raises(OSError):  # noqa: PT011 - it has no message
        flaky.run()
    assert (flaky.calls, sum(flaky.slept)) == (8, 70.0)
    flaky = Flaky(monkeypatch, unavailable=6, failures=6)
    assert flaky.run() == "done"


def test_the_retry_time_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    flaky = Flaky(monkeypatch, unavailable=10**6)
    with pytest.raises(OSError):  # noqa: PT011 - it has no message
        flaky.run(seconds=20.0)
    assert sum(flaky.slept) == 30.0


def test_attempts_while_the_database_is_unavailable_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    flaky = Flaky(monkeypatch, unavailable=2)
    with pytest.raises(OSError):  # noqa: PT011 - it has no message
        flaky.run(seconds=1000)
    assert flaky.calls == 7


def test_an_error_of_the_work_itself_is_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    flaky = Flaky(monkeypatch)

    async def fail() -> None:
        flaky.calls += 1
        raise RuntimeError

    with pytest.raises(RuntimeError):
        asyncio.run(retry_while_unavailable(cast("Database", flaky), fail))
    assert (flaky.calls, flaky.slept) == (1, [])


def test_a_database_is_available_if_it_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    flaky = Flaky(monkeypatch, unavailable=1)
    found = [asyncio.run(is_available(cast("Database", flaky))) for _ in range(2)]
    assert found == [False, True]


@pytest.mark.parametrize("at_once", [False, True])
def test_periodic_work_continues_after_errors_and_waits_first_unless_it_starts_at_once(
    monkeypatch: pytest.MonkeyPatch, *, at_once: bool
) -> None:
    flaky = Flaky(monkeypatch)
    errors: list[Exception | None] = [OSError(), RuntimeError(), None]
    slept: list[int] = []

    async def work() -> None:
        slept.append(len(flaky.slept))
        if not errors:
            raise asyncio.CancelledError
        error = errors.pop(0)
        if error is not None:
            raise error

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run_periodically(3.0, work, at_once=at_once))
    assert slept == ([0, 1, 2, 3] if at_once else [1, 2, 3, 4])
    assert set(flaky.slept) == {3.0}


@pytest.mark.parametrize("failure", [OSError(), RuntimeError(), False])
def test_rare_periodic_work_is_repeated_soon_after_a_failure(
    monkeypatch: pytest.MonkeyPatch, *, failure: Exception | bool
) -> None:
    flaky = Flaky(monkeypatch)
    results: list[Exception | bool | None] = [None, failure, True, failure, None]

    async def work() -> bool | None:
        if not results:
            raise asyncio.CancelledError
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run_periodically(600.0, work))
    assert flaky.slept == [600.0, 600.0, 30.0, 600.0, 30.0, 600.0]
