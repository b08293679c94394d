"""Tools, as clients see them."""

import strawberry
from strawberry.scalars import JSON

from claude import mcp_servers, toolbox
from db import tool_calls
from resolvers import tools
from schema.shows import shows


def _source(root: toolbox.Offer) -> str:
    """Where it runs: FUNCTION or MCP on this server, CLAUDE on Claude's side."""
    return root.source.upper()


@shows(toolbox.Offer)
class Tool:
    """A tool that this server offers to Claude."""

    name: str
    description: str
    input_schema: JSON = strawberry.field(
        description="What it takes, as a JSON schema; empty for Claude's own, which Claude knows."
    )
    asks_first: bool = strawberry.field(
        description="Whether each call waits for the user's yes: ToolResultsRequired, then submitToolResults."
    )
    source: str = strawberry.field(resolver=_source, description=_source.__doc__)
    server: str | None = strawberry.field(description="The MCP server that has it.")


def _tool_names(root: mcp_servers.McpServer) -> list[str]:
    """Names of its tools; those it had last where it is lost."""
    return [tool.name for tool in root.tools]


@shows(mcp_servers.McpServer)
class ToolServer:
    """An MCP server. One that is lost is connected again by itself; its tools are missing until then."""

    name: str
    connected: bool
    problem: str | None
    tools: list[str] = strawberry.field(resolver=_tool_names, description=_tool_names.__doc__)


@shows(tools.ClientTools)
class ClientTool:
    """A tool that the client of a conversation runs."""

    name: str
    description: str
    input_schema: JSON


@shows(tools.Choice)
class ConversationTools:
    """The tools that Claude may call. `server`: names or patterns of the server's; null for all of them."""

    server: list[str] | None
    client: list[ClientTool]


@shows(tool_calls.ToolUsage)
class ToolUsage:
    """How often a tool was called, and how many of these calls failed, were refused, or are lost."""

    name: str
    calls: int
    failed: int
