"""The plots of docs/scaling.md: the latency of one core, and the needs of an installation."""

import math
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.scaling import simulation

INK = "#808080"
"""Readable on a light and on a dark background, like the other colours."""
COLOURS = ("#c96442", "#4a7fb5", "#5d9c59", "#a06cb0", "#b8860b")
SMALL = 8
POINTS = [round(10 ** (eighth / 8), 3) for eighth in range(8, 45)]


def draw(folder: Path) -> None:
    """Write the plots."""
    mpl.use("agg")
    mpl.rcParams["svg.fonttype"] = "none"  # the reader's fonts, which keeps the files small
    mpl.rcParams["svg.hashsalt"] = "tertulia"
    mpl.rcParams["font.family"] = "sans-serif"
    for name, plot in (("core", _core), ("replicas", _replicas), ("shares", _shares)):
        canvas = Figure(figsize=(7, 3.4), layout="constrained")
        plot(canvas.add_subplot())
        canvas.savefig(folder / f"scaling-{name}.svg", transparent=True, metadata={"Date": None})


def _core(axes: Axes) -> None:
    counts = [
        round(simulation.FULL_EMBEDDED * share) for share in (0.1, 0.25, 0.5, 0.65, 0.8, 0.9, 1, 1.1, 1.25, 1.4, 1.6)
    ]
    results = [simulation.play(count) for count in counts]
    for column, name in enumerate(("token, 50th percentile", "token, 99th", "send, 99th")):
        axes.plot(counts, [result[column] for result in results], color=COLOURS[column], label=f"simulated, {name}")
        measured = [(step[0], step[1 + column]) for step in simulation.STEPS]
        axes.plot(*zip(*measured, strict=True), "o", color=COLOURS[column], label=f"measured, {name}")
    axes.axhline(100, color=INK, linewidth=0.8, linestyle=":")
    axes.set_yscale("log")
    _style(axes, "concurrent answers on one core, with SQLite", "latency, ms")


def _replicas(axes: Axes) -> None:
    needs = [simulation.Need(point) for point in POINTS]
    straight = [max(1, need.answers / (simulation.FULL_REMOTE * simulation.BUSY)) for need in needs]
    axes.plot(POINTS, straight, color=INK, linestyle=":", label="without signals between processes")
    finite = [(need.answers, need.replicas) for need in needs if not math.isinf(need.replicas)]
    axes.plot(*zip(*finite, strict=True), color=COLOURS[0], label="with signals, which every process receives")
    axes.set_xscale("log")
    axes.set_yscale("log")
    _style(axes, "concurrent answers", "cores of replicas")


def _shares(axes: Axes) -> None:
    needs = [simulation.Need(point) for point in POINTS]
    lines = (
        ("Claude's tokens per minute (example)", [need.claude / simulation.CLAUDE_TOKENS_A_MINUTE for need in needs]),
        ("Redis's single thread", [need.redis / simulation.BUSY for need in needs]),
        (
            f"PostgreSQL of {simulation.PG_CORES} cores",
            [need.postgres / simulation.PG_CORES / simulation.BUSY for need in needs],
        ),
        ("receiving signals, of each core", [need.hearing / simulation.BUSY for need in needs]),
    )
    for colour, (name, values) in zip(COLOURS, lines, strict=False):
        axes.plot(POINTS, [value or math.nan for value in values], color=colour, label=name)
    axes.axhline(1, color=INK, linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(1e-3, 1e2)
    _style(axes, "concurrent answers", "share of the limit")


def _style(axes: Axes, across: str, up: str) -> None:
    axes.set_xlabel(across, fontsize=SMALL, color=INK)
    axes.set_ylabel(up, fontsize=SMALL, color=INK)
    axes.tick_params(labelsize=SMALL, colors=INK, which="both")
    axes.spines[:].set_color(INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=SMALL - 1, labelcolor=INK, frameon=False)
