"""The part `queries`: a page of 10,000 conversations, compared with two peers, and the smallest GraphQL query."""

import orjson

from bench.options import Options
from bench.peers.candidates import HANDWRITTEN, NAIVE, TERTULIA_ITSELF, Candidate, Stage
from bench.processes import Json, Server, count_statements, folder, write_dataset
from bench.report import Report
from bench.wire import fetch

PART = "queries"
CONVERSATIONS = 10_000
PAGE = 50
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
FIRST_PAGE = "first page of 50"
PATH = "/conversations"
"""The route of the handwritten peer."""
LISTS: dict[str, Json | None] = {
    "tertulia": {"query": LIST},
    "handwritten": None,
    "naive": {"query": NAIVE_LIST},
}
"""The GraphQL request of each candidate; None for the route."""


def queries(stage: Stage, report: Report, options: Options) -> None:
    """Write the database once. All candidates read the same file."""
    with folder() as place:
        file = place / "bench.db"
        count = options.count(CONVERSATIONS)
        write_dataset(file, count)
        pages: dict[str, list[Json]] = {}
        for candidate in options.turns(*options.present(TERTULIA_ITSELF, HANDWRITTEN, NAIVE)):
            with stage.server(candidate, {"DATABASE_URL": f"sqlite+aiosqlite:///{file}"}) as server:
                pages[candidate.name] = nodes(_first_page(candidate, server))
                first = _ask(stage, candidate, server, LISTS[candidate.name], options)
                _add(report, FIRST_PAGE, candidate.name, first)
                if candidate is not HANDWRITTEN:
                    _add(report, VIEWER, candidate.name, _ask(stage, candidate, server, {"query": VIEWER}, options))
                if candidate is TERTULIA_ITSELF:
                    after = _cursor(server, max(count // PAGE // 2, 1))
                    body = {"query": LIST, "variables": {"after": after}}
                    later = _ask(stage, candidate, server, body, options)
                    ratio = later["cpu_us"] / first["cpu_us"]
                    report.add(PART, "middle / first page: CPU per request", candidate.name, ratio)
        for name, page in pages.items():
            if page != pages["tertulia"]:
                report.fail(f"queries: the page of {name} differs from Tertulia's, so their ratio is not valid")
        [counts] = count_statements(file, orjson.dumps({"query": LIST}))
        report.add(PART, f"{FIRST_PAGE}: SQL statements", "tertulia", counts["statements"])


def nodes(answer: Json) -> list[Json]:
    """Return the conversations of a page. Cursors are opaque, so they are not compared."""
    return [edge["node"] for edge in answer["data"]["conversations"]["edges"]]


def _first_page(candidate: Candidate, server: Server) -> Json:
    body = LISTS[candidate.name]
    return fetch(server.port, PATH) if body is None else fetch(server.port, "/graphql", body)


def _add(report: Report, what: str, name: str, result: Json) -> None:
    report.add(PART, f"{what}: CPU per request", name, result["cpu_us"], "µs")
    report.add(PART, f"{what}: requests", name, result["rate"], "1/s")
    report.add(PART, f"{what}: p50 of 8 clients", name, result["p50_ms"], "ms")


def _ask(stage: Stage, candidate: Candidate, server: Server, body: Json | None, options: Options) -> Json:
    request = {"path": PATH} if body is None else {"body": orjson.dumps(body).decode()}
    return stage.measure("requests", candidate, server, streams=CLIENTS, **request, **options.requests())


def _cursor(server: Server, pages: int) -> str | None:
    """Read this many pages, and return the cursor after the last one."""
    after: str | None = None
    for _ in range(pages):
        response = fetch(server.port, "/graphql", {"query": CURSORS, "variables": {"after": after}})
        after = response["data"]["conversations"]["pageInfo"]["endCursor"]
    return after
