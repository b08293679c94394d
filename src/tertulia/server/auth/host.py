"""Authenticate users by a function of the application that embeds Tertulia."""

import hashlib
from collections.abc import Awaitable, Callable

from starlette.requests import HTTPConnection

from tertulia.db import accounts
from tertulia.db.database import Database
from tertulia.db.identities import Action
from tertulia.db.tables import User
from tertulia.resolvers.context import StoredViewer
from tertulia.server.auth.providers import Credentials, Identity, Unauthenticated, require_enabled, roles_of
from tertulia.server.auth.token_uses import TokenUses
from tertulia.viewer import Viewer

Authenticate = Callable[[HTTPConnection], Awaitable[Viewer | None]]
"""Returns the viewer of an HTTP request or a WebSocket, or None if it is not authenticated.

For a WebSocket, `connection.state.connection_init` is the payload of the message `connection_init`. The function is
called again while a socket or a stream is open, at least once a minute. If it then returns None, the connection closes.
"""
ISSUER = "host"
"""The value of `issuer` for these users in the table of users."""
MAX_ID, MAX_NAME = 255, 100
"""The longest id and name of a viewer, in characters."""


class HostAuth:
    """Authenticates users by a function of the application. A row is added at a user's first request."""

    def __init__(self, database: Database, authenticate: Authenticate, uses: TokenUses) -> None:
        self._database = database
        self._uses = uses
        self._authenticate = authenticate

    async def of(self, credentials: Credentials) -> Identity:
        """Return the viewer of a connection; raises Unauthenticated if the application returns None."""
        state = credentials.connection.state
        if getattr(state, "connection_init", None) is None:
            state.connection_init = {}
        viewer = await self._authenticate(credentials.connection)
        if viewer is None:
            raise Unauthenticated("Not signed in. Sign in to the application, and try again.")
        may_add = not credentials.is_recheck
        return Identity(await load_viewer(self._database, viewer, may_add=may_add, uses=self._uses))


async def load_viewer(
    database: Database, viewer: Viewer, *, may_add: bool = True, uses: TokenUses | None = None
) -> StoredViewer:
    """Return a viewer with the id of their row in the table of users. The row is added if necessary.

    Args:
        database: The database.
        viewer: The viewer.
        may_add: Whether a row may be added.
        uses: Stores the viewer's group; None to store nothing.

    Raises:
        Unauthenticated: There is no row, and it may not be added; or the user is disabled.
        ValueError: The viewer's id is empty, or longer than 255 characters.
    """
    if not 1 <= len(viewer.id) <= MAX_ID:
        raise ValueError(f"`Viewer.id` must have 1 to {MAX_ID} characters, and has {len(viewer.id)}.")
    async with database.read() as session:
        user = await accounts.by_subject(session, ISSUER, viewer.id)
    if user is None:
        if not may_add:
            raise Unauthenticated("The account was deleted.")
        user = await _add(database, viewer)
    require_enabled(user)
    if uses is not None:
        await uses.store(user, viewer.claims, signed_in=False)
    return StoredViewer(
        viewer.id,
        viewer.name,
        viewer.claims,
        frozenset(viewer.roles) | roles_of(user.role),
        user_id=user.id,
        user_name=user.name,
        user_subject=user.subject,
        assigned_plan=user.plan,
    )


async def _add(database: Database, viewer: Viewer) -> User:
    # Names of users are unique, and two people may have the same.
    suffix = hashlib.sha256(viewer.id.encode()).hexdigest()[:12]
    user = User(name=f"{viewer.name[:MAX_NAME]}-{suffix}", issuer=ISSUER, subject=viewer.id)
    async with database.write() as session:
        if await accounts.add(session, user):
            await accounts.audit(session, Action.REGISTERED, user.id, issuer=ISSUER)
            return user
        existing = await accounts.by_subject(session, ISSUER, viewer.id)
    if existing is None:
        raise ValueError(
            f"`Viewer.id` {viewer.id!r} cannot be stored: another user has the name that is derived from it."
        )
    return existing
