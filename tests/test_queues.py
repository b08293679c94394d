"""Queued messages: when they begin, and how the next process takes over the queue of a draining server."""

import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from client import WAIT, Api, Json, wait_until
from conftest import Staged
from faults import Server
from running import execute
from scripted import Gate, says, scripted

from tertulia import failpoints

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
ABANDONED = "status = 'queued', holder = NULL, lease_until = NULL, finished_at = NULL"
"""The columns of a message whose process stored it but did not begin it."""


def queue(api: Api, text: str, conversation: str) -> str:
    sent = api.send(text, conversationId=conversation, whenBusy="QUEUE")
    assert sent["generation"]["status"] == "QUEUED"
    return str(sent["generation"]["id"])


def rows(place: Json) -> list[tuple[str, bool]]:
    """Return the status of each generation, oldest first, and whether a process holds it."""
    statuses = execute(place, "SELECT status, holder FROM generations ORDER BY id")
    return [(status, holder is not None) for status, holder in statuses]


@pytest.mark.both
def test_a_sweep_does_not_begin_an_old_message_that_waits_for_an_answer(staged: Staged, place: Json) -> None:
    gate = Gate()
    stage = staged(says("Hello"), says("one", gate), says("two"), lease_seconds=3)
    stage.api.answer("Hello")
    running = stage.api.send("1")
    assert gate.reached.wait(WAIT)
    waiting = queue(stage.api, "2", running["conversation"]["id"])
    execute(place, f"UPDATE generations SET created_at = '{CREATED}' WHERE status <> 'running'")
    # The same sweep claims an abandoned message, which proves that a sweep has run.
    execute(place, f"UPDATE generations SET {ABANDONED} WHERE status = 'completed'")
    wait_until(lambda: rows(place)[0][0] == "failed")
    assert rows(place)[1:] == [("running", True), ("queued", False)]
    gate.open.set()
    assert stage.api.follow(waiting)[-1]["generation"]["message"]["text"] == "two"
    assert [len(request["messages"]) for request in stage.claude.requests] == [1, 1, 3]


@pytest.mark.both
def test_the_next_message_takes_the_place_of_a_stopped_one_in_the_queue(staged: Staged, place: Json) -> None:
    gate = Gate()
    stage = staged(says("one", gate), says("three"))
    running = stage.api.send("1")
    assert gate.reached.wait(WAIT)
    second, third = (queue(stage.api, text, running["conversation"]["id"]) for text in ("2", "3"))
    assert stage.api.stop(second)["generation"]["status"] == "STOPPED"
    assert rows(place)[2] == ("queued", False)
    gate.open.set()
    assert stage.api.follow(third)[-1]["generation"]["message"]["text"] == "three"
    assert len(stage.claude.requests) == 2


def test_deleting_a_conversation_does_not_begin_its_queued_messages(staged: Staged, place: Json) -> None:
    gate, begun = Gate(), list[object]()
    stage = staged(says("one", gate))
    running = stage.api.send("1")
    assert gate.reached.wait(WAIT)
    for text in ("2", "3"):
        queue(stage.api, text, running["conversation"]["id"])
    delete = "mutation ($id: ID!) { deleteConversation(id: $id) { __typename } }"
    with failpoints.armed("writer.take_up", begun.append):
        stage.api.ask(delete, id=running["conversation"]["id"])
    assert begun == []
    assert rows(place) == []


def test_a_server_that_drains_refuses_new_messages_and_leaves_queued_ones_to_the_next_process(
    tmp_path: Path, place: Json
) -> None:
    gate = Gate()
    with scripted(says("one", gate), says("two")) as claude:
        server = Server(tmp_path, place, claude)
        try:
            api = server.ready()
            running = api.send("1")
            assert gate.reached.wait(WAIT)
            queue(api, "2", running["conversation"]["id"])
            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: api.http.get("/readyz").json().get("draining") == "failing")
            refused = api.ask(
                'mutation { sendMessage(input: {text: "3"}) { ... on RateLimited { message retryAfterSeconds } } }'
            )["sendMessage"]
            assert refused == {"message": "The server is shutting down. Retry the request.", "retryAfterSeconds": 1}
            on_rest = api.http.post("/chat", json={"message": "3"})
            assert (on_rest.status_code, on_rest.headers["Retry-After"]) == (429, "1")
            gate.open.set()
            assert server.process.wait(60) == 0, server.said()
        finally:
            server.close()
        assert rows(place) == [("completed", rows(place)[0][1]), ("queued", False)]
        assert len(claude.requests) == 1
        server = Server(tmp_path, place, claude)
        try:
            waiting = server.ready().messages(running["conversation"]["id"])[-1]["generation"]["id"]
            assert api_of(server).follow(waiting)[-1]["generation"]["message"]["text"] == "two"
        finally:
            server.close()


def api_of(server: Server) -> Api:
    assert server.api is not None
    return server.api
