"""Simulates an installation that grows: the plots and the tables of docs/scaling.md.

python -m bench.scaling.simulation          prints the tables
python -m bench.scaling.simulation --write  puts them into docs/scaling.md, and the plots into docs/pictures

Each constant says where it was measured; measure again on your machine, put your figures here, and look. What is
computed from them is a straight line, but for two things: waiting at a core, which is played event by event with the
product's own rule of gathering (`claude.backpressure`), and signals, which every replica hears from every other one.
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
from tertulia.claude.backpressure import LOOK_SECONDS, Backpressure

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "scaling.md"
PICTURES = ROOT / "docs" / "pictures"

# ---- measured: two virtual cores (AMD EPYC, 2.6 GHz) of a machine that others used too; docs/scaling.md says how -----

TOKENS_A_SECOND = 37
"""Of one answer, its start and end included: `bench.people`, tokens a second over answers at once."""
SECONDS_AN_ANSWER = 4.6
"""`bench.people`, answers at once over answers a second."""
TURN_US, TOKEN_US = 105.0, 47.0
"""CPU of a turn of an idle loop, and of a token besides: `bench.load steady` (part `streams` of `make bench`)
gives 152 µs a token at 20 answers (15 % of the core: each token finds it idle), 75 µs at 200 (74 %: a quarter do)."""
ANSWER_MS = 35.0
"""CPU of all else that belongs to one answer: its send, subscription and saves, refreshes, stops, lists, searches.
`bench.people`, 150 to 294 users: CPU less that of tokens, over answers a second: 26 to 41."""
STEPS = ((59, 0.2, 3.0, 66.8), (63, 0.5, 14.8, 175.5), (94, 0.7, 36.2, 1866.6))
"""Answers at once; 50th and 99th percentile of a token, 99th of a send, in ms: `bench.people`, 150, 210, 294 users."""
FULL_EMBEDDED, FULL_JOINED, FULL_REMOTE = 90, 78, 57
"""Answers at once over the share of the core: `bench.people`, its means over the steps; `--setup joined`; and
`--setup joined --replicas 2`, where each answer is read on another replica."""

REDIS_COMMANDS = (124.0, 145.0)
"""Of one answer a second, those inside of scripts included. First: read where it is written, `bench.people --setup
joined`; second: on another replica, `--replicas 2`."""
REDIS_US = 3.5
"""Redis's CPU for a command: `bench.redis_cost.alone`, 100 answers. With fewer, waking up is most of it: 5 µs at 25."""
REDIS_IN, REDIS_OUT = (7_000.0, 13_000.0), (210.0, 3_800.0)
"""Bytes of one answer a second: the same two."""
STREAM_BYTES = 58.0
"""What Redis keeps of a token, by MEMORY USAGE of all streams behind `bench.people --setup joined`."""
KEPT_SECONDS = 900.0
"""Streams live so long past their end: streams/memory.py."""

PG_COMMITS, PG_MS = 2.5, 0.77
"""Of one answer a second, and PostgreSQL's CPU for each, all its processes: `bench.people --setup joined`."""
PG_WAL = 4_700.0
"""Bytes of write-ahead log of one answer a second: the same."""
PG_STORED = 7_400.0
"""Bytes that an answer of 163 tokens leaves behind, with its question and all indexes: the tables behind that load."""
PG_CONNECTIONS = 21
"""Of one process at most: db/database.py."""

SIGNALS, SIGNAL_US, SIGNAL_BYTES = 3, 32.0, 100
"""Of one answer, every process hears: generation/manager.py; CPU of one: `bench.redis_cost.alone`; its bytes."""

# ---- assumed -----------------------------------------------------------------------------------------------------

BUSY = 0.7
"""The share of a core, or of Redis, that one plans with: behind it, waits bend upwards."""
PG_CORES = 16
PG_DEFAULT_CONNECTIONS = 100
CLAUDE_TOKENS_A_MINUTE = 2_000_000
"""Output tokens of an organisation, for example. Yours: the header `anthropic-ratelimit-output-tokens-limit`."""
SIZES = (10, 1_000, 10_000, 100_000)

# ---- one core, played event by event -------------------------------------------------------------------------------

