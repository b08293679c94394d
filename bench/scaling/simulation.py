"""Simulate a growing installation: the tables and the plots of docs/scaling.md.

python -m bench.scaling.simulation          prints the tables
python -m bench.scaling.simulation --write  writes them to docs/scaling.md, and the plots to docs/pictures

The comment of each constant names the measurement. To simulate your machine, measure again and replace the constants.
All results are linear in them, with two exceptions: the latency of a core is simulated event by event with Tertulia's
rule for merging tokens (`claude.backpressure`), and every replica receives the signals of all others.
"""

import argparse
import heapq
import math
import random
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.measuring import percentile
from tertulia.claude.backpressure import SAMPLE_SECONDS, Backpressure

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "scaling.md"
PICTURES = ROOT / "docs" / "pictures"

# ---- measured on two virtual cores (AMD EPYC, 2.6 GHz) of a shared machine; docs/scaling.md describes how ------------

TOKENS_A_SECOND = 37
"""Of one answer, including its start and end: `bench.people`, tokens per second / concurrent answers."""
SECONDS_AN_ANSWER = 4.6
"""`bench.people`, concurrent answers / answers per second."""
TURN_US, TOKEN_US = 105.0, 47.0
"""CPU of a turn of an idle event loop, and of a token in addition: `bench.load steady` (part `streams` of `make bench`)
measures 152 µs per token with 20 answers (15 % of the core: the loop is idle at each token), and 75 µs with 200 (74 %:
it is idle at a quarter of the tokens)."""
ANSWER_MS = 35.0
"""CPU of everything else per answer: its send, subscription and saves, refreshes, stops, lists, searches.
`bench.people`, 150 to 294 users: CPU without that of tokens / answers per second: 26 to 41."""
STEPS = ((59, 0.2, 3.0, 66.8), (63, 0.5, 14.8, 175.5), (94, 0.7, 36.2, 1866.6))
"""Concurrent answers; p50 and p99 of a token, p99 of a send, in ms: `bench.people` with 150, 210 and 294 users."""
FULL_EMBEDDED, FULL_JOINED, FULL_REMOTE = 90, 78, 57
"""Concurrent answers / share of the core: `bench.people`, means over the steps; `--setup joined`; and
`--setup joined --replicas 2`, where each answer is read on another replica."""

REDIS_COMMANDS = (6.0, 6.0)
"""Of one answer per second, including commands inside scripts: `bench.redis_cost.alone`, 100 answers that one process
writes and another one reads. A process with 25 answers needs 18 per answer, and one with 400 needs 3, because a batch
costs the same for any number of answers. First: read on the replica that writes it. Second: read on another replica."""
REDIS_US = 46.0
"""Redis's CPU per command: `bench.redis_cost.alone`, 100 answers. A command has the events of many answers."""
REDIS_IN, REDIS_OUT = (6_500.0, 6_500.0), (210.0, 2_700.0)
"""Bytes of one answer per second, in the same two cases: `bench.redis_cost.alone`; the 210 are `bench.people --setup
joined`."""
STREAM_BYTES = 58.0
"""Redis's memory per token: MEMORY USAGE of all streams after `bench.people --setup joined`."""
KEPT_SECONDS = 900.0
"""Streams are kept for this long after their end: streams/memory.py."""

PG_COMMITS, PG_MS = 2.5, 0.77
"""Of one answer per second, and the CPU of all PostgreSQL processes per commit: `bench.people --setup joined`."""
PG_WAL = 4_700.0
"""Bytes of write-ahead log of one answer per second, by the same load."""
PG_STORED = 7_400.0
"""Stored bytes per answer of 163 tokens, with its question and all indexes: the tables after that load."""
PG_CONNECTIONS = 21
"""The maximum of one process: db/database.py."""

SIGNALS, SIGNAL_US, SIGNAL_BYTES = 3, 32.0, 100
"""Per answer, received by every process: generation/manager.py; CPU of each: `bench.redis_cost.alone`; its bytes."""

# ---- assumed -----------------------------------------------------------------------------------------------------

