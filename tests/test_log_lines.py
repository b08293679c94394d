"""The lines of the log about requests, answers and Claude's faults, and what they must not contain."""

import json
import logging
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from client import FOLLOW, SEND, Api, Json, wait_until
from conftest import SECRET
from people import MODE, register, signed
from prometheus_client import CollectorRegistry
from running import tertulia
from scripted import START, Cut, Reply, says, scripted, text
from test_command import address_in, started

from tertulia.log_lines import log_fields
from tertulia.server.request_facts import RequestFacts, bounded_name
from tertulia.server.telemetry.log_format import JsonLines, TextLines
from tertulia.server.telemetry.operations import OperationMetrics

WORDS = "zeppelin"
"""A word in everything that users write in these tests. No line may contain it."""
NAMED = SEND.replace("mutation (", "mutation Send(")
QUERY = "query Titles { conversations { edges { node { title } } } }"


class Lines(logging.Handler):
    """The lines of Tertulia's loggers, formatted as JSON where they are logged."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.all: list[Json] = []
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.all.append(json.loads(self.format(record)))

    def of(self, message: str, **fields: Any) -> list[Json]:
        """Return the lines with a message and some fields."""
        return [line for line in self.all if {"message": message, **fields}.items() <= line.items()]

    def one(self, message: str, **fields: Any) -> Json:
        """Return the only such line, and wait until it is written."""
        (line,) = wait_until(lambda: self.of(message, **fields), message)
        return line


@pytest.fixture
def lines() -> Generator[Lines]:
    """Collect what is logged at `debug`."""
    handler, logger = Lines(), logging.getLogger("tertulia")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def send(api: Api, name: str, words: str, headers: Json) -> str:
    """Send a message with an operation of this name, and return the id of its answer."""
    body = {"query": NAMED.replace("Send(", f"{name}("), "variables": {"input": {"text": words}}, "operationName": name}
    response = api.http.post("/graphql", json=body, headers=headers)
    generation: str = response.json()["data"]["sendMessage"]["generation"]["id"]
    return generation


def test_an_answer_is_found_by_its_request_id_and_the_request_by_the_answer(tmp_path: Path, lines: Lines) -> None:
    overloaded = {"type": "error", "error": {"type": "api_error", "message": f"about {WORDS}s"}}
    failed = Reply(status=500, body=overloaded, headers={"request-id": "req_failed", "x-should-retry": "true"})
    broken = Reply([START, *text("Half ")[:-1], Cut])
    with scripted(failed, broken, says(f"{WORDS}s fly.")) as claude:
        keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address, **MODE}
        with tertulia(tmp_path, **keyed) as address, signed(address, register(address, "ada")) as api:
            generation = send(api, "Ask", f"What is a {WORDS}?", {"X-Request-ID": "checkout 7", **api.signed})
            assert api.follow(generation)[-1]["__typename"] == "GenerationCompleted"
            request = lines.one("Request", operation="Ask")
            viewer = api.ask("{ viewer { id } }")["viewer"]["id"]
    by_request = [line for line in lines.all if line.get("request_id") == "checkout 7"]
    assert {line["generation_id"] for line in by_request if "generation_id" in line} == {generation}
    by_answer = [line["message"] for line in lines.all if line.get("generation_id") == generation]
    assert by_answer[0] == "Answer began"
    assert lines.one("Answer began")["request_id"] == request["request_id"] == "checkout 7"
    assert (request["method"], request["route"], request["status"]) == ("POST", "/graphql", 200)
    assert request["operation_type"] == "mutation"
    assert request["seconds"] >= 0
    ended = lines.one("Answer ended")
    assert {"status": "completed", "model": "claude-opus-5-5", "continuations": 1}.items() <= ended.items()
    assert ended["generation_id"] == generation
    assert ended["output_tokens"] > 0
    assert ended["cost_usd"] > 0
    assert 0 < ended["first_token_seconds"] <= ended["seconds"]
    assert ended["viewer_id"] == request["viewer_id"]
    assert viewer.endswith(request["viewer_id"]) or viewer == request["viewer_id"]
    fault = lines.one("A request to Claude failed")
    assert (fault["status"], fault["claude_request_id"], fault["generation_id"]) == (500, "req_failed", generation)
    assert (fault["level"], fault["request_id"]) == ("warning", "checkout 7")
    assert lines.one("Claude's response broke off")["claude_request_id"] == "req_scripted"
    steps = [line["message"] for line in by_request if line["level"] == "debug"]
    assert steps.count("Request to Claude") == 2
    assert steps.count("Claude's response ended") == 1
    everything = json.dumps(lines.all)
    assert WORDS not in everything
    assert "ada" not in [value for line in lines.all for value in line.values()]


def test_each_request_and_each_operation_of_a_socket_is_one_line_without_what_its_user_wrote(
    tmp_path: Path, lines: Lines
) -> None:
    with tertulia(tmp_path) as address, Api(address) as api:
        api.http.get("/readyz")
        assert lines.one("Request", route="/readyz")["level"] == "debug"
        api.http.get(f"/attachments/{WORDS}")
        assert lines.one("Request", route="/attachments/{id}", status=404)["level"] == "info"
        api.http.post("/graphql", json={"query": "{ viewer { id } }", "operationName": f"a {WORDS} in it"})
        assert lines.one("Request", operation="invalid")["errors"] == "BAD_USER_INPUT"
        api.http.post("/graphql", json={"query": f"query {'N' * 500} {{ viewer {{ id }} }}"})
        assert lines.one("Request", operation="N" * 64)["status"] == 200
        generation = send(api, "Send", f"A {WORDS}", {})
        api.http.post("/chat", json={"message": WORDS})
        assert lines.one("Request", route="/chat")["viewer_id"] == lines.one("Request", operation="Send")["viewer_id"]
        with api.socket() as socket:
            socket.subscribe(QUERY, {})
            assert [socket.receive()["type"] for _ in range(2)] == ["next", "complete"]
            assert lines.one("Operation", operation="Titles", status="ok", operation_type="query")["seconds"] >= 0
            socket.subscribe("query Wrong { viewer { zeppelin } }", {})
            assert socket.receive()["type"] == "error"
            assert lines.one("Operation", status="refused")["errors"] == "GRAPHQL_VALIDATION_FAILED"
            socket.subscribe("", {})
            assert socket.receive()["type"] == "error"
            assert lines.one("Operation", status="refused", errors="BAD_USER_INPUT")["seconds"] == 0
            watch = FOLLOW.replace("subscription (", "subscription Follow(")
            socket.subscribe(watch, {"id": generation, "after": None})
            while socket.receive()["type"] == "next":
                pass
            assert lines.one("Operation", operation="Follow")["status"] == "ok"
            socket.subscribe("subscription Watch { conversationChanges { __typename } }", {})
            lines.one("Subscription began", operation="Watch")
        assert lines.one("Operation", operation="Watch")["status"] == "cancelled"
        assert len(lines.of("Subscription began", operation="Follow")) == 1
        metrics = api.http.get("/metrics").text
    assert WORDS not in json.dumps(lines.all)
    counted = 'tertulia_graphql_operations_total{operation="%s",status="%s",type="%s"} 1.0'
    for label in (
        ("sendMessage", "ok", "mutation"),
        ("conversations", "ok", "query"),
        ("conversationChanges", "ok", "subscription"),
    ):
        assert counted % label in metrics
    assert WORDS not in metrics
    assert "NNN" not in metrics
    assert 'tertulia_graphql_operation_seconds_count{operation="sendMessage"} 1.0' in metrics


def test_operations_of_trusted_documents_are_counted_by_their_names(tmp_path: Path) -> None:
    with tertulia(tmp_path, persisted_queries={"me": "query Me { viewer { id } }"}) as address, Api(address) as api:
        api.http.post("/graphql", json={"documentId": "me"}).raise_for_status()
        api.http.post("/graphql", json={"query": "query Other { viewer { id } }"})
        metrics = api.http.get("/metrics").text
    assert 'tertulia_graphql_operations_total{operation="Me",status="ok",type="query"} 1.0' in metrics
    assert "Other" not in metrics


def test_a_name_is_cut_and_a_text_instead_of_a_name_is_left_out() -> None:
    assert bounded_name("SendMessage") == "SendMessage"
    assert bounded_name("x" * 65) == "x" * 64
    assert {bounded_name(name) for name in ("my secret", "naïve", "", "9lives", "a\nb", "a-b")} == {"invalid"}
    assert bounded_name(None) is None


def test_an_operation_that_failed_because_of_the_server_is_counted_apart_from_a_refused_one() -> None:
    registry = CollectorRegistry()
    metrics = OperationMetrics(registry)
    for codes in ((), ("BAD_USER_INPUT",), ("NOT_FOUND", "INTERNAL_SERVER_ERROR"), ("STORAGE_FULL",)):
        metrics.count(RequestFacts(operation_type="query", operation_label="models", error_codes=codes), 0.1)
    counts = {
        status: registry.get_sample_value(
            "tertulia_graphql_operations_total", {"operation": "models", "type": "query", "status": status}
        )
        for status in ("ok", "refused", "failed")
    }
    assert counts == {"ok": 1, "refused": 1, "failed": 2}


def test_lines_of_text_contain_the_fields_and_quote_what_could_be_taken_for_another_one(lines: Lines) -> None:
    lines.records.clear()
    logger, code = logging.getLogger("tertulia.test_lines"), 'a" status=9\n'
    log_fields(logger, logging.INFO, "Request", route="/attachments/{id}", seconds=0.5, code=code, left=None)
    (record,) = lines.records
    assert (
        TextLines()
        .format(record)
        .endswith('INFO tertulia.test_lines: Request route=/attachments/{id} seconds=0.5 code="a\\" status=9\\n"')
    )
    assert json.loads(JsonLines().format(record))["code"] == code


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_the_announcement_is_on_standard_error_in_the_format_of_the_log(tmp_path: Path, log_format: str) -> None:
    with started(tmp_path, "serve", TERTULIA_LOG_FORMAT=log_format) as (_, printed):
        address = json.loads(printed.splitlines()[-1])["address"] if log_format == "json" else address_in(printed)
        assert "Tertulia is ready." in printed
        assert ("GraphiQL" in printed) is (log_format == "text")
        with Api(address) as api:
            assert api.http.get("/healthz").status_code == 200
