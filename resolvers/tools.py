"""The queries of tools and their usage, and the checks of a conversation's tools."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tertulia.claude.parser import TOOL_NAME
from tertulia.db import tool_calls
from tertulia.db.rows import AnyConversation
from tertulia.db.tool_calls import ToolUsage
from tertulia.json import Json
from tertulia.resolvers.arguments import Since
from tertulia.resolvers.context import Context, Info
from tertulia.resolvers.errors import InvalidInput
from tertulia.resolvers.inputs import ClientTool, ConversationTools, check_text
from tertulia.tools.json_schema import SchemaKind, schema_problem
from tertulia.tools.registry import Offer

MAX_TOOLS = 100
"""The most client tools, and the most patterns of server tools, in one conversation."""
MAX_DESCRIPTION = 10_000
PATTERN = r"[a-zA-Z0-9_*?\[\]!-]{1,128}"


@dataclass(frozen=True, slots=True)
class StoredClientTool:
    """A tool that a conversation's client runs."""

    name: str
    description: str
    input_schema: Json


@dataclass(frozen=True, slots=True)
class StoredTools:
    """The tools of a conversation; `server` is None for all tools of the server."""

    server: list[str] | None
    client: list[StoredClientTool]


async def tools(info: Info) -> Sequence[Offer]:
    """The tools that this server offers to Claude, by name.

    Tools of disconnected MCP servers, and tools that the viewer's plan does not have, are omitted. So are those of MCP
    servers that the viewer has not connected to.
    """
    context, registry = info.context, info.context.services.tool_registry
    async with context.read() as session:
        user_tools = await registry.user_tools(session, context.viewer.user_id)
    return registry.offers(context.plan.allows_tool, user_tools)


def of_conversation(root: AnyConversation) -> StoredTools:
    """The tools that Claude may call in the conversation."""
    stored_tools: list[Json] = root.tools.get("client") or []
    declared = [StoredClientTool(**tool) for tool in stored_tools]
    return StoredTools(root.tools.get("server"), declared)


async def tool_usage(info: Info, since: Since = None) -> Sequence[ToolUsage]:
    """The number of calls of each tool by name, including deleted conversations.

    Calls of tools that Claude's API runs are not counted here: their cost is part of `usage`.
    """
    async with info.context.read() as session:
        return await tool_calls.usage(session, info.context.viewer.user_id, since)


async def check_tools(context: Context, choice: ConversationTools | None) -> None:
    """Raise InvalidInput if a conversation cannot have these tools."""
    if choice is None:
        return
    offered = {offer.name for offer in context.services.tool_registry.offers(context.plan.allows_tool)}
    patterns, declared = choice.server or [], choice.client or []
    for field, items in (("server", patterns), ("client", declared)):
        if len(items) > MAX_TOOLS:
            raise InvalidInput(f"tools.{field}", f"must have at most {MAX_TOOLS} items, not {len(items)}.")
    for index, pattern in enumerate(patterns):
        _check_pattern(f"tools.server[{index}]", pattern, offered)
    for index, tool in enumerate(declared):
        await _check_declared(f"tools.client[{index}]", tool, offered)
        # Checking a schema whose result is cached takes milliseconds and does not suspend this task.
        await asyncio.sleep(0)
    names = [tool.name for tool in declared]
    if duplicates := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInput("tools.client", f"must have unique names: {duplicates[0]} is repeated.")


def tools_to_json(choice: ConversationTools | None) -> Json:
    """Return a choice that `check_tools` accepts as it is stored with a conversation."""
    if choice is None:
        return {}
    server = {} if choice.server is None else {"server": choice.server}
    # Not `asdict`: it copies schemas, which takes 0.1 seconds for two megabytes.
    client = [
        {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
        for tool in choice.client or ()
    ]
    return {**server, "client": client} if client else server


def _check_pattern(field: str, pattern: str, offered: set[str]) -> None:
    if not re.fullmatch(PATTERN, pattern):
        raise InvalidInput(field, "must be the name of a tool, or a pattern such as github__*.")
    # A name with "__" may be that of an MCP server's tool, which is missing while the server is disconnected.
    if pattern not in offered and "__" not in pattern and not re.search(r"[*?\[]", pattern):
        raise InvalidInput(field, f"must be the name of a tool in `Query.tools`, or a pattern; {pattern!r} is neither.")


async def _check_declared(field: str, tool: ClientTool, offered: set[str]) -> None:
    if not re.fullmatch(TOOL_NAME, tool.name):
        raise InvalidInput(f"{field}.name", "must have 1 to 128 letters, digits, _ and -.")
    if tool.name in offered:
        raise InvalidInput(f"{field}.name", f"must differ from the names of server tools: {tool.name} is one.")
    if not tool.description.strip():
        raise InvalidInput(f"{field}.description", "must not be blank: it tells Claude what the tool does.")
    check_text(f"{field}.description", tool.description, MAX_DESCRIPTION)
    if (problem := await schema_problem(tool.input_schema, SchemaKind.TOOL)) is not None:
        raise InvalidInput(f"{field}.inputSchema", problem)