REQUESTS, SLICES = 2, 20
"""Of an answer: its beginning and its end, each of so many turns of the event loop; others have theirs in between."""
WRITERS = 2
"""Requests that get on side by side: SQLite has one writer at a time, and one more reads or waits for the loop."""
PLAYED_SECONDS = 12.0


@dataclass(slots=True)
class _Core:
    """One core: a queue of turns, served in the order of their moments."""

    answers: int
    backpressure: Backpressure = field(default_factory=Backpressure)
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    events: list[tuple[float, int, str, int]] = field(default_factory=list[tuple[float, int, str, int]])
    waiting: list[list[float]] = field(default_factory=list[list[float]])
    """Of each answer, when the tokens were written that nobody has been sent."""
    woken: set[int] = field(default_factory=set[int])
    late: list[float] = field(default_factory=list[float])
    asked: deque[float] = field(default_factory=deque[float])
    """When the requests came that wait for their turn."""
    served: list[float] = field(default_factory=list[float])
    serving: int = 0
    begun: deque[float] = field(default_factory=deque[float])
    free: float = 0.0
    busy: float = 0.0
    number: int = 0

    def add(self, moment: float, what: str, which: int = 0) -> None:
        """Let something happen at a moment."""
        self.number += 1
        heapq.heappush(self.events, (moment, self.number, what, which))

    def play(self) -> None:
        """Begin all answers, and play to the end."""
        self.waiting = [[] for _ in range(self.answers)]
        for which in range(self.answers):
            self.add(self.chance.random() / TOKENS_A_SECOND, "token", which)
        self.add(0.0, "request")
        self.add(LOOK_SECONDS, "look")
        while self.events[0][0] < PLAYED_SECONDS:
            moment, _, what, which = heapq.heappop(self.events)
            begun = max(self.free, moment)
            cost = self.turn(what, which, moment, begun)
            if cost:
                # A turn of the loop that others share costs them nothing.
                cost += TURN_US / 1e6 if begun == moment else 0.0
                self.free = begun + cost
                self.busy += cost

    def turn(self, what: str, which: int, moment: float, begun: float) -> float:
        """Do what is due; give the seconds that it took."""
        if what == "token":
            self.waiting[which].append(moment)
            if which not in self.woken:
                self.woken.add(which)
                self.add(moment, "wake", which)
            self.add(moment + 1 / TOKENS_A_SECOND, "token", which)
        elif what == "wake":
            return self.wake(which, begun)
        elif what == "request":
            self.asked.append(moment)
            self.serve(moment)
            self.add(moment + self.chance.expovariate(REQUESTS * self.answers / SECONDS_AN_ANSWER), "request")
        elif what == "slice":
            cost = ANSWER_MS / 1000 / REQUESTS / SLICES
            self.slice(which, begun + cost)
            return cost
        else:
            self.backpressure.adapt(begun - moment)
            self.add(begun + LOOK_SECONDS, "look")
        return 0.0

    def serve(self, moment: float) -> None:
        """Begin a request where one waits, and there is room."""
        if self.asked and self.serving < WRITERS:
            self.serving += 1
            since = self.asked.popleft()
            self.begun.append(since)
            self.add(moment, "slice", SLICES)

    def slice(self, left: int, ended: float) -> None:
        """Go on with a request, or end it."""
        if left > 1:
            self.add(ended, "slice", left - 1)
            return
        self.serving -= 1
        self.served.append(1000 * (ended - self.begun.popleft()))
        self.serve(ended)

    def wake(self, which: int, begun: float) -> float:
        """Show all that an answer has; it rests behind it, where the loop is late, and what comes is gathered."""
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
    """Play a core; give a token's 50th and 99th percentile, a request's 99th, in ms, and the share of the core."""
    core = _Core(answers)
    core.play()
    late = percentile(core.late, 0.5), percentile(core.late, 0.99)
    return *late, percentile(core.served, 0.99), core.busy / PLAYED_SECONDS


