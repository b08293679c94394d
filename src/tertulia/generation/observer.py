"""What happens to answers, for whoever looks at the whole: nobody, unless a server says who."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class End:
    """How an answer ended. Times are in seconds from when this process began to write it; None where there was none."""

    status: str
    code: str | None
    model: str
    seconds: float
    first_token_seconds: float | None
    output_tokens: int


class GenerationObserver:
    """Is told what happens, and does nothing with it."""

    def ended(self, end: End) -> None:
        """An answer has ended here, and is saved."""

    def taken_over(self) -> None:
        """An answer of a process that was lost is this one's now."""

    def stopped(self, seconds: float) -> None:
        """Somebody's stop has returned, so many seconds behind its request."""

    def followed(self, how: str) -> None:
        """Somebody follows an answer: from a `snapshot`, `resumed` behind a number, or from a gap, by its reason."""

    def refused(self, limit: str) -> None:
        """A limit of this name was reached."""
