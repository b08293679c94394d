"""The tree of a conversation: edits, regenerated answers, selected branches and forks."""

from typing import Any
from uuid import uuid4

import pytest
from client import GENERATION, WAIT, Api, Json
from conftest import Staged
from scripted import EVERYTHING, Gate, Reply, says

PAYLOAD = f"""
  __typename
  ... on SendMessagePayload {{
    replayed conversation {{ id }} userMessage {{ id text }} generation {{ {GENERATION} message {{ id }} }}
  }}
  ... on ConversationBusy {{ generation {{ id }} }}
  ... on InvalidInput {{ field }}
  ... on Error {{ message }}
"""
EDIT = f"mutation ($input: EditMessageInput!) {{ asked: editMessage(input: $input) {{ {PAYLOAD} }} }}"
REGENERATE = f"mutation ($input: RegenerateMessageInput!) {{ asked: regenerateMessage(input: $input) {{ {PAYLOAD} }} }}"
CONVERSATION = "__typename ... on ConversationPayload { conversation { id title } } ... on Error { message }"
SELECT = f"mutation ($id: ID!) {{ selectBranch(messageId: $id) {{ {CONVERSATION} ... on NotFound {{ id }} }} }}"
FORK = f"""mutation ($input: ForkConversationInput!) {{
  forkConversation(input: $input) {{ {CONVERSATION} ... on InvalidInput {{ field }} }}
}}"""


def edit(api: Api, message: str, text: str, **more: Any) -> Json:
    asked: Json = api.ask(EDIT, input={"messageId": message, "text": text, **more})["asked"]
    return asked


def regenerate(api: Api, message: str, **more: Any) -> Json:
    asked: Json = api.ask(REGENERATE, input={"messageId": message, **more})["asked"]
    return asked


def ended(api: Api, asked: Json) -> Json:
    assert asked["__typename"] == "SendMessagePayload", asked
    api.follow(asked["generation"]["id"])
    return asked


def texts(api: Api, conversation: str) -> list[str]:
    return [message["text"] for message in api.messages(conversation)]


def started(api: Api, text: str = "Hello", **more: Any) -> tuple[str, Json]:
    """Send a message, wait for the end, and return the conversation's id and the payload of the send."""
    sent = ended(api, api.send(text, **more))
    return sent["conversation"]["id"], sent


def test_an_edit_is_a_sibling_with_its_own_answer_and_becomes_the_active_branch(staged: Staged) -> None:
    stage = staged(says("one"), says("two"), says("three"))
    conversation, sent = started(stage.api)
    started(stage.api, "And then?", conversationId=conversation)
    edited = ended(stage.api, edit(stage.api, sent["userMessage"]["id"], "Good day"))
    assert edited["userMessage"]["text"] == "Good day"
    assert texts(stage.api, conversation) == ["Good day", "three"]
    asked, answer = stage.api.messages(conversation)
    assert [one["id"] for one in asked["siblings"]] == [sent["userMessage"]["id"], asked["id"]]
    assert [one["id"] for one in answer["siblings"]] == [answer["id"]]
    assert [turn["content"] for turn in stage.claude.requests[-1]["messages"]] == [
        [{"type": "text", "text": "Good day"}]
    ]


def test_an_edit_in_the_middle_is_sent_with_only_the_messages_before_it(staged: Staged) -> None:
    stage = staged(says("one"), says("two"), says("three"))
    conversation, _ = started(stage.api, "1")
    _, second = started(stage.api, "2", conversationId=conversation)
    ended(stage.api, edit(stage.api, second["userMessage"]["id"], "2, in other words"))
    sent_texts = [turn["content"][0]["text"] for turn in stage.claude.requests[-1]["messages"]]
    assert sent_texts == ["1", "one", "2, in other words"]


def test_a_regenerated_answer_is_a_sibling_of_the_first(staged: Staged) -> None:
    stage = staged(says("one"), says("two"))
    conversation, sent = started(stage.api)
    first = sent["generation"]["message"]["id"]
    again = ended(stage.api, regenerate(stage.api, first))
    assert again["userMessage"]["id"] == sent["userMessage"]["id"]
    assert texts(stage.api, conversation) == ["Hello", "two"]
    assert [one["id"] for one in stage.api.messages(conversation)[1]["siblings"]] == [
        first,
        again["generation"]["message"]["id"],
    ]
    assert stage.claude.requests[0]["messages"] == stage.claude.requests[1]["messages"]


