"""Plays people who use a server all at once, and looks for the number that one core holds.

python -m bench.people                          more and more people, until a token is late or the core is full
python -m bench.people --setup joined           the same over PostgreSQL and Redis
python -m bench.people --users 100 --minutes 2  so many people, for so long
python -m bench.people --users 150 --soak 60    an hour; draws and judges memory, file handles and more

People think, send, follow, refresh in mid-answer, follow on a second device, stop, edit, ask again, list, read and
search, over real sockets against a real `tertulia serve` on a core of its own. Claude is simulated at a person's pace.
Each answer is checked: what each follower saw, what is stored, what Claude wrote and what a stop returned must agree.
A broken rule makes the exit status 1.
"""

import argparse
import asyncio
import gc
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Generator
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
GROWTH = 1.4
TOO_LATE_MS = 100.0
TOO_SLOW_MS = 1000.0
"""From which on a send or a stop is too late, the 99th of a hundred: a core that is full serves tokens first."""
FULL = 0.94
"""The share of its core from which on a server is full: with a real-time priority the kernel gives 0.95 at most."""
LOAD_FULL = 0.9
"""The share of the other core from which on the load itself may be what is late."""
RAMP = 1.5
"""People begin spread over a thinking pause; so many of them pass before one measures."""
LOOK = 0.25
"""Seconds between two looks at how many answers are written."""
LEAVE_SECONDS = 90.0
WAITS = ("token", "first token", "send", "refresh", "stop", "list", "read", "search", "answer")


@dataclass(slots=True)
class Step:
    """What was measured of so many people."""

    users: int
    values: Json = field(default_factory=dict[str, Any])

    @property
    def held(self) -> bool:
        """Whether the core had room, and tokens, sends and stops were in time."""
        values = self.values
        in_time = values["token"][1] < TOO_LATE_MS and max(values["send"][1], values["stop"][1]) < TOO_SLOW_MS
        return in_time and values["cpu"] < FULL


@dataclass(slots=True)
class Crowd:
    """The people, and what serves them."""

    world: World
    servers: list[Process]
    storage: Storage | None = None
    people: list["asyncio.Task[None]"] = field(default_factory=list[Any])

    async def grow(self, users: int) -> None:
        """Let people come until there are so many, and settle."""
        while len(self.people) < users:
            self.people.append(asyncio.create_task(Person(self.world, len(self.people)).live()))
        await asyncio.sleep(RAMP * self.world.think)

    async def measure(self, seconds: float) -> Step:
        """Measure for so long."""
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
            found = tally.waits.get(what, [])
            values[what] = [percentile(found, 0.5), percentile(found, 0.99), len(found)]
        return Step(len(self.people), values)

    async def leave(self) -> None:
        """Let everybody finish what they are at, and go."""
        self.world.leaving.set()
        if self.people:
            _, left = await asyncio.wait(self.people, timeout=LEAVE_SECONDS)
            for person in left:
                self.world.tally.complain("somebody did not come to an end")
                person.cancel()
        for person in self.people:
            if person.done() and not person.cancelled() and (error := person.exception()) is not None:
                self.world.tally.complain(f"the load itself failed: {error!r}")


@contextmanager
def stored(setup: str) -> Generator[tuple[Json, Storage | None]]:
    """Give the settings of where a server stores, and PostgreSQL and Redis where they are used."""
    if setup == "sqlite":
        yield {}, None
        return
    with databases() as (postgres, listening):
        yield {"DATABASE_URL": postgres, "REDIS_URL": f"unix://{listening}"}, Storage(postgres, listening)


def serve(place: Path, claude: Claude, cores: Cores, settings: Json) -> tuple[Process, int]:
    """Start a server on its core, in a folder."""
    port = free_port()
    variables = {
        "ANTHROPIC_API_KEY": "sk-ant-load",
        "ANTHROPIC_BASE_URL": claude.address,
        "TERTULIA_AUTH": "oidc",
        "TERTULIA_OIDC_ISSUER": claude.address,
        "TERTULIA_OIDC_AUDIENCE": AUDIENCE,
        "TERTULIA_LOG_LEVEL": "warning",
        # People here are faster than those whom the usual limits are made for.
        "TERTULIA_RATE_LIMIT": "6000/minute",
        "TERTULIA_REQUEST_LIMIT": "60000/minute",
        **settings,
    }
    process = Process("tertulia", [TERTULIA, "serve", "--port", str(port)], cores.server, place, variables)
    return process, port


