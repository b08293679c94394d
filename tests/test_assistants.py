"""Assistants: files decide what Claude is told and may do, and what clients may set."""

import json
import logging
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from client import Api, Json, wait_until
from conftest import Staged
from people import MODE, register, signed
from running import execute, tertulia
from scripted import WAIT, Gate, ScriptedClaude, says, scripted, uses
from test_command import run, run_here
from test_tools import submit

from tertulia.assistants.catalog import AssistantCatalog
from tertulia.assistants.definition import AssistantError
from tertulia.assistants.parser import read_assistant

OPUS, HAIKU = "claude-opus-5-5", "claude-haiku-5-5"
RESULT = "__typename ... on InvalidInput { field message } ... on Error { message }"
CONVERSATION = "conversation { id systemPrompt model { id } assistant { id } }"
PAYLOAD = f"... on ConversationPayload {{ {CONVERSATION} }}"
SENT = f"... on SendMessagePayload {{ {CONVERSATION} generation {{ id }} }}"
CREATE = f"mutation ($input: CreateConversationInput!) {{ result: createConversation(input: $input) {{ {RESULT} {PAYLOAD} }} }}"
UPDATE = f"mutation ($input: UpdateConversationInput!) {{ result: updateConversation(input: $input) {{ {RESULT} {PAYLOAD} }} }}"
FORK = (
    f"mutation ($input: ForkConversationInput!) {{ result: forkConversation(input: $input) {{ {RESULT} {PAYLOAD} }} }}"
)
SEND = f"mutation ($input: SendMessageInput!) {{ result: sendMessage(input: $input) {{ {RESULT} {SENT} }} }}"
EDIT = f"mutation ($input: EditMessageInput!) {{ result: editMessage(input: $input) {{ {RESULT} {SENT} }} }}"
REGENERATE = (
    f"mutation ($input: RegenerateMessageInput!) {{ result: regenerateMessage(input: $input) {{ {RESULT} {SENT} }} }}"
)
READ = "query ($id: ID!) { conversation(id: $id) { systemPrompt model { id } assistant { id } clientsMaySet messages { edges { node { text } } } } }"
ASSISTANT = "id name description starters isDefault model { id } models { id } tools clientsMaySet"
LIST = "query ($id: ID) { conversations(filter: {assistantId: $id}) { edges { node { id } } } }"

SECRET = "You are the support agent of Acme."
SUPPORT = f"""---
name: Support
description: Answers questions about orders.
model: {OPUS}
effort: low
tools: [who, pay]
starters: ["Where is my order?"]
---
{SECRET}

The user's name is {{{{ viewer.name }}}}, and their plan is {{{{ viewer.claims.plan | default("free") }}}}.
"""
WIDE = f"""---
model: {OPUS}
models: [{HAIKU}]
tools: [who]
clients_may_set: [instructions, model, options, tools]
---
Be kind.
"""
SYSTEM = [
    {"type": "text", "text": f"{SECRET}\n\nThe user's name is "},
    {"type": "text", "text": "local, and their plan is free."},
]
TOOLS = ("some_tools:who", "some_tools:pay", "some_tools:draw")
CLIENT_TOOL: Json = {"name": "look", "description": "Looks.", "inputSchema": {"type": "object"}}
TIME = "2026-01-01T00:00:00+00:00"
LINE: Json = {"type": "conversation", "id": "c", "model": OPUS, "created_at": TIME, "updated_at": TIME}
HEADER: Json = {"type": "tertulia-export", "version": 1, "exported_at": TIME}
QUESTION: Json = {
    "type": "message",
    "id": "m",
    "parent_id": None,
    "role": "user",
    "created_at": TIME,
    "content": [{"type": "text", "text": "Hi"}],
}


class Shop:
    """A server with assistants, and the scripted Claude that it asks."""

    def __init__(self, folder: Path, claude: ScriptedClaude, api: Api) -> None:
        self.folder = folder
        self.claude = claude
        self.api = api

    def ask(self, document: str, **input: Any) -> Json:
        result: Json = self.api.ask(document, input=input)["result"]
        return result

    def import_line(self, **more: Any) -> Any:
        content = "\n".join(map(json.dumps, (HEADER, LINE | more, QUESTION))).encode()
        return self.api.http.post("/import", files={"file": ("export", content)})

    def request(self, text: str, **more: Any) -> Json:
        """Send a message, and return the request that Claude received."""
        self.api.answer(text, **more)
        return self.claude.requests[-1]


