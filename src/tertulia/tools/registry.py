"""The registry of all tools that this server offers, and the selection of tools for a conversation."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal
from uuid import UUID

from tertulia.claude.models import Model
from tertulia.db.database import AsyncSession
from tertulia.json import Json, encode, loads
from tertulia.tools import memory
from tertulia.tools.base import CHARACTERS_OF_TOKEN, Tool
from tertulia.tools.schemas import schema_for_claude
from tertulia.tools.strict import strict_problem, strict_schema
from tertulia.tools.web import with_web_options

CLAUDES_OWN: dict[str, Json] = {
    # Claude calls these directly, and not from code that it runs.
    "web_search": {"type": "web_search_20260318", "name": "web_search", "allowed_callers": ["direct"]},
    "web_fetch": {"type": "web_fetch_20260318", "name": "web_fetch", "allowed_callers": ["direct"]},
    "code_execution": {"type": "code_execution_20260521", "name": "code_execution"},
}
"""The definitions of the tools that Claude's API runs. Source: "Server tools" on docs.claude.com."""
DESCRIBED = {
    "web_search": "Searches the web. Claude's API runs it.",
    "web_fetch": "Reads a web page or a PDF. Claude's API runs it.",
    "code_execution": "Runs code in Anthropic's sandbox.",
}
TOKENS_TO_WARN = 20_000
"""The tokens of all loaded tools in a request from which the log and `tertulia doctor` warn."""
LEAST_DEFERRED_TOKENS = 10_000
"""The tokens of all tools up to which none is deferred, even if the context window is small."""
SMALL_WINDOW = 200_000
"""The context window in tokens of a model whose window is not known."""

logger = logging.getLogger("tertulia.tools")

Source = Literal["function", "mcp", "claude"]
Allows = Callable[[str], bool]
UserTools = Callable[[AsyncSession, UUID], Awaitable[Sequence[Tool]]]


@dataclass(frozen=True, slots=True)
class Offer:
    """The description of a tool for clients. `server` is the name of its MCP server, if it has one."""

    name: str
    description: str
    input_schema: Json
    asks_first: bool
    source: Source
    server: str | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """The tools of one conversation.

    Attributes:
        definitions: The definitions for Claude.
        running: The tools that this server runs, by name.
        requires_approval: The names of the tools that require the user's approval.
        client: The names of the tools that the client runs.
        deferred: The names of the tools for which Claude must search.
    """

    definitions: Sequence[Json] = ()
    running: dict[str, Tool] = field(default_factory=dict[str, Tool])
    requires_approval: frozenset[str] = frozenset()
    client: frozenset[str] = frozenset()
    deferred: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ToolCost:
    """The number of tools, and estimates of the tokens of their definitions.

    Attributes:
        tools: The number of tools.
        tokens: The tokens of all definitions.
        loaded_tokens: The tokens of those that are part of every prompt, because Claude need not search for them.
    """

    tools: int
    tokens: int
    loaded_tokens: int

    @property
    def warning(self) -> str | None:
        """A warning about a high cost; None if it is small."""
        if self.loaded_tokens < TOKENS_TO_WARN:
            return None
        size = f"{self.tools:,} tools add about {self.loaded_tokens:,} tokens to every request"
        return f"{size}. Offer fewer, or let conversations choose with `tools {{ server }}`"


