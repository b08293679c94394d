"""The error of a limit that is reached."""


class RateLimited(Exception):
    """A limit of the viewer is reached, or the server is about to stop.

    Attributes:
        retry_after_seconds: The time after which the call may succeed.
        message: The error for people. It is shown to clients.
    """

    def __init__(self, retry_after_seconds: float, message: str) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.message = message
