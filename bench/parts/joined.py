"""The part `joined`: the same answers with PostgreSQL and Redis, and clients that follow on a second replica."""

import asyncio
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import redis

from bench.options import Options
from bench.parts.streams import steady, take_steady, watch
from bench.peers.candidates import TERTULIA_ITSELF, Stage
from bench.processes import Json, Server, databases
from bench.report import Report

PART = "joined"
REPLICAS_ANSWERS = 50
"""Both replicas run on one core, and each answer is followed on both. With more answers the core would be full."""
LISTENING = 2.0
"""Seconds for which Redis's commands are counted with MONITOR."""
_numbers = count(1)


def joined(stage: Stage, report: Report, options: Options) -> None:
    """Measure SQLite, then PostgreSQL with Redis, then two replicas, in turns."""
    with databases() as (postgres, listening):
        for setup in options.turns("embedded", "joined", "two replicas"):
            for answers in options.loads(20, 200) if setup != "two replicas" else ():
                if setup == "embedded":
                    steady(stage, report, replace(TERTULIA_ITSELF, name=setup), PART, options, answers)
                else:
                    _one(stage, report, options, postgres, listening, answers)
            if setup == "two replicas":
                _two(stage, report, options, postgres, listening)


def _one(stage: Stage, report: Report, options: Options, postgres: str, listening: Path, answers: int) -> None:
    settings = empty_storage(postgres, listening)
    with stage.server(TERTULIA_ITSELF, settings) as server:
        load = stage.load("steady", TERTULIA_ITSELF, server, streams=options.count(answers), **options.steady())
        try:
            load.wait("window")
            before, begun = _processed(listening), time.monotonic()
            listened = _listen(listening, min(LISTENING, options.steady()["seconds"] / 2))
            result = load.result()
            processed, seconds = _processed(listening) - before, time.monotonic() - begun
        finally:
            load.kill()
    what, streams = f"{answers} answers", options.count(answers)
    take_steady(report, PART, "joined", what, result)
    report.add(PART, f"{what}: Redis commands sent per answer", "joined", listened / streams, "1/s")
    report.add(PART, f"{what}: Redis commands processed per answer", "joined", processed / seconds / streams, "1/s")


def _two(stage: Stage, report: Report, options: Options, postgres: str, listening: Path) -> None:
    settings = empty_storage(postgres, listening)
    with _pair(stage, settings) as servers:
        result = stage.measure(
            "steady", TERTULIA_ITSELF, *servers, streams=options.count(REPLICAS_ANSWERS), **options.steady()
        )
    for name, reader in zip(("same replica", "other replica"), result["readers"], strict=True):
        report.add(PART, "two replicas: p50", name, reader["p50_ms"], "ms")
        report.add(PART, "two replicas: p99", name, reader["p99_ms"], "ms")
        watch(report, f"{PART}, two replicas, {name}", result, reader)
    report.add(PART, "two replicas: CPU of both", "same replica", 100 * result["cpu_share"], "% of a core")


@contextmanager
def _pair(stage: Stage, settings: Json) -> Generator[tuple[Server, Server]]:
    with stage.server(TERTULIA_ITSELF, settings) as one, stage.server(TERTULIA_ITSELF, settings) as other:
        yield one, other


def empty_storage(postgres: str, listening: Path) -> Json:
    """Create an empty database, empty Redis, and return the settings for both."""
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
    """Return the number of commands that Redis has processed, including those inside scripts."""
    with redis.Redis(unix_socket_path=str(listening)) as client:
        stats: Any = client.info("stats")
    return int(stats["total_commands_processed"])


def _listen(listening: Path, seconds: float) -> float:
    """Return the commands per second that clients send, counted with MONITOR, without those inside scripts."""
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
