"""What a caller can cause and handle: raised here, shown by the schema as members of the result unions."""

from datetime import datetime

from tertulia.db.paging import PageError
from tertulia.db.tables import Generation
from tertulia.ratelimit.errors import RateLimited


class ExpectedError(Exception):
    """An error that is part of the API; `message` is for people."""

    def __init__(self, message: str) -> None:
        """Take the sentence that is shown."""
        super().__init__(message)
        self.message = message


class InvalidInput(ExpectedError):
    """A value is not accepted.

    Attributes:
        field: The path of the value in the input, such as `text`.
        message: What would be accepted. It is shown to clients.
    """

    def __init__(self, field: str, message: str) -> None:
        """Name the field and say what it takes."""
        super().__init__(f"{field}: {message}")
        self.field = field


class NotFound(ExpectedError):
    """No such object exists, or it belongs to another viewer: the two cannot be told apart.

    Attributes:
        id: The id, as the caller passed it.
        message: The error for people. It is shown to clients.
    """

    def __init__(self, id: str, kind: str = "object") -> None:
        """Say which id of what kind was asked for."""
        super().__init__(f"There is no {kind} with this id.")
        self.id = id


class ConversationBusy(ExpectedError):
    """The conversation is being answered already.

    Attributes:
        generation: The running answer. Its `id` can be followed or stopped.
        message: The error for people. It is shown to clients.
    """

    def __init__(self, generation: Generation, message: str = "The conversation is being answered already.") -> None:
        """Carry the generation to attach to."""
        super().__init__(message)
        self.generation = generation


class BudgetExceeded(ExpectedError):
    """The budget of the viewer or of the server is spent for this period.

    Attributes:
        resets_at: When the next period begins, in UTC.
        message: Which budget is spent. It is shown to clients.
    """

    def __init__(self, resets_at: datetime, message: str) -> None:
        """Accept when there is more, and which budget is spent."""
        super().__init__(message)
        self.resets_at = resets_at


class BadUserInput(ExpectedError):
    """An argument that cannot be taken where there is no union to say so: a GraphQL error with BAD_USER_INPUT."""

    def __init__(self, argument: str, message: str) -> None:
        """Name the argument and say what it takes."""
        super().__init__(f"{argument}: {message}")
        self.argument = argument


EXPECTED_ERRORS = (ExpectedError, RateLimited, PageError)
"""All errors that a client causes and whose message is shown to it."""
