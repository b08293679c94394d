"""Retention: old conversations are deleted after the configured time, and temporary ones with all their data."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis
from client import Api, Json, wait_until
from conftest import Staged
from media import image
from running import execute, tertulia
from scripted import Gate, says

from tertulia.server.opening import open_log
from tertulia.streams.log import EventLog, Signals
from tertulia.streams.memory import MemoryLog

pytestmark = pytest.mark.usefixtures("sweeps")

LISTED = "{ conversations { edges { node { id } } } }"
TEMPORARY = "{ conversations(filter: {temporary: true}) { edges { node { id temporary } } } }"
FOUND = '{ searchMessages(query: "parsnip") { edges { node { id } } } }'
FORK = """mutation ($input: ForkConversationInput!) { forkConversation(input: $input) {
  ... on ConversationPayload { conversation { id temporary } } } }"""
CHANGES = 'subscription { conversationChanges(after: "0") { kind conversationId } }'
TABLES = ("conversations", "messages", "generations", "attachments", "blobs", "idempotency_keys", "message_words")


def ids(api: Api, query: str) -> list[str]:
    (connection,) = api.ask(query).values()
    return [edge["node"]["id"] for edge in connection["edges"]]


def say(api: Api, text: str, **more: Any) -> str:
    sent = api.send(text, **more)
    api.follow(sent["generation"]["id"])
    return str(sent["conversation"]["id"])


def grow_old(place: Json, id: str, days: int) -> None:
    updated_at = f"{2026 - days // 365}-01-01 00:00:00+00:00" if days > 365 else "2026-01-01 00:00:00+00:00"
    execute(place, f"UPDATE conversations SET updated_at = '{updated_at}' WHERE id = '{stored(place, id)}'")


def stored(place: Json, id: str) -> str:
    return id if "redis_url" in place else id.replace("-", "")


def counted(place: Json) -> dict[str, int]:
    return {table: execute(place, f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}


def test_conversations_unused_for_the_retention_time_are_deleted(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        old, new = say(api, "An old parsnip"), say(api, "A new parsnip")
    grow_old(place, old, 30)
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        assert set(ids(api, LISTED)) == {old, new}
    with tertulia(tmp_path, **place, retention_days=7) as address, Api(address) as api:
        # The server is ready before it has deleted anything.
        wait_until(lambda: ids(api, LISTED) == [new])
        assert len(ids(api, FOUND)) == 2
        with api.socket() as socket:
            socket.subscribe(CHANGES, {})
            changes = [socket.receive()["payload"]["data"]["conversationChanges"] for _ in range(7)]
        assert changes[-1] == {"kind": "DELETED", "conversationId": old}


def test_a_temporary_conversation_is_hidden_and_deleted_completely(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        picture = api.http.post("/attachments", files={"file": ("a.png", image())}).json()["id"]
        id = say(
            api,
            "A secret parsnip",
            temporary=True,
            attachmentIds=[picture],
            idempotencyKey="0198f3b0-7c1e-7000-8000-000000000000",
        )
        assert say(api, "And more", conversationId=id) == id
        assert (ids(api, LISTED), ids(api, FOUND), ids(api, TEMPORARY)) == ([], [], [id])
        assert len(api.messages(id)) == 4
        other = api.try_send("No", conversationId=id, temporary=True)
        assert (other["__typename"], other["field"]) == ("InvalidInput", "temporary")
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        assert ids(api, TEMPORARY) == [id]
    grow_old(place, id, 2)
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        wait_until(lambda: ids(api, TEMPORARY) == [])
        wait_until(lambda: counted(place) == dict.fromkeys(TABLES, 0))
        wait_until(lambda: not any(file.is_file() for file in (tmp_path / "files").rglob("*")))


def test_search_does_not_find_answers_of_a_temporary_conversation(staged: Staged) -> None:
    api = staged(says("A parsnip"), says("Another parsnip")).api
    id = say(api, "What is this?", temporary=True)
    say(api, "And this?", conversationId=id)
    assert ids(api, FOUND) == []
    say(api, "And this?")
    assert len(ids(api, FOUND)) == 1


def test_a_fork_of_a_temporary_conversation_is_temporary_and_hidden(staged: Staged) -> None:
    api = staged(says("A parsnip")).api
    id = say(api, "A parsnip", temporary=True)
    forked = api.ask(FORK, input={"messageId": api.messages(id)[-1]["id"]})["forkConversation"]["conversation"]
    assert forked["temporary"]
    say(api, "One more parsnip", conversationId=forked["id"])
    assert (ids(api, LISTED), ids(api, FOUND)) == ([], [])
    assert set(ids(api, TEMPORARY)) == {id, forked["id"]}


def test_a_fork_of_a_permanent_conversation_is_permanent_and_searchable(staged: Staged) -> None:
    api = staged(says("A parsnip")).api
    id = say(api, "What is this?")
    forked = api.ask(FORK, input={"messageId": api.messages(id)[-1]["id"]})["forkConversation"]["conversation"]
    assert not forked["temporary"]
    assert set(ids(api, LISTED)) == {id, forked["id"]}
    assert set(ids(api, FOUND)) == {api.messages(conversation)[-1]["id"] for conversation in (id, forked["id"])}


def test_a_temporary_conversation_is_deleted_24_hours_after_its_last_message(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        old, new = (say(api, "A parsnip", temporary=True) for _ in range(2))
    for id, age in ((old, timedelta(hours=24, minutes=1)), (new, timedelta(hours=23, minutes=59))):
        updated_at = datetime.now(UTC) - age
        execute(place, f"UPDATE conversations SET updated_at = '{updated_at}' WHERE id = '{stored(place, id)}'")
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        wait_until(lambda: ids(api, TEMPORARY) == [new])


def test_a_conversation_can_be_created_as_temporary(fresh: Api) -> None:
    create = "mutation { createConversation(input: {temporary: true}) { ... on ConversationPayload { conversation { id temporary } } } }"
    conversation = fresh.ask(create)["createConversation"]["conversation"]
    assert conversation["temporary"]
    assert ids(fresh, LISTED) == []


DELETE = "mutation ($id: ID!) { deleteConversation(id: $id) { __typename } }"


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> list[EventLog]:
    """The logs of the servers that the test starts."""
    opened: list[EventLog] = []

    async def open_and_note(*arguments: Any, **more: Any) -> tuple[EventLog, Signals, bool]:
        log, signals, alone = await open_log(*arguments, **more)
        opened.append(log)
        return log, signals, alone

    monkeypatch.setattr("tertulia.server.services.open_log", open_and_note)
    return opened


def has_log(place: Json, logs: list[EventLog], generation: str) -> bool:
    if "redis_url" in place:
        with redis.Redis.from_url(place["redis_url"]) as client:
            return bool(client.keys(f"*{generation}*"))
    (log,) = logs
    assert isinstance(log, MemoryLog)
    return log.local_stream(UUID(generation)) is not None


def test_deleting_a_conversation_deletes_the_logs_of_its_answers(logs: list[EventLog], fresh: Api, place: Json) -> None:
    removed, kept = (fresh.send("Hello") for _ in range(2))
    for sent in (removed, kept):
        fresh.follow(sent["generation"]["id"])
    assert has_log(place, logs, removed["generation"]["id"])
    fresh.ask(DELETE, id=removed["conversation"]["id"])
    assert not has_log(place, logs, removed["generation"]["id"])
    assert has_log(place, logs, kept["generation"]["id"])


def test_deleting_a_conversation_deletes_the_log_of_a_running_answer(
    tmp_path: Path, logs: list[EventLog], staged: Staged, place: Json
) -> None:
    stage = staged(says("half", Gate()))
    sent = stage.api.send("Hello")
    generation = sent["generation"]["id"]
    stage.api.wait_for_text(generation, "half")
    files = tmp_path / "tertulia.db-answers"
    assert bool(list(files.glob(f"{generation}*"))) == ("redis_url" not in place)
    stage.api.ask(DELETE, id=sent["conversation"]["id"])
    assert not has_log(place, logs, generation)
    assert not list(files.glob(f"{generation}*"))