# ---- an installation -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Need:
    """What so many answers at once need."""

    answers: float

    @property
    def signals(self) -> float:
        """Signals a second, all of which every process hears."""
        return SIGNALS * self.answers / SECONDS_AN_ANSWER

    @property
    def hearing(self) -> float:
        """The share of its core that each process spends on them."""
        return self.signals * SIGNAL_US / 1e6

    @property
    def remote(self) -> float:
        """The share of answers that are read on another replica than their own, where nothing keeps them together."""
        return 0.0 if self.answers <= FULL_JOINED * BUSY else 1 - 1 / max(self.answers / FULL_REMOTE / BUSY, 2)

    def between(self, here: float, elsewhere: float) -> float:
        """Mix what an answer costs that is read where it is written, and one that is not."""
        return here + self.remote * (elsewhere - here)

    @property
    def replicas(self) -> float:
        """How many cores of replicas; endless where hearing alone fills each of them."""
        left = BUSY - self.hearing
        each = self.between(1 / FULL_JOINED, 1 / FULL_REMOTE)
        return max(1, math.ceil(self.answers * each / left)) if left > 0 else math.inf

    @property
    def commands(self) -> float:
        """Redis's commands a second."""
        return self.answers * self.between(*REDIS_COMMANDS)

    @property
    def redis(self) -> float:
        """The share of Redis's one thread."""
        return self.commands * REDIS_US / 1e6

    @property
    def network(self) -> float:
        """Megabytes a second into and out of Redis: streams, and signals to all."""
        heard = self.signals * SIGNAL_BYTES * self.replicas
        return (self.answers * (self.between(*REDIS_IN) + self.between(*REDIS_OUT)) + heard) / 1e6

    @property
    def streams(self) -> float:
        """Megabytes of streams that Redis holds, of answers that run and that ended a quarter of an hour ago."""
        return self.answers * TOKENS_A_SECOND * (KEPT_SECONDS + SECONDS_AN_ANSWER / 2) * STREAM_BYTES / 1e6

    @property
    def commits(self) -> float:
        """PostgreSQL's commits a second."""
        return self.answers * PG_COMMITS

    @property
    def postgres(self) -> float:
        """Cores of PostgreSQL."""
        return self.commits * PG_MS / 1000

    @property
    def wal(self) -> float:
        """Megabytes a second of write-ahead log."""
        return self.answers * PG_WAL / 1e6

    @property
    def connections(self) -> float:
        """Connections to PostgreSQL."""
        return self.replicas * PG_CONNECTIONS

    @property
    def stored(self) -> float:
        """Gigabytes that a day leaves in PostgreSQL, were it as busy all day."""
        return self.answers / SECONDS_AN_ANSWER * 86_400 * PG_STORED / 1e9

    @property
    def claude(self) -> float:
        """Output tokens a minute."""
        return self.answers * TOKENS_A_SECOND * 60


def limits() -> dict[str, float]:
    """Give at how many answers at once each limit is met, the first one first."""
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


def _first(met: Callable[[Need], bool]) -> float:
    """Find the least number of answers that meets a limit, to a hundredth."""
    answers = 1.0
    while not met(Need(answers)):
        answers *= 1.01
    return answers


# ---- tables ----------------------------------------------------------------------------------------------------------


def shown(value: float) -> str:
    """Give a number with two digits that count."""
    if math.isinf(value):
        return "no number suffices"
    if value >= 100:  # noqa: PLR2004 - whole numbers need no point
        rounded = round(value, 1 - math.floor(math.log10(value)))
        return f"{rounded:,.0f}"
    return f"{value:.2g}" if value else "0"


def needs_table() -> str:
    """Say what sizes need, one line a thing."""
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
    """Say where each limit is met."""
    rows = [f"| {name} | {shown(answers)} |" for name, answers in limits().items()]
    return "\n".join(["| limit | reached at this number of concurrent answers |", "| --- | ---: |", *rows])


TABLES = {"needs": needs_table, "limits": limits_table}


def with_tables(page: str) -> str:
    """Put the tables between their marks."""
    for name, table in TABLES.items():
        begin, end = f"<!-- table: {name} -->\n", f"<!-- end of {name} -->"
        before, found, rest = page.partition(begin)
        _, closed, behind = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the page has no place for the table {name}")
        page = f"{before}{begin}\n{table()}\n\n{end}{behind}"
    return page


def main() -> int:
    """Print the tables, or write them and the plots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into docs/scaling.md and docs/pictures")
    if not parser.parse_args().write:
        print("\n\n".join(table() for table in TABLES.values()))
        return 0
    from bench.scaling.plots import draw

    PAGE.write_text(with_tables(PAGE.read_text()))
    draw(PICTURES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
