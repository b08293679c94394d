"""The capabilities of Claude's models, for providers that have no Models API.

Source: "Models overview", "Extended thinking" and "Effort" in the Claude API documentation, November 2026. A model that
is not listed here is used without them: its limits are not checked, and it thinks without summaries.
"""

from dataclasses import dataclass

A_MILLION, FEWER = 1_000_000, 200_000
LONG, SHORT = 128_000, 64_000
ALWAYS = frozenset({"adaptive"})
OPTIONAL = frozenset({"adaptive", "disabled"})
BUDGET = frozenset({"enabled", "disabled"})
ANY = OPTIONAL | BUDGET


@dataclass(frozen=True, slots=True)
class KnownModel:
    """The capabilities of a model. Limits are in tokens; `thinking` are the types that it supports."""

    title: str
    thinking: frozenset[str]
    max_input_tokens: int = A_MILLION
    max_output_tokens: int = LONG
    compacts: bool = True


KNOWN_MODELS = {
    "claude-fable-5-2": KnownModel("Claude Fable 5.2", ALWAYS),
    "claude-fable-5-1": KnownModel("Claude Fable 5.1", ALWAYS),
    "claude-fable-5": KnownModel("Claude Fable 5", ALWAYS),
    "claude-opus-5-5": KnownModel("Claude Opus 5.5", ALWAYS),
    "claude-sonnet-5-5": KnownModel("Claude Sonnet 5.5", ALWAYS | {"between_tools"}),
    "claude-haiku-5-5": KnownModel("Claude Haiku 5.5", ALWAYS),
    "claude-opus-5": KnownModel("Claude Opus 5", OPTIONAL),
    "claude-sonnet-5": KnownModel("Claude Sonnet 5", OPTIONAL),
    "claude-opus-4-8": KnownModel("Claude Opus 4.8", OPTIONAL),
    "claude-opus-4-7": KnownModel("Claude Opus 4.7", OPTIONAL),
    "claude-opus-4-6": KnownModel("Claude Opus 4.6", ANY),
    "claude-sonnet-4-6": KnownModel("Claude Sonnet 4.6", ANY),
    "claude-opus-4-5": KnownModel("Claude Opus 4.5", BUDGET, FEWER, SHORT, compacts=False),
    "claude-sonnet-4-5": KnownModel("Claude Sonnet 4.5", BUDGET, FEWER, SHORT, compacts=False),
    "claude-haiku-4-5": KnownModel("Claude Haiku 4.5", BUDGET, FEWER, SHORT, compacts=False),
}