def test_a_selected_branch_is_shown_down_to_its_newest_message(staged: Staged) -> None:
    stage = staged(*(says(word) for word in ("one", "two", "three", "four")))
    conversation, sent = started(stage.api, "1")
    _, second = started(stage.api, "2", conversationId=conversation)
    ended(stage.api, regenerate(stage.api, second["generation"]["message"]["id"]))
    ended(stage.api, edit(stage.api, sent["userMessage"]["id"], "1, again"))
    assert texts(stage.api, conversation) == ["1, again", "four"]
    selected = stage.api.ask(SELECT, id=sent["userMessage"]["id"])["selectBranch"]
    assert selected["conversation"]["id"] == conversation
    assert texts(stage.api, conversation) == ["1", "one", "2", "three"]
    stage.api.ask(SELECT, id=second["generation"]["message"]["id"])
    assert texts(stage.api, conversation) == ["1", "one", "2", "two"]
    stage.api.ask(SELECT, id=sent["userMessage"]["id"])
    assert texts(stage.api, conversation) == ["1", "one", "2", "two"], (
        "selecting a message of the active branch changes nothing"
    )


def test_the_next_message_is_appended_to_the_selected_branch(staged: Staged) -> None:
    stage = staged(says("one"), says("two"), says("three"))
    conversation, sent = started(stage.api, "1")
    ended(stage.api, regenerate(stage.api, sent["generation"]["message"]["id"]))
    stage.api.ask(SELECT, id=sent["generation"]["message"]["id"])
    started(stage.api, "2", conversationId=conversation)
    assert texts(stage.api, conversation) == ["1", "one", "2", "three"]


def test_branches_are_answered_concurrently_up_to_a_limit(staged: Staged) -> None:
    gates = [Gate() for _ in range(5)]
    stage = staged(*(says(gate, str(number)) for number, gate in enumerate(gates)))
    sent = stage.api.send("Hello")
    first = sent["generation"]["message"]["id"]
    others = [regenerate(stage.api, first) for _ in range(3)]
    assert [other["generation"]["status"] for other in others] == ["RUNNING"] * 3
    busy = regenerate(stage.api, first)
    assert (busy["__typename"], busy["generation"]["id"]) == ("ConversationBusy", sent["generation"]["id"])
    waiting = regenerate(stage.api, first, whenBusy="QUEUE")
    assert waiting["generation"]["status"] == "QUEUED"
    for gate in gates:
        gate.open.set()
    for generation_payload in (sent, *others, waiting):
        stage.api.follow(generation_payload["generation"]["id"])
    assert len(stage.claude.requests) == 5
    assert len(stage.api.messages(sent["conversation"]["id"])[1]["siblings"]) == 5


def test_an_answer_interrupted_by_an_edit_keeps_its_text(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says("half", gate), says("whole"))
    sent = stage.api.send("Hello")
    stage.api.wait_for_text(sent["generation"]["id"], "half")
    edited = ended(stage.api, edit(stage.api, sent["userMessage"]["id"], "Hi", whenBusy="INTERRUPT"))
    gate.open.set()
    stopped = stage.api.follow(sent["generation"]["id"])[-1]
    assert (stopped["__typename"], stopped["generation"]["message"]["text"]) == ("GenerationStopped", "half")
    assert texts(stage.api, edited["conversation"]["id"]) == ["Hi", "whole"]


def test_stopping_a_queued_message_does_not_start_the_one_after_it(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says(gate, "one"), says("three"))
    first = stage.api.send("1")
    conversation = first["conversation"]["id"]
    second, third = (stage.api.send(text, conversationId=conversation, whenBusy="QUEUE") for text in ("2", "3"))
    assert gate.reached.wait(WAIT)
    assert stage.api.stop(second["generation"]["id"])["generation"]["status"] == "STOPPED"
    assert stage.api.conversation(conversation)["activeGeneration"]["id"] == first["generation"]["id"]
    assert len(stage.claude.requests) == 1
    gate.open.set()
    assert stage.api.follow(third["generation"]["id"])[-1]["generation"]["message"]["text"] == "three"
    sent_texts = [turn["content"][0]["text"] for turn in stage.claude.requests[-1]["messages"]]
    assert sent_texts == ["1", "one", "2", "3"]


def test_the_active_generation_is_that_of_the_selected_branch(staged: Staged) -> None:
    gates = [Gate(), Gate()]
    stage = staged(says(gates[0]), says(gates[1]))
    sent = stage.api.send("Hello")
    other = regenerate(stage.api, sent["generation"]["message"]["id"])
    conversation = sent["conversation"]["id"]
    assert stage.api.conversation(conversation)["activeGeneration"]["id"] == other["generation"]["id"]
    stage.api.ask(SELECT, id=sent["generation"]["message"]["id"])
    assert stage.api.conversation(conversation)["activeGeneration"]["id"] == sent["generation"]["id"]
    for gate in gates:
        gate.open.set()


@pytest.mark.parametrize("ask", [edit, regenerate])
def test_a_repeated_idempotency_key_returns_the_first_result(staged: Staged, ask: Any) -> None:
    stage = staged(says("one"), says("two"))
    _, sent = started(stage.api)
    key, more = str(uuid4()), {"text": "Hi"} if ask is edit else {}
    target = sent["userMessage"]["id"] if ask is edit else sent["generation"]["message"]["id"]
    first, again = (ask(stage.api, target, **more, idempotencyKey=key) for _ in range(2))
    assert (first["replayed"], again["replayed"]) == (False, True)
    assert first["generation"]["id"] == again["generation"]["id"]
    refused = stage.api.try_send("Hi", idempotencyKey=key)
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "idempotencyKey")


