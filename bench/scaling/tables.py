"""Print the tables of docs/scaling.md that show how costs grow, in Markdown. Each takes at most five minutes.

python -m bench.scaling.tables answers                          20 to 1,000 answers at the same time
python -m bench.scaling.tables followers                        1 to 1,000 clients of one answer
python -m bench.scaling.tables messages                         a conversation of 10 to 10,000 messages
python -m bench.scaling.tables conversations                    lists of 1,000 to 100,000 conversations, with SQLite
python -m bench.scaling.tables conversations --database postgresql
"""

import argparse
import asyncio
import resource
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager

import orjson

from bench.options import Options
from bench.parts.joined import empty_storage
from bench.parts.queries import LIST
from bench.parts.sizes import CONVERSATIONS, LAST_MESSAGES, body
from bench.peers.candidates import TERTULIA_ITSELF, Stage, staged
from bench.people.storage import postgres_cpu
from bench.processes import Json, Server, choose_cores, databases, folder, write_dataset
from bench.report import shown

ANSWERS = (20, 50, 100, 200, 400, 700, 1000)
FOLLOWERS = (1, 10, 100, 1000)
FRAMES_PER_SECOND = 10_000
"""The most frames that the load can read."""
MESSAGES = (10, 100, 1_000, 10_000)
SIZES = (1_000, 10_000, 100_000)
REQUESTS: dict[str, Json] = {
    "first page of 50": {"query": LIST},
    "by title": {"query": CONVERSATIONS, "variables": {"order": "TITLE"}},
    "pinned; none is": {
        "query": CONVERSATIONS,
        "variables": {"order": "LAST_ACTIVE", "filter": {"pinned": True}},
    },
    "title contains a word that none has": {
        "query": CONVERSATIONS,
        "variables": {"order": "LAST_ACTIVE", "filter": {"titleContains": "zebra"}},
    },
}
MESSAGES_EACH = 2
"""The messages of each conversation in lists."""
SENDS = 10
OTHERS = 20
Row = list[str]


def answers(stage: Stage, options: Options, _database: str) -> Iterator[Row]:
    """Yield the cost and the latency of answers at 50 tokens per second."""
    yield ["concurrent answers", "CPU per token, µs", "core, %", "deltas per token", "token, p50 / p99, ms", "MB"]
    for count in options.loads(*ANSWERS):
        with stage.server(TERTULIA_ITSELF) as server:
            load = {"streams": options.count(count), "interval_ms": 20, **options.step()}
            result = stage.measure("steady", TERTULIA_ITSELF, server, **load)
        yield [f"{count:,}", *_paced(result), shown(sum(result["rss_mb"]))]


def followers(stage: Stage, options: Options, _database: str) -> Iterator[Row]:
    """Yield the cost and the latency of one answer that many clients follow."""
    yield ["followers", "CPU per frame, µs", "core, %", "deltas per token", "token, p50 / p99, ms"]
    for count in options.loads(*FOLLOWERS):
        with stage.server(TERTULIA_ITSELF) as server:
            interval = max(20, 1000 * count // FRAMES_PER_SECOND)
            result = stage.measure(
                "followers", TERTULIA_ITSELF, server, streams=count, interval_ms=interval, **options.step()
            )
        yield [f"{count:,}", *_paced(result)]


def _paced(result: Json) -> Row:
    reader = result["readers"][0]
    return [
        shown(result["cpu_us"]),
        shown(100 * result["cpu_share"]),
        shown(result["deltas"] / max(result["tokens"], 1)),
        f"{shown(reader['p50_ms'])} / {shown(reader['p99_ms'])}",
    ]


def messages(stage: Stage, options: Options, _database: str) -> Iterator[Row]:
    """Yield the cost of reading and sending in a conversation, while 20 other answers run."""
    yield [
        "messages in the conversation",
        "`messages(last: 20)`: CPU, ms",
        "send: response, ms",
        "first text, ms",
        "CPU, ms",
        "other answers: latest token, ms",
    ]
    for length in options.loads(*MESSAGES):
        with folder() as place:
            write_dataset(place / "messages.db", 1, length)
            variables = {"DATABASE_URL": f"sqlite+aiosqlite:///{place}/messages.db"}
            with stage.server(TERTULIA_ITSELF, variables) as server:
                read = _request(stage, server, options, body(LAST_MESSAGES, "last 20"))
                load = {"streams": OTHERS, "interval_ms": 20, "count": options.count(SENDS), "seconds": 1}
                sent = stage.measure("long", TERTULIA_ITSELF, server, **load)
        values = (sent["post_ms"], sent["first_ms"], sent["cpu_ms"], sent["during_ms"]["max"])
        yield [f"{length:,}", shown(read["cpu_us"] / 1000), *map(shown, values)]


def conversations(stage: Stage, options: Options, database: str) -> Iterator[Row]:
    """Yield the CPU time of lists, with that of PostgreSQL, and the time until the response, in milliseconds."""
    yield [f"conversations, {database}", *REQUESTS]
    for size in options.loads(*SIZES):
        with _filled(database, size) as (variables, postgres), stage.server(TERTULIA_ITSELF, variables) as server:
            yield [f"{size:,}", *(_list_cost(stage, server, options, name, postgres) for name in REQUESTS)]


@contextmanager
def _filled(database: str, size: int) -> Generator[tuple[dict[str, str], str | None]]:
    """Write conversations. Yields the settings of the server, and the URL of PostgreSQL."""
    if database == "sqlite":
        with folder() as place:
            write_dataset(place / "lists.db", size, MESSAGES_EACH)
            yield {"DATABASE_URL": f"sqlite+aiosqlite:///{place}/lists.db"}, None
        return
    with databases() as (postgres, listening):
        settings = empty_storage(postgres, listening)
        write_dataset(settings["DATABASE_URL"], size, MESSAGES_EACH)
        yield settings, postgres


def _list_cost(stage: Stage, server: Server, options: Options, name: str, postgres: str | None) -> str:
    before = asyncio.run(postgres_cpu(postgres)) if postgres else 0.0
    result = _request(stage, server, options, orjson.dumps(REQUESTS[name]))
    cost = shown(result["cpu_us"] / 1000)
    if postgres:
        step = options.requests()
        # The requests before the measurement are not counted.
        requests = result["requests"] * (step["warm"] + step["seconds"]) / step["seconds"]
        cost += f" + {shown(1000 * (asyncio.run(postgres_cpu(postgres)) - before) / requests)}"
    return f"{cost} / {shown(result['p50_ms'])}"


def _request(stage: Stage, server: Server, options: Options, request: bytes) -> Json:
    return stage.measure("requests", TERTULIA_ITSELF, server, streams=1, body=request.decode(), **options.requests())


TABLES: dict[str, Callable[[Stage, Options, str], Iterator[Row]]] = {
    table.__name__: table for table in (answers, followers, messages, conversations)
}


def line(cells: Sequence[str]) -> str:
    """Return a row of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Measure the selected tables, and print each row when it is known."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.scaling.tables", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", nargs="+", choices=TABLES)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite", help="for `conversations`")
    parser.add_argument("--quick", action="store_true", help="only the smallest size, to test that it works")
    arguments = parser.parse_args()
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    options, cores = Options(rounds=1, quick=arguments.quick), choose_cores()
    for name in arguments.tables:
        with staged(cores) as stage:
            rows = TABLES[name](stage, options, arguments.database)
            header = next(rows)
            print("", line(header), line(["---", *["---:"] * (len(header) - 1)]), sep="\n")
            for row in rows:
                print(line(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
