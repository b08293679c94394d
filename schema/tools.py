"""Tools and their servers."""

from strawberry.scalars import JSON

from tertulia.db import tool_calls
from tertulia.resolvers import tools
from tertulia.schema.declare import field, graphql_type
from tertulia.tools import registry
from tertulia.tools.mcp import servers


def _source(root: registry.Offer) -> str:
    """Where it runs: FUNCTION or MCP on this server, CLAUDE on Claude's side."""
    return root.source.upper()


@graphql_type(registry.Offer)
class Tool:
    """A tool that this server offers to Claude."""

    name: str
    """The name that Claude calls it by: 1 to 128 letters, digits, `_` and `-`; of an MCP server's, `server__tool`."""
    description: str
    """What it does, as Claude is told."""
    input_schema: JSON
    """What it takes, as a JSON schema; empty for Claude's own, which Claude knows."""
    asks_first: bool
    """Whether each call waits for the user's yes: `ToolResultsRequired`, then `submitToolResults`."""
    source: str = field(_source)
    server: str | None
    """The MCP server that has it; null for others."""


def _tool_names(root: servers.McpServer) -> list[str]:
    """Names of its tools; those it had last where it is lost."""
    return [tool.name for tool in root.tools]


@graphql_type(servers.SkippedTool)
class SkippedTool:
    """A tool that an MCP server lists and that is not offered to Claude."""

    name: str
    """The name that the server gives it, or its place in the list."""
    reason: str
    """Why it is not offered, in words for people."""


@graphql_type(servers.McpServer)
class ToolServer:
    """An MCP server. One that is lost is connected again by itself; its tools are missing until then."""

    name: str
    """Its name in the server's MCP configuration."""
    connected: bool
    """Whether its tools can be called now."""
    problem: str | None
    """Why it is not connected, in words for people; null while it is."""
    tools: list[str] = field(_tool_names)
    skipped: list[SkippedTool]
    """Tools of its list that cannot be offered to Claude; the others are not affected."""


@graphql_type(tools.ClientTools)
class ClientTool:
    """A tool that the client of a conversation runs: its calls come as `ToolResultsRequired`."""

    name: str
    """The name that Claude calls it by."""
    description: str
    """What it does, as Claude is told."""
    input_schema: JSON
    """What it takes, as a JSON schema of an object."""


@graphql_type(tools.Choice)
class ConversationTools:
    """The tools that Claude may call in a conversation."""

    server: list[str] | None
    """Names of the server's tools, or patterns such as `github__*`; null for all of them, empty for none."""
    client: list[ClientTool]
    """The client's own, at most 100."""


@graphql_type(tool_calls.ToolUsage)
class ToolUsage:
    """How often a tool was called."""

    name: str
    """The tool's name."""
    calls: int
    """How many calls there were, those that failed included."""
    failed: int
    """How many of them failed, were refused by the user, or are lost."""