async def run(options: argparse.Namespace, cores: Cores) -> Json:
    """Start all, let people in, measure, and end all."""
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
            show(steps[-1])
        else:
            steps = await search(crowd, options)
        await crowd.leave()
        result = outcome(world, steps, options, samples)
        if storage is not None:
            result["storage"] = await storage.sizes()
        if world.tally.broken:
            result["log"] = [server.said() for server in servers]
    return result


async def search(crowd: Crowd, options: argparse.Namespace) -> list[Step]:
    """Let more and more people in, until it is too many or the time is up."""
    until, users, steps = time.monotonic() + 60 * options.minutes, FIRST_USERS, list[Step]()
    while True:
        await crowd.grow(users)
        steps.append(await crowd.measure(options.step_seconds))
        show(steps[-1])
        if not steps[-1].held or time.monotonic() + options.step_seconds + RAMP * options.think > until:
            return steps
        users = int(users * GROWTH)


async def soak(crowd: Crowd, samples: Samples, options: argparse.Namespace) -> list[Step]:
    """Let so many people use it for long, and look at it all the time."""
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
    """Put together what was found."""
    held = [step for step in steps if step.held]
    best = max(held, key=lambda step: step.users, default=None)
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
        "steps": [{"users": step.users, "held": step.held, **step.values} for step in steps],
        **({"samples": samples.rows, "verdict": samples.verdict()} if samples.rows else {}),
    }


def show(step: Step) -> None:
    """Print one step, in a few lines."""
    values = step.values
    did = Counter(values["counts"])
    print(
        f"{step.users} users: {values['answers_at_once']:.0f} answers at once, "
        f"{values['tokens_a_second']:.0f} tokens/s, server {100 * values['cpu']:.0f} % of its core, "
        f"load {100 * values['load_share']:.0f} % of the other one, "
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
        print("  The load's own core was full: what is late may be late here, and the server holds more.", flush=True)


def conclude(result: Json) -> None:
    """Print what it comes to."""
    if result["held"] and len(result["steps"]) > 1 and "verdict" not in result:
        ended = not result["steps"][-1]["held"]
        print(
            f"One core holds {result['held'][0]} users, {result['held'][1]:.0f} answers at once"
            + (f" ({result['setup']})." if ended else " and more: the time was up.")
        )
    if "verdict" in result:
        print(f"The soak: {json.dumps(result['verdict'])}")
    print(f"{result['counts'].get('answers', 0)} answers were checked; {result['broken']} rules were broken.")
    for complaint in result["complaints"][:10]:
        print(f"  {complaint}")


def save(result: Json, options: argparse.Namespace) -> None:
    """Write the result, and a soak's plot beside it."""
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1))
    if result.get("samples"):
        title = f"{result['steps'][0]['users']} users, {result['setup']}, {result['verdict']['minutes']} minutes"
        draw(result["samples"], options.output.with_suffix(".svg"), title)


def main() -> int:
    """Run one load."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.people", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=0, help="so many people, in place of more and more")
    parser.add_argument("--minutes", type=float, default=6.0, help="how long, at most")
    parser.add_argument("--soak", type=float, default=0.0, help="minutes of a long run that is sampled")
    parser.add_argument("--setup", choices=("sqlite", "joined"), default="sqlite")
    parser.add_argument("--replicas", type=int, default=1, help="on the one core, joined: each follows on the next one")
    parser.add_argument("--think", type=float, default=8.0, help="seconds between two things that somebody does")
    parser.add_argument("--pace", type=float, default=1.0, help="Claude's: 1 as a person reads, 0 at once")
    parser.add_argument("--step-seconds", type=float, default=20.0, help="how long a step is measured")
    parser.add_argument("--traces", action="store_true", help="let the servers send traces")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--targets", type=Path, default=None, help="a file that names the servers, for Prometheus")
    parser.add_argument("--output", type=Path, default=None, help="where the JSON goes; bench/results unless given")
    options = parser.parse_args()
    if options.replicas > 1 and options.setup != "joined":
        parser.error("several replicas need --setup joined")
    options.output = options.output or HERE / "results" / f"load-{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # Its pauses would look like the server's. A soak needs it.
    gc.disable()
    result = uvloop.run(run(options, choose_cores()))
    conclude(result)
    save(result, options)
    print(f"Written: {options.output}")
    return 1 if result["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
