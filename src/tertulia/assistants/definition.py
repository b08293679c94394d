"""The definition of an assistant, as its file describes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from tertulia.json import Json

if TYPE_CHECKING:
    from tertulia.assistants.instructions import Instructions


class ClientSetting(StrEnum):
    """A group of settings that the owner may allow clients to set."""

    INSTRUCTIONS = "instructions"
    MODEL = "model"
    OPTIONS = "options"
    TOOLS = "tools"


class AssistantError(ValueError):
    """A file that is not a valid assistant. The message is one line, with the file and the line number.

    Attributes:
        problem: What is wrong, without the place.
    """

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem}.")
        self.problem = problem


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A model that a file names, and the place where it does, such as `assistants/support.md:3`."""

    model: str
    place: str


@dataclass(frozen=True, slots=True)
class Assistant:
    """An assistant.

    Attributes:
        id: The name of its file without `.md`.
        name: Its name for people.
        description: A description for people.
        model: The model that answers; None for the server's default model.
        models: The models that clients may choose, if they may; empty for all that the server allows.
        options: Its options for answers, in the form in which conversations store them.
        tools: The names of its tools, or patterns.
        starters: Suggestions for the first message.
        clients_may_set: What clients may set.
        memory: Whether Claude may keep files about each viewer between conversations.
        web: The options of Claude's tools for the web; None for those of the server.
        instructions: Its instructions.
        model_references: The models that the file names.
        tool_places: The place of each item of `tools` in the file.
    """

    id: str
    name: str
    description: str | None
    model: str | None
    models: tuple[str, ...]
    options: Json
    tools: tuple[str, ...]
    starters: tuple[str, ...]
    clients_may_set: frozenset[ClientSetting]
    instructions: "Instructions"
    memory: bool = False
    web: Json | None = None
    model_references: tuple[ModelReference, ...] = ()
    tool_places: Mapping[str, str] = field(default_factory=dict[str, str])

    def offers(self, tool_name: str) -> bool:
        """Return whether Claude may call a tool of the server."""
        return any(fnmatchcase(tool_name, pattern) for pattern in self.tools)
