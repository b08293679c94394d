"""The part `lists`: the cost of the first page of 10,000 conversations and of a tenth of them, in each order."""

import subprocess
from pathlib import Path

import orjson

from bench.options import Options
from bench.peers.candidates import TERTULIA_ITSELF, Stage
from bench.processes import PYTHON, environment, folder, write_dataset
from bench.report import Report
from bench.wire import fetch

PART = "lists"
CONVERSATIONS = 10_000
LIST = """query ($order: ConversationOrder!, $filter: ConversationFilter) {
  conversations(first: 50, order: $order, filter: $filter) {
    edges { cursor node { id title updatedAt lastMessage { id text } } } pageInfo { hasNextPage endCursor } } }"""
ASKED = {
    "last active": {"order": "LAST_ACTIVE"},
    "oldest": {"order": "OLDEST"},
    "by title": {"order": "TITLE"},
    "title contains": {"order": "LAST_ACTIVE", "filter": {"titleContains": "conversation"}},
}
PAGE = 50
WHOLE, TENTH = "10,000 conversations", "1,000 conversations"


def lists(stage: Stage, report: Report, options: Options) -> None:
    """Write two databases, and send the same requests to both."""
    with folder() as place:
        files = {WHOLE: place / "whole.db", TENTH: place / "tenth.db"}
        for name, count in ((WHOLE, options.count(CONVERSATIONS)), (TENTH, options.count(CONVERSATIONS) // 10)):
            write_dataset(files[name], count)
        for _ in range(options.rounds):
            for name, file in files.items():
                _measure(stage, report, options, name, file)
        for name, file in files.items():
            for what, variables in ASKED.items():
                report.add(
                    PART, f"{what}: steps", name, _steps(file, orjson.dumps({"query": LIST, "variables": variables}))
                )
    for what in ASKED:
        report.ratio(PART, what, (WHOLE, TENTH), "<=", 1.5)
        report.ratio(PART, f"{what}: steps", (WHOLE, TENTH), "<=", 1.1)


def _measure(stage: Stage, report: Report, options: Options, name: str, file: Path) -> None:
    with stage.server(TERTULIA_ITSELF, {"DATABASE_URL": f"sqlite+aiosqlite:///{file}"}) as server:
        for what, variables in ASKED.items():
            body = {"query": LIST, "variables": variables}
            assert len(fetch(server.port, "/graphql", body)["data"]["conversations"]["edges"]) == PAGE, what
            text = orjson.dumps(body).decode()
            result = stage.measure("requests", TERTULIA_ITSELF, server, streams=1, body=text, **options.step())
            report.add(PART, what, name, result["p50_ms"], "ms")


def _steps(file: Path, body: bytes) -> int:
    """Return the steps of SQLite's virtual machine for a request. Unlike times, they do not vary between runs."""
    command = [PYTHON, "-m", "bench.parts.statements", str(file), "--steps"]
    done = subprocess.run(command, input=body, env=environment(), cwd=file.parent, capture_output=True, check=True)
    return int(done.stdout)
