"""The connections of users to MCP servers: their authorization, and their tokens, which any replica can refresh."""

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import httpx2
from mcp.client.auth.utils import union_scopes
from pydantic import BaseModel

from tertulia.db import tool_connections as rows
from tertulia.db.database import AsyncSession, Database
from tertulia.db.errors import AWAY
from tertulia.db.tables import new_id, now
from tertulia.db.tool_connections import ToolAuthorization, ToolClient, ToolConnection
from tertulia.tools.mcp.config import HttpServer
from tertulia.tools.mcp.oauth import grants
from tertulia.tools.mcp.oauth.discovery import AuthorizationServer, discover
from tertulia.tools.mcp.oauth.encryption import Encryption
from tertulia.tools.mcp.oauth.grants import Client, Grant, PendingAuthorization
from tertulia.tools.mcp.oauth.requests import (
    SECONDS,
    AuthorizationError,
    AuthorizationHttp,
    GrantRefusedError,
    open_client,
)

TICKET_SECONDS = 600
"""How long `authorizeUrl` works, and the time that a user has to consent."""
CONFIRM_SECONDS = 300
"""How long the code of the authorization server can be confirmed."""
CLAIM_SECONDS = 2 * SECONDS
"""How long a process can refresh tokens before another one may try."""
POLL_SECONDS = 0.2
"""The interval in which a process looks whether another one has refreshed the tokens."""
TICKET = "ticket"
MAX_SCOPE = 2_000
"""The most characters of the scopes that a server requires in addition, which can be different ones for each call."""

logger = logging.getLogger("tertulia.mcp")


class NotConnectedError(Exception):
    """The user must authorize the connection, or authorize it again."""


@dataclass(frozen=True, slots=True)
class ConnectionKey:
    """A user, and the name of an MCP server."""

    owner: UUID
    server: str


class Ticket(BaseModel):
    """The content of `authorizeUrl`."""

    owner: UUID
    server: str


@dataclass(frozen=True, slots=True)
class Access:
    """An access token, and the connection and version that it belongs to."""

    connection_id: UUID
    version: int
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AuthorizationResponse:
    """An answer of an authorization server. Without a `confirmation`, the authorization has failed."""

    return_to: str
    confirmation: str | None = field(default=None, repr=False)


