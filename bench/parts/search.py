"""The part `search`: the cost of the first page in 100,000 messages and in a tenth of them."""

from pathlib import Path

import orjson

from bench.options import Options
from bench.peers.candidates import TERTULIA_ITSELF, Stage
from bench.processes import folder, write_dataset
from bench.report import Report
from bench.wire import fetch

PART = "search"
CONVERSATIONS = 33_334
"""With three messages each, on average."""
SEARCH = """query ($query: String!) { searchMessages(query: $query, first: 10) {
  edges { excerpt score highlights { start end } node { id } } pageInfo { hasNextPage endCursor } } }"""
QUERIES = {
    "a rare word": "number123",
    "a word that is in every message": "claude",
    "a phrase that is in every message": '"two or three sentences"',
    "a prefix of many words": "number12*",
}
WHOLE, TENTH = "100,000 messages", "10,000 messages"


def search(stage: Stage, report: Report, options: Options) -> None:
    """Write two databases, and send the same requests to both."""
    with folder() as place:
        files = {WHOLE: place / "whole.db", TENTH: place / "tenth.db"}
        for name, count in ((WHOLE, options.count(CONVERSATIONS)), (TENTH, options.count(CONVERSATIONS) // 10)):
            write_dataset(files[name], count)
        for _ in range(options.rounds):
            for name, file in files.items():
                _measure(stage, report, options, name, file)
    for what in QUERIES:
        report.ratio(PART, what, (WHOLE, TENTH), "<=", 1.5)


def _measure(stage: Stage, report: Report, options: Options, name: str, file: Path) -> None:
    with stage.server(TERTULIA_ITSELF, {"DATABASE_URL": f"sqlite+aiosqlite:///{file}"}) as server:
        for what, query in QUERIES.items():
            body = {"query": SEARCH, "variables": {"query": query}}
            assert fetch(server.port, "/graphql", body)["data"]["searchMessages"]["edges"], query
            text = orjson.dumps(body).decode()
            result = stage.measure("requests", TERTULIA_ITSELF, server, streams=1, body=text, **options.step())
            report.add(PART, what, name, result["p50_ms"], "ms")
