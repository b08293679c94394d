"""Limits on how much one server follows at once."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from graphql import GraphQLError


@dataclass(slots=True)
class Subscriptions:
    """Counts the subscriptions that are open in this process, whatever carries them."""

    per_socket: int
    at_once: int
    open: int = 0
    _ending: int = 0
    _none: asyncio.Event = field(default_factory=asyncio.Event)

    @contextmanager
    def one(self, *, ends: bool = False) -> Generator[None]:
        """Count one more, or raise an error with the code RATE_LIMITED; `ends`: it ends by itself with an answer."""
        if self.open >= self.at_once:
            raise too_many(f"This server follows at most {self.at_once:,} subscriptions at once; come back later.")
        self.open += 1
        self._ending += ends
        try:
            yield
        finally:
            self.open -= 1
            self._ending -= ends
            if not self._ending:
                self._none.set()

    async def told(self, patience: float) -> None:
        """Wait until those who follow answers have been told their ends, for `patience` seconds at most."""
        self._none.clear()
        with suppress(TimeoutError):
            if self._ending:
                await asyncio.wait_for(self._none.wait(), patience)


def too_many(message: str) -> GraphQLError:
    """Make the error of a limit that is reached."""
    return GraphQLError(message, extensions={"code": "RATE_LIMITED"})
