"""The part `long`: messages in a long conversation, and how late other answers are meanwhile."""

from bench.options import Options
from bench.peers.candidates import TERTULIA_ITSELF, Stage
from bench.processes import folder, write_dataset
from bench.report import Report

LENGTHS = (10, 100, 1_000, 5_000, 10_000)
SENDS = 10
OTHERS = 20
TOKEN_MS = 20


def long(stage: Stage, report: Report, options: Options) -> None:
    """Measure messages in conversations of several lengths, while 20 other answers run at 50 tokens per second."""
    for length in options.turns(*options.loads(*LENGTHS)):
        with folder() as place:
            file = place / "long.db"
            write_dataset(file, 1, length)
            with stage.server(TERTULIA_ITSELF, {"DATABASE_URL": f"sqlite+aiosqlite:///{file}"}) as server:
                load = {"streams": OTHERS, "interval_ms": TOKEN_MS, "count": options.count(SENDS), "seconds": 1}
                result = stage.measure("long", TERTULIA_ITSELF, server, **load)
        name = f"{length:,} messages"
        report.add("long", "response to the send", name, result["post_ms"], "ms")
        report.add("long", "first text", name, result["first_ms"], "ms")
        report.add("long", "CPU per send", name, result["cpu_ms"], "ms")
        for figure in ("p99", "max"):
            report.add("long", f"other answers, without sends: {figure}", name, result["before_ms"][figure], "ms")
            report.add("long", f"other answers, during sends: {figure}", name, result["during_ms"][figure], "ms")
        if result["errors"]:
            report.note(f"long, {name}: {result['errors']}")
