"""The signatures of the simulated Claude's thinking blocks.

Like the API's, a signature covers the model, the system prompt, the tools, and all blocks before the thinking block. So
a changed earlier message makes later thinking invalid, while all thinking may be left out. Breakpoints of the cache are
not covered. Source: "Extended thinking" in the Claude API documentation, "Preserving thinking blocks".
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tertulia.json import Json
from tertulia.simulator.request_rules import as_blocks, invalid, refusing_wrong_shapes
from tertulia.simulator.script import Plan, Step

BETA = "thinking-binding-controls-2026-08-01"


@refusing_wrong_shapes()
def check_signatures(body: Json, betas: str = "") -> list[Json] | None:
    """Check that thinking is preceded by what it was signed with.

    Thinking of another model is left out silently. With `drop_block`, other thinking that does not match is left out
    too, with the thinking that follows it directly.

    Args:
        body: A request whose images and documents were inspected, so that a file may be sent in several ways.
        betas: The value of its header `anthropic-beta`.

    Returns:
        What is left out, for `input_transformations`; None without the beta.

    Raises:
        Refused: Thinking does not match, and must not be left out.
    """
    thinking: Json = body.get("thinking") or {}
    binding: Json | None = thinking.get("block_binding")
    if binding is not None and BETA not in betas:
        raise invalid(f"thinking.{thinking['type']}.block_binding: Extra inputs are not permitted")
    drops = binding is not None and binding.get("prefix_mismatch_behavior") == "drop_block"
    dropped: list[Json] = []
    prefix = _Prefix(body)
    for index, message in enumerate(body["messages"]):
        follows_dropped = False
        for block_index, block in enumerate(as_blocks(message["content"])):
            path = f"messages.{index}.content.{block_index}"
            problem = _mismatch(prefix, block)
            if block["type"] == "thinking" and (follows_dropped or problem is not None):
                if problem == _OF_PREFIX and not (drops or follows_dropped):
                    reason = "Invalid `signature` in `thinking` block. The block is bound to a different conversation."
                    raise invalid(f"{path}: {reason}")
                follows_dropped = True
                dropped.append({"type": "thinking_dropped", "path": path, "reason": problem or _OF_PREFIX})
                continue
            follows_dropped = False
            prefix.add(message["role"], block)
    return dropped if BETA in betas else None


_OF_MODEL, _OF_PREFIX = "model_binding_mismatch", "prefix_binding_mismatch"


def _mismatch(prefix: "_Prefix", block: Json) -> str | None:
    """Return the check that a thinking block fails, or None if it fails none."""
    if block["type"] != "thinking":
        return None
    signature = str(block.get("signature") or "")
    model, _, digest = signature.partition(".")
    if digest and model != prefix.model:
        return _OF_MODEL
    return None if signature == prefix.sign(block["thinking"]) else _OF_PREFIX


def signed(plan: Plan, body: Json) -> Plan:
    """Return the plan of a request's answer with signatures in its thinking blocks."""
    if all(block["type"] != "thinking" for block in plan.blocks):
        return plan
    prefix = _Prefix(body)
    for message in body["messages"]:
        for block in as_blocks(message["content"]):
            # Thinking that does not match was left out.
            if _mismatch(prefix, block) is None:
                prefix.add(message["role"], block)
    blocks: list[Json] = []
    for block in plan.blocks:
        is_thinking = block["type"] == "thinking"
        blocks.append({**block, "signature": prefix.sign(block["thinking"])} if is_thinking else block)
        prefix.add("assistant", block)
    return replace(plan, blocks=blocks, steps=_with_signatures(plan.steps, blocks))


def _with_signatures(steps: Sequence[Step], blocks: Sequence[Json]) -> list[Step]:
    signed_steps: list[Step] = []
    for step in steps:
        delta: Json = step.event.get("delta") or {}
        if delta.get("type") == "signature_delta":
            signed_delta: Json = {**delta, "signature": blocks[step.event["index"]]["signature"]}
            signed_steps.append(replace(step, event={**step.event, "delta": signed_delta}))
        else:
            signed_steps.append(step)
    return signed_steps


class _Prefix:
    """A hash of the beginning of a conversation."""

    def __init__(self, body: Json) -> None:
        system = [block["text"] for block in as_blocks(body.get("system") or [])]
        offered: list[Json] = body.get("tools") or []
        self.model = hashlib.sha256(body["model"].encode()).hexdigest()[:8]
        loaded = [_bare(tool) for tool in offered if not tool.get("defer_loading")]
        self._start = self._digest = _hash("", [body["model"], system, loaded])

    def add(self, role: str, block: Json) -> None:
        """Append a block. A summary replaces all blocks before it."""
        if block["type"] == "compaction" and block.get("content"):
            self._digest = self._start
        # The signature of earlier thinking was checked, and the blocks of an answer are signed one after the other.
        self._digest = _hash(self._digest, [role, _bare({**block, "signature": None})])

    def sign(self, thinking: str) -> str:
        """Return the signature of a thinking block after this prefix."""
        return f"{self.model}.{_hash(self._digest, thinking)}"


def _bare(values: Json) -> Json:
    return {key: value for key, value in values.items() if key != "cache_control" and value is not None}


def _hash(previous: str, value: Any) -> str:
    return hashlib.sha256(f"{previous}{json.dumps(value)}".encode()).hexdigest()
