"""Compaction: near the end of its window, Claude sums up what was said and goes on from that.

Source: "Compaction" in the Claude API documentation. The summary is a block of the answer, which goes back verbatim
with all that stood before it; Claude passes over what it sums up. Nothing of it is deleted here.
"""

from dataclasses import dataclass

from tertulia.claude.models import Model
from tertulia.json import Json

BETA = "compact-2026-01-12"
EDIT = "compact_20260112"
MIN_TRIGGER = 50_000
"""The least tokens that the API takes."""
TRIGGER = 0.8
"""The part of the window from which on Claude sums up."""
NEAR = 0.5
"""From which on it is told that it may: one message can hold much."""


def is_near(context_tokens: int, model: Model) -> bool:
    """Say whether so much of the window is in use that the next message may need compaction."""
    return context_tokens >= NEAR * (model.max_input_tokens or float("inf"))


@dataclass(frozen=True, slots=True)
class Compaction:
    """How a request lets Claude compact the conversation.

    Attributes:
        fields: The fields of the request.
        is_near: Whether the next message may need it. A conversation that has a summary needs the fields in any case.
    """

    fields: Json
    is_near: bool


def compaction_of(model: Model, context_tokens: int) -> Compaction | None:
    """Return how a request to a model lets it compact the conversation; None for a model that cannot."""
    if not model.compacts:
        return None
    trigger = {"type": "input_tokens", "value": max(MIN_TRIGGER, int(TRIGGER * (model.max_input_tokens or 0)))}
    fields: Json = {"betas": [BETA], "context_management": {"edits": [{"type": EDIT, "trigger": trigger}]}}
    return Compaction(fields, is_near(context_tokens, model))
