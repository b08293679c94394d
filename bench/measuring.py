"""Read CPU time and memory of processes, and the load of a core."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time, user and system, of a process and its threads; raise OSError if it has ended.

    The clock of the process counts nanoseconds, and `/proc` only hundredths of a second.
    """
    return time.clock_gettime(~pid << 3 | 2)  # as clock_getcpuclockid(3) computes it on Linux


def rss_mb(pid: int) -> float:
    """Return a process's resident memory in megabytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def core_seconds(core: int) -> tuple[float, float]:
    """Return the seconds that a core was busy, and the seconds that have passed."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            times = [int(field) / TICKS for field in line.split()[1:9]]
            return sum(times) - times[3] - times[4], sum(times)
    return 0.0, 1.0


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the values lies; 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


class Window:
    """An interval in which processes are measured. It begins when the object is created."""

    def __init__(self, pids: Sequence[int], upstream: int = 0) -> None:
        self._core = min(os.sched_getaffinity(0))
        self._pids = list(pids)
        self._begun = [cpu_seconds(pid) for pid in pids]
        self._ours = [os.getpid(), *([upstream] if upstream else [])]
        self._our_cpu = self._our_seconds()
        self._busy = core_seconds(self._core)

    def cpu(self) -> list[float]:
        """Return the seconds of CPU time that each process has used."""
        return [cpu_seconds(pid) - begun for pid, begun in zip(self._pids, self._begun, strict=True)]

    def load(self, seconds: float) -> dict[str, float]:
        """Return the share of a core that this process and the upstream used, and how busy that core was."""
        busy, passed = core_seconds(self._core)
        return {
            "load_share": (self._our_seconds() - self._our_cpu) / seconds,
            "load_core_busy": (busy - self._busy[0]) / max(passed - self._busy[1], 0.01),
        }

    def _our_seconds(self) -> float:
        return sum(cpu_seconds(pid) for pid in self._ours)
