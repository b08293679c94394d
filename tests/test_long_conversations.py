"""Conversations of more than a thousand messages can be read, continued, exported, forked and deleted."""

import asyncio
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import UUID

import pytest
from client import Api, Json, wait_until
from conftest import Staged
from media import image
from rows import Rows, rolled_back
from running import execute, tertulia
from scripted import says
from test_attachments import uploaded
from test_command import run_here

from tertulia.claude import streaming
from tertulia.db import search
from tertulia.db.database import Database
from tertulia.db.tables import new_id
from tertulia.generation.manager import GenerationManager
from tertulia.generation.retention import DeletedResources, remove_part
from tertulia.threads import MANY, offload

LENGTH = 1300
"""SQLite fails at 1,000 levels of `ON DELETE CASCADE`."""
CREATED_AT = "2026-01-01T00:00:00+00:00"
DELETE = "mutation ($id: ID!) { deleteConversation(id: $id) { ... on DeletedConversation { deletedId } } }"
LISTED = "{ conversations { edges { node { id } } } }"
TABLES = ("conversations", "messages", "generations", "message_words")
GENERATION = {"status": "completed", "model": "claude-opus-5-5", "created_at": CREATED_AT}


def chain(length: int) -> bytes:
    """Return an export of one conversation in which each message is the parent of the next."""
    header = {"type": "tertulia-export", "version": 1, "exported_at": CREATED_AT}
    conversation = {
        "type": "conversation",
        "id": "c",
        "model": "claude-opus-5-5",
        "created_at": CREATED_AT,
        "updated_at": CREATED_AT,
    }
    lines: list[Json] = [header, conversation]
    for number in range(length):
        answer = {"generation": GENERATION} if number % 2 else {}
        parent = f"m{number - 1}" if number else None
        content = [{"type": "text", "text": f"Word{number}"}]
        role = "assistant" if number % 2 else "user"
        lines.append({"type": "message", "id": f"m{number}", "parent_id": parent, "role": role, "content": content, "created_at": CREATED_AT, **answer})  # fmt: skip
    return "\n".join(map(json.dumps, lines)).encode()


def long_conversation(api: Api) -> str:
    response = api.http.post("/import", files={"file": ("export", chain(LENGTH))}, timeout=60)
    assert response.status_code == 201, response.text
    return str(response.json()["conversation_ids"][0])


def listed(api: Api) -> list[str]:
    return [edge["node"]["id"] for edge in api.ask(LISTED)["conversations"]["edges"]]


