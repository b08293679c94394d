"""Internal errors get a trace id without details, the server keeps running, and answers still end."""

import logging
import socket
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from client import WAIT, Api, apply
from conftest import Staged
from running import tertulia
from scripted import Gate, says
from sqlalchemy.exc import OperationalError

from tertulia import failpoints
from tertulia.claude.errors import UNSAVED
from tertulia.db import conversations, generations, messages
from tertulia.resolvers import follow


def break_database(folder: Path) -> None:
    """Rename a table while the server runs."""
    with closing(sqlite3.connect(folder / "tertulia.db")) as database, database:
        database.execute("ALTER TABLE conversations RENAME TO hidden")


def test_an_internal_error_has_a_trace_id_and_no_details(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with tertulia(tmp_path) as address, Api(address) as api:
        break_database(tmp_path)
        with caplog.at_level(logging.ERROR):
            response = api.post("{ conversations { edges { cursor } } }")
        assert response.status_code == 200
        error = response.json()["errors"][0]
        assert error["message"] == "Internal server error."
        assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
        assert error["extensions"]["traceId"] in caplog.text
        assert "no such table" in caplog.text
        assert "no such table" not in response.text
        assert api.ask("{ viewer { name } }") == {"viewer": {"name": "local"}}


def test_a_query_with_an_internal_error_is_executed_once_and_returns_its_other_fields(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    async def broken(_session: object, _owner: object, _ids: object) -> object:
        calls.append("messages")
        raise RuntimeError("secret detail")

    monkeypatch.setattr("tertulia.db.generations.read_many", broken)
    with caplog.at_level(logging.ERROR):
        response = api.post(
            '{ viewer { name } generation(id: "01a2222f-1598-7103-827e-4b09fe747d25") { id } models { id } }'
        )
    result = response.json()
    assert calls == ["messages"]
    assert result["data"]["viewer"] == {"name": "local"}
    assert result["data"]["generation"] is None
    assert result["data"]["models"]
    (error,) = result["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["generation"], "INTERNAL_SERVER_ERROR")
    assert caplog.text.count(error["extensions"]["traceId"]) == 1
    assert "secret detail" not in response.text


def test_an_internal_error_over_a_socket_ends_only_its_operation(tmp_path: Path) -> None:
    with tertulia(tmp_path) as address, Api(address) as api, api.socket() as socket:
        break_database(tmp_path)
        socket.subscribe("{ conversations { edges { cursor } } }", {}, "broken")
        assert socket.receive()["payload"]["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
        assert socket.receive() == {"type": "complete", "id": "broken"}
        socket.subscribe("{ viewer { name } }", {}, "whole")
        assert socket.receive()["payload"] == {"data": {"viewer": {"name": "local"}}}


def test_a_message_that_cannot_be_stored_is_not_sent_to_claude(staged: Staged, tmp_path: Path) -> None:
    stage = staged(says("hello"))
    break_database(tmp_path)
    response = stage.api.http.post("/chat", json={"message": "Hello"})
    assert response.status_code == 500
    assert response.headers["X-Request-ID"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "no such table" not in response.text
    assert stage.claude.requests == []


def test_followers_receive_the_end_of_an_answer_that_cannot_be_saved(
    staged: Staged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tertulia.generation.retry.PATIENCE", 1.0)
    gate = Gate()
    stage = staged(says("half", gate))
    sent = stage.api.send("Hello")["generation"]["id"]
    with stage.api.socket() as socket:
        query = "subscription ($id: ID!) { generationEvents(generationId: $id) { __typename } }"
        socket.subscribe(query, {"id": sent})
        assert socket.receive()["type"] == "next"
        with closing(sqlite3.connect(tmp_path / "tertulia.db")) as database, database:
            database.execute("ALTER TABLE messages RENAME TO hidden")
        gate.open.set()
        last = None
        while (message := socket.receive())["type"] == "next":
            last = message
    assert last is not None
    assert last["payload"]["data"]["generationEvents"]["__typename"] == "GenerationFailed"


def test_an_answer_fails_after_the_database_has_been_unavailable_for_a_minute(
    staged: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[float] = []

    def away(_id: object) -> None:
        attempts.append(25.0 * len(attempts))
        if len(attempts) < 4:
            raise OperationalError("UPDATE", {}, Exception("The database is away."))

    async def no(_database: object) -> bool:
        return False

    monkeypatch.setattr("tertulia.generation.finalizer.is_available", no)
    monkeypatch.setattr("tertulia.generation.finalizer.time", SimpleNamespace(monotonic=lambda: 25.0 * len(attempts)))
    with failpoints.armed("end.save", away):
        last = staged(says("Hello")).api.answer("Hello")
    # The last attempt began after 50 seconds and failed after 75.
    assert attempts == [0.0, 25.0, 50.0]
    assert (last["__typename"], last["error"]["code"]) == ("GenerationFailed", UNSAVED.code.name)


def test_a_follower_on_another_server_stays_connected_while_the_database_is_unavailable(
    staged: Staged, tmp_path: Path, place: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tertulia.streams.memory.SILENCE", 0.2)
    failed = threading.Event()
    read = follow._read

    async def noted(*arguments: Any) -> Any:
        try:
            return await read(*arguments)
        except OperationalError:
            failed.set()
            raise

    monkeypatch.setattr(follow, "_read", noted)
    gate = Gate()
    stage = staged(says("half", gate, " whole"))
    sent = stage.api.send("Hello")["generation"]["id"]
    stage.api.wait_for_text(sent, "half")
    with tertulia(tmp_path, **place, **stage.keyed) as address, Api(address) as other, other.socket() as socket:
        events = socket.events(sent)
        seen = [next(events)]
        with closing(sqlite3.connect(tmp_path / "tertulia.db")) as database, database:
            database.execute("ALTER TABLE messages RENAME TO hidden")
        assert failed.wait(WAIT)
        with closing(sqlite3.connect(tmp_path / "tertulia.db")) as database, database:
            database.execute("ALTER TABLE hidden RENAME TO messages")
        gate.open.set()
        seen += list(events)
    assert apply(seen) == ["half whole"]
    assert seen[-1]["__typename"] == "GenerationCompleted"


@pytest.mark.parametrize("subscription", ["generationEvents", "conversationChanges"])
def test_an_event_whose_rows_cannot_be_read_at_once_is_sent_complete(
    subscription: str, staged: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[str] = []

    def fail_once(module: ModuleType) -> None:
        read = module.read_many

        async def failing_once(*arguments: Any) -> Any:
            if module.__name__ not in failures:
                failures.append(module.__name__)
                raise OperationalError("SELECT", {}, Exception("The database restarts."))
            return await read(*arguments)

        monkeypatch.setattr(module, "read_many", failing_once)

    gate = Gate()
    stage = staged(says("Hello", gate))
    with stage.api.socket() as socket:
        if subscription == "conversationChanges":
            socket.subscribe("subscription { conversationChanges { kind generation { id } conversation { id } } }", {})
            fail_once(generations)
            fail_once(conversations)
        sent = stage.api.send("Hello")["generation"]["id"]
        if subscription == "generationEvents":
            query = """subscription ($id: ID!) { generationEvents(generationId: $id) {
                ... on GenerationCompleted { generation { id message { text } } } } }"""
            socket.subscribe(query, {"id": sent})
            assert socket.receive()["type"] == "next"
            fail_once(generations)
            fail_once(messages)
        gate.open.set()
        while True:
            payload = socket.receive()["payload"]
            assert "errors" not in payload
            if (payload["data"][subscription].get("generation") or {}).get("id") == sent:
                break
    assert len(failures) == 2


def test_a_server_that_cannot_read_its_tables_is_not_ready(tmp_path: Path) -> None:
    with tertulia(tmp_path) as address, Api(address) as api:
        assert api.http.get("/readyz").status_code == 200
        with closing(sqlite3.connect(tmp_path / "tertulia.db")) as database, database:
            database.execute("ALTER TABLE users RENAME TO hidden")
        assert api.http.get("/readyz").status_code == 503
        assert api.http.get("/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/graphql", "/chat", "/attachments", "/import"])
def test_a_client_that_disconnects_during_its_request_logs_no_error(
    path: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kind = "application/json" if path in ("/graphql", "/chat") else "multipart/form-data; boundary=x"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: 100\r\n\r\n--x\r\n"
    with tertulia(tmp_path) as address, Api(address) as api, caplog.at_level(logging.ERROR):
        url = urlsplit(address)
        with socket.create_connection((url.hostname, url.port)) as leaving:
            leaving.sendall(head.encode())
            assert api.ask("{ viewer { name } }")
    # The server has stopped, so no request can log anything later.
    assert caplog.text == ""
