"""Plot a report: each check relative to its target, and a bar chart for each figure with several candidates."""

import math
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from bench.parts import pacing

if TYPE_CHECKING:
    from bench.report import Check, Report

COLUMNS = 4
OURS, OTHERS, MISSED = "#c96442", "#9aa0a6", "#b3261e"
SPREAD = 30.0
"""From this ratio of the largest to the smallest bar, the scale is logarithmic."""


def draw(report: "Report", path: Path) -> None:
    """Write the plot in the format of the file's suffix."""
    mpl.use("agg")
    compared = {
        figure: candidates
        for figure, candidates in report.samples.items()
        if len(candidates) > 1 and figure.part != pacing.PART
    }
    parts = dict.fromkeys(figure.part for figure in report.samples)
    checks = [check for part in parts for check in report.checks(part) if check.value and check.target.limit]
    charts = pacing.FIGURES if pacing.PART in parts else ()
    rows = math.ceil(len(compared) / COLUMNS) + bool(charts)
    heights = [0.25 * len(checks) + 0.8, 2.0 * rows + 0.1]
    canvas = Canvas(figsize=(4.2 * COLUMNS, sum(heights)), layout="constrained")
    [[above], [below]] = canvas.subfigures(2, 1, squeeze=False, height_ratios=heights)
    _targets(above.add_subplot(), checks)
    for index, (figure, candidates) in enumerate(compared.items()):
        axes = below.add_subplot(rows, COLUMNS, index + 1)
        _bars(axes, {name: statistics.median(values) for name, values in candidates.items()})
        axes.set_title(f"{figure.part}: {figure.name}" + (f" ({figure.unit})" if figure.unit else ""), fontsize=8)
    for index, name in enumerate(charts):
        _curves(below.add_subplot(rows, COLUMNS, (rows - 1) * COLUMNS + index + 1), report, name)
    canvas.savefig(path)


def _targets(axes: Axes, checks: "list[Check]") -> None:
    names = [f"{check.target.part}: {check.target.name} ({check.target.wanted})" for check in checks]
    values = [check.value or 0.0 for check in checks]
    # Values below 1 are within the target, for both directions of targets.
    shares = [
        value / check.target.limit if check.target.relation == "<=" else check.target.limit / value
        for value, check in zip(values, checks, strict=True)
    ]
    colours = [OURS if check.verdict == "ok" else MISSED for check in checks]
    bars = axes.barh(names[::-1], shares[::-1], color=colours[::-1])
    axes.bar_label(bars, labels=[f"{value:,.3g}" for value in values[::-1]], fontsize=7, padding=2)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_title("Used share of the target: bars left of the line are within it", fontsize=9)
    _style(axes, shares)


def _bars(axes: Axes, medians: dict[str, float]) -> None:
    names = list(medians)[::-1]
    values = [medians[name] for name in names]
    bars = axes.barh(names, values, color=[OURS if name == "tertulia" else OTHERS for name in names])
    axes.bar_label(bars, fmt="{:,.4g}", fontsize=7, padding=2)
    _style(axes, values)


def _curves(axes: Axes, report: "Report", name: str) -> None:
    """Draw a figure of the part `pacing` over the number of answers, with a line for each candidate."""
    lines: dict[str, list[tuple[int, float]]] = {}
    unit = ""
    for figure, candidates in report.samples.items():
        answers, _, what = figure.name.partition(" answers: ")
        if (figure.part, what) == (pacing.PART, name):
            unit = figure.unit
            for candidate, values in candidates.items():
                lines.setdefault(candidate, []).append((int(answers), statistics.median(values)))
    for candidate, points in lines.items():
        xs, ys = zip(*points, strict=True)
        axes.plot(xs, ys, marker="o", markersize=3, label=candidate, color=OURS if candidate == "tertulia" else None)
    if unit == "ms":
        axes.set_yscale("log")
    axes.set_title(f"{pacing.PART}: {name}" + (f" ({unit})" if unit else "") + " by answers", fontsize=8)
    axes.legend(fontsize=6)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _style(axes: Axes, values: list[float]) -> None:
    positive = [value for value in values if value > 0]
    if positive and len(positive) == len(values) and max(positive) > SPREAD * min(positive):
        axes.set_xscale("log")
    axes.margins(x=0.2)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
