"""Joined: the same answers over PostgreSQL and Redis, and readers on a second replica."""

import asyncio
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import redis

from bench.options import Options
from bench.parts.streams import cpu, steady, take_steady, watch
from bench.peers.candidates import TERTULIA_ITSELF, Stage
from bench.processes import Json, Server, databases
from bench.report import Report

PART = "joined"
REPLICAS_ANSWERS = 50
"""With both replicas on one core, each answer read on both, more would only measure that the core is full."""
LISTENING = 2.0
"""Seconds for which Redis's commands are listened to."""
_numbers = count(1)


def joined(stage: Stage, report: Report, options: Options) -> None:
    """Alternate the embedded setup, the joined one, and two replicas."""
    with databases() as (postgres, listening):
        for _ in range(options.rounds):
            for answers in (20, 200):
                steady(stage, report, TERTULIA_ITSELF, PART, options, answers)
                _one(stage, report, options, postgres, listening, answers)
            _two(stage, report, options, postgres, listening)
    for answers in (200, 20):
        report.ratio(PART, cpu(answers), ("joined", "tertulia"), "<=", 1.5)
        report.at_most(PART, sent(answers), "joined", 25)
        report.at_most(PART, done(answers), "joined", 25)
    report.ratio(PART, "two replicas: p99", ("other replica", "same replica"), "<=", 3)


def sent(answers: int) -> str:
    """Name the figure."""
    return f"{answers} answers: Redis commands sent, an answer"


def done(answers: int) -> str:
    """Name the figure."""
    return f"{answers} answers: Redis commands processed, an answer"


def _one(stage: Stage, report: Report, options: Options, postgres: str, listening: Path, answers: int) -> None:
    places = _places(postgres, listening)
    with stage.server(TERTULIA_ITSELF, places) as server:
        load = stage.load("steady", TERTULIA_ITSELF, server, streams=answers, **options.steady())
        try:
            load.wait("window")
            before, begun = _processed(listening), time.monotonic()
            listened = _listen(listening, LISTENING)
            result = load.result()
            processed, seconds = _processed(listening) - before, time.monotonic() - begun
        finally:
            load.kill()
    take_steady(report, PART, "joined", answers, result)
    report.add(PART, sent(answers), "joined", listened / answers, "1/s")
    report.add(PART, done(answers), "joined", processed / seconds / answers, "1/s")


def _two(stage: Stage, report: Report, options: Options, postgres: str, listening: Path) -> None:
    places = _places(postgres, listening)
    with _pair(stage, places) as servers:
        result = stage.measure("steady", TERTULIA_ITSELF, *servers, streams=REPLICAS_ANSWERS, **options.steady())
    for name, reader in zip(("same replica", "other replica"), result["readers"], strict=True):
        report.add(PART, "two replicas: p50", name, reader["p50_ms"], "ms")
        report.add(PART, "two replicas: p99", name, reader["p99_ms"], "ms")
        watch(report, f"{PART}, two replicas, {name}", result, reader)
    report.add(PART, "two replicas: CPU of both", "same replica", 100 * result["cpu_share"], "% of a core")


@contextmanager
def _pair(stage: Stage, places: Json) -> Generator[tuple[Server, Server]]:
    with stage.server(TERTULIA_ITSELF, places) as one, stage.server(TERTULIA_ITSELF, places) as other:
        yield one, other


def _places(postgres: str, listening: Path) -> Json:
    """Make an empty database and an empty Redis; give them as settings."""
    name = f"bench_{next(_numbers)}"

    async def create() -> None:
        connection: Any = await asyncpg.connect(postgres)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()

    asyncio.run(create())
    with redis.Redis(unix_socket_path=str(listening)) as client:
        client.flushall()
    address, _, query = postgres.partition("?")
    url = f"{address.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")
    return {"DATABASE_URL": url, "REDIS_URL": f"unix://{listening}?db=0"}


def _processed(listening: Path) -> int:
    """Give what Redis has processed so far, the commands inside of scripts included."""
    with redis.Redis(unix_socket_path=str(listening)) as client:
        stats: Any = client.info("stats")
    return int(stats["total_commands_processed"])


def _listen(listening: Path, seconds: float) -> float:
    """Count the commands a second that clients send, as MONITOR shows them; those inside of scripts are left out."""
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(str(listening))
        monitor.sendall(b"MONITOR\r\n")
        monitor.settimeout(0.1)
        data, until = bytearray(), time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                data += monitor.recv(1 << 20)
            except TimeoutError:
                continue
    return (data.count(b"\r\n+") - data.count(b" lua] ")) / seconds
