"""The simulated Claude's summaries on demand: a request with `compaction`, and the signed block that it returns.

Source: "On-demand compaction" in the Claude API documentation. The block is sent back first in `messages`, instead of
the messages that it summarizes.
"""

import hashlib
from typing import Any

from tertulia.json import Json
from tertulia.simulator.cache import count_tokens
from tertulia.simulator.request_rules import Refused, as_blocks, invalid
from tertulia.simulator.script import TOKEN, Plan, Step, pieces

BETA = "compact-2026-09-04"
SIGNED = "ondemand-"
"""The beginning of the signatures of these blocks."""
WITHOUT_SUMMARIES = ("claude-haiku-4-5",)


def is_summary_request(body: Json) -> bool:
    """Return whether a request asks only for a summary."""
    return body.get("compaction") is not None


def check_summaries(body: Json, betas: str) -> None:
    """Raise Refused for an invalid request for a summary, and for a summary that is not where the API expects it."""
    blocks = [
        (index, position, block)
        for index, message in enumerate(body["messages"])
        for position, block in enumerate(as_blocks(message["content"]))
        if block["type"] == "compaction" and str(block.get("signature", "")).startswith(SIGNED)
    ]
    if (blocks or "compaction" in body) and BETA not in betas:
        raise invalid("compaction: Extra inputs are not permitted")
    for index, position, block in blocks:
        if (index, position) != (0, 0):
            raise _refused("compaction_block_misplaced", "a signed `compaction` block must be the first block")
        if block["signature"] != _signature(str(block.get("content"))):
            raise _refused("compaction_signature_invalid", "the signature of the `compaction` block is not valid")
    if is_summary_request(body):
        _check_request(body)


def _check_request(body: Json) -> None:
    compaction: Any = body["compaction"]
    if body["model"] in WITHOUT_SUMMARIES:
        raise invalid(f"compaction: is not supported by {body['model']}")
    if "context_management" in body:
        raise invalid("compaction: cannot be combined with `context_management`")
    if compaction.get("type") != "summarize" or compaction.keys() - {"type", "instructions"}:
        raise invalid("compaction: Input should have the type 'summarize', and perhaps instructions")
    blocks = [block for message in body["messages"] for block in as_blocks(message["content"])]
    if all(block["type"] == "compaction" for block in blocks):
        raise _refused("compaction_nothing_to_summarize", "there is nothing to summarize")


def summary_plan(body: Json) -> Plan:
    """Return the summary of a conversation."""
    instructions: str | None = body["compaction"].get("instructions")
    asked = f" As requested: {instructions}" if instructions else ""
    summary = f"The user and I have exchanged {len(body['messages'])} messages.{asked}"
    block: Json = {"type": "compaction", "content": summary, "signature": _signature(summary)}
    start: Json = {**block, "content": None}
    steps = [
        Step({"type": "content_block_start", "index": 0, "content_block": start}, TOKEN * len(pieces(summary))),
        Step({"type": "content_block_delta", "index": 0, "delta": {"type": "compaction_delta", "content": summary}}),
        Step({"type": "content_block_stop", "index": 0}),
    ]
    return Plan(blocks=[block], steps=steps, stop_reason="compaction", output_tokens=0)


def summary_usage(body: Json, planned: Plan) -> Json:
    """Return the usage of a summary, whose tokens are only in `iterations`."""
    none = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    output_tokens = sum(len(pieces(block["content"])) for block in planned.blocks)
    own = {"type": "compaction", "input_tokens": count_tokens(body), "output_tokens": output_tokens, **none}
    return {"input_tokens": 0, **none, "iterations": [own]}


def _signature(summary: str) -> str:
    return SIGNED + hashlib.sha256(summary.encode()).hexdigest()[:32]


def _refused(code: str, message: str) -> Refused:
    return Refused(400, "invalid_request_error", f"messages: {message}", code=code)
