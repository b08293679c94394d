"""Run the benchmarks: each part alternates its candidates, and the results of all parts are printed at the end.

python -m bench                                         everything, three rounds: about an hour
python -m bench --only streams,first --rounds 1 --quick some parts, to test that they work
python -m bench --only tails --minutes 10               a long run for the pauses of the garbage collector
"""

import argparse
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable

from bench.options import Options
from bench.parts import assistants, caching, joined, lists, memory, queries, search, start, streams, tails
from bench.peers.candidates import Stage, staged
from bench.processes import HERE, choose_cores, node
from bench.report import Report

Part = Callable[[Stage, Report, Options], None]
PARTS: dict[str, Part] = {
    "streams": streams.streams,
    "capacity": streams.capacity,
    "flat": streams.flat,
    "first": streams.first,
    "tails": tails.tails,
    "joined": joined.joined,
    "memory": memory.memory,
    "queries": queries.queries,
    "search": search.search,
    "lists": lists.lists,
    "start": start.start,
    "caching": caching.caching,
    "shared": assistants.shared,
    "filter": assistants.filtered,
}


def main() -> int:
    """Run the selected parts, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas: " + ", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=3, help="how often each candidate is measured")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long `tails` measures")
    parser.add_argument(
        "--quick", action="store_true", help="short loads, to test that the parts work; the figures are not meaningful"
    )
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    unknown = sorted(set(names) - set(PARTS))
    if unknown:
        parser.error(f"--only: unknown part {', '.join(unknown)}; the parts are {', '.join(PARTS)}")
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    options, report = Options(arguments.rounds, arguments.minutes, arguments.quick), Report()
    if options.quick:
        report.note(
            "A quick run: counts are a tenth, and the hundredth page is the tenth. The figures are not meaningful."
        )
    if os.cpu_count() == 1:
        report.note("This machine has one core, which server and load share. No figure is valid.")
    if node() is None:
        report.note("Node.js, or its packages in bench/peers/node, are not installed. The Node peer was left out.")
    try:
        for name in names:
            _run(name, report, options)
    except KeyboardInterrupt:
        report.fail("interrupted: the following parts were not measured")
    path = report.write(HERE / "results")
    print(report.show())
    print(f"\nWritten: {path.relative_to(HERE.parent)}")
    return 1 if report.failures else 0


def _run(name: str, report: Report, options: Options) -> None:
    begun = time.monotonic()
    try:
        # Each part has its own upstream, so that a broken one does not break the following parts.
        with staged(choose_cores()) as stage:
            PARTS[name](stage, report, options)
    except Exception as error:  # noqa: BLE001 - no error of a part may lose the figures of the other parts
        traceback.print_exc()
        report.fail(f"{name} failed: {_explain(error)}")
    print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)


def _explain(error: Exception) -> str:
    """Return the error, with the last line that the failed program wrote to standard error."""
    stderr = getattr(error, "stderr", None) or b""
    text = stderr.decode(errors="replace") if isinstance(stderr, bytes) else str(stderr)
    last = text.strip().rpartition("\n")[2]
    return ": ".join(filter(None, (f"{type(error).__name__}: {error}", last)))


if __name__ == "__main__":
    sys.exit(main())
