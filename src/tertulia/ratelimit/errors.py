"""The error for calls that exceed a limit."""


class RateLimited(Exception):
    """A limit of the viewer is reached, or the server is shutting down.

    Attributes:
        retry_after_seconds: The time after which the call may succeed.
        message: The limit, and what the client can do. It is shown to clients.
    """

    def __init__(self, retry_after_seconds: float, message: str) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.message = message
