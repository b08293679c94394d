"""The simulated Claude's fallbacks: after a refusal another model continues, or the client may ask it cheaply.

Source: "Refusals and fallback" and "Fallback credit" in the Claude API documentation.
"""

import hashlib
import json
from dataclasses import replace
from typing import Any

from tertulia.json import Json, is_list, is_object
from tertulia.simulator.answers import plan
from tertulia.simulator.cache import PromptCache
from tertulia.simulator.compaction import after_summary
from tertulia.simulator.request_rules import FALLBACKS, MODELS, Refused, as_blocks, invalid, refusing_wrong_shapes
from tertulia.simulator.script import Plan, Step
from tertulia.simulator.signatures import signed

BETA, CREDIT_BETA = "server-side-fallback-2026-07-01", "fallback-credit-2026-07-01"
_OVERRIDES = {"model", "max_tokens", "output_config", "speed", "thinking"}
_UNSEALED = ("model", "max_tokens", "stream", "thinking", "output_config", "metadata", "fallback_credit_token")
"""The fields in which a request with a token may differ from the refused one."""
_COUNTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


@refusing_wrong_shapes()
def check_fallbacks(body: Json, betas: str) -> None:
    """Raise Refused for fallbacks or a credit token without their beta, or with wrong values."""
    fallbacks, token = body.get("fallbacks"), body.get("fallback_credit_token")
    for name, value, beta in (("fallbacks", fallbacks, BETA), ("fallback_credit_token", token, CREDIT_BETA)):
        if value is not None and beta not in betas:
            raise invalid(f"{name}: Extra inputs are not permitted")
    kinds = [block["type"] for message in body["messages"] for block in as_blocks(message["content"])]
    if "fallback" in kinds and BETA not in betas:
        raise invalid("messages: Input tag 'fallback' found using 'type' does not match any of the expected tags")
    if fallbacks is not None and token is not None:
        raise invalid("fallback_credit_token: cannot be combined with `fallbacks`")
    if is_object(token) and not isinstance(token["token"], str):
        raise invalid("fallback_credit_token.token: Input should be a valid string")
    if fallbacks is None or fallbacks == "default":
        return
    if not is_list(fallbacks):
        raise invalid("fallbacks: Input should be a valid list")
    for index, entry in enumerate(fallbacks):
        _check_entry(f"fallbacks.{index}", body, entry)


def _check_entry(path: str, body: Json, entry: Any) -> None:
    if not is_object(entry) or "model" not in entry:
        raise invalid(f"{path}.model: Field required")
    for name in entry.keys() - _OVERRIDES:
        raise invalid(f"{path}.{name}: Extra inputs are not permitted")
    if entry["model"] not in FALLBACKS.get(body["model"], ()):
        raise invalid(f"{path}.model: '{entry['model']}' is not an allowed fallback of {body['model']}")
    most = MODELS[entry["model"]][2]
    if (entry.get("max_tokens") or body["max_tokens"]) > most:
        raise invalid(f"{path}.max_tokens: the maximum allowed number of output tokens for {entry['model']} is {most}")


def with_fallback(body: Json, refused: Plan, usage: Json, cache: PromptCache) -> tuple[Plan, Json]:
    """Return the answer of the first fallback that does not refuse, after what was written before, and the usage.

    Args:
        body: The request, with all messages.
        refused: The answer of its model, which is a refusal.
        usage: The usage of that answer.
        cache: The prompt cache.
    """
    entries: Any = body.get("fallbacks") or []
    declined, model = refused, str(body["model"])
    iterations = [_iteration("message", model, usage, declined.output_tokens)]
    for entry in entries if is_list(entries) else []:
        own_body: Json = {**body, **entry, "messages": body["messages"]}
        own_body = {name: value for name, value in own_body.items() if name != "fallbacks"}
        answer = plan(own_body)
        own_usage = cache.use(after_summary(own_body)).usage()
        boundary = {
            "type": "fallback",
            "from": {"model": model},
            "to": {"model": entry["model"]},
            "trigger": {"type": "refusal", "category": (declined.stop_details or {}).get("category")},
        }
        answer, model = _after(declined, boundary, answer, own_body), entry["model"]
        is_served = answer.stop_reason != "refusal"
        kind = "fallback_message" if is_served else "message"
        iterations.append(_iteration(kind, model, own_usage, answer.output_tokens))
        if is_served:
            return answer, {**own_usage, "iterations": iterations}
        declined = answer
        usage = own_usage
    return (refused, usage) if declined is refused else (declined, {**usage, "iterations": iterations})


def _iteration(kind: str, model: str, usage: Json, output_tokens: int) -> Json:
    return {"type": kind, "model": model, **{name: usage[name] for name in _COUNTS}, "output_tokens": output_tokens}


def _after(before: Plan, boundary: Json, answer: Plan, body: Json) -> Plan:
    """Return an answer after the blocks of a declined one and the boundary between them."""
    written = [block for block in before.blocks if block["type"] == "text"]
    prefix = [{"role": "assistant", "content": written}] if written else []
    answer = signed(answer, {**body, "messages": [*body["messages"], *prefix]})
    count = len(before.blocks)
    seam = [
        Step({"type": "content_block_start", "index": count, "content_block": boundary}),
        Step({"type": "content_block_stop", "index": count}),
    ]
    shifted = [
        replace(step, event={**step.event, "index": step.event["index"] + count + 1}) if "index" in step.event else step
        for step in answer.steps
    ]
    blocks = [*before.blocks, boundary, *answer.blocks]
    return replace(answer, blocks=blocks, steps=[*before.steps, *seam, *shifted])


class Credits:
    """The credit tokens of refusals. A token makes the repetition of the refused request cheaper."""

    def __init__(self) -> None:
        self._sealed: dict[str, str] = {}

    def with_token(self, body: Json, planned: Plan, betas: str) -> Plan:
        """Return the answer with a token in its `stop_details`, if it is a refusal and the request has the beta."""
        if planned.stop_details is None or CREDIT_BETA not in betas:
            return planned
        token = f"fct_{_seal(body)[:24]}"
        self._sealed[token] = _seal(body)
        details = {"fallback_credit_token": token, "fallback_has_prefill_claim": bool(planned.blocks)}
        return replace(planned, stop_details=planned.stop_details | details)

    def redeem(self, body: Json, usage: Json) -> Json:
        """Return the changes of the usage for a request with a token. Raise Refused if a strict one is not valid."""
        presented: Any = body.get("fallback_credit_token")
        if presented is None:
            return {}
        is_strict = not is_object(presented) or presented.get("mode", "strict") == "strict"
        token = str(presented["token"] if is_object(presented) else presented)
        if self._sealed.get(token) == _seal(body):
            moved = usage["cache_creation_input_tokens"]
            repriced = {
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": usage["cache_read_input_tokens"] + moved,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            }
            return {**repriced, "fallback_credit": {"status": {"type": "redeemed"}}}
        if is_strict:
            raise Refused(400, "invalid_request_error", "fallback_credit_token: the request body does not match")
        return {"fallback_credit": {"status": {"type": "not_applied", "reason": "body_mismatch"}}}


def _seal(body: Json) -> str:
    sealed = {name: value for name, value in body.items() if name not in _UNSEALED}
    return hashlib.sha256(json.dumps(sealed, sort_keys=True).encode()).hexdigest()
