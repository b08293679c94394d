"""Run the benchmarks. Each part measures its candidates in turns, prints its table, and adds it to a file.

python -m bench                                         everything, three rounds: about 45 minutes
python -m bench --only streams,first --peers node       some parts, with some of the peers
python -m bench --quick                                 everything with small loads, to test that it works
python -m bench --check                                 exit with 1 if a target is missed
"""

import argparse
import os
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.options import Options
from bench.parts import (
    assistants,
    caching,
    joined,
    long,
    memory,
    opening,
    pacing,
    providers,
    queries,
    sizes,
    start,
    streams,
    tails,
)
from bench.peers.candidates import PEERS, Stage, staged
from bench.processes import HERE, Cores, choose_cores, node
from bench.report import Report

Part = Callable[[Stage, Report, Options], None]
PARTS: dict[str, Part] = {
    "streams": streams.streams,
    "client": streams.client,
    "capacity": streams.capacity,
    "flat": streams.flat,
    "first": streams.first,
    "long": long.long,
    "followers": streams.followers,
    "pacing": pacing.pacing,
    "tails": tails.tails,
    "joined": joined.joined,
    "memory": memory.memory,
    "opening": opening.opening,
    "queries": queries.queries,
    "messages": sizes.messages,
    "lists": sizes.lists,
    "search": sizes.search,
    "start": start.start,
    "caching": caching.caching,
    "shared": assistants.shared,
    "filter": assistants.filtered,
    "providers": providers.providers,
}
PEER_NAMES = [*(peer.name for peer in PEERS), streams.MERGING.name]


def _names(known: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = [name for name in text.split(",") if name]
        if unknown := sorted({*names} - {*known}):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
        return names

    return parse


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", type=_names([*PARTS]), default=[*PARTS], help="parts, separated by commas: " + ", ".join(PARTS)
    )
    parser.add_argument(
        "--peers", type=_names(PEER_NAMES), help="the peers to compare with, default all: " + ", ".join(PEER_NAMES)
    )
    parser.add_argument("--rounds", type=int, help="how often each candidate is measured; default 3, 1 with --quick")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long `tails` measures")
    parser.add_argument("--quick", action="store_true", help="short loads with small counts; no figure is meaningful")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed or was not measured")
    parser.add_argument(
        "--output", type=Path, help="the JSON file, which is written after each part; default bench/results/TIME.json"
    )
    return parser


def main() -> int:
    """Run the selected parts, and return the exit status."""
    arguments = _parser().parse_args()
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    peers = None if arguments.peers is None else frozenset(arguments.peers)
    rounds = arguments.rounds or (1 if arguments.quick else 3)
    options, report = Options(rounds, arguments.minutes, arguments.quick, peers), Report()
    path = arguments.output or HERE / "results" / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    _describe(report, options)
    cores = choose_cores()
    try:
        for name in arguments.only:
            _run(name, cores, report, options)
            report.write(path, arguments.only)
    except KeyboardInterrupt:
        report.fail("interrupted: the following parts were not measured")
    _plot(report, path.with_suffix(".svg"))
    report.write(path, arguments.only)
    bad = [f"{part}: {check}" for part in arguments.only for check in report.checks(part) if check.verdict != "ok"]
    print("", *bad, *(f"Note: {text}" for text in report.remarks()), sep="\n")
    print(*(f"FAILED: {text}" for text in report.failures), f"Written: {path}", sep="\n")
    return 1 if report.failures or (arguments.check and bad) else 0


def _describe(report: Report, options: Options) -> None:
    """Add notes about what makes figures invalid or incomplete."""
    if options.quick:
        report.note("A quick run: counts are a tenth of those in the names. The figures are not meaningful.")
    if os.cpu_count() == 1:
        report.note("This machine has one core, which server and load share. No figure is valid.")
    if node() is None:
        report.note("Node.js, or its packages in bench/peers/node, are not installed. The Node peer was left out.")


def _run(name: str, cores: Cores, report: Report, options: Options) -> None:
    begun = time.monotonic()
    try:
        # Each part has its own upstream, so that a broken one does not break the following parts.
        with staged(cores) as stage:
            PARTS[name](stage, report, options)
    except Exception as error:  # noqa: BLE001 - no error of a part may lose the figures of the other parts
        traceback.print_exc()
        report.fail(f"{name} failed: {_explain(error)}")
    print(report.show(name), f"  {time.monotonic() - begun:.0f} s", sep="\n", flush=True)


def _explain(error: Exception) -> str:
    """Return the error, with the last line that the failed program wrote to standard error."""
    stderr = error.stderr if isinstance(error, subprocess.CalledProcessError) else None
    text = stderr.decode(errors="replace") if isinstance(stderr, bytes) else stderr or ""
    last = text.strip().rpartition("\n")[2]
    return ": ".join(filter(None, (f"{type(error).__name__}: {error}", last)))


def _plot(report: Report, path: Path) -> None:
    try:
        from bench.plot import draw

        draw(report, path)
    except Exception as error:  # noqa: BLE001 - the figures are already written
        report.note(f"There is no plot: {error}. `make bench` installs what it needs.")


if __name__ == "__main__":
    sys.exit(main())
