"""Errors that a caller can cause and handle: data, in the result unions."""

import dataclasses
from datetime import datetime
from typing import Any

import strawberry
from strawberry.types import Info
from strawberry.types.field import StrawberryField

from resolvers import errors
from resolvers.errors import ExpectedError
from schema.shows import described
from schema.types import Generation


@strawberry.interface
class Error:
    """What went wrong, in words for people."""

    message: str


@described
class InvalidInput(Error):
    """A value that cannot be taken; `field` is its path in the input. Nothing was changed."""

    field: str


@described
class NotFound(Error):
    """There is no such thing for this caller."""

    id: strawberry.ID


@described
class ConversationBusy(Error):
    """The conversation is being answered already: follow `generation`, or send with another `whenBusy`."""

    generation: Generation


@described
class RateLimited(Error):
    """Too much in too little time."""

    retry_after_seconds: float


@described
class BudgetExceeded(Error):
    """The money of this period is spent."""

    resets_at: datetime


class Expected:
    """Shows an expected error as the member of the field's union that bears its name."""

    def __init__(self, exception_type: type[ExpectedError], error_type: type[Error]) -> None:
        """Pair what resolvers raise with the type that shows it."""
        self.exception_type = exception_type
        self.error_type = error_type

    def handle(self, exception: ExpectedError, *, field: StrawberryField, info: Info) -> Any:
        """Make the member of the same fields; the exception itself would be raised again."""
        names = [shown.name for shown in dataclasses.fields(self.error_type)]
        return self.error_type(**{name: getattr(exception, name) for name in names})


EXPECTED = (
    Expected(errors.InvalidInput, InvalidInput),
    Expected(errors.NotFound, NotFound),
    Expected(errors.ConversationBusy, ConversationBusy),
    Expected(errors.RateLimited, RateLimited),
    Expected(errors.BudgetExceeded, BudgetExceeded),
)
