"""The parts `lists`, `messages` and `search`: whether the same request costs the same in a larger database."""

from dataclasses import dataclass
from pathlib import Path

import orjson

from bench.options import Options
from bench.peers.candidates import TERTULIA_ITSELF, Stage
from bench.processes import Json, count_statements, folder, write_dataset
from bench.report import Report
from bench.wire import fetch

CONVERSATIONS = """query ($order: ConversationOrder!, $filter: ConversationFilter) {
  conversations(first: 50, order: $order, filter: $filter) {
    edges { cursor node { id title updatedAt lastMessage { id text } activeGeneration { id status } } }
    pageInfo { hasNextPage endCursor } } }"""
MESSAGES = """query ($last: Int!) { conversations(first: 1) { edges { node { messages(last: $last) {
  edges { cursor node { id role text } } pageInfo { hasPreviousPage startCursor } } } } } }"""
SEARCH = """query ($query: String!) { searchMessages(query: $query, first: 10) {
  edges { excerpt score highlights { start end } node { id } } pageInfo { hasNextPage endCursor } } }"""


@dataclass(frozen=True, slots=True)
class Database:
    """The size of a database. Without `messages`, a conversation has two to four."""

    name: str
    conversations: int
    messages: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Requests that are sent to two databases."""

    part: str
    query: str
    requests: dict[str, Json]
    """The variables of each request, by its name."""
    databases: tuple[Database, Database]
    steps: bool = True
    """Whether to count the steps of SQLite's virtual machine. Unlike times, they do not vary between runs."""


LISTS = Comparison(
    "lists",
    CONVERSATIONS,
    {
        "last active": {"order": "LAST_ACTIVE"},
        "oldest": {"order": "OLDEST"},
        "by title": {"order": "TITLE"},
        "title contains": {"order": "LAST_ACTIVE", "filter": {"titleContains": "conversation"}},
    },
    (Database("10,000 conversations", 10_000), Database("1,000 conversations", 1_000)),
)
LAST_MESSAGES = Comparison(
    "messages",
    MESSAGES,
    {"last 20": {"last": 20}},
    (Database("10,000 messages", 1, 10_000), Database("100 messages", 1, 100)),
)
SEARCHES = Comparison(
    "search",
    SEARCH,
    {
        "rare word": {"query": "number123"},
        "common word": {"query": "claude"},
        "common phrase": {"query": '"two or three sentences"'},
        "prefix": {"query": "number12*"},
    },
    (Database("100,000 messages", 33_334), Database("10,000 messages", 3_333)),
    steps=False,
)


def lists(stage: Stage, report: Report, options: Options) -> None:
    """Measure the first page of conversations in each order."""
    _compare(stage, report, options, LISTS)


def messages(stage: Stage, report: Report, options: Options) -> None:
    """Measure the last messages of a conversation."""
    _compare(stage, report, options, LAST_MESSAGES)


def search(stage: Stage, report: Report, options: Options) -> None:
    """Measure the first ten results of a search."""
    _compare(stage, report, options, SEARCHES)


def body(comparison: Comparison, name: str) -> bytes:
    """Return the body of a request."""
    return orjson.dumps({"query": comparison.query, "variables": comparison.requests[name]})


def _compare(stage: Stage, report: Report, options: Options, comparison: Comparison) -> None:
    with folder() as place:
        files = {database: place / f"{number}.db" for number, database in enumerate(comparison.databases)}
        for database, file in files.items():
            write_dataset(file, options.count(database.conversations), database.messages)
        for database in options.turns(*comparison.databases):
            _measure(stage, report, options, comparison, database.name, files[database])
        for database, file in files.items() if comparison.steps else ():
            bodies = {name: body(comparison, name) for name in comparison.requests}
            for name, counts in zip(bodies, count_statements(file, *bodies.values()), strict=True):
                report.add(comparison.part, f"{name}: steps", database.name, counts["steps"])


def _measure(stage: Stage, report: Report, options: Options, comparison: Comparison, database: str, file: Path) -> None:
    with stage.server(TERTULIA_ITSELF, {"DATABASE_URL": f"sqlite+aiosqlite:///{file}"}) as server:
        for name, variables in comparison.requests.items():
            answer = fetch(server.port, "/graphql", {"query": comparison.query, "variables": variables})
            if "errors" in answer or not any(field["edges"] for field in answer["data"].values()):
                raise RuntimeError(f"{comparison.part}, {name}: {str(answer)[:500]}")
            text = body(comparison, name).decode()
            result = stage.measure("requests", TERTULIA_ITSELF, server, streams=1, body=text, **options.requests())
            report.add(comparison.part, f"{name}: p50", database, result["p50_ms"], "ms")
            report.add(comparison.part, f"{name}: CPU per request", database, result["cpu_us"], "µs")
