"""The parts `streams`, `client`, `capacity`, `flat`, `first` and `followers`: cost, latency and capacity of streams."""

from pathlib import Path

from bench.options import Options
from bench.peers.candidates import (
    BROADCAST,
    NAIVE,
    NODE,
    RELAY,
    TERTULIA_ITSELF,
    UNMERGED,
    UNTITLED,
    Candidate,
    Stage,
    merging_relay,
)
from bench.processes import Json
from bench.report import Report

TOKEN_MS = 20
"""The milliseconds between two tokens of an answer."""
MERGING = merging_relay(0)
"""The pause is set for each measurement, so that it has as many deltas per token as Tertulia."""
ALL = (TERTULIA_ITSELF, UNMERGED, NAIVE, NODE, RELAY, MERGING)
OFFERED = 0.97
"""The share of the offered tokens that a candidate must deliver for a step to count."""
OVERLOADED = 0.9
"""A candidate that delivers a smaller share is overloaded. Its start takes long, and its figures mean little."""
TOO_LATE_MS = 100.0
FULL = 0.97
"""From this share of busy time of the load's core, the figure is doubtful."""
LIMITING = 0.85
"""If load and upstream used at least this share themselves, they were the limit; otherwise other programs were."""
STEP = 1.25
STEPS = 8
FIRST_GUESS = {"tertulia": 900, "node": 250, "relay": 1100}
"""Near the results, because each step takes about 15 seconds."""
FOLLOWERS = 1000
FOLLOWED_TOKEN_MS = 100
"""The milliseconds between two tokens of the answer that all follow. The load can read 10,000 frames per second."""


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
) -> None:
    """Measure one candidate with answers of 50 tokens per second each, and add the result to the report."""
    with stage.server(candidate, variables, place) as server:
        load = {"streams": options.count(streams), "interval_ms": TOKEN_MS, **options.steady()}
        result = stage.measure("steady", candidate, server, **load)
    take_steady(report, part, candidate.name, f"{streams} answers", result)


def take_steady(report: Report, part: str, name: str, what: str, result: Json) -> None:
    """Add the result of a steady load to the report."""
    reader = result["readers"][0]
    figures = (
        ("CPU per token", result["cpu_us"], "µs"),
        ("CPU per frame", result["frame_us"], "µs"),
        ("deltas per token", result["deltas"] / max(result["tokens"], 1), ""),
        ("p50", reader["p50_ms"], "ms"),
        ("p99", reader["p99_ms"], "ms"),
        ("delivered", 100 * result["delivered"] / result["offered"], "%"),
        ("resident", sum(result["rss_mb"]), "MB"),
        ("load and upstream", 100 * result["load_share"], "% of a core"),
    )
    for figure, value, unit in figures:
        report.add(part, f"{what}: {figure}", name, value, unit)
    watch(report, f"{part}, {name}, {what}", result, reader)


def watch(report: Report, where: str, result: Json, reader: Json) -> None:
    """Add notes about everything that makes a figure doubtful."""
    if reader["errors"] or reader["violations"]:
        report.note(f"{where}: {reader['violations']} deltas with a wrong offset, errors {reader['errors']}")
    if result["load_core_busy"] > FULL:
        report.crowd(where, by_load=result["load_share"] > LIMITING)


def streams(stage: Stage, report: Report, options: Options) -> None:
    """Measure 20 and 200 answers at the same time. 200 overload some candidates, which are measured once."""
    for candidate in options.turns(*options.present(*ALL)):
        for count in options.loads(20, 200):
            delivered = report.median("streams", f"{count} answers: delivered", candidate.name)
            if delivered is not None and delivered < 100 * OVERLOADED:
                continue
            chosen = candidate
            if candidate is MERGING:
                # Tertulia is the first candidate of the first round.
                merged = report.median("streams", f"{count} answers: deltas per token", TERTULIA_ITSELF.name)
                pause = pause_ms(merged or 1.0)
                if not pause and options.present(RELAY):
                    report.note(f"streams: Tertulia merged nothing with {count} answers. relay-merging is the relay.")
                    continue
                chosen = merging_relay(pause)
            steady(stage, report, chosen, "streams", options, count)
    report.complete("streams", MERGING.name, RELAY.name)


