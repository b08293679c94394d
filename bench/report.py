"""Collect measurements, compare them with the targets, and show both as tables and as JSON."""

import json
import platform
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path

from bench.targets import TARGETS, Target


@dataclass(frozen=True, slots=True)
class Figure:
    """A quantity that is measured for each candidate."""

    part: str
    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class Check:
    """A target and the measured value, which is None if it was not measured."""

    target: Target
    value: float | None
    verdict: str
    """`ok`, `MISSED` or `not measured`."""

    def __str__(self) -> str:
        """Return the line of the check."""
        return f"{self.target.name}: {shown(self.value)}  (target {self.target.wanted})  {self.verdict}"


@dataclass(slots=True)
class Report:
    """Samples by figure and candidate, notes and failures, in the order in which they were added."""

    samples: dict[Figure, dict[str, list[float]]] = field(default_factory=dict[Figure, dict[str, list[float]]])
    notes: dict[str, None] = field(default_factory=dict[str, None])
    failures: dict[str, None] = field(default_factory=dict[str, None])
    crowded: dict[bool, dict[str, None]] = field(default_factory=lambda: {True: {}, False: {}})

    def add(self, part: str, name: str, candidate: str, value: float, unit: str = "") -> None:
        """Add the value of one round."""
        self.samples.setdefault(Figure(part, name, unit), {}).setdefault(candidate, []).append(value)

    def complete(self, part: str, candidate: str, other: str) -> None:
        """Use the values of another candidate for the figures of a part that were not measured for this one."""
        for figure, candidates in self.samples.items():
            if figure.part == part and other in candidates:
                candidates.setdefault(candidate, candidates[other])

    def note(self, text: str) -> None:
        """Add a note for the reader. A repeated note is shown once."""
        self.notes[text] = None

    def fail(self, text: str) -> None:
        """Record that something could not be measured. The run continues, and exits with a failure."""
        self.failures[text] = None

    def crowd(self, where: str, *, by_load: bool) -> None:
        """Record that the load's core was full, either because of the load or because of other programs."""
        self.crowded[by_load][where] = None

    def remarks(self) -> list[str]:
        """Return all notes for the reader."""
        words = {True: "Load and upstream were the limit in: ", False: "Other programs used the load's core in: "}
        crowds = [words[by_load] + "; ".join(places) for by_load, places in self.crowded.items() if places]
        return [*self.notes, *crowds]

    def median(self, part: str, name: str, candidate: str) -> float | None:
        """Return the median of the added values; None without values."""
        for figure, candidates in self.samples.items():
            if (figure.part, figure.name) == (part, name) and candidate in candidates:
                return statistics.median(candidates[candidate])
        return None

    def checks(self, part: str) -> list[Check]:
        """Compare the medians of a part with its targets."""
        return [self._check(target) for target in TARGETS if target.part == part]

    def _check(self, target: Target) -> Check:
        median = self.median(target.part, target.figure, target.candidate)
        base = self.median(target.part, target.figure, target.to) if target.to else 1.0
        if median is None or not base:
            return Check(target, None, "not measured")
        value = median / base
        return Check(target, value, "ok" if target.met(value, median) else "MISSED")

    def show(self, part: str) -> str:
        """Return the table and the checks of a part as text."""
        checks = [f"  {check}" for check in self.checks(part)]
        return "\n".join(["", part.upper(), *_table(part, self.samples), *checks])

    def write(self, path: Path, parts: list[str]) -> None:
        """Write everything that was measured so far as JSON."""
        figures = [
            {
                "part": figure.part,
                "figure": figure.name,
                "unit": figure.unit,
                "candidate": candidate,
                "median": statistics.median(values),
                "samples": values,
            }
            for figure, candidates in self.samples.items()
            for candidate, values in candidates.items()
        ]
        checks = [
            {
                "part": part,
                "check": check.target.name,
                "value": check.value,
                "target": check.target.wanted,
                "verdict": check.verdict,
            }
            for part in parts
            for check in self.checks(part)
        ]
        content = {
            "machine": {"python": sys.version.split()[0], "system": platform.platform(), "argv": sys.argv[1:]},
            "figures": figures,
            "checks": checks,
            "notes": self.remarks(),
            "failures": [*self.failures],
        }
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=1))


def shown(value: float | None) -> str:
    """Format a value with three significant digits."""
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2  # noqa: PLR2004 - three significant digits
    return f"{value:,.{digits}f}"


def _cell(values: list[float] | None) -> str:
    """Return the median, with the smallest and the largest value of the rounds."""
    if not values:
        return "-"
    median = shown(statistics.median(values))
    return f"{median} ({shown(min(values))}-{shown(max(values))})" if len(values) > 1 else median


def _table(part: str, samples: dict[Figure, dict[str, list[float]]]) -> list[str]:
    figures = {figure: candidates for figure, candidates in samples.items() if figure.part == part}
    names = list(dict.fromkeys(name for candidates in figures.values() for name in candidates))
    rows = [["median (lowest-highest)", *names]]
    for figure, candidates in figures.items():
        cells = [_cell(candidates.get(name)) for name in names]
        rows.append([f"{figure.name}, {figure.unit}".rstrip(", "), *cells])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
