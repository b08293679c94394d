"""The part `opening`: the CPU of opening sockets with a subscription each, as after a restart of the server."""

from bench.options import Options
from bench.peers.candidates import NAIVE, TERTULIA_ITSELF, Stage
from bench.report import Report

PART = "opening"
SOCKETS = 2000


def opening(stage: Stage, report: Report, options: Options) -> None:
    """Measure the CPU of one of 2,000 sockets, from its opening to its first event, and of its closing."""
    for candidate in options.turns(*options.present(TERTULIA_ITSELF, NAIVE)):
        with stage.server(candidate) as server:
            stage.measure("idle", candidate, server, streams=50, warm=0.5)  # Imports and caches do not count.
            result = stage.measure("idle", candidate, server, streams=options.count(SOCKETS), warm=0.5)
        for phase in ("open", "close"):
            milliseconds = result[f"{phase}_cpu_ms"] / max(result["begun"], 1)
            report.add(PART, f"a socket with a subscription: CPU to {phase}", candidate.name, milliseconds, "ms")
        if result["errors"]:
            report.note(f"{PART}, {candidate.name}: {result['errors']}")
