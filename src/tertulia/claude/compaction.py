"""Compaction: near the end of its context window, Claude summarizes the conversation and continues from the summary.

Source: "Compaction" in the Claude API documentation. The summary is a block of the answer. It is sent back unchanged
together with all earlier blocks, which Claude then ignores. Tertulia deletes nothing.
"""

from dataclasses import dataclass

from tertulia.claude.models import Model
from tertulia.json import Json

BETA = "compact-2026-01-12"
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
