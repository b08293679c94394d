"""The part `start`: the time of `--help`, and the time until a server is ready, compared with the necessary imports."""

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.options import Options
from bench.peers.candidates import Stage
from bench.processes import PYTHON, TERTULIA, Process, environment, folder, free_port
from bench.report import Report

PART = "start"
HEAVY = ("anthropic", "strawberry", "sqlalchemy", "sqlmodel", "fastapi", "pydantic", "uvicorn", "alembic", "aiohttp")
LOADED = f"""
import json, sys
from tertulia.cli.main import main
sys.argv = ["tertulia", "--help"]
try:
    main()
except SystemExit:
    pass
print(json.dumps([name for name in {HEAVY} if name in sys.modules]))
"""
IMPORTS = """
import aiohttp, aiosqlite, alembic.command, anthropic, fastapi, graphql, httptools, orjson, pydantic_settings
import redis.asyncio, sqlalchemy.ext.asyncio, sqlmodel, sqlmodel.ext.asyncio.session, strawberry, strawberry.fastapi
import typer, uuid_utils.compat, uvicorn, uvloop, websockets
"""
READY, HELP = "ready to serve", "--help"
REPEATS = 3


def start(stage: Stage, report: Report, options: Options) -> None:
    """Measure all in turns. The first run of each does not count: it compiles modules and fills the disk cache."""
    with folder() as place:
        programs: dict[tuple[str, str], Callable[[], float]] = {
            (HELP, "tertulia"): lambda: _run(stage, [TERTULIA, "--help"], place),
            (HELP, "python alone"): lambda: _run(stage, [PYTHON, "-c", "pass"], place),
            (READY, "tertulia"): lambda: _serve(stage, place),
            (READY, "imports alone"): lambda: _run(stage, [PYTHON, "-c", IMPORTS], place),
        }
        for measure in programs.values():
            measure()
        for _ in range(1 if options.quick else REPEATS):
            for (name, candidate), measure in options.turns(*programs.items()):
                report.add(PART, name, candidate, 1000 * measure(), "ms")
        with folder() as empty:
            report.add(PART, "ready to serve, with a new database", "tertulia", 1000 * _serve(stage, empty), "ms")
        heavy = _loaded(place)
    report.add(PART, "large modules imported by --help", "tertulia", len(heavy))
    if heavy:
        report.note(f"start: --help imports {', '.join(heavy)}")


def _run(stage: Stage, command: Sequence[str], place: Path) -> float:
    pinned = ["taskset", "--cpu-list", str(stage.cores.server), *command]
    begun = time.monotonic()
    subprocess.run(pinned, env=environment(), cwd=place, stdout=subprocess.DEVNULL, check=True, timeout=60)
    return time.monotonic() - begun


def _serve(stage: Stage, place: Path) -> float:
    """Start a server with the folder's database, and return the seconds until /readyz returns 200."""
    port = free_port()
    claude = {"ANTHROPIC_API_KEY": "sk-ant-bench", "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{stage.upstream}"}
    begun = time.monotonic()
    process = Process("tertulia", [TERTULIA, "serve", "--port", str(port)], stage.cores.server, place, claude)
    try:
        process.listening(port, "/readyz")
        return time.monotonic() - begun
    finally:
        process.kill()


def _loaded(place: Path) -> list[str]:
    command = [PYTHON, "-c", LOADED]
    done = subprocess.run(command, env=environment(), cwd=place, capture_output=True, check=True, timeout=60)
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found
