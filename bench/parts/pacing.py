"""The part `pacing`: the trade between latency and merged tokens, up to an overloaded core."""

from bench.options import Options
from bench.parts.streams import OFFERED, TOKEN_MS, watch
from bench.peers.candidates import RELAY, TERTULIA_ITSELF, UNMERGED, Candidate, Stage
from bench.processes import Json
from bench.report import Report

PART = "pacing"
SIZES = (50, 100, 200, 400, 700, 1000)
COLLAPSED_MS = 1000.0
"""A candidate whose p99 is above this is not measured with more answers."""
FIGURES = ("deltas per token", "p50", "p99", "CPU")
"""The plot has a chart for each of them."""


def pacing(stage: Stage, report: Report, options: Options) -> None:
    """Measure more and more answers, once per candidate: the figures of an overloaded core need no median."""
    for candidate in options.present(TERTULIA_ITSELF, UNMERGED, RELAY):
        for count in options.loads(*SIZES):
            result = _measure(stage, candidate, options, count)
            reader = result["readers"][0]
            share = result["deltas"] / max(result["tokens"], 1)
            values = (share, reader["p50_ms"], reader["p99_ms"], 100 * result["cpu_share"])
            for figure, value, unit in zip(FIGURES, values, ("", "ms", "ms", "% of a core"), strict=True):
                report.add(PART, f"{count} answers: {figure}", candidate.name, value, unit)
            watch(report, f"{PART}, {candidate.name}, {count} answers", result, reader)
            if reader["p99_ms"] > COLLAPSED_MS or result["delivered"] < OFFERED * result["offered"]:
                report.note(f"{PART}: {candidate.name} cannot serve {count} answers")
                break


def _measure(stage: Stage, candidate: Candidate, options: Options, count: int) -> Json:
    with stage.server(candidate) as server:
        load = {"streams": options.count(count), "interval_ms": TOKEN_MS, **options.step()}
        return stage.measure("steady", candidate, server, **load)
