"""Errors that callers can cause and handle, as members of the result unions."""

import dataclasses
from datetime import datetime
from typing import Any

import strawberry
from strawberry.types import Info
from strawberry.types.field import StrawberryField

from tertulia.ratelimit import errors as ratelimit_errors
from tertulia.resolvers import errors
from tertulia.resolvers.errors import ExpectedError
from tertulia.schema.declare import described, interface
from tertulia.schema.types import Generation


@interface
class Error:
    """What a caller can cause and handle. Nothing was changed; only what INTERRUPT stopped stays so."""

    message: str
    """What went wrong, in words for people; programs look at the type."""


@described
class InvalidInput(Error):
    """A value that cannot be taken; `message` says what would be."""

    field: str
    """The value's path in the input, such as `options.maxTokens` or `results[0].output`."""


@described
class NotFound(Error):
    """There is no such thing for this caller: what belongs to others does not exist either."""

    id: strawberry.ID
    """The id that was asked for, as it was given."""


@described
class ConversationBusy(Error):
    """The conversation is being answered already: follow `generation`, or send with another `whenBusy`.

    With QUEUE it means that ten messages wait in line.
    """

    generation: Generation
    """The answer that stands in the way."""


@described
class RateLimited(Error):
    """Too many messages in too little time, or answers at once; also a server that is about to stop.

    `Viewer.limits` says how much there is.
    """

    retry_after_seconds: float
    """Seconds after which it may be tried again."""


@described
class BudgetExceeded(Error):
    """The month's money or the day's tokens are spent, or the budget of the whole server.

    `Viewer.budget` says how much money the viewer has; what the server has is not shown.
    """

    resets_at: datetime
    """When there is more, in UTC."""


class Expected:
    """Converts an expected error to the member of the field's result union with the same name."""

    def __init__(
        self, exception_type: type[ExpectedError | ratelimit_errors.RateLimited], error_type: type[Error]
    ) -> None:
        self.exception_type = exception_type
        self.error_type = error_type

    def handle(
        self, exception: ExpectedError | ratelimit_errors.RateLimited, *, field: StrawberryField, info: Info
    ) -> Any:
        """Return the member with the exception's attributes. Returning the exception itself would raise it again."""
        names = [attribute.name for attribute in dataclasses.fields(self.error_type)]
        return self.error_type(**{name: getattr(exception, name) for name in names})


EXPECTED = (
    Expected(errors.InvalidInput, InvalidInput),
    Expected(errors.NotFound, NotFound),
    Expected(errors.ConversationBusy, ConversationBusy),
    Expected(ratelimit_errors.RateLimited, RateLimited),
    Expected(errors.BudgetExceeded, BudgetExceeded),
)
