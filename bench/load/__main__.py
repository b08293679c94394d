"""The load: simulates clients of one candidate, and prints the measurements as one line of JSON.

The load is the same for all candidates: one socket per client, and orjson for each message. It runs on a core that no
candidate uses, without garbage collection, and reports how busy it and its core were. If `load_core_busy` is near 1,
the load was the limit, not the candidate.

    python -m bench.load steady   --kind tertulia --ports 8000 --pids 4711 --streams 200    CPU per token, latency
    python -m bench.load second   ...                                                       the same, by another client
    python -m bench.load followers ... --streams 1000                                       many clients of one answer
    python -m bench.load flat     ... --streams 100 --tokens 2000                           tokens per second, unpaced
    python -m bench.load first    ... --count 100                                           time to the first text
    python -m bench.load long     ... --count 10 --streams 20                               messages in one conversation
    python -m bench.load turns    ... --streams 50 --count 1000 --tokens 2                  one answer after another
    python -m bench.load idle     ... --streams 5000                                        idle subscriptions
    python -m bench.load requests ... --path /graphql --body '{"query": "{ viewer { id } }"}'
"""

import argparse
import gc
import json
import resource
import sys

import uvloop

from bench.load.long import long
from bench.load.paced import followers, steady
from bench.load.quiet import idle, requests
from bench.load.second import second
from bench.load.unpaced import first, flat, turns

MODES = {mode.__name__: mode for mode in (steady, second, followers, flat, first, long, turns, idle, requests)}


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def main() -> int:
    """Run one mode, and print its measurements."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--kind", choices=("tertulia", "direct"), default="tertulia")
    parser.add_argument("--ports", type=_numbers, required=True, help="requests go to the first; all are followed")
    parser.add_argument("--pids", type=_numbers, default=[], help="the processes whose CPU and memory are measured")
    parser.add_argument("--upstream-pid", type=int, default=0, help="the process whose CPU counts as the load's")
    parser.add_argument("--streams", type=int, default=20, help="clients")
    parser.add_argument("--interval-ms", type=int, default=20)
    parser.add_argument("--warm", type=float, default=2.0, help="seconds before measuring")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--answer-tokens", type=int, default=0, help="steady: tokens of an answer; 0: one long answer")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--path", default="/graphql")
    parser.add_argument("--body", default="")
    options = parser.parse_args()
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    gc.disable()
    result = uvloop.run(MODES[options.mode](options))
    print(json.dumps({"phase": "end", **result}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
