"""An import accepts only content that can be shown, exported and sent again, and names the place of any error."""

import base64
import io
import json
import resource
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from client import Api, Json
from media import image, pdf
from running import execute, tertulia
from test_attachments import uploaded
from test_command import run_here
from test_transfer import archived, export, imported, put_in

TIME = "2026-01-01T00:00:00+00:00"
HEADER = {"type": "tertulia-export", "version": 1, "exported_at": TIME}
TEXT = {"type": "text", "text": "hi"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "seen"}
GENERATION = {"status": "completed", "model": "claude-opus-5-5", "created_at": TIME}
CITATION = {"type": "page_location", "cited_text": "x"}
SCHEMA = {"type": "object"}
READ = """query ($id: ID!) { conversation(id: $id) { createdAt usage { inputTokens } messages { edges { node { text leftOut { __typename }
  content { __typename ... on TextBlock { text citations { citedText source startIndex } }
  ... on ToolUseBlock { name input } ... on ToolResultBlock { output } } } } } } }"""


def conversation(**more: Any) -> Json:
    times = {"created_at": TIME, "updated_at": TIME}
    return {"type": "conversation", "id": "c", "model": "claude-opus-5-5", **times, **more}


def asked(**more: Any) -> Json:
    message = {
        "type": "message",
        "id": "m0",
        "parent_id": None,
        "role": "user",
        "content": [TEXT],
        "created_at": TIME,
    }
    return message | more


def answered(*content: Any, **more: Any) -> Json:
    return asked(id="m1", parent_id="m0", role="assistant", content=list(content) or [TEXT]) | more


def file(*lines: Json) -> bytes:
    return "\n".join(json.dumps(line) for line in (HEADER, *lines)).encode()


def tool(**more: Any) -> Json:
    return {"tools": {"client": [{"name": "x", "description": "d", "input_schema": SCHEMA} | more]}}


