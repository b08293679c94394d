"""Loading of rows by key: the requests of one turn of the event loop are read together."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

Key = TypeVar("Key")
Row = TypeVar("Row")

LOADED_AT_ONCE = 200
"""The most rows that a loader reads in one query: about 5 ms of work before other tasks can run."""


class _Request(NamedTuple):
    """A request for rows. The future gets a list of them, or the only one if `many` is false."""

    keys: Sequence[Any]
    future: asyncio.Future[Any]
    many: bool


class Loader(Generic[Key, Row]):
    """Loads rows by their keys. Nothing is cached."""

    __slots__ = ("_read", "_requests", "_tasks")

    def __init__(self, read: Callable[[Sequence[Key]], Awaitable[dict[Key, Row]]]) -> None:
        """Create a loader. `read` returns the rows with some keys; those that do not exist are missing."""
        self._read = read
        self._requests: list[_Request] = []
        self._tasks = set[asyncio.Task[None]]()

    def load(self, key: Key) -> Awaitable[Row | None]:
        """Return the row with a key, or None if it does not exist."""
        return self._request([key], many=False)

    def load_many(self, keys: Sequence[Key | None]) -> Awaitable[list[Row | None]]:
        """Return the rows with these keys, in the same order, and None for each key that is None."""
        return self._request(keys, many=True)

    def _request(self, keys: Sequence[Key | None], *, many: bool) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        if not self._requests:
            # The next turn of the loop begins with tasks that this turn has created, and they load rows too.
            loop.call_soon(loop.call_soon, self._start)
        future: asyncio.Future[Any] = loop.create_future()
        self._requests.append(_Request(keys, future, many))
        return future

    def _start(self) -> None:
        requests, self._requests = self._requests, []
        task = asyncio.create_task(self._load(requests))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load(self, requests: Sequence[_Request]) -> None:
        # Nobody waits for a request that was cancelled.
        wanted = dict.fromkeys(
            key for request in requests if not request.future.cancelled() for key in request.keys if key is not None
        )
        try:
            rows = await self._read_all([*wanted])
        except Exception as error:  # noqa: BLE001 - it is raised in the tasks that wait
            for request in requests:
                if not request.future.done():
                    request.future.set_exception(error)
            return
        for request in requests:
            if not request.future.done():
                values = [rows.get(key) for key in request.keys]
                request.future.set_result(values if request.many else values[0])

    async def _read_all(self, keys: Sequence[Key]) -> Mapping[Key, Row]:
        if len(keys) <= LOADED_AT_ONCE:
            return await self._read(keys) if keys else {}
        rows: dict[Key, Row] = {}
        for start in range(0, len(keys), LOADED_AT_ONCE):
            rows |= await self._read(keys[start : start + LOADED_AT_ONCE])
        return rows
