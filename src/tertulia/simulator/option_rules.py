"""The simulated Claude's rules for options of a request, and their fields in its usage.

Source: "Fast mode", "Data residency", "Service tiers", "Task budgets", "Agent Skills" and `stop_sequences` in the
Claude API documentation.
"""

from typing import Any

from tertulia.json import Json, is_list, is_object
from tertulia.simulator.request_rules import invalid

FAST_BETA = "fast-mode-2026-02-01"
FAST = ("claude-opus-5-5", "claude-fable-5-2", "claude-opus-5")
FAST_IN_BETA = ("claude-opus-5",)
WITHOUT_GEO = ("claude-haiku-4-5",)
TASK_BUDGET_BETA = "task-budgets-2026-03-13"
WITHOUT_TASK_BUDGET = ("claude-haiku-4-5", "claude-sonnet-5")
MIN_TASK_BUDGET = 20_000
MAX_SKILLS = 8
CHOICES = {
    "service_tier": ("auto", "standard_only"),
    "speed": ("standard", "fast"),
    "inference_geo": ("us", "global"),
}


def check_options(body: Json, betas: str) -> None:
    """Raise Refused for an invalid option. `betas` is the value of the request's header `anthropic-beta`."""
    for name, choices in CHOICES.items():
        if body.get(name) is not None and body[name] not in choices:
            raise invalid(f"{name}: Input should be {' or '.join(repr(choice) for choice in choices)}")
    model = body["model"]
    if body.get("speed") == "fast" and model not in FAST:
        raise invalid(f"speed: '{body['speed']}' is not supported by {model}")
    if body.get("speed") is not None and model in FAST_IN_BETA and FAST_BETA not in betas:
        raise invalid("speed: Extra inputs are not permitted")
    if body.get("inference_geo") is not None and model in WITHOUT_GEO:
        raise invalid(f"inference_geo: is not supported by {model}")
    _check_stop_sequences(body.get("stop_sequences"))
    _check_task_budget(body, betas)
    _check_skills(body)
    _check_diagnostics(body)


def usage_words(body: Json) -> Json:
    """Return the words in the usage of a response: where and how the request was served."""
    geo = body.get("inference_geo") or "global"
    return {"service_tier": "standard", "inference_geo": geo, "speed": body.get("speed") or "standard"}


def _check_stop_sequences(sequences: Any) -> None:
    if sequences is None:
        return
    if not is_list(sequences) or not all(isinstance(sequence, str) for sequence in sequences):
        raise invalid("stop_sequences: Input should be a valid list of strings")
    for index, sequence in enumerate(sequences):
        if not sequence.strip():
            raise invalid(f"stop_sequences.{index}: each stop sequence must contain non-whitespace")


def _check_task_budget(body: Json, betas: str) -> None:
    config: Json = body.get("output_config") or {}
    budget: Json | None = config.get("task_budget")
    if budget is None:
        return
    if TASK_BUDGET_BETA not in betas:
        raise invalid("output_config.task_budget: Extra inputs are not permitted")
    if body["model"] in WITHOUT_TASK_BUDGET:
        raise invalid(f"output_config.task_budget: is not supported by {body['model']}")
    total = budget.get("total")
    if budget.get("type") != "tokens" or not isinstance(total, int) or total < MIN_TASK_BUDGET:
        raise invalid(f"output_config.task_budget.total: Input should be at least {MIN_TASK_BUDGET}")


def _check_skills(body: Json) -> None:
    container: Any = body.get("container")
    skills: Any = container.get("skills") if is_object(container) else None
    if not skills:
        return
    tools: list[Json] = body.get("tools") or []
    if not any(tool["name"] == "code_execution" for tool in tools):
        raise invalid("container.skills: the code execution tool is required to use skills")
    if len(skills) > MAX_SKILLS:
        raise invalid(f"container.skills: List should have at most {MAX_SKILLS} items")
    for index, skill in enumerate(skills):
        if skill.get("type") not in ("anthropic", "custom"):
            raise invalid(f"container.skills.{index}.type: Input should be 'anthropic' or 'custom'")
        if not skill.get("skill_id"):
            raise invalid(f"container.skills.{index}.skill_id: Field required")


def _check_diagnostics(body: Json) -> None:
    diagnostics: Any = body.get("diagnostics")
    if diagnostics is None:
        return
    if not is_object(diagnostics) or diagnostics.keys() - {"previous_message_id"}:
        raise invalid("diagnostics: Input should be a valid dictionary with previous_message_id")
    previous = diagnostics.get("previous_message_id")
    if previous is not None and not isinstance(previous, str):
        raise invalid("diagnostics.previous_message_id: Input should be a valid string")