REFUSED: list[tuple[bytes, str]] = [
    (file(conversation(created_at="0001-01-01T00:00:00+14:00"), asked()), "line 2: created_at"),
    (file(conversation(updated_at="9999-12-31T23:59:59-14:00"), asked()), "line 2: updated_at"),
    (file(conversation(), asked(created_at="9999-12-31T23:59:59-14:00")), "line 3: created_at"),
    (file(conversation(**tool(input_schema={"type": "string"}))), "line 2: `tools.client[0].inputSchema`"),
    (file(conversation(**tool(input_schema={"type": "object", "$ref": "http://127.0.0.1:9/"}))), "line 2: `tools.client[0]"),
    (file(conversation(tools={"server": ["not a name"]})), "line 2: `tools.server[0]`"),
    (file(conversation(options={"max_tokens": -1})), "line 2: options.max_tokens"),
    (file(conversation(options={"max_tokens": 0})), "line 2: `options.maxTokens`"),
    (file(conversation(options={"output_schema": {"type": "nonsense"}})), "line 2: `options.outputSchema`"),
    (file(conversation(usage={"input_tokens": 2**40})), "line 2: usage.input_tokens"),
    (file(conversation(usage={"input_tokens": -1})), "line 2: usage.input_tokens"),
    (file(conversation(usage={"output_tokens": True})), "line 2: usage.output_tokens"),
    (file(conversation(title=5)), "line 2: title"),
    (file(conversation(title="x" * 201)), "line 2: title"),
    (file(conversation(), answered(id="m0", parent_id=None)), "line 3: role"),
    (file(conversation(), asked(rating={"rating": "good", "updated_at": TIME})), "line 3: rating"),
    (file(conversation(), asked(), answered(rating={"rating": "good", "comment": "x" * 2001, "updated_at": TIME})), "line 4: `rating.comment`"),
    (file(conversation(), asked(id="m1", parent_id="m1")), "line 3: parent_id"),
    (file(conversation(), asked(parent_id="m1"), answered()), "line 3: parent_id"),
    (file(conversation(), asked(content=["text"])), "line 3: content.0"),
    (file(conversation(), asked(content=[{"type": "text", "text": "hi", "cache_control": {}}])), "line 3: content.0.cache_control"),
    (file(conversation(), asked(content=[CALL])), "line 3: content.0.type"),
    (file(conversation(), asked(generation=GENERATION)), "line 3: generation"),
    (file(conversation(), asked(), answered({"type": "text", "text": None})), "line 4: content.0.text"),
    (file(conversation(), asked(), answered({**TEXT, "citations": "notalist"})), "line 4: content.0.citations"),
    (file(conversation(), asked(), answered({**TEXT, "citations": [5]})), "line 4: content.0.citations.0"),
    (file(conversation(), asked(), answered({**TEXT, "citations": [{**CITATION, "cited_text": 5}]})), "citations.0.cited_text"),
    (file(conversation(), asked(), answered({**TEXT, "citations": [{**CITATION, "start_page_number": 2**40}]})), "start_page_number"),
    (file(conversation(), asked(), answered({**TEXT, "json": {"checked": True, "problem": None}})), "line 4: content.0.json"),
    (file(conversation(), asked(), answered({**CALL, "input": "text"})), "line 4: content.0.input"),
    (file(conversation(), asked(), answered({**CALL, "id": "not an id"})), "line 4: content.0.id"),
    (file(conversation(), asked(), answered({**CALL, "name": 5})), "line 4: content.0.name"),
    (file(conversation(), asked(), answered(CALL, CALL)), "line 4: content.1.id"),
    (file(conversation(), asked(), answered(RESULT)), "line 4: content.0.tool_use_id"),
    (file(conversation(), asked(), answered(CALL, RESULT, RESULT)), "line 4: content.2.tool_use_id"),
    (file(conversation(), asked(), answered(CALL, {**RESULT, "content": 5})), "line 4: content.1.content"),
    (file(conversation(), asked(), answered({"type": "thinking", "thinking": ["x"]})), "line 4: content.0.thinking"),
    (file(conversation(), asked(), answered({"type": "compaction", "content": 5})), "line 4: content.0.content"),
    (file(conversation(), asked(), answered({"type": 5})), "line 4: content.0.type"),
    (file(conversation(), asked(), answered({"type": "hologram", "id": {}})), "line 4: content.0.id"),
    (file(conversation(), asked(), answered({**TEXT, "tool_use_id": []})), "line 4: content.0.tool_use_id"),
    (file(conversation(), asked(), answered({"type": "hologram", "source": {"type": "attachment", "attachment_id": "x"}})), "line 4: content.0.source"),
    (file(conversation(), asked(), answered(generation={**GENERATION, "left_out": {"nonsense": 1}})), "line 4: generation.left_out"),
    (file(conversation(), asked(), answered(generation={**GENERATION, "sequence": 2**40})), "line 4: generation.sequence"),
    (file(conversation(), asked(), answered(generation={**GENERATION, "options": {"output_schema": {"type": "x"}}})), "line 4: generation.options"),
    (file(conversation(), asked(), answered(generation={**GENERATION, "error": {"code": "x", "message": "y"}})), "line 4: generation.error"),
    (file(conversation(), {"type": "attachment", "id": "a", "filename": "a", "data": "é", "created_at": TIME}), "line 3: data"),
    (file(conversation(), asked(content=[{"type": "image", "source": {"type": "attachment", "attachment_id": "a"}}])), "line 3: content.0.source"),
    (file(conversation(), asked(content=[json.loads("[" * 300 + "]" * 300)])), "line 3: is not JSON: it is nested"),
    (file(conversation(title=float("nan"))), "line 2: is not JSON"),
    (b"\n".join([file(), b'{"type": "message", "content": ' + b"[" * 100_000]), "line 2: is not JSON"),
    (b"\n".join([file(), b"[" + b"[]," * 400_000 + b"[]]"]), "line 2: has more than 500,000 values"),
    (b"\n".join([file(), b'"' + b"x" * (9 << 20) + b'"']), "line 2: is larger than 8 MB"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "words"), REFUSED, ids=[words.replace(" ", "-") for _, words in REFUSED])
def test_an_import_refuses_content_that_cannot_be_shown_or_sent_again(api: Api, content: bytes, words: str) -> None:
    refused = put_in(api, content)
    assert refused.status_code == 422, refused.text
    assert words in refused.json()["error"]["message"]


