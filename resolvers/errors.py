"""Errors that callers can cause and handle. The schema returns them as members of the result unions."""

from datetime import datetime

from tertulia.db.paging import PageError
from tertulia.db.tables import Generation
from tertulia.ratelimit.errors import RateLimited


class ExpectedError(Exception):
    """An error that is part of the API; `message` is shown to clients."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidInput(ExpectedError):
    """A value is not accepted.

    Attributes:
        field: The path of the value in the input, such as `options.maxTokens`.
        predicate: The rest of a sentence about the field, such as "must not be blank.".
        message: The field and the predicate. It is shown to clients.
    """

    def __init__(self, field: str, predicate: str) -> None:
        super().__init__(f"`{field}` {predicate}")
        self.field = field
        self.predicate = predicate


class NotFound(ExpectedError):
    """No such object exists, or it belongs to another viewer; callers cannot distinguish the two.

    Attributes:
        id: The id, as the caller passed it.
        message: Which kind of object does not exist. It is shown to clients.
    """

    def __init__(self, id: str, kind: str = "object") -> None:
        super().__init__(f"There is no {kind} with this id.")
        self.id = id


class ConversationBusy(ExpectedError):
    """A generation is already running where the new message would be answered.

    Attributes:
        generation: The running generation. Its `id` can be followed or stopped.
        message: Why the send was refused. It is shown to clients.
    """

    def __init__(self, generation: Generation, message: str = "The conversation is already being answered.") -> None:
        super().__init__(message)
        self.generation = generation


class BudgetExceeded(ExpectedError):
    """The budget of the viewer or of the server is used up for this period.

    Attributes:
        resets_at: When the next period begins, in UTC.
        message: Which budget is used up. It is shown to clients.
    """

    def __init__(self, resets_at: datetime, message: str) -> None:
        super().__init__(message)
        self.resets_at = resets_at


class SendRefused(ExpectedError):
    """The application's hook `before_send` refused the message, or failed and is declared to refuse then.

    Attributes:
        message: The reason. It is shown to clients.
        code: The application's reason for programs, if there is one; `HOOK_FAILED` if the hook failed.
    """

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class Forbidden(ExpectedError):
    """The viewer does not have the role that the mutation requires, or a setting does not allow the mutation.

    Attributes:
        message: The role or the setting. It is shown to clients.
    """


class BadUserInput(ExpectedError):
    """An argument of a field without a result union is not accepted: a GraphQL error with the code BAD_USER_INPUT.

    Attributes:
        argument: The name of the argument.
        message: A sentence about the argument. It is shown to clients.
    """

    def __init__(self, argument: str, predicate: str) -> None:
        super().__init__(f"`{argument}` {predicate}")
        self.argument = argument


EXPECTED_ERRORS = (ExpectedError, RateLimited, PageError)
"""All errors that clients cause. Their messages are sent to the client."""
