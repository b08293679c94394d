"""Runs the benchmarks: each part alternates its candidates, and all are shown together at the end.

python -m bench                                         everything, three rounds: about an hour
python -m bench --only streams,first --rounds 1 --quick a part, to see that it works
python -m bench --only tails --minutes 10               the long run of the collector's pauses
"""

import argparse
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable

from bench.options import Options
from bench.parts import caching, joined, lists, memory, queries, search, start, streams, tails
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
}


def main() -> int:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas: " + ", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=3, help="how often each candidate has its turn")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long the tails are watched")
    parser.add_argument("--quick", action="store_true", help="short loads: to see that it works, not to measure")
    given = parser.parse_args()
    names = given.only.split(",")
    unknown = sorted(set(names) - set(PARTS))
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; there are: {', '.join(PARTS)}")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    options, report = Options(given.rounds, given.minutes, given.quick), Report()
    if options.quick:
        report.note("A quick run: counts are a tenth and the hundredth page is the tenth. Its figures mean little.")
    if os.cpu_count() == 1:
        report.note("This machine has one core: server and load share it, so that no figure holds.")
    if node() is None:
        report.note("Node, or its packages in bench/peers/node, are missing: the Node peer was left out.")
    try:
        for name in names:
            _run(name, report, options)
    except KeyboardInterrupt:
        report.fail("interrupted: what follows was not measured")
    path = report.write(HERE / "results")
    print(report.show())
    print(f"\nWritten: {path.relative_to(HERE.parent)}")
    return 1 if report.failures else 0


def _run(name: str, report: Report, options: Options) -> None:
    begun = time.monotonic()
    try:
        # Each part has a separate upstream: a broken one would also break all parts that follow.
        with staged(choose_cores()) as stage:
            PARTS[name](stage, report, options)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not cost the other parts' figures
        traceback.print_exc()
        report.fail(f"{name} broke off: {_explain(error)}")
    print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)


def _explain(error: Exception) -> str:
    """Return what went wrong, with the last line that its program has written."""
    said = getattr(error, "stderr", None) or b""
    written = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    last = written.strip().rpartition("\n")[2]
    return ": ".join(filter(None, (f"{type(error).__name__}: {error}", last)))


if __name__ == "__main__":
    sys.exit(main())
