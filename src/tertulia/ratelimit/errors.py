"""The error of a limit that is reached."""


class RateLimited(Exception):
    """A limit is reached; `message` is shown to clients."""

    def __init__(self, retry_after_seconds: float, message: str) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.message = message
