"""The REST endpoints `/chat` and `/chat/stream`, the links at `/`, health checks and switches of routes."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import ANY
from uuid import uuid4

import httpx2
import pytest
from client import WAIT, Api, Json, wait_until
from conftest import Staged
from people import MODE
from running import forget_logs, tertulia
from scripted import START, Gate, Reply, end, says, text

from tertulia.server.http import streams


def stream(api: Api, **body: Any) -> list[tuple[str, Json]]:
    return [(name, data) for _, name, data in frames(api.http.post("/chat/stream", json=body))]


def frames(response: httpx2.Response) -> list[tuple[int | None, str, Json]]:
    """Return the id, the name and the data of each event."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [dict(line.split(": ", 1) for line in block.split("\n")) for block in response.text.strip().split("\n\n")]
    return [
        (int(event["id"]) if "id" in event else None, event["event"], json.loads(event["data"])) for event in events
    ]


def resumed(api: Api, generation: str, after: int | None = None) -> list[tuple[int | None, str, Json]]:
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    return frames(api.http.get(f"/chat/stream/{generation}", headers=headers))


def told(events: list[tuple[int | None, str, Json]]) -> str:
    return "".join(data["text"] for _, name, data in events if name == "delta")


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


def test_a_stream_is_resumed_after_each_of_its_events(api: Api) -> None:
    whole = frames(api.http.post("/chat/stream", json={"message": "/simulate long 12"}))
    start, *rest = whole
    generation = start[2]["generation_id"]
    ids = [id for id, _, _ in rest if id is not None]
    assert len(ids) == len(rest)
    assert ids == sorted(set(ids))
    for position, id in enumerate(ids[:-1]):
        later = resumed(api, generation, id)
        assert (later[0], later[-1]) == (start, whole[-1])
        assert told(whole[: position + 2]) + told(later) == told(whole)
        assert frames(api.http.get(f"/chat/stream/{generation}", params={"after": id})) == later
    beginning = resumed(api, generation)
    assert (told(beginning), beginning[-1]) == (told(whole), whole[-1])


@pytest.mark.parametrize(("after", "reason"), [("the end", "ended"), (2**31 - 1, "unknown_sequence")])
def test_a_snapshot_with_a_reason_replaces_events_that_cannot_be_resumed(
    api: Api, after: str | int, reason: str
) -> None:
    whole = frames(api.http.post("/chat/stream", json={"message": "Hello, my name is Ada"}))
    last_id = whole[-1][0] if after == "the end" else after
    _, (_, name, data), end = resumed(api, whole[0][2]["generation_id"], int(last_id or 0))
    assert (name, data) == ("snapshot", {"text": told(whole), "reason": reason})
    assert end == whole[-1]


def test_an_answer_whose_events_were_deleted_is_resumed_from_its_row(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place) as address, Api(address) as before:
        whole = frames(before.http.post("/chat/stream", json={"message": "Hello, my name is Ada"}))
    start, end = whole[0], whole[-1]
    forget_logs(place)
    with tertulia(tmp_path, **place) as address, Api(address) as after:
        _, (_, name, data), last = resumed(after, start[2]["generation_id"], 1)
        assert (name, data, last) == ("snapshot", {"text": told(whole), "reason": "expired"}, end)
        assert resumed(after, start[2]["generation_id"])[-1] == end


def test_a_running_answer_is_resumed_after_the_client_has_left(staged: Staged) -> None:
    gate = Gate()
    api = staged(says("one ", gate, "two")).api
    with api.http.stream("POST", "/chat/stream", json={"message": "Hello"}) as response:
        lines = response.iter_lines()
        data = [json.loads(line.removeprefix("data: ")) for line in (next(lines), next(lines)) if "data" in line]
        last_id = next(line for line in lines if line.startswith("id: "))
    gate.open.set()
    later = resumed(api, data[0]["generation_id"], int(last_id.removeprefix("id: ")))
    assert ([name for _, name, _ in later], told(later)) == (["start", "delta", "done"], "two")
    assert later[-1][2]["response"] == "one two"


@pytest.mark.parametrize("id", ["x", "0198f3b0-7c1e-7000-8000-000000000000"])
def test_an_unknown_answer_cannot_be_resumed(api: Api, id: str) -> None:
    response = api.http.get(f"/chat/stream/{id}")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("after", ["x", "-1", str(2**31)])
def test_a_wrong_number_to_resume_after_is_refused_by_name(api: Api, after: str) -> None:
    by_header = api.http.get("/chat/stream/x", headers={"Last-Event-ID": after})
    by_query = api.http.get("/chat/stream/x", params={"after": after})
    for response, place in ((by_header, ["header", "Last-Event-ID"]), (by_query, ["query", "after"])):
        assert response.status_code == 422
        assert response.json()["detail"][0]["loc"] == place


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


@pytest.mark.parametrize("path", ["/chat", "/chat/stream"])
def test_a_body_larger_than_2_mb_is_refused(api: Api, path: str) -> None:
    refused = api.http.post(path, content=b" " * 2_000_001, headers={"content-type": "application/json"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


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
    "rest": [("POST", "/chat"), ("POST", "/chat/stream"), ("GET", "/chat/stream/x")],
    "ag_ui": [("POST", "/ag-ui"), ("DELETE", "/ag-ui/0198f3b0-7c1e-7000-8000-000000000000")],
    "ai_sdk": [("POST", "/ai-sdk"), ("GET", "/ai-sdk/x/messages")],
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
        assert not {"chat", "chat_stream", "ag_ui", "ai_sdk", "export", "import"} & set(links)
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
    # Two classes of one name would change both names, and so break generated clients.
    assert [name for name in document["components"]["schemas"] if "__" in name] == []
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
        chat = {"id": "x", "messages": [{"id": "m", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}]}
        others = (stage.api.http.get("/chat/stream/x"), stage.api.http.get("/ai-sdk/x/stream"))
        statuses = {response.status_code for response in (*others, stage.api.http.post("/ai-sdk", json=chat))}
        assert {refused.status_code} == statuses == {429}
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
