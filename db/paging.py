"""Keyset pagination. A cursor encodes the position of a row, so that pages do not shift when rows are added."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

Row = TypeVar("Row")

MAX_PAGE = 100
DEFAULT_PAGE = 50


class PageError(ValueError):
    """An argument of a page is invalid.

    Attributes:
        argument: Its name.
    """

    def __init__(self, argument: str, predicate: str) -> None:
        """Create an error for an argument.

        Args:
            argument: The name of the argument.
            predicate: The rest of a sentence about it, such as "is not a cursor of this list.".
        """
        super().__init__(f"`{argument}` {predicate}")
        self.argument = argument


@dataclass(frozen=True, slots=True)
class Page:
    """The requested part of a list, with the arguments of Relay's connections."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    def __post_init__(self) -> None:
        """Raise `PageError` for a size that is not from 0 to 100, and for `first` together with `last`."""
        for argument, size in (("first", self.first), ("last", self.last)):
            if size is not None and not 0 <= size <= MAX_PAGE:
                raise PageError(argument, f"must be from 0 to {MAX_PAGE}, not {size}.")
        if self.first is not None and self.last is not None:
            raise PageError("last", "cannot be combined with `first`.")

    @property
    def backward(self) -> bool:
        """Whether the page is counted from the end."""
        return self.last is not None

    @property
    def size(self) -> int:
        """The maximum number of rows."""
        size = self.last if self.last is not None else self.first
        return DEFAULT_PAGE if size is None else size


@dataclass(frozen=True, slots=True)
class PageInfo:
    """Whether there are rows before and after a page, as in Relay's connection specification."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


class Edge(NamedTuple, Generic[Row]):
    """A row and its cursor."""

    cursor: str
    node: Row


@dataclass(frozen=True, slots=True)
class Connection(Generic[Row]):
    """A page of rows."""

    edges: list[Edge[Row]]
    page_info: PageInfo


def connect(rows: Sequence[Row], page: Page, cursor: Callable[[Row], str]) -> Connection[Row]:
    """Return a page of rows.

    Args:
        rows: The rows in the direction in which the page is read, including one more than its size if it exists.
        page: The requested page.
        cursor: Returns the cursor of a row.
    """
    page_rows = list(rows[: page.size])
    has_more = len(rows) > page.size
    if page.backward:
        page_rows.reverse()
    edges = [Edge(cursor(row), row) for row in page_rows]
    return Connection(
        edges,
        PageInfo(
            has_next_page=page.before is not None if page.backward else has_more,
            has_previous_page=has_more if page.backward else page.after is not None,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
    )


def encode_cursor(*parts: str) -> str:
    """Return an opaque cursor for the position of a row."""
    return base64.urlsafe_b64encode("|".join(parts).encode()).decode().rstrip("=")


def decode_cursor(argument: str, cursor: str, count: int) -> list[str]:
    """Decode a cursor into `count` values. Raise `PageError` for the argument if the cursor is invalid."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True).decode().split("|")
    except (ValueError, binascii.Error):
        parts = []
    if len(parts) != count:
        raise PageError(argument, "is not a cursor of this list.")
    return parts


def decode_id(argument: str, cursor: str) -> UUID:
    """Return the id in a cursor of a list that is sorted by ids. Raise `PageError` if the cursor is invalid."""
    (row_id,) = decode_cursor(argument, cursor, 1)
    try:
        return UUID(row_id)
    except ValueError:
        raise PageError(argument, "is not a cursor of this list.") from None
