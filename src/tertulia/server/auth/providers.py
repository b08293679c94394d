"""Who a request is from: by nothing (`local`), by our own tokens (`password`), by a provider's (`oidc.py`)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from starlette.requests import HTTPConnection

from tertulia.db import accounts
from tertulia.db.database import Database
from tertulia.db.tables import User
from tertulia.resolvers.context import StoredViewer
from tertulia.server.auth.jwt import ACCESS, PERSONAL, BadToken, Tokens, digest_of

SCHEME = "bearer"
NO_TOKEN = "Sign in: send a token as `Authorization: Bearer ...`, over a socket in the payload of connection_init."  # noqa: S105 - a sentence


class Unauthenticated(Exception):
    """Nobody whom this server knows; `given`: a token was sent, which is not, or no longer, good."""

    def __init__(self, message: str = NO_TOKEN, *, given: bool = False) -> None:
        """Take the sentence that is shown."""
        super().__init__(message)
        self.message = message
        self.given = given


class Unavailable(Exception):
    """Who it is cannot be told for now."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose token it is, and until when it lasts; None for good. `revocable`: it may end before."""

    viewer: StoredViewer
    expires_at: datetime | None = None
    revocable: bool = True


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a connection has sent to say who it is from.

    Attributes:
        connection: The HTTP request, or the WebSocket, whose `state.connection_init` is the payload of that message.
        authorization: The `Authorization` header, or the one in the payload of `connection_init`.
    """

    connection: HTTPConnection
    authorization: str | None


class IdentityProvider(Protocol):
    """Knows people by what they send."""

    async def of(self, credentials: Credentials) -> Identity:
        """Return who sends these; raises Unauthenticated. Called again, it sees what was revoked meanwhile."""
        ...


class SingleUserAuth:
    """The one user of the mode `local`."""

    def __init__(self, viewer: StoredViewer) -> None:
        """Take the user."""
        self._identity = Identity(viewer, revocable=False)

    async def of(self, credentials: Credentials) -> Identity:
        """Return the one user, whatever is sent."""
        return self._identity


class PasswordAuth:
    """People with tokens of ours."""

    def __init__(self, database: Database, tokens: Tokens) -> None:
        """Take where sign-ins are, and what reads tokens."""
        self._database = database
        self._tokens = tokens

    async def of(self, credentials: Credentials) -> Identity:
        """Return whose token it is; one statement looks whether its sign-in still holds."""
        return await self.of_header(credentials.authorization)

    async def of_header(self, authorization: str | None) -> Identity:
        """Return whose token an `Authorization` header has; raises Unauthenticated."""
        token = bearer(authorization)
        if token.startswith(PERSONAL):
            return await personal(self._database, token)
        try:
            claims = self._tokens.read(token, ACCESS)
        except BadToken:
            raise expired() from None
        found = await accounts.of_sign_in(self._database, claims.sign_in_id)
        if found is None or found[0] != claims.user_id:
            raise expired()
        return Identity(stored_viewer(*found), claims.expires_at)


async def personal(database: Database, token: str) -> Identity:
    """Say whose personal access token it is; raise Unauthenticated."""
    found = await accounts.of_token(database, digest_of(token))
    if found is None:
        raise expired()
    id, name, expires_at = found
    return Identity(stored_viewer(id, name), expires_at)


def bearer(authorization: str | None) -> str:
    """Give the token of a header; raise Unauthenticated."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    if not authorization:
        raise Unauthenticated
    if scheme.lower() != SCHEME or not token.strip():
        raise Unauthenticated(given=True)
    return token.strip()


def viewer_of(user: User) -> StoredViewer:
    """Return a user as resolvers know them."""
    return stored_viewer(user.id, user.name)


def stored_viewer(user_id: UUID, name: str) -> StoredViewer:
    """Return the viewer whose row has this id."""
    return StoredViewer(str(user_id), name, user_id=user_id)


def expired() -> Unauthenticated:
    """Make the error of a token that is not good: why not is nobody's business."""
    return Unauthenticated("The token is not good, or no longer: refresh it, or sign in again.", given=True)
