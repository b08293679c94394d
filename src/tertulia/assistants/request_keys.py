"""The keys of the front matter that become fields of requests to Claude, under the Messages API's names."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tertulia.claude.request_options import CODE_EXECUTION, CUSTOM_SKILL, MIN_TASK_BUDGET
from tertulia.json import Json

MAX_SEQUENCES, MAX_SEQUENCE = 16, 200
"""The most stop sequences, and their maximum length in characters."""
SKILL = r"^[A-Za-z0-9_-]{1,64}(@[A-Za-z0-9._-]{1,64})?$"
MAX_SKILLS = 8
"""The most skills that the API accepts in a request."""

Count = Annotated[int, Field(strict=True, ge=0)]
Tokens = Annotated[int, Field(strict=True, ge=1)]
ToolName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]


def _defaults(value: Any) -> Any:
    """Accept `true` for an edit with the API's default values."""
    return {} if value is True else value


class _ClearToolUses(BaseModel):
    model_config = ConfigDict(extra="forbid")

    trigger_tokens: Tokens | None = None
    keep: Count | None = None
    clear_at_least: Tokens | None = None
    exclude_tools: list[ToolName] = []
    clear_tool_inputs: Annotated[bool, Field(strict=True)] | None = None

    def edit(self) -> Json:
        values: Json = {
            "trigger": _amount("input_tokens", self.trigger_tokens),
            "keep": _amount("tool_uses", self.keep),
            "clear_at_least": _amount("input_tokens", self.clear_at_least),
            "exclude_tools": self.exclude_tools or None,
            "clear_tool_inputs": self.clear_tool_inputs,
        }
        return {name: value for name, value in values.items() if value is not None}


class _ClearThinking(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keep: Tokens | Literal["all"] | None = None

    def edit(self) -> Json:
        if self.keep is None:
            return {}
        return {"keep": self.keep if self.keep == "all" else {"type": "thinking_turns", "value": self.keep}}


class _ContextEditing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    clear_tool_uses: Annotated[_ClearToolUses | None, BeforeValidator(_defaults)] = None
    clear_thinking: Annotated[_ClearThinking | None, BeforeValidator(_defaults)] = None

    def edits(self) -> Json:
        edits = {"clear_tool_uses": self.clear_tool_uses, "clear_thinking": self.clear_thinking}
        return {name: edit.edit() for name, edit in edits.items() if edit is not None}


class RequestKeys(BaseModel):
    """The keys that become fields of requests."""

    model_config = ConfigDict(extra="forbid")

    stop_sequences: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=MAX_SEQUENCE, pattern=r"\S")]],
        Field(max_length=MAX_SEQUENCES),
    ] = []
    service_tier: Literal["auto", "standard_only"] | None = None
    speed: Literal["standard", "fast"] | None = None
    inference_geo: Annotated[str, Field(pattern=r"^[a-z][a-z_-]{1,31}$")] | None = None
    task_budget: Annotated[int, Field(strict=True, ge=MIN_TASK_BUDGET)] | None = None
    skills: Annotated[list[Annotated[str, Field(pattern=SKILL)]], Field(max_length=MAX_SKILLS)] = []
    context_editing: _ContextEditing | None = None

    def request_options(self) -> Json:
        """Return the options of these keys, in the form in which generations store them."""
        return {
            "stop_sequences": self.stop_sequences or None,
            "service_tier": self.service_tier,
            "speed": self.speed,
            "inference_geo": self.inference_geo,
            "task_budget": self.task_budget,
            "skills": [_skill(text) for text in self.skills] or None,
            "context_editing": (self.context_editing.edits() if self.context_editing else {}) or None,
        }


def skills_problem(skills: Sequence[str], tools: Sequence[str]) -> str | None:
    """Return what is wrong with the skills of an assistant that has these tools; None if nothing is."""
    if skills and not any(fnmatchcase(CODE_EXECUTION, tool) for tool in tools):
        return f"`skills` need the tool `{CODE_EXECUTION}` in `tools`"
    return None


def _skill(text: str) -> Json:
    id, _, version = text.partition("@")
    kind = "custom" if id.startswith(CUSTOM_SKILL) else "anthropic"
    return {"type": kind, "skill_id": id, **({"version": version} if version else {})}


def _amount(kind: str, value: int | None) -> Json | None:
    return None if value is None else {"type": kind, "value": value}
