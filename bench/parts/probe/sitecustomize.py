"""Log the garbage collections of a server: put this folder on PYTHONPATH, and name a file in BENCH_GC_FILE.

Each line is one collection: the time.monotonic_ns() of its end, its generation, and its duration in milliseconds.
"""

import gc
import os
import time


def watch(path: str) -> None:
    """Write a line for each garbage collection from now on."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    begun = 0

    def on_collection(phase: str, info: "dict[str, int]") -> None:
        nonlocal begun
        if phase == "start":
            begun = time.monotonic_ns()
        else:
            now = time.monotonic_ns()
            os.write(file, b"%d %d %.4f\n" % (now, info["generation"], (now - begun) / 1e6))

    gc.callbacks.append(on_collection)


if os.environ.get("BENCH_GC_FILE"):
    watch(os.environ["BENCH_GC_FILE"])
