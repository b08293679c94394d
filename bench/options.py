"""The options of a run: parts, rounds, peers, and the durations and counts of its measurements."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from bench.peers.candidates import NODE, TERTULIA_ITSELF, Candidate
from bench.processes import node

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line."""

    rounds: int = 3
    """How often each candidate is measured."""
    minutes: float = 1.0
    """How long `tails` measures."""
    quick: bool = False
    peers: frozenset[str] | None = None
    """The names of the peers that Tertulia is compared with; None for all."""

    def present(self, *candidates: Candidate) -> list[Candidate]:
        """Return the candidates without peers that were not selected, and without Node if it is not installed."""
        selected = {*self.peers, TERTULIA_ITSELF.name} if self.peers is not None else {one.name for one in candidates}
        return [one for one in candidates if one.name in selected and (one is not NODE or node())]

    def turns(self, *candidates: T) -> Iterator[T]:
        """Yield all candidates once per round, each round in another order: A B C, B C A, C A B."""
        for number in range(self.rounds):
            first = number % len(candidates)
            yield from (*candidates[first:], *candidates[:first])

    def steady(self) -> dict[str, float]:
        """Return the seconds of a steady load."""
        return {"warm": 0.3, "seconds": 1} if self.quick else {"warm": 2, "seconds": 6}

    def step(self) -> dict[str, float]:
        """Return the seconds of a short load: one step of a search."""
        return {"warm": 0.2, "seconds": 0.5} if self.quick else {"warm": 2, "seconds": 4}

    def requests(self) -> dict[str, float]:
        """Return the seconds for which one kind of request is repeated."""
        return {"warm": 0.2, "seconds": 0.5} if self.quick else {"warm": 1, "seconds": 2.5}

    def flat(self) -> dict[str, float]:
        """Return the tokens of an answer without a pace, and the seconds that are enough for slow candidates."""
        return {"tokens": 100, "seconds": 5} if self.quick else {"tokens": 2000, "seconds": 20}

    def loads(self, *counts: int) -> tuple[int, ...]:
        """Return all numbers of answers, or only the first in a quick run."""
        return counts[:1] if self.quick else counts

    def count(self, whole: int) -> int:
        """Return `whole`, or a tenth of it in a quick run, but at least 10."""
        return min(whole, max(whole // 10, 10)) if self.quick else whole
