"""Simulate people who use a server at the same time, and find how many of them one core can serve.

python -m bench.people                          more and more people, until a token is late or the core is full
python -m bench.people --setup joined           the same with PostgreSQL and Redis
python -m bench.people --users 100 --minutes 2  a fixed number of people, for a fixed time
python -m bench.people --users 150 --soak 60    an hour; plots and judges memory, file handles and more

People think, send, follow, refresh during an answer, follow on a second device, stop, edit, regenerate, list, read and
search. They use real sockets to a real `tertulia serve`, which runs on its own core. Claude is simulated at the pace of
a reading person. Each answer is checked: the text that each client received, the stored text, the text that Claude
wrote, and the text that a stop returned must agree. If a rule is violated, the exit status is 1.
"""

import argparse
import asyncio
import gc
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from bench.measuring import Window, percentile, rss_mb
from bench.people.claude import AUDIENCE, Claude
from bench.people.person import Person, World
from bench.people.samples import Samples, draw, entries
from bench.people.storage import Storage, difference
from bench.processes import HERE, TERTULIA, Cores, Process, choose_cores, databases, folder, free_port

Json = dict[str, Any]

FIRST_USERS = 150
MIN_GROWTH, MAX_GROWTH = 1.1, 1.5
NEARLY_FULL = 0.9
"""The next step has as many users as use about this share of the core, within the limits of the growth."""
TOO_LATE_MS = 100.0
TOO_SLOW_MS = 1000.0
"""From this 99th percentile, a send or a stop is too slow. A full core serves tokens first."""
FULL = 0.94
"""From this share of its core a server is full. With a real-time priority, the kernel grants at most 0.95."""
LOAD_FULL = 0.9
"""From this share of the other core, the load itself may cause the latency."""
RAMP = 1.5
"""People start spread over one thinking pause. The measurement starts after this many thinking pauses."""
LOOK = 0.25
"""Seconds between two samples of the number of running answers."""
LEAVE_SECONDS = 90.0
EXTENSION_MINUTES = 2.0
"""How much longer a load runs at most to complete `--actions`."""
WAITS = ("token", "first token", "send", "refresh", "stop", "list", "read", "search", "answer")


@dataclass(slots=True)
class Step:
    """The measurements of one number of people."""

    users: int
    values: Json = field(default_factory=dict[str, Any])

    @property
    def held(self) -> bool:
        """Whether the core was not full, and tokens, sends and stops were in time."""
        values = self.values
        in_time = values["token"][1] < TOO_LATE_MS and max(values["send"][1], values["stop"][1]) < TOO_SLOW_MS
        return bool(in_time and values["cpu"] < FULL)


@dataclass(slots=True)
class Crowd:
    """The people, and the servers and databases that they use."""

    world: World
    servers: list[Process]
    storage: Storage | None = None
    people: list["asyncio.Task[None]"] = field(default_factory=list[Any])

    async def grow(self, users: int) -> None:
        """Start people until there are `users`, and wait until the load is steady."""
        while len(self.people) < users:
            self.people.append(asyncio.create_task(Person(self.world, len(self.people)).live()))
        await asyncio.sleep(RAMP * self.world.think)

    async def measure(self, seconds: float) -> Step:
        """Measure for this many seconds."""
        tally, claude = self.world.tally, self.world.claude
        pids = [server.pid for server in self.servers]
        stored = await self.storage.counts() if self.storage else {}
        tally.waits, tally.measuring, before = {}, True, tally.counts.copy()
        window, begun, written, at_once = Window(pids), time.monotonic(), claude.counts.tokens, list[int]()
        while (passed := time.monotonic() - begun) < seconds:
            at_once.append(claude.counts.open_streams)
            await asyncio.sleep(min(LOOK, seconds - passed))
        tally.measuring, passed = False, time.monotonic() - begun
        counts = tally.counts - before
        values: Json = {
            "answers_at_once": sum(at_once) / len(at_once),
            "tokens_a_second": (claude.counts.tokens - written) / passed,
            "answers_a_second": counts["answers"] / passed,
            "cpu": sum(window.cpu()) / passed,
            "rss_mb": sum(map(rss_mb, pids)),
            "files": sum(entries(pid, "fd") for pid in pids),
            "counts": dict(counts),
            **window.load(passed),
        }
        if self.storage is not None:
            values |= difference(await self.storage.counts(), stored, passed)
        for what in WAITS:
            found: Sequence[float] = tally.waits.get(what, [])
            values[what] = [percentile(found, 0.5), percentile(found, 0.99), len(found)]
        return Step(len(self.people), values)

    async def leave(self) -> None:
        """Wait until all people have finished their current action, at most 90 seconds, and end them."""
        self.world.leaving.set()
        if self.people:
            _, left = await asyncio.wait(self.people, timeout=LEAVE_SECONDS)
            for person in left:
                self.world.tally.complain("a simulated person did not finish in time")
                person.cancel()
        for person in self.people:
            if person.done() and not person.cancelled() and (error := person.exception()) is not None:
                self.world.tally.complain(f"the load itself failed: {error!r}")


