"""Identity providers: a single user (`local`), our own tokens (`password`), and those of OpenID Connect (`oidc.py`)."""

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
    """The client is not authenticated. `token_sent`: it sent a token, which is invalid or has expired."""

    def __init__(self, message: str = NO_TOKEN, *, token_sent: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.token_sent = token_sent


class Unavailable(Exception):
    """The client cannot be authenticated for now."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The viewer, and when the authentication expires (None: never). `revocable`: it may end earlier."""

    viewer: StoredViewer
    expires_at: datetime | None = None
    revocable: bool = True


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials that a connection has sent.

    Attributes:
        connection: The HTTP request, or the WebSocket, whose `state.connection_init` is the payload of that message.
        authorization: The `Authorization` header, or the one in the payload of `connection_init`.
    """

    connection: HTTPConnection
    authorization: str | None


class IdentityProvider(Protocol):
    """Authenticates clients by their credentials."""

    async def of(self, credentials: Credentials) -> Identity:
        """Return the identity of the credentials; raises Unauthenticated, also if they have been revoked since."""
        ...


class SingleUserAuth:
    """The single user of the mode `local`."""

    def __init__(self, viewer: StoredViewer) -> None:
        self._identity = Identity(viewer, revocable=False)

    async def of(self, credentials: Credentials) -> Identity:
        """Return the single user."""
        return self._identity


class PasswordAuth:
    """Users with tokens of this server."""

    def __init__(self, database: Database, tokens: Tokens) -> None:
        self._database = database
        self._tokens = tokens

    async def of(self, credentials: Credentials) -> Identity:
        """Return the identity of the token; one statement checks that its sign-in is still valid."""
        return await self.of_header(credentials.authorization)

    async def of_header(self, authorization: str | None) -> Identity:
        """Return the identity of an `Authorization` header; raises Unauthenticated."""
        token = bearer(authorization)
        if token.startswith(PERSONAL):
            return await personal(self._database, token)
        try:
            claims = self._tokens.read(token, ACCESS)
        except BadToken:
            raise expired() from None
        row = await accounts.of_sign_in(self._database, claims.sign_in_id)
        if row is None or row[0] != claims.user_id:
            raise expired()
        return Identity(stored_viewer(*row), claims.expires_at)


async def personal(database: Database, token: str) -> Identity:
    """Return the identity of a personal access token; raise Unauthenticated."""
    row = await accounts.of_token(database, digest_of(token))
    if row is None:
        raise expired()
    id, name, expires_at = row
    return Identity(stored_viewer(id, name), expires_at)


def bearer(authorization: str | None) -> str:
    """Return the token of a header; raise Unauthenticated."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    if not authorization:
        raise Unauthenticated
    if scheme.lower() != SCHEME or not token.strip():
        raise Unauthenticated(token_sent=True)
    return token.strip()


def viewer_of(user: User) -> StoredViewer:
    """Return the viewer of a user."""
    return stored_viewer(user.id, user.name)


def stored_viewer(user_id: UUID, name: str) -> StoredViewer:
    """Return the viewer whose row has this id."""
    return StoredViewer(str(user_id), name, user_id=user_id)


def expired() -> Unauthenticated:
    """Return the error of an invalid token, which does not reveal the reason."""
    return Unauthenticated("The token is not good, or no longer: refresh it, or sign in again.", token_sent=True)