class ToolRegistry:
    """All tools that are available now. Those of MCP servers may change."""

    def __init__(
        self,
        functions: Sequence[Tool] = (),
        *,
        server_tools: Sequence[str] = (),
        mcp_tools: Callable[[], Sequence[Tool]] = lambda: (),
        user_tools: UserTools | None = None,
        approval_patterns: Sequence[str] = (),
        search_percent: float = 2.0,
        web: Json | None = None,
        memory_of: Callable[[str], Tool] | None = None,
    ) -> None:
        """Initialize. Raise ValueError if two tools have the same name.

        Args:
            functions: The tools that are Python functions.
            server_tools: The names of Claude's server tools.
            mcp_tools: Returns the tools of MCP servers that all users share.
            user_tools: Returns the tools of the MCP servers that a user has connected to; None if there are none.
            approval_patterns: Patterns of names, such as `github__*`, of tools that require the user's approval.
            web: The options of Claude's tools for the web, as `WebOptions.to_json` returns them.
            search_percent: The percentage of the context window from which tools are deferred; 0 never defers any.
            memory_of: Returns the memory tool of an assistant, by its id; None for a registry that runs no tools.
        """
        self._functions = functions
        self._server_tools = server_tools
        self._mcp_tools = mcp_tools
        self._user_tools = user_tools
        self._approval_patterns = approval_patterns
        self._search_percent = search_percent
        self._web = {} if web is None else web
        self._memory_of = memory_of
        self._warned_of = 0
        names = [tool.name for tool in functions] + list(server_tools)
        if duplicates := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two tools have the same name: {', '.join(duplicates)}")

    async def user_tools(self, session: AsyncSession, owner: UUID) -> Sequence[Tool]:
        """Return the tools of the MCP servers that a user has connected to."""
        return () if self._user_tools is None else await self._user_tools(session, owner)

    def offers(self, allows: Allows = lambda _: True, user_tools: Sequence[Tool] = ()) -> list[Offer]:
        """Return the tools whose names are allowed, with those of a user, sorted by name."""
        offers = [self._offer(tool) for tool in self._local_tools(user_tools)]
        offers += [Offer(name, DESCRIBED[name], {}, asks_first=False, source="claude") for name in self._server_tools]
        return sorted((offer for offer in offers if allows(offer.name)), key=lambda offer: offer.name)

    def cost(self, window: int | None = None) -> ToolCost:
        """Return the cost that all tools add to a request.

        Args:
            window: The context window of the model in tokens; None if it is not known.
        """
        tools = {tool.name: tool for tool in self._local_tools()}
        sizes = {name: _tokens(_definition(tool)) for name, tool in tools.items()}
        deferred = self._deferred(sizes, tools, window)
        loaded_tokens = sum(size for name, size in sizes.items() if name not in deferred)
        return ToolCost(len(tools) + len(self._server_tools), sum(sizes.values()), loaded_tokens)

    def warn_of_cost(self) -> None:
        """Log a warning if the tools are expensive, and again whenever the cost has grown by a tenth."""
        cost = self.cost()
        if cost.warning is not None and cost.loaded_tokens > self._warned_of * 1.1:
            self._warned_of = cost.loaded_tokens
            logger.warning("%s", cost.warning)

    def of(
        self,
        chosen: Json,
        model: Model,
        allows: Allows = lambda _: True,
        memory_assistant: str | None = None,
        user_tools: Sequence[Tool] = (),
    ) -> Selection:
        """Return the tools of a conversation.

        Args:
            chosen: The conversation's choice, `Conversation.tools`.
            model: The model of the answer. Server tools that it cannot use are left out.
            allows: Returns whether a tool of this server may be used, by its name.
            memory_assistant: The id of the assistant whose memory tool is one of the tools; None for none.
            user_tools: The tools of the conversation's owner, from `user_tools`.
        """
        patterns: list[str] | None = chosen.get("server")
        declared: list[Json] = chosen.get("client") or []

        def is_chosen(name: str) -> bool:
            return allows(name) and (patterns is None or any(fnmatchcase(name, pattern) for pattern in patterns))

        client = frozenset(tool["name"] for tool in declared)
        # A client tool hides a tool of the server with the same name, which was added later.
        local_tools = self._local_tools(user_tools)
        running = {tool.name: tool for tool in local_tools if is_chosen(tool.name) and tool.name not in client}
        if memory_assistant is not None and self._memory_of is not None and memory.NAME not in client:
            running[memory.NAME] = self._memory_of(memory_assistant)
        # Sorted, because Claude's prompt cache and thinking are bound to the order.
        definitions = [_definition(running[name]) for name in sorted(running)]
        definitions += [
            {**tool, **_schema_fields(encode(tool["input_schema"]))}
            for tool in sorted(declared, key=lambda tool: tool["name"])
        ]
        sizes = {definition["name"]: _tokens(definition) for definition in definitions}
        deferred = self._deferred(sizes, running, model.max_input_tokens)
        server_tools = [
            name for name in self._server_tools if is_chosen(name) and name in model.server_tools and name not in client
        ]
        definitions += with_web_options([CLAUDES_OWN[name] for name in server_tools], self._web)
        requires_approval = frozenset(name for name, tool in running.items() if self._requires_approval(tool))
        return Selection(definitions, running, requires_approval, client, deferred)

    def _deferred(self, sizes: Mapping[str, int], tools: Mapping[str, Tool], window: int | None) -> frozenset[str]:
        """Return the names of the tools that are deferred: those of MCP servers first, because they are most.

        Args:
            sizes: The tokens of all definitions, by name.
            tools: The tools that this server runs, by name.
            window: The context window of the model in tokens; None if it is not known.
        """
        if not self._search_percent:
            return frozenset()
        limit = max(LEAST_DEFERRED_TOKENS, (window or SMALL_WINDOW) * self._search_percent / 100)
        choices = {name: tools[name].options.deferred if name in tools else None for name in sizes}
        deferred = {name for name, choice in choices.items() if choice}
        undecided = [name for name, choice in choices.items() if choice is None]
        from_mcp = [name for name in undecided if name in tools and _server_of(tools[name]) is not None]
        for names in (from_mcp, undecided):
            if sum(size for name, size in sizes.items() if name not in deferred) > limit:
                deferred.update(names)
        return frozenset(deferred)

    def _local_tools(self, user_tools: Sequence[Tool] = ()) -> list[Tool]:
        """Return all tools. Of tools with the same name, the first is returned."""
        tools: dict[str, Tool] = {}
        for tool in (*self._functions, *self._mcp_tools(), *user_tools):
            tools.setdefault(tool.name, tool)
        return list(tools.values())

    def _requires_approval(self, tool: Tool) -> bool:
        return tool.requires_approval or any(fnmatchcase(tool.name, pattern) for pattern in self._approval_patterns)

    def _offer(self, tool: Tool) -> Offer:
        server = _server_of(tool)
        source: Source = "function" if server is None else "mcp"
        return Offer(tool.name, tool.description, tool.input_schema, self._requires_approval(tool), source, server)


def _definition(tool: Tool) -> Json:
    if isinstance(tool, memory.MemoryTool):
        return memory.DEFINITION
    schema = _schema_fields(encode(tool.input_schema), strict=tool.options.strict)
    return {"name": tool.name, "description": tool.description, **schema, **tool.options.fields()}


def _server_of(tool: Tool) -> str | None:
    """Return the name of a tool's MCP server; None for a function."""
    server: str | None = getattr(tool, "server", None)
    return server


def _tokens(definition: Json) -> int:
    return len(encode(definition)) // CHARACTERS_OF_TOKEN


@lru_cache(maxsize=2048)
def _schema_fields(schema: bytes, *, strict: bool = False) -> Json:
    """Return the fields of a definition with a schema in the form for Claude. They are the same for many requests.

    The tool of an MCP server is not strict if its schema does not allow that.
    """
    plain = schema_for_claude(loads(schema))
    if strict and strict_problem(plain) is None:
        return {"input_schema": strict_schema(plain), "strict": True}
    return {"input_schema": plain}
