"""The MCP servers with OAuth as a user sees them: their state, their tools, and the calls of these tools."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from uuid import UUID

from tertulia.db.database import AsyncSession, Database
from tertulia.db.tool_connections import ToolConnection
from tertulia.json import Json
from tertulia.tools.base import Result, ToolContext
from tertulia.tools.mcp.config import HttpServer
from tertulia.tools.mcp.oauth.connections import ConnectionKey, UserConnections
from tertulia.tools.mcp.oauth.encryption import Encryption
from tertulia.tools.mcp.oauth.sessions import UserSessions
from tertulia.tools.mcp.servers import McpServer, McpTool, unique_names

NOT_CONNECTED = "You have not connected to it yet."
ENDED = "Your connection to it has ended. Connect again."
MORE_NEEDED = "A tool requires further permissions. Connect again."


class UserServers:
    """The MCP servers to which each user connects with OAuth."""

    def __init__(
        self,
        database: Database,
        encryption: Encryption,
        servers: Mapping[str, HttpServer],
        *,
        public_url: str | None,
        requires_approval: Callable[[str], bool],
    ) -> None:
        """Initialize without sessions.

        Args:
            database: Stores the connections.
            encryption: Encrypts what is secret about them.
            servers: The servers, by name.
            public_url: The address under which browsers reach this server; None for the address of each request.
            requires_approval: Returns whether a tool, by its full name, requires the user's approval.
        """
        self.public_url = public_url
        self.connections = UserConnections(database, encryption, servers)
        self._sessions = UserSessions(database, self.connections)
        self._requires_approval = requires_approval

    async def close(self) -> None:
        """End all sessions."""
        await self._sessions.close()
        await self.connections.close()

    async def confirm(self, owner: UUID, confirmation: str) -> str | None:
        """Connect a user (see `UserConnections.confirm`), and list the tools. Return the name of the server."""
        key = await self.connections.confirm(owner, confirmation)
        if key is None:
            return None
        await self._sessions.open(key)
        return key.server

    async def disconnect(self, key: ConnectionKey) -> bool:
        """Delete the connection of a user, and end its session. Return False if there is none."""
        self._sessions.end(key)
        return await self.connections.disconnect(key)

    async def tools(self, session: AsyncSession, owner: UUID) -> Sequence[McpTool]:
        """Return the tools of a user. They include those of ended connections, whose calls ask to connect again."""
        return [tool for tools in self._tools(await self.connections.of(session, owner)).values() for tool in tools]

    async def of(self, session: AsyncSession, owner: UUID) -> list[McpServer]:
        """Return the state of each server for a user, ordered by name."""
        rows = await self.connections.of(session, owner)
        tools, by_name = self._tools(rows), {row.server: row for row in rows}
        return [self._server(name, by_name.get(name), tools.get(name, ())) for name in sorted(self.connections.servers)]

    def _server(self, name: str, row: ToolConnection | None, tools: Sequence[McpTool]) -> McpServer:
        problem = NOT_CONNECTED if row is None else self._problem(row)
        is_connected = problem in (None, MORE_NEEDED)
        needs_authorization = problem is not None
        return McpServer(
            name, is_connected, problem, tuple(tools), own_account=True, needs_authorization=needs_authorization
        )

    def _problem(self, row: ToolConnection) -> str | None:
        if not self.connections.is_authorized(row):
            return ENDED
        return None if row.missing_scope is None else MORE_NEEDED

    def _tools(self, rows: Sequence[ToolConnection]) -> dict[str, list[McpTool]]:
        names = unique_names((row.server, tool["name"]) for row in rows for tool in row.tools)
        return {
            row.server: [self._tool(row.server, tool, names[row.server, tool["name"]]) for tool in row.tools]
            for row in rows
        }

    def _tool(self, server: str, tool: Json, name: str) -> McpTool:
        return McpTool(
            name=name,
            description=tool["description"],
            input_schema=tool["input_schema"],
            requires_approval=self._requires_approval(name),
            server=server,
            original=tool["name"],
            options=self.connections.servers[server].options_of(tool["name"]),
            run=partial(self._call, server, tool["name"]),
        )

    async def _call(self, server: str, tool: str, input: Json, context: ToolContext) -> Result:
        """Call a tool with the connection of the user who is answered, whatever the tool was listed for."""
        return await self._sessions.call(ConnectionKey(context.viewer_id, server), tool, input)
