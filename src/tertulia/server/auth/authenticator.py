"""The door: from a header to a context, and for what lasts long, until when that holds."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from starlette.requests import HTTPConnection
from strawberry.fastapi import BaseContext

from tertulia.db.errors import DATABASE_ERRORS
from tertulia.resolvers.context import Context, Services, StoredViewer
from tertulia.server.auth.providers import Credentials, Identity, IdentityProvider, Unauthenticated, Unavailable
from tertulia.streams.notifier import Notifier

logger = logging.getLogger("tertulia.admission")

LOOK_AGAIN = 60.0
"""Seconds after which a socket is looked at, should the bell of a revocation have been lost."""
SIGNED_OUT = "signed_out"
"""The signal that something of a user's was revoked, or of everybody's."""
EVERYBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Somebody who was let in, and by what."""

    context: Context
    identity: Identity
    credentials: Credentials
    authenticator: "Authenticator"

    async def lapsed(self) -> None:
        """Wait until what they were let in by expires or is revoked."""
        await self.authenticator.lapsed(self)


class Authenticator:
    """Lets people in, and says when to show them out."""

    def __init__(self, identities: IdentityProvider, services: Services) -> None:
        """Take what tells who a connection is from, and the parts of the server."""
        self._identities = identities
        self._services = services
        self.notifier = Notifier()

    async def admit(self, connection: HTTPConnection, authorization: str | None = None) -> Authenticated:
        """Let somebody in, by a header of that connection's or by what it said later; raise Unauthenticated."""
        credentials = Credentials(connection, authorization or connection.headers.get("authorization"))
        identity = await self._identities.of(credentials)
        address = connection.client.host if connection.client else None
        context = Context(self._services, identity.viewer, address, connection.scope.get("root_path", ""))
        return Authenticated(context, identity, credentials, self)

    async def lapsed(self, admitted: Authenticated) -> None:
        """Wait until what somebody was let in by expires or is revoked."""
        if not admitted.identity.revocable:
            await asyncio.Event().wait()
        while True:
            notification = self.notifier.listen(admitted.identity.viewer.user_id)
            try:
                if not await self._holds(admitted):
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(notification), _patience(admitted.identity))
            finally:
                self.notifier.leave(admitted.identity.viewer.user_id, notification)

    async def _holds(self, admitted: Authenticated) -> bool:
        if admitted.identity.expires_at is not None and admitted.identity.expires_at <= datetime.now(UTC):
            return False
        try:
            await self._identities.of(admitted.credentials)
        except Unauthenticated:
            return False
        except (*DATABASE_ERRORS, Unavailable) as error:
            # It held before; what has expired ends all the same.
            logger.warning("Whether a sign-in holds cannot be seen: %s", error)
        return True

    def signed_out(self, user_id: UUID) -> None:
        """Look again at what is open of a user's, or of everybody's."""
        if user_id == EVERYBODY:
            self.notifier.notify_all()
        else:
            self.notifier.notify(user_id)

    def notify(self, viewer: StoredViewer) -> None:
        """Look again at what is open of somebody's, in every process."""
        self._services.signals.send(SIGNED_OUT, viewer.user_id)


class Anonymous(BaseContext):
    """The context of a connection before anybody is known."""

    def __init__(self, authenticator: Authenticator) -> None:
        """Take the door."""
        super().__init__()
        self.authenticator = authenticator


def _patience(identity: Identity) -> float:
    if identity.expires_at is None:
        return LOOK_AGAIN
    left = (identity.expires_at - datetime.now(UTC)).total_seconds()
    return min(LOOK_AGAIN, max(left, 0) + 0.01)