def row_counts(place: Json) -> dict[str, int]:
    return {table: execute(place, f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}


NO_ROWS = dict.fromkeys(TABLES, 0)


def test_a_long_conversation_can_be_deleted(fresh: Api, place: Json) -> None:
    id = long_conversation(fresh)
    assert fresh.ask(DELETE, id=id)["deleteConversation"] == {"deletedId": id}
    assert row_counts(place) == NO_ROWS
    # The deletion takes several transactions, but the owner's lists receive one change.
    assert execute(place, "SELECT count(*) FROM conversation_changes WHERE lower(kind) = 'deleted'")[0][0] == 1


@pytest.mark.usefixtures("sweeps")
def test_retention_deletes_an_expired_long_conversation(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        long_conversation(api)
    with tertulia(tmp_path, **place, retention_days=7) as address, Api(address) as api:
        wait_until(lambda: listed(api) == [])
        wait_until(lambda: row_counts(place) == NO_ROWS)


@pytest.mark.usefixtures("sweeps")
def test_retention_finishes_an_interrupted_deletion(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        id = long_conversation(api)
        removed = begin_deletion(place, id)
        assert not removed.finished
        assert 0 < row_counts(place)["messages"] < LENGTH
        assert listed(api) == []
    with tertulia(tmp_path, **place):
        wait_until(lambda: row_counts(place) == NO_ROWS)


def begin_deletion(place: Json, id: str) -> DeletedResources:
    """Run the first transaction of a deletion, as the server does."""

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


def test_a_user_with_long_conversations_can_be_deleted(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        long_conversation(api)
        api.answer("A short one")
    environment = {name.upper(): str(value) for name, value in place.items()}
    done = run_here(tmp_path, "user", "remove", "local", "--yes", **environment)
    assert (done.exit_code, "2 conversations" in done.stdout) == (0, True), done.output
    assert f"{LENGTH + 2} messages" in done.stdout
    assert row_counts(place) == NO_ROWS
    assert execute(place, "SELECT count(*) FROM users")[0][0] == 0


def test_a_long_conversation_can_be_read_exported_forked_and_continued(fresh: Api) -> None:
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


def test_the_sdk_would_send_the_same_requests_as_those_that_are_encoded_here(
    staged: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = staged(says("Hi"), says("Hi"))
    options = {"effort": "LOW"}
    stage.api.answer("Tea? 🐦", options=options)
    monkeypatch.setattr(streaming, "ENCODED_HERE", ())
    assert stage.api.answer("Tea? 🐦", options=options)["__typename"] == "GenerationCompleted"
    encoded_here, by_sdk = stage.claude.requests
    assert encoded_here == by_sdk
    ignored = ("content-length", "x-stainless-raw-response")
    first, second = (
        {name: value for name, value in headers.items() if name not in ignored} for headers in stage.claude.headers
    )
    assert first == second


LONGEST = 5_000
CHAIN = f"""INSERT INTO messages (id, conversation_id, parent_id, role, depth, content, app_metadata, created_at)
    WITH RECURSIVE numbers(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < {LONGEST})
    SELECT printf('%032x', n), conversations.id, iif(n = 2, active_leaf_id, printf('%032x', n - 1)),
        iif(n % 2, 'assistant', 'user'), n, '[{{"type": "text", "text": "Some words"}}]', '{{}}', '{CREATED_AT}'
    FROM numbers, conversations"""


@pytest.mark.embedded
def test_a_send_in_a_conversation_of_5_000_messages_takes_the_loop_for_short_turns_alone(
    staged: Staged, place: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = staged(says("Hi"), says("Hi"))
    picture = {"attachmentIds": [uploaded(stage.api, image())]}
    # The first send compiles statements, so the test counts the calls of the second.
    id = stage.api.send("Hello", **picture)["conversation"]["id"]
    wait_until(lambda: stage.api.messages(id)[-1]["text"] == "Hi")
    execute(place, CHAIN)
    execute(place, f"UPDATE conversations SET active_leaf_id = printf('%032x', {LONGEST})")
    # By thread, because the Claude of the test has an event loop too.
    most_calls: dict[int, int] = {}
    threads = set[int]()
    run, start = asyncio.events.Handle._run, GenerationManager.start

    def counted(handle: asyncio.Handle) -> None:
        calls = 0

        def count(_frame: FrameType, event: str, _argument: object) -> None:
            nonlocal calls
            calls += event == "call"

        sys.setprofile(count)
        run(handle)
        sys.setprofile(None)
        thread = threading.get_ident()
        most_calls[thread] = max(most_calls.get(thread, 0), calls)

    def noted(*arguments: Any) -> None:
        threads.add(threading.get_ident())
        start(*arguments)

    monkeypatch.setattr(asyncio.events.Handle, "_run", counted)
    monkeypatch.setattr(GenerationManager, "start", noted)
    assert stage.api.answer("Go on", conversationId=id, **picture)["__typename"] == "GenerationCompleted"
    assert len(stage.claude.requests[-1]["messages"]) >= LONGEST
    # Fetching 100 messages from the database takes about 4,000 calls, and each step for all messages more than 5,000.
    assert most_calls[threads.pop()] < LONGEST


def test_work_on_many_messages_does_not_wait_for_the_threads_that_look_up_names() -> None:
    async def test(rows: Rows) -> None:
        ended, loop = threading.Event(), asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        lookup = loop.run_in_executor(None, ended.wait, 5)
        long = [{"type": "text", "text": "tea " * search.LONG_TEXT}]
        assert await offload(MANY, threading.get_ident) != threading.get_ident()
        await search.add(rows.session, (await rows.user(), new_id(), long))
        assert not lookup.done()
        ended.set()
        await lookup

    rolled_back(test)
