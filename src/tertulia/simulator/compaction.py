"""The simulated Claude's compaction: above the trigger, a summary replaces the earlier messages.

Source: "Compaction" in the Claude API documentation.
"""

from dataclasses import replace

from tertulia.json import Json
from tertulia.simulator.cache import count_tokens
from tertulia.simulator.context_edits import BETA as EDITING_BETA
from tertulia.simulator.context_edits import CLEAR_THINKING, CLEAR_TOOL_USES, check_edits
from tertulia.simulator.request_rules import MODELS, as_blocks, invalid
from tertulia.simulator.script import TOKEN, Plan, Step, pieces
from tertulia.simulator.summaries import SIGNED

BETA = "compact-2026-01-12"
EDIT = "compact_20260112"
DEFAULT_TRIGGER, MIN_TRIGGER = 150_000, 50_000
SUMMARY_TOKENS = 60


def check_compaction(body: Json, betas: str) -> None:
    """Raise Refused if the request uses compaction without the beta, or with an invalid trigger.

    Args:
        body: The request.
        betas: The value of its header `anthropic-beta`.
    """
    has_compaction = any(
        block["type"] == "compaction" and not str(block.get("signature", "")).startswith(SIGNED)
        for message in body["messages"]
        for block in as_blocks(message["content"])
    )
    managed: Json = body.get("context_management") or {}
    edits: list[Json] = managed.get("edits") or []
    if "context_management" in body and BETA not in betas and EDITING_BETA not in betas:
        raise invalid("context_management: Extra inputs are not permitted")
    for index, edit in enumerate(edits):
        if edit.get("type") not in (EDIT, CLEAR_TOOL_USES, CLEAR_THINKING):
            raise invalid(f"context_management.edits.{index}.type: Input should be a known edit")
    check_edits(edits, body, betas)
    if BETA not in betas:
        if _edit(body) is not None:
            raise invalid(f"context_management.edits: `{EDIT}` needs the beta {BETA}")
        if has_compaction:
            raise invalid("messages: `compaction` blocks need the beta compact-2026-01-12")
        return
    if _edit(body) is not None and _trigger(body) < MIN_TRIGGER:
        index = next(index for index, edit in enumerate(edits) if edit["type"] == EDIT)
        raise invalid(f"context_management.edits.{index}.trigger.value: Input should be at least {MIN_TRIGGER}")


def after_summary(body: Json) -> Json:
    """Return the request without the messages that its last summary replaces."""
    messages: list[Json] = body["messages"]
    for index in range(len(messages) - 1, -1, -1):
        blocks = as_blocks(messages[index]["content"])
        for block_index in range(len(blocks) - 1, -1, -1):
            if blocks[block_index]["type"] == "compaction" and blocks[block_index].get("content"):
                return {
                    **body,
                    "messages": [{**messages[index], "content": blocks[block_index:]}, *messages[index + 1 :]],
                }
    return body


def is_due(body: Json) -> bool:
    """Return whether a request must be compacted. Raise Refused if it is too long and is not compacted."""
    tokens, max_tokens = count_tokens(body), MODELS[body["model"]][1]
    is_compacted = _edit(body) is not None and tokens >= _trigger(body)
    if tokens > max_tokens and not is_compacted:
        raise invalid(f"prompt is too long: {tokens} tokens > {max_tokens} maximum")
    return is_compacted


def with_summary(plan: Plan, body: Json) -> Plan:
    """Return the plan with a summary before its other blocks."""
    summary = f"The user and I have exchanged {len(body['messages'])} messages."
    block: Json = {"type": "compaction", "content": summary, "signature": "c3VtbWFyeQ=="}
    start_block = {"type": "compaction", "content": None, "signature": "c3VtbWFyeQ=="}
    steps = [
        Step({"type": "content_block_start", "index": 0, "content_block": start_block}, TOKEN * len(pieces(summary))),
        Step({"type": "content_block_delta", "index": 0, "delta": {"type": "compaction_delta", "content": summary}}),
        Step({"type": "content_block_stop", "index": 0}),
    ]
    return replace(plan, blocks=[block, *plan.blocks], steps=[*steps, *(_shifted(step) for step in plan.steps)])


def summary_usage(body: Json, usage: Json, output_tokens: int) -> list[Json]:
    """Return the field `iterations` of the usage of an answer with a summary."""
    none = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    compaction_usage = {
        "type": "compaction",
        "input_tokens": count_tokens(body),
        "output_tokens": SUMMARY_TOKENS,
        **none,
    }
    return [compaction_usage, {"type": "message", **usage, "output_tokens": output_tokens}]


def _shifted(step: Step) -> Step:
    index = step.event.get("index")
    return step if index is None else replace(step, event={**step.event, "index": index + 1})


def _edit(body: Json) -> Json | None:
    managed: Json = body.get("context_management") or {}
    edits: list[Json] = managed.get("edits") or []
    return next((edit for edit in edits if edit["type"] == EDIT), None)


def _trigger(body: Json) -> int:
    edit = _edit(body) or {}
    trigger: Json = edit.get("trigger") or {}
    return int(trigger.get("value", DEFAULT_TRIGGER))
