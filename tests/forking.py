"""Server processes that begin with all of the server imported: forks of one process that has done so once.

To import takes seconds of a core, and the tests of faults kill dozens of servers. A fork has a memory, files and sockets
of its own, and is killed like any other process.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PROGRAM = """
import json, os, select, sys

import server.app
import server.serving
from server.command import main


def begin(asked):
    output = os.open(asked["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for old, new in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(old, new)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.path[:0] = asked["environment"]["PYTHONPATH"].split(os.pathsep)
    sys.argv = ["tertulia", *asked["arguments"]]
    status = 1
    try:
        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0
    except BaseException:
        import traceback
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


ended = {}
while True:
    ready, _, _ = select.select([sys.stdin], [], [], 0.01)
    if ready:
        line = sys.stdin.readline()
        if not line:
            break
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            begin(asked)
        ended[child] = asked["output"] + ".ended"
        print(child, flush=True)
    while ended:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child == 0:
            break
        place = ended.pop(child)
        with open(place + ".new", "w") as file:
            file.write(str(os.waitstatus_to_exitcode(status)))
        os.replace(place + ".new", place)
"""


class Forked:
    """A process, as `subprocess.Popen` has it."""

    def __init__(self, pid: int, ended: Path) -> None:
        self.pid = pid
        self._ended = ended

    def poll(self) -> int | None:
        try:
            return int(self._ended.read_text())
        except FileNotFoundError:
            return None

    def wait(self, timeout: float = 60) -> int:
        deadline = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(self.pid)
            time.sleep(0.005)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Forks:
    """The process that is forked, with the code of a folder."""

    def __init__(self, code: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(code)}
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env=environment,
            cwd=code,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, arguments: list[str], *, folder: Path, environment: dict[str, str], output: Path) -> Forked:
        asked: dict[str, Any] = {"arguments": arguments, "cwd": str(folder), "environment": environment}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({**asked, "output": str(output)}) + "\n")
        self._process.stdin.flush()
        return Forked(int(self._process.stdout.readline()), Path(f"{output}.ended"))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@cache
def forks(code: Path = ROOT) -> Forks:
    """Give the one of this process of the tests, for the code of a folder."""
    made = Forks(code)
    atexit.register(made.close)
    return made
