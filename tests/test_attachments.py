"""Attachments: images and PDFs are recognized by content, sent to Claude, and deleted with their conversation."""

import asyncio
import base64
import errno
import gc
import os
from collections.abc import Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from client import Api, Json, wait_until
from conftest import Staged
from media import image, pdf
from running import execute, running, tertulia
from scripted import Reply, model, says
from test_options import takes

from tertulia.db.blobs import Blobs, Folder
from tertulia.simulator.app import create_simulator

SHOWN = """
  query ($id: ID!) { conversation(id: $id) { messages { edges { node {
    id role text leftOut { reason blocks } content { __typename index
      ... on TextBlock { text citations { citedText source startIndex endIndex } }
      ... on ImageBlock { attachment { ...A } } ... on DocumentBlock { attachment { ...A } }
    }
  } } } } }
  fragment A on Attachment { id filename mediaType sizeBytes url width height pages createdAt }
"""
EDIT = """
  mutation ($input: EditMessageInput!) { editMessage(input: $input) { __typename
    ... on SendMessagePayload { userMessage { id } generation { id } } ... on Error { message } } }
"""
FORK = """
  mutation ($id: ID!) { forkConversation(input: {messageId: $id}) {
    __typename ... on ConversationPayload { conversation { id } } } }
"""
DELETE = "mutation ($id: ID!) { deleteConversation(id: $id) { __typename } }"
NODE = "query ($id: ID!) { node(id: $id) { __typename id ... on Attachment { filename } } }"


def upload(api: Api, content: bytes, filename: str = "a.png", declared: str = "application/octet-stream") -> Any:
    return api.http.post("/attachments", files={"file": (filename, content, declared)})


def uploaded(api: Api, content: bytes, filename: str = "a.png") -> str:
    sent = upload(api, content, filename)
    assert sent.status_code == 201, sent.text
    return str(sent.json()["id"])


def shown(api: Api, conversation: str) -> list[Json]:
    edges: list[Json] = api.ask(SHOWN, id=conversation)["conversation"]["messages"]["edges"]
    return [edge["node"] for edge in edges]


def say(api: Api, text: str, *ids: str, **more: Any) -> Json:
    sent = api.send(text, attachmentIds=list(ids), **more)
    api.follow(sent["generation"]["id"])
    return sent


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_an_image_is_recognized_by_content_and_returned_byte_for_byte(api: Api, kind: str) -> None:
    content = image(kind, 30, 20)
    sent = upload(api, content, "holiday.txt", "text/plain")
    assert sent.status_code == 201
    body = sent.json()
    assert (body["media_type"], body["width"], body["height"]) == (f"image/{kind.lower()}", 30, 20)
    assert (body["filename"], body["size_bytes"], body["pages"]) == ("holiday.txt", len(content), None)
    download = api.http.get(body["url"])
    assert (download.status_code, download.content) == (200, content)
    assert (download.headers["content-type"], download.headers["x-content-type-options"]) == (
        body["media_type"],
        "nosniff",
    )
    assert "sandbox" in download.headers["content-security-policy"]


def test_a_message_lists_its_attachments_before_its_text(api: Api) -> None:
    first, second = uploaded(api, image(), "red.png"), uploaded(api, pdf("Tea is ready", "Bread"), "menu.pdf")
    sent = say(api, "What are these?", first, second)
    asked, answer = shown(api, sent["conversation"]["id"])
    kinds = [block["__typename"] for block in asked["content"]]
    assert kinds == ["ImageBlock", "DocumentBlock", "TextBlock"]
    menu = asked["content"][1]["attachment"]
    assert (menu["id"], menu["filename"], menu["pages"]) == (second, "menu.pdf", 2)
    assert asked["text"] == "What are these?"
    assert "8 x 6 pixels" in answer["text"]
    cited = answer["content"][1]["citations"]
    assert cited == [{"citedText": "Tea is ready", "source": "menu.pdf", "startIndex": 1, "endIndex": 2}]
    assert api.ask(NODE, id=second)["node"] == {"__typename": "Attachment", "id": second, "filename": "menu.pdf"}


def test_an_image_needs_no_text(api: Api) -> None:
    sent = say(api, "", uploaded(api, image()))
    assert [block["__typename"] for block in shown(api, sent["conversation"]["id"])[0]["content"]] == ["ImageBlock"]
    assert api.try_send(" ", attachmentIds=[])["__typename"] == "InvalidInput"


BROKEN = image()[:40]


