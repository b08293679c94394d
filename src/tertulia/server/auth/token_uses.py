"""Store what a token says about its user: that the user is signed in, and the user's group in reports of usage."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from tertulia.claims import claim_values
from tertulia.db import accounts
from tertulia.db.credentials import USED_EVERY
from tertulia.db.database import Database
from tertulia.db.errors import DATABASE_ERRORS
from tertulia.db.tables import User, now
from tertulia.json import clean_text

MAX_GROUP = 255
"""The maximum length of a group, in characters."""


class TokenUses:
    """Stores the uses of tokens, each at most once an hour unless the group has changed."""

    def __init__(self, database: Database, group_claim: str = "") -> None:
        """Initialize. `group_claim` leads to the group, as for `claim_values`; empty: tokens have no groups."""
        self._database = database
        self._group_claim = group_claim
        self._storing = set[UUID]()

    def group_of(self, claims: Mapping[str, Any]) -> str | None:
        """Return the group of a user; None if the claims have none. Several values are one group together."""
        values = claim_values(claims, self._group_claim) if self._group_claim else ()
        names = {clean_text(value).strip() for value in values} - {""}
        return ", ".join(sorted(names))[:MAX_GROUP] or None

    async def store(self, user: User, claims: Mapping[str, Any], *, signed_in: bool) -> None:
        """Store that a user has sent a token with these claims. `signed_in`: the identity provider has issued it."""
        values: dict[str, datetime | str] = {}
        current_time, group = now(), self.group_of(claims)
        if signed_in and (user.signed_in_at is None or user.signed_in_at < current_time - USED_EVERY):
            values["signed_in_at"] = current_time
        if group is not None and group != user.usage_group:
            values["usage_group"] = group
        # Other requests of the user do not store the same, or wait.
        if not values or user.id in self._storing:
            return
        self._storing.add(user.id)
        # A database that cannot be written to must not prevent requests that only read.
        try:
            with suppress(*DATABASE_ERRORS):
                async with self._database.write() as session:
                    await accounts.record_use(session, user.id, **values)
        finally:
            self._storing.discard(user.id)
