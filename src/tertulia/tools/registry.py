"""All tools that this server offers, and those of them that one conversation has, beside its client's own."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal

from tertulia.claude.models import Model
from tertulia.json import Json, encode, loads
from tertulia.tools.base import Tool
from tertulia.tools.schemas import schema_for_claude

CLAUDES_OWN: dict[str, Json] = {
    # Called by Claude alone, and not from code that it runs.
    "web_search": {"type": "web_search_20260318", "name": "web_search", "allowed_callers": ["direct"]},
    "web_fetch": {"type": "web_fetch_20260318", "name": "web_fetch", "allowed_callers": ["direct"]},
    "code_execution": {"type": "code_execution_20260521", "name": "code_execution"},
}
"""Tools that Claude's API runs, as it wants them declared; docs.claude.com, "Server tools"."""
DESCRIBED = {
    "web_search": "Searches the web, on Claude's side.",
    "web_fetch": "Reads a page or PDF of the web, on Claude's side.",
    "code_execution": "Runs code in a sandbox, on Claude's side.",
}
CHARACTERS_OF_TOKEN = 4
"""Roughly, of a schema."""
TOKENS_TO_WARN = 20_000
"""Tokens of tools in each request from which on the log and `tertulia doctor` warn."""

logger = logging.getLogger("tertulia.tools")

Source = Literal["function", "mcp", "claude"]


@dataclass(frozen=True, slots=True)
class Offer:
    """A tool of this server, as it is shown. `server`: the MCP server that has it."""

    name: str
    description: str
    input_schema: Json
    asks_first: bool
    source: Source
    server: str | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """The tools of one conversation: what Claude is told of them, and what runs here, by name."""

    definitions: Sequence[Json] = ()
    running: dict[str, Tool] = field(default_factory=dict[str, Tool])
    requires_approval: frozenset[str] = frozenset()
    client: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ToolCost:
    """How many tools there are, and roughly how many tokens of each request they take."""

    tools: int
    tokens: int

    @property
    def warning(self) -> str | None:
        """Describe a cost that few people expect; None for one that is small."""
        if self.tokens < TOKENS_TO_WARN:
            return None
        size = f"{self.tools:,} tools take about {self.tokens:,} tokens of every request"
        return f"{size}: offer fewer, or let conversations choose some with `tools {{ server }}`"


class ToolRegistry:
    """Knows all tools of the moment: those of MCP servers come and go."""

    def __init__(
        self,
        functions: Sequence[Tool] = (),
        *,
        own: Sequence[str] = (),
        served: Callable[[], Sequence[Tool]] = lambda: (),
        asks_first: Sequence[str] = (),
    ) -> None:
        """Take functions, names of Claude's own tools, what gives the tools of MCP servers, and patterns of names.

        `asks_first`: patterns as `github__*`; the user is asked before a tool of such a name is called. Raises
        ValueError where two tools have one name.
        """
        self._functions = functions
        self._own = own
        self._served = served
        self._asks_first = asks_first
        self._warned_of = 0
        names = [tool.name for tool in functions] + list(own)
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two tools are called {', '.join(twice)}")

    def offers(self) -> list[Offer]:
        """Give all tools, by name."""
        found = [self._offer(tool) for tool in self._here()]
        found += [Offer(name, DESCRIBED[name], {}, asks_first=False, source="claude") for name in self._own]
        return sorted(found, key=lambda offer: offer.name)

    def cost(self) -> "ToolCost":
        """Return what all tools add to a request."""
        definitions = [_definition(tool) for tool in self._here()]
        return ToolCost(len(definitions) + len(self._own), len(encode(definitions)) // CHARACTERS_OF_TOKEN)

    def warn_of_cost(self) -> None:
        """Warn in the log if the tools have become expensive."""
        cost = self.cost()
        if cost.warning is not None and cost.tokens > self._warned_of * 1.1:
            self._warned_of = cost.tokens
            logger.warning("%s", cost.warning)

    def of(self, chosen: Json, model: Model) -> Selection:
        """Give the tools of a conversation, as it has chosen them (`Conversation.tools`), that the model can use."""
        patterns: list[str] | None = chosen.get("server")
        declared: list[Json] = chosen.get("client") or []

        def wanted(name: str) -> bool:
            return patterns is None or any(fnmatchcase(name, pattern) for pattern in patterns)

        client = frozenset(tool["name"] for tool in declared)
        # Of two with one name the conversation's own counts: it was there when the other one came.
        running = {tool.name: tool for tool in self._here() if wanted(tool.name) and tool.name not in client}
        # In a fixed order: Claude's cache and its thinking are bound to it.
        definitions = [_definition(running[name]) for name in sorted(running)]
        definitions += [
            {**tool, "input_schema": _for_claude(encode(tool["input_schema"]))}
            for tool in sorted(declared, key=lambda tool: tool["name"])
        ]
        own = [name for name in self._own if wanted(name) and model.has_tool(name) and name not in client]
        definitions += [CLAUDES_OWN[name] for name in own]
        asking = frozenset(name for name, tool in running.items() if self._asks(tool))
        return Selection(definitions, running, asking, client)

    def _here(self) -> list[Tool]:
        ours = {tool.name for tool in self._functions}
        return [*self._functions, *(tool for tool in self._served() if tool.name not in ours)]

    def _asks(self, tool: Tool) -> bool:
        return tool.asks_first or any(fnmatchcase(tool.name, pattern) for pattern in self._asks_first)

    def _offer(self, tool: Tool) -> Offer:
        server: str | None = getattr(tool, "server", None)
        source: Source = "function" if server is None else "mcp"
        return Offer(tool.name, tool.description, tool.input_schema, self._asks(tool), source, server)


def _definition(tool: Tool) -> Json:
    schema = _for_claude(encode(tool.input_schema))
    return {"name": tool.name, "description": tool.description, "input_schema": schema}


@lru_cache(maxsize=2048)
def _for_claude(schema: bytes) -> Json:
    """Return what Claude is told of a schema, which is the same for each of many requests."""
    return schema_for_claude(loads(schema))
