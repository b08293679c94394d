"""The limit on the text that a request may read and return.

Text is counted when the rows of messages are decoded, and again when it enters the response, because one message may be
selected many times. All tasks of a request share the count.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

MAX_CHARACTERS = 10_000_000
"""The maximum number of characters of a response, and of the messages read for it. Decoding them takes about 50 ms."""


class ReadLimitExceeded(Exception):
    """The request reads or returns more than `MAX_CHARACTERS`."""

    def __init__(self) -> None:
        """Create an error that tells the client how to stay within the limit."""
        super().__init__(
            f"The response would contain more than {MAX_CHARACTERS:,} characters. Request smaller pages, with `first`"
            " or `last`, and select each text only once."
        )


@dataclass(slots=True)
class _Counts:
    """The characters that one request has read and returned so far."""

    stored: int = 0
    response: int = 0


_counts: ContextVar[_Counts | None] = ContextVar("read_limit", default=None)


@contextmanager
def read_limit() -> Generator[None]:
    """Limit the text that this task, and tasks that it starts, read and return."""
    token = _counts.set(_Counts())
    try:
        yield
    finally:
        _counts.reset(token)


@contextmanager
def without_read_limit() -> Generator[None]:
    """Disable the limit for internal reads, for example of the branch that is sent to Claude."""
    token = _counts.set(None)
    try:
        yield
    finally:
        _counts.reset(token)


def lift_read_limit() -> None:
    """Disable the limit in this context, for a task that outlives its request."""
    _counts.set(None)


def count_stored(characters: int) -> None:
    """Count the characters of a stored value before it is decoded. Raise `ReadLimitExceeded` above the limit."""
    counts = _counts.get()
    if counts is not None:
        counts.stored += characters
        if counts.stored > MAX_CHARACTERS:
            raise ReadLimitExceeded


def count_shown(characters: int) -> None:
    """Count the characters of a value of the response. Raise `ReadLimitExceeded` above the limit."""
    counts = _counts.get()
    if counts is not None:
        counts.response += characters
        if counts.response > MAX_CHARACTERS:
            raise ReadLimitExceeded
