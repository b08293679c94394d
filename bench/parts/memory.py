"""The part `memory`: memory with 200 answers, per idle subscription, and after many tokens and conversations."""

import resource
import time

from bench.measuring import rss_mb
from bench.options import Options
from bench.parts.streams import steady
from bench.peers.candidates import NAIVE, TERTULIA_ITSELF, Candidate, Stage
from bench.processes import Json, Server
from bench.report import Report

PART = "memory"
IDLE = 5000
TOKENS_A_STEP = 200_000
CONVERSATIONS_A_STEP = 2_000
STEPS = 5
ANSWER_TOKENS = 2_000
SPARE_FILES = 1_000


def memory(stage: Stage, report: Report, options: Options) -> None:
    """Measure all three once, because memory hardly differs between two runs."""
    for candidate in options.present(TERTULIA_ITSELF, NAIVE):
        steady(stage, report, candidate, PART, options, 200)
        _idle(stage, report, options, candidate)
    _growth(stage, report, options)


def _idle(stage: Stage, report: Report, options: Options, candidate: Candidate) -> None:
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(options.count(IDLE), limit - SPARE_FILES)
    if count < options.count(IDLE):
        report.note(f"memory: only {count} idle subscriptions, because a process may open {limit} files")
    with stage.server(candidate) as server:
        stage.measure("idle", candidate, server, streams=10, warm=1)  # Imports and pools do not count.
        result = stage.measure("idle", candidate, server, streams=count, warm=1 if options.quick else 3)
    if result["errors"] or result["begun"] < count:
        report.note(f"memory, {candidate.name}: {result['begun']} of {count} subscribed, {result['errors']}")
    kilobytes = 1024 * (result["after_mb"][0] - result["before_mb"][0]) / max(result["begun"], 1)
    report.add(PART, "per idle subscription", candidate.name, kilobytes, "KB")


def _growth(stage: Stage, report: Report, options: Options) -> None:
    for what, tokens, step in (
        ("tokens", ANSWER_TOKENS, TOKENS_A_STEP // ANSWER_TOKENS),
        ("conversations", 2, CONVERSATIONS_A_STEP),
    ):
        turns = options.count(step)
        sizes: list[float] = []
        with stage.server(TERTULIA_ITSELF) as server:
            for number in range(1, (2 if options.quick else STEPS) + 1):
                result = stage.measure("turns", TERTULIA_ITSELF, server, streams=50, count=turns, tokens=tokens)
                sizes.append(_settled(server))
                reached = number * turns * (tokens if what == "tokens" else 1)
                report.add(PART, f"after {reached:,} {what}", "tertulia", sizes[-1], "MB")
                _watch(report, what, turns, result)
        report.add(PART, f"{what}: end / middle", "tertulia", sizes[-1] / sizes[(len(sizes) - 1) // 2])


def _settled(server: Server) -> float:
    time.sleep(1.5)  # Wait for the last checkpoint.
    return rss_mb(server.pid)


def _watch(report: Report, what: str, turns: int, result: Json) -> None:
    if result["errors"] or result["ended"] < turns:
        report.note(f"memory, growth by {what}: {result['ended']} of {turns} answers, {result['errors']}")
