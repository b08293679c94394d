"""Authenticate connections, and detect when their authentication expires or is revoked."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from starlette.requests import HTTPConnection
from strawberry.fastapi import BaseContext

from tertulia.db.errors import DATABASE_ERRORS
from tertulia.resolvers.context import Context, Services, StoredViewer
from tertulia.resolvers.credentials import SIGNED_OUT
from tertulia.server.auth.providers import Credentials, Identity, IdentityProvider, Unauthenticated, Unavailable
from tertulia.server.auth.throttle import network_of
from tertulia.server.request_facts import facts_of
from tertulia.streams.notifier import Notifier

logger = logging.getLogger("tertulia.admission")

RECHECK_SECONDS = 60.0
"""Seconds between checks of an open connection, in case the signal of a revocation was lost."""
EVERYBODY = UUID(int=0)
NOBODY = StoredViewer("nobody", "nobody", user_id=UUID(int=0), user_name="nobody")
"""The viewer of clients that have not signed in. No row has this owner, and no user has this id."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """An authenticated connection."""

    context: Context
    identity: Identity
    credentials: Credentials
    authenticator: "Authenticator"
    sign_outs: int
    """The number of sign-outs that the authenticator had received before it read the identity."""

    async def lapsed(self) -> None:
        """Wait until the authentication expires or is revoked."""
        await self.authenticator.lapsed(self)


class Authenticator:
    """Authenticates connections, and reports when their authentication ends."""

    def __init__(self, identities: IdentityProvider, services: Services) -> None:
        self._identities = identities
        self._services = services
        self.notifier = Notifier()
        self._sign_outs = 0

    async def admit(self, connection: HTTPConnection, authorization: str | None = None) -> Authenticated:
        """Authenticate a connection.

        Args:
            connection: The HTTP request or the WebSocket.
            authorization: The token that a WebSocket sent in `connection_init`; None for that in the header.

        Raises:
            Unauthenticated: There is no valid token.
            Unavailable: The token cannot be checked at the moment.
        """
        credentials = Credentials(connection, authorization or connection.headers.get("authorization"))
        sign_outs = self._sign_outs
        identity = await self._identities.of(credentials)
        if connection.scope["type"] == "http":
            facts_of(connection.scope).viewer_id = identity.viewer.user_id
        return Authenticated(self._context(connection, identity.viewer), identity, credentials, self, sign_outs)

    async def admit_reader_of_shares(self, connection: HTTPConnection) -> Context | None:
        """Return the context of a client that has not signed in, and may only read shared conversations.

        Returns:
            The context, whose viewer owns nothing; None if the server has sharing switched off.

        Raises:
            RateLimited: There were too many such requests from the client's network address.
        """
        if not self._services.sharing.is_on:
            return None
        context = self._context(connection, NOBODY)
        await self._services.limits.check_share(network_of(context.address or ""))
        return context

    def _context(self, connection: HTTPConnection, viewer: StoredViewer) -> Context:
        address = connection.client.host if connection.client else None
        return Context(self._services, viewer, address, connection.scope.get("root_path", ""))

    async def lapsed(self, admitted: Authenticated) -> None:
        """Wait until the authentication of a connection expires or is revoked."""
        if not admitted.identity.revocable:
            await asyncio.Event().wait()
        user_id = admitted.identity.viewer.user_id
        # The identity has just been read. It is read again at once only if somebody has signed out meanwhile.
        is_current = admitted.sign_outs == self._sign_outs
        while True:
            notification = self.notifier.subscribe(user_id)
            try:
                if not is_current and not await self._holds(admitted):
                    return
                is_current = False
                with suppress(TimeoutError):
                    async with asyncio.timeout(_recheck_delay(admitted.identity)):
                        await notification
            finally:
                self.notifier.unsubscribe(user_id, notification)

    async def _holds(self, admitted: Authenticated) -> bool:
        if admitted.identity.expires_at is not None and admitted.identity.expires_at <= datetime.now(UTC):
            return False
        try:
            identity = await self._identities.of(replace(admitted.credentials, is_recheck=True))
            admitted.context.set_viewer(identity.viewer)
        except Unauthenticated:
            return False
        except (*DATABASE_ERRORS, Unavailable) as error:
            # It was valid before, and its expiry has been checked above.
            logger.warning("A sign-in cannot be rechecked, and stays valid for now: %s", error)
        return True

    def signed_out(self, user_id: UUID) -> None:
        """Recheck the open connections of a user, or of all users."""
        self._sign_outs += 1
        if user_id == EVERYBODY:
            self.notifier.notify_all()
        else:
            self.notifier.notify(user_id)

    def notify(self, viewer: StoredViewer) -> None:
        """Recheck the open connections of a viewer in every process."""
        self._services.signals.send(SIGNED_OUT, viewer.user_id)


class Anonymous(BaseContext):
    """The context of a connection that is not authenticated yet."""

    def __init__(self, authenticator: Authenticator) -> None:
        super().__init__()
        self.authenticator = authenticator


def _recheck_delay(identity: Identity) -> float:
    if identity.expires_at is None:
        return RECHECK_SECONDS
    remaining_seconds = (identity.expires_at - datetime.now(UTC)).total_seconds()
    return min(RECHECK_SECONDS, max(remaining_seconds, 0) + 0.01)
