"""Queries on single rows of the ledger."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.ownership import some_of
from tertulia.db.tables import ApiCall

MOST_CALLS = 200
"""The most calls of one generation that are listed. An answer has at most some fifty rounds."""
CLOCK_DIFFERENCE = timedelta(minutes=5)
"""How much the clocks of two servers may differ."""

_CALLS = (
    select(ApiCall)
    .where(
        col(ApiCall.owner_id) == bindparam("owner"),
        # The index of the owner's calls is by time. A generation's calls are newer than its id.
        col(ApiCall.created_at) >= bindparam("since"),
        some_of(ApiCall.generation_id),
        col(ApiCall.purpose) == "answer",
    )
    .order_by(col(ApiCall.id))
)


async def of_generations(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> dict[UUID, list[ApiCall]]:
    """Return the owner's calls for the answers of these generations, oldest first, by the generation's id."""
    since = datetime.fromtimestamp((min(ids).int >> 80) / 1000, UTC) - CLOCK_DIFFERENCE
    rows: Any = await session.exec(_CALLS, params={"owner": owner, "since": since, "ids": ids})
    by_generation: dict[UUID, list[ApiCall]] = {}
    for row in rows.all():
        calls = by_generation.setdefault(row.generation_id, [])
        if len(calls) < MOST_CALLS:
            calls.append(row)
    return by_generation
