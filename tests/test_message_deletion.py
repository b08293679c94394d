"""Deleting a message with everything after it: what goes, what remains, and what stops."""

from typing import Any

import pytest
from client import Api, Json
from conftest import Staged
from media import image
from running import execute
from scripted import Gate, says
from test_changes import changes
from test_long_conversations import LENGTH, long_conversation, row_counts

pytestmark = pytest.mark.both

DELETE = """mutation ($id: ID!) { deleteMessage(id: $id) { __typename
  ... on DeletedMessage { deletedId conversation { id lastMessage { id text } usage { outputTokens } } }
  ... on NotFound { id message } } }"""
FOUND = "query ($words: String!) { searchMessages(query: $words) { edges { node { text } } } }"


def delete(api: Api, id: str) -> Json:
    deleted: Json = api.ask(DELETE, id=id)["deleteMessage"]
    return deleted


def ask_and_wait(api: Api, text: str, **more: Any) -> Json:
    sent = api.send(text, **more)
    api.follow(sent["generation"]["id"])
    return sent


def test_a_message_is_deleted_with_all_messages_after_it_and_is_no_longer_found(api: Api) -> None:
    first = ask_and_wait(api, "Rhubarb")
    id, answer = first["conversation"]["id"], first["generation"]["message"]["id"]
    second = ask_and_wait(api, "Kohlrabi", conversationId=id)
    ask_and_wait(api, "Kohlrabi again", conversationId=id)
    used = api.conversation(id)["usage"]
    billed = api.ask("{ viewer { usage { outputTokens } } }")
    assert len(api.ask(FOUND, words="kohlrabi")["searchMessages"]["edges"]) >= 2
    deleted = delete(api, second["userMessage"]["id"])
    assert (deleted["__typename"], deleted["deletedId"]) == ("DeletedMessage", second["userMessage"]["id"])
    assert deleted["conversation"]["lastMessage"]["id"] == answer
    assert [message["id"] for message in api.messages(id)] == [first["userMessage"]["id"], answer]
    assert api.ask(FOUND, words="kohlrabi")["searchMessages"]["edges"] == []
    assert api.conversation(id)["usage"] == used
    assert api.ask("{ viewer { usage { outputTokens } } }") == billed
    node = "query ($id: ID!) { node(id: $id) { id } generation(id: $id) { id } }"
    assert api.ask(node, id=second["generation"]["id"]) == {"node": None, "generation": None}
    assert delete(api, second["userMessage"]["id"])["__typename"] == "NotFound"
    assert api.answer("Go on", conversationId=id)["__typename"] == "GenerationCompleted"


def test_the_newest_remaining_branch_becomes_the_active_one(api: Api) -> None:
    first = ask_and_wait(api, "One")
    id = first["conversation"]["id"]
    edit = "mutation ($id: ID!) { editMessage(input: {messageId: $id, text: %s}) { ... on SendMessagePayload { userMessage { id } generation { id } } } }"
    edited = [api.ask(edit % f'"{text}"', id=first["userMessage"]["id"])["editMessage"] for text in ("Two", "Three")]
    for sent in edited:
        api.follow(sent["generation"]["id"])
    assert api.messages(id)[0]["text"] == "Three"
    delete(api, first["userMessage"]["id"])
    assert [message["text"] for message in api.messages(id)[0:1]] == ["Three"]
    delete(api, edited[1]["userMessage"]["id"])
    assert [len(message["siblings"]) for message in api.messages(id)] == [1, 1]
    assert api.messages(id)[0]["text"] == "Two"
    assert delete(api, edited[0]["userMessage"]["id"])["conversation"]["lastMessage"] is None
    assert api.messages(id) == []
    assert api.answer("Again", conversationId=id)["__typename"] == "GenerationCompleted"


def test_a_running_answer_and_the_queued_messages_after_it_end_before_they_are_deleted(
    staged: Staged, place: Json
) -> None:
    gate = Gate()
    stage = staged(says("Hi"), says("half", gate), says("other"))
    first = ask_and_wait(stage.api, "Hello")
    id = first["conversation"]["id"]
    running = stage.api.send("1", conversationId=id)
    queued = stage.api.send("2", conversationId=id, whenBusy="QUEUE")
    stage.api.wait_for_text(running["generation"]["id"], "half")
    with stage.api.socket() as socket, stage.api.socket() as other:
        streams = [socket.events(running["generation"]["id"]), other.events(queued["generation"]["id"])]
        for stream in streams:
            next(stream)
        assert delete(stage.api, running["userMessage"]["id"])["__typename"] == "DeletedMessage"
        follow = "subscription ($id: ID!) { generationEvents(generationId: $id) { __typename } }"
        socket.subscribe(follow, {"id": running["generation"]["id"]})
    assert [message["text"] for message in stage.api.messages(id)] == ["Hello", "Hi"]
    assert stage.api.conversation(id)["activeGeneration"] is None
    gate.open.set()
    assert stage.api.answer("3", conversationId=id)["generation"]["message"]["text"] == "other"
    billed = execute(place, "SELECT outcome FROM calls WHERE purpose = 'answer' ORDER BY id")
    assert [outcome for (outcome,) in billed] == ["completed", "stopped", "completed"]


def test_attachments_go_with_their_message_unless_another_version_has_them(fresh: Api, place: Json) -> None:
    pictures = [fresh.http.post("/attachments", files={"file": (f"{n}.png", image())}).json()["id"] for n in range(2)]
    first = ask_and_wait(fresh, "One", attachmentIds=pictures[:1])
    id = first["conversation"]["id"]
    ask_and_wait(fresh, "Two", conversationId=id, attachmentIds=pictures[1:])
    edit = 'mutation ($id: ID!) { editMessage(input: {messageId: $id, text: "Other"}) { ... on SendMessagePayload { generation { id } } } }'
    fresh.follow(fresh.ask(edit, id=first["userMessage"]["id"])["editMessage"]["generation"]["id"])
    assert delete(fresh, first["userMessage"]["id"])["__typename"] == "DeletedMessage"
    assert [fresh.http.get(f"/attachments/{picture}").status_code for picture in pictures] == [200, 404]
    assert execute(place, "SELECT count(*) FROM blobs")[0][0] == 1
    assert execute(place, "SELECT count(*) FROM conversations")[0][0] == 1


def test_a_deletion_is_one_change_of_the_conversation(fresh: Api) -> None:
    first = ask_and_wait(fresh, "One")
    delete(fresh, first["userMessage"]["id"])
    kinds = [change["kind"] for change in changes(fresh, 4)]
    assert kinds == ["CREATED", "GENERATION_STARTED", "GENERATION_ENDED", "UPDATED"]


def test_the_first_message_of_a_long_conversation_can_be_deleted(fresh: Api, place: Json) -> None:
    id = long_conversation(fresh)
    page = "query ($id: ID!) { conversation(id: $id) { messages(first: 1) { edges { node { id } } } } }"
    first = fresh.ask(page, id=id)["conversation"]["messages"]["edges"][0]["node"]["id"]
    assert row_counts(place)["messages"] == LENGTH
    assert delete(fresh, first)["conversation"] == {"id": id, "lastMessage": None, "usage": {"outputTokens": 0}}
    assert row_counts(place) == {"conversations": 1, "messages": 0, "generations": 0, "message_words": 0}
