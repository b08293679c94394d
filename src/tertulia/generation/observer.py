"""The interface through which metrics observe generations. The default observer ignores all events."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class End:
    """How a generation ended. Times are in seconds since this process started its task; None without a first token."""

    status: str
    code: str | None
    model: str
    seconds: float
    first_token_seconds: float | None
    output_tokens: int


class GenerationObserver:
    """Ignores all events; metrics override its methods."""

    def on_end(self, end: End) -> None:
        """Called when a generation of this process has ended and is saved."""

    def on_takeover(self) -> None:
        """Called when this process has taken over the generation of a lost process."""

    def on_stop(self, seconds: float) -> None:
        """Called when a stop has returned, with the seconds since its request."""

    def on_follow(self, how: str) -> None:
        """Called for each follower: `snapshot`, `resumed` after a sequence number, or the reason of a gap."""

    def on_limit_reached(self, limit: str) -> None:
        """Called when the limit of this name was reached."""
