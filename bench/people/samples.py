"""Sample a server's memory and file handles during a soak test, plot them, and judge the second half."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from bench.measuring import cpu_seconds, rss_mb
from bench.wire import Http, get

Json = dict[str, Any]

EVERY = 10.0
"""Seconds between two samples."""
SHOWN_METRICS = ("tertulia_generations_active", "tertulia_subscriptions_active")
SETTLED = 16 * 60.0
"""Seconds after which the logs of ended answers no longer grow. The judged part begins no earlier, if possible."""
RSS_GROWS = 0.03
"""The share by which memory may rise in the judged part, by its linear regression."""
FILES_GROW = 0.1
"""The same limit for file handles."""
INK, COLOURS = "#7d7d7d", ("#c96442", "#4a7fb5", "#5d9c59", "#a06cb0")
"""Readable on a light and on a dark background."""


@dataclass(slots=True)
class Samples:
    """The samples of a server's process and of its database's folder. `redis_socket` is None without Redis."""

    pid: int
    port: int
    folder: Path
    redis_socket: Path | None
    rows: list[Json] = field(default_factory=list[Any])
    begun: float = field(default_factory=time.monotonic)
    _cpu: float = 0.0
    _at: float = 0.0

    async def watch(self) -> None:
        """Sample every ten seconds until cancelled."""
        self._cpu, self._at = cpu_seconds(self.pid), time.monotonic()
        while True:
            await asyncio.sleep(EVERY)
            await self.take()

    async def take(self) -> None:
        """Add one sample."""
        now, cpu = time.monotonic(), cpu_seconds(self.pid)
        row: Json = {
            "seconds": round(now - self.begun, 1),
            "rss_mb": rss_mb(self.pid),
            "files": entries(self.pid, "fd"),
            "threads": entries(self.pid, "task"),
            "cpu": (cpu - self._cpu) / max(now - self._at, 0.01),
            "wal_mb": _megabytes(self.folder / "tertulia.db-wal"),
            "database_mb": _megabytes(self.folder / "tertulia.db"),
            **await _metrics(self.port),
        }
        if self.redis_socket is not None:
            row["redis_mb"] = await asyncio.to_thread(_redis_megabytes, self.redis_socket)
        self._cpu, self._at = cpu, now
        self.rows.append(row)

    def verdict(self) -> Json:
        """Return whether memory and file handles are flat in the second half."""
        return judge(self.rows)


def entries(pid: int, what: str) -> int:
    """Return the number of a process's open files (`fd`) or threads (`task`)."""
    return len(list(Path(f"/proc/{pid}/{what}").iterdir()))


def judge(rows: list[Json]) -> Json:
    """Return whether memory and file handles are flat in the second half, after the time in which logs grow."""
    ends = rows[-1]["seconds"]
    begins = max(ends / 2, SETTLED) if ends > 1.2 * SETTLED else ends / 2
    half = [row for row in rows if row["seconds"] >= begins]
    lasts = half[-1]["seconds"] - half[0]["seconds"]
    rises = {name: slope(half, name) * lasts for name in ("rss_mb", "files")}
    means = {name: sum(row[name] for row in half) / len(half) for name in rises}
    return {
        "minutes": round(ends / 60, 1),
        "judged_minutes": round(lasts / 60, 1),
        "rss_mb": round(means["rss_mb"], 1),
        "rss_mb_rises": round(rises["rss_mb"], 2),
        "files": round(means["files"], 1),
        "files_rise": round(rises["files"], 1),
        "flat": rises["rss_mb"] <= RSS_GROWS * means["rss_mb"] and rises["files"] <= FILES_GROW * means["files"],
    }


def slope(rows: list[Json], name: str) -> float:
    """Return the rise per second by least squares; 0 with fewer than two rows."""
    if len(rows) < 2:  # noqa: PLR2004 - a line has two points
        return 0.0
    times, values = [float(row["seconds"]) for row in rows], [float(row[name]) for row in rows]
    middle, mean = sum(times) / len(times), sum(values) / len(values)
    spread = sum((second - middle) ** 2 for second in times)
    return sum((second - middle) * (value - mean) for second, value in zip(times, values, strict=True)) / spread


def draw(rows: list[Json], path: Path, title: str) -> None:
    """Plot memory, files, threads and CPU over time, for a light or dark background."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "tertulia"
    canvas = Figure(figsize=(8, 6.4), layout="constrained")
    groups = (
        ("memory, MB", ("rss_mb", "redis_mb", "wal_mb")),
        ("file handles, threads", ("files", "threads")),
        ("answers and subscriptions at once", SHOWN_METRICS),
        ("CPU, share of the core", ("cpu",)),
    )
    shown = [(name, [key for key in keys if rows and key in rows[-1]]) for name, keys in groups]
    shown = [(name, keys) for name, keys in shown if keys]
    minutes = [row["seconds"] / 60 for row in rows]
    for row, (name, keys) in enumerate(shown):
        axes = canvas.add_subplot(len(shown), 1, row + 1)
        for colour, key in zip(COLOURS, keys, strict=False):
            axes.plot(
                minutes, [sample.get(key, 0) for sample in rows], color=colour, label=key.removeprefix("tertulia_")
            )
        axes.set_ylim(bottom=0)
        axes.set_ylabel(name, fontsize=7, color=INK)
        axes.tick_params(labelsize=7, colors=INK)
        axes.spines[:].set_color(INK)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=7, labelcolor=INK, frameon=False, ncols=3, loc="lower right")
    canvas.suptitle(title, fontsize=9, color=INK)
    canvas.supxlabel("minutes", fontsize=8, color=INK)
    canvas.savefig(path, transparent=True, metadata={"Date": None})


def _megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6 if path.exists() else 0.0


def _redis_megabytes(listening: Path) -> float:
    with redis.Redis(unix_socket_path=str(listening)) as client:
        memory: Any = client.info("memory")
    return float(memory["used_memory"]) / 1e6


async def _metrics(port: int) -> Json:
    """Return the gauges of /metrics; nothing if it is not served."""
    http = Http(port)
    try:
        text = (await asyncio.wait_for(http.send(get("/metrics")), 5)).decode(errors="replace")
    except (ConnectionError, TimeoutError, ValueError):
        return {}
    finally:
        http.close()
    metrics: Json = {}
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        name = name.partition("{")[0]
        if name in SHOWN_METRICS:
            metrics[name] = metrics.get(name, 0.0) + float(value)
    return metrics
