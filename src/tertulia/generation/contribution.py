"""The contribution of a conversation's assistant to requests: its rendered instructions, and its choice of tools.

It is stored with the generation when the message is sent, so that a queued or recovered generation sends the same
system prompt. See docs/decisions/0013-rendered-instructions.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from tertulia.claude.models import Model
from tertulia.db import contributions
from tertulia.db.database import AsyncSession
from tertulia.db.tables import Conversation, Generation
from tertulia.json import Json
from tertulia.tools.base import Tool
from tertulia.tools.memory import NAME as MEMORY
from tertulia.tools.registry import Allows, Selection, ToolRegistry
from tertulia.tools.web import with_web_options


@dataclass(frozen=True, slots=True)
class AssistantContribution:
    """The contribution of an assistant to the requests of one generation.

    Attributes:
        static: The instructions before the first variable part, which are the same for all viewers.
        variable: The rest of the instructions.
        tools: The names of the server's tools that Claude may call, or patterns.
        conversation_tools: Whether the conversation's own choice of tools applies: its client tools, and its selection
            from `tools`.
        memory: Whether Claude may use the assistant's memory.
        web: The options of Claude's tools for the web; None for those of the server.
    """

    static: str
    variable: str
    tools: tuple[str, ...]
    conversation_tools: bool
    memory: bool = False
    web: Json | None = None

    @property
    def system(self) -> tuple[str, ...]:
        """The blocks of the system prompt."""
        return tuple(part for part in (self.static, self.variable) if part.strip())

    def offers(self, name: str) -> bool:
        """Return whether the assistant offers a tool of the server."""
        return any(fnmatchcase(name, pattern) for pattern in self.tools)

    def to_json(self) -> Json:
        """Return the value that is stored."""
        return {
            "static": self.static,
            "variable": self.variable,
            "tools": list(self.tools),
            "conversation_tools": self.conversation_tools,
            **({"memory": True} if self.memory else {}),
            **({} if self.web is None else {"web": self.web}),
        }

    @classmethod
    def from_json(cls, content: Json) -> "AssistantContribution":
        """Return the contribution that was stored."""
        tools, memory = tuple(content["tools"]), content.get("memory", False)
        static, variable, web = content["static"], content["variable"], content.get("web")
        return cls(static, variable, tools, content["conversation_tools"], memory, web)


async def stored_contribution(session: AsyncSession, generation: Generation) -> AssistantContribution | None:
    """Return the contribution that was stored with a generation; None for one without an assistant."""
    if generation.contribution is None:
        return None
    content = await contributions.get(session, generation.conversation_id, generation.contribution)
    return None if content is None else AssistantContribution.from_json(content)


def select_tools(
    tool_registry: ToolRegistry,
    conversation: Conversation,
    model: Model,
    contribution: AssistantContribution | None,
    allows: Allows,
    user_tools: Sequence[Tool] = (),
) -> Selection:
    """Return the tools that Claude may call. A temporary conversation has no memory.

    Args:
        tool_registry: The tools of the server.
        conversation: The conversation, which may select some of them and have client tools.
        model: The model of the answer.
        contribution: The contribution of the conversation's assistant, which offers some tools; None for none.
        allows: Returns whether the viewer's plan has a tool of the server, by its name.
        user_tools: The tools of the MCP servers that the viewer has connected to.
    """
    if contribution is None:
        return tool_registry.of(conversation.tools, model, allows, user_tools=user_tools)
    choice = conversation.tools if contribution.conversation_tools else {}
    has_memory = contribution.memory and not conversation.temporary and allows(MEMORY)
    selection = tool_registry.of(
        choice,
        model,
        lambda name: allows(name) and contribution.offers(name),
        conversation.assistant if has_memory else None,
        user_tools,
    )
    if contribution.web is None:
        return selection
    return replace(selection, definitions=with_web_options(selection.definitions, contribution.web))
