"""A conversation as a frontend sees it, over real HTTP and a real WebSocket."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from client import WAIT, Api, apply, wait_until
from conftest import Staged
from scripted import Gate, says

from tertulia.db import generations
from tertulia.db.database import FILE_OVERFLOW, FILE_POOL, POOL


def test_a_sent_message_is_answered_token_by_token(api: Api) -> None:
    sent = api.send("Hello there")
    events = api.follow(sent["generation"]["id"])
    assert events[0]["__typename"] == "MessageSnapshot"
    assert events[-1]["__typename"] == "GenerationCompleted"
    assert events[-1]["generation"]["stopReason"] == "END_TURN"
    assert "Hello there" in apply(events)[0]


def test_a_second_turn_remembers_the_first(api: Api) -> None:
    conversation = api.send("Hello, my name is Ada")
    api.follow(conversation["generation"]["id"])
    answer = api.answer("What is my name?", conversationId=conversation["conversation"]["id"])
    assert "Ada" in answer["generation"]["message"]["text"]


def test_the_branch_has_both_turns_in_order(api: Api) -> None:
    sent = api.send("One")
    api.follow(sent["generation"]["id"])
    api.answer("Two", conversationId=sent["conversation"]["id"])
    messages = api.messages(sent["conversation"]["id"])
    assert [message["role"] for message in messages] == ["USER", "ASSISTANT", "USER", "ASSISTANT"]
    assert [message["text"] for message in messages[::2]] == ["One", "Two"]
    assert [message["parent"] and message["parent"]["id"] for message in messages] == [
        None,
        *[message["id"] for message in messages[:-1]],
    ]


@pytest.mark.both
def test_a_query_reads_one_snapshot_while_an_answer_ends(staged: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, asked, ended = Gate(), threading.Event(), threading.Event()
    api = staged(says("half", gate, " and whole")).api
    sent = api.send("Hello")
    api.wait_for_text(sent["generation"]["id"], "half")
    wait_until(lambda: api.messages(sent["conversation"]["id"])[-1]["text"] == "half", "a checkpoint")
    read = generations.read_of_messages

    async def read_late(*arguments: Any) -> Any:
        # The answer ends after the query has read its messages and before it reads their generations.
        asked.set()
        await asyncio.to_thread(ended.wait, WAIT)
        return await read(*arguments)

    monkeypatch.setattr(generations, "read_of_messages", read_late)
    with ThreadPoolExecutor(1) as pool:
        query = pool.submit(api.messages, sent["conversation"]["id"])
        assert asked.wait(WAIT)
        gate.open.set()
        assert api.follow(sent["generation"]["id"])[-1]["__typename"] == "GenerationCompleted"
        ended.set()
        answer = query.result()[-1]
    assert (answer["text"], answer["generation"]["status"]) == ("half", "RUNNING")
    monkeypatch.undo()
    answer = api.messages(sent["conversation"]["id"])[-1]
    assert (answer["text"], answer["generation"]["status"]) == ("half and whole", "COMPLETED")


def test_waiting_for_the_models_api_holds_no_database_connection(staged: Staged) -> None:
    stage, gate = staged(says("Hello")), Gate()
    stage.claude.models = gate
    stage.api.ask("mutation { createConversation(input: {}) { __typename } }")
    asked = "{ conversations { edges { node { title model { displayName } } } } }"
    connections = max(POOL, FILE_POOL + FILE_OVERFLOW)
    with ThreadPoolExecutor(connections) as pool:
        waiting = [pool.submit(stage.api.ask, asked) for _ in range(connections)]
        assert gate.reached.wait(WAIT)
        assert stage.api.ask("{ conversations { edges { node { title } } } }")["conversations"]["edges"]
        assert not any(query.done() for query in waiting)
        gate.open.set()
        names = [query.result()["conversations"]["edges"][0]["node"]["model"]["displayName"] for query in waiting]
    assert names == ["The claude-opus-5-5"] * len(waiting)
