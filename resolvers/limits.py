"""Limits on how much one server follows at once."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from graphql import GraphQLError


@dataclass(slots=True)
class Subscriptions:
    """Counts the subscriptions that are open in this process, whatever carries them."""

    per_socket: int
    at_once: int
    open: int = 0

    @contextmanager
    def one(self) -> Generator[None]:
        """Count one more, or raise an error with the code RATE_LIMITED."""
        if self.open >= self.at_once:
            raise too_many(f"This server follows at most {self.at_once:,} subscriptions at once; come back later.")
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1


def too_many(message: str) -> GraphQLError:
    """Make the error of a limit that is reached."""
    return GraphQLError(message, extensions={"code": "RATE_LIMITED"})
