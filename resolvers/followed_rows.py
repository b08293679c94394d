"""The rows that followers of answers read: followers that begin at the same time share a transaction.

After a restart of the server, thousands of clients reconnect at once. Each follows an answer, and often several follow
the same one.
"""

import asyncio
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass
from uuid import UUID

from tertulia.db import generations
from tertulia.db.database import Database
from tertulia.db.errors import AWAY
from tertulia.db.rows import GenerationRow, MessageRow

READ_AT_ONCE = 50
"""The most generations that one transaction reads."""
Key = tuple[UUID, UUID]
"""The ids of an owner and of a generation."""
Rows = tuple[GenerationRow, MessageRow]


class FollowedRows:
    """Reads generations with their answers, through their owners.

    Requests that arrive during a transaction wait for the next one. So a single request does not wait, and thousands of
    requests need few transactions and one connection.
    """

    def __init__(self, database: Database) -> None:
        """Initialize with the database of the rows."""
        self._database = database
        self._requests: list[_Request] = []
        self._reading: asyncio.Task[None] | None = None

    async def read(self, owner: UUID, generation_id: UUID) -> Rows | None:
        """Return one of the owner's generations with its answer; None if the owner has no such generation."""
        request = _Request((owner, generation_id), asyncio.get_running_loop().create_future())
        self._requests.append(request)
        if self._reading is None:
            # In an empty context: the limit and the trace of the first request are not those of the others.
            self._reading = asyncio.create_task(self._read_all(), context=Context())
        return await request.rows

    async def _read_all(self) -> None:
        batch: list[_Request] = []
        try:
            while self._requests:
                batch, self._requests = self._requests[:READ_AT_ONCE], self._requests[READ_AT_ONCE:]
                results = await self._load([request.key for request in batch])
                for request, result in zip(batch, results, strict=True):
                    if not request.rows.done():
                        _finish(request.rows, result)
        finally:
            self._reading = None
            for request in (*batch, *self._requests):
                request.rows.cancel()  # which has no effect on those that have their rows

    async def _load(self, keys: list[Key]) -> "list[Rows | Exception | None]":
        try:
            rows = await self._rows(keys)
        except AWAY as error:
            return [error] * len(keys)
        except Exception:  # noqa: BLE001 - a row that cannot be read must not affect the followers of others
            return [await self._row(key) for key in keys]
        return [rows.get(key) for key in keys]

    async def _row(self, key: Key) -> Rows | Exception | None:
        try:
            return (await self._rows([key])).get(key)
        except Exception as error:  # noqa: BLE001 - it is raised to the follower of this row
            return error

    async def _rows(self, keys: Sequence[Key]) -> dict[Key, Rows]:
        ids: dict[UUID, set[UUID]] = {}
        for owner, generation_id in keys:
            ids.setdefault(owner, set()).add(generation_id)
        rows_by_key: dict[Key, Rows] = {}
        async with self._database.read() as session:
            for owner, of_owner in ids.items():
                rows = await generations.with_answers(session, owner, [*of_owner])
                rows_by_key |= {(owner, generation_id): row for generation_id, row in rows.items()}
        return rows_by_key


@dataclass(frozen=True, slots=True)
class _Request:
    key: Key
    rows: "asyncio.Future[Rows | None]"


def _finish(future: "asyncio.Future[Rows | None]", result: Rows | Exception | None) -> None:
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