ACCEPTED = {
    "text with U+0000 and half of a surrogate pair": file(conversation(), asked(content=[{"type": "text", "text": "a\0b\ud800"}])),
    "a call without its result": file(conversation(), asked(), answered(CALL)),
    "an incomplete call": file(conversation(), asked(), answered({**CALL, "input": None, "partial": True, "partial_json": "{"})),
    "citations": file(conversation(), asked(), answered({**TEXT, "citations": [CITATION]})),
    "a block of an unknown type": file(conversation(), asked(), answered({"type": "hologram", "depth": 3}, TEXT)),
    "a block of an unknown type with a source": file(conversation(), asked(), answered({"type": "hologram", "source": "x"}, TEXT)),
    "a tool that this server does not have": file(conversation(tools={"server": ["weather", "github__*"]}), asked()),
    "options of an unknown model": file(conversation(model="gone", options={"effort": "max"}), asked()),
    "two branches": file(conversation(), asked(), asked(id="m1"), answered(id="m2", parent_id="m1")),
    "an empty answer": file(conversation(), asked(), answered(content=[])),
    "an attachment that its export left out": file(
        conversation(), {"type": "left_out", "kind": "attachment", "id": "a", "reason": "x"},
        asked(content=[{"type": "image", "source": {"type": "attachment", "attachment_id": "a"}}, TEXT]),
    ),
    "a conversation that its export left out": file({"type": "left_out", "kind": "conversation", "id": "x", "reason": "x"}, conversation(), asked()),
    "a byte order mark": b"\xef\xbb\xbf" + file(conversation(), asked()),
}  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED)
def test_imported_conversations_can_be_read_exported_and_continued(api: Api, name: str) -> None:
    (id,) = imported(api, ACCEPTED[name])["conversation_ids"]
    assert api.ask(READ, id=id)["conversation"]
    assert export(api, f"/export/{id}?format=markdown").startswith(b"# ")
    again = imported(api, export(api, f"/export/{id}"))["conversation_ids"][0]
    assert api.answer("Go on", conversationId=again)["__typename"] == "GenerationCompleted"


OLD: list[Json] = [
    {**TEXT, "citations": "notalist"},
    {**TEXT, "citations": [5, {"type": "page_location", "cited_text": 5, "start_page_number": "x", "url": ["u"]}]},
    {"type": "text", "text": 5},
    {"type": "tool_use"},
    {"type": "image", "source": {"type": "attachment", "attachment_id": 5}},
    {"type": "thinking", "thinking": ["x"]},
]


def test_malformed_content_of_an_earlier_version_does_not_hide_conversations(fresh: Api, place: Json) -> None:
    (id,) = imported(fresh, file(conversation(), asked(), answered()))["conversation_ids"]
    fresh.answer("Another conversation")
    stored = json.dumps(OLD).replace("'", "''").replace(":", "\\:")
    execute(place, f"UPDATE messages SET content = '{stored}' WHERE role = 'assistant' AND content LIKE '%\"hi\"%'")
    node = fresh.ask(READ, id=id)["conversation"]["messages"]["edges"][1]["node"]
    assert node["text"] == "hihi5"
    assert [block["__typename"] for block in node["content"]] == [
        "TextBlock",
        "TextBlock",
        "TextBlock",
        "ThinkingBlock",
    ]
    assert node["content"][1]["citations"] == [{"citedText": "5", "source": '["u"]', "startIndex": None}]
    assert b"Another conversation" in export(fresh, "/export?format=markdown")
    assert len(export(fresh).splitlines()) == 7