@pytest.mark.parametrize(
    ("content", "filename", "status", "words"),
    [
        (b"\0\1\2just bytes", "photo.png", 415, "PNG, JPEG, GIF, WebP"),
        (b"", "empty.png", 415, "must not be empty"),
        (b" \n\t ", "blank.txt", 415, "must not be empty"),
        (BROKEN, "cut.png", 415, "damaged"),
        (b"%PDF-1.7 and nothing else", "a.pdf", 422, "damaged"),
        (b"%PDF-1.7" + b"\0" * (22 << 20), "big.pdf", 422, "22 MB"),
        (b"\0" * (33 << 20), "huge.png", 413, "32 MB"),
    ],
)
def test_files_that_claude_does_not_accept_are_refused_with_a_reason(
    api: Api, content: bytes, filename: str, status: int, words: str
) -> None:
    refused = upload(api, content, filename, "image/png")
    assert (refused.status_code, refused.json()["error"]["source"]) == (status, "tertulia")
    assert words in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"json": {"file": "x"}}, 415),
        ({"content": b"no form", "headers": {"content-type": "multipart/form-data"}}, 422),
        ({"content": b"--x\r\nnonsense", "headers": {"content-type": "multipart/form-data; boundary=x"}}, 422),
        ({"files": {"other": ("a.png", image())}}, 422),
        ({"files": [("file", ("a.png", image())), ("file", ("b.png", image()))]}, 422),
        ({"files": {"file": ("a.png", image())}, "headers": {"origin": "https://elsewhere.example"}}, 403),
    ],
)
def test_requests_that_are_not_valid_uploads_are_refused(api: Api, request_: Json, status: int) -> None:
    refused = api.http.post("/attachments", **request_)
    assert (refused.status_code, refused.json()["error"]["source"]) == (status, "tertulia")


def test_an_upload_without_a_length_is_refused_as_soon_as_it_is_too_large(api: Api) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n%PDF-1.7'
    pieces = chain([head], repeat(b"\0" * 65536, 33 * 16), [b"\r\n--x--\r\n"])
    form = {"content-type": "multipart/form-data; boundary=x"}
    assert api.http.post("/attachments", content=pieces, headers=form).status_code == 413


@pytest.mark.parametrize("id", ["0198f3b0-7c1e-7000-8000-000000000000", "nonsense", "../../etc/passwd", "a%00b"])
def test_an_unknown_attachment_is_not_found(api: Api, id: str) -> None:
    assert api.http.get(f"/attachments/{id}").status_code == 404
    refused = api.try_send("Look", attachmentIds=[id])
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "attachmentIds")


@pytest.mark.parametrize("name", ["../../etc/passwd", "C:\\temp\\passwd", "passwd\u202e", "passwd" * 100])
def test_a_filename_is_never_a_path(api: Api, name: str) -> None:
    filename = upload(api, image(), name).json()["filename"]
    assert filename.startswith("passwd")
    assert "/" not in filename
    assert len(filename) <= 200


@pytest.mark.both
def test_an_edit_without_attachment_ids_keeps_the_attachments(api: Api) -> None:
    picture, other = uploaded(api, image()), uploaded(api, image("JPEG"))
    sent = say(api, "Look", picture)
    conversation, message = sent["conversation"]["id"], sent["userMessage"]["id"]
    for ids, expected in ((None, [picture]), ([other], [other]), ([], [])):
        edited = api.ask(EDIT, input={"messageId": message, "text": "Look again", "attachmentIds": ids})["editMessage"]
        assert edited["__typename"] == "SendMessagePayload", edited
        api.follow(edited["generation"]["id"])
        blocks = shown(api, conversation)[0]["content"]
        assert [block["attachment"]["id"] for block in blocks if "attachment" in block] == expected


@pytest.mark.both
def test_a_file_is_deleted_with_the_last_conversation_that_uses_it(
    fresh: Api, place: dict[str, Any], tmp_path: Path
) -> None:
    content = image()
    picture = uploaded(fresh, content)
    first = say(fresh, "Look", picture)["conversation"]["id"]
    answer = shown(fresh, first)[-1]["id"]
    forked = fresh.ask(FORK, id=answer)["forkConversation"]["conversation"]["id"]
    third = say(fresh, "And here", picture)["conversation"]["id"]
    copies = [shown(fresh, id)[0]["content"][0]["attachment"] for id in (first, forked, third)]
    assert len({copy["id"] for copy in copies}) == 3
    for id in (first, forked):
        fresh.ask(DELETE, id=id)
        assert fresh.http.get(copies[2]["url"]).content == content
    fresh.ask(DELETE, id=third)
    assert [fresh.http.get(copy["url"]).status_code for copy in copies] == [404] * 3
    assert execute(place, "SELECT count(*) FROM blobs")[0][0] == 0
    assert [file for file in (tmp_path / "files").rglob("*") if file.is_file()] == []


