"""The amount of stored and shown text that one request may take.

Messages are counted where their rows are decoded, and again where their text enters the response, because one message
may be selected many times. The count follows the request through its tasks.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

MAX_CHARACTERS = 10_000_000
"""Of one response, and of the messages that are read for it. To decode or to encode so many takes about 50 ms."""


class ReadLimitExceeded(Exception):
    """The request takes more than `MAX_CHARACTERS`."""

    def __init__(self) -> None:
        """Say what the client can do."""
        super().__init__(
            f"The response would hold more than {MAX_CHARACTERS:,} characters: ask for smaller pages, with `first` or"
            " `last`, and for each text once."
        )


@dataclass(slots=True)
class _Counts:
    """The characters that one request has taken so far."""

    stored: int = 0
    shown: int = 0


_counts: ContextVar[_Counts | None] = ContextVar("read_limit", default=None)


@contextmanager
def read_limit() -> Generator[None]:
    """Count what is read and shown from here on, in this task and in those that it starts."""
    token = _counts.set(_Counts())
    try:
        yield
    finally:
        _counts.reset(token)


@contextmanager
def without_read_limit() -> Generator[None]:
    """Count nothing: for what the server reads for itself, such as the branch that it sends to Claude."""
    token = _counts.set(None)
    try:
        yield
    finally:
        _counts.reset(token)


def lift_read_limit() -> None:
    """Count nothing from here on in this context: for work that outlives the request that began it."""
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
        counts.shown += characters
        if counts.shown > MAX_CHARACTERS:
            raise ReadLimitExceeded