class UserConnections:
    """The connections of all users to the MCP servers with OAuth."""

    def __init__(self, database: Database, encryption: Encryption, servers: Mapping[str, HttpServer]) -> None:
        """Initialize for the servers of the configuration, by name."""
        self.servers = servers
        self._database = database
        self._encryption = encryption
        self._client: httpx2.AsyncClient | None = None
        self._refreshes: dict[Access, asyncio.Task[Access]] = {}

    async def close(self) -> None:
        """Finish running refreshes, because their refresh tokens may work only once."""
        await asyncio.gather(*self._refreshes.values(), return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    # ---- authorization -----------------------------------------------------------------------

    def ticket(self, key: ConnectionKey) -> str:
        """Return a text with which a browser can begin the user's authorization, for ten minutes."""
        return self._encryption.encrypt(Ticket(owner=key.owner, server=key.server), TICKET)

    def read_ticket(self, text: str) -> ConnectionKey | None:
        """Return what a ticket is for; None if it is not valid."""
        ticket = self._encryption.decrypt(text, TICKET, Ticket, TICKET_SECONDS)
        return (
            None if ticket is None or ticket.server not in self.servers else ConnectionKey(ticket.owner, ticket.server)
        )

    async def begin(self, key: ConnectionKey, redirect_uri: str, return_to: str) -> str:
        """Begin an authorization.

        Args:
            key: The user and the server.
            redirect_uri: The address to which the authorization server sends the code.
            return_to: The address to which the browser returns afterwards.

        Returns:
            The address at which the user consents.

        Raises:
            AuthorizationError: The authorization server cannot be used.
        """
        server = self.servers[key.server]
        at = await discover(self._http(server), server)
        row = await self.get(key)
        scope = at.scope
        if row is not None and row.missing_scope is not None:
            grant = self._grant(row)
            scope = union_scopes(at.scope if grant is None else grant.scope, row.missing_scope)
        client = await self._registered(key.server, at, redirect_uri, scope)
        pending = grants.begin(server.url, at, client, redirect_uri, scope)
        state = secrets.token_urlsafe(32)
        authorization = self._authorization(key, state, return_to, pending, TICKET_SECONDS)
        async with self._database.write() as session:
            await rows.begin(session, authorization)
        return grants.authorization_url(pending, state)

    async def receive(self, state: str, code: str | None, issuer: str | None) -> AuthorizationResponse | None:
        """Store the code of an authorization server until its user confirms it.

        The browser that brings the code need not be that of the user who began: anybody can send others their own
        `authorizeUrl`. So the code is used only when the user confirms it with the secret that this browser gets.

        Args:
            state: The state of the authorization, which works once.
            code: The code; None if the user has denied the authorization.
            issuer: The issuer that sent it, if it is named.

        Returns:
            None if the state is not valid.
        """
        async with self._database.read() as session:
            # Anybody can send any state, without signing in, and must not occupy the database for others with this.
            if not await rows.exists(session, _digest(state)):
                return None
        async with self._database.write() as session:
            row = await rows.take(session, _digest(state), has_code=False)
            pending = None if row is None else self._pending(row)
            if row is None or pending is None:
                return None
            if code is None:
                return AuthorizationResponse(row.return_to)
            try:
                grants.check_issuer(pending.at, issuer)
            except AuthorizationError as error:
                logger.warning("A connection to the MCP server %s was refused: %s", row.server, error)
                return AuthorizationResponse(row.return_to)
            confirmation = secrets.token_urlsafe(32)
            pending = pending.model_copy(update={"code": code})
            key = ConnectionKey(row.owner_id, row.server)
            confirming = self._authorization(key, confirmation, row.return_to, pending, CONFIRM_SECONDS)
            confirming.has_code = True
            await rows.begin(session, confirming)
        return AuthorizationResponse(row.return_to, confirmation)

    async def confirm(self, owner: UUID, confirmation: str) -> ConnectionKey | None:
        """Connect a user with the code that was received.

        Returns:
            None if the secret is not valid, or the authorization was begun by another user.

        Raises:
            AuthorizationError: The authorization server sends no tokens for the code.
        """
        async with self._database.write() as session:
            row = await rows.take(session, _digest(confirmation), has_code=True)
        pending = None if row is None or row.owner_id != owner else self._pending(row)
        if row is None or pending is None:
            return None
        key = ConnectionKey(owner, row.server)
        try:
            grant = await grants.exchange(self._http(self.servers[key.server]), pending)
        except GrantRefusedError as refused:
            await self._forget_client(key.server, pending.at, refused)
            raise
        connection = ToolConnection(owner_id=owner, server=key.server, secrets=self._sealed(key, grant))
        async with self._database.write() as session:
            await rows.replace(session, connection)
        return key

    async def disconnect(self, key: ConnectionKey) -> bool:
        """Delete a connection, and revoke its tokens. Return False if there is none."""
        async with self._database.write() as session:
            row = await rows.remove(session, key.owner, key.server)
        grant = None if row is None else self._grant(row)
        if grant is not None:
            try:
                await grants.revoke(self._http(self.servers[key.server]), grant)
            except AuthorizationError as error:
                logger.warning(
                    "The tokens of a connection to the MCP server %s were not revoked: %s", key.server, error
                )
        return row is not None

    # ---- tokens ------------------------------------------------------------------------------

    async def of(self, session: AsyncSession, owner: UUID) -> Sequence[ToolConnection]:
        """Return the connections of a user to servers of the configuration."""
        return [row for row in await rows.of_owner(session, owner) if row.server in self.servers]

    def is_authorized(self, row: ToolConnection) -> bool:
        """Return whether a connection has tokens for the configured server."""
        return self._grant(row) is not None

    async def get(self, key: ConnectionKey) -> ToolConnection | None:
        """Return the connection of a user to a server, if there is one."""
        async with self._database.read() as session:
            return await rows.get(session, key.owner, key.server)

    async def access(self, key: ConnectionKey) -> Access:
        """Return a valid access token.

        Raises:
            NotConnectedError: The user must authorize the connection.
            AuthorizationError: The token cannot be refreshed now.
        """
        row = await self.get(key)
        grant = None if row is None else self._grant(row)
        if row is None or grant is None:
            raise NotConnectedError
        access = Access(row.id, row.version, grant.access_token)
        return await self.refresh(key, access) if grant.is_expiring and grant.refresh_token else access

    async def refresh(self, key: ConnectionKey, old: Access) -> Access:
        """Return another access token than `old`, which was refused or expires. Raises what `access` raises.

        The refresh is not cancelled with its caller, because refresh tokens may work only once.
        """
        task = self._refreshes.get(old)
        if task is None:
            task = self._refreshes[old] = asyncio.create_task(self._refresh(key, old))
            task.add_done_callback(lambda done: self._refreshed(old, done))
        return await asyncio.shield(task)

    def _refreshed(self, old: Access, done: asyncio.Task[Access]) -> None:
        del self._refreshes[old]
        if not done.cancelled():
            # Otherwise, asyncio would log the exception of a task whose callers were all cancelled.
            done.exception()

    async def _refresh(self, key: ConnectionKey, old: Access) -> Access:
        async with asyncio.timeout(CLAIM_SECONDS):
            while True:
                row = await self.get(key)
                grant = None if row is None else self._grant(row)
                if row is None or grant is None:
                    raise NotConnectedError
                if (row.id, row.version) != (old.connection_id, old.version):
                    return Access(row.id, row.version, grant.access_token)
                async with self._database.write() as session:
                    if await rows.claim_refresh(session, row, CLAIM_SECONDS):
                        break
                await asyncio.sleep(POLL_SECONDS)
        try:
            grant = await grants.refresh(self._http(self.servers[key.server]), grant)
        except GrantRefusedError as refused:
            await self._forget_client(key.server, grant.at, refused)
            await self._store(row, None)
            raise NotConnectedError from None
        except BaseException:
            async with self._database.write() as session:
                await rows.end_refresh(session, row)
            raise
        await self._store_new(row, self._sealed(key, grant))
        return Access(row.id, row.version + 1, grant.access_token)

    async def end(self, key: ConnectionKey, access: Access) -> None:
        """Delete the tokens of a connection, because the server refuses a new token too."""
        row = await self.get(key)
        if row is not None and (row.id, row.version) == (access.connection_id, access.version):
            await self._store(row, None)

    async def require_scope(self, key: ConnectionKey, scope: str) -> None:
        """Record that a tool needs further scopes."""
        row = await self.get(key)
        wider_scope = scope if row is None else union_scopes(row.missing_scope, scope) or scope
        if row is not None and len(wider_scope) <= MAX_SCOPE:
            async with self._database.write() as session:
                await rows.require_scope(session, row, wider_scope)

    async def _store_new(self, row: ToolConnection, sealed: str) -> None:
        """Store new tokens, also if the database is unavailable for a moment: the old ones may not work any more."""
        began = time.monotonic()
        while True:
            try:
                await self._store(row, sealed)
            except AWAY:
                if time.monotonic() - began > SECONDS:
                    raise
            else:
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _store(self, row: ToolConnection, sealed: str | None) -> None:
        async with self._database.write() as session:
            if not await rows.change(session, row, sealed):
                # The user has disconnected in the meantime.
                raise NotConnectedError

    # ---- clients and secrets -----------------------------------------------------------------

    async def _registered(self, name: str, at: AuthorizationServer, redirect_uri: str, scope: str | None) -> Client:
        """Return the client for requests for some scopes, which is registered if necessary."""
        server = self.servers[name]
        if (configured := grants.configured_client(server, at.metadata)) is not None:
            return configured
        about = f"client {name} {at.issuer}"
        async with self._database.read() as session:
            row = await rows.client(session, name, at.issuer, redirect_uri)
        client = None if row is None else self._encryption.decrypt(row.secrets, about, Client)
        if client is not None and client.accepts(scope):
            return client
        wider_scope = union_scopes(None if client is None else client.scope, scope)
        client = await grants.register(self._http(server), at, redirect_uri, wider_scope)
        sealed = self._encryption.encrypt(client, about)
        async with self._database.write() as session:
            if row is not None:
                await rows.remove_client(session, name, at.issuer)
            stored = await rows.add_client(
                session, ToolClient(server=name, issuer=at.issuer, redirect_uri=redirect_uri, secrets=sealed)
            )
        return self._encryption.decrypt(stored.secrets, about, Client) or client

    async def _forget_client(self, name: str, at: AuthorizationServer, refused: GrantRefusedError) -> None:
        if refused.code == "invalid_client":
            async with self._database.write() as session:
                await rows.remove_client(session, name, at.issuer)

    def _http(self, server: HttpServer) -> AuthorizationHttp:
        if self._client is None:
            self._client = open_client()
        return AuthorizationHttp(self._client, server.url)

    def _authorization(
        self, key: ConnectionKey, secret: str, return_to: str, pending: PendingAuthorization, seconds: int
    ) -> ToolAuthorization:
        return ToolAuthorization(
            id=new_id(),
            owner_id=key.owner,
            server=key.server,
            digest=_digest(secret),
            return_to=return_to,
            secrets=self._encryption.encrypt(pending, f"authorization {key.owner} {key.server}"),
            expires_at=now() + timedelta(seconds=seconds),
        )

    def _pending(self, row: ToolAuthorization) -> PendingAuthorization | None:
        pending = self._encryption.decrypt(
            row.secrets, f"authorization {row.owner_id} {row.server}", PendingAuthorization
        )
        return pending if pending is not None and self._is_at(row.server, pending.url) else None

    def _sealed(self, key: ConnectionKey, grant: Grant) -> str:
        return self._encryption.encrypt(grant, f"connection {key.owner} {key.server}")

    def _grant(self, row: ToolConnection) -> Grant | None:
        if row.secrets is None:
            return None
        grant = self._encryption.decrypt(row.secrets, f"connection {row.owner_id} {row.server}", Grant)
        return grant if grant is not None and self._is_at(row.server, grant.url) else None

    def _is_at(self, name: str, url: str) -> bool:
        """Return whether a server has the same address as when it was authorized. Another one must not get tokens."""
        server = self.servers.get(name)
        return server is not None and server.url == url


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