def test_an_export_reports_a_conversation_that_it_cannot_read_and_leaves_it_out(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        imported(api, file(conversation(title="Broken"), asked()))
        api.answer("A whole one")
        execute(place, "UPDATE messages SET content = '{broken' WHERE content LIKE '%\"hi\"%'")
        lines = [json.loads(line) for line in export(api).splitlines()]
        assert [line["type"] for line in lines] == ["tertulia-export", "left_out", "conversation", "message", "message"]
        assert lines[1]["kind"] == "conversation"
        written = export(api, "/export?format=markdown").decode()
        assert ("Left out of this export" in written, "A whole one" in written) == (True, True)
        assert imported(api, export(api))["messages"] == 2
    done = run_here(tmp_path, "export", "local", "--output", str(tmp_path / "all.jsonl"))
    assert (done.exit_code, f"conversation {lines[1]['id']}" in done.stderr) == (2, True)
    assert len((tmp_path / "all.jsonl").read_bytes().splitlines()) == 8


def test_an_export_leaves_out_an_attachment_whose_file_is_missing(tmp_path: Path) -> None:
    with tertulia(tmp_path) as address, Api(address) as api:
        api.answer("What is it?", attachmentIds=[uploaded(api, image(), "red.png")])
        for file in (tmp_path / "files").rglob("*"):
            if file.is_file():
                file.unlink()
        result = imported(api, export(api))
        assert (result["messages"], result["attachments"]) == (2, 0)
        message = api.messages(result["conversation_ids"][0])[0]
        assert "no longer exists" in message["text"]


def test_a_large_attachment_can_be_imported(api: Api) -> None:
    large = base64.b64encode(pdf("Tea") + b"\n%" + b"x" * (13 << 20)).decode()
    line = {"type": "attachment", "id": "a", "filename": "tea.pdf", "data": large, "created_at": TIME}
    assert imported(api, file(conversation(), line))["attachments"] == 1


CLAUDES: list[tuple[Any, str]] = [
    ([{"uuid": "a", "chat_messages": []}, {"uuid": 5, "chat_messages": []}], "conversation 1: uuid"),
    ([{"uuid": "a", "chat_messages": 5}], "conversation 0: chat_messages"),
    ([{"uuid": "a", "chat_messages": [{"uuid": "m", "sender": "human", "created_at": "0001-01-01T00:00:00+14:00"}]}], "created_at"),
    ([[]], "conversation 0: must be an object"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "words"), CLAUDES)
def test_an_invalid_conversation_in_claudes_export_is_named(api: Api, content: Any, words: str) -> None:
    refused = put_in(api, json.dumps(content).encode())
    assert (refused.status_code, words in refused.json()["error"]["message"]) == (422, True), refused.text


def test_fields_of_claudes_export_may_be_null_or_of_another_type(api: Api) -> None:
    nulls = dict.fromkeys(("text", "content", "attachments", "files", "parent_message_uuid", "created_at"))
    messages = [
        {"uuid": "m1", "sender": "human", **nulls, "text": "Hello"},
        {"uuid": "m2", "sender": "assistant", **nulls, "content": [5, None, {"type": "text", "text": "Hi\0"}]},
        {"uuid": "m3", "sender": None, **nulls},
        {
            "uuid": "m4",
            "sender": "human",
            **nulls,
            "text": ["x"],
            "attachments": [{"file_name": 5, "extracted_content": 7}],
        },
    ]
    conversations = [{"uuid": "c", "name": 5, "created_at": None, "updated_at": None, "chat_messages": messages}]
    result = imported(api, json.dumps(conversations).encode())
    assert (result["messages"], result["blocks_left_out"]) == (3, 3)
    assert [message["text"] for message in api.messages(result["conversation_ids"][0])] == [
        "Hello",
        "Hi\ufffd",
        "[a file]",
    ]


def archive_with_false_size(content: bytes, size: int) -> bytes:
    """Return an archive whose headers claim that its file has this size."""
    archive = bytearray(archived(content))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = archive.rindex(signature) + offset
        archive[at : at + 4] = struct.pack("<I", size)
    return bytes(archive)


def many_members() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(20_001):
            archive.writestr(f"{number}", b"")
    return buffer.getvalue()


def packed(content: bytes, method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("conversations.json", content)
    return buffer.getvalue()


EMPTY = b'[{"uuid": "a", "chat_messages": []}]'
ARCHIVES: list[tuple[Callable[[], bytes], str]] = [
    (lambda: archived(b"[" + b"[]," * 16_000_000 + b"[]]"), "times larger than in its archive"),
    (lambda: archived(b"[" + b"[]," * 300_000 + b"[]]"), "conversation 0: must be an object"),
    (lambda: archived(b'[{"uuid": "a", "chat_messages": [' + b"[]," * 500_000 + b"[]]}]"), "times larger than in its archive"),
    (lambda: packed(b'[{"uuid": "a", "chat_messages": [' + b"[]," * 500_000 + b"[]]}]", zipfile.ZIP_STORED), "conversation 0: has more than 500,000 values"),
    (lambda: packed(b'[{"uuid": "a' + b"a" * (17 << 20) + b'"}]', zipfile.ZIP_STORED), "conversation 0: is larger than 16 MB"),
    (lambda: packed(b'[{"uuid": "a", "chat_messages": ' + b"[" * 300 + b"]" * 300 + b"}]", zipfile.ZIP_STORED), "conversation 0: is not JSON: it is nested"),
    (lambda: archive_with_false_size(EMPTY, 10), "is not a readable ZIP archive"),
    (lambda: archive_with_false_size(EMPTY, 600 << 20), "must have at most 512 MB"),
    (many_members, "at most 20,000 members"),
    (lambda: packed(EMPTY, zipfile.ZIP_LZMA), "compressed with Deflate"),
    (lambda: archived(EMPTY).replace(b"conversations.json", b"conversations.jsox"), "has no conversations.json"),
]  # fmt: skip


@pytest.mark.parametrize(("pack", "words"), ARCHIVES, ids=range(len(ARCHIVES)))
def test_an_archive_is_read_within_limits(api: Api, pack: Callable[[], bytes], words: str) -> None:
    content = pack()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = put_in(api, content)
    assert (refused.status_code, words in refused.json()["error"]["message"]) == (422, True), refused.text
    # The server runs in this process; the figure is in KB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000


def test_quotas_count_the_unpacked_size_of_an_archive(tmp_path: Path) -> None:
    padded = EMPTY.replace(b"[]", b"[" + b" " * (3 << 20) + b"]")
    with tertulia(tmp_path, upload_limit="2/hour") as address, Api(address) as api:
        refused = put_in(api, packed(padded, zipfile.ZIP_STORED))
        assert refused.status_code == 429, refused.text
        assert imported(api, archived(EMPTY))["messages"] == 0
