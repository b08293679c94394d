"""The choice whether Claude must, may or must not call tools. This module does no I/O.

Source: "Controlling Claude's output" in the Claude API documentation of tool use.
"""

import re
from collections.abc import Sequence

from tertulia.json import Json

FORCED = ("any", "tool")
"""The modes that force a call. They apply to the first request of an answer only, or it would never end."""
_NEVER_FORCED = re.compile(r"claude-(fable-5-[12]|mythos-5-[12]|opus-5-5|sonnet-5-5)(?!\d)")
"""The models that refuse a forced call. The Models API does not report this."""


def supports_forced_calls(model: str) -> bool:
    """Return whether a model supports a choice that forces a call. True if that is not known."""
    return _NEVER_FORCED.search(model) is None


def is_forced(options: Json) -> bool:
    """Return whether the options of an answer force a call."""
    choice: Json = options.get("tool_choice") or {}
    return choice.get("mode") in FORCED


def forced_name(options: Json) -> str | None:
    """Return the name of the tool that the options of an answer force Claude to call; None if they name none."""
    choice: Json = options.get("tool_choice") or {}
    return choice.get("name") if choice.get("mode") == "tool" else None


def tool_choice(options: Json, tools: Sequence[Json]) -> Json:
    """Return the field `tool_choice` of a request with tools; empty for the API's default.

    If the tool to call is no longer among the tools, Claude decides.
    """
    choice: Json = options.get("tool_choice") or {}
    mode: str = choice.get("mode") or "auto"
    if mode == "none":
        return {"tool_choice": {"type": "none"}}
    parallel = {} if choice.get("parallel") is not False else {"disable_parallel_tool_use": True}
    if mode == "tool" and any(tool["name"] == choice.get("name") for tool in tools):
        return {"tool_choice": {"type": "tool", "name": choice["name"], **parallel}}
    if mode == "any":
        return {"tool_choice": {"type": "any", **parallel}}
    return {"tool_choice": {"type": "auto", **parallel}} if parallel else {}


def after_call(choice: Json) -> Json:
    """Return the choice for the requests after a first call, in which Claude decides if the choice has forced it."""
    if choice["type"] not in FORCED:
        return choice
    return {**{key: value for key, value in choice.items() if key != "name"}, "type": "auto"}
