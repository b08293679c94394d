"""`/ai-sdk` over HTTP: what the stock transport of the AI SDK sends, and the answers, resumptions and refusals it gets."""

import base64
import json
from collections.abc import Generator, Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from client import REJECTED, Api, Json
from conftest import Staged
from media import image
from running import tertulia
from scripted import Gate, says

TOOLS = [{"name": "look", "description": "Looks.", "inputSchema": {"type": "object"}}]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    folder = tmp_path_factory.mktemp("aisdk")
    with tertulia(folder, tools=("some_tools:weather", "some_tools:pay")) as address, Api(address) as api:
        yield api


def user(text: str, *parts: Json, id: str | None = None, **more: Any) -> Json:
    return {"id": id or uuid4().hex, "role": "user", "parts": [*parts, {"type": "text", "text": text}], **more}


def parsed(response: httpx2.Response) -> list[Json]:
    """Return the chunks of a whole response."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-vercel-ai-ui-message-stream"] == "v1"
    *events, done = response.text.replace(":\n\n", "").strip().split("\n\n")
    assert done == "data: [DONE]"
    return [json.loads(event.removeprefix("data: ")) for event in events]


class Chat:
    """A client with the messages that `useChat` would have."""

    def __init__(self, api: Api, id: str | None = None) -> None:
        self.api = api
        self.id = id or uuid4().hex
        self.messages: list[Json] = []

    def post(self, **more: Any) -> httpx2.Response:
        return self.api.http.post("/ai-sdk", json={"id": self.id, "messages": self.messages, **more})

    def answer(self, **more: Any) -> list[Json]:
        chunks = parsed(self.post(trigger="submit-message", **more))
        start = chunks[0]
        if self.messages[-1]["role"] == "user":
            self.messages.append({"id": start["messageId"], "role": "assistant", "parts": []})
        return chunks

    def say(self, text: str, *parts: Json, **more: Any) -> list[Json]:
        self.messages.append(user(text, *parts))
        return self.answer(**more)

    def stored(self) -> list[Json]:
        response = self.api.http.get(f"/ai-sdk/{self.id}/messages")
        assert response.status_code == 200
        messages: list[Json] = response.json()["messages"]
        return messages

    def resume(self, **query: str) -> httpx2.Response:
        return self.api.http.get(f"/ai-sdk/{self.id}/stream", params=query)

    def texts(self) -> list[str]:
        return ["".join(part.get("text", "") for part in message["parts"]) for message in self.stored()]


def kinds(chunks: list[Json]) -> list[str]:
    names = [chunk["type"] for chunk in chunks]
    return [name for position, name in enumerate(names) if name != (names[position - 1] if position else "")]


def text_of(chunks: list[Json]) -> str:
    return "".join(chunk["delta"] for chunk in chunks if chunk["type"] == "text-delta")


def finish(chunks: list[Json]) -> Json:
    last = chunks[-1]
    assert last["type"] == "finish"
    return last


def test_a_chat_is_a_conversation_whose_history_the_server_has(api: Api) -> None:
    chat = Chat(api)
    first = chat.say("Hello, my name is Ada")
    assert kinds(first) == ["start", "start-step", "text-start", "text-delta", "text-end", "finish-step", "finish"]
    # The client cannot change the history.
    chat.messages[0]["parts"] = [{"type": "text", "text": "Hello, my name is Bob"}]
    second = chat.say("What is my name?")
    assert "Ada" in text_of(second)
    ids = first[0]["messageMetadata"]
    found = api.ask("query ($id: String!) { conversation(externalId: $id) { id } }", id=chat.id)["conversation"]
    assert ids["conversationId"] == found["id"]
    # The conversation's own id names the same chat.
    again = Chat(api, found["id"])
    assert again.stored() == chat.stored()
    again.say("Bye")
    assert len(chat.stored()) == 6


def test_the_end_of_an_answer_tells_its_reason_usage_and_model(api: Api) -> None:
    for scenario, reason in (("", "stop"), ("/simulate max-tokens", "length"), ("/simulate refusal", "content-filter")):
        chat = Chat(api)
        end = finish(chat.say(scenario or "Hello"))
        assert end["finishReason"] == reason
        metadata = end["messageMetadata"]
        assert (metadata["status"], metadata["error"]) == ("completed", None)
        assert metadata["usage"]["outputTokens"] > 0
        assert "simulated" in metadata["model"]
        assert chat.stored()[-1]["metadata"] == metadata


def test_a_failed_answer_ends_with_the_error(api: Api) -> None:
    chat = Chat(api)
    *_, metadata, error, end = chat.say("/simulate error 1 reject")
    assert (error, end["finishReason"]) == ({"type": "error", "errorText": REJECTED}, "error")
    assert metadata["messageMetadata"]["error"] == {"code": "INVALID_REQUEST", "message": REJECTED}
    assert chat.stored()[-1]["metadata"]["status"] == "failed"


def test_a_message_that_is_sent_twice_is_answered_once(api: Api) -> None:
    chat = Chat(api)
    picture = {
        "type": "file",
        "mediaType": "image/png",
        "url": f"data:image/png;base64,{base64.b64encode(image()).decode()}",
    }
    first = chat.say("What is this?", picture)
    chat.messages.pop()
    again = chat.answer()
    assert (again[0], text_of(again)) == (first[0], text_of(first))
    question, _ = chat.stored()
    (file,) = [part for part in question["parts"] if part["type"] == "file"]
    assert api.http.get(file["url"]).content == image()
    # A file of this server is attached by its address.
    other = Chat(api)
    other.say("And this?", file)
    assert [part["type"] for part in other.stored()[0]["parts"]] == ["file", "text"]


def test_a_message_is_edited_and_an_answer_regenerated(api: Api) -> None:
    chat = Chat(api)
    chat.say("Hello, my name is Ada")
    chat.say("What is my name?")
    del chat.messages[1:]
    chat.messages[0]["parts"] = [{"type": "text", "text": "Hello, my name is Bob"}]
    chat.answer(messageId=chat.messages[0]["id"])
    assert "Bob" in text_of(chat.say("What is my name?"))
    assert chat.texts()[0] == "Hello, my name is Bob"
    assert len(chat.stored()) == 4
    old = chat.messages.pop()
    versions = {old["id"]}
    for body in ({"messageId": old["id"]}, {}):
        again = parsed(chat.post(trigger="regenerate-message", **body))
        versions.add(again[0]["messageId"])
        assert "Bob" in text_of(again)
    assert len(versions) == 3
    assert len(chat.stored()) == 4
    assert chat.stored()[-1]["id"] in versions - {old["id"]}
    # By the client's own id of a later message.
    chat.messages.append({"id": chat.stored()[-1]["id"], "role": "assistant", "parts": []})
    chat.say("Thank you")
    chat.messages.pop()
    chat.messages[-1]["parts"] = [{"type": "text", "text": "Bye"}]
    chat.answer(messageId=chat.messages[-1]["id"])
    assert chat.texts()[::2] == ["Hello, my name is Bob", "What is my name?", "Bye"]


def test_the_tools_of_the_server_and_of_the_page_are_called(api: Api) -> None:
    chat = Chat(api)
    first = chat.say('/simulate call pay {"amount": 3}\n/simulate call look {}', tools=TOOLS)
    assert (finish(first)["finishReason"], kinds(first)[-2:]) == ("tool-calls", ["finish-step", "finish"])
    calls = {chunk["toolName"]: chunk for chunk in first if chunk["type"] == "tool-input-available"}
    assert [name for name, call in calls.items() if "providerExecuted" not in call] == ["pay", "look"]
    (asked,) = [chunk for chunk in first if chunk["type"] == "tool-approval-request"]
    assert asked["toolCallId"] == calls["pay"]["toolCallId"]
    waiting = chat.stored()[-1]["parts"]
    assert [part["state"] for part in waiting if part["type"] == "dynamic-tool"] == [
        "approval-requested",
        "input-available",
    ]
    # Both results are needed. The first is kept, and sent again with the second.
    look, pay = (part for part in reversed(waiting) if part["type"] == "dynamic-tool")
    look |= {"state": "output-available", "output": {"title": "Here"}}
    chat.messages[-1]["parts"] = waiting
    assert kinds(chat.answer()) == ["start", "finish"]
    pay |= {"state": "approval-responded", "approval": {"id": asked["approvalId"], "approved": False, "reason": "No."}}
    rest = chat.answer()
    outcome = ["start", "start-step", "tool-output-available", "tool-output-error"]
    assert sorted(kinds(rest)[:4]) == outcome
    assert finish(rest)["finishReason"] == "stop"
    # The response was lost: the client sends the same again, and nothing is answered twice.
    assert text_of(chat.answer()) == text_of(rest)
    assert len(chat.stored()) == 2


@pytest.mark.both
def test_a_client_that_leaves_resumes_the_answer_from_its_beginning(staged: Staged) -> None:
    gate = Gate()
    api = staged(says("one ", gate, "two")).api
    chat = Chat(api)
    assert chat.resume().status_code == 204
    chat.messages.append(user("Hello"))
    body = {"id": chat.id, "messages": chat.messages}
    with api.http.stream("POST", "/ai-sdk", json=body) as response:
        start = json.loads(next(response.iter_lines()).removeprefix("data: "))
    # A client that has lost the whole response asks for another version, and gets the one that is being written.
    again = {**body, "trigger": "regenerate-message"}
    with api.http.stream("POST", "/ai-sdk", json=again) as response:
        assert json.loads(next(response.iter_lines()).removeprefix("data: ")) == start
    busy = Chat(api, chat.id)
    busy.messages.append(user("Are you there?"))
    refused = busy.post()
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "CONVERSATION_BUSY")
    with api.http.stream("GET", f"/ai-sdk/{chat.id}/stream") as response:
        lines = (line for line in response.iter_lines() if line.startswith("data: "))
        assert json.loads(next(lines).removeprefix("data: ")) == start
        gate.open.set()
        chunks = [json.loads(line.removeprefix("data: ")) for line in lines if "[DONE]" not in line]
    assert (text_of(chunks), finish(chunks)["finishReason"]) == ("one two", "stop")
    assert chat.resume().status_code == 204
    # A client that has only a part of an answer names it, and receives it also after its end.
    assert text_of(parsed(chat.resume(messageId=start["messageId"]))) == "one two"
    other = Chat(api)
    other.say("Hello")
    assert other.resume(messageId=start["messageId"]).status_code == 204
    assert len(chat.stored()) == 2


def test_an_answer_is_stopped_by_a_request_and_not_by_a_lost_connection(api: Api) -> None:
    chat = Chat(api)
    chat.messages.append(user("/simulate hang"))
    with api.http.stream("POST", "/ai-sdk", json={"id": chat.id, "messages": chat.messages}) as response:
        lines: Iterator[str] = (line for line in response.iter_lines() if line.startswith("data: {"))
        next(line for line in lines if "text-delta" in line)
        assert api.http.delete(f"/ai-sdk/{chat.id}/stream").status_code == 204
        *_, abort, end = (json.loads(line.removeprefix("data: ")) for line in lines)
    assert (abort["type"], end["finishReason"], end["messageMetadata"]["status"]) == ("abort", "interrupted", "stopped")
    assert api.http.delete(f"/ai-sdk/{chat.id}/stream").status_code == 204


SYSTEM = {"id": "s", "role": "system", "parts": []}
DATA = {"type": "file", "mediaType": "image/png"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"messages": []}, "messages"), ({"messages": [SYSTEM]}, "messages"), ({"id": ""}, "id"), ({"id": "x" * 256}, "id"),
        ({"id": "a\0"}, "id"), ({"messages": [user("  ")]}, "messages"), ({"messages": [user("x" * 200_001)]}, "messages"),
        ({"messages": [user("x", {**DATA, "url": "https://example.com/a.png"})]}, "messages"),
        ({"messages": [user("x", {**DATA, "url": "data:image/png;base64,?"})]}, "messages"),
        ({"messages": [user("x", {**DATA, "url": "data:image/png;base64,AAAA"})]}, "messages"),
        ({"messages": [user("x", {**DATA, "url": f"/attachments/{uuid4()}"})]}, "messages"),
        ({"messages": [user("x", metadata=[1])]}, "messages"), ({"model": "gpt-4"}, "model"), ({"trigger": "x"}, "trigger"),
        ({"more": 1}, "more"), ({"tools": [{"name": "a b", "description": "x", "inputSchema": {}}]}, "tools"),
        ({"assistantId": "nobody"}, "assistantId"), ({"whenBusy": "never"}, "whenBusy"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_refused_and_the_field_named(api: Api, body: Json, field: str) -> None:
    response = api.http.post("/ai-sdk", json={"id": uuid4().hex, "messages": [user("Hi")]} | body)
    assert response.status_code == 422, response.text
    assert response.json()["detail"][0]["loc"][:2] == ["body", field], response.text


def test_results_that_nothing_waits_for_are_refused(api: Api) -> None:
    chat = Chat(api)
    chat.say("Hello")
    assert chat.post().status_code == 422
    chat.messages[-1]["id"] = str(uuid4())
    assert chat.post().status_code == 404


def test_a_body_larger_than_16_mb_is_refused(api: Api) -> None:
    refused = api.http.post("/ai-sdk", content=b" " * 16_000_001, headers={"content-type": "application/json"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
