"""The GraphQL types of errors that callers can cause and handle, as members of the result unions."""

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
    """An error that the caller can handle.

    The mutation has changed nothing, except that `whenBusy: INTERRUPT` may already have stopped generations.
    """

    message: str
    """A description of the error, for people. Programs should use the type instead."""


@described
class InvalidInput(Error):
    """A value is not accepted. `message` describes which values are."""

    field: str
    """The path of the value in the input, such as `options.maxTokens` or `results[0].output`."""


@described
class NotFound(Error):
    """No object with this id exists, or it belongs to another viewer."""

    id: strawberry.ID
    """The id, as it was passed."""


@described
class ConversationBusy(Error):
    """The conversation is already being answered. Follow `generation`, or retry with another `whenBusy`.

    With `whenBusy: QUEUE` or `STEER`, this error means that ten messages are already queued.
    """

    generation: Generation
    """The generation that is running."""


@described
class RateLimited(Error):
    """The viewer has sent too many messages or has too many concurrent generations, or the server is shutting down.

    `Viewer.limits` shows the limits and what remains of them.
    """

    retry_after_seconds: float
    """The number of seconds to wait before retrying."""


@described
class BudgetExceeded(Error):
    """The viewer's monthly budget, the viewer's daily tokens or the budget of the whole server is used up.

    `Viewer.budget` shows the viewer's monthly budget. The server's budget is not visible to clients.
    """

    resets_at: datetime
    """When the budget is renewed, in UTC."""


@described
class SendRefused(Error):
    """The application refused the message: `message` is its reason for the user. Nothing was stored.

    The same request may be accepted later, because the application checks each request.
    """

    code: str | None
    """The application's reason for programs, such as `PROFANITY`. `HOOK_FAILED` if the application could not check the
    message. Null if it gave no reason for programs.
    """


@described
class Forbidden(Error):
    """The viewer does not have the role `operator`, or the server does not allow its operators to do this."""


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
        """Return the member of the union with the exception's attributes.

        It is not the exception itself, because Strawberry would raise a returned exception again.
        """
        names = [attribute.name for attribute in dataclasses.fields(self.error_type)]
        return self.error_type(**{name: getattr(exception, name) for name in names})


EXPECTED = (
    Expected(errors.InvalidInput, InvalidInput),
    Expected(errors.NotFound, NotFound),
    Expected(errors.ConversationBusy, ConversationBusy),
    Expected(ratelimit_errors.RateLimited, RateLimited),
    Expected(errors.BudgetExceeded, BudgetExceeded),
    Expected(errors.SendRefused, SendRefused),
    Expected(errors.Forbidden, Forbidden),
)