@contextmanager
def stored(setup: str) -> Generator[tuple[Json, Storage | None]]:
    """Yield the settings of the storage, and PostgreSQL and Redis if the setup uses them."""
    if setup == "sqlite":
        yield {}, None
        return
    with databases() as (postgres, listening):
        yield {"DATABASE_URL": postgres, "REDIS_URL": f"unix://{listening}"}, Storage(postgres, listening)


def serve(place: Path, claude: Claude, cores: Cores, settings: Json) -> tuple[Process, int]:
    """Start a server on its core, and return it with its port."""
    port = free_port()
    variables = {
        "ANTHROPIC_API_KEY": "sk-ant-load",
        "ANTHROPIC_BASE_URL": claude.address,
        "TERTULIA_AUTH": "oidc",
        "TERTULIA_OIDC_ISSUER": claude.address,
        "TERTULIA_OIDC_AUDIENCE": AUDIENCE,
        "TERTULIA_LOG_LEVEL": "warning",
        # The simulated people are faster than the users for whom the default limits are meant.
        "TERTULIA_RATE_LIMIT": "6000/minute",
        "TERTULIA_REQUEST_LIMIT": "60000/minute",
        **settings,
    }
    process = Process("tertulia", [TERTULIA, "serve", "--port", str(port)], cores.server, place, variables)
    return process, port


async def run(options: argparse.Namespace, cores: Cores) -> Json:
    """Start the servers and the people, measure, and end them."""
    claude = Claude(options.pace)
    await claude.listen()
    with ExitStack() as stack:
        place = stack.enter_context(folder())
        settings, storage = stack.enter_context(stored(options.setup))
        servers, ports = list[Process](), list[int]()
        if options.traces:
            settings = {**settings, "OTEL_EXPORTER_OTLP_ENDPOINT": claude.address}
        for _ in range(options.replicas):
            process, port = serve(place, claude, cores, settings)
            stack.callback(process.kill)
            await asyncio.to_thread(process.listening, port, "/readyz")
            servers.append(process)
            ports.append(port)
        if options.targets:
            shown = [{"targets": [f"127.0.0.1:{port}"], "labels": {"job": "tertulia"}} for port in ports]
            options.targets.write_text(json.dumps(shown))
        world = World(ports, claude, options.seed, options.think)
        crowd = Crowd(world, servers, storage)
        samples = Samples(servers[0].pid, ports[0], place, storage.redis_socket if storage else None)
        if options.soak:
            steps = await soak(crowd, samples, options)
        elif options.users:
            await crowd.grow(options.users)
            steps = [await crowd.measure(max(60 * options.minutes - RAMP * options.think, 1))]
            until = time.monotonic() + 60 * EXTENSION_MINUTES
            while not set(options.actions) <= world.tally.counts.keys() and time.monotonic() < until:
                steps.append(await crowd.measure(1.0))
            show(steps[-1])
        else:
            steps = await search(crowd, options)
        await crowd.leave()
        result = outcome(world, steps, options, samples)
        if storage is not None:
            result["storage"] = await storage.sizes()
        if world.tally.broken:
            result["log"] = [server.output() for server in servers]
    return result


async def search(crowd: Crowd, options: argparse.Namespace) -> list[Step]:
    """Add people step by step, until the core is full or the time is up."""
    until, users, steps = time.monotonic() + 60 * options.minutes, FIRST_USERS, list[Step]()
    while True:
        await crowd.grow(users)
        steps.append(await crowd.measure(options.step_seconds))
        show(steps[-1])
        if not steps[-1].held or time.monotonic() + options.step_seconds + RAMP * options.think > until:
            return steps
        growth = NEARLY_FULL / max(steps[-1].values["cpu"], 0.01)
        users = int(users * min(max(growth, MIN_GROWTH), MAX_GROWTH))


async def soak(crowd: Crowd, samples: Samples, options: argparse.Namespace) -> list[Step]:
    """Run a constant number of people for a long time, and sample the server."""
    users, steps, until = options.users or FIRST_USERS, list[Step](), time.monotonic() + 60 * options.soak
    gc.enable()
    await crowd.grow(users)
    watching = asyncio.create_task(samples.watch())
    while (left := until - time.monotonic()) > 1:
        steps.append(await crowd.measure(min(60.0, left)))
        show(steps[-1])
        save(outcome(crowd.world, steps, options, samples), options)
    watching.cancel()
    return steps


