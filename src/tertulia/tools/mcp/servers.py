"""The MCP servers of this process: their status, and their tools under names that Claude accepts."""

import asyncio
import hashlib
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tertulia.json import Json
from tertulia.tools.base import DEFAULT_OPTIONS, Result, ToolContext, ToolOptions

if TYPE_CHECKING:
    from tertulia.tools.mcp.config import ServerConfig
    from tertulia.tools.mcp.connection import Connection
    from tertulia.tools.mcp.oauth.users import UserServers
    from tertulia.tools.mcp.results import ListedTool

START_SECONDS = 10.0
"""The seconds for which slow servers can delay the start."""
LONGEST_NAME = 128


@dataclass(frozen=True, slots=True)
class McpTool:
    """A tool of an MCP server, with the name by which Claude calls it."""

    name: str
    description: str
    input_schema: Json
    requires_approval: bool
    server: str
    original: str
    run: Callable[[Json, ToolContext], Awaitable[Result]] = field(repr=False, compare=False)
    seconds: float | None = None
    idempotent: bool = False
    options: ToolOptions = DEFAULT_OPTIONS

    async def call(self, input: Json, context: ToolContext) -> Result:
        """Call the tool once. Raise ToolError if there is no result."""
        return await self.run(input, context)


@dataclass(frozen=True, slots=True)
class SkippedTool:
    """A tool that an MCP server lists but that is not offered, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class McpServer:
    """The status of a server. If it is not connected, `problem` is the reason, and `tools` is its latest list.

    If users connect with their `own_account`, it is the status for one user, who must authorize the connection if
    `needs_authorization`.
    """

    name: str
    connected: bool
    problem: str | None
    tools: tuple[McpTool, ...]
    skipped: tuple[SkippedTool, ...] = ()
    own_account: bool = False
    needs_authorization: bool = False


class McpServers:
    """The connections of this process to MCP servers."""

    def __init__(
        self,
        configs: "Mapping[str, ServerConfig]",
        *,
        requires_approval: Callable[[str], bool],
        changed: Callable[[], None] = lambda: None,
        users: "UserServers | None" = None,
    ) -> None:
        """Initialize without connections.

        Args:
            configs: The servers that all users share, by name.
            requires_approval: Returns whether a tool, by its full name, requires the user's approval.
            changed: Called when the tools of a server change.
            users: The servers to which each user connects; None if there are none.
        """
        self.users = users
        self._connections = _open(configs, changed) if configs else []
        self._requires_approval = requires_approval

    async def start(self) -> None:
        """Connect, and return after one attempt for each server, or after START_SECONDS."""
        # The SDK logs the messages of servers, including results.
        for chatty in ("mcp", "client"):
            logging.getLogger(chatty).setLevel(logging.CRITICAL)
        for connection in self._connections:
            connection.begin()
        with suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                for connection in self._connections:
                    await connection.tried.wait()

    async def close(self) -> None:
        """Disconnect from all servers, and wait until their programs have ended."""
        await asyncio.gather(*(connection.end() for connection in self._connections))
        if self.users is not None:
            await self.users.close()

    @property
    def servers(self) -> list[McpServer]:
        """The status of each server that all users share, sorted by name."""
        names = unique_names(
            (connection.name, tool.name) for connection in self._connections for tool in connection.offered
        )
        return [
            McpServer(
                connection.name,
                connection.connected,
                connection.problem,
                tuple(self._tool(connection, tool, names[connection.name, tool.name]) for tool in connection.offered),
                tuple(SkippedTool(name, reason) for name, reason in sorted(connection.skipped.items())),
            )
            for connection in self._connections
        ]

    @property
    def tools(self) -> list[McpTool]:
        """The tools that all users can call now."""
        return [tool for server in self.servers if server.connected for tool in server.tools]

    def _tool(self, connection: "Connection", tool: "ListedTool", name: str) -> McpTool:
        async def run(input: Json, _context: ToolContext) -> Result:
            return await connection.call(tool.name, input)

        return McpTool(
            name=name,
            description=tool.description,
            input_schema=tool.input_schema,
            requires_approval=self._requires_approval(name),
            server=connection.name,
            original=tool.name,
            run=run,
            options=connection.config.options_of(tool.name),
        )


def unique_names(offered: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return unique names that the Messages API accepts, by pairs of a server and a tool."""
    plain = {key: re.sub(r"[^a-zA-Z0-9_-]", "_", "__".join(key)) for key in offered}
    uses = Counter(plain.values())
    return {
        key: name if uses[name] == 1 and len(name) <= LONGEST_NAME else _marked(name, *key)
        for key, name in plain.items()
    }


def _marked(name: str, server: str, tool: str) -> str:
    mark = hashlib.sha256(f"{server}\0{tool}".encode()).hexdigest()[:8]
    return f"{name[: LONGEST_NAME - 9]}_{mark}"


def _open(configs: "Mapping[str, ServerConfig]", changed: Callable[[], None]) -> "list[Connection]":
    # The SDK takes half a second to import, so it is imported only if there are MCP servers.
    from tertulia.tools.mcp.connection import Connection

    return [Connection(name, config, changed) for name, config in sorted(configs.items())]
