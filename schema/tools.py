"""The GraphQL types of tools, tool servers and tool usage."""

from strawberry.scalars import JSON

from tertulia.db import tool_calls
from tertulia.resolvers import tool_connections, tools
from tertulia.schema.declare import field, graphql_type
from tertulia.tools import registry
from tertulia.tools.mcp import servers


def _source(root: registry.Offer) -> str:
    """Where the tool runs: `FUNCTION` on this server, `MCP` on an MCP server, or `CLAUDE` in Claude's API."""
    return root.source.upper()


@graphql_type(registry.Offer)
class Tool:
    """A tool that this server offers to Claude."""

    name: str
    """The tool's name: 1 to 128 letters, digits, `_` and `-`. Tools of MCP servers are named `server__tool`."""
    description: str
    """The description that Claude reads."""
    input_schema: JSON
    """The JSON schema of the tool's input. Empty for tools that Claude's API runs."""
    asks_first: bool
    """Whether each call requires the user's approval: see `ToolResultsRequired` and `submitToolResults`."""
    source: str = field(_source)
    server: str | None
    """The name of the MCP server that provides the tool. Null for other tools."""


def _tool_names(root: servers.McpServer) -> list[str]:
    """The names of the server's tools. While it is disconnected, the tools that it had last."""
    return [tool.name for tool in root.tools]


@graphql_type(servers.SkippedTool)
class SkippedTool:
    """A tool that an MCP server lists but that cannot be offered to Claude."""

    name: str
    """The tool's name, or its position in the server's list if it has no usable name."""
    reason: str
    """Why the tool is not offered, for people."""


@graphql_type(servers.McpServer)
class ToolServer:
    """An MCP server.

    After a lost connection, Tertulia reconnects automatically. Claude cannot call the server's tools until then. If
    `ownAccount` is true, all fields describe the viewer's own connection.
    """

    name: str
    """The server's name in the MCP configuration."""
    connected: bool
    """Whether the server's tools can be called now. With OAuth, whether the viewer has authorized the connection."""
    problem: str | None
    """Why the server is not connected, or what the viewer must authorize, for people. Null if nothing is wrong."""
    tools: list[str] = field(_tool_names)
    skipped: list[SkippedTool]
    """The listed tools that cannot be offered to Claude. The other tools are not affected."""
    own_account: bool
    """Whether each viewer connects to it with their own account (OAuth), and can disconnect."""
    needs_authorization: bool
    """Whether the viewer must open `authorizeUrl`: to connect, to connect again, or because a tool requires further
    permissions.
    """
    authorize_url: str | None = field(tool_connections.authorize_url)


@graphql_type(tool_connections.ToolServerPayload)
class ToolServerPayload:
    """An MCP server whose connection has changed."""

    tool_server: ToolServer
    """The MCP server in its current state."""


@graphql_type(tools.StoredClientTool)
class ClientTool:
    """A tool that the client runs. The client receives its calls as `ToolResultsRequired`."""

    name: str
    """The tool's name."""
    description: str
    """The description that Claude reads."""
    input_schema: JSON
    """The JSON schema of the tool's input, which is an object."""


@graphql_type(tools.StoredTools)
class ConversationTools:
    """The tools that Claude may call in a conversation."""

    server: list[str] | None
    """Names of server tools, or patterns such as `github__*`. Null for all server tools, empty for none."""
    client: list[ClientTool]
    """The client tools, at most 100."""


@graphql_type(tool_calls.ToolUsage)
class ToolUsage:
    """The number of calls of one tool."""

    name: str
    """The tool's name."""
    calls: int
    """The number of calls, including failed ones."""
    failed: int
    """The number of calls that failed, were denied by the user, or were lost with their process."""
