"""The program of a sandbox process, which reads jobs from standard input and writes a line of JSON for each."""

import json
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, BinaryIO

MAX_MEMORY = 2 * 1024**3
"""The maximum address space in bytes, including libraries."""


def main() -> None:
    """Run jobs until standard input ends."""
    responses = _reserve_output()
    _limit_memory()
    while header := sys.stdin.buffer.readline():
        job = json.loads(header)
        data = sys.stdin.buffer.read(job["size"])
        responses.write(_run_job(job, data) + b"\n")
        responses.flush()


def _run_job(job: dict[str, Any], data: bytes) -> bytes:
    _limit_time(job["seconds"])
    try:
        result = _import_function(job["function"])(data, **job["arguments"])
        return json.dumps({"result": result}).encode()
    except Exception as error:  # noqa: BLE001 - hostile input must only fail its own job
        return json.dumps({"failed": type(error).__name__}).encode()
    finally:
        _limit_time(0)


def _import_function(path: str) -> Callable[..., Any]:
    """Return the function at `module:name`.

    Its module is imported for its first job, so that a process loads only what its jobs need.
    """
    module, _, name = path.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


def _reserve_output() -> BinaryIO:
    """Reserve standard output for responses, and discard what libraries print."""
    responses = os.fdopen(os.dup(1), "wb")
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.close(devnull)
    return responses


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:
        # Windows has no such limits.
        return
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time(seconds: float) -> None:
    # The signal ends the process even if it is in native code of a library.
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)
