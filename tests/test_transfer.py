"""Export and import: conversations survive both without loss, and exports of claude.ai can be imported."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from client import Api, Json
from conftest import Staged
from media import image, pdf
from running import tertulia
from scripted import START, Cut, Reply, begin, delta, end, finish, says, text
from test_attachments import uploaded
from test_command import run, run_here

EVERY_BLOCK = Reply(
    [
        START,
        begin(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="Let me think 🤔."),
        delta(0, "signature_delta", signature="c2lnbmVk/+="),
        finish(0),
        begin(1, type="redacted_thinking", data="b3BhcXVl"),
        finish(1),
        begin(2, type="compaction", content=None, signature="c3Vt"),
        delta(2, "compaction_delta", content="All that was said."),
        finish(2),
        begin(3, type="text", text=""),
        delta(3, "text_delta", text="Grüße, "),
        delta(3, "citations_delta", citation={"type": "page_location", "cited_text": "Tea", "document_index": 0,
                                              "document_title": "tea.pdf", "start_page_number": 1, "end_page_number": 2}),
        delta(3, "text_delta", text="😀"),
        finish(3),
        begin(4, type="server_tool_use", id="srvtoolu_1", name="web_search", input={}),
        delta(4, "input_json_delta", partial_json='{"query": "tea", "b": 1, "a": 123456789012345678901234567890}'),
        finish(4),
        begin(5, type="web_search_tool_result", tool_use_id="srvtoolu_1",
              content=[{"type": "web_search_result", "url": "https://example.com", "title": "Tea", "encrypted_content": "eA=="}]),
        finish(5),
        begin(6, type="container_upload", file_id="file_new"),
        finish(6),
        begin(7, type="tool_use", id="toolu_1", name="look", input={}),
        delta(7, "input_json_delta", partial_json='{"z": 1.50, "a": [null, true]}'),
        finish(7),
        *end("tool_use", cache_read_input_tokens=3),
    ]
)  # fmt: skip
"""Every kind of block that Claude writes, and an unknown one."""
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
EDIT = "mutation ($input: EditMessageInput!) { editMessage(input: $input) { ... on SendMessagePayload { generation { id } } } }"
DETAILS = "mutation ($input: UpdateConversationInput!) { updateConversation(input: $input) { __typename } }"
REPLIES = (EVERY_BLOCK, Reply([START, *text("half")[:2], Cut]), says('{"n": 1}'), says("last"))


def conversation_of_all_kinds(api: Api) -> str:
    files = [uploaded(api, image(), "red.png"), uploaded(api, pdf("Tea"), "tea.pdf")]
    first = api.send("What are these?", attachmentIds=files)
    id, question = first["conversation"]["id"], first["userMessage"]["id"]
    api.follow(first["generation"]["id"])
    api.answer("This breaks off", conversationId=id)
    api.answer("And in JSON", conversationId=id, options={"outputSchema": SCHEMA, "effort": "LOW"})
    edited = api.ask(EDIT, input={"messageId": question, "text": "Asked otherwise"})["editMessage"]
    api.follow(edited["generation"]["id"])
    api.ask("mutation ($id: ID!) { selectBranch(messageId: $id) { __typename } }", id=question)
    values = {"title": "All kinds", "systemPrompt": "Be brief.", "pinned": True, "options": {"maxTokens": 900}}
    api.ask(DETAILS, input={"id": id, **values})
    return str(id)


def export(api: Api, path: str = "/export") -> bytes:
    response = api.http.get(path)
    assert response.status_code == 200
    return response.content


def put_in(api: Api, content: bytes) -> Any:
    return api.http.post("/import", files={"file": ("export", content)})


def imported(api: Api, content: bytes) -> Json:
    response = put_in(api, content)
    assert response.status_code == 201, response.text
    result: Json = response.json()
    return result


def without_ids(exported: bytes) -> list[Json]:
    """Return the lines of an export, each id replaced by the number of its first appearance."""
    numbers: dict[str, str] = {}
    lines = exported.decode().splitlines()[1:]
    uuid = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
    return [
        json.loads(uuid.sub(lambda match: numbers.setdefault(match[0], f"id{len(numbers)}"), line)) for line in lines
    ]


@pytest.mark.both
def test_an_imported_export_equals_the_original(staged: Staged, tmp_path: Path, other_place: Json) -> None:
    stage = staged(*REPLIES)
    stage.claude.models = [{**model, "capabilities": None} for model in stage.claude.models]
    id = conversation_of_all_kinds(stage.api)
    before = export(stage.api)
    assert {block["type"] for line in without_ids(before) for block in line.get("content", [])} == {
        "text", "image", "document", "thinking", "redacted_thinking", "compaction", "server_tool_use",
        "web_search_tool_result", "container_upload", "tool_use",
    }  # fmt: skip
    with tertulia(tmp_path / "other", **other_place, **stage.keyed) as address, Api(address) as other:
        result = imported(other, before)
        assert (result["messages"], result["attachments"], result["blocks_left_out"]) == (8, 2, 0)
        assert without_ids(export(other)) == without_ids(before)
        same = [api.conversation(one) for api, one in ((stage.api, id), (other, result["conversation_ids"][0]))]
        assert [shown(one) for one in same[:1]] == [shown(one) for one in same[1:]]
        # The requests to Claude are identical to the byte, except for the id of the user on each server.
        stage.claude.requests.clear()
        stage.api.answer("Go on", conversationId=id)
        other.answer("Go on", conversationId=result["conversation_ids"][0])
        first, second = stage.claude.requests
        assert first.pop("metadata") != second.pop("metadata")
        # The API's ids of responses are not exported, because another account's API does not have them.
        del first["diagnostics"], second["diagnostics"]
        assert json.dumps(first) == json.dumps(second)
        matches = other.ask('{ searchMessages(query: "otherwise") { edges { node { id } } } }')["searchMessages"][
            "edges"
        ]
        assert len(matches) == 1


def shown(conversation: Json) -> list[Any]:
    messages = [edge["node"] for edge in conversation["messages"]["edges"]]
    return [
        conversation["title"],
        conversation["usage"],
        *((message["role"], message["content"]) for message in messages),
    ]


@pytest.fixture
def other_place(setup: str, request: pytest.FixtureRequest, tmp_path: Path) -> Json:
    """The settings of a second storage."""
    (tmp_path / "other").mkdir()
    return {} if setup == "sqlite+memory" else request.getfixturevalue("servers").settings()


def test_one_conversation_can_be_exported(api: Api) -> None:
    ids = [api.send(f"Number {number}")["conversation"]["id"] for number in range(2)]
    lines = without_ids(export(api, f"/export/{ids[1]}"))
    assert [line["type"] for line in lines] == ["conversation", "message", "message"]
    assert lines[1]["content"] == [{"type": "text", "text": "Number 1"}]
    assert api.http.get("/export/0198f3b0-7c1e-7000-8000-000000000000").status_code == 404
    assert api.http.get(f"/export/{ids[1]}?format=pdf").status_code == 422


def test_temporary_conversations_are_not_in_an_export_of_all_conversations(fresh: Api) -> None:
    fresh.answer("A secret", temporary=True)
    fresh.answer("No secret")
    assert "secret" in fresh.http.get("/export").text
    assert "A secret" not in fresh.http.get("/export").text


def test_markdown_contains_the_selected_branch(staged: Staged) -> None:
    stage = staged(*REPLIES)
    id = conversation_of_all_kinds(stage.api)
    markdown = export(stage.api, f"/export/{id}?format=markdown").decode()
    assert markdown.startswith("# All kinds\n")
    for part in (
        "What are these?",
        "_Attached: tea.pdf_",
        "Grüße, 😀",
        "> Tea",
        "<summary>Thinking",
        "Called `look`",
        "half",
    ):
        assert part in markdown
    assert "Asked otherwise" not in markdown


def test_an_invalid_import_is_refused_with_its_line_and_stores_nothing(fresh: Api) -> None:
    fresh.answer("Hello")
    whole = export(fresh).decode().splitlines()
    invalid: list[tuple[list[str], str]] = [
        ([], "empty"),
        (["nonsense"], "line 1: is not JSON"),
        (whole[1:], "line 1: the first line, and no other, must be the header"),
        ([whole[0], whole[2]], "line 2: must follow its conversation"),
        ([*whole[:2], whole[3]], "line 3: parent_id"),
        ([*whole, whole[2]], "line 5: id: is used twice"),
        ([*whole[:3], whole[3].replace('"assistant"', '"system"')], "line 4: role"),
        ([*whole[:3], whole[3].replace('"text": "', '"txt": "')], "line 4: content.0.text"),
        ([whole[0], whole[1].replace('"model"', '"modell"')], "line 2: "),
        ([whole[0].replace("1", "9", 1), *whole[1:]], "line 1: version"),
        ([*whole[:2], whole[2].replace('"type": "text"', '"type": "image", "source": {"type": "attachment"}')], "line 3: content.0.source.attachment_id"),
        ([*whole, '{"type": "attachment", "id": "a", "filename": "a", "data": "AAAA", "created_at": "2026-01-01T00:00:00Z"}'], "attachment a"),
    ]  # fmt: skip
    for lines, words in invalid:
        refused = put_in(fresh, "\n".join(lines).encode())
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "INVALID_INPUT"), lines
        assert words in refused.json()["error"]["message"], refused.json()
    assert len(fresh.ask("{ conversations { edges { node { id } } } }")["conversations"]["edges"]) == 1
    assert fresh.http.post("/import", json={}).status_code == 415


CLAUDE_AI_EXPORT = [
    {
        "uuid": "c1", "name": "Bread", "created_at": "2025-03-01T10:00:00.000000Z", "updated_at": "2025-03-02T10:00:00Z",
        "account": {"uuid": "a1"},
        "chat_messages": [
            {"uuid": "m1", "sender": "human", "text": "How do I bake?", "created_at": "2025-03-01T10:00:00Z",
             "content": [{"type": "text", "text": "How do I bake?", "citations": []}],
             "attachments": [{"file_name": "flour.txt", "file_size": 5, "file_type": "txt", "extracted_content": "Flour."}],
             "files": [{"file_name": "oven.png"}], "parent_message_uuid": "00000000-0000-4000-8000-000000000000"},
            {"uuid": "m2", "sender": "assistant", "text": "So.", "created_at": "2025-03-01T10:00:05Z",
             "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "So."}, {"type": "voice_note", "text": "?"}],
             "attachments": [], "files": [], "parent_message_uuid": "m1"},
            {"uuid": "m3", "sender": "assistant", "text": "Or so.", "created_at": "2025-03-01T10:01:05Z",
             "content": [], "attachments": [], "files": [], "parent_message_uuid": "m1"},
        ],
    },
    {"uuid": "c2", "name": "", "created_at": "2024-03-01T10:00:00Z", "updated_at": "2024-03-01T10:00:00Z",
     "chat_messages": [
         {"uuid": "n1", "sender": "human", "text": "Hi", "created_at": "2024-03-01T10:00:00Z"},
         {"uuid": "n2", "sender": "assistant", "text": "Hello", "created_at": "2024-03-01T10:00:01Z"},
     ]},
]  # fmt: skip


def archived(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data/users.json", "[]")
        archive.writestr("data/conversations.json", content)
    return buffer.getvalue()


@pytest.mark.both
@pytest.mark.parametrize("wrap", [bytes, archived])
def test_an_export_of_claude_ai_can_be_imported(staged: Staged, wrap: Callable[[bytes], bytes]) -> None:
    stage = staged(says("Sourdough."))
    result = imported(stage.api, wrap(json.dumps(CLAUDE_AI_EXPORT).encode()))
    assert (result["messages"], result["blocks_left_out"]) == (5, 1)
    bread, plain = (stage.api.conversation(id) for id in result["conversation_ids"])
    assert (bread["title"], bread["createdAt"], plain["title"]) == ("Bread", "2025-03-01T10:00:00+00:00", None)
    question, answer = (edge["node"] for edge in bread["messages"]["edges"])
    assert question["text"] == "[flour.txt]\n\nFlour.[oven.png]How do I bake?"
    assert (answer["text"], len(answer["siblings"])) == ("Or so.", 2)
    assert [edge["node"]["text"] for edge in plain["messages"]["edges"]] == ["Hi", "Hello"]
    assert stage.api.answer("Which bread?", conversationId=bread["id"])["__typename"] == "GenerationCompleted"
    matches = stage.api.ask('{ searchMessages(query: "flour") { edges { node { id } } } }')["searchMessages"]["edges"]
    assert len(matches) == 1


INVALID_EXPORTS = [b"{}", b"[1]", b'[{"uuid": "x"}]', b"[", archived(b"")[:50], archived(b"["), b"PK\x03\x04"]


@pytest.mark.parametrize("content", INVALID_EXPORTS, ids=range(len(INVALID_EXPORTS)))
def test_an_invalid_export_is_refused(api: Api, content: bytes) -> None:
    refused = put_in(api, content)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "INVALID_INPUT")


def test_the_command_exports_a_users_conversations(tmp_path: Path) -> None:
    with tertulia(tmp_path) as address, Api(address) as api:
        api.answer("Hello")
        whole = export(api)
    done = run(tmp_path, "export", "local")
    assert done.stdout.splitlines()[1:] == whole.decode().splitlines()[1:]
    output = tmp_path / "all.md"
    assert run_here(tmp_path, "export", "local", "--markdown", "--output", str(output)).exit_code == 0
    assert output.read_text().startswith("# Untitled")
    missing = run_here(tmp_path, "export", "nobody")
    assert (missing.exit_code, "nobody" in missing.stderr) == (2, True)


def test_an_export_with_a_missing_attachment_names_the_setting(tmp_path: Path) -> None:
    with tertulia(tmp_path) as address, Api(address) as api:
        api.answer("What is it?", attachmentIds=[uploaded(api, image(), "red.png")])
    for file in (tmp_path / "tertulia-attachments").rglob("*"):
        if file.is_file():
            file.unlink()
    done = run_here(tmp_path, "export", "local", "--output", str(tmp_path / "all.jsonl"))
    assert done.exit_code == 2
    assert "TERTULIA_ATTACHMENTS" in done.stderr
    assert "--output" not in done.stderr