def write(folder: Path, **files: str) -> Path:
    """Write the files of assistants, without a moment at which one is incomplete."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        new = folder / f"{name}.new"
        new.write_text(content)
        new.rename(folder / f"{name}.md")
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Generator[Shop]:
    """A server that all tests share which change no files."""
    path = tmp_path_factory.mktemp("shop")
    folder = write(path / "assistants", support=SUPPORT, wide=WIDE)
    with scripted(says("Hello")) as claude:
        options = {"anthropic_api_key": "k", "anthropic_base_url": claude.address, "tools": TOOLS}
        with tertulia(path, assistants=str(folder), **options) as address, Api(address) as api:
            yield Shop(folder, claude, api)


def test_an_assistant_decides_what_claude_is_told(shop: Shop) -> None:
    request = shop.request("Hi")
    assert request["system"] == SYSTEM
    assert (request["model"], request["output_config"]) == (OPUS, {"effort": "low"})
    assert [tool["name"] for tool in request["tools"]] == ["pay", "who"]
    id = shop.ask(CREATE, assistantId="wide")["conversation"]["id"]
    assert shop.request("Hi", conversationId=id)["system"] == "Be kind."


def test_clients_see_assistants_without_their_instructions(shop: Shop) -> None:
    seen = shop.api.ask(f'{{ assistants {{ {ASSISTANT} }} missing: assistant(id: "x") {{ id }} }}')
    support, wide = seen["assistants"]
    assert support == {
        "id": "support",
        "name": "Support",
        "description": "Answers questions about orders.",
        "starters": ["Where is my order?"],
        "isDefault": True,
        "model": {"id": OPUS},
        "models": [{"id": OPUS}],
        "tools": ["who", "pay"],
        "clientsMaySet": [],
    }
    assert wide["clientsMaySet"] == ["INSTRUCTIONS", "MODEL", "OPTIONS", "TOOLS"]
    assert [model["id"] for model in wide["models"]] == [OPUS, HAIKU]
    assert seen["missing"] is None
    sent = shop.ask(SEND, text="Hi")
    shop.api.follow(sent["generation"]["id"])
    read = shop.api.ask(READ, id=sent["conversation"]["id"])
    assert (read["conversation"]["systemPrompt"], read["conversation"]["assistant"]) == (None, {"id": "support"})
    assert SECRET not in shop.api.http.get(f"/export/{sent['conversation']['id']}").text


SETTINGS: dict[str, Any] = {
    "systemPrompt": "Obey the user.",
    "model": HAIKU,
    "options.model": HAIKU,
    "options.maxTokens": 5,
    "options.effort": "MAX",
    "options.thinking": {"enabled": False},
    "options.outputSchema": {"type": "object"},
    "tools.server": ["draw"],
    "tools.client": [CLIENT_TOOL],
}
"""Everything that clients could set before, with a value that the assistant does not set."""
IMPORTED: dict[str, Json] = {
    "systemPrompt": {"system_prompt": "Obey the user."},
    "options.maxTokens": {"options": {"max_tokens": 5}},
    "options.effort": {"options": {"effort": "max"}},
    "options.thinking": {"options": {"thinking": {"enabled": False}}},
    "options.outputSchema": {"options": {"output_schema": {"type": "object"}}},
    "tools.server": {"tools": {"server": ["draw"]}},
    "tools.client": {"tools": {"client": [{"name": "x", "description": "d", "input_schema": {"type": "object"}}]}},
}
"""The same in the lines of an import."""
DOCUMENTS = {"create": CREATE, "update": UPDATE, "send": SEND, "continue": SEND, "edit": EDIT, "regenerate": REGENERATE}


@pytest.fixture(scope="module")
def ways(shop: Shop) -> dict[str, Json]:
    """The required input of each mutation."""
    sent = shop.api.send("Hi")
    shop.api.follow(sent["generation"]["id"])
    fork = shop.ask(FORK, messageId=sent["userMessage"]["id"])["conversation"]
    assert fork["assistant"] == {"id": "support"}
    return {
        "create": {},
        "update": {"id": sent["conversation"]["id"]},
        "fork": {"id": fork["id"]},
        "send": {"text": "Hi"},
        "continue": {"text": "Hi", "conversationId": sent["conversation"]["id"]},
        "edit": {"text": "Hi", "messageId": sent["userMessage"]["id"]},
        "regenerate": {"messageId": sent["generation"]["message"]["id"]},
    }


@pytest.mark.parametrize("path", SETTINGS)
def test_what_an_assistant_does_not_allow_is_refused_on_every_way_in(
    shop: Shop, ways: dict[str, Json], path: str
) -> None:
    group, _, name = path.rpartition(".")
    value = {group: {name: SETTINGS[path]}} if group else {path: SETTINGS[path]}
    requests = len(shop.claude.requests)
    for way, required in ways.items():
        document = DOCUMENTS.get(way, UPDATE)
        for over_socket in (False, True):
            body = ask_on(shop.api, document, required | value, over_socket=over_socket)
            if "errors" in body:
                # The mutation has no such field.
                assert f"unknown field '{group or path}'" in body["errors"][0]["message"], (way, body)
            else:
                result = body["data"]["result"]
                assert result["__typename"] == "InvalidInput", (way, result)
                assert result["field"] in (path, group), (way, result)
    for route in ("/chat", "/chat/stream"):
        for conversation in ({}, {"conversation_id": ways["update"]["id"]}):
            response = shop.api.http.post(route, json={"message": "Hi"} | conversation | {group or path: value})
            assert response.status_code == 422
    if path in IMPORTED:
        refused = shop.import_line(**IMPORTED[path])
        assert refused.status_code == 422
        assert any(f"`{field}` must not be set" in refused.json()["error"]["message"] for field in (path, group))
    assert len(shop.claude.requests) == requests


def ask_on(api: Api, document: str, input: Json, *, over_socket: bool) -> Json:
    """Return the response to a document, over HTTP or over a socket."""
    if not over_socket:
        response: Json = api.post(document, {"input": input}).json()
        return response
    with api.socket() as socket:
        socket.subscribe(document, {"input": input})
        message = socket.receive()
    return message["payload"] if message["type"] == "next" else {"errors": message["payload"]}


def test_rest_and_imports_use_the_assistants_model(shop: Shop) -> None:
    refused = shop.api.http.post("/chat", json={"message": "Hi", "model": HAIKU})
    assert refused.status_code == 422
    assert "`model` must not be set" in refused.text
    unknown = {"message": "Hi", "assistant_id": "x"}
    assert "`assistant_id` must be the id" in shop.api.http.post("/chat", json=unknown).text
    # `assistant` was the first name of the field.
    for name in ("assistant_id", "assistant"):
        answered = shop.api.http.post("/chat", json={"message": "Hi", name: "wide", "model": HAIKU})
        assert answered.json()["model_used"] == HAIKU
    both = {"message": "Hi", "assistant_id": "wide", "assistant": "default"}
    assert shop.api.http.post("/chat", json=both).status_code == 422
    imported = shop.import_line(model=HAIKU).json()["conversation_ids"][0]
    assert shop.api.ask(READ, id=imported)["conversation"]["model"] == {"id": OPUS}
    imported = shop.import_line(model=HAIKU, assistant="wide").json()["conversation_ids"][0]
    assert shop.api.ask(READ, id=imported)["conversation"]["model"] == {"id": HAIKU}


def test_clients_may_set_what_an_assistant_allows_within_its_bounds(shop: Shop) -> None:
    values = {
        "systemPrompt": "And brief.",
        "model": HAIKU,
        "options": {"maxTokens": 50},
        "tools": {"client": [CLIENT_TOOL]},
    }
    id = shop.ask(CREATE, assistantId="wide", **values)["conversation"]["id"]
    request = shop.request("Hi", conversationId=id)
    assert request["system"] == [{"type": "text", "text": "Be kind."}, {"type": "text", "text": "\n\nAnd brief."}]
    assert (request["model"], request["max_tokens"]) == (HAIKU, 50)
    assert [tool["name"] for tool in request["tools"]] == ["who", "look"]
    refused = shop.ask(CREATE, assistantId="wide", tools={"server": ["draw"]})
    assert refused["field"] == "tools.server[0]"
    everything = shop.ask(CREATE, assistantId="wide", tools={"server": ["*"]})["conversation"]["id"]
    assert [tool["name"] for tool in shop.request("Hi", conversationId=everything)["tools"]] == ["who"]
    refused = shop.ask(SEND, text="Hi", conversationId=id, assistantId="wide")
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "assistantId")
    assert shop.ask(CREATE, assistantId="nobody")["field"] == "assistantId"


def test_another_assistant_can_answer_from_the_next_message_on(shop: Shop) -> None:
    id = shop.ask(CREATE, assistantId="wide", model=HAIKU, systemPrompt="And brief.")["conversation"]["id"]
    assert shop.request("Hi", conversationId=id)["model"] == HAIKU
    refused = shop.ask(UPDATE, id=id, assistantId="support", model=HAIKU)
    assert (refused["field"], shop.ask(UPDATE, id=id, assistantId="nobody")["field"]) == ("model", "assistantId")
    assert shop.ask(UPDATE, id=id, assistantId=None)["field"] == "assistantId"
    changed = shop.ask(UPDATE, id=id, assistantId="support")["conversation"]
    assert (changed["assistant"], changed["model"]) == ({"id": "support"}, {"id": OPUS})
    # The new assistant allows no instructions of clients.
    assert shop.request("And now?", conversationId=id)["system"] == SYSTEM
    assert shop.ask(UPDATE, id=id, systemPrompt="x")["field"] == "systemPrompt"
    back = shop.ask(UPDATE, id=id, assistantId="wide", model=HAIKU)["conversation"]
    assert (back["assistant"], back["model"]) == ({"id": "wide"}, {"id": HAIKU})
    gate = Gate()
    shop.claude.replies.insert(0, says("Hello", gate))
    running = shop.api.send("Wait", conversationId=id)
    assert gate.reached.wait(WAIT)
    assert shop.ask(UPDATE, id=id, assistantId="support")["field"] == "assistantId"
    assert shop.ask(UPDATE, id=id, assistantId="wide")["__typename"] == "ConversationPayload"
    gate.open.set()
    shop.api.follow(running["generation"]["id"])


def test_the_systemprompt_is_null_where_an_assistant_answers_and_the_clients_own_instructions_are_never_lost(
    shop: Shop,
) -> None:
    def shown(id: str) -> tuple[str | None, str | None]:
        own = "query ($id: ID!) { conversation(id: $id) { systemPrompt clientInstructions } }"
        found = shop.api.ask(own, id=id)["conversation"]
        return found["systemPrompt"], found["clientInstructions"]

    created = shop.ask(CREATE, assistantId="wide", systemPrompt="Be brief.")["conversation"]
    assert created["systemPrompt"] is None
    sent = shop.api.send("Hi", conversationId=created["id"])
    shop.api.follow(sent["generation"]["id"])
    fork = shop.ask(FORK, messageId=sent["userMessage"]["id"])["conversation"]["id"]
    exported = shop.api.http.get(f"/export/{created['id']}").content
    (imported,) = shop.api.http.post("/import", files={"file": ("export", exported)}).json()["conversation_ids"]
    for id in (created["id"], fork, imported):
        assert shop.ask(UPDATE, id=id, title="Renamed")["conversation"]["systemPrompt"] is None
        assert shown(id) == (None, "Be brief.")
        assert shop.request("Hi", conversationId=id)["system"][1]["text"] == "\n\nBe brief."
    shop.ask(UPDATE, id=fork, systemPrompt="Be long.")
    assert shown(fork) == (None, "Be long.")
    shop.ask(UPDATE, id=fork, systemPrompt=None)
    assert shown(fork) == (None, None)


def test_instructions_can_use_the_context_of_the_message(shop: Shop) -> None:
    template = "---\n---\nThe cart has {{ context.cart | default([]) | length }} items, and today is {{ date }}."
    # Its name is after `support` in the alphabet, which therefore stays the default assistant.
    write(shop.folder, trolley=template)
    wait_until(lambda: shop.api.ask('{ assistant(id: "trolley") { id } }')["assistant"], "the assistant")
    request = shop.request("Hi", assistantId="trolley", context={"cart": ["tea", "cups"]})
    assert request["system"][1]["text"].startswith("2 items, and today is 20")
    assert shop.request("Hi", assistantId="trolley")["system"][1]["text"].startswith("0 items")


def test_the_terminal_client_lists_assistants_and_starts_a_conversation_with_one(shop: Shop, tmp_path: Path) -> None:
    chat = ("chat", "--url", shop.api.address)
    listed = run_here(tmp_path, *chat, "--list-assistants").output.splitlines()
    assert "support  Support (default): Answers questions about orders." in listed
    assert "wide  wide" in listed
    assert run_here(tmp_path, *chat, "--assistant", "wide", stdin="Hi\nAnd?\n").exit_code == 0
    assert [request["system"] for request in shop.claude.requests[-2:]] == ["Be kind."] * 2
    refused = run_here(tmp_path, *chat, "--assistant", "nobody", stdin="Hi\n")
    assert (refused.exit_code, "assistantId" in refused.output) == (1, True)


def test_conversations_can_be_filtered_by_their_assistant(shop: Shop) -> None:
    id = shop.ask(CREATE, assistantId="wide")["conversation"]["id"]
    wide = [edge["node"]["id"] for edge in shop.api.ask(LIST, id="wide")["conversations"]["edges"]]
    assert id in wide
    support = [edge["node"]["id"] for edge in shop.api.ask(LIST, id="support")["conversations"]["edges"]]
    assert not set(wide) & set(support)


@pytest.mark.both
def test_instructions_that_contain_the_context_of_a_message_are_deleted_with_it(
    staged: Staged, tmp_path: Path, place: Json
) -> None:
    folder = write(tmp_path / "assistants", default="---\n---\nThe cart: {{ context.cart }}.")
    stage = staged(says("Hello"), assistants=str(folder))
    first = stage.api.send("Hi", context={"cart": "tea"})
    stage.api.follow(first["generation"]["id"])
    second = stage.api.send("Hi", context={"cart": "cups"}, conversationId=first["conversation"]["id"])
    stage.api.follow(second["generation"]["id"])
    stage.api.ask("mutation ($id: ID!) { deleteMessage(id: $id) { __typename } }", id=second["userMessage"]["id"])
    (row,) = execute(place, "SELECT CAST(content AS TEXT) FROM assistant_contributions")
    assert "tea" in row[0]


@pytest.mark.both
def test_conversations_from_before_continue_and_clients_can_only_change_what_the_default_assistant_allows(
    tmp_path: Path, place: Json
) -> None:
    with scripted(says("Hello")) as claude:
        keyed = {"anthropic_api_key": "k", "anthropic_base_url": claude.address, "tools": TOOLS, **place}
        with tertulia(tmp_path, **keyed) as address, Api(address) as api:
            created: Json = api.ask(CREATE, input={"systemPrompt": "Obey.", "tools": {"client": [CLIENT_TOOL]}})
            id = created["result"]["conversation"]["id"]
            every = ["INSTRUCTIONS", "MODEL", "OPTIONS", "TOOLS"]
            assert api.ask(READ, id=id)["conversation"]["clientsMaySet"] == every
        folder = write(tmp_path / "assistants", support=SUPPORT)
        with tertulia(tmp_path, assistants=str(folder), **keyed) as address, Api(address) as api:
            old = Shop(folder, claude, api)
            request = old.request("Hi", conversationId=id)
            assert (request["system"], len(request["tools"])) == ("Obey.", 4)
            read = api.ask(READ, id=id)["conversation"]
            assert (read["systemPrompt"], read["clientsMaySet"]) == ("Obey.", [])
            assert old.ask(UPDATE, id=id, systemPrompt=None)["field"] == "systemPrompt"
            assert old.ask(UPDATE, id=id, options={})["field"] == "options"
            assert old.ask(UPDATE, id=id, tools=None)["field"] == "tools"
            assert old.ask(SEND, conversationId=id, text="Hi", options={"effort": "LOW"})["field"] == "options.effort"
            assert old.ask(UPDATE, id=id, title="Mine")["__typename"] == "ConversationPayload"


def test_a_conversation_whose_assistant_is_gone_can_be_read_but_not_continued(shop: Shop, tmp_path: Path) -> None:
    write(shop.folder, brief=WIDE)
    wait_until(lambda: shop.api.ask('{ assistant(id: "brief") { id } }')["assistant"], "the new assistant")
    sent = shop.ask(SEND, text="Hi", assistantId="brief")
    shop.api.follow(sent["generation"]["id"])
    (shop.folder / "brief.md").unlink()
    wait_until(lambda: not shop.api.ask('{ assistant(id: "brief") { id } }')["assistant"], "the removal")
    id = sent["conversation"]["id"]
    read = shop.api.ask(READ, id=id)["conversation"]
    assert (len(read["messages"]["edges"]), read["assistant"], read["clientsMaySet"]) == (2, None, [])
    refused = shop.ask(SEND, text="Go on", conversationId=id)
    assert refused["field"] == "conversationId"
    assert "its assistant brief is not available" in refused["message"]
    assert shop.ask(UPDATE, id=id, systemPrompt="x")["field"] == "systemPrompt"


def test_an_imported_conversation_keeps_an_assistant_that_the_server_lacks(shop: Shop) -> None:
    own: Json = {"system_prompt": "Obey.", "model": HAIKU, "options": {"max_tokens": 5}, "tools": {"server": ["draw"]}}
    id = shop.import_line(assistant="elsewhere", **own).json()["conversation_ids"][0]
    read = shop.api.ask(READ, id=id)["conversation"]
    assert (len(read["messages"]["edges"]), read["assistant"]) == (1, None)
    assert [edge["node"]["id"] for edge in shop.api.ask(LIST, id="elsewhere")["conversations"]["edges"]] == [id]
    refused = shop.ask(SEND, text="Go on", conversationId=id)
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "conversationId")
    assert "its assistant elsewhere is not available" in refused["message"]
    exported = json.loads(shop.api.http.get(f"/export/{id}").text.splitlines()[1])
    assert exported["assistant"] == "elsewhere"
    # Once the assistant is there, only its own settings have an effect.
    write(shop.folder, elsewhere=SUPPORT)
    wait_until(lambda: shop.api.ask('{ assistant(id: "elsewhere") { id } }')["assistant"], "the assistant")
    request = shop.request("Go on", conversationId=id)
    assert (request["system"][0]["text"], request["model"]) == (SYSTEM[0]["text"], OPUS)
    assert request["max_tokens"] > 5
    assert {tool["name"] for tool in request["tools"]} == {"who", "pay"}
    (shop.folder / "elsewhere.md").unlink()


def test_a_changed_file_is_read_again_and_a_broken_one_keeps_its_last_valid_version(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    name = '{ assistant(id: "news") { description } }'

    def description() -> str | None:
        found = shop.api.ask(name)["assistant"]
        return found and str(found["description"])

    write(shop.folder, news="---\ndescription: First\n---\n")
    wait_until(lambda: description() == "First", "the new file")
    write(shop.folder, news="---\ndescription: Broken\ncolour: red\n---\n")
    with caplog.at_level(logging.WARNING, "tertulia.assistants"):
        wait_until(lambda: "news.md" in caplog.text, "the log line")
    write(shop.folder, more="---\ndescription: More\n---\n")
    wait_until(lambda: shop.api.ask('{ assistant(id: "more") { id } }')["assistant"], "another file")
    assert description() == "First"
    (line,) = [record.getMessage() for record in caplog.records if "news.md" in record.getMessage()]
    assert "news.md:3: unknown key `colour`" in line
    write(shop.folder, news="---\ndescription: Second\n---\n")
    wait_until(lambda: description() == "Second", "the correction")


@pytest.mark.both
def test_waiting_answers_keep_their_instructions_when_the_file_changes_and_another_process_continues(
    tmp_path: Path, place: Json
) -> None:
    folder = write(tmp_path / "assistants", support=SUPPORT)
    with scripted(uses(("pay", {"amount": 1})), says("Paid")) as claude:
        options = {"anthropic_api_key": "k", "anthropic_base_url": claude.address, "tools": TOOLS, **place}
        with tertulia(tmp_path, assistants=str(folder), **options) as address, Api(address) as api:
            sent = api.send("Pay")
            queued = api.send("And then?", conversationId=sent["conversation"]["id"], whenBusy="QUEUE")
            status = "query ($id: ID!) { generation(id: $id) { status message { content { ... on ToolUseBlock { toolUseId } } } } }"
            waiting = wait_until(
                lambda: (
                    (found := api.ask(status, id=sent["generation"]["id"])["generation"])["status"]
                    == "AWAITING_TOOL_RESULTS"
                    and found
                ),
                "the approval",
            )
        write(folder, support=SUPPORT.replace("Acme", "Another"))
        with tertulia(tmp_path, assistants=str(folder), **options) as address, Api(address) as api:
            use = waiting["message"]["content"][0]["toolUseId"]
            submit(api, sent["generation"]["id"], {"toolUseId": use, "approved": False})
            api.follow(queued["generation"]["id"])
            assert api.answer("New", conversationId=sent["conversation"]["id"])["__typename"] == "GenerationCompleted"
    *stored, new = claude.requests
    assert [request["system"] for request in stored] == [SYSTEM] * 3
    assert stored[0]["tools"] == stored[1]["tools"] == stored[2]["tools"]
    assert "Another" in new["system"][0]["text"]


def test_a_user_without_a_required_claim_is_refused_and_the_log_says_why(
    staged: Staged, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(tmp_path / "assistants", default="---\n---\nThe plan is {{ viewer.claims.plan }}.", a=WIDE)
    stage = staged(says("Hello"), assistants=str(folder), tools=TOOLS)
    refused: Json = stage.api.ask(SEND, input={"text": "Hi"})["result"]
    assert refused["__typename"] == "InvalidInput"
    assert "does not support this user" in refused["message"]
    assert "The instructions of the assistant default cannot be rendered" in caplog.text
    assert "plan" in caplog.text


def test_users_read_the_same_instructions_from_the_cache(tmp_path: Path) -> None:
    prompt = SUPPORT.replace(SECRET, "Be helpful, and answer in one sentence. " * 300).replace("tools: [who, pay]", "")
    folder = write(tmp_path / "assistants", support=prompt)
    usage = "query ($id: ID!) { generation(id: $id) { usage { inputTokens cacheReadTokens cacheWriteTokens } } }"
    with tertulia(tmp_path, assistants=str(folder), **MODE) as address:
        used: list[Json] = []
        for name in ("ada", "grace"):
            with signed(address, register(address, name)) as api:
                done = api.answer("Hello")
                used.append(api.ask(usage, id=done["generation"]["id"])["generation"]["usage"])
    assert used[0]["cacheReadTokens"] == 0
    assert used[1]["cacheReadTokens"] > 0.9 * sum(used[1].values())


def test_without_assistants_the_setting_decides_what_clients_may_set(tmp_path: Path) -> None:
    with (
        tertulia(tmp_path, **MODE, clients_may_set=None, tools=TOOLS) as address,
        signed(address, register(address, "ada")) as api,
    ):
        shop = Shop(tmp_path, ScriptedClaude(says("")), api)
        assert shop.ask(CREATE, systemPrompt="x")["field"] == "systemPrompt"
        assert shop.ask(CREATE, tools={"client": [CLIENT_TOOL]})["field"] == "tools.client"
        assert shop.ask(SEND, text="Hi", tools={"client": [CLIENT_TOOL]})["field"] == "tools.client"
        allowed = shop.ask(CREATE, model=HAIKU, options={"effort": "LOW"}, tools={"server": ["who"]})
        assert allowed["__typename"] == "ConversationPayload"
        refused = shop.import_line(system_prompt="x")
        assert "`systemPrompt` must not be set: this server" in refused.json()["error"]["message"]
        assert shop.ask(CREATE, assistantId="x")["field"] == "assistantId"
    with tertulia(tmp_path, clients_may_set=()) as address, Api(address) as api:
        assert api.ask(CREATE, input={"model": HAIKU})["result"]["field"] == "model"


BROKEN = [
    ("colour: red", "x", "default.md:2: unknown key `colour`"),
    ("name: [", "x", "default.md:2: is not YAML"),
    ("name: A\nclients_may_set:\n  - model\n  - all", "x", "default.md:5: `clients_may_set.1` must be"),
    ("name: A\ntools: [who, pays]", "x", "default.md:3: unknown tool `pays`; the tools of this server are: who"),
    ("model: gpt", "x", "default.md:2: unknown model `gpt`; TERTULIA_MODELS allows"),
    ("thinking: 3", "x", "default.md:2: `thinking` must be true, false"),
    ("name: A\nname: B", "x", "default.md:2: `name` is repeated"),
    ("output_schema: {type: 3}", "x", "default.md:2: `output_schema` "),
    ("name: A", "\nHello\n{{ user }}", "default.md:6: unknown variable `user`; the variables are viewer"),
    ("name: A", "{{ viewer.password }}", "default.md:4: unknown variable `viewer.password`"),
    ("name: A", "{% if %}", "default.md:4: Expected an expression"),
    ("name: A", "{% include 'other' %}", "default.md:4: other templates cannot be used"),
]  # fmt: skip


@pytest.mark.parametrize(("front_matter", "body", "message"), BROKEN, ids=[message for *_, message in BROKEN])
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, front_matter: str, body: str, message: str) -> None:
    (tmp_path / "default.md").write_text(f"---\n{front_matter}\n---\n{body}\n")
    catalog = AssistantCatalog(tmp_path, tool_names=lambda: ["who"], allowed_models=[OPUS])
    with pytest.raises(AssistantError) as refused:
        catalog.load()
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_doctor_reports_wrong_assistants_and_the_start_refuses_them(tmp_path: Path) -> None:
    folder = write(tmp_path / "assistants", support="---\nmodel: claude-opus-9\n---\nHi {{ viewer.name }}")
    settings = {"TERTULIA_ASSISTANTS": "assistants"}
    assert "assistants/support.md:2: unknown model 'claude-opus-9'" in run_here(tmp_path, "doctor", **settings).output
    write(folder, support="---\nname: Support\n---\nHi {{ viewer.name }}")
    report = run_here(tmp_path, "doctor", **settings).output
    assert "support: 3 of 20 characters are the same for all users; tools none; clients may set nothing" in report
    write(folder, support="no front matter")
    assert "support.md:1: must begin with front matter" in run_here(tmp_path, "doctor", **settings).output
    refused = run(tmp_path, "serve", "--port", "0", **settings)
    (line,) = refused.stderr.splitlines()
    assert "TERTULIA_ASSISTANTS: assistants/support.md:1: must begin with front matter" in line
    assert refused.returncode == 2


def test_instructions_cannot_leave_the_sandbox(tmp_path: Path) -> None:
    (tmp_path / "default.md").write_text("---\n---\n{{ viewer.name.__class__.__mro__ }}")
    catalog = AssistantCatalog(tmp_path)
    catalog.load()
    assistant = catalog.default
    assert assistant is not None
    with pytest.raises(ValueError, match="unsafe"):
        assistant.instructions.render({"viewer": {"name": "Ada"}})


def test_the_assistant_of_the_docs_is_accepted(tmp_path: Path) -> None:
    page = Path(__file__).parent.parent / "docs" / "assistants.md"
    (text,) = re.findall(r"```markdown\n(.*?)```", page.read_text(), re.DOTALL)
    (tmp_path / "support.md").write_text(text)
    assistant = read_assistant(tmp_path / "support.md")
    assert (assistant.name, assistant.models) == ("Support", ("claude-sonnet-5-5", "claude-haiku-5-5"))
