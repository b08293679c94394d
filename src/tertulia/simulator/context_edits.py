"""The simulated Claude's edits of the context: it clears old results of tools, and old thinking.

Source: "Context editing" in the Claude API documentation. The edits change only what Claude reads: the messages of a
conversation stay as they are.
"""

from typing import Any

from tertulia.json import Json
from tertulia.simulator.cache import count_tokens
from tertulia.simulator.request_rules import as_blocks, invalid

BETA = "context-management-2025-06-27"
CLEAR_TOOL_USES, CLEAR_THINKING = "clear_tool_uses_20250919", "clear_thinking_20251015"
DEFAULT_TRIGGER, DEFAULT_KEEP = 100_000, 3
CLEARED = "[The result of this tool was cleared.]"
KEYS = {
    CLEAR_TOOL_USES: {"type", "trigger", "keep", "clear_at_least", "exclude_tools", "clear_tool_inputs"},
    CLEAR_THINKING: {"type", "keep"},
}
THINKING = ("thinking", "redacted_thinking")


def check_edits(edits: list[Json], body: Json, betas: str) -> None:
    """Raise Refused for invalid edits. Those of compaction are checked elsewhere."""
    kinds = [edit.get("type") for edit in edits]
    for index, edit in enumerate(edits):
        kind = edit.get("type")
        if kind not in KEYS:
            continue
        path = f"context_management.edits.{index}"
        if BETA not in betas:
            raise invalid(f"{path}: `{kind}` needs the beta {BETA}")
        for name in edit.keys() - KEYS[kind]:
            raise invalid(f"{path}.{kind}.{name}: Extra inputs are not permitted")
        if kinds.count(kind) > 1:
            raise invalid(f"{path}: `{kind}` may be used once")
        if kind == CLEAR_THINKING:
            _check_clear_thinking(path, edit, body, index)
        else:
            _amount(f"{path}.trigger", edit.get("trigger"), ("input_tokens", "tool_uses"))
            _amount(f"{path}.keep", edit.get("keep"), ("tool_uses",))
            _amount(f"{path}.clear_at_least", edit.get("clear_at_least"), ("input_tokens",))


def _check_clear_thinking(path: str, edit: Json, body: Json, index: int) -> None:
    if index:
        raise invalid(f"{path}: `{CLEAR_THINKING}` must be the first edit")
    thinking: Json = body.get("thinking") or {}
    if thinking.get("type") not in ("enabled", "adaptive", "between_tools"):
        raise invalid(f"{path}: `{CLEAR_THINKING}` requires `thinking` to be enabled or adaptive")
    if edit.get("keep", "all") != "all":
        _amount(f"{path}.keep", edit["keep"], ("thinking_turns",))


def _amount(path: str, amount: Any, kinds: tuple[str, ...]) -> None:
    if amount is None:
        return
    value = amount.get("value")
    if amount.get("type") not in kinds or not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise invalid(f"{path}: Input should have a type of {' or '.join(kinds)}, and a value of 0 or more")


def edit_context(body: Json) -> tuple[Json, list[Json]]:
    """Return the request as Claude reads it, and the edits that were applied."""
    applied: list[Json] = []
    managed: Json = body.get("context_management") or {}
    edits: list[Json] = managed.get("edits") or []
    for edit in edits:
        before = count_tokens(body)
        edited, count = body, 0
        if edit["type"] == CLEAR_TOOL_USES:
            edited, count = _clear_tool_uses(body, edit)
        elif edit["type"] == CLEAR_THINKING:
            edited, count = _clear_thinking(body, edit)
        cleared = before - count_tokens(edited)
        if count and cleared >= _value(edit.get("clear_at_least"), 0):
            name = "cleared_tool_uses" if edit["type"] == CLEAR_TOOL_USES else "cleared_thinking_turns"
            applied.append({"type": edit["type"], name: count, "cleared_input_tokens": max(cleared, 0)})
            body = edited
    return body, applied


def _clear_tool_uses(body: Json, edit: Json) -> tuple[Json, int]:
    excluded = set[str](edit.get("exclude_tools") or [])
    calls = [block for message in body["messages"] for block in as_blocks(message["content"])]
    calls = [block for block in calls if block["type"] == "tool_use"]
    trigger: Json = edit.get("trigger") or {"type": "input_tokens", "value": DEFAULT_TRIGGER}
    size = len(calls) if trigger["type"] == "tool_uses" else count_tokens(body)
    keep = _value(edit.get("keep"), DEFAULT_KEEP)
    if size < trigger["value"]:
        return body, 0
    old = {call["id"] for call in calls[: max(len(calls) - keep, 0)] if call["name"] not in excluded}

    def cleared(block: Json) -> Json:
        if block["type"] == "tool_result" and block["tool_use_id"] in old:
            return {**block, "content": CLEARED}
        if block["type"] == "tool_use" and block["id"] in old and edit.get("clear_tool_inputs") is True:
            return {**block, "input": {}}
        return block

    contents = [[cleared(block) for block in as_blocks(message["content"])] for message in body["messages"]]
    messages = [{**message, "content": content} for message, content in zip(body["messages"], contents, strict=True)]
    return {**body, "messages": messages}, len(old)


def _clear_thinking(body: Json, edit: Json) -> tuple[Json, int]:
    if edit.get("keep") == "all":
        return body, 0
    messages: list[Json] = body["messages"]
    turns = [
        index
        for index, message in enumerate(messages)
        if message["role"] == "assistant" and any(b["type"] in THINKING for b in as_blocks(message["content"]))
    ]
    old = turns[: max(len(turns) - _value(edit.get("keep"), 1), 0)]
    edited = [
        {**message, "content": [b for b in as_blocks(message["content"]) if b["type"] not in THINKING]}
        if index in old
        else message
        for index, message in enumerate(messages)
    ]
    return {**body, "messages": [message for message in edited if message["content"]]}, len(old)


def _value(amount: Json | None, default: int) -> int:
    return default if amount is None else int(amount["value"])
