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

    def ended(self, end: End) -> None:
        """Called when a generation of this process has ended and is saved."""

    def taken_over(self) -> None:
        """Called when this process has taken over the generation of a lost process."""

    def stopped(self, seconds: float) -> None:
        """Called when a stop has returned, with the seconds since its request."""

    def followed(self, how: str) -> None:
        """Called for each follower: `snapshot`, `resumed` after a sequence number, or the reason of a gap."""

    def refused(self, limit: str) -> None:
        """Called when the limit of this name was reached."""
