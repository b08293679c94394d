"""Starts the `tertulia` command by forking a process that has already imported it.

Importing it takes three seconds of a core, and the tests start hundreds of servers and commands. A fork has its own
memory, files and sockets, and is killed like any other process.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

ROOT = Path(__file__).parent.parent
CODE = ROOT / "src"
"""The folder from which the code is imported."""
SHARED = "FORKS_OF_THE_TESTS"
"""The environment variable with the socket of the process that all workers of a test run share."""
SHIM = """#!{python} -ISE
import json, os, signal, socket, sys
asking = socket.socket(socket.AF_UNIX)
asking.connect({address!r})
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, _: asking.send(bytes([number])))
asked = {{"arguments": sys.argv[1:], "cwd": os.getcwd(), "environment": dict(os.environ)}}
socket.send_fds(asking, [json.dumps(asked).encode() + b"\\n"], [0, 1, 2])
said = asking.makefile()
said.readline()
status = int(said.readline() or 1)
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
"""
"""A program that behaves like the `tertulia` command for the process that starts it."""


class Forked:
    """A forked process, with the interface of `subprocess.Popen`."""

    def __init__(self, asking: socket.socket) -> None:
        self._asking = asking
        self._said = bytearray()
        self.pid = self._number(None) or 0
        self._status: int | None = None

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float = 60) -> int:
        status = self._ended(timeout)
        if status is None:
            raise TimeoutError(self.pid)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, seconds: float) -> int | None:
        if self._status is None and (status := self._number(seconds)) is not None:
            self._status = status
            self._asking.close()
        return self._status

    def _number(self, seconds: float | None) -> int | None:
        """Read one line as a number. Return None if none arrives within `seconds`."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while b"\n" not in self._said:
            self._asking.settimeout(None if deadline is None else max(deadline - time.monotonic(), 0))
            try:
                self._said += self._asking.recv(64) or b"1\n"
            except (BlockingIOError, TimeoutError):
                return None
        line, _, rest = bytes(self._said).partition(b"\n")
        self._said = bytearray(rest)
        return int(line)


class Forks:
    """The process that is forked, which has imported the code of a folder."""

    def __init__(self, code: Path = CODE) -> None:
        self.folder = Path(mkdtemp(prefix="tertulia-"))
        self.address = str(self.folder / "forks")
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "forking_server.py"), self.address],
            env={**os.environ, "PYTHONPATH": str(code)},
            cwd=code,
            stdin=subprocess.PIPE,
        )

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def start(
    arguments: list[str], *, folder: Path, environment: dict[str, str], output: Path, code: Path = CODE
) -> Forked:
    """Start the command. Its output is appended to a file."""
    with output.open("ab") as log, Path(os.devnull).open("rb") as nothing:
        asking = _connected(address(code))
        asked: dict[str, Any] = {"arguments": arguments, "cwd": str(folder), "environment": environment}
        files = [nothing.fileno(), log.fileno(), log.fileno()]
        socket.send_fds(asking, [json.dumps(asked).encode() + b"\n"], files)
        return Forked(asking)


@cache
def command() -> Path:
    """Return a folder for PATH in which `tertulia` starts a fork."""
    folder = Path(mkdtemp(prefix="tertulia-"))
    program = folder / "tertulia"
    program.write_text(SHIM.format(python=sys.executable, address=address(CODE)))
    program.chmod(0o755)
    _connected(address(CODE)).close()
    return folder


@cache
def address(code: Path) -> str:
    """Return the socket of the process that is forked, which the workers of a test run share."""
    if code == CODE and SHARED in os.environ:
        return os.environ[SHARED]
    forks = Forks(code)
    atexit.register(forks.close)
    return forks.address


def _connected(path: str) -> socket.socket:
    """Connect as soon as the process has imported the code and listens."""
    deadline = time.monotonic() + 120
    while True:
        asking = socket.socket(socket.AF_UNIX)
        try:
            asking.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            asking.close()
            assert time.monotonic() < deadline, "the process that is forked did not start"
            time.sleep(0.02)
        else:
            return asking
