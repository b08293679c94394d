"""The parts `streams`, `capacity`, `flat` and `first`: cost and latency of tokens, and the capacity of a core."""

from pathlib import Path

from bench.options import Options
from bench.peers.candidates import FIXED, NAIVE, NODE, RELAY, TERTULIA_ITSELF, Candidate, Stage, present
from bench.processes import Json
from bench.report import Report

ALL = (TERTULIA_ITSELF, NAIVE, FIXED, NODE, RELAY)
OFFERED = 0.97
"""The share of the offered tokens that a candidate must deliver for a step to count."""
TOO_LATE_MS = 100.0
FULL = 0.97
"""From this share of busy time of the load's core, the figure is doubtful."""
LIMITING = 0.85
"""If load and upstream used at least this share themselves, they were the limit; otherwise other programs were."""
STEP = 1.25
STEPS = 8
FIRST_GUESS = {"tertulia": 250, "node": 120, "relay": 450}


def cpu(streams: int) -> str:
    return f"{streams} answers: CPU per token"


def p99(streams: int) -> str:
    return f"{streams} answers: p99"


def steady(
    stage: Stage,
    report: Report,
    candidate: Candidate,
    part: str,
    options: Options,
    streams: int,
    *,
    variables: Json | None = None,
    place: Path | None = None,
) -> Json:
    """Measure one candidate with answers of 50 tokens per second each, and add the result to the report."""
    with stage.server(candidate, variables, place) as server:
        result = stage.measure("steady", candidate, server, streams=streams, **options.steady())
    take_steady(report, part, candidate.name, streams, result)
    return result


def take_steady(report: Report, part: str, name: str, streams: int, result: Json) -> None:
    """Add the result of a steady load to the report."""
    reader = result["readers"][0]
    report.add(part, cpu(streams), name, result["cpu_us"], "µs")
    report.add(part, f"{streams} answers: p50", name, reader["p50_ms"], "ms")
    report.add(part, p99(streams), name, reader["p99_ms"], "ms")
    report.add(part, f"{streams} answers: delivered", name, 100 * result["delivered"] / result["offered"], "%")
    report.add(part, f"{streams} answers: resident", name, sum(result["rss_mb"]), "MB")
    report.add(part, f"{streams} answers: load and upstream", name, 100 * result["load_share"], "% of a core")
    watch(report, f"{part}, {name}, {streams} answers", result, reader)


def watch(report: Report, where: str, result: Json, reader: Json) -> None:
    """Add notes about everything that makes a figure doubtful."""
    if reader["errors"] or reader["violations"]:
        report.note(f"{where}: {reader['violations']} deltas with a wrong offset, errors {reader['errors']}")
    if result["load_core_busy"] > FULL:
        report.crowd(where, by_load=result["load_share"] > LIMITING)


def streams(stage: Stage, report: Report, options: Options) -> None:
    """Measure 20 and 200 answers at the same time. 200 overload some candidates."""
    for _ in range(options.rounds):
        for count in (20, 200):
            for candidate in present(*ALL):
                steady(stage, report, candidate, "streams", options, count)
    for count in (200, 20):
        report.ratio("streams", cpu(count), ("tertulia", "naive"), "<=", 0.20)
        report.ratio("streams", cpu(count), ("tertulia", "naive-fixed"), "<=", 0.20)
        report.ratio("streams", cpu(count), ("tertulia", "node"), "<=", 0.65)
        report.ratio("streams", cpu(count), ("tertulia", "relay"), "<=", 2.2)
        report.at_most("streams", p99(count), "tertulia", 10)


def capacity(stage: Stage, report: Report, options: Options) -> None:
    """Search how many answers of 50 tokens per second one core serves, in steps of a quarter."""
    guesses = dict(FIRST_GUESS)
    for _ in range(options.rounds):
        for candidate in present(TERTULIA_ITSELF, NODE, RELAY):
            held = _search(stage, report, candidate, options, guesses[candidate.name])
            report.add("capacity", "answers served", candidate.name, held, "p99 < 100 ms")
            guesses[candidate.name] = max(int(held / STEP), 10)
    report.ratio("capacity", "answers served", ("tertulia", "node"), ">=", 2)


def _search(stage: Stage, report: Report, candidate: Candidate, options: Options, guess: int) -> int:
    held, count, up = 0, guess, True
    for _ in range(STEPS):
        with stage.server(candidate) as server:
            result = stage.measure("steady", candidate, server, streams=count, **options.step())
        reader = result["readers"][0]
        watch(report, f"capacity, {candidate.name}, {count} answers", result, reader)
        if reader["p99_ms"] < TOO_LATE_MS and result["delivered"] >= OFFERED * result["offered"]:
            if not up:
                return count
            held, count = count, int(count * STEP)
        elif held:
            return held
        else:
            up, count = False, int(count / STEP)
    return held


def flat(stage: Stage, report: Report, options: Options) -> None:
    """Measure the tokens per second of 100 answers that are written as fast as they are read."""
    for _ in range(options.rounds):
        for candidate in present(*ALL):
            with stage.server(candidate) as server:
                result = stage.measure("flat", candidate, server, streams=100, **options.flat())
            report.add("flat", "100 answers without a pace", candidate.name, result["rate"], "tokens/s")
            report.add("flat", "100 answers without a pace: CPU per token", candidate.name, result["cpu_us"], "µs")
            watch(report, f"flat, {candidate.name}", result, result)
    report.ratio("flat", "100 answers without a pace", ("tertulia", "naive"), ">=", 25)
    report.ratio("flat", "100 answers without a pace", ("tertulia", "naive-fixed"), ">=", 25)
    report.ratio("flat", "100 answers without a pace", ("tertulia", "node"), ">=", 4)


def first(stage: Stage, report: Report, options: Options) -> None:
    """Measure the time from a request to the first text, with one client at a time."""
    for _ in range(options.rounds):
        for candidate in present(TERTULIA_ITSELF, NAIVE, NODE, RELAY):
            with stage.server(candidate) as server:
                result = stage.measure("first", candidate, server, count=options.count(100))
            report.add("first", "first text: median", candidate.name, result["p50_ms"], "ms")
            report.add("first", "first text: p99", candidate.name, result["p99_ms"], "ms")
    report.ratio("first", "first text: median", ("tertulia", "naive"), "<=", 0.6)
