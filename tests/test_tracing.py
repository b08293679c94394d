"""Traces of a real server, as an OpenTelemetry collector receives them over OTLP."""

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

PATIENCE = 60.0
SECRET = "zeppelins over Bogotá"


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as the collector received it."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    failed: bool
    attributes: Json
    events: list[Json]


class Collector:
    """A collector for OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[ReceivedSpan] = []
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
            self.spans += [_received(span) for scoped in resource.scope_spans for span in scoped.spans]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def wait_for(self, trace: str, *names: str) -> "Trace":
        """Wait until spans with these names have arrived for a trace; return its spans."""
        deadline = time.monotonic() + PATIENCE
        while True:
            trace_ = Trace([span for span in self.spans if span.trace == trace])
            if set(names) <= {span.name for span in trace_.spans}:
                return trace_
            assert time.monotonic() < deadline, f"{names} among {[span.name for span in self.spans]}"
            threading.Event().wait(0.02)


@dataclass(frozen=True)
class Trace:
    """The spans of one trace."""

    spans: list[ReceivedSpan]

    def one(self, name: str) -> ReceivedSpan:
        (match,) = [span for span in self.spans if span.name == name]
        return match

    def parent_of(self, span: ReceivedSpan) -> ReceivedSpan:
        (match,) = [candidate for candidate in self.spans if candidate.id == span.parent]
        return match


def _attributes(given: Any) -> Json:
    return {pair.key: _value(pair.value) for pair in given}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(item) for item in value.array_value.values] if kind == "array_value" else getattr(value, kind)


def _received(span: Any) -> ReceivedSpan:
    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
    failed = span.status.code == 2
    assert not span.status.message
    events = [{"name": event.name, **_attributes(event.attributes)} for event in span.events]
    return ReceivedSpan(span.name, *ids, span.kind, failed, _attributes(span.attributes), events)


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
    """A client of a traced server, the collector, and the ids of a trace that the client has begun."""

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


def test_a_trace_connects_the_request_with_claude_and_the_tools(traced: Traced) -> None:
    done = traced.api.answer(f'{SECRET}\n/simulate call weather {{"place": {{"city": "{SECRET}"}}}}')
    generation = done["generation"]["id"]
    spans_ = traced.collector.wait_for(traced.trace, "invoke_agent tertulia", "mutation", "POST /graphql")
    agent, tool = spans_.one("invoke_agent tertulia"), spans_.one("execute_tool weather")
    chats = [span for span in spans_.spans if span.name.startswith("chat ")]
    assert [spans_.parent_of(span) for span in chats] == [agent, agent]
    assert spans_.parent_of(tool) == agent
    sent = spans_.parent_of(agent)
    assert (sent.name, spans_.parent_of(sent).name) == ("mutation", "POST /graphql")
    assert spans_.one("POST /graphql").parent == traced.parent
    writes = [span for span in spans_.spans if span.name == "database write"]
    assert {spans_.parent_of(span).name for span in writes} <= {"mutation", "invoke_agent tertulia"}
    _check_conventions(agent, tool, chats, generation)
    for words in (SECRET, "Bogot", "sk-ant-counted"):
        assert words.encode() not in traced.collector.raw
    assert traced.collector.resources[0]["service.name"] == "tertulia"


def _check_conventions(agent: ReceivedSpan, tool: ReceivedSpan, chats: list[ReceivedSpan], generation: str) -> None:
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


def test_a_rating_is_an_event_in_the_trace_of_the_answer_without_the_comment(traced: Traced) -> None:
    sent = traced.api.send("Hi")
    traced.api.follow(sent["generation"]["id"])
    request = token_hex(16)
    traced.api.http.headers["traceparent"] = f"00-{request}-{traced.parent}-01"
    rated = (
        f'{{messageId: "{sent["generation"]["message"]["id"]}", rating: BAD, comment: "{SECRET}", tags: ["{SECRET}"]}}'
    )
    traced.api.ask(f"mutation {{ rateMessage(input: {rated}) {{ __typename }} }}")
    trace = traced.collector.wait_for(traced.trace, "evaluate tertulia", "invoke_agent tertulia")
    rating = trace.one("evaluate tertulia")
    assert trace.parent_of(rating) == trace.one("invoke_agent tertulia")
    assert rating.attributes["tertulia.generation.id"] == sent["generation"]["id"]
    (event,) = rating.events
    assert event == {
        "name": "gen_ai.evaluation.result",
        "gen_ai.evaluation.name": "user_rating",
        "gen_ai.evaluation.score.label": "bad",
        "gen_ai.evaluation.score.value": 0.0,
    }
    traced.collector.wait_for(request, "mutation")
    assert SECRET.encode() not in traced.collector.raw


def test_following_has_a_separate_trace(traced: Traced) -> None:
    generation = traced.api.answer("Hi")["generation"]["id"]
    traced.api.follow(generation, 1)
    follows = list[Json]()
    deadline = time.monotonic() + PATIENCE
    while len(follows) < 2:
        assert time.monotonic() < deadline
        spans_ = [span.attributes for span in traced.collector.spans if span.name == "follow"]
        follows = [one for one in spans_ if one["tertulia.generation.id"] == generation]
    assert [one["tertulia.follow.how"] for one in follows] == ["snapshot", "resumed"]
    assert follows[0]["tertulia.follow.sequence"] == follows[1]["tertulia.follow.sequence"] > 1


def test_the_response_contains_the_request_id(traced: Traced) -> None:
    named = traced.api.http.get("/healthz", headers={"X-Request-ID": "from-the-proxy"})
    assert named.headers["X-Request-ID"] == "from-the-proxy"
    assert len(traced.api.http.get("/healthz").headers["X-Request-ID"]) == 32
    refused = traced.api.http.get("/healthz", headers={"X-Request-ID": "x" * 200})
    assert len(refused.headers["X-Request-ID"]) == 32


def test_a_log_line_names_the_request_the_trace_and_the_generation(
    traced: Traced, served: tuple[Server, Collector]
) -> None:
    traced.api.http.headers["X-Request-ID"] = "the-request"
    done = traced.api.answer("/simulate call crash {}")
    lines = [json.loads(line) for line in served[0].said().splitlines() if line.startswith("{")]
    (line,) = [entry for entry in lines if entry["logger"] == "tertulia.tools"]
    assert (line["request_id"], line["trace_id"]) == ("the-request", traced.trace)
    assert line["generation_id"] == done["generation"]["id"]
    assert line["message"].endswith(traced.trace), "the trace id is what an operator searches for"


def test_the_query_string_is_redacted(traced: Traced) -> None:
    asked = {"query": "query Find { viewer { name } }", "variables": json.dumps({"words": SECRET})}
    assert traced.api.http.get("/graphql", params=asked).json()["data"]["viewer"]
    spans_ = traced.collector.wait_for(traced.trace, "GET /graphql", "query Find")
    assert spans_.one("GET /graphql").attributes["url.query"] == "REDACTED"
    assert spans_.parent_of(spans_.one("query Find")) == spans_.one("GET /graphql")
    assert b"zeppelins" not in traced.collector.raw


def test_a_queued_answer_is_not_in_the_trace_of_the_answer_before_it(traced: Traced) -> None:
    first = traced.api.send("/simulate long 20")
    conversation = first["conversation"]["id"]
    queued = traced.api.send("And then?", conversationId=conversation, whenBusy="QUEUE")["generation"]["id"]
    traced.api.follow(queued)
    deadline = time.monotonic() + PATIENCE
    by_generation: dict[str, ReceivedSpan] = {}
    while len(by_generation) < 2:
        assert time.monotonic() < deadline
        agents = [span for span in traced.collector.spans if span.name == "invoke_agent tertulia"]
        ids = (first["generation"]["id"], queued)
        by_generation = {span.attributes["tertulia.generation.id"]: span for span in agents}
        by_generation = {id: by_generation[id] for id in ids if id in by_generation}
    assert by_generation[first["generation"]["id"]].trace == traced.trace
    assert by_generation[queued].trace != traced.trace


def test_a_clients_baggage_is_not_sent_to_claude(traced: Traced, served: tuple[Server, Collector]) -> None:
    traced.api.http.headers["baggage"] = "secret=ours"
    traced.api.answer("Hi")
    claude = served[0].claude
    assert claude.headers[b"traceparent"].decode().split("-")[1] == traced.trace
    assert b"baggage" not in claude.headers


def test_a_stopped_answer_is_not_a_failed_span(traced: Traced) -> None:
    traced.api.stop(traced.api.send("Tell me a long story.")["generation"]["id"])
    agent = traced.collector.wait_for(traced.trace, "invoke_agent tertulia").one("invoke_agent tertulia")
    assert (agent.attributes["tertulia.generation.end"], agent.failed) == ("stopped", False)


def test_a_failed_span_has_claudes_error_type(traced: Traced) -> None:
    traced.api.answer("/simulate error 529 before")
    spans_ = traced.collector.wait_for(traced.trace, "invoke_agent tertulia")
    agent = spans_.one("invoke_agent tertulia")
    assert (agent.attributes["tertulia.generation.end"], agent.failed) == ("failed", True)
    assert agent.attributes["error.type"] == "overloaded_error"


def test_a_server_that_ends_sends_its_last_spans(tmp_path: Path) -> None:
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


def test_an_unavailable_collector_does_not_affect_answers(tmp_path: Path) -> None:
    with (
        counting(pace=0) as claude,
        serving(tmp_path, claude, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") as server,
    ):
        done = server.ready().answer("Hi")
        assert done["__typename"] == "GenerationCompleted"
        assert server.end() == 0


def test_query_strings_are_also_redacted_if_the_application_configured_the_sdk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    with tertulia(tmp_path) as address, Api(address) as api:
        asked = {"query": "{ viewer { name } }", "variables": json.dumps({"words": SECRET})}
        assert api.http.get("/graphql", params=asked).status_code == 200
    (span_,) = [span for span in exporter.get_finished_spans() if span.name == "GET /graphql"]
    assert dict(span_.attributes or {})["url.query"] == "REDACTED"
