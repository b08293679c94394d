"""Views of shares, counted in memory and stored in batches, so that a view costs no write."""

import logging
from collections import Counter
from uuid import UUID

from tertulia.db import shares
from tertulia.db.database import Database
from tertulia.db.errors import DATABASE_ERRORS

VIEWS_SECONDS = 10.0
"""Seconds between the writes of counted views. A process that crashes loses at most the views since the last write."""

logger = logging.getLogger("tertulia.sharing")


class Sharing:
    """Whether this server has sharing switched on, and the views that are counted but not stored yet."""

    def __init__(self, database: Database, *, is_on: bool) -> None:
        """Initialize without views."""
        self.is_on = is_on
        self._database = database
        self._views = Counter[UUID]()

    def count_view(self, share_id: UUID) -> None:
        """Count a view of an existing share."""
        self._views[share_id] += 1

    async def store_views(self) -> None:
        """Add all counted views to their rows. Views that cannot be stored now are stored next time."""
        for share_id, more in list(self._views.items()):
            async with self._database.write() as session:
                await shares.add_views(session, share_id, more)
            self._views[share_id] -= more
            if not self._views[share_id]:
                del self._views[share_id]

    async def close(self) -> None:
        """Store the last views."""
        try:
            await self.store_views()
        except DATABASE_ERRORS as error:
            logger.warning("The last views of shared conversations were not stored: %s", error)
