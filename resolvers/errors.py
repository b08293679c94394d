"""Errors that callers can cause and handle. The schema returns them as members of the result unions."""

from datetime import datetime

from tertulia.db.paging import PageError
from tertulia.db.tables import Generation
from tertulia.ratelimit.errors import RateLimited


class ExpectedError(Exception):
    """An error that is part of the API; `message` is for people."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidInput(ExpectedError):
    """A value is not accepted.

    Attributes:
        field: The path of the value in the input, such as `text`.
        message: What would be accepted. It is shown to clients.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class NotFound(ExpectedError):
    """No such object exists, or it belongs to another viewer; callers cannot distinguish the two.

    Attributes:
        id: The id, as the caller passed it.
        message: The error for people. It is shown to clients.
    """

    def __init__(self, id: str, kind: str = "object") -> None:
        super().__init__(f"There is no {kind} with this id.")
        self.id = id


class ConversationBusy(ExpectedError):
    """The conversation is being answered already.

    Attributes:
        generation: The running answer. Its `id` can be followed or stopped.
        message: The error for people. It is shown to clients.
    """

    def __init__(self, generation: Generation, message: str = "The conversation is being answered already.") -> None:
        super().__init__(message)
        self.generation = generation


class BudgetExceeded(ExpectedError):
    """The budget of the viewer or of the server is spent for this period.

    Attributes:
        resets_at: When the next period begins, in UTC.
        message: Which budget is spent. It is shown to clients.
    """

    def __init__(self, resets_at: datetime, message: str) -> None:
        super().__init__(message)
        self.resets_at = resets_at


class BadUserInput(ExpectedError):
    """An argument is not accepted, in a field without a result union: a GraphQL error with BAD_USER_INPUT."""

    def __init__(self, argument: str, message: str) -> None:
        super().__init__(f"{argument}: {message}")
        self.argument = argument


EXPECTED_ERRORS = (ExpectedError, RateLimited, PageError)
"""All errors that clients cause. Their messages are sent to the client."""
