"""The rows that followers of answers read: one transaction for all followers that begin in one turn of the event loop.

After a restart of the server, thousands of clients reconnect at once. Each follows an answer, and often several follow
the same one.
"""

from collections.abc import Sequence
from uuid import UUID

from strawberry.dataloader import DataLoader

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
    """Reads generations with their answers, through their owners."""

    def __init__(self, database: Database) -> None:
        """Initialize with the database of the rows."""
        self._database = database
        self._loader = self._new_loader()

    async def read(self, owner: UUID, generation_id: UUID) -> Rows | None:
        """Return one of the owner's generations with its answer; None if the owner has no such generation."""
        return await self._loader.load((owner, generation_id))

    def _new_loader(self) -> DataLoader[Key, Rows | None]:
        return DataLoader(load_fn=self._load, cache=False, max_batch_size=READ_AT_ONCE)

    async def _load(self, keys: list[Key]) -> list[Rows | BaseException | None]:
        # The loader would keep the rows of this batch in memory until the next one.
        self._loader = self._new_loader()
        try:
            rows = await self._rows(keys)
        except AWAY:
            raise
        except Exception:  # noqa: BLE001 - a row that cannot be read must not affect the followers of others
            return [await self._row(key) for key in keys]
        return [rows.get(key) for key in keys]

    async def _row(self, key: Key) -> Rows | BaseException | None:
        try:
            return (await self._rows([key])).get(key)
        except Exception as error:  # noqa: BLE001 - it is raised to the follower of this row
            return error

    async def _rows(self, keys: Sequence[Key]) -> dict[Key, Rows]:
        ids: dict[UUID, set[UUID]] = {}
        for owner, generation_id in keys:
            ids.setdefault(owner, set()).add(generation_id)
        found: dict[Key, Rows] = {}
        async with self._database.read() as session:
            for owner, of_owner in ids.items():
                rows = await generations.with_answers(session, owner, [*of_owner])
                found |= {(owner, generation_id): row for generation_id, row in rows.items()}
        return found
