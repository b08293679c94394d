"""`conversationChanges` reports every change, so that lists on several devices stay correct."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from client import Api, wait_until
from conftest import Staged
from running import execute, tertulia
from scripted import Gate, says

Json = dict[str, Any]
CHANGES = """
  subscription ($after: String) { conversationChanges(after: $after) {
    cursor kind conversationId conversation { id title } generation { id status } } }
"""


def changes(api: Api, number: int, after: str | None = "0") -> list[Json]:
    with api.socket() as socket:
        socket.subscribe(CHANGES, {"after": after}, "changes")
        return [socket.receive()["payload"]["data"]["conversationChanges"] for _ in range(number)]


def refusal(api: Api, after: str) -> Json:
    """Return the error with which a cursor is refused."""
    with api.socket() as socket:
        socket.subscribe(CHANGES, {"after": after}, "changes")
        message = socket.receive()
    assert message["type"] == "error", message
    (error,) = message["payload"]
    return dict(error)


def test_each_change_is_reported_once_and_in_order(fresh: Api) -> None:
    sent = fresh.send("Hello")
    id = sent["conversation"]["id"]
    fresh.follow(sent["generation"]["id"])
    fresh.ask('mutation ($id: ID!) { updateConversation(input: {id: $id, title: "Greetings"}) { __typename } }', id=id)
    fresh.ask("mutation ($id: ID!) { deleteConversation(id: $id) { __typename } }", id=id)
    fresh.ask('mutation { createConversation(input: {title: "Next"}) { __typename } }')
    events = changes(fresh, 6)
    kinds = ["CREATED", "GENERATION_STARTED", "GENERATION_ENDED", "UPDATED", "DELETED", "CREATED"]
    assert [change["kind"] for change in events] == kinds
    assert [change["conversationId"] for change in events[:5]] == [id] * 5
    assert events[4]["conversation"] is None
    assert events[5]["conversation"]["title"] == "Next"


def test_after_a_cursor_only_later_changes_are_reported(fresh: Api) -> None:
    for title in ("one", "two", "three"):
        fresh.ask("mutation ($t: String) { createConversation(input: {title: $t}) { __typename } }", t=title)
    first = changes(fresh, 1)[0]
    assert [change["conversation"]["title"] for change in changes(fresh, 2, first["cursor"])] == ["two", "three"]


def test_an_invalid_cursor_is_refused_and_the_argument_is_named(fresh: Api) -> None:
    for cursor in ("nonsense", "-1", "999", "9" * 40, ""):
        refused = refusal(fresh, cursor)
        assert refused["extensions"]["code"] == "BAD_USER_INPUT"
        assert refused["message"].startswith("`after`")


def test_a_cursor_older_than_24_hours_is_refused_and_no_change_is_skipped(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        for title in ("one", "two", "three"):
            api.ask("mutation ($t: String) { createConversation(input: {title: $t}) { __typename } }", t=title)
    day_ago = datetime.now(UTC) - timedelta(hours=24)
    for condition, created_at in (("< 3", day_ago - timedelta(minutes=1)), ("= 3", day_ago + timedelta(minutes=1))):
        execute(place, f"UPDATE conversation_changes SET created_at = '{created_at}' WHERE sequence {condition}")

    def kept() -> list[int]:
        return [sequence for (sequence,) in execute(place, "SELECT sequence FROM conversation_changes")]

    with tertulia(tmp_path, **place) as address, Api(address) as api:
        wait_until(lambda: kept() == [3])
        for cursor in ("0", "1"):
            refused = refusal(api, cursor)
            assert refused["extensions"]["code"] == "BAD_USER_INPUT"
            assert "no longer stored" in refused["message"]
        assert [change["conversation"]["title"] for change in changes(api, 1, "2")] == ["three"]
        execute(place, "DELETE FROM conversation_changes")
        assert "no longer stored" in refusal(api, "2")["message"]
        api.ask('mutation { createConversation(input: {title: "four"}) { __typename } }')
        assert [change["conversation"]["title"] for change in changes(api, 1, "3")] == ["four"]


def test_an_update_that_changes_nothing_is_not_reported(fresh: Api) -> None:
    created = fresh.ask(
        "mutation { createConversation(input: {}) { ... on ConversationPayload { conversation { id } } } }"
    )
    id = created["createConversation"]["conversation"]["id"]
    fresh.ask("mutation ($id: ID!) { updateConversation(input: {id: $id}) { __typename } }", id=id)
    fresh.ask("mutation ($id: ID!) { deleteConversation(id: $id) { __typename } }", id=id)
    assert [change["kind"] for change in changes(fresh, 2)] == ["CREATED", "DELETED"]


def test_the_start_of_a_queued_answer_is_reported(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says("one", gate), says("two"))
    first = stage.api.send("1")
    conversation = first["conversation"]["id"]
    second = stage.api.send("2", conversationId=conversation, whenBusy="QUEUE")
    assert second["generation"]["status"] == "QUEUED"
    gate.open.set()
    stage.api.follow(second["generation"]["id"])
    events = [(change["kind"], change["generation"]["id"]) for change in changes(stage.api, 5) if change["generation"]]
    ids = (first["generation"]["id"], second["generation"]["id"])
    assert events == [(kind, id) for id in ids for kind in ("GENERATION_STARTED", "GENERATION_ENDED")]
