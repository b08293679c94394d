"""The REST endpoints `/chat` and `/chat/stream`, the links at `/`, health checks and switches of routes."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import ANY
from uuid import uuid4

import pytest
from client import WAIT, Api, Json, wait_until
from conftest import Staged
from people import MODE
from running import tertulia
from scripted import START, Gate, Reply, end, says, text

from tertulia.server.http import streams


def stream(api: Api, **body: Any) -> list[tuple[str, Json]]:
    response = api.http.post("/chat/stream", json=body)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    blocks = [block.split("\n") for block in response.text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def test_a_message_is_answered(api: Api) -> None:
    answer = api.http.post("/chat", json={"message": "Hello, my name is Ada"}).json()
    assert set(answer) == {"response", "model_used", "conversation_id", "stop_reason", "refusal"}
    assert "simulated" in answer["model_used"]
    assert "Ada" in answer["response"]


@pytest.mark.parametrize("reason", ["end_turn", "refusal", "max_tokens", "a_new_reason"])
def test_an_answer_reports_its_stop_reason(staged: Staged, reason: str) -> None:
    stage = staged(Reply([START, *text("one two"), *end(reason)]))
    whole = stage.api.http.post("/chat", json={"message": "x"}).json()
    assert (whole["response"], whole["stop_reason"]) == ("one two", reason)
    assert stream(stage.api, message="x")[-1] == ("done", {**whole, "conversation_id": ANY})
    markdown = stage.api.http.get(f"/export/{whole['conversation_id']}?format=markdown").text
    assert (f"(stop reason: {reason})" in markdown) is (reason in ("refusal", "max_tokens"))


def test_a_stopped_answer_has_the_stop_reason_stopped(staged: Staged) -> None:
    gate = Gate()
    stage = staged(Reply([START, *text("one two", gate), *end()]))
    with ThreadPoolExecutor() as pool:
        future = pool.submit(stage.api.http.post, "/chat", json={"message": "x"})
        assert gate.reached.wait(WAIT)
        running = stage.api.ask("{ conversations { edges { node { activeGeneration { id } } } } }")
        stage.api.stop(running["conversations"]["edges"][0]["node"]["activeGeneration"]["id"])
        gate.open.set()
        whole = future.result().json()
    assert whole["stop_reason"] == "stopped"
    assert "stopped before it was complete" in stage.api.http.get("/export?format=markdown").text


def test_a_conversation_id_continues_a_stored_conversation(api: Api) -> None:
    first = api.http.post("/chat", json={"message": "My name is Ada"}).json()
    body = {"message": "What is my name?", "conversation_id": first["conversation_id"]}
    assert "Ada" in api.http.post("/chat", json=body).json()["response"]
    assert len(api.messages(first["conversation_id"])) == 4


def test_the_stream_sends_deltas_and_then_the_whole_answer(api: Api) -> None:
    events = stream(api, message="/simulate long 20")
    assert [events[0][0], events[-1][0]] == ["start", "done"]
    words = "".join(data["text"] for name, data in events if name == "delta")
    assert words == events[-1][1]["response"]
    assert words.endswith("word20.")


@pytest.mark.parametrize("path", ["/chat", "/chat/stream"])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "message"), ({"message": ""}, "message"), ({"message": "  "}, "message"), ({"message": 5}, "message"),
        ({"message": None}, "message"), ({"message": "x" * 200_001}, "message"), ({"message": "\0"}, "message"),
        ({"message": "Hi", "model": "gpt-4"}, "model"), ({"message": "Hi", "model": 5}, "model"),
        ({"message": "Hi", "conversation_id": 5}, "conversation_id"), ({"message": "Hi", "more": 1}, "more"),
    ],
)  # fmt: skip
def test_an_invalid_field_is_refused_with_422_and_named(api: Api, path: str, body: Json, field: str) -> None:
    response = api.http.post(path, json=body)
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["body", field]


def test_the_message_of_a_refused_field_names_the_field_of_the_body(api: Api) -> None:
    (problem,) = api.http.post("/chat", json={"message": "  "}).json()["detail"]
    assert problem["msg"] == "`message` must not be blank."


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b"\xff"])
def test_a_body_that_is_not_an_object_is_refused(api: Api, body: bytes) -> None:
    response = api.http.post("/chat", content=body, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422)
    assert response.json()["detail"]


def test_an_unknown_conversation_is_refused_with_404(api: Api) -> None:
    for id in (str(uuid4()), "x"):
        assert api.http.post("/chat", json={"message": "Hi", "conversation_id": id}).status_code == 404


def test_a_busy_conversation_is_refused_with_409_and_the_running_generation(api: Api) -> None:
    sent = api.send("/simulate hang")
    response = api.http.post("/chat", json={"message": "Hi", "conversation_id": sent["conversation"]["id"]})
    assert response.status_code == 409
    assert response.json()["error"]["generation_id"] == sent["generation"]["id"]
    api.stop(sent["generation"]["id"])


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, "invalid_request_error", 400), (401, "authentication_error", 401), (403, "permission_error", 403),
        (404, "not_found_error", 404), (413, "request_too_large", 413), (429, "rate_limit_error", 429),
        (500, "api_error", 502), (402, "billing_error", 502), (504, "timeout_error", 504), (529, "overloaded_error", 503),
    ],
)  # fmt: skip
def test_claudes_errors_are_mapped_to_http_statuses(staged: Staged, status: int, kind: str, expected: int) -> None:
    body = {"type": "error", "error": {"type": kind, "message": "as the test wants"}}
    headers = {"x-should-retry": "false", "retry-after": "30"}
    stage = staged(Reply(status=status, body=body, headers=headers))
    response = stage.api.http.post("/chat", json={"message": "Hello"})
    assert response.status_code == expected
    error = response.json()["error"]
    assert (error["source"], error["message"], error["request_id"]) == ("claude", "as the test wants", "req_scripted")
    assert ("retry-after" in response.headers) == (expected == 429)
    assert "www-authenticate" not in response.headers
    (_, (name, failed)) = stream(stage.api, message="Hello")
    more = {"retry_after_seconds": 30} if expected == 429 else {}
    assert (name, failed["error"]) == ("error", error | {"status": expected} | more)


def test_the_same_idempotency_key_returns_the_same_answer(staged: Staged) -> None:
    stage = staged(says("once"))
    headers = {"Idempotency-Key": str(uuid4())}
    answers = [stage.api.http.post("/chat", json={"message": "Hi"}, headers=headers).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(stage.claude.requests) == 1


def test_the_root_returns_links_to_programs_and_the_page_to_browsers(api: Api) -> None:
    links = api.http.get("/", headers={"accept": "*/*"}).json()["links"]
    assert links["graphql"] == "/graphql"
    page = api.http.get("/", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.headers["content-type"].startswith("text/html")
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


ROUTES = {
    "rest": [("POST", "/chat"), ("POST", "/chat/stream")],
    "export": [("GET", "/export"), ("GET", "/export/0198f3b0-7c1e-7000-8000-000000000000")],
    "import_files": [("POST", "/import")],
}


def test_disabled_routes_are_neither_served_nor_documented(tmp_path: Path) -> None:
    with tertulia(tmp_path, **dict.fromkeys(ROUTES, False)) as address, Api(address) as api:
        described = api.http.get("/openapi.json").json()["paths"]
        links = api.http.get("/", headers={"accept": "application/json"}).json()["links"]
        for method, path in (route for routes in ROUTES.values() for route in routes):
            assert api.http.request(method, path).status_code == 404, path
            assert path not in described
        assert not {"chat", "chat_stream", "export", "import"} & set(links)
        assert "/export/{id}" not in described
        assert (links["graphql"], "/attachments" in described) == ("/graphql", True)


@pytest.mark.parametrize("name", ROUTES)
def test_each_setting_disables_only_its_own_routes(tmp_path: Path, name: str) -> None:
    with tertulia(tmp_path, **{name: False}) as address, Api(address) as api:
        for other, routes in ROUTES.items():
            for method, path in routes:
                missing = api.http.request(method, path).json() == {"detail": "Not Found"}
                assert missing == (other == name), path


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/graphql", "/"])
def test_pages_load_nothing_from_other_hosts(api: Api, path: str) -> None:
    page = api.http.get(path, headers={"accept": "text/html"}).text
    for part in page.split('"'):
        if part.startswith("/assets/"):
            assert api.http.get(part).status_code == 200, part
    assert "//" not in page.replace("http://www.w3.org", "")


def test_the_script_of_redoc_names_no_other_host_for_pictures(api: Api) -> None:
    script = api.http.get("/assets/openapi/redoc.standalone.js")
    assert (script.headers["content-type"].partition(";")[0], "cdn.redoc.ly" in script.text) == (
        "text/javascript",
        False,
    )
    again = api.http.get("/assets/openapi/redoc.standalone.js", headers={"if-none-match": script.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(("mode", "schemes"), [({}, {"token"}), (MODE, {"token", "password"})])
def test_openapi_describes_how_the_routes_of_a_viewer_are_authenticated(
    tmp_path: Path, mode: dict[str, Any], schemes: set[str]
) -> None:
    with tertulia(tmp_path, **mode) as address, Api(address) as api:
        document = api.http.get("/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == schemes
    secured = {
        path: {name for scheme in operation.get("security", []) for name in scheme}
        for path, operations in document["paths"].items()
        for operation in operations.values()
    }
    public = {"/auth/register", "/auth/token", "/auth/refresh", "/auth/revoke"}
    assert {path for path, names in secured.items() if not names} == (public if mode else set())
    assert [path for path, names in secured.items() if names not in (set(), schemes)] == []


def test_health_and_readiness_are_reported(api: Api) -> None:
    assert api.http.get("/healthz").json() == {"status": "ok"}
    ready = api.http.get("/readyz").json()
    assert (ready.pop("status"), ready.pop("database")) == ("ok", "ok")
    assert ready in ({}, {"redis": "ok"})


def test_a_stream_occupies_a_connection_slot_and_is_refused_without_a_free_one(staged: Staged) -> None:
    stage = staged(says("Hi"), max_sockets_per_user=1)
    message = {"message": "Hello"}
    with stage.api.socket():
        refused = stage.api.http.post("/chat/stream", json=message)
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "RATE_LIMITED"
        assert int(refused.headers["retry-after"]) > 0
        assert stage.claude.requests == []
    # The slots of the closed socket and then of each stream are released.
    wait_until(lambda: stage.api.http.post("/chat/stream", json=message).status_code == 200)
    wait_until(lambda: stage.api.http.post("/chat/stream", json=message).status_code == 200)


def test_the_stream_starts_before_claude_responds(staged: Staged) -> None:
    gate = Gate()
    api = staged(says(gate, "At last")).api
    with api.http.stream("POST", "/chat/stream", json={"message": "Hello"}) as response:
        lines = response.iter_lines()
        assert next(lines) == "event: start"
        started = json.loads(next(lines).removeprefix("data: "))
        assert not gate.open.is_set()
        # The id suffices to stop an answer that has no text yet.
        api.stop(started["generation_id"])
        gate.open.set()
        assert "event: done" in list(lines)


def test_heartbeats_are_sent_while_claude_is_silent(staged: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.05)
    before, between = Gate(), Gate()
    api = staged(says(before, "At last", between, ", and more")).api
    with api.http.stream("POST", "/chat/stream", json={"message": "Hello"}) as response:
        lines = response.iter_lines()
        for gate in (before, between):
            assert next(line for line in lines if line.startswith(":"))
            gate.open.set()
            assert next(line for line in lines if "text" in line)
        assert "At last, and more" in list(lines)[-2]
