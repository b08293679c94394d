"""The branch of messages that Claude reads, as tuples. For the generator: not limited to an owner.

The end of a branch is read in the transaction that depends on it. The rest of a long branch is read before, because its
messages never change, and reading thousands of them would block other writers.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy
from sqlalchemy import bindparam, literal
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.database import Database
from tertulia.db.messages import BranchMessage, PromptMessage
from tertulia.db.read_limit import without_read_limit
from tertulia.db.statements import fetch
from tertulia.db.tables import METADATA

AT_ONCE = 100
"""The number of messages that one statement reads. Its newer half contains all unfinished turns of a branch, which are
limited by the queue, so the messages before it never change.
"""
Result = TypeVar("Result")

_MESSAGES, _GENERATIONS = METADATA.tables["messages"], METADATA.tables["generations"]


def _path() -> Any:
    last = sqlalchemy.select(_MESSAGES.c.id, _MESSAGES.c.parent_id, literal(1).label("step"))
    path = last.where(_MESSAGES.c.id == bindparam("leaf")).cte("branch_end", recursive=True)
    parent = _MESSAGES.alias()
    above = sqlalchemy.select(parent.c.id, parent.c.parent_id, path.c.step + 1)
    return path.union_all(above.join(path, path.c.parent_id == parent.c.id).where(path.c.step < bindparam("most")))


_PATH = _path()
_MESSAGE = [_MESSAGES.c[name] for name in PromptMessage._fields]
_GENERATION = [_GENERATIONS.c[name] for name in BranchMessage._fields[1:]]
_END = (
    sqlalchemy.select(*_MESSAGE, *_GENERATION)
    .join(_PATH, _PATH.c.id == _MESSAGES.c.id)
    .outerjoin(_GENERATIONS, _GENERATIONS.c.message_id == _MESSAGES.c.id)
    .order_by(_PATH.c.step)
)
"""The last `most` messages of the branch that ends in `leaf`, newest first."""


class LongBranch(Exception):
    """A branch is too long to be read in a transaction that writes."""

    def __init__(self, leaf_id: UUID) -> None:
        """Initialize with the last message of the part that must be read before."""
        super().__init__()
        self.leaf_id = leaf_id


class BranchReader:
    """Reads branches in a transaction that writes."""

    def __init__(self) -> None:
        """Initialize without anything that was read before the transaction."""
        self._beginning: Sequence[BranchMessage] = ()

    async def read(self, session: AsyncSession, leaf_id: UUID | None) -> list[BranchMessage]:
        """Return all messages of a branch, oldest first; raise LongBranch if its beginning must be read before."""
        end = [] if leaf_id is None else await _read_end(session, leaf_id)
        if len(end) < AT_ONCE:
            return end[::-1]
        last_id = self._beginning[-1].message.id if self._beginning else None
        for index, row in enumerate(end):
            if row.message.parent_id == last_id:
                return [*self._beginning, *end[index::-1]]
        if end[-1].message.parent_id is None:
            return end[::-1]
        # Not the last row, so that the next attempt finds the beginning even if messages were sent meanwhile.
        raise LongBranch(end[AT_ONCE // 2].message.id)

    async def read_before(self, database: Database, leaf_id: UUID) -> None:
        """Read the branch that ends in `leaf_id`, as the beginning of longer ones."""
        newest_first: list[BranchMessage] = []
        next_id: UUID | None = leaf_id
        while next_id is not None:
            # Many short transactions: a long one would keep SQLite from reusing its write-ahead log.
            async with database.read() as session:
                rows = await _read_end(session, next_id)
            newest_first += rows
            next_id = rows[-1].message.parent_id if len(rows) == AT_ONCE else None
        self._beginning = newest_first[::-1]


async def with_branches(database: Database, work: Callable[[BranchReader], Awaitable[Result]]) -> Result:
    """Call `work`, which opens a transaction that reads branches. It is called again whenever one is too long."""
    reader = BranchReader()
    while True:
        try:
            return await work(reader)
        except LongBranch as long_branch:
            await reader.read_before(database, long_branch.leaf_id)


async def _read_end(session: AsyncSession, leaf_id: UUID) -> list[BranchMessage]:
    # A conversation must accept messages even if it has more text than one response may contain.
    with without_read_limit():
        rows = await fetch(session, _END, {"leaf": leaf_id, "most": AT_ONCE})
    count = len(_MESSAGE)
    return [BranchMessage(PromptMessage(*row[:count]), *row[count:]) for row in rows]