BUSY = 0.7
"""The share of a core, or of Redis, for planning: above it, latencies grow quickly."""
PG_CORES = 16
PG_DEFAULT_CONNECTIONS = 100
CLAUDE_TOKENS_A_MINUTE = 2_000_000
"""An example of an organisation's output tokens. See your header `anthropic-ratelimit-output-tokens-limit`."""
SIZES = (10, 1_000, 10_000, 100_000)

# ---- one core, simulated event by event ----------------------------------------------------------------------------

REQUESTS, SLICES = 2, 20
"""Per answer, at its beginning and end. Each takes this many turns of the event loop, and others run in between."""
WRITERS = 2
"""Requests that progress at the same time: SQLite has one writer, and one more request reads or waits for the loop."""
PLAYED_SECONDS = 12.0


@dataclass(slots=True)
class _Core:
    """One core: a queue of turns, which are run in the order of their times."""

    answers: int
    backpressure: Backpressure = field(default_factory=Backpressure)
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    events: list[tuple[float, int, str, int]] = field(default_factory=list[tuple[float, int, str, int]])
    waiting: list[list[float]] = field(default_factory=list[list[float]])
    """For each answer, the times at which its unsent tokens were written."""
    woken: set[int] = field(default_factory=set[int])
    late: list[float] = field(default_factory=list[float])
    asked: deque[float] = field(default_factory=deque[float])
    """The arrival times of the waiting requests."""
    served: list[float] = field(default_factory=list[float])
    serving: int = 0
    begun: deque[float] = field(default_factory=deque[float])
    free: float = 0.0
    busy: float = 0.0
    busy_at_sample: float = 0.0
    sampled_at: float = 0.0
    number: int = 0

    def add(self, time: float, what: str, which: int = 0) -> None:
        """Schedule an event at a time."""
        self.number += 1
        heapq.heappush(self.events, (time, self.number, what, which))

    def play(self) -> None:
        """Start all answers, and simulate until the end."""
        self.waiting = [[] for _ in range(self.answers)]
        for which in range(self.answers):
            self.add(self.chance.random() / TOKENS_A_SECOND, "token", which)
        self.add(0.0, "request")
        self.add(SAMPLE_SECONDS, "sample")
        while self.events[0][0] < PLAYED_SECONDS:
            time, _, what, which = heapq.heappop(self.events)
            begun = max(self.free, time)
            cost = self.turn(what, which, time, begun)
            if cost:
                # Several events in one turn of the loop share the cost of the turn.
                cost += TURN_US / 1e6 if begun == time else 0.0
                self.free = begun + cost
                self.busy += cost

    def turn(self, what: str, which: int, time: float, begun: float) -> float:
        """Execute an event, and return the seconds that it took."""
        if what == "token":
            self.waiting[which].append(time)
            if which not in self.woken:
                self.woken.add(which)
                self.add(time, "wake", which)
            self.add(time + 1 / TOKENS_A_SECOND, "token", which)
        elif what == "wake":
            return self.wake(which, begun)
        elif what == "request":
            self.asked.append(time)
            self.serve(time)
            self.add(time + self.chance.expovariate(REQUESTS * self.answers / SECONDS_AN_ANSWER), "request")
        elif what == "slice":
            cost = ANSWER_MS / 1000 / REQUESTS / SLICES
            self.slice(which, begun + cost)
            return cost
        else:
            self.backpressure.adapt(begun - time, (self.busy - self.busy_at_sample) / (begun - self.sampled_at))
            self.busy_at_sample, self.sampled_at = self.busy, begun
            self.add(begun + SAMPLE_SECONDS, "sample")
        return 0.0

    def serve(self, time: float) -> None:
        """Start a waiting request if fewer than WRITERS are running."""
        if self.asked and self.serving < WRITERS:
            self.serving += 1
            since = self.asked.popleft()
            self.begun.append(since)
            self.add(time, "slice", SLICES)

    def slice(self, remaining: int, ended: float) -> None:
        """Continue a request, or end it."""
        if remaining > 1:
            self.add(ended, "slice", remaining - 1)
            return
        self.serving -= 1
        self.served.append(1000 * (ended - self.begun.popleft()))
        self.serve(ended)

    def wake(self, which: int, begun: float) -> float:
        """Send the waiting tokens of an answer. If the loop is late, the answer then pauses, which merges tokens."""
        waiting = self.waiting[which]
        self.woken.discard(which)
        if not waiting:
            return 0.0
        cost = TOKEN_US * len(waiting) / 1e6
        if begun > PLAYED_SECONDS / 3:
            self.late += [1000 * (begun + cost - since) for since in waiting]
        waiting.clear()
        if self.backpressure.delay:
            self.woken.add(which)
            self.add(begun + cost + self.backpressure.delay, "wake", which)
        return cost