@pytest.mark.usefixtures("sweeps")
@pytest.mark.both
def test_an_upload_that_no_message_uses_is_deleted_after_a_day(tmp_path: Path, place: dict[str, Any]) -> None:
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        forgotten, waiting = uploaded(api, image()), uploaded(api, image("GIF"))
    old = "created_at = '2026-01-01 00:00:00+00:00'"
    stored = forgotten if "redis_url" in place else forgotten.replace("-", "")
    execute(place, f"UPDATE blobs SET {old} WHERE id = (SELECT blob_id FROM attachments WHERE id = '{stored}')")
    execute(place, f"UPDATE attachments SET {old} WHERE id = '{stored}'")
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        # Old uploads are deleted in the background after the start.
        wait_until(lambda: api.http.get(f"/attachments/{forgotten}").status_code == 404)
        wait_until(lambda: len([file for file in (tmp_path / "files").rglob("*") if file.is_file()]) == 1)
        assert api.http.get(f"/attachments/{waiting}").status_code == 200


def test_a_download_that_has_begun_ends_although_the_file_is_deleted(tmp_path: Path) -> None:
    async def work() -> bytes:
        blobs = Blobs(str(tmp_path))
        id = uuid4()
        await blobs.put(id, b"tertulia" * 100_000)
        pieces = await blobs.read(id)
        await blobs.delete([id])
        with pytest.raises(FileNotFoundError):
            await blobs.read(id)
        return b"".join([piece async for piece in pieces])

    assert asyncio.run(work()) == b"tertulia" * 100_000


def test_a_small_file_does_not_prove_that_a_full_store_has_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = Blobs(str(tmp_path))
    put = Folder.put

    async def put_small(folder: Folder, name: str, file: Path | bytes) -> None:
        if isinstance(file, bytes) and len(file) > 1_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        await put(folder, name, file)

    async def test() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Folder, "put", put_small)
            with pytest.raises(OSError, match="No space left"):
                await blobs.put(uuid4(), bytes(10_000))
            await blobs.put(uuid4(), b"small")
            with pytest.raises(OSError, match="No space left"):
                await blobs.check_storage()
        await blobs.check_storage()

    asyncio.run(test())


def test_a_file_whose_download_is_cancelled_while_it_is_opened_is_closed(tmp_path: Path) -> None:
    def let_open(pipe: Path) -> bool:
        """Open a pipe to write, for which a thread that opens it to read waits. Return False if there is none yet."""
        try:
            os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return False
        return True

    async def cancel_a_download(id: UUID, pipe: Path) -> None:
        download = asyncio.create_task(Blobs(str(tmp_path)).read(id))
        await asyncio.sleep(0)
        # The event loop is blocked meanwhile, so it does not receive the open file before the cancellation.
        wait_until(lambda: let_open(pipe))
        download.cancel()
        with pytest.raises(asyncio.CancelledError):
            await download

    id = uuid4()
    asyncio.run(Blobs(str(tmp_path)).put(id, b"tertulia"))
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    file.unlink()
    os.mkfifo(file)
    asyncio.run(cancel_a_download(id, file))
    gc.collect()  # warns of a file that is still open, which fails this test


def test_a_file_whose_download_is_given_up_is_closed(tmp_path: Path) -> None:
    async def give_up() -> None:
        blobs = Blobs(str(tmp_path))
        id = uuid4()
        await blobs.put(id, b"tertulia")
        pieces: Any = await blobs.read(id)
        # As in the frames of a cancelled request, which are collected together.
        pieces.cycle = pieces

    asyncio.run(give_up())
    gc.collect()  # warns of a file that is still open, which fails this test


@pytest.mark.both
def test_attachments_of_other_users_cannot_be_read(fresh: Api, place: dict[str, Any]) -> None:
    picture = uploaded(fresh, image())
    other = "INSERT INTO users (id, name, changes, created_at) VALUES ('{}', 'other', 0, '2026-01-01 00:00:00+00:00')"
    owner = "0198f3b07c1e70008000000000000000"
    execute(place, other.format(owner))
    execute(place, f"UPDATE attachments SET owner_id = '{owner}'")
    assert fresh.http.get(f"/attachments/{picture}").status_code == 404
    assert fresh.ask(NODE, id=picture)["node"] is None
    assert fresh.try_send("Look", attachmentIds=[picture])["field"] == "attachmentIds"


def test_too_many_pages_are_refused_without_a_request_to_claude(staged: Staged) -> None:
    stage = staged(says("Hi"))
    stage.claude.models = [{**model("claude-opus-5-5"), "max_input_tokens": 200_000}]
    long = uploaded(stage.api, pdf(*["A page"] * 60), "long.pdf")
    sent = say(stage.api, "Read", long)
    other = uploaded(stage.api, pdf(*["A page"] * 41), "other.pdf")
    refused = stage.api.try_send("And", attachmentIds=[other], conversationId=sent["conversation"]["id"])
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "attachmentIds")
    assert "100 pages" in refused["message"]
    assert len(stage.claude.requests) == 1


