"""The load: plays clients against one candidate, and prints what it measured as one line of JSON.

Fair because it is the same for all: one socket a client, orjson on each message, nothing else a token. It runs on a
core that no candidate uses, its collector is off, and it tells how busy it and its core were: a figure with a
`load_core_busy` near 1 is the load's limit, not the candidate's.

    python -m bench.load steady   --kind tertulia --ports 8000 --pids 4711 --streams 200    CPU a token, latency
    python -m bench.load flat     ... --streams 100 --tokens 2000                           tokens a second, unpaced
    python -m bench.load first    ... --count 100                                           time to the first text
    python -m bench.load turns    ... --streams 50 --count 1000 --tokens 2                  whole answers in turn
    python -m bench.load idle     ... --streams 5000                                        silent subscriptions
    python -m bench.load requests ... --path /graphql --body '{"query": "{ viewer { id } }"}'
"""

import argparse
import gc
import json
import resource
import sys

import uvloop

from bench.load.paced import steady
from bench.load.quiet import idle, requests
from bench.load.unpaced import first, flat, turns

MODES = {mode.__name__: mode for mode in (steady, flat, first, turns, idle, requests)}


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def main() -> int:
    """Run one mode."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--kind", choices=("tertulia", "direct"), default="tertulia")
    parser.add_argument("--ports", type=_numbers, required=True, help="the first is asked, all are followed")
    parser.add_argument("--pids", type=_numbers, default=[], help="the processes whose CPU and memory count")
    parser.add_argument("--upstream-pid", type=int, default=0, help="whose CPU counts as the load's")
    parser.add_argument("--streams", type=int, default=20, help="clients")
    parser.add_argument("--interval-ms", type=int, default=20)
    parser.add_argument("--warm", type=float, default=2.0, help="seconds before measuring")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--answer-tokens", type=int, default=0, help="steady: length of answers; 0 for one long one")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--path", default="/graphql")
    parser.add_argument("--body", default="")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    gc.disable()
    result = uvloop.run(MODES[options.mode](options))
    print(json.dumps({"phase": "end", **result}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