def play(answers: int) -> tuple[float, float, float, float]:
    """Simulate a core. Returns p50 and p99 of a token, p99 of a request, in ms, and the used share of the core."""
    core = _Core(answers)
    core.play()
    late = percentile(core.late, 0.5), percentile(core.late, 0.99)
    return *late, percentile(core.served, 0.99), core.busy / PLAYED_SECONDS


# ---- an installation -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Need:
    """The needs of a number of concurrent answers."""

    answers: float

    @property
    def signals(self) -> float:
        """Signals per second, all of which every process receives."""
        return SIGNALS * self.answers / SECONDS_AN_ANSWER

    @property
    def hearing(self) -> float:
        """The share of its core that each process uses for receiving signals."""
        return self.signals * SIGNAL_US / 1e6

    @property
    def remote(self) -> float:
        """The share of answers that are read on another replica than their writer's, without sticky sessions."""
        return 0.0 if self.answers <= FULL_JOINED * BUSY else 1 - 1 / max(self.answers / FULL_REMOTE / BUSY, 2)

    def between(self, here: float, elsewhere: float) -> float:
        """Return the mean cost of answers that are read on the replica that writes them (`here`) and on another one."""
        return here + self.remote * (elsewhere - here)

    @property
    def replicas(self) -> float:
        """The number of cores of replicas; infinite if receiving signals alone fills each core."""
        remaining = BUSY - self.hearing
        cost = self.between(1 / FULL_JOINED, 1 / FULL_REMOTE)
        return max(1, math.ceil(self.answers * cost / remaining)) if remaining > 0 else math.inf

    @property
    def commands(self) -> float:
        """Redis's commands per second."""
        return self.answers * self.between(*REDIS_COMMANDS)

    @property
    def redis(self) -> float:
        """The used share of Redis's single thread."""
        return self.commands * REDIS_US / 1e6

    @property
    def network(self) -> float:
        """Megabytes per second into and out of Redis: streams, and signals to all processes."""
        heard = self.signals * SIGNAL_BYTES * self.replicas
        return (self.answers * (self.between(*REDIS_IN) + self.between(*REDIS_OUT)) + heard) / 1e6

    @property
    def streams(self) -> float:
        """Megabytes of streams in Redis: of running answers, and of those that ended in the last 15 minutes."""
        return self.answers * TOKENS_A_SECOND * (KEPT_SECONDS + SECONDS_AN_ANSWER / 2) * STREAM_BYTES / 1e6

    @property
    def commits(self) -> float:
        """PostgreSQL's commits per second."""
        return self.answers * PG_COMMITS

    @property
    def postgres(self) -> float:
        """Cores of PostgreSQL."""
        return self.commits * PG_MS / 1000

    @property
    def wal(self) -> float:
        """Megabytes of write-ahead log per second."""
        return self.answers * PG_WAL / 1e6

    @property
    def connections(self) -> float:
        """Connections to PostgreSQL."""
        return self.replicas * PG_CONNECTIONS

    @property
    def stored(self) -> float:
        """Gigabytes that are stored in PostgreSQL per day if the load lasts all day."""
        return self.answers / SECONDS_AN_ANSWER * 86_400 * PG_STORED / 1e9

    @property
    def claude(self) -> float:
        """Output tokens per minute."""
        return self.answers * TOKENS_A_SECOND * 60


