"""The MCP sessions of users. A session belongs to one connection of one user, and no other user's call reaches it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from tertulia.db import tool_connections as rows
from tertulia.db.database import Database
from tertulia.db.errors import DATABASE_ERRORS
from tertulia.json import Json, clean, encode
from tertulia.tools.base import Result, ToolError
from tertulia.tools.mcp.connection import Connection
from tertulia.tools.mcp.oauth.auth import UserAuth
from tertulia.tools.mcp.oauth.connections import ConnectionKey, NotConnectedError, UserConnections
from tertulia.tools.mcp.oauth.requests import AuthorizationError
from tertulia.tools.mcp.results import ListedTool

IDLE_SECONDS = 300.0
"""How long a session is kept without a call."""
SWEEP_SECONDS = 30.0
MAX_SESSIONS = 500
"""The sessions of a process. When there are more, the unused one that was used least recently ends."""
MAX_STORED = 4 * 1024 * 1024
"""The maximum size of the stored tools of a connection in bytes. Further tools are left out."""
OPEN_SECONDS = 10.0
"""The time limit for the list of tools of a new connection."""
MUST_CONNECT = (
    "The user is not connected to the MCP server {}, or the connection has ended. Only the user can connect to it, so "
    "ask the user to do so. Then call the tool again."
)
MUST_EXTEND = (
    "The MCP server {} requires further permissions for this call. Only the user can grant them, by connecting to the "
    "server again, so ask the user to do so. Then call the tool again."
)
NOT_NOW = "The connection to the MCP server {} cannot be refreshed now. Try again later."

logger = logging.getLogger("tertulia.mcp")


class _Session:
    """The session of one connection, and when it was used."""

    def __init__(
        self,
        connections: UserConnections,
        key: ConnectionKey,
        connection_id: UUID,
        store: Callable[["_Session"], asyncio.Task[None]],
    ) -> None:
        self.connection_id = connection_id
        self.auth = UserAuth(connections, key, connection_id)
        self.connection = Connection(key.server, connections.servers[key.server], self._changed, self.auth)
        self.used_at = _time()
        self.calls = 0
        self.storing: asyncio.Task[None] | None = None
        self._store = store

    @property
    def is_lost(self) -> bool:
        """Whether it waits before it reconnects. A call should not wait for this."""
        return self.connection.tried.is_set() and not self.connection.connected and not self.calls

    def _changed(self) -> None:
        self.storing = self._store(self)

    @contextmanager
    def in_use(self) -> Generator[None]:
        self.calls += 1
        try:
            yield
        finally:
            self.calls -= 1
            self.used_at = _time()


class UserSessions:
    """Opens a session at a user's first call, and ends it when it is not used any more."""

    def __init__(self, database: Database, connections: UserConnections) -> None:
        """Initialize without sessions."""
        self._database = database
        self._connections = connections
        self._sessions: dict[ConnectionKey, _Session] = {}
        self._tasks = set[asyncio.Task[None]]()
        self._sweeping: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """End all sessions."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        for key in list(self._sessions):
            self.end(key)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def call(self, key: ConnectionKey, tool: str, input: Json) -> Result:
        """Call a tool once with the connection of a user. Raise ToolError if there is no result."""
        try:
            access = await self._connections.access(key)
        except NotConnectedError:
            self.end(key)
            raise ToolError(MUST_CONNECT.format(key.server)) from None
        except (AuthorizationError, TimeoutError):
            raise ToolError(NOT_NOW.format(key.server)) from None
        session = self._session(key, access.connection_id)
        refusals, failures = session.auth.scope_refusals, session.auth.failed_refreshes
        with session.in_use():
            await session.connection.tried.wait()
            try:
                return await session.connection.call(tool, input)
            except ToolError:
                if session.auth.scope_refusals > refusals:
                    raise ToolError(MUST_EXTEND.format(key.server)) from None
                if not await self._is_authorized(key):
                    self.end(key)
                    raise ToolError(MUST_CONNECT.format(key.server)) from None
                if session.auth.failed_refreshes > failures:
                    raise ToolError(NOT_NOW.format(key.server)) from None
                raise

    async def open(self, key: ConnectionKey) -> None:
        """Open a session, and store the tools of the user. A server that is too slow does this later."""
        try:
            access = await self._connections.access(key)
            session = self._session(key, access.connection_id)
            async with asyncio.timeout(OPEN_SECONDS):
                await session.connection.tried.wait()
                if session.storing is not None:
                    await asyncio.shield(session.storing)
        except (NotConnectedError, AuthorizationError, TimeoutError):
            return

    def end(self, key: ConnectionKey) -> None:
        """End the session of a user, if there is one."""
        session = self._sessions.pop(key, None)
        if session is not None:
            self._start(session.connection.end())

    def _session(self, key: ConnectionKey, connection_id: UUID) -> _Session:
        """Return the session of a connection, which is opened if necessary."""
        session = self._sessions.get(key)
        if session is not None and session.connection_id == connection_id and not session.is_lost:
            return session
        self.end(key)
        if len(self._sessions) >= MAX_SESSIONS:
            self._end_least_recent()
        session = _Session(self._connections, key, connection_id, lambda session: self._start(self._store(session)))
        self._sessions[key] = session
        session.connection.begin()
        if self._sweeping is None:
            self._sweeping = asyncio.create_task(self._sweep(), name="mcp-sessions")
        return session

    async def _is_authorized(self, key: ConnectionKey) -> bool:
        row = await self._connections.get(key)
        return row is not None and self._connections.is_authorized(row)

    async def _store(self, session: _Session) -> None:
        try:
            valid = storable(session.connection.offered)
            if len(valid) < len(session.connection.offered):
                logger.warning("The MCP server %s listed tools that cannot be stored", session.connection.name)
            async with self._database.write() as transaction:
                await rows.store_tools(transaction, session.connection_id, valid)
        except (*DATABASE_ERRORS, ValueError) as error:
            logger.warning("The tools of a user's MCP server were not stored: %s", type(error).__name__)

    def _end_least_recent(self) -> None:
        unused = [key for key, session in self._sessions.items() if not session.calls]
        if unused:
            self.end(min(unused, key=lambda key: self._sessions[key].used_at))

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            unused_since = _time() - IDLE_SECONDS
            for key, session in list(self._sessions.items()):
                if not session.calls and session.used_at < unused_since:
                    self.end(key)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def storable(offered: Iterable[ListedTool]) -> list[Json]:
    """Return the tools in the form in which they are stored, without those that cannot be stored.

    These have texts that a database does not accept (under another name, a tool could not be called), or are too many.
    """
    tools: list[Json] = []
    size = 0
    for tool in offered:
        stored: Json = {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
        if clean(stored) != stored:
            continue
        size += len(encode(stored))
        if size > MAX_STORED:
            break
        tools.append(stored)
    return tools


def _time() -> float:
    return asyncio.get_running_loop().time()
