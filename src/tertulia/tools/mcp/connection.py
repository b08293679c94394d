"""The connection to one MCP server, which is re-established when it is lost.

Source: the Model Context Protocol, versions 2025-11-25 and 2026-07-28. The official SDK supports both.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from importlib.metadata import version

import anyio
import httpx2
from mcp import Client, MCPError, types
from mcp.client import IncomingMessage
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from pydantic import ValidationError

from tertulia.backoff import Backoff
from tertulia.json import Json, clean_text
from tertulia.tools.base import Result, ToolError
from tertulia.tools.json_schema import SchemaKind, schema_problem
from tertulia.tools.mcp.config import ConnectionMonitor, HttpServer, ServerConfig, check_input, open_streams
from tertulia.tools.mcp.results import MAX_SHOWN_NAME, ListedTool, Listing, result_of

CONNECT_SECONDS = 30.0
LIST_SECONDS = 30.0
CHECK_SECONDS = 60.0
"""The interval in which the tools of HTTP servers are requested: nothing else detects that a server is unavailable."""
LEAVE_SECONDS = 2.0
"""The time limit for ending a session."""
STOP_SECONDS = 10.0
"""The time limit for ending a program. The SDK closes its input, then terminates it, then kills it."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
MOST_PAGES = 100
MAX_SCHEMA_BYTES = 256 * 1024
CLOSED_BY_SDK = ("Connection closed", "SSE stream ")
"""How the SDK's errors for a closed connection begin."""

TERTULIA = types.Implementation(name="tertulia", version=version("tertulia"))

NOT_CONNECTED_YET = "It has not responded yet."
CLOSED = "It exited or closed the connection."
LOST = "The connection was lost."
LATE = f"It did not respond within {CONNECT_SECONDS:.0f} seconds."

logger = logging.getLogger("tertulia.mcp")