def limits() -> dict[str, float]:
    """Return the number of concurrent answers at which each limit is reached, in ascending order."""
    found = {
        "one core of one process, planned at 70 %": FULL_JOINED * BUSY,
        f"PostgreSQL's default of {PG_DEFAULT_CONNECTIONS} connections": _first(
            lambda need: need.connections > PG_DEFAULT_CONNECTIONS
        ),
        f"Claude's limit of {CLAUDE_TOKENS_A_MINUTE:,} output tokens per minute": CLAUDE_TOKENS_A_MINUTE
        / TOKENS_A_SECOND
        / 60,
        "Redis's single thread, planned at 70 %": _first(lambda need: need.redis > BUSY),
        f"PostgreSQL with {PG_CORES} cores, planned at 70 %": BUSY * PG_CORES / (PG_COMMITS * PG_MS / 1000),
        "signals, which every process receives, use a tenth of each core": _first(lambda need: need.hearing > 0.1),  # noqa: PLR2004
        "signals use every core entirely": _first(lambda need: math.isinf(need.replicas)),
    }
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _first(reached: Callable[[Need], bool]) -> float:
    """Return the smallest number of answers that reaches a limit, to within one percent."""
    answers = 1.0
    while not reached(Need(answers)):
        answers *= 1.01
    return answers


# ---- tables ----------------------------------------------------------------------------------------------------------


def shown(value: float) -> str:
    """Format a number with two significant digits."""
    if math.isinf(value):
        return "no number suffices"
    if value >= 100:  # noqa: PLR2004 - whole numbers need no decimals
        rounded = round(value, 1 - math.floor(math.log10(value)))
        return f"{rounded:,.0f}"
    return f"{value:.2g}" if value else "0"


def needs_table() -> str:
    """Return the table of the needs of each size."""
    needs = [Need(size) for size in SIZES]
    rows: list[tuple[str, list[float]]] = [
        ("cores of replicas, planned at 70 %", [need.replicas for need in needs]),
        ("share of each core for receiving signals, %", [100 * need.hearing for need in needs]),
        ("Redis: commands/s", [need.commands for need in needs]),
        ("Redis: share of its single thread, %", [100 * need.redis for need in needs]),
        ("Redis: MB/s in and out", [need.network for need in needs]),
        ("Redis: MB of streams", [need.streams for need in needs]),
        ("PostgreSQL: commits/s", [need.commits for need in needs]),
        ("PostgreSQL: cores", [need.postgres for need in needs]),
        ("PostgreSQL: MB/s of WAL", [need.wal for need in needs]),
        ("PostgreSQL: connections, without a pooler", [need.connections for need in needs]),
        ("PostgreSQL: GB stored per day, if busy all day", [need.stored for need in needs]),
        ("Claude: output tokens per minute", [need.claude for need in needs]),
    ]
    lines = ["| concurrent answers | " + " | ".join(f"{size:,}" for size in SIZES) + " |"]
    lines += ["| --- |" + " ---: |" * len(SIZES)]
    lines += [f"| {name} | " + " | ".join(map(shown, values)) + " |" for name, values in rows]
    return "\n".join(lines)


def limits_table() -> str:
    """Return the table of the limits."""
    rows = [f"| {name} | {shown(answers)} |" for name, answers in limits().items()]
    return "\n".join(["| limit | reached at this number of concurrent answers |", "| --- | ---: |", *rows])


TABLES = {"needs": needs_table, "limits": limits_table}


def with_tables(page: str) -> str:
    """Return the page with new tables between their marks."""
    for name, table in TABLES.items():
        begin, end = f"<!-- table: {name} -->\n", f"<!-- end of {name} -->"
        before, opening, remainder = page.partition(begin)
        _, closing, after = remainder.partition(end)
        if not opening or not closing:
            raise ValueError(f"the page has no marks for the table {name}: {begin.strip()} and {end}")
        page = f"{before}{begin}\n{table()}\n\n{end}{after}"
    return page


def main() -> int:
    """Print the tables, or write them and the plots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write to docs/scaling.md and docs/pictures")
    if not parser.parse_args().write:
        print("\n\n".join(table() for table in TABLES.values()))
        return 0
    from bench.scaling.plots import draw

    PAGE.write_text(with_tables(PAGE.read_text()))
    draw(PICTURES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
