"""Authenticate the requests of a user's session with the user's tokens."""

from collections.abc import AsyncGenerator
from contextlib import suppress
from http import HTTPStatus
from uuid import UUID

import httpx2
from mcp.client.auth.utils import extract_field_from_www_auth, extract_scope_from_www_auth

from tertulia.tools.mcp.oauth.connections import Access, ConnectionKey, NotConnectedError, UserConnections
from tertulia.tools.mcp.oauth.requests import AuthorizationError


class UserAuth(httpx2.Auth):
    """Sends the access token of one user, which is read for each request, and refreshed when the server refuses it.

    It never raises, because an exception would end the session in the SDK. Without a token, the server responds 401.
    """

    def __init__(self, connections: UserConnections, key: ConnectionKey, connection_id: UUID) -> None:
        """Initialize for a user, a server and a connection. Later connections of the user have their own sessions."""
        self._connections = connections
        self._key = key
        self._connection_id = connection_id
        self.scope_refusals = 0
        """How many requests the server has refused because the user has not granted enough."""
        self.failed_refreshes = 0
        """How many requests were sent without a valid token, because it could not be refreshed at that time."""

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Send a request, and repeat it once with a new token."""
        access = await self._access()
        response = yield _with_token(request, access)
        if response.status_code == HTTPStatus.UNAUTHORIZED and access is not None:
            access = await self._access(access)
            if access is not None:
                response = yield _with_token(request, access)
                if response.status_code == HTTPStatus.UNAUTHORIZED:
                    await self._end(access)
        is_forbidden = response.status_code == HTTPStatus.FORBIDDEN
        if is_forbidden and extract_field_from_www_auth(response, "error") == "insufficient_scope":
            self.scope_refusals += 1
            await self._connections.require_scope(self._key, extract_scope_from_www_auth(response) or "")

    async def _access(self, refused: Access | None = None) -> Access | None:
        try:
            if refused is None:
                access = await self._connections.access(self._key)
            else:
                access = await self._connections.refresh(self._key, refused)
        except NotConnectedError:
            return None
        except (AuthorizationError, TimeoutError):
            self.failed_refreshes += 1
            return None
        return access if access.connection_id == self._connection_id else None

    async def _end(self, access: Access) -> None:
        with suppress(NotConnectedError):
            await self._connections.end(self._key, access)


def _with_token(request: httpx2.Request, access: Access | None) -> httpx2.Request:
    if access is not None:
        request.headers["Authorization"] = f"Bearer {access.token}"
    return request
