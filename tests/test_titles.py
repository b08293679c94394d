"""Titles: a small model writes one after the first answer; it is billed, limited, and never replaces the user's."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from client import WAIT, Api, Json, wait_until
from conftest import Staged
from running import execute, tertulia
from scripted import Gate, Reply, says

from tertulia.billing.records import Payer
from tertulia.generation.titles import MAX_TITLE, Titles, title_in

CHANGES = "subscription { conversationChanges { kind conversation { id title } } }"
SMALL = "claude-haiku-5-5"


def title_reply(text: str, **more: Any) -> Reply:
    """Return a response that is not streamed, with this text."""
    usage = {"input_tokens": 50, "output_tokens": 5}
    content = [{"type": "text", "text": text}]
    body = {
        "id": "msg_2", "type": "message", "role": "assistant", "model": SMALL, "content": content,
        "stop_reason": "end_turn", "stop_sequence": None, "usage": usage, **more,
    }  # fmt: skip
    return Reply(body=body)


def title_of(api: Api, id: str) -> str | None:
    title: str | None = api.conversation(id)["title"]
    return title


def test_a_conversation_gets_a_title_after_its_first_answer_and_a_change_is_sent(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place, title_model=SMALL) as address, Api(address) as api, api.socket() as socket:
        socket.subscribe(CHANGES, {})
        sent = api.send("How do I bake a bread without any yeast?")
        while not (title := change(socket.receive())):
            pass
        assert title == "How do I bake a bread"
        assert title_of(api, sent["conversation"]["id"]) == title
        rows = execute(place, "SELECT purpose, model, outcome, output_tokens > 0 FROM calls ORDER BY id")
        assert [tuple(row) for row in rows] == [
            ("answer", "claude-opus-5-5", "completed", True),
            ("title", SMALL, "completed", True),
        ]


def change(message: Json) -> str | None:
    change_: Json = message["payload"]["data"]["conversationChanges"]
    return change_["conversation"]["title"] if change_["kind"] == "UPDATED" else None


def test_the_title_model_gets_the_conversation_and_does_not_think(staged: Staged) -> None:
    stage = staged(says("Four."), title_reply("**A sum.**"), title_model=SMALL)
    sent = stage.api.send("2 + 2?")
    id = sent["conversation"]["id"]
    assert wait_until(lambda: title_of(stage.api, id)) == "A sum"
    request = stage.claude.requests[1]
    assert (request["model"], "stream" in request) == (SMALL, False)
    shown = request["messages"][0]["content"][0]["text"]
    assert "user: 2 + 2?" in shown
    assert "assistant: Four." in shown
    usage = stage.api.conversation(id)["usage"]
    assert (usage["inputTokens"], usage["outputTokens"]) == (61, 12)


def test_the_requests_for_an_answer_and_its_title_name_the_user_by_a_hash(staged: Staged) -> None:
    stage = staged(says("Four."), title_reply("A sum"), title_model=SMALL)
    sent = stage.api.send("2 + 2?")
    wait_until(lambda: title_of(stage.api, sent["conversation"]["id"]))
    viewer = stage.api.ask("{ viewer { id } }")["viewer"]["id"]
    expected = {"user_id": sha256(f"tertulia.user:{viewer}".encode()).hexdigest()}
    assert [request["metadata"] for request in stage.claude.requests] == [expected, expected]


def test_at_most_four_titles_are_generated_at_once() -> None:
    begun = list[None]()

    class BusyDatabase:
        """A database whose reads do not end."""

        @asynccontextmanager
        async def read(self) -> AsyncGenerator[None]:
            begun.append(None)
            await asyncio.Event().wait()
            yield

    async def test() -> None:
        unused: Any = None
        titles = Titles(cast("Any", BusyDatabase()), unused, unused, unused, unused, model=SMALL)
        for _ in range(6):
            titles.name(Payer(uuid4(), uuid4(), uuid4()), on_named=lambda: None)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(begun) == 4
        await titles.close()

    asyncio.run(test())


def test_a_title_of_the_user_is_kept(staged: Staged) -> None:
    stage = staged(says("Hi"), says("Again"), title_reply("Not mine"), title_model=SMALL)
    create = (
        'mutation { createConversation(input: {title: "Mine"}) { ... on ConversationPayload { conversation { id } } } }'
    )
    id = stage.api.ask(create)["createConversation"]["conversation"]["id"]
    stage.api.answer("Hello", conversationId=id)
    other = stage.api.send("Hello")
    wait_until(lambda: title_of(stage.api, other["conversation"]["id"]))
    assert title_of(stage.api, id) == "Mine"
    assert len(stage.claude.requests) == 3


def test_a_title_that_the_user_sets_meanwhile_is_kept(staged: Staged, place: Json) -> None:
    gate = Gate()
    slow = Reply(
        [gate, json.dumps(title_reply("Not mine").body).encode()], headers={"content-type": "application/json"}
    )
    stage = staged(says("Hi"), slow, title_model=SMALL)
    id = stage.api.send("Hello")["conversation"]["id"]
    assert gate.reached.wait(WAIT)
    stage.api.ask('mutation ($id: ID!) { updateConversation(input: {id: $id, title: "Mine"}) { __typename } }', id=id)
    gate.open.set()
    wait_until(lambda: execute(place, "SELECT id FROM calls WHERE purpose = 'title'"))
    assert title_of(stage.api, id) == "Mine"


def test_a_temporary_conversation_gets_no_title(staged: Staged) -> None:
    stage = staged(says("Hi"), says("Again"), title_reply("A greeting"), title_model=SMALL)
    stage.api.answer("Hello", temporary=True)
    other = stage.api.send("Hello")["conversation"]["id"]
    assert wait_until(lambda: title_of(stage.api, other)) == "A greeting"
    assert len(stage.claude.requests) == 3


FAILURES = [
    Reply(status=400, body={"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}),
    Reply(body=b"no JSON"),
    title_reply("I cannot help with that.", stop_reason="refusal"),
    title_reply(" \n "),
    title_reply("", content=[]),
]


@pytest.mark.parametrize("reply", FAILURES)
def test_a_failed_title_is_tried_again_after_the_next_answer(staged: Staged, reply: Reply) -> None:
    stage = staged(says("Hi"), reply, says("Hi"), title_reply("At last"), title_model=SMALL)
    id = stage.api.send("Hello")["conversation"]["id"]
    wait_until(lambda: len(stage.claude.requests) == 2)
    stage.api.answer("Again", conversationId=id)
    assert wait_until(lambda: title_of(stage.api, id)) == "At last"


def test_without_the_title_model_the_answers_model_writes_the_title(staged: Staged) -> None:
    stage = staged(says("Hi"), title_reply("A greeting"), title_model="claude-tiny-1")
    id = stage.api.send("Hello")["conversation"]["id"]
    assert wait_until(lambda: title_of(stage.api, id)) == "A greeting"
    assert stage.claude.requests[1]["model"] == "claude-opus-5-5"


def test_a_block_unknown_to_the_sdk_prints_nothing(
    staged: Staged, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    odd = {"type": "a_new_block", "words": "parsnip", "text": None}
    stage = staged(
        says("Hi"), title_reply("", content=[odd, {"type": "text", "text": "A greeting"}]), title_model=SMALL
    )
    id = stage.api.send("Hello")["conversation"]["id"]
    assert wait_until(lambda: title_of(stage.api, id)) == "A greeting"
    printed = "".join(capfd.readouterr()) + "".join(str(warning.message) for warning in recwarn)
    assert "parsnip" not in printed


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Plain words", "Plain words"),
        ('"In quotes."', "In quotes"),
        ("# Heading\n\nand more", "Heading"),
        ("Title: Bread", "Bread"),
        ("„Brot ohne Hefe“", "Brot ohne Hefe"),
        ("a\u202eb\tc\x07d", "a b c d"),
        ("half \ud800 pair", "half pair"),
        ("word " * 40, "word " * 14 + "word…"),
        ("x" * 300, "x" * (MAX_TITLE - 1) + "…"),
    ],
)
def test_a_title_is_one_line_of_limited_length(text: str, title: str) -> None:
    cleaned = title_in({"content": [{"type": "text", "text": text}]})
    assert cleaned == title
    assert len(title) <= MAX_TITLE
