"""JSON schemas from users: the server fetches nothing that they name, and none of them blocks or crashes it."""

import json
import os
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from client import Api, Json
from conftest import Staged
from latency import Watcher
from scripted import says
from test_transfer import put_in

from tertulia.sandbox.process import SCHEMAS

CREATE = """mutation ($input: CreateConversationInput!) { createConversation(input: $input) {
  __typename ... on InvalidInput { field message } ... on ConversationPayload { conversation { id } } } }"""
UPDATE = """mutation ($input: UpdateConversationInput!) { updateConversation(input: $input) {
  __typename ... on InvalidInput { field message } } }"""
TIME = "2026-01-01T00:00:00+00:00"
HEADER = {"type": "tertulia-export", "version": 1, "exported_at": TIME}
CONVERSATION: Json = {
    "type": "conversation", "id": "1", "model": "claude-opus-5-5", "created_at": TIME, "updated_at": TIME,
}  # fmt: skip
ANSWERED: Json = {
    "type": "message", "id": "2", "role": "assistant", "content": [{"type": "text", "text": "Hi"}],
    "created_at": TIME, "generation": {"status": "completed", "model": "m", "created_at": TIME},
}  # fmt: skip
SLOW = 1.0
"""The seconds after which a response of `/healthz` counts as slow."""


def tools(schema: Json) -> Json:
    return {"client": [{"name": "look", "description": "Looks.", "inputSchema": schema}]}


def refusal(answered: Json) -> str:
    assert answered["__typename"] == "InvalidInput", answered
    return str(answered["message"])


def imported(api: Api, *lines: Json) -> str:
    response = put_in(api, "\n".join(json.dumps(line) for line in (HEADER, *lines)).encode())
    assert response.status_code == 422, response.text
    return str(response.json()["error"]["message"])


def own(api: Api) -> str:
    return str(api.ask(CREATE, input={})["createConversation"]["conversation"]["id"])


INPUTS: dict[str, Callable[[Api, Json], str]] = {
    "tools of createConversation": lambda api, schema: refusal(
        api.ask(CREATE, input={"tools": tools(schema)})["createConversation"]
    ),
    "tools of updateConversation": lambda api, schema: refusal(
        api.ask(UPDATE, input={"id": own(api), "tools": tools(schema)})["updateConversation"]
    ),
    "tools of sendMessage": lambda api, schema: refusal(api.try_send("Hello", tools=tools(schema))),
    "outputSchema of createConversation": lambda api, schema: refusal(
        api.ask(CREATE, input={"options": {"outputSchema": schema}})["createConversation"]
    ),
    "outputSchema of updateConversation": lambda api, schema: refusal(
        api.ask(UPDATE, input={"id": own(api), "options": {"outputSchema": schema}})["updateConversation"]
    ),
    "outputSchema of sendMessage": lambda api, schema: refusal(api.try_send("Hello", options={"outputSchema": schema})),
    "tools of an imported conversation": lambda api, schema: imported(
        api,
        CONVERSATION | {"tools": {"client": [{"name": "look", "description": "Looks.", "input_schema": schema}]}},
    ),
    "output_schema of an imported conversation": lambda api, schema: imported(
        api, CONVERSATION | {"options": {"output_schema": schema}}
    ),
    "output_schema of an imported answer": lambda api, schema: imported(
        api,
        CONVERSATION,
        ANSWERED | {"generation": {**ANSWERED["generation"], "options": {"output_schema": schema}}},
    ),
}
"""Every input that accepts a user's schema; each function returns the message of its refusal."""