def test_an_answer_cannot_be_edited_nor_a_question_regenerated(api: Api) -> None:
    _, sent = started(api, "/simulate words 3")
    refused = edit(api, sent["generation"]["message"]["id"], "No")
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "messageId")
    refused = regenerate(api, sent["userMessage"]["id"])
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "messageId")
    refused = edit(api, sent["userMessage"]["id"], "  ")
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "text")


def test_unknown_messages_are_not_found(api: Api) -> None:
    for id in (str(uuid4()), "nonsense"):
        assert edit(api, id, "Hi")["__typename"] == "NotFound"
        assert regenerate(api, id)["__typename"] == "NotFound"
        assert api.ask(SELECT, id=id)["selectBranch"] == {
            "__typename": "NotFound",
            "id": id,
            "message": "There is no message with this id.",
        }
        assert api.ask(FORK, input={"messageId": id})["forkConversation"]["__typename"] == "NotFound"


def test_a_fork_has_the_branchs_messages_and_is_independent(staged: Staged) -> None:
    stage = staged(Reply(EVERYTHING), says("two"), says("three"))
    conversation, sent = started(stage.api, "1", options={"model": "claude-haiku-5-5"})
    started(stage.api, "2", conversationId=conversation)
    forked = stage.api.ask(FORK, input={"messageId": sent["generation"]["message"]["id"], "title": "Elsewhere"})
    fork = forked["forkConversation"]["conversation"]
    assert fork["title"] == "Elsewhere"
    old, new = stage.api.messages(conversation)[:2], stage.api.messages(fork["id"])
    assert [message["content"] for message in new] == [message["content"] for message in old]
    assert {message["id"] for message in new}.isdisjoint(message["id"] for message in old)
    assert stage.api.conversation(fork["id"])["usage"]["outputTokens"] == 0
    started(stage.api, "2, elsewhere", conversationId=fork["id"])
    assert texts(stage.api, conversation)[2:] == ["2", "two"]
    assert texts(stage.api, fork["id"])[2:] == ["2, elsewhere", "three"]
    # Both conversations send the same blocks to Claude, signatures included.
    assert stage.claude.requests[1]["messages"][:2] == stage.claude.requests[2]["messages"][:2]


def test_an_unfinished_answer_cannot_be_forked(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says(gate))
    sent = stage.api.send("Hello")
    refused = stage.api.ask(FORK, input={"messageId": sent["generation"]["message"]["id"]})["forkConversation"]
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "messageId")
    gate.open.set()


def test_a_long_branch_is_selected_and_forked_completely(staged: Staged) -> None:
    stage = staged(says("yes"))
    conversation, first = started(stage.api, "0")
    for number in range(1, 12):
        started(stage.api, str(number), conversationId=conversation)
    ended(stage.api, edit(stage.api, first["userMessage"]["id"], "other"))
    stage.api.ask(SELECT, id=first["userMessage"]["id"])
    assert len(texts(stage.api, conversation)) == 24
    last = stage.api.messages(conversation)[-1]["id"]
    forked = stage.api.ask(FORK, input={"messageId": last})["forkConversation"]["conversation"]["id"]
    assert texts(stage.api, forked) == texts(stage.api, conversation)


CREATE = f"mutation ($input: CreateConversationInput!) {{ createConversation(input: $input) {{ {CONVERSATION} }} }}"


def test_a_fork_is_answered_with_the_settings_of_its_conversation(staged: Staged) -> None:
    stage = staged(says("one"), says("two"), says("three"))
    tool = {"name": "look", "description": "Looks.", "inputSchema": {"type": "object"}}
    settings = {
        "title": "Settled",
        "systemPrompt": "Be brief.",
        "model": "claude-haiku-5-5",
        "options": {"maxTokens": 1234},
        "tools": {"client": [tool]},
    }
    conversation = stage.api.ask(CREATE, input=settings)["createConversation"]["conversation"]
    _, sent = started(stage.api, "1", conversationId=conversation["id"])
    forked = stage.api.ask(FORK, input={"messageId": sent["generation"]["message"]["id"]})
    fork = forked["forkConversation"]["conversation"]
    assert fork["title"] == "Settled"
    started(stage.api, "2", conversationId=conversation["id"])
    started(stage.api, "2", conversationId=fork["id"])
    _, of_conversation, of_fork = stage.claude.requests
    assert of_fork == of_conversation
    assert (of_fork["system"], of_fork["model"], of_fork["max_tokens"]) == ("Be brief.", "claude-haiku-5-5", 1234)
    assert [tool["name"] for tool in of_fork["tools"]] == ["look"]
