"""Traces: what an OpenTelemetry collector gets, over its real protocol, of a real server's work."""

import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import forking
import pytest
from client import Api, Json
from faults import CountingClaude, Server, counting
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from running import running, tertulia

PATIENCE = 20.0
SECRET = "zeppelins over Bogotá"


@dataclass(frozen=True)
class Told:
    """A span as it came."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    failed: bool
    attributes: Json
    events: int


class Collector:
    """What speaks OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Told] = []
        self.resources: list[Json] = []
        self.raw = b""
        self.address = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        assert scope["path"] == "/v1/traces"
        self.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(_attributes(resource.resource.attributes))
            self.spans += [_told(span) for scoped in resource.scope_spans for span in scoped.spans]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def wait_for(self, trace: str, *names: str) -> "Trace":
        """Wait until spans of these names have come of a trace; give what has."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = Trace([span for span in self.spans if span.trace == trace])
            if set(names) <= {span.name for span in found.spans}:
                return found
            assert time.monotonic() < deadline, f"{names} among {[span.name for span in self.spans]}"
            threading.Event().wait(0.02)


@dataclass(frozen=True)
class Trace:
    """The spans of one trace."""

    spans: list[Told]

    def one(self, name: str) -> Told:
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def parent_of(self, span: Told) -> Told:
        (found,) = [one for one in self.spans if one.id == span.parent]
        return found


def _attributes(given: Any) -> Json:
    return {one.key: _value(one.value) for one in given}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(one) for one in value.array_value.values] if kind == "array_value" else getattr(value, kind)


def _told(span: Any) -> Told:
    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
    failed = span.status.code == 2
    assert not span.status.message
    return Told(span.name, *ids, span.kind, failed, _attributes(span.attributes), len(span.events))


@contextmanager
def collecting() -> Generator[Collector]:
    collector = Collector()
    with running(collector, lifespan="off") as collector.address:
        yield collector


@contextmanager
def serving(folder: Path, claude: CountingClaude, **more: str) -> Generator[Server]:
    place = {"database_url": f"sqlite+aiosqlite:///{folder / 'tertulia.db'}"}
    server = Server(folder, place, claude, **{"OTEL_BSP_SCHEDULE_DELAY": "50", **more})
    try:
        yield server
    finally:
        server.close()


@dataclass(frozen=True)
class Traced:
    """A server, what collects its traces, and a trace that was begun before either."""

    api: Api
    collector: Collector
    trace: str
    parent: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Server, Collector]]:
    here = Path(__file__).parent
    tools = {"TERTULIA_TOOLS": "some_tools", "TERTULIA_LOG_FORMAT": "json", "PYTHONPATH": f"{forking.CODE}:{here}"}
    with (
        collecting() as collector,
        counting(pace=1) as claude,
        serving(
            tmp_path_factory.mktemp("traced"), claude, OTEL_EXPORTER_OTLP_ENDPOINT=collector.address, **tools
        ) as server,
    ):
        server.ready()
        yield server, collector


@pytest.fixture
def traced(served: tuple[Server, Collector]) -> Generator[Traced]:
    server, collector = served
    trace, parent = token_hex(16), token_hex(8)
    with Api(server.address) as api:
        api.http.headers["traceparent"] = f"00-{trace}-{parent}-01"
        yield Traced(api, collector, trace, parent)


def test_a_trace_leads_from_the_request_to_claude_and_the_tools(traced: Traced) -> None:
    done = traced.api.answer(f'{SECRET}\n/simulate call weather {{"place": {{"city": "{SECRET}"}}}}')
    generation = done["generation"]["id"]
    told = traced.collector.wait_for(traced.trace, "invoke_agent tertulia", "mutation", "POST /graphql")
    agent, tool = told.one("invoke_agent tertulia"), told.one("execute_tool weather")
    chats = [span for span in told.spans if span.name.startswith("chat ")]
    assert [told.parent_of(span) for span in chats] == [agent, agent]
    assert told.parent_of(tool) == agent
    sent = told.parent_of(agent)
    assert (sent.name, told.parent_of(sent).name) == ("mutation", "POST /graphql")
    assert told.one("POST /graphql").parent == traced.parent
    writes = [span for span in told.spans if span.name == "database write"]
    assert {told.parent_of(span).name for span in writes} <= {"mutation", "invoke_agent tertulia"}
    _check_conventions(agent, tool, chats, generation)
    for words in (SECRET, "Bogot", "sk-ant-counted"):
        assert words.encode() not in traced.collector.raw
    assert traced.collector.resources[0]["service.name"] == "tertulia"


def _check_conventions(agent: Told, tool: Told, chats: list[Told], generation: str) -> None:
    first, second = (chat.attributes for chat in chats)
    assert first["gen_ai.operation.name"] == "chat"
    assert first["gen_ai.provider.name"] == "anthropic"
    assert first["gen_ai.response.finish_reasons"] == ["tool_use"]
    assert second["gen_ai.response.finish_reasons"] == ["end_turn"]
    assert first["gen_ai.response.id"].startswith("msg_")
    assert first["anthropic.request.id"].startswith("req_")
    assert first["gen_ai.response.time_to_first_chunk"] > 0
    assert {chat.kind for chat in chats} == {3}, "SPAN_KIND_CLIENT"
    for count in ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"):
        assert agent.attributes[count] == first[count] + second[count] > 0
    assert tool.attributes["gen_ai.operation.name"] == "execute_tool"
    assert tool.attributes["gen_ai.tool.name"] == "weather"
    assert agent.attributes["tertulia.generation.end"] == "completed"
    assert agent.attributes["tertulia.generation.id"] == generation
    assert agent.attributes["gen_ai.conversation.id"] == tool.attributes["gen_ai.conversation.id"]
    assert not any(span.failed or span.events for span in (agent, tool, *chats))


def test_who_follows_has_a_trace_of_their_own(traced: Traced) -> None:
    generation = traced.api.answer("Hi")["generation"]["id"]
    traced.api.follow(generation, 1)
    found = list[Json]()
    deadline = time.monotonic() + PATIENCE
    while len(found) < 2:
        assert time.monotonic() < deadline
        told = [span.attributes for span in traced.collector.spans if span.name == "follow"]
        found = [one for one in told if one["tertulia.generation.id"] == generation]
    assert [one["tertulia.follow.how"] for one in found] == ["snapshot", "resumed"]
    assert found[0]["tertulia.follow.sequence"] == found[1]["tertulia.follow.sequence"] > 1


def test_a_request_has_an_id_that_comes_back(traced: Traced) -> None:
    named = traced.api.http.get("/healthz", headers={"X-Request-ID": "from-the-proxy"})
    assert named.headers["X-Request-ID"] == "from-the-proxy"
    assert len(traced.api.http.get("/healthz").headers["X-Request-ID"]) == 32
    refused = traced.api.http.get("/healthz", headers={"X-Request-ID": "x" * 200})
    assert len(refused.headers["X-Request-ID"]) == 32


def test_a_line_of_the_log_names_the_request_the_trace_and_the_answer(
    traced: Traced, served: tuple[Server, Collector]
) -> None:
    traced.api.http.headers["X-Request-ID"] = "the-request"
    done = traced.api.answer("/simulate call crash {}")
    lines = [json.loads(line) for line in served[0].said().splitlines() if line.startswith("{")]
    (line,) = [one for one in lines if one["logger"] == "tertulia.tools"]
    assert (line["request_id"], line["trace_id"]) == ("the-request", traced.trace)
    assert line["generation_id"] == done["generation"]["id"]
    assert line["message"].endswith(traced.trace), "what finds a fault again is its trace"


def test_what_stands_behind_a_path_is_not_told(traced: Traced) -> None:
    asked = {"query": "query Find { viewer { name } }", "variables": json.dumps({"words": SECRET})}
    assert traced.api.http.get("/graphql", params=asked).json()["data"]["viewer"]
    told = traced.collector.wait_for(traced.trace, "GET /graphql", "query Find")
    assert told.one("GET /graphql").attributes["url.query"] == "REDACTED"
    assert told.parent_of(told.one("query Find")) == told.one("GET /graphql")
    assert b"zeppelins" not in traced.collector.raw


def test_an_answer_that_waited_in_line_is_no_part_of_the_one_before(traced: Traced) -> None:
    first = traced.api.send("/simulate long 20")
    conversation = first["conversation"]["id"]
    queued = traced.api.send("And then?", conversationId=conversation, whenBusy="QUEUE")["generation"]["id"]
    traced.api.follow(queued)
    deadline = time.monotonic() + PATIENCE
    found: dict[str, Told] = {}
    while len(found) < 2:
        assert time.monotonic() < deadline
        agents = [span for span in traced.collector.spans if span.name == "invoke_agent tertulia"]
        ids = (first["generation"]["id"], queued)
        found = {span.attributes["tertulia.generation.id"]: span for span in agents}
        found = {id: found[id] for id in ids if id in found}
    assert found[first["generation"]["id"]].trace == traced.trace
    assert found[queued].trace != traced.trace


def test_what_a_client_sends_along_is_not_for_claude(traced: Traced, served: tuple[Server, Collector]) -> None:
    traced.api.http.headers["baggage"] = "secret=ours"
    traced.api.answer("Hi")
    claude = served[0].claude
    assert claude.headers[b"traceparent"].decode().split("-")[1] == traced.trace
    assert b"baggage" not in claude.headers


def test_a_stop_is_no_failure(traced: Traced) -> None:
    traced.api.stop(traced.api.send("Tell me a long story.")["generation"]["id"])
    agent = traced.collector.wait_for(traced.trace, "invoke_agent tertulia").one("invoke_agent tertulia")
    assert (agent.attributes["tertulia.generation.end"], agent.failed) == ("stopped", False)


def test_a_failure_has_claudes_name_for_it(traced: Traced) -> None:
    traced.api.answer("/simulate error 529 before")
    told = traced.collector.wait_for(traced.trace, "invoke_agent tertulia")
    agent = told.one("invoke_agent tertulia")
    assert (agent.attributes["tertulia.generation.end"], agent.failed) == ("failed", True)
    assert agent.attributes["error.type"] == "overloaded_error"


def test_who_leaves_sends_the_last_spans(tmp_path: Path) -> None:
    lines = {"OTEL_SERVICE_NAME": "our-chat", "OTEL_BSP_SCHEDULE_DELAY": "60000"}
    with collecting() as collector, counting(pace=0) as claude:
        lines["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.address
        (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        place = {"database_url": f"sqlite+aiosqlite:///{tmp_path / 'tertulia.db'}"}
        server = Server(tmp_path, place, claude)
        with server.ready() as api:
            api.answer("Hi")
        assert not collector.spans
        assert server.end() == 0
        assert "invoke_agent tertulia" in {span.name for span in collector.spans}
        assert collector.resources[0]["service.name"] == "our-chat", "from .env"


def test_a_collector_that_is_away_costs_nobody_an_answer(tmp_path: Path) -> None:
    with (
        counting(pace=0) as claude,
        serving(tmp_path, claude, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") as server,
    ):
        done = server.ready().answer("Hi")
        assert done["__typename"] == "GenerationCompleted"
        assert server.end() == 0


def test_where_somebody_else_has_set_the_sdk_up_queries_are_hidden_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    with tertulia(tmp_path) as address, Api(address) as api:
        asked = {"query": "{ viewer { name } }", "variables": json.dumps({"words": SECRET})}
        assert api.http.get("/graphql", params=asked).status_code == 200
    (told,) = [span for span in kept.get_finished_spans() if span.name == "GET /graphql"]
    assert dict(told.attributes or {})["url.query"] == "REDACTED"
