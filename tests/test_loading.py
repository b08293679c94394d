"""Loaders: the requests of one turn of the event loop are one read, and each request gets its rows."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from tertulia.resolvers import loading
from tertulia.resolvers.loading import Loader

ROWS = {1: "one", 2: "two", 3: "three"}


def run(test: Callable[[Loader[int, str], list[list[int]]], Awaitable[None]]) -> None:
    """Run a test with a loader of ROWS, and the list of the keys that it has read."""
    reads: list[list[int]] = []

    async def read(keys: Sequence[int]) -> dict[int, str]:
        reads.append([*keys])
        await asyncio.sleep(0)
        if 13 in keys:
            raise OSError("unlucky")
        return {key: ROWS[key] for key in keys if key in ROWS}

    async def work() -> None:
        await test(Loader(read), reads)

    asyncio.run(work())


def test_requests_of_one_turn_are_one_read() -> None:
    async def test(loader: Loader[int, str], reads: list[list[int]]) -> None:
        async def nested() -> str | None:
            return await loader.load(3)

        found: list[object] = [
            *await asyncio.gather(loader.load(1), loader.load(9), loader.load_many([2, None, 1, 9]), nested())
        ]
        assert found == ["one", None, ["two", None, "one", None], "three"]
        assert reads == [[1, 9, 2, 3]]
        assert await loader.load(1) == "one", "nothing is cached"
        assert reads[1:] == [[1]]

    run(test)


def test_many_keys_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "LOADED_AT_ONCE", 2)

    async def test(loader: Loader[int, str], reads: list[list[int]]) -> None:
        assert await loader.load_many([1, 2, 3, 1]) == ["one", "two", "three", "one"]
        assert reads == [[1, 2], [3]]

    run(test)


def test_an_error_is_raised_to_all_that_wait() -> None:
    async def test(loader: Loader[int, str], _reads: list[list[int]]) -> None:
        found = await asyncio.gather(loader.load(1), loader.load_many([13]), return_exceptions=True)
        assert [type(error) for error in found] == [OSError, OSError]

    run(test)


def test_cancelled_requests_are_not_read() -> None:
    async def test(loader: Loader[int, str], reads: list[list[int]]) -> None:
        cancelled, waiting = asyncio.ensure_future(loader.load(1)), asyncio.ensure_future(loader.load(2))
        cancelled.cancel()
        assert await waiting == "two"
        assert reads == [[2]]
        assert await loader.load_many([None]) == [None]
        assert len(reads) == 1, "nothing is read for keys that are null"

    run(test)
