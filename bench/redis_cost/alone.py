"""Measure the load on Redis of answers that another process reads, and the CPU that signals cost a process.

No servers, sockets and databases are involved, so that Redis is loaded with more answers than one core of replicas can
serve. One process writes logs and another one follows all of them, both with Tertulia's `streams.redis.log`.
`python -m bench.scaling.simulation` uses these figures.

python -m bench.redis_cost.alone                 signals; then 25, 100 and 400 answers at 40 tokens per second
"""

import argparse
import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import redis
import uvloop

from bench.processes import PYTHON, Cores, choose_cores, databases
from tertulia.streams.events import TextDelta
from tertulia.streams.lease import Lease
from tertulia.streams.redis.log import RedisLog
from tertulia.streams.stream import Follower

SIGNALS = 40_000
AT_ONCE = 20
"""Signals that are sent together, as under load."""
PAUSE = 0.002
"""Seconds between two such groups."""
LAST = 0.5
"""Seconds for the last signals to arrive."""
ANSWERS = (25, 100, 400)
TOKEN_SECONDS = 0.025
SETTLES, MEASURED, LIVES = 3.0, 5.0, 10.0
"""Seconds before the measurement, of the measurement, and in total."""


async def hear(listening: Path) -> tuple[int, float]:
    """Receive the signals of another process. Returns their number, and the seconds of CPU that they took."""
    here, heard = RedisLog(f"unix://{listening}", uuid4()), list[object]()
    here.on("changed", heard.append)
    await here.start()
    await asyncio.sleep(LAST)
    begun = time.process_time()
    sender = await asyncio.create_subprocess_exec(PYTHON, "-m", "bench.redis_cost.alone", "--send", str(listening))
    await sender.wait()
    await asyncio.sleep(LAST)
    spent = time.process_time() - begun
    await here.close()
    return len(heard), spent


def send(listening: Path) -> None:
    """Send all signals."""
    with redis.Redis(unix_socket_path=str(listening)) as client:
        for _ in range(SIGNALS // AT_ONCE):
            pipeline: Any = client.pipeline(transaction=False)
            for _ in range(AT_ONCE):
                pipeline.xadd("tertulia:signals", {"changed": str(uuid4())}, maxlen=1000)
            pipeline.execute()
            time.sleep(PAUSE)


async def write(listening: Path, answers: int) -> None:
    """Write answers at Claude's pace until the time is up."""
    names, groups = _names(answers), 5
    log = RedisLog(f"unix://{listening}", uuid4())
    await log.start()
    for name in names:
        lease = Lease(None)
        lease.never_expire()
        log.open(name, lease)
    until, written = time.monotonic() + LIVES, 0
    while time.monotonic() < until:
        written += 1
        # Spread the writes over the interval of a token.
        for group in range(groups):
            due = time.monotonic() + TOKEN_SECONDS / groups
            for name in names[group::groups]:
                log.append(name, [TextDelta(name, written, 0, 6 * written, " words")])
            await asyncio.sleep(max(due - time.monotonic(), 0))
    await log.close()


async def follow(listening: Path, answers: int) -> None:
    """Follow all answers until the time is up."""

    async def one(name: UUID) -> None:
        async for _ in log.follow(name, Follower(0)):
            pass

    log = RedisLog(f"unix://{listening}", uuid4())
    await log.start()
    following = [asyncio.create_task(one(name)) for name in _names(answers)]
    await asyncio.sleep(LIVES)
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    await log.close()


def _names(answers: int) -> list[UUID]:
    return [UUID(int=number + 1) for number in range(answers)]


def streams(listening: Path, answers: int, cores: Cores) -> None:
    """Measure and print the load of `answers` answers on Redis."""
    with redis.Redis(unix_socket_path=str(listening)) as client:
        client.flushdb()
        others = [
            _other("--follow", listening, answers, cores.rest),
            _other("--write", listening, answers, cores.server),
        ]
        try:
            time.sleep(SETTLES)
            before, begun = _counts(client), time.monotonic()
            time.sleep(MEASURED)
            passed = time.monotonic() - begun
            commands, spent, into, out, entries = (
                (after - earlier) / passed for after, earlier in zip(_counts(client), before, strict=True)
            )
        finally:
            for other in others:
                _end(other)
    print(
        f"{answers} answers: {commands / answers:.0f} commands/s per answer, {1e6 * spent / commands:.1f} µs each, "
        f"{100 * spent:.0f} % of a core; {into / answers:.0f} bytes/s in, {out / answers:.0f} out; "
        f"{entries / answers:.1f} batches/s per answer",
        flush=True,
    )


def _other(what: str, listening: Path, answers: int, core: int) -> "subprocess.Popen[bytes]":
    command = [
        "taskset",
        "--cpu-list",
        str(core),
        PYTHON,
        "-m",
        "bench.redis_cost.alone",
        what,
        str(answers),
        "--at",
        str(listening),
    ]
    return subprocess.Popen(command)


def _end(other: "subprocess.Popen[bytes]") -> None:
    try:
        other.wait(LIVES)
    except subprocess.TimeoutExpired:
        other.kill()
        other.wait()


def _counts(client: Any) -> tuple[float, ...]:
    found = client.info()
    names = ("total_commands_processed", "total_net_input_bytes", "total_net_output_bytes")
    commands, into, out = (float(found[name]) for name in names)
    batches = float(client.info("commandstats")["cmdstat_xadd"]["calls"])
    return commands, found["used_cpu_sys"] + found["used_cpu_user"], into, out, batches


def main() -> int:
    """Measure and print; or send, write or follow in another process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for other in ("--send", "--at"):
        parser.add_argument(other, type=Path, default=None, help=argparse.SUPPRESS)
    for other in ("--write", "--follow"):
        parser.add_argument(other, type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send is not None:
        send(options.send)
    elif options.write:
        uvloop.run(write(options.at, options.write))
    elif options.follow:
        uvloop.run(follow(options.at, options.follow))
    else:
        cores = choose_cores()
        with databases() as (_, listening):
            heard, spent = uvloop.run(hear(listening))
            print(f"{heard} of {SIGNALS} signals received: {1e6 * spent / heard:.1f} µs of CPU each", flush=True)
            for answers in ANSWERS:
                streams(listening, answers, cores)
    return 0


if __name__ == "__main__":
    sys.exit(main())
