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
from tertulia.simulator.request_rules import as_blocks, invalid
from tertulia.simulator.script import Plan, Step


def check_signatures(body: Json) -> None:
    """Raise Refused for thinking that is not preceded by what it was signed with.

    Args:
        body: A request whose images and documents were inspected, so that a file may be sent in several ways.
    """
    prefix = _Prefix(body)
    for index, message in enumerate(body["messages"]):
        for block_index, block in enumerate(as_blocks(message["content"])):
            if block["type"] == "thinking" and block.get("signature") != prefix.sign(block["thinking"]):
                problem = "Invalid `signature` in `thinking` block. The block is bound to a different conversation."
                raise invalid(f"messages.{index}.content.{block_index}: {problem}")
            prefix.add(message["role"], block)


def signed(plan: Plan, body: Json) -> Plan:
    """Return the plan of a request's answer with signatures in its thinking blocks."""
    if all(block["type"] != "thinking" for block in plan.blocks):
        return plan
    prefix = _Prefix(body)
    for message in body["messages"]:
        for block in as_blocks(message["content"]):
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
        return _hash(self._digest, thinking)


def _bare(values: Json) -> Json:
    return {key: value for key, value in values.items() if key != "cache_control" and value is not None}


def _hash(previous: str, value: Any) -> str:
    return hashlib.sha256(f"{previous}{json.dumps(value)}".encode()).hexdigest()