@contextmanager
def listener() -> Generator[tuple[str, list[str]]]:
    """Run an HTTP server that records the paths of its requests."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", paths
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def elsewhere(address: str) -> dict[str, Json]:
    """Return schemas that refer to something outside themselves, in every way that JSON Schema allows."""
    base = {"type": "object", "properties": {"a": {}}}
    return {
        "a reference": base | {"properties": {"a": {"$ref": f"{address}/ref"}}},
        "a reference at the top": base | {"$ref": f"{address}/top"},
        "a file": base | {"properties": {"a": {"$ref": "file:///etc/hostname"}}},
        "a missing file": base | {"properties": {"a": {"$ref": "file:///no/such/file"}}},
        "a closed port": base | {"properties": {"a": {"$ref": "http://127.0.0.1:1/x"}}},
        "a dynamic reference": base | {"properties": {"a": {"$dynamicRef": f"{address}/dynamic#a"}}},
        "a reference relative to $id": base | {"$id": f"{address}/base/", "properties": {"a": {"$ref": "other"}}},
        "a reference in $defs": base | {"$defs": {"b": {"$ref": f"{address}/defs"}}, "$ref": "#/$defs/b"},
        "a meta-schema": base | {"$schema": f"{address}/meta"},
        "a reference of draft 7": base
        | {"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": {"$ref": f"{address}/draft7"}}},
    }


@pytest.mark.parametrize("field", INPUTS)
def test_external_references_of_a_schema_are_neither_fetched_nor_described(api: Api, field: str) -> None:
    with listener() as (address, fetched):
        for kind, schema in elsewhere(address).items():
            message = INPUTS[field](api, schema)
            assert fetched == [], kind
            for words in ("expected value", "No such file", "sending request", "onnect", "os error", "refused"):
                assert words not in message, kind


def expensive(kind: str) -> Json:
    """Return a schema within all limits that takes too long to check."""
    if kind == "patterns":
        return {"type": "object", "properties": {f"p{n}": {"pattern": f"{n}\\p{{L}}{{150}}"} for n in range(1500)}}
    doubled = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(60)}
    return {
        "type": "object",
        "$defs": doubled | {"d60": {"type": "integer"}},
        "properties": {"n": {"$ref": "#/$defs/d0"}},
    }


@contextmanager
def watched(api: Api) -> Generator[list[float]]:
    """Yield a list that holds the worst latency of `/healthz` after the block, in seconds."""
    with closing(Watcher(api.address, os.getpid())) as watcher, watcher.record() as worst:
        yield worst


def test_a_schema_that_takes_too_long_to_check_is_refused_and_does_not_block_the_server(api: Api) -> None:
    with watched(api) as worst:
        message = refusal(api.try_send("Hello", options={"outputSchema": expensive("patterns")}))
    assert "too complex" in message
    assert max(worst) < SLOW


def test_an_answer_that_takes_too_long_to_check_completes_with_a_problem(staged: Staged) -> None:
    stage = staged(says('{"n": "one"}'), says("Next"))
    with watched(stage.api) as worst:
        sent = stage.api.send("Hello", options={"outputSchema": expensive("references")})
        done = stage.api.follow(sent["generation"]["id"])[-1]
    assert done["__typename"] == "GenerationCompleted"
    assert max(worst) < SLOW
    query = "query ($id: ID!) { generation(id: $id) { message { content { ... on JsonBlock { value problem } } } } }"
    (block,) = stage.api.ask(query, id=sent["generation"]["id"])["generation"]["message"]["content"]
    assert block == {
        "value": None,
        "problem": "The text could not be validated, because that takes too much time or memory.",
    }
    assert stage.api.answer("Again")["__typename"] == "GenerationCompleted"


@pytest.mark.parametrize(
    "schema", [{"type": "object", "properties": {"n": {"type": "odd"}}}, expensive("patterns")], ids=["wrong", "slow"]
)
def test_the_same_schema_is_checked_only_once(api: Api, monkeypatch: pytest.MonkeyPatch, schema: Json) -> None:
    checks: list[str] = []

    async def run(kind: str, **more: Any) -> Any:
        checks.append(kind)
        return await SCHEMAS.run(kind, **more)

    monkeypatch.setattr("tertulia.tools.json_schema.SCHEMAS", SimpleNamespace(run=run))
    # Findings are cached for the whole process.
    options = {"outputSchema": schema | {"title": f"checked once {uuid4()}"}}
    messages = {refusal(api.try_send("Hello", options=options)) for _ in range(3)}
    assert (len(messages), len(checks)) == (1, 1)


@pytest.mark.parametrize(
    "pattern", ["^(?!admin).*$", r"^(?=.*\d)(?<name>a)\k<name>$"], ids=["a look-ahead", "a back reference"]
)
def test_patterns_in_the_schema_of_a_clients_tool_are_not_restricted(api: Api, pattern: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}
    created = api.ask(CREATE, input={"tools": tools(schema)})["createConversation"]
    assert created["__typename"] == "ConversationPayload"


def message(address: str, *content: Json) -> Json:
    return {"type": "message", "id": "2", "role": "user", "created_at": TIME, "content": list(content)}


def sources(address: str) -> list[Json]:
    """Return blocks that name something to fetch, in every way that the Messages API allows."""
    return [
        {"type": "image", "source": {"type": "url", "url": f"{address}/image.png"}},
        {"type": "image", "source": {"type": "file", "file_id": f"{address}/file"}},
        {"type": "document", "source": {"type": "url", "url": f"{address}/document.pdf"}},
        {"type": "document", "source": {"type": "url", "url": "file:///etc/hostname"}},
        {"type": "image", "source": {"type": "attachment", "attachment_id": f"{address}/attachment"}},
        {"type": "search_result", "source": f"{address}/found", "title": "Found", "content": []},
    ]


def test_urls_in_users_messages_and_imports_are_never_fetched(staged: Staged) -> None:
    stage = staged(*[says("Hi")] * 5)
    api = stage.api
    with listener() as (address, fetched):
        for block in sources(address):
            assert "content.0" in imported(api, CONVERSATION, message(address, block))
        cited = {"type": "web_search_result_location", "cited_text": "Tea", "url": f"{address}/cited", "title": "Tea"}
        written = [
            {"type": "text", "text": f"![Tea]({address}/picture.png)", "citations": [cited]},
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_fetch", "input": {"url": f"{address}/page"}},
            {"type": "web_fetch_tool_result", "tool_use_id": "srvtoolu_1",
             "content": {"type": "web_fetch_result", "url": f"{address}/page"}},
        ]  # fmt: skip
        lines = (HEADER, CONVERSATION, message(address, {"type": "text", "text": address}),
                 ANSWERED | {"id": "3", "parent_id": "2", "content": written})  # fmt: skip
        response = put_in(api, "\n".join(json.dumps(line) for line in lines).encode())
        assert response.status_code == 201, response.text
        (conversation,) = response.json()["conversation_ids"]
        assert (
            api.answer(f"[Look]({address}/linked)", conversationId=conversation)["__typename"] == "GenerationCompleted"
        )
        assert api.http.get("/export").status_code == 200
        assert refusal(api.try_send("Hello", attachmentIds=[f"{address}/attached"]))
        assert refusal(api.try_send("Hello", attachmentIds=["file:///etc/hostname"]))
        page = f'<img src="{address}/picture"><a href="{address}/link">Tea</a>'
        for file in ((f"{address}/name", f"{address}/body".encode()), ("page.html", page.encode())):
            response = api.http.post("/attachments", files={"file": file})
            assert response.status_code == 201
            event = api.answer("Read", conversationId=conversation, attachmentIds=[response.json()["id"]])
            assert event["__typename"] == "GenerationCompleted"
        assert fetched == []