def test_images_are_refused_for_a_model_without_image_input(staged: Staged) -> None:
    stage = staged(says("Hi"))
    stage.claude.models = [takes("claude-opus-5-5", ["adaptive"])]
    refused = stage.api.try_send("Look", attachmentIds=[uploaded(stage.api, image())])
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "attachmentIds")
    assert "must not contain images" in refused["message"]
    assert stage.claude.requests == []


def sources(request: Json) -> list[Json]:
    blocks = [block for message in request["messages"] for block in message["content"]]
    return [block["source"] for block in blocks if "source" in block]


def test_without_the_files_api_the_file_is_sent_in_the_request(staged: Staged) -> None:
    stage = staged(says("Hi"))
    content = pdf("Tea")
    say(stage.api, "Read", uploaded(stage.api, content, "tea.pdf"))
    encoded = base64.b64encode(content).decode()
    block = stage.claude.requests[0]["messages"][0]["content"][0]
    assert block["source"] == {"type": "base64", "media_type": "application/pdf", "data": encoded}
    assert (block["title"], block["citations"]) == ("tea.pdf", {"enabled": True})


def refuses(words: str) -> Reply:
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": words}}
    return Reply(status=400, body=body)


def test_an_earlier_attachment_that_claude_refuses_leaves_the_conversation_usable(staged: Staged) -> None:
    stage = staged(
        says("A cat."), refuses("messages.0.content.0.image.source.base64: Could not process image"), says("4")
    )
    first = say(stage.api, "What is this?", uploaded(stage.api, image()))
    id = first["conversation"]["id"]
    assert stage.api.answer("2 + 2?", conversationId=id)["__typename"] == "GenerationCompleted"
    assert sources(stage.claude.requests[2]) == []
    assert shown(stage.api, id)[-1]["leftOut"] == [{"reason": "ATTACHMENT_REFUSED", "blocks": 1}]


def test_earlier_attachments_are_left_out_when_the_request_is_too_large(staged: Staged) -> None:
    error = {"type": "request_too_large", "message": "Request exceeds the maximum size"}
    stage = staged(says("A cat."), Reply(status=413, body={"type": "error", "error": error}), says("4"))
    id = say(stage.api, "What is this?", uploaded(stage.api, image()))["conversation"]["id"]
    assert stage.api.answer("2 + 2?", conversationId=id)["__typename"] == "GenerationCompleted"
    assert shown(stage.api, id)[-1]["leftOut"] == [{"reason": "ATTACHMENT_REFUSED", "blocks": 1}]


def test_a_new_attachment_that_claude_refuses_fails_the_answer(staged: Staged) -> None:
    stage = staged(refuses("messages.0.content.0.image.source.base64: Could not process image"))
    ended = stage.api.answer("Look", attachmentIds=[uploaded(stage.api, image())])
    assert (ended["__typename"], ended["error"]["code"]) == ("GenerationFailed", "INVALID_REQUEST")
    assert len(stage.claude.requests) == 1


@pytest.fixture
def keeping(tmp_path: Path, place: dict[str, Any], staged: Staged) -> Any:
    """A server with an API key whose Claude supports the Files API."""
    with running(create_simulator(pace=0), lifespan="off") as address:
        yield staged(says("unused"), anthropic_base_url=address).api, address


def kept(address: str) -> Sequence[Json]:
    headers = {"x-api-key": "any", "anthropic-version": "2026-10-21"}
    listed: list[Json] = httpx2.get(f"{address}/v1/files", headers=headers).json()["data"]
    return listed


@pytest.mark.both
def test_a_file_is_uploaded_to_claude_once_and_deleted_with_the_conversation(keeping: Any) -> None:
    api, address = keeping
    sent = say(api, "Read", uploaded(api, pdf("Tea"), "tea.pdf"))
    id = sent["conversation"]["id"]
    say(api, "Read it again", conversationId=id)
    assert [(file["filename"], file["mime_type"]) for file in kept(address)] == [("tea.pdf", "application/pdf")]
    api.ask(DELETE, id=id)
    assert kept(address) == []


@pytest.mark.both
def test_a_file_that_claude_no_longer_has_is_sent_in_the_request(keeping: Any, place: dict[str, Any]) -> None:
    api, _ = keeping
    sent = say(api, "Read", uploaded(api, pdf("Tea"), "tea.pdf"))
    execute(place, "UPDATE blobs SET file_id = 'file_of_another_workspace'")
    ended = api.answer("Read it again", conversationId=sent["conversation"]["id"])
    assert ended["__typename"] == "GenerationCompleted"
    assert execute(place, "SELECT file_id FROM blobs")[0][0] is None
