"""Looks at the garbage collector from inside a server: put this folder on PYTHONPATH, and name a file in BENCH_GC_FILE.

Each collection is a line: the time.monotonic_ns() of its end, its generation, and the milliseconds that it took.
"""

import gc
import os
import time


def watch(path: str) -> None:
    """Write a line for each collection from now on."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    begun = 0

    def look(phase: str, info: "dict[str, int]") -> None:
        nonlocal begun
        if phase == "start":
            begun = time.monotonic_ns()
        else:
            now = time.monotonic_ns()
            os.write(file, b"%d %d %.4f\n" % (now, info["generation"], (now - begun) / 1e6))

    gc.callbacks.append(look)


if os.environ.get("BENCH_GC_FILE"):
    watch(os.environ["BENCH_GC_FILE"])