class Connection:
    """The connection to one server: its current session, if there is one, and the latest list of tools."""

    def __init__(
        self, name: str, config: ServerConfig, changed: Callable[[], None], auth: httpx2.Auth | None = None
    ) -> None:
        """Initialize without a connection.

        Args:
            name: The name of the server.
            config: Its configuration.
            changed: Called when the tools of the server change.
            auth: Authenticates the requests of a user; None for the headers of the configuration.
        """
        self.name = name
        self.offered: tuple[ListedTool, ...] = ()
        self.skipped: dict[str, str] = {}
        """The reasons why listed tools are not offered, by tool name."""
        self.problem: str | None = NOT_CONNECTED_YET
        self.tried = asyncio.Event()
        self.config = config
        self._changed = changed
        self._auth = auth
        self._client: Client | None = None
        self._calls = 0
        self._legacy = False
        self._stale = False
        self._leaving = False
        self._wake = asyncio.Event()
        self._scope: anyio.CancelScope | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether tools can be called."""
        return self._client is not None

    def begin(self) -> None:
        """Connect, and reconnect when needed, in one task: the SDK must be entered and exited in the same task."""
        self._scope = anyio.CancelScope()
        self._task = asyncio.create_task(self._run(self._scope), name=f"mcp-{self.name}")

    async def end(self) -> None:
        """Disconnect from the server, and end its program."""
        if self._task is None or self._scope is None:
            return
        self._leaving = True
        self._wake.set()
        try:
            if self.connected:
                # Over HTTP, the session ends with a request.
                await asyncio.wait([self._task], timeout=LEAVE_SECONDS)
        finally:
            # The scope is cancelled, and not the task, because the SDK shields the end of a program only from scopes.
            self._scope.cancel()
        await asyncio.wait([self._task], timeout=STOP_SECONDS)

    async def call(self, tool: str, input: Json) -> Result:
        """Call a tool once. Raise ToolError if there is no result."""
        if self._client is None:
            raise ToolError(f"The MCP server {self.name} is not connected.")
        check_input(input)
        self._calls += 1
        try:
            # Not `Client.call_tool`, which may retry a call.
            response = await self._client.session.call_tool(tool, input, allow_input_required=True)
        except MCPError as error:
            # The list of tools or the session may be outdated.
            self._wake.set()
            if _is_closed(error):
                lost_text = f"The MCP server {self.name} was lost during the call. The tool may have run."
                raise ToolError(lost_text) from error
            raise ToolError(error.message) from error
        except Exception:  # noqa: BLE001 - the SDK may raise anything for a malformed message
            raise ToolError(f"The response of the MCP server {self.name} could not be read.") from None
        finally:
            self._calls -= 1
        if not isinstance(response, types.CallToolResult):
            raise ToolError(
                f"The MCP server {self.name} requires further input, which is not supported, so there is no result."
            )
        return result_of(response)

    async def _run(self, scope: anyio.CancelScope) -> None:
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        with scope:
            while True:
                began = anyio.current_time()
                problem = await self._connect_once()
                if self._leaving:
                    return
                if problem != self.problem:
                    logger.warning("The MCP server %s is not connected: %s", self.name, problem)
                self.problem = problem
                self.tried.set()
                if anyio.current_time() - began > LONGEST_PAUSE:
                    backoff.reset()
                await anyio.sleep(backoff.next())

    async def _connect_once(self) -> str:
        """Connect, and stay connected as long as possible. Return why the connection ended."""
        monitor = ConnectionMonitor(self._lose)
        limit = anyio.CancelScope(deadline=anyio.current_time() + CONNECT_SECONDS)
        streams = open_streams(self.config, monitor, self._auth)
        mode = "legacy" if self._legacy else "auto"
        # Without a cache, the list is always current. Without callbacks, the server cannot send us requests.
        connecting_client = Client(streams, mode=mode, cache=None, message_handler=self._receive, client_info=TERTULIA)
        try:
            with limit:
                async with connecting_client as client:
                    offered = await _list(client, monitor.listing)
                    limit.deadline = math.inf
                    if not monitor.is_over:
                        await self._stay(client, monitor.listing, offered)
        except Exception as error:  # noqa: BLE001 - the SDK may raise anything for a malformed message
            problem = _problem(error, monitor.status)
            if limit.deadline < math.inf:
                # Some programs exit on a request before the handshake of the older protocol.
                self._legacy = problem == CLOSED and not self._legacy
            return problem
        return LATE if limit.cancelled_caught else LOST

    def _lose(self) -> None:
        if self.connected:
            self._client, self.problem = None, LOST
            if not self._leaving:
                logger.warning("The connection to the MCP server %s was lost; reconnecting", self.name)
        self._wake.set()

    async def _receive(self, message: IncomingMessage) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self._wake.set()

    async def _stay(self, client: Client, listing: Listing, offered: tuple[ListedTool, ...]) -> None:
        """Keep the list of tools current until the connection is lost or must end."""
        self._client, self.problem = client, None
        self._offer(listing, offered)
        self._stale = False
        self.tried.set()
        logger.info("The MCP server %s is connected, with %d tools", self.name, len(offered))
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._listen, client)
                while not self._is_over():
                    is_asked = self._stale or isinstance(self.config, HttpServer)
                    with anyio.move_on_after(CHECK_SECONDS if is_asked else None):
                        await self._wake.wait()
                    self._wake.clear()
                    if not self._is_over():
                        await self._refresh(client, listing)
                group.cancel_scope.cancel()
        finally:
            self._lose()

    def _is_over(self) -> bool:
        return self._leaving or not self.connected

    def _offer(self, listing: Listing, offered: tuple[ListedTool, ...]) -> None:
        self.offered, previous = offered, self.skipped
        self.skipped = dict(listing.skipped)
        for name, reason in self.skipped.items():
            if previous.get(name) != reason:
                logger.warning("The tool %r of the MCP server %s is not offered: %s", name, self.name, reason)
        self._changed()

    async def _refresh(self, client: Client, listing: Listing) -> None:
        try:
            with anyio.fail_after(LIST_SECONDS):
                offered = await _list(client, listing)
        except (MCPError, ValidationError, TimeoutError):
            # A program may be busy with a call, which would be aborted if the program were ended.
            self._stale = True
            if isinstance(self.config, HttpServer) and not self._calls:
                raise
            return
        self._stale = False
        if offered != self.offered or listing.skipped != self.skipped:
            self._offer(listing, offered)
            logger.info("The tools of the MCP server %s have changed; it has %d now", self.name, len(offered))

    async def _listen(self, client: Client) -> None:
        """Subscribe to changes of the list, as the protocol of 2026 requires. Older servers send them unsolicited."""
        tools = client.server_capabilities.tools
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        while tools is not None and tools.list_changed:
            try:
                async with client.listen(tools_list_changed=True) as changes:
                    # A change before the subscription may have been missed.
                    self._wake.set()
                    async for _ in changes:
                        self._wake.set()
            except ListenNotSupportedError:
                return
            except (MCPError, SubscriptionLost):
                self._wake.set()
            await anyio.sleep(backoff.next())


async def _list(client: Client, listing: Listing) -> tuple[ListedTool, ...]:
    """Return the tools that can be offered, sorted by name. The skipped tools are added to `listing`."""
    listing.tools.clear()
    listing.count = 0
    listing.skipped.clear()
    accepted: set[str] = set()
    cursors: set[str | None] = set()
    cursor: str | None = None
    while client.server_capabilities.tools and cursor not in cursors and len(cursors) < MOST_PAGES:
        cursors.add(cursor)
        try:
            page = await client.list_tools(cursor=cursor)
        except (MCPError, ValidationError) as error:
            if not accepted or (isinstance(error, MCPError) and _is_closed(error)):
                raise
            listing.skipped[f"page {len(cursors)}"] = (
                "the server responded with an error to the request for this page of its list."
            )
            break
        accepted |= {tool.name for tool in page.tools}
        cursor = page.next_cursor
        if not cursor:
            break
    return tuple([tool for _, tool in sorted(listing.tools.items()) if await _is_offered(tool, listing, accepted)])


async def _is_offered(tool: ListedTool, listing: Listing, accepted: set[str]) -> bool:
    problem = await schema_problem(tool.input_schema, SchemaKind.TOOL, MAX_SCHEMA_BYTES)
    if tool.name not in accepted:
        # The specification of 2026-07-28 requires clients to drop such tools, and the SDK does so.
        problem = "has invalid `x-mcp-header` annotations."
    if problem is not None:
        listing.skipped[clean_text(tool.name)[:MAX_SHOWN_NAME]] = f"its inputSchema {problem}"
    return problem is None


def _is_closed(error: MCPError) -> bool:
    # Servers use this code for other errors too.
    return error.code == types.CONNECTION_CLOSED and error.message.startswith(CLOSED_BY_SDK)


def _problem(error: Exception, status: int | None) -> str:
    """Describe an error without quoting it, because messages of servers and libraries may contain secrets."""
    match error:
        case ExceptionGroup():
            return _problem(error.exceptions[0], status)
        case MCPError() if _is_closed(error):
            description = CLOSED
        case MCPError():
            description = f"It responded with the HTTP status {status}." if status else "It responded with an error."
        case TimeoutError():
            description = LATE
        case httpx2.TransportError():
            description = "It cannot be reached."
        case OSError():
            description = f"It cannot be started: {error.strerror}."
        case _:
            description = "Its response could not be read."
    return description
