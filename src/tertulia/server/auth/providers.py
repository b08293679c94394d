"""Identity providers: a single user (`local`), and tokens of this server (`password`). `oidc.py` is the third one."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from starlette.requests import HTTPConnection

from tertulia.db import accounts
from tertulia.db.accounts import AuthenticatedUser
from tertulia.db.credentials import PERSONAL, USED_EVERY, digest_of, mark_used
from tertulia.db.database import Database
from tertulia.db.errors import DATABASE_ERRORS
from tertulia.db.tables import User, now
from tertulia.resolvers.context import StoredViewer
from tertulia.server.auth.jwt import ACCESS, BadToken, Tokens
from tertulia.viewer import OPERATOR

SCHEME = "bearer"
NO_TOKEN = (
    "Send a token: `Authorization: Bearer ...` in the header or, over a socket, in the payload of connection_init."  # noqa: S105 - a sentence
)
_MARKING: set[str] = set()
"""The digests of the personal access tokens whose use is being stored. Other requests do not store it too, or wait."""


class Unauthenticated(Exception):
    """The client is not authenticated. With `token_sent`, it sent a token that is invalid or has expired."""

    def __init__(self, message: str = NO_TOKEN, *, token_sent: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.token_sent = token_sent


class Unavailable(Exception):
    """The client cannot be authenticated at the moment."""


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated viewer.

    Attributes:
        viewer: The viewer.
        expires_at: When the authentication expires; None for never.
        revocable: Whether it may end earlier.
    """

    viewer: StoredViewer
    expires_at: datetime | None = None
    revocable: bool = True


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials that a connection has sent.

    Attributes:
        connection: The HTTP request, or the WebSocket, whose `state.connection_init` is the payload of that message.
        authorization: The `Authorization` header, or the one in the payload of `connection_init`.
        is_recheck: Whether the connection has been authenticated before. If its user was deleted meanwhile, the
            connection ends, and adds no new user.
    """

    connection: HTTPConnection
    authorization: str | None
    is_recheck: bool = False


class IdentityProvider(Protocol):
    """Authenticates clients by their credentials."""

    async def of(self, credentials: Credentials) -> Identity:
        """Return the identity of the credentials; raise Unauthenticated if they are invalid or revoked."""
        ...


class SingleUserAuth:
    """Authenticates every client as the single user of the mode `local`, who is an operator."""

    def __init__(self, viewer: StoredViewer, database: Database | None = None) -> None:
        """Initialize with the user, and the database from which to read the user's plan; None without plans."""
        self._identity = Identity(_operator(viewer), revocable=False)
        self._database = database

    async def of(self, credentials: Credentials) -> Identity:
        """Return the single user."""
        if self._database is None:
            return self._identity
        async with self._database.read() as session:
            user = await accounts.by_id(session, self._identity.viewer.user_id)
        return self._identity if user is None else Identity(_operator(viewer_of(user)), revocable=False)


class PasswordAuth:
    """Authenticates users by tokens of this server."""

    def __init__(self, database: Database, tokens: Tokens) -> None:
        self._database = database
        self._tokens = tokens

    async def of(self, credentials: Credentials) -> Identity:
        """Return the identity of the token. One SQL statement checks that its sign-in is still valid."""
        return await self.of_header(credentials.authorization)

    async def of_header(self, authorization: str | None) -> Identity:
        """Return the identity of an `Authorization` header; raise Unauthenticated."""
        token = bearer(authorization)
        if token.startswith(PERSONAL):
            return await personal(self._database, token)
        try:
            claims = self._tokens.read(token, ACCESS)
        except BadToken:
            raise expired() from None
        row = await accounts.of_sign_in(self._database, claims.sign_in_id)
        if row is None or row.id != claims.user_id:
            raise expired()
        viewer = replace(_viewer_of_row(row), signed_in=True, sign_in_id=claims.sign_in_id)
        return Identity(viewer, claims.expires_at)


async def personal(database: Database, token: str, signed_in_within: timedelta | None = None) -> Identity:
    """Return the identity of a personal access token; raise Unauthenticated.

    Args:
        database: The database.
        token: The token.
        signed_in_within: The time within which a user of an identity provider must have signed in; None for no limit.
    """
    digest = digest_of(token)
    row = await accounts.of_token(database, digest)
    if row is None:
        raise expired()
    if signed_in_within is not None and row.subject is not None and not _signed_in(row, signed_in_within):
        raise Unauthenticated("The token works again when its user has signed in. Sign in.", token_sent=True)
    is_stale = row.token_used_at is None or row.token_used_at < now() - USED_EVERY
    if is_stale and digest not in _MARKING:
        _MARKING.add(digest)
        # A database that cannot be written to must not prevent requests that only read.
        try:
            with suppress(*DATABASE_ERRORS):
                async with database.write() as session:
                    await mark_used(session, digest)
        finally:
            _MARKING.discard(digest)
    return Identity(_viewer_of_row(row), row.expires_at)


def _signed_in(row: AuthenticatedUser, within: timedelta) -> bool:
    return row.signed_in_at is not None and row.signed_in_at > now() - within


def bearer(authorization: str | None) -> str:
    """Return the token of an `Authorization` header; raise Unauthenticated if there is none."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    if not authorization:
        raise Unauthenticated
    if scheme.lower() != SCHEME or not token.strip():
        raise Unauthenticated(token_sent=True)
    return token.strip()


def viewer_of(user: User) -> StoredViewer:
    """Return the viewer of a user."""
    return _viewer_of_row(AuthenticatedUser(user.id, user.name, user.subject, user.plan, role=user.role))


def _viewer_of_row(row: AuthenticatedUser) -> StoredViewer:
    return StoredViewer(
        str(row.id),
        row.name,
        roles=roles_of(row.role),
        user_id=row.id,
        user_name=row.name,
        user_subject=row.subject,
        assigned_plan=row.plan,
    )


def roles_of(assigned: str | None) -> frozenset[str]:
    """Return the roles of a user with an assigned role, or with none."""
    return frozenset() if assigned is None else frozenset({assigned})


def _operator(viewer: StoredViewer) -> StoredViewer:
    return replace(viewer, roles=frozenset({OPERATOR}))


def require_enabled(user: User) -> None:
    """Raise Unauthenticated if an operator has disabled a user."""
    if user.disabled_at is not None:
        raise Unauthenticated("The account is disabled. Ask the operator of this server.", token_sent=True)


def expired() -> Unauthenticated:
    """Return the error for an invalid token. It does not reveal why the token is invalid."""
    return Unauthenticated("The token is invalid or has expired. Refresh it, or sign in again.", token_sent=True)
