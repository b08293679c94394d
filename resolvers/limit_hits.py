"""Requests that limits have refused, counted in memory and stored in batches, so that a refusal costs no write."""

import logging
from collections import Counter
from dataclasses import replace
from uuid import UUID

from tertulia.db import limit_hits
from tertulia.db.database import Database
from tertulia.db.errors import DATABASE_ERRORS
from tertulia.db.limit_hits import LimitKey
from tertulia.db.tables import now

HITS_SECONDS = 60.0
"""Seconds between the writes of counted refusals. A process that crashes loses those since the last write."""
MOST_KEYS = 1_000
"""The most days, limits and users that are counted until the next write. Further users are counted as unknown."""

logger = logging.getLogger("tertulia.limits")


class LimitHitCounter:
    """The refusals that are counted but not stored yet."""

    def __init__(self, database: Database) -> None:
        """Initialize without refusals."""
        self._database = database
        self._counts = Counter[LimitKey]()

    def count(self, limit: str, user_id: UUID | None) -> None:
        """Count a refusal by a limit. `user_id` is None if the limit is one of network addresses."""
        key = LimitKey(now().date(), limit, user_id)
        if key not in self._counts and len(self._counts) >= MOST_KEYS:
            key = replace(key, user_id=None)
        self._counts[key] += 1

    async def store(self) -> None:
        """Add all counts to their rows. Those that cannot be stored now are stored next time."""
        for key, more in list(self._counts.items()):
            async with self._database.write() as session:
                await limit_hits.add(session, key, more)
            self._counts[key] -= more
            if not self._counts[key]:
                del self._counts[key]

    async def close(self) -> None:
        """Store the last counts."""
        try:
            await self.store()
        except DATABASE_ERRORS as error:
            logger.warning("The last refusals by limits were not stored: %s", error)
