"""Conversations of thousands of messages: whatever walks their tree bears its depth."""

import asyncio
import json
from pathlib import Path
from uuid import UUID

from client import Api, Json, wait_until
from conftest import Staged
from running import execute, tertulia
from scripted import says
from test_command import run_here

from tertulia.db.database import Database
from tertulia.generation.retention import DeletedResources, remove_part

LENGTH = 1300
"""SQLite gives up at 1,000 levels of `ON DELETE CASCADE`."""
MOMENT = "2026-01-01T00:00:00+00:00"
DELETE = "mutation ($id: ID!) { deleteConversation(id: $id) { ... on DeletedConversation { deletedId } } }"
LISTED = "{ conversations { edges { node { id } } } }"
TABLES = ("conversations", "messages", "generations", "message_words")
GENERATION = {"status": "completed", "model": "claude-opus-5-5", "created_at": MOMENT}


def chain(length: int) -> bytes:
    """Write an export of one conversation in which each message is the parent of the next."""
    header = {"type": "tertulia-export", "version": 1, "exported_at": MOMENT}
    conversation = {
        "type": "conversation",
        "id": "c",
        "model": "claude-opus-5-5",
        "created_at": MOMENT,
        "updated_at": MOMENT,
    }
    lines: list[Json] = [header, conversation]
    for number in range(length):
        answer = {"generation": GENERATION} if number % 2 else {}
        parent = f"m{number - 1}" if number else None
        content = [{"type": "text", "text": f"Word{number}"}]
        role = "assistant" if number % 2 else "user"
        lines.append({"type": "message", "id": f"m{number}", "parent_id": parent, "role": role, "content": content, "created_at": MOMENT, **answer})  # fmt: skip
    return "\n".join(map(json.dumps, lines)).encode()


def long_conversation(api: Api) -> str:
    answered = api.http.post("/import", files={"file": ("export", chain(LENGTH))}, timeout=60)
    assert answered.status_code == 201, answered.text
    return str(answered.json()["conversation_ids"][0])


def listed(api: Api) -> list[str]:
    return [edge["node"]["id"] for edge in api.ask(LISTED)["conversations"]["edges"]]


def left(place: Json) -> dict[str, int]:
    return {table: execute(place, f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}


NOTHING = dict.fromkeys(TABLES, 0)


def test_a_long_conversation_can_be_deleted(fresh: Api, place: Json) -> None:
    id = long_conversation(fresh)
    assert fresh.ask(DELETE, id=id)["deleteConversation"] == {"deletedId": id}
    assert left(place) == NOTHING
    # In as many transactions as it takes, the owner's lists hear of it once.
    assert execute(place, "SELECT count(*) FROM conversation_changes WHERE lower(kind) = 'deleted'")[0][0] == 1


def test_retention_removes_a_long_conversation_that_is_due(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        long_conversation(api)
    with tertulia(tmp_path, **place, retention_days=7) as address, Api(address) as api:
        wait_until(lambda: listed(api) == [])
        wait_until(lambda: left(place) == NOTHING)


def test_a_removal_that_was_interrupted_is_finished_by_retention(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        id = long_conversation(api)
        removed = begin_removal(place, id)
        assert not removed.finished
        assert 0 < left(place)["messages"] < LENGTH
        assert listed(api) == []
    with tertulia(tmp_path, **place):
        wait_until(lambda: left(place) == NOTHING)


def begin_removal(place: Json, id: str) -> DeletedResources:
    """Do what the server does in its first transaction of a removal."""

    owner = execute(place, "SELECT id FROM users")[0][0]

    async def work() -> DeletedResources | None:
        database = Database(place["database_url"].replace("postgresql://", "postgresql+asyncpg://"))
        async with database.write() as session:
            removed = await remove_part(session, UUID(str(owner)), UUID(id))
        await database.close()
        return removed

    removed = asyncio.run(work())
    assert removed is not None
    return removed


def test_a_user_with_long_conversations_can_be_removed(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        long_conversation(api)
        api.answer("A short one")
    environment = {name.upper(): str(value) for name, value in place.items()}
    done = run_here(tmp_path, "user", "remove", "local", "--yes", **environment)
    assert (done.exit_code, "2 conversations" in done.stdout) == (0, True), done.output
    assert f"{LENGTH + 2} messages" in done.stdout
    assert left(place) == NOTHING
    assert execute(place, "SELECT count(*) FROM users")[0][0] == 0


def test_a_long_conversation_is_read_exported_forked_and_continued(fresh: Api) -> None:
    id = long_conversation(fresh)
    page = "query ($id: ID!) { conversation(id: $id) { messages(last: 2) { edges { node { id text } } } } }"
    last = fresh.ask(page, id=id)["conversation"]["messages"]["edges"][-1]["node"]
    assert last["text"] == f"Word{LENGTH - 1}"
    assert len(fresh.http.get(f"/export/{id}").content.splitlines()) == LENGTH + 2
    assert f"Word{LENGTH - 1}" in fresh.http.get(f"/export/{id}?format=markdown").text
    fork = "mutation ($id: ID!) { forkConversation(input: {messageId: $id}) { ... on ConversationPayload { conversation { id } } } }"
    forked = fresh.ask(fork, id=last["id"])["forkConversation"]["conversation"]["id"]
    select = (
        "mutation ($id: ID!) { selectBranch(messageId: $id) { ... on ConversationPayload { conversation { id } } } }"
    )
    first = fresh.ask(
        "query ($id: ID!) { conversation(id: $id) { messages(first: 1) { edges { node { id } } } } }", id=id
    )
    top = first["conversation"]["messages"]["edges"][0]["node"]["id"]
    assert fresh.ask(select, id=top)["selectBranch"]["conversation"]["id"] == id
    assert fresh.answer("Go on", conversationId=forked)["__typename"] == "GenerationCompleted"


def test_claude_is_sent_each_message_of_a_long_conversation_once(staged: Staged) -> None:
    stage = staged(says("Hi"))
    stage.api.answer("Go on", conversationId=long_conversation(stage.api))
    sent = [block["text"] for message in stage.claude.requests[0]["messages"] for block in message["content"]]
    assert sent == [*(f"Word{number}" for number in range(LENGTH)), "Go on"]
