"""Loops over many: what one item raises costs the others nothing."""

import asyncio
import logging

import pytest

from tertulia import isolation
from tertulia.isolation import ItemLoop

LOOP = ItemLoop("test.loop")


def test_the_items_after_one_that_fails_are_worked_on(caplog: pytest.LogCaptureFixture) -> None:
    done, before = list[str](), LOOP.failures

    async def work(item: str) -> None:
        if item == "bad":
            raise MemoryError
        done.append(item)

    with caplog.at_level(logging.ERROR):
        asyncio.run(LOOP.each(["first", "bad", "last"], work))
    assert done == ["first", "last"]
    assert LOOP.failures == before + 1 == isolation.failures()["test.loop"]
    assert [record.getMessage() for record in caplog.records] == ["test.loop: bad failed; the others go on"]


def test_an_item_that_failed_is_skipped_until_its_pause_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, tried = [1000.0], list[str]()
    monkeypatch.setattr("tertulia.isolation.time.monotonic", lambda: clock[0])

    async def work(item: str) -> None:
        tried.append(item)
        raise KeyError(item)

    loop = ItemLoop("test.pauses")
    for seconds in (0, 1, 30, 30, 31):
        clock[0] += seconds
        asyncio.run(loop.each(["item"], work))
    # At once, after 30 seconds, and after another 60.
    assert len(tried) == 3


def test_an_item_that_succeeds_again_is_no_longer_put_aside() -> None:
    loop = ItemLoop("test.again")
    loop.fail("item", KeyError())
    assert loop.skips("item")
    assert loop.attempt_now("item", lambda: 5) == 5
    assert not loop.skips("item")


def test_a_cancellation_passes() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(LOOP.attempt("item", work))
