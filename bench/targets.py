"""The targets of all parts: limits for medians, and for the ratio of two candidates that ran in turns."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Target:
    """A limit for the median of a figure; with `to`, for its ratio to the median of another candidate."""

    part: str
    figure: str
    candidate: str
    relation: Literal["<=", ">="]
    limit: float
    to: str | None = None
    enough: float | None = None
    """A median, in the unit of the figure, that meets the target with any ratio."""

    @property
    def name(self) -> str:
        """Return the figure and its candidates."""
        return f"{self.figure}, {self.candidate}" + (f" / {self.to}" if self.to else "")

    @property
    def wanted(self) -> str:
        """Return the limit as text."""
        return f"{self.relation} {self.limit:g}" + (f" or {self.enough:g}" if self.enough is not None else "")

    def met(self, value: float, median: float) -> bool:
        """Return whether a value, a ratio or the median itself, meets the target."""
        if self.enough is not None and median <= self.enough:
            return True
        return value <= self.limit if self.relation == "<=" else value >= self.limit


TARGETS = (
    # As they run: Tertulia merges deltas when its event loop is overloaded.
    Target("streams", "200 answers: CPU per token", "tertulia", "<=", 0.55, to="node"),
    Target("streams", "20 answers: CPU per token", "tertulia", "<=", 0.6, to="node"),
    Target("streams", "200 answers: p99", "tertulia", "<=", 1.5, to="relay", enough=15),
    # With as many deltas per token.
    Target("streams", "200 answers: CPU per token", "tertulia-unmerged", "<=", 0.55, to="node"),
    Target("streams", "200 answers: CPU per token", "tertulia-unmerged", "<=", 1.8, to="relay"),
    Target("streams", "200 answers: CPU per token", "tertulia", "<=", 1.8, to="relay-merging"),
    Target("capacity", "answers served", "tertulia", ">=", 2, to="node"),
    Target("flat", "100 answers without a pace", "tertulia", ">=", 4, to="node"),
    Target("first", "first text: median", "tertulia", "<=", 1.2, to="node"),
    Target("first", "first text: median", "tertulia-untitled", "<=", 1.2, to="node"),
    Target("long", "other answers, during sends: max", "5,000 messages", "<=", 1, to="10 messages", enough=10),
    Target("client", "20 answers: CPU per token", "load", "<=", 1.15, to="second client"),
    Target("client", "20 answers: CPU per token", "load", ">=", 0.85, to="second client"),
    Target("client", "20 answers: deltas per token", "load", "<=", 1.02, to="second client"),
    Target("client", "20 answers: deltas per token", "load", ">=", 0.98, to="second client"),
    Target("followers", "1,000 followers: CPU per frame", "tertulia", "<=", 1.5, to="broadcast", enough=8),
    # Tokens are merged only by a core that is full.
    Target("pacing", "100 answers: deltas per token", "tertulia", ">=", 0.98, to="tertulia-unmerged"),
    Target("pacing", "100 answers: p99", "tertulia", "<=", 1.5, to="tertulia-unmerged", enough=15),
    Target("tails", "longest pause", "tertulia", "<=", 20),
    Target("joined", "20 answers: p50", "joined", "<=", 10),
    Target("joined", "20 answers: p99", "joined", "<=", 2, to="embedded"),
    Target("joined", "200 answers: p99", "joined", "<=", 60),
    Target("joined", "200 answers: CPU per token", "joined", "<=", 1.5, to="embedded"),
    Target("joined", "20 answers: CPU per token", "joined", "<=", 1.5, to="embedded"),
    Target("joined", "200 answers: Redis commands processed per answer", "joined", "<=", 25),
    Target("joined", "20 answers: Redis commands processed per answer", "joined", "<=", 25),
    Target("joined", "two replicas: p99", "other replica", "<=", 3, to="same replica"),
    Target("memory", "200 answers: resident", "tertulia", "<=", 1.2, to="naive"),
    Target("memory", "per idle subscription", "tertulia", "<=", 40),
    Target("memory", "tokens: end / middle", "tertulia", "<=", 1.1),
    Target("memory", "conversations: end / middle", "tertulia", "<=", 1.1),
    Target("opening", "a socket with a subscription: CPU to open", "tertulia", "<=", 0.35, to="naive"),
    Target("queries", "first page of 50: CPU per request", "tertulia", "<=", 4, to="handwritten"),
    Target("queries", "first page of 50: CPU per request", "tertulia", "<=", 0.25, to="naive"),
    Target("queries", "first page of 50: SQL statements", "tertulia", "<=", 3),
    Target("queries", "middle / first page: CPU per request", "tertulia", "<=", 1.2),
    Target("queries", "{ viewer { id } }: requests", "tertulia", ">=", 2, to="naive"),
    *(
        Target(part, f"{what}: {figure}", larger, "<=", limit, to=smaller)
        for part, larger, smaller, requests in (
            ("messages", "10,000 messages", "100 messages", ("last 20",)),
            (
                "lists",
                "10,000 conversations",
                "1,000 conversations",
                ("last active", "oldest", "by title", "title contains"),
            ),
        )
        for what in requests
        for figure, limit in (("CPU per request", 1.5), ("steps", 1.1))
    ),
    *(
        Target("search", f"{what}: CPU per request", "100,000 messages", "<=", 1.5, to="10,000 messages")
        for what in ("rare word", "common word", "common phrase", "prefix")
    ),
    Target("start", "ready to serve", "tertulia", "<=", 1.3, to="imports alone"),
    Target("start", "large modules imported by --help", "tertulia", "<=", 0),
    Target("caching", "a long system prompt: billed input", "cached", "<=", 0.2, to="uncached"),
    Target("caching", "a PDF of 50 pages: billed input", "cached", "<=", 0.2, to="uncached"),
    Target("shared", "all messages: share of the input from the cache", "variables last", ">=", 90),
    Target("filter", "20 answers: CPU per token", "a filter that changes nothing", "<=", 1.25, to="tertulia"),
    Target("filter", "20 answers: CPU per token", "a Redactor", "<=", 1.25, to="tertulia"),
)
