"""Add the options of a generation to its request, with the betas that they need.

Source: "Fast mode", "Data residency", "Service tiers", "Task budgets", "Agent Skills" and "Context editing" in the
Claude API documentation.
"""

from collections.abc import Sequence
from typing import Any

from tertulia.json import Json

FIELDS = ("stop_sequences", "service_tier", "speed", "inference_geo")
"""The options that have the same names in the Messages API."""
FAST_BETA = "fast-mode-2026-02-01"
FAST_IN_BETA = ("claude-opus-5", "claude-opus-4-8")
"""The models whose fast mode needs the beta."""
TASK_BUDGET_BETA = "task-budgets-2026-03-13"
MIN_TASK_BUDGET = 20_000
"""The smallest task budget that the API accepts, in tokens."""
EDITING_BETA = "context-management-2025-06-27"
CLEAR_TOOL_USES, CLEAR_THINKING = "clear_tool_uses_20250919", "clear_thinking_20251015"
CODE_EXECUTION = "code_execution"
"""The tool in whose container skills run."""
CUSTOM_SKILL = "skill_"
"""The beginning of the ids of skills that do not come from Anthropic."""
_THINKS = ("enabled", "adaptive", "between_tools")


def with_options(request: Json, options: Json, edits: frozenset[str] | None) -> Json:
    """Return the request with the options that `claude.prompt` does not handle.

    Args:
        request: The request, with its thinking, its tools and its compaction.
        options: The options of the generation.
        edits: The context edits that the model supports; None if they are not known.
    """
    added: Json = {name: options[name] for name in FIELDS if options.get(name) is not None}
    betas: list[str] = []
    if "speed" in added and request["model"] in FAST_IN_BETA:
        betas.append(FAST_BETA)
    if (total := options.get("task_budget")) is not None:
        added["output_config"] = {**request.get("output_config", {}), "task_budget": {"type": "tokens", "total": total}}
        betas.append(TASK_BUDGET_BETA)
    skills: Sequence[Json] = options.get("skills") or ()
    if skills and any(tool["name"] == CODE_EXECUTION for tool in request.get("tools", ())):
        added["container"] = {"skills": list(skills)}
    if own_edits := _edits(request, options.get("context_editing") or {}, edits):
        managed: Json = request.get("context_management", {"edits": []})
        added["context_management"] = {"edits": [*own_edits, *managed["edits"]]}
        betas.append(EDITING_BETA)
    return request | added | ({"betas": [*request.get("betas", ()), *betas]} if betas else {})


def without_refused_option(request: Json, error_text: str) -> Json | None:
    """Return the request without the option that the API's error names; None if the error names none of them.

    A model that does not support an option ignores it. Only `inference_geo` is never left out, because another region
    may not be allowed to read the conversation.
    """
    if "speed" in request and "speed" in error_text:
        return _without(request, "speed", FAST_BETA)
    config: Json = request.get("output_config", {})
    if "task_budget" in config and "task_budget" in error_text:
        rest = {name: value for name, value in config.items() if name != "task_budget"}
        return _without(request, "output_config", TASK_BUDGET_BETA) | ({"output_config": rest} if rest else {})
    edits: list[Json] = request.get("context_management", {}).get("edits", [])
    own_edits = [edit for edit in edits if edit["type"] in (CLEAR_TOOL_USES, CLEAR_THINKING)]
    if own_edits and any(word in error_text for word in ("context_management", *(edit["type"] for edit in own_edits))):
        rest = {"edits": [edit for edit in edits if edit not in own_edits]}
        reduced = _without(request, "context_management", EDITING_BETA)
        return reduced | ({"context_management": rest} if rest["edits"] else {})
    return None


def in_container(request: Json, container: str) -> Json | str:
    """Return the field `container` of a request that continues in a container, with the skills of `request`."""
    skills: Any = request.get("container")
    return {"id": container, **skills} if isinstance(skills, dict) else container


def _without(request: Json, name: str, beta: str) -> Json:
    betas = [other for other in request.get("betas", ()) if other != beta]
    rest = {key: value for key, value in request.items() if key not in (name, "betas")}
    return rest | ({"betas": betas} if betas else {})


def _edits(request: Json, editing: Json, supported: frozenset[str] | None) -> list[Json]:
    """Return the context edits of an assistant. The API requires that of thinking first, and that Claude thinks."""
    edits: list[Json] = []
    thinks = request.get("thinking", {}).get("type") in _THINKS
    for name, kind in (("clear_thinking", CLEAR_THINKING), ("clear_tool_uses", CLEAR_TOOL_USES)):
        values: Json | None = editing.get(name)
        if values is None or (supported is not None and kind not in supported):
            continue
        if kind == CLEAR_TOOL_USES or thinks:
            edits.append({"type": kind, **values})
    return edits
