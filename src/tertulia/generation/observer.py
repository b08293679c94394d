"""The interface through which metrics observe generations."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class End:
    """How a generation ended.

    Attributes:
        status: The final status.
        code: The error code of a failed generation.
        model: The model's id; empty if the generation ended before it was known.
        seconds: The duration since this process started the generation.
        first_token_seconds: The time from that start to the first token; None without a token.
        output_tokens: The tokens that Claude wrote.
        request_id: The id of the last request to Claude's API; None if it has sent none.
    """

    status: str
    code: str | None
    model: str
    seconds: float
    first_token_seconds: float | None
    output_tokens: int
    request_id: str | None = None


class GenerationObserver:
    """An observer that ignores all events. Metrics override its methods."""

    def on_end(self, end: End) -> None:
        """Called when the end of a generation of this process is saved."""

    def on_takeover(self) -> None:
        """Called when this process takes over the generation of a lost process."""

    def on_continue(self, reason: str) -> None:
        """Called when Claude is asked to continue an interrupted answer. `reason` is the error's code."""

    def on_stop(self, seconds: float) -> None:
        """Called when `stopGeneration` returns, with its duration in seconds."""

    def on_follow(self, how: str) -> None:
        """Called for each new follower. `how` is `snapshot`, `resumed`, or the `reason` of the snapshot."""

    def on_tool(self, tool: str, outcome: str, seconds: float, tokens: int) -> None:
        """Called when a call of a tool has ended: `ok` or `error`, with the estimated tokens of its result."""

    def on_rating(self, rating: str, model: str) -> None:
        """Called when an answer is rated as `good` or `bad`. `model` is `other` if clients may not use its model."""

    def on_limit_reached(self, limit: str) -> None:
        """Called when a request is refused because of the limit with this name."""
