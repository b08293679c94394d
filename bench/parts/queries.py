"""The part `queries`: a page of 10,000 conversations, compared with two peers, and the smallest GraphQL query."""

import subprocess
from pathlib import Path

import orjson

from bench.options import Options
from bench.peers.candidates import HANDWRITTEN, NAIVE, TERTULIA_ITSELF, Candidate, Stage
from bench.processes import PYTHON, Json, Server, environment, folder, write_dataset
from bench.report import Report
from bench.wire import fetch

PART = "queries"
CONVERSATIONS = 10_000
PAGES = 100
CLIENTS = 8
NODE = """id title updatedAt
  lastMessage { id text role }
  usage { inputTokens outputTokens cacheReadTokens cacheWriteTokens costUsd }
  activeGeneration { id status }"""
LIST = f"""query ($after: String) {{ conversations(first: 50, after: $after) {{
  edges {{ cursor node {{ {NODE} }} }}
  pageInfo {{ hasNextPage endCursor }}
}} }}"""
NAIVE_LIST = f"{{ conversations(first: 50) {{ edges {{ cursor node {{ {NODE} }} }} }} }}"
CURSORS = "query ($after: String) { conversations(first: 50, after: $after) { pageInfo { endCursor } } }"
VIEWER = "{ viewer { id } }"
FIRST_PAGE, LATER_PAGE = "first page of 50: CPU per request", "hundredth page of 50: CPU per request"
LEAST = "viewer { id }: requests"


def queries(stage: Stage, report: Report, options: Options) -> None:
    """Write the database once. All candidates read the same file."""
    with folder() as place:
        file = place / "bench.db"
        count = options.count(CONVERSATIONS)
        write_dataset(file, count)
        for _ in range(options.rounds):
            _lists(stage, report, options, file, pages=count // CONVERSATIONS * PAGES or 10)
            for candidate in (TERTULIA_ITSELF, NAIVE):
                with stage.server(candidate) as server:
                    result = _ask(stage, candidate, server, {"query": VIEWER}, options)
                report.add(PART, LEAST, candidate.name, result["rate"], "1/s")
                report.add(PART, "viewer { id }: CPU per request", candidate.name, result["cpu_us"], "µs")
        report.add(PART, "first page of 50: SQL statements", "tertulia", _statements(file))
    report.ratio(PART, FIRST_PAGE, ("tertulia", "handwritten"), "<=", 3)
    report.ratio(PART, FIRST_PAGE, ("naive", "tertulia"), ">=", 4)
    report.at_most(PART, "first page of 50: SQL statements", "tertulia", 3)
    report.ratio(PART, LEAST, ("tertulia", "naive"), ">=", 2)
    report.ratio(PART, "a page: CPU per request", ("hundredth", "first"), "<=", 1.2)


def _lists(stage: Stage, report: Report, options: Options, file: Path, pages: int) -> None:
    database = {"DATABASE_URL": f"sqlite+aiosqlite:///{file}"}
    with stage.server(TERTULIA_ITSELF, database) as server:
        answer = fetch(server.port, "/graphql", {"query": LIST})
        result = _ask(stage, TERTULIA_ITSELF, server, {"query": LIST}, options)
        _add(report, "tertulia", result)
        after = _cursor(server, pages - 1)
        later = _ask(stage, TERTULIA_ITSELF, server, {"query": LIST, "variables": {"after": after}}, options)
        report.add(PART, "a page: CPU per request", "first", result["cpu_us"], "µs")
        report.add(PART, "a page: CPU per request", "hundredth", later["cpu_us"], "µs")
    with stage.server(HANDWRITTEN, database) as server:
        if fetch(server.port, "/conversations") != answer:
            report.fail("queries: the handwritten page differs from Tertulia's, so their ratio is not valid")
        load = {"streams": CLIENTS, "path": "/conversations", **options.steady()}
        _add(report, "handwritten", stage.measure("requests", HANDWRITTEN, server, **load))
    with stage.server(NAIVE, database) as server:
        if _nodes(fetch(server.port, "/graphql", {"query": NAIVE_LIST})) != _nodes(answer):
            report.fail("queries: the naive page differs from Tertulia's, so their ratio is not valid")
        _add(report, "naive", _ask(stage, NAIVE, server, {"query": NAIVE_LIST}, options))


def _add(report: Report, name: str, result: Json) -> None:
    report.add(PART, FIRST_PAGE, name, result["cpu_us"], "µs")
    report.add(PART, "first page of 50: requests", name, result["rate"], "1/s")
    report.add(PART, "first page of 50: p50 of 8 clients", name, result["p50_ms"], "ms")


def _ask(stage: Stage, candidate: Candidate, server: Server, body: Json, options: Options) -> Json:
    text = orjson.dumps(body).decode()
    return stage.measure("requests", candidate, server, streams=CLIENTS, body=text, **options.steady())


def _cursor(server: Server, pages: int) -> str | None:
    """Read this many pages, and return the cursor after the last one."""
    after: str | None = None
    for _ in range(pages):
        response = fetch(server.port, "/graphql", {"query": CURSORS, "variables": {"after": after}})
        after = response["data"]["conversations"]["pageInfo"]["endCursor"]
    return after


def _nodes(answer: Json) -> list[Json]:
    return [edge["node"] for edge in answer["data"]["conversations"]["edges"]]


def _statements(file: Path) -> int:
    body = orjson.dumps({"query": LIST})
    command = [PYTHON, "-m", "bench.parts.statements", str(file)]
    done = subprocess.run(command, input=body, env=environment(), cwd=file.parent, capture_output=True, check=True)
    return int(done.stdout)