def pause_ms(deltas: float) -> float:
    """Return the pause after each read with which a relay sends this many deltas per token; 0 for about one."""
    return TOKEN_MS / deltas if deltas < OFFERED else 0.0


def client(stage: Stage, report: Report, options: Options) -> None:
    """Measure the relay with both implementations of the load, to verify the load."""
    for mode in options.turns("load", "second client"):
        with stage.server(RELAY) as server:
            load = {"streams": options.count(20), "interval_ms": TOKEN_MS, **options.steady()}
            result = stage.measure("steady" if mode == "load" else "second", RELAY, server, **load)
        reader = result["readers"][0] if mode == "load" else result
        what = "20 answers"
        report.add("client", f"{what}: CPU per token", mode, result["cpu_us"], "µs")
        report.add("client", f"{what}: deltas per token", mode, result["deltas"] / max(result["tokens"], 1))
        report.add("client", f"{what}: p50", mode, reader["p50_ms"], "ms")
        report.add("client", f"{what}: p99", mode, reader["p99_ms"], "ms")
        report.add("client", f"{what}: delivered", mode, 100 * result["delivered"] / result["offered"], "%")
        for problem in result.get("problems", []):
            report.note(f"client, {mode}: {problem}")


def capacity(stage: Stage, report: Report, options: Options) -> None:
    """Search how many answers of 50 tokens per second one core serves, in steps of a quarter."""
    guesses = {name: options.count(guess) for name, guess in FIRST_GUESS.items()}
    for candidate in options.turns(*options.present(TERTULIA_ITSELF, NODE, RELAY)):
        held = _search(stage, report, candidate, options, guesses[candidate.name])
        report.add("capacity", "answers served", candidate.name, held, "p99 < 100 ms")
        guesses[candidate.name] = max(held, 10)


def _search(stage: Stage, report: Report, candidate: Candidate, options: Options, guess: int) -> int:
    held, count, up = 0, guess, True
    for _ in range(1 if options.quick else STEPS):
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
    name = "100 answers without a pace"
    for candidate in options.turns(*options.present(TERTULIA_ITSELF, NAIVE, NODE, RELAY)):
        with stage.server(candidate) as server:
            result = stage.measure("flat", candidate, server, streams=options.count(100), **options.flat())
        report.add("flat", name, candidate.name, result["rate"], "tokens/s")
        report.add("flat", f"{name}: CPU per token", candidate.name, result["cpu_us"], "µs")
        report.add("flat", f"{name}: deltas per token", candidate.name, result["deltas"] / max(result["tokens"], 1))
        watch(report, f"flat, {candidate.name}", result, result)


def first(stage: Stage, report: Report, options: Options) -> None:
    """Measure the time from a request to the first text, with one client at a time."""
    for candidate in options.turns(*options.present(TERTULIA_ITSELF, UNTITLED, NAIVE, NODE, RELAY)):
        with stage.server(candidate) as server:
            result = stage.measure("first", candidate, server, count=options.count(100))
        report.add("first", "first text: median", candidate.name, result["p50_ms"], "ms")
        report.add("first", "first text: p99", candidate.name, result["p99_ms"], "ms")


def followers(stage: Stage, report: Report, options: Options) -> None:
    """Measure one answer that 1,000 clients follow."""
    for candidate in options.turns(*options.present(TERTULIA_ITSELF, BROADCAST)):
        with stage.server(candidate) as server:
            load = {"streams": options.count(FOLLOWERS), "interval_ms": FOLLOWED_TOKEN_MS, **options.steady()}
            result = stage.measure("followers", candidate, server, **load)
        take_steady(report, "followers", candidate.name, "1,000 followers", result)
