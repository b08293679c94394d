"""The part `tails`: pauses of the server's garbage collector, and the latest tokens, with 100 answers for a minute."""

from pathlib import Path

from bench.measuring import percentile
from bench.options import Options
from bench.parts.streams import watch
from bench.peers.candidates import NAIVE, TERTULIA_ITSELF, Stage
from bench.processes import HERE, folder
from bench.report import Report

ANSWERS = 100
ANSWER_TOKENS = 1000
"""The length of an answer: 20 seconds. Then its client requests the next one."""
PART = "tails"


def tails(stage: Stage, report: Report, options: Options) -> None:
    """Measure each candidate once: the measurement is long enough without repetitions."""
    for candidate in options.present(TERTULIA_ITSELF, NAIVE):
        with folder() as place:
            file = place / "pauses"
            probe = {"PYTHONPATH": f"{HERE / 'parts' / 'probe'}:{HERE.parent}", "BENCH_GC_FILE": str(file)}
            with stage.server(candidate, probe) as server:
                length = {"warm": 2, "seconds": 2 if options.quick else options.minutes * 60}
                result = stage.measure(
                    "steady", candidate, server, streams=options.count(ANSWERS), answer_tokens=ANSWER_TOKENS, **length
                )
            pauses = read_pauses(file, *result["window"])
        reader = result["readers"][0]
        watch(report, f"{PART}, {candidate.name}", result, reader)
        for generation, durations in pauses.items():
            name = f"collections of generation {generation}"
            report.add(PART, f"{name}: count", candidate.name, len(durations))
            report.add(PART, f"{name}: p99", candidate.name, percentile(durations, 0.99), "ms")
            report.add(PART, f"{name}: longest", candidate.name, max(durations, default=0.0), "ms")
        everything = [pause for durations in pauses.values() for pause in durations]
        report.add(PART, "longest pause", candidate.name, max(everything, default=0.0), "ms")
        report.add(PART, "a token's p99", candidate.name, reader["p99_ms"], "ms")
        report.add(PART, "the latest token", candidate.name, reader["max_ms"], "ms")
        report.add(PART, "delivered", candidate.name, 100 * result["delivered"] / result["offered"], "%")


def read_pauses(file: Path, begun: int, ended: int) -> dict[int, list[float]]:
    """Return the durations of the collections in an interval, in milliseconds, by generation."""
    pauses: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for line in file.read_text().splitlines() if file.exists() else ():
        end, generation, milliseconds = line.split()
        if begun <= int(end) <= ended:
            pauses[int(generation)].append(float(milliseconds))
    return pauses
