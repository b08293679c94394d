"""Collect measurements, and show them as a table, JSON and a plot, with the target of each check."""

import json
import platform
import statistics
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """A quantity that is measured for each candidate."""

    part: str
    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class Check:
    """A value or ratio, and its target. The value is None if it was not measured."""

    part: str
    name: str
    value: float | None
    relation: str
    target: float

    @property
    def verdict(self) -> str:
        """Return `ok`, `MISSED` or `not measured`."""
        if self.value is None:
            return "not measured"
        met = self.value <= self.target if self.relation == "<=" else self.value >= self.target
        return "ok" if met else "MISSED"


@dataclass(slots=True)
class Report:
    """Samples by figure and candidate, checks and notes, in the order in which they were added."""

    samples: dict[Figure, dict[str, list[float]]] = field(default_factory=dict[Figure, dict[str, list[float]]])
    checks: list[Check] = field(default_factory=list[Check])
    notes: dict[str, None] = field(default_factory=dict[str, None])
    failures: dict[str, None] = field(default_factory=dict[str, None])
    crowded: dict[bool, dict[str, None]] = field(default_factory=lambda: {True: {}, False: {}})

    def add(self, part: str, name: str, candidate: str, value: float, unit: str = "") -> None:
        """Add the value of one round."""
        self.samples.setdefault(Figure(part, name, unit), {}).setdefault(candidate, []).append(value)

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

    def at_most(self, part: str, name: str, candidate: str, target: float) -> None:
        """Check that a median is at most `target`."""
        self.checks.append(Check(part, f"{name}, {candidate}", self.median(part, name, candidate), "<=", target))

    def at_least(self, part: str, name: str, candidate: str, target: float) -> None:
        """Check that a median is at least `target`."""
        self.checks.append(Check(part, f"{name}, {candidate}", self.median(part, name, candidate), ">=", target))

    def ratio(self, part: str, name: str, candidates: tuple[str, str], relation: str, target: float) -> None:
        """Check the ratio of the first candidate's median to the second's."""
        of, to = (self.median(part, name, candidate) for candidate in candidates)
        value = of / to if of is not None and to else None
        self.checks.append(Check(part, f"{name}, {' / '.join(candidates)}", value, relation, target))

    def show(self) -> str:
        """Return the report as text."""
        lines: list[str] = []
        for part in dict.fromkeys(figure.part for figure in self.samples):
            lines += ["", part.upper(), *_table(part, self.samples)]
            lines += [_line(check) for check in self.checks if check.part == part]
        remarks = [*(f"Note: {text}" for text in self.remarks()), *(f"FAILED: {text}" for text in self.failures)]
        return "\n".join([*lines, "", *remarks])

    def write(self, folder: Path) -> Path:
        """Write the JSON and the plot, and return the path of the JSON."""
        folder.mkdir(exist_ok=True)
        path = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
        path.write_text(json.dumps(self._json(), indent=1))
        if self.samples:
            try:
                from bench.plot import draw

                draw(self, path.with_suffix(".svg"))
            except Exception as error:  # noqa: BLE001 - the figures are already written
                self.fail(f"the plot could not be drawn: {error}")
        return path

    def _json(self) -> dict[str, object]:
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
                "part": check.part,
                "check": check.name,
                "value": check.value,
                "target": f"{check.relation} {check.target:g}",
                "verdict": check.verdict,
            }
            for check in self.checks
        ]
        machine = {"python": sys.version.split()[0], "system": platform.platform(), "argv": sys.argv[1:]}
        return {
            "machine": machine,
            "figures": figures,
            "checks": checks,
            "notes": self.remarks(),
            "failures": [*self.failures],
        }


def shown(value: float | None) -> str:
    """Format a value with three significant digits."""
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2  # noqa: PLR2004 - three significant digits
    return f"{value:,.{digits}f}"


def _line(check: Check) -> str:
    return f"  {check.name}: {shown(check.value)}  (target {check.relation} {check.target:g})  {check.verdict}"


def _table(part: str, samples: dict[Figure, dict[str, list[float]]]) -> list[str]:
    figures = {figure: candidates for figure, candidates in samples.items() if figure.part == part}
    names = list(dict.fromkeys(name for candidates in figures.values() for name in candidates))
    rows = [["median", *names]]
    for figure, candidates in figures.items():
        medians = [statistics.median(candidates[name]) if name in candidates else None for name in names]
        rows.append([f"{figure.name}, {figure.unit}".rstrip(", "), *map(shown, medians)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