def outcome(world: World, steps: list[Step], options: argparse.Namespace, samples: Samples) -> Json:
    """Return the result as it is written to JSON."""
    held = [step for step in steps if step.held]
    best = max(held, key=lambda step: step.users, default=None)
    full = min(steps, key=lambda step: abs(step.values["cpu"] - NEARLY_FULL), default=None)
    return {
        "setup": options.setup,
        "replicas": options.replicas,
        "pace": options.pace,
        "think_seconds": options.think,
        "seed": options.seed,
        "broken": world.tally.counts["broken"],
        "complaints": world.tally.broken,
        "counts": dict(world.tally.counts),
        "held": None if best is None else [best.users, best.values["answers_at_once"]],
        "nearly_full": None if full is None else {"users": full.users, **full.values},
        "steps": [{"users": step.users, "held": step.held, **step.values} for step in steps],
        **({"samples": samples.rows, "verdict": samples.verdict()} if samples.rows else {}),
    }


def show(step: Step) -> None:
    """Print a summary of one step."""
    values = step.values
    did: Counter[str] = Counter(values["counts"])
    print(
        f"{step.users} users: {values['answers_at_once']:.0f} answers at once, "
        f"{values['tokens_a_second']:.0f} tokens/s, server {100 * values['cpu']:.0f} % of its core, "
        f"load {100 * values['load_share']:.0f} % of the other core, "
        f"{values['rss_mb']:.0f} MB, {values['files']} files"
    )
    waits = (f"{what} {values[what][0]:.1f}/{values[what][1]:.1f}" for what in WAITS if values[what][2])
    print(f"  p50/p99 in ms: {', '.join(waits)}")
    done = (f"{name} {did[name]}" for name in sorted(did) if name not in ("events", "tokens"))
    print(f"  done: {', '.join(done)}", flush=True)
    if "redis_commands" in values:
        print(
            f"  Redis {values['redis_commands']:.0f} commands/s, {100 * values['redis_cpu']:.0f} % of a core; "
            f"PostgreSQL {values['pg_commits']:.0f} commits/s, {values['pg_wal_bytes'] / 1e6:.2f} MB/s of WAL, "
            f"{100 * values['pg_cpu']:.0f} % of a core, {values['pg_connections']:.0f} connections"
        )
    if values["load_share"] > LOAD_FULL:
        print(
            "  The load's own core was full. The latency may be the load's, and the server may serve more.", flush=True
        )


def conclude(result: Json) -> None:
    """Print the conclusion."""
    if result["held"] and len(result["steps"]) > 1 and "verdict" not in result:
        ended = not result["steps"][-1]["held"]
        print(
            f"One core serves {result['held'][0]} users, {result['held'][1]:.0f} answers at once"
            + (f" ({result['setup']})." if ended else " or more: the time was up.")
        )
        full = result["nearly_full"]
        waits = (f"{what} {full[what][0]:.1f}/{full[what][1]:.1f}" for what in ("token", "send", "stop", "list"))
        print(f"At {100 * full['cpu']:.0f} % of its core, with {full['users']} users, ms: {', '.join(waits)}")
    if "verdict" in result:
        print(f"Verdict of the soak test: {json.dumps(result['verdict'])}")
    print(
        f"{result['counts'].get('answers', 0)} answers were checked; {result['broken']} violations of rules were found."
    )
    for complaint in result["complaints"][:10]:
        print(f"  {complaint}")


def save(result: Json, options: argparse.Namespace) -> None:
    """Write the result, and the plot of a soak test next to it."""
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1))
    if result.get("samples"):
        title = f"{result['steps'][0]['users']} users, {result['setup']}, {result['verdict']['minutes']} minutes"
        draw(result["samples"], options.output.with_suffix(".svg"), title)


def main() -> int:
    """Run one load, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.people", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=0, help="a fixed number of people instead of a growing one")
    parser.add_argument("--minutes", type=float, default=6.0, help="how long the load runs at most")
    parser.add_argument(
        "--actions", nargs="+", default=(), help="with --users, continue until somebody has done each of these"
    )
    parser.add_argument("--soak", type=float, default=0.0, help="minutes of a soak test, which is sampled")
    parser.add_argument("--setup", choices=("sqlite", "joined"), default="sqlite")
    parser.add_argument(
        "--replicas", type=int, default=1, help="on one core, with joined; people follow on the next one"
    )
    parser.add_argument("--think", type=float, default=8.0, help="average seconds between two actions of a person")
    parser.add_argument("--pace", type=float, default=1.0, help="Claude's pace: 1 as fast as a person reads, 0 at once")
    parser.add_argument("--step-seconds", type=float, default=20.0, help="how long each step is measured")
    parser.add_argument("--traces", action="store_true", help="export traces from the servers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--targets", type=Path, default=None, help="write the servers' addresses to this file, for Prometheus"
    )
    parser.add_argument("--output", type=Path, default=None, help="the JSON file to write; by default in bench/results")
    options = parser.parse_args()
    if options.replicas > 1 and options.setup != "joined":
        parser.error("--replicas greater than 1 requires --setup joined")
    options.output = options.output or HERE / "results" / f"load-{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    # The pauses of the load's garbage collector would look like latency of the server. A soak test enables it again.
    gc.disable()
    result = uvloop.run(run(options, choose_cores()))
    conclude(result)
    save(result, options)
    print(f"Written: {options.output}")
    return 1 if result["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
