"""The limit on the text that one request may read and return.

Messages are counted where their rows are decoded, and again where their text enters the response, because one message
may be selected many times. The count is shared by all tasks of the request.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

MAX_CHARACTERS = 10_000_000
"""Characters of one response, and of the messages that are read for it. Decoding that many takes about 50 ms."""


class ReadLimitExceeded(Exception):
    """The request reads or returns more than `MAX_CHARACTERS`."""

    def __init__(self) -> None:
        """Create an error that tells the client how to stay within the limit."""
        super().__init__(
            f"The response would hold more than {MAX_CHARACTERS:,} characters: ask for smaller pages, with `first` or"
            " `last`, and for each text once."
        )


@dataclass(slots=True)
class _Counts:
    """The characters that one request has read and returned so far."""

    stored: int = 0
    response: int = 0


_counts: ContextVar[_Counts | None] = ContextVar("read_limit", default=None)


@contextmanager
def read_limit() -> Generator[None]:
    """Count the text that is read and returned in this task and in tasks that it starts."""
    token = _counts.set(_Counts())
    try:
        yield
    finally:
        _counts.reset(token)


@contextmanager
def without_read_limit() -> Generator[None]:
    """Disable the limit for internal reads, such as the branch that is sent to Claude."""
    token = _counts.set(None)
    try:
        yield
    finally:
        _counts.reset(token)


def lift_read_limit() -> None:
    """Disable the limit in this context, for work that outlives its request."""
    _counts.set(None)


def count_stored(characters: int) -> None:
    """Count characters of a stored value before it is decoded; raise ReadLimitExceeded."""
    counts = _counts.get()
    if counts is not None:
        counts.stored += characters
        if counts.stored > MAX_CHARACTERS:
            raise ReadLimitExceeded


def count_shown(characters: int) -> None:
    """Count characters of a response before it is encoded; raise ReadLimitExceeded."""
    counts = _counts.get()
    if counts is not None:
        counts.response += characters
        if counts.response > MAX_CHARACTERS:
            raise ReadLimitExceeded
