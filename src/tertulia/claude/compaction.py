"""Compaction: near the end of its context window, Claude summarizes the conversation and continues from the summary.

Source: "Compaction" in the Claude API documentation. The summary is a block of the answer. It is sent back unchanged
together with all earlier blocks, which Claude then ignores. Tertulia deletes nothing. A summary on demand is an answer
of its own, with one signed block. Later requests begin with that block instead of the messages that it summarizes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tertulia.claude.models import ON_DEMAND_BETA, Model
from tertulia.json import Json

BETA = "compact-2026-01-12"
COMPACTED = "compaction"
"""The stop reason of a summary that was requested alone."""
EDIT = "compact_20260112"
MIN_TRIGGER = 50_000
"""The lowest trigger that the API accepts, in tokens."""
TRIGGER = 0.8
"""The used fraction of the context window at which Claude summarizes."""
NEAR = 0.5
"""The used fraction from which requests allow compaction, because the next message can be large."""


def is_near(context_tokens: int, model: Model) -> bool:
    """Return whether so much of the context window is in use that the next message may need compaction."""
    return context_tokens >= NEAR * (model.max_input_tokens or float("inf"))


@dataclass(frozen=True, slots=True)
class Compaction:
    """The part of a request that allows compaction.

    Attributes:
        fields: The fields of the request.
        is_near: Whether the next message may need compaction. A conversation with a summary always needs the fields.
    """

    fields: Json
    is_near: bool


def compaction_of(model: Model, context_tokens: int) -> Compaction | None:
    """Return the compaction settings for a model; None if the model does not support compaction."""
    if not model.compacts:
        return None
    trigger = {"type": "input_tokens", "value": max(MIN_TRIGGER, int(TRIGGER * (model.max_input_tokens or 0)))}
    fields: Json = {"betas": [BETA], "context_management": {"edits": [{"type": EDIT, "trigger": trigger}]}}
    return Compaction(fields, is_near(context_tokens, model))


def as_summary_request(request: Json, instructions: str | None) -> Json:
    """Return a request that only summarizes its messages. Claude reads the same system prompt and tools as always."""
    not_allowed = ("context_management", "output_config", "stop_sequences", "tool_choice", "betas")
    bare = {name: value for name, value in request.items() if name not in not_allowed}
    compaction: Json = {"type": "summarize", **({"instructions": instructions} if instructions else {})}
    return bare | {"compaction": compaction, "betas": [ON_DEMAND_BETA]}


def from_summary(request: Json, summary: Sequence[Json]) -> Json:
    """Return the request with a summary on demand before its messages, if there is one."""
    if not summary:
        return request
    messages = [{"role": "assistant", "content": list(summary)}, *request["messages"]]
    return request | {"messages": messages, "betas": [*request.get("betas", ()), ON_DEMAND_BETA]}
