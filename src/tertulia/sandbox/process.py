"""Sandbox processes, which run jobs on untrusted input with limits on time and memory.

Compiling a schema, validating with it and decoding a file hold Python's global lock, and can run forever, use all
memory or crash. A sandbox process runs one job at a time. If a job exceeds its limits, its process is killed, and the
next job gets a new one. The process inherits neither the environment nor open files, so it has no access to keys.
"""

import asyncio
import atexit
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
START = f"import sys; sys.path.append({str(ROOT)!r}); from tertulia.sandbox.worker import main; main()"
KEPT_VARIABLES = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "TMPDIR")
MAX_WAITING = 64
"""The maximum number of jobs that wait for a sandbox. Further jobs are refused."""
WALL_FACTOR, WALL_EXTRA = 5.0, 10.0
"""The limit is on processor time. On a busy machine, a job may take this many times as long, plus these seconds."""


class SandboxError(Exception):
    """A job failed."""


class SandboxBusyError(SandboxError):
    """Too many jobs are waiting."""


class OutOfBoundsError(SandboxError):
    """A job took too much time or memory, or crashed its process."""


class Sandbox:
    """A process that runs one job at a time. It is started for the first job."""

    def __init__(self, name: str) -> None:
        """Initialize without starting the process. `name` is part of the name of the thread that waits for it."""
        self._name = name
        self._lock = threading.Lock()
        self._owner: int | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._waiting = 0
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    async def run(self, function: str, *, seconds: float, data: bytes = b"", **arguments: object) -> Any:
        """Call a function in the sandbox process, and return its result, which must be a JSON value.

        Args:
            function: Its import path, as `module:name`. It is called with `data` and `arguments`.
            seconds: The maximum processor time.
            data: The first argument of the function.
            arguments: The other arguments, which must be JSON values.

        Raises:
            SandboxBusyError: Too many jobs are waiting.
            OutOfBoundsError: The job took too much time or memory, or crashed.
        """
        return await asyncio.wrap_future(self._submit(function, seconds, data, arguments))

    def run_blocking(self, function: str, *, seconds: float, data: bytes = b"", **arguments: object) -> Any:
        """Call a function like `run`, for callers outside an event loop."""
        return self._submit(function, seconds, data, arguments).result()

    def close(self) -> None:
        """Stop the process. A later job starts a new one."""
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            _end(process)

    def _submit(self, function: str, seconds: float, data: bytes, arguments: dict[str, object]) -> Future[Any]:
        with self._lock:
            if self._executor is None or self._owner != os.getpid():
                # A forked process does not have the thread, and must not use the sandbox of its parent.
                self._owner, self._waiting, self._process = os.getpid(), 0, None
                self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"sandbox-{self._name}")
            if self._waiting >= MAX_WAITING:
                raise SandboxBusyError(f"{MAX_WAITING} jobs are already waiting")
            self._waiting += 1
            header = json.dumps({"function": function, "seconds": seconds, "size": len(data), "arguments": arguments})
            future = self._executor.submit(partial(self._run_job, header.encode() + b"\n", data, seconds))
        future.add_done_callback(self._count_finished)
        return future

    def _count_finished(self, _: Future[Any]) -> None:
        with self._lock:
            self._waiting -= 1

    def _run_job(self, header: bytes, data: bytes, seconds: float) -> Any:
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = _start()
        watchdog = threading.Timer(seconds * WALL_FACTOR + WALL_EXTRA, process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            response = _exchange(process, header, data)
        finally:
            watchdog.cancel()
        if response is None:
            self._process = None
            _end(process)
            raise OutOfBoundsError(f"the process ended with status {process.returncode}")
        if "failed" in response:
            raise OutOfBoundsError(response["failed"])
        return response["result"]


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the command contains no user input
        [sys.executable, "-P", "-c", START],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ},
        # Ctrl+C must only reach the server. This process ends when its input is closed.
        start_new_session=True,
    )


def _exchange(process: subprocess.Popen[bytes], header: bytes, data: bytes) -> dict[str, Any] | None:
    """Send a job and return the response, or None if the process exited without one."""
    if process.stdin is None or process.stdout is None:
        return None
    try:
        process.stdin.write(header + data)
        process.stdin.flush()
        line = process.stdout.readline()
    except OSError:
        return None
    return json.loads(line) if line.endswith(b"\n") else None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                # There was buffered data for a process that has exited.
                continue


SCHEMAS = Sandbox("schemas")
MEDIA = Sandbox("media")
DOCUMENTS = Sandbox("documents")
