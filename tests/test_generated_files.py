"""Files that Claude makes with code: they are fetched, stored, shown, exported and deleted with their message."""

from collections.abc import Generator
from typing import Any

import pytest
from client import STOP, Api, Json, wait_until
from conftest import EMBEDDED, Staged
from people import MODE, register, signed
from running import tertulia
from scripted import START, Cut, Gate, Reply, begin, end, finish, text

from tertulia.attachments.generated_files import MAX_BYTES, MAX_FILES, files_in

pytestmark = pytest.mark.both

FILES = """query ($id: ID!) { node(id: $id) { ... on Message { files {
  toolUseId filename problem attachment { id filename mediaType sizeBytes url width height pages } } } } }"""
TABLE = b"number,square\n1,1\n2,4\n3,9\n"
FORK = "mutation ($id: ID!) { forkConversation(input: {messageId: $id}) { ... on ConversationPayload { conversation { id } } } }"
DELETE = "mutation ($id: ID!) { deleteMessage(id: $id) { __typename } }"
UNAVAILABLE = "Claude's Files API did not return the file."


@pytest.fixture(scope="module")
def api(setup: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    """A server whose simulated Claude runs code."""
    more = {} if setup == EMBEDDED else request.getfixturevalue("servers").settings()
    folder = tmp_path_factory.mktemp("files")
    with tertulia(folder, **more, tools=("code_execution",)) as address, Api(address) as client:
        yield client


def answered(api: Api, text: str) -> tuple[str, str]:
    """Send a message, and return the ids of the conversation and of the finished answer."""
    sent = api.send(text)
    assert api.follow(sent["generation"]["id"])[-1]["__typename"] == "GenerationCompleted"
    return sent["conversation"]["id"], sent["generation"]["message"]["id"]


def files_of(api: Api, message: str) -> list[Json]:
    files: list[Json] = api.ask(FILES, id=message)["node"]["files"]
    return files


def made(*file_ids: str, result: str = "bash_code_execution") -> list[Json]:
    """Return the events of a call of Claude's code execution whose result names files."""
    outputs = [{"type": f"{result}_output", "file_id": file_id} for file_id in file_ids]
    content = {"type": f"{result}_result", "stdout": "", "stderr": "", "return_code": 0, "content": outputs}
    return [
        begin(0, type="server_tool_use", id="srvtoolu_1", name=result, input={}),
        finish(0),
        begin(1, type=f"{result}_tool_result", tool_use_id="srvtoolu_1", content=content),
        finish(1),
    ]


def makes(*file_ids: str, **options: Any) -> Reply:
    return Reply([START, *made(*file_ids, **options), *text("Done.", index=2), *end()])


def metadata(file_id: str, size: int = 3, name: str = "a.txt") -> Reply:
    return Reply(
        body={
            "type": "file", "id": file_id, "filename": name, "mime_type": "text/plain; charset=utf-8",
            "size_bytes": size, "created_at": "2026-11-29T00:00:00Z", "downloadable": True,
        }
    )  # fmt: skip


def test_a_file_is_stored_before_the_answer_ends_and_only_its_owner_can_download_it(api: Api) -> None:
    _, answer = answered(api, "/simulate file numbers.csv")
    (file,) = files_of(api, answer)
    attachment = file["attachment"]
    assert (file["filename"], file["problem"]) == ("numbers.csv", None)
    assert (attachment["mediaType"], attachment["sizeBytes"], attachment["width"]) == ("text/csv", len(TABLE), None)
    response = api.http.get(attachment["url"])
    assert (response.content, response.headers["content-type"]) == (TABLE, "text/csv; charset=utf-8")
    assert response.headers["content-disposition"] == "attachment; filename*=UTF-8''numbers.csv"
    called = api.ask(
        "query ($id: ID!) { node(id: $id) { ... on Message { content { ... on ToolResultBlock { toolUseId } } } } }",
        id=answer,
    )
    assert {"toolUseId": file["toolUseId"]} in called["node"]["content"]


@pytest.mark.parametrize("name", ["page.html", "drawing.svg", "x"])
def test_a_file_that_could_contain_scripts_is_only_downloaded(api: Api, name: str) -> None:
    _, answer = answered(api, f"/simulate file {name}")
    attachment = files_of(api, answer)[0]["attachment"]
    headers = api.http.get(attachment["url"]).headers
    assert attachment["filename"] == name
    assert headers["content-disposition"].startswith("attachment;")
    assert headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert headers["x-content-type-options"] == "nosniff"


def test_a_picture_and_a_table_can_be_sent_back_but_a_file_of_an_unknown_type_cannot(api: Api) -> None:
    conversation, answer = answered(api, "/simulate file chart.png")
    picture = files_of(api, answer)[0]["attachment"]
    assert (picture["mediaType"], picture["width"], picture["height"]) == ("image/png", 24, 16)
    assert api.http.get(picture["url"]).headers["content-disposition"].startswith("inline")
    seen = api.answer("What is this?", conversationId=conversation, attachmentIds=[picture["id"]])
    assert "an image of 24 x 16 pixels" in seen["generation"]["message"]["text"]
    conversation, answer = answered(api, "/simulate file numbers.csv")
    table = files_of(api, answer)[0]["attachment"]["id"]
    seen = api.answer("What is this?", conversationId=conversation, attachmentIds=[table])
    assert "a document of 44 characters, “numbers.csv”" in seen["generation"]["message"]["text"]
    _, answer = answered(api, "/simulate file numbers.bin")
    unknown = files_of(api, answer)[0]["attachment"]["id"]
    refused = api.try_send("Read this", attachmentIds=[unknown])
    assert (refused["field"], "Claude cannot read it" in refused["message"]) == ("attachmentIds", True)


def test_the_conversation_continues_after_a_file(api: Api) -> None:
    conversation, _ = answered(api, "/simulate file numbers.csv")
    assert api.answer("Thanks", conversationId=conversation)["__typename"] == "GenerationCompleted"


def test_a_fork_has_its_own_files_and_deleting_a_message_deletes_its_files(api: Api) -> None:
    _, answer = answered(api, "/simulate file numbers.csv")
    fork = api.ask(FORK, id=answer)["forkConversation"]["conversation"]["id"]
    copied = files_of(api, api.messages(fork)[-1]["id"])[0]["attachment"]
    original = files_of(api, answer)[0]["attachment"]
    assert original["id"] != copied["id"]
    api.ask(DELETE, id=answer)
    assert api.http.get(original["url"]).status_code == 404
    assert api.http.get(copied["url"]).content == TABLE


def test_a_picture_that_a_later_message_uses_is_kept_when_its_message_is_deleted_and_the_other_way_round(
    api: Api,
) -> None:
    conversation, answer = answered(api, "/simulate file chart.png")
    picture = files_of(api, answer)[0]["attachment"]
    sent = api.send("What is this?", conversationId=conversation, attachmentIds=[picture["id"]])
    api.follow(sent["generation"]["id"])
    api.ask(DELETE, id=sent["userMessage"]["id"])
    assert api.http.get(picture["url"]).status_code == 200
    assert files_of(api, answer)[0]["attachment"]["id"] == picture["id"]


def test_files_are_exported_and_imported(api: Api) -> None:
    conversation, answer = answered(api, "/simulate file numbers.csv")
    export = api.http.get(f"/export/{conversation}").content
    imported = api.http.post("/import", files={"file": ("export", export)}).json()
    assert imported["attachments"] == 1, imported
    copied = files_of(api, api.messages(imported["conversation_ids"][0])[-1]["id"])[0]
    assert copied["attachment"] | {"id": "", "url": ""} == files_of(api, answer)[0]["attachment"] | {
        "id": "",
        "url": "",
    }
    assert api.http.get(copied["attachment"]["url"]).content == TABLE
    text = api.http.get(f"/export/{conversation}?format=markdown").text
    assert "_Claude made the file numbers.csv_" in text
    unknown = export.replace(b'"attachment_id": "', b'"attachment_id": "x')
    refused = api.http.post("/import", files={"file": ("export", unknown)}).json()
    assert "files: `attachment_id` must be the id of an attachment of the conversation." in str(refused)


def test_another_user_cannot_see_files(tmp_path: Any, place: Json) -> None:
    with (
        tertulia(tmp_path, **place, **MODE, tools=("code_execution",)) as address,
        signed(address, register(address, "owner")) as owner,
        signed(address, register(address, "stranger")) as stranger,
    ):
        _, answer = answered(owner, "/simulate file numbers.csv")
        file = files_of(owner, answer)[0]["attachment"]
        assert stranger.ask(FILES, id=answer)["node"] is None
        assert stranger.http.get(file["url"]).status_code == 404
        assert owner.http.get(file["url"]).content == TABLE


@pytest.mark.embedded
def test_a_file_that_cannot_be_stored_says_why_and_the_answer_is_complete(staged: Staged) -> None:
    stage = staged(makes("missing", "large", "longer", "broken", "no../../name", result="code_execution"))
    stage.claude.files = {
        "large": [metadata("large", MAX_BYTES + 1)],
        "longer": [metadata("longer", 3)],
        "longer/content": [Reply([b"x" * (MAX_BYTES // 2)] * 3)],
        "broken": [metadata("broken", name="../b\0.txt")],
        "broken/content": [Reply([b"ab", Cut]), Reply(body=b"abc")],
    }
    _, answer = answered(stage.api, "Hi")
    too_large = "The file has more than 32 MB, which is the most that is stored."
    problems = [file["problem"] for file in files_of(stage.api, answer)]
    assert problems == [UNAVAILABLE, too_large, too_large, None, UNAVAILABLE]
    broken = files_of(stage.api, answer)[3]
    assert (broken["filename"], broken["attachment"]["mediaType"]) == ("b\ufffd.txt", "text/plain")
    assert stage.api.http.get(broken["attachment"]["url"]).content == b"abc"
    assert "large/content" not in stage.claude.file_requests


@pytest.mark.embedded
def test_files_of_several_rounds_are_fetched_once(staged: Staged) -> None:
    paused = Reply([START, *made("file_1"), *end("pause_turn")])
    stage = staged(paused, Reply([START, *text("Done."), *end()]))
    stage.claude.files = {"file_1": [metadata("file_1")], "file_1/content": [Reply(body=b"abc")]}
    _, answer = answered(stage.api, "Hi")
    assert files_of(stage.api, answer)[0]["filename"] == "a.txt"
    assert stage.claude.file_requests == ["file_1", "file_1/content"]
    assert "attachment" not in str(stage.claude.requests[1])


@pytest.mark.embedded
def test_the_files_of_a_stopped_answer_are_stored_after_its_end(staged: Staged) -> None:
    gate = Gate()
    stage = staged(Reply([START, *made("file_1"), *text("Do", gate, "ne.", index=2), *end()]))
    stage.claude.files = {"file_1": [metadata("file_1")], "file_1/content": [Reply(body=b"abc")]}
    sent = stage.api.send("Hi")
    stage.api.wait_for_text(sent["generation"]["id"], "Do")
    answer = sent["generation"]["message"]["id"]
    unfetched = {"toolUseId": "srvtoolu_1", "filename": None, "problem": None, "attachment": None}
    wait_until(lambda: files_of(stage.api, answer) == [unfetched], "the checkpoint of the answer")
    stage.api.ask(STOP, id=sent["generation"]["id"])
    wait_until(lambda: files_of(stage.api, answer)[0]["filename"] == "a.txt", "the file")
    assert files_of(stage.api, answer)[0]["problem"] is None


@pytest.mark.embedded
def test_only_the_first_files_of_an_answer_are_stored(staged: Staged) -> None:
    stage = staged(makes(*(f"file_{number}" for number in range(MAX_FILES + 2))), files_api=False)
    _, answer = answered(stage.api, "Hi")
    problems = [file["problem"] for file in files_of(stage.api, answer)]
    assert (
        problems
        == ["This server does not use Claude's Files API."] * MAX_FILES
        + ["Only the first 20 files of an answer are stored."] * 2
    )
    assert stage.claude.file_requests == []


@pytest.mark.embedded
def test_results_of_any_shape_can_be_searched_for_files() -> None:
    kind = "bash_code_execution_tool_result"
    output = {"type": "bash_code_execution_output", "file_id": "a"}
    odd: list[Json] = [
        {"type": kind},
        {"type": kind, "content": "text"},
        {"type": kind, "content": {"type": "bash_code_execution_tool_result_error"}},
        {"type": kind, "content": {"content": [None, 1, {"type": "bash_code_execution_output", "file_id": 7}]}},
        {"type": kind, "content": {"content": [{"type": "bash_code_execution_output", "file_id": "x" * 10_000}]}},
        {"type": "web_search_tool_result", "content": {"content": [output]}},
        {"type": kind, "tool_use_id": "t", "content": {"content": [output, output]}},
    ]
    assert [(file.tool_use_id, file.file_id) for file in files_in(odd)] == [("t", "a")]
