"""The option that controls whether Claude must, may or must not call tools."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tertulia.claude.parser import TOOL_NAME
from tertulia.json import Json
from tertulia.resolvers.errors import InvalidInput
from tertulia.tools.registry import Selection

if TYPE_CHECKING:
    from tertulia.resolvers.inputs import GenerationOptions


class ToolChoiceMode(StrEnum):
    """Whether Claude must, may or must not call tools."""

    AUTO = "auto"
    ANY = "any"
    TOOL = "tool"
    NONE = "none"


@dataclass
class ToolChoice:
    """Whether and how Claude calls tools in an answer."""

    mode: ToolChoiceMode = ToolChoiceMode.AUTO
    """Whether Claude must, may or must not call tools. Not all models support ANY and TOOL."""
    name: str | None = None
    """The name of the tool that Claude must call. Required with the mode TOOL, and not accepted with others."""
    parallel: bool = True
    """Whether Claude may call several tools at once."""


def check_tool_choice(choice: ToolChoice) -> None:
    """Raise InvalidInput for a choice that names no tool although it must, or the reverse."""
    field = "options.toolChoice.name"
    if choice.mode is not ToolChoiceMode.TOOL and choice.name is not None:
        raise InvalidInput(field, "must not be set unless `mode` is TOOL.")
    if choice.mode is ToolChoiceMode.TOOL and not re.fullmatch(TOOL_NAME, choice.name or ""):
        raise InvalidInput(field, "must be the name of a tool, because `mode` is TOOL.")


def check_named_tool(options: "GenerationOptions | None", tools: Selection) -> None:
    """Raise InvalidInput if the options of an answer name none of its tools."""
    choice = None if options is None else options.tool_choice
    name = None if choice is None else choice.name
    if name is not None and all(definition["name"] != name for definition in tools.definitions):
        raise InvalidInput("options.toolChoice.name", f"must be the name of a tool of this answer, not {name!r}.")


def stored_tool_choice(stored: Json | None) -> ToolChoice | None:
    """Return the choice that was stored; None for none."""
    return (
        ToolChoice(ToolChoiceMode(stored["mode"]), stored.get("name"), stored.get("parallel") is not False)
        if stored
        else None
    )
