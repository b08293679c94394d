"""Uploaded files: all usual kinds of images are accepted, and damaged files are refused with an explanation."""

import base64
import json
import random
import zlib
from collections.abc import Generator
from io import BytesIO
from pathlib import Path

import pytest
from client import Api, Json
from media import animation, cut, in_mode, multi_picture, pdf, png_of, png_without_data
from PIL import Image
from test_attachments import shown, upload
from test_tools import answer, call, results, served
from test_transfer import put_in

NOISE = random.Random(7).randbytes(60_000)


def textured(kind: str) -> bytes:
    """Return an image whose file is long enough to be cut anywhere."""
    file = BytesIO()
    Image.frombytes("RGB", (200, 100), NOISE).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (multi_picture(), "image/jpeg"),
        (animation("GIF"), "image/gif"),
        (animation("WEBP"), "image/webp"),
        (in_mode("JPEG", "CMYK"), "image/jpeg"),
        (in_mode("JPEG", "L"), "image/jpeg"),
        (in_mode("PNG", "I;16"), "image/png"),
        (in_mode("PNG", "1"), "image/png"),
        (in_mode("PNG", "LA"), "image/png"),
    ],
    ids=["MPO", "animated GIF", "animated WebP", "CMYK", "gray", "16 bits", "1 bit", "gray and alpha"],
)
def test_images_of_every_usual_kind_are_accepted(api: Api, content: bytes, media_type: str) -> None:
    sent = upload(api, content)
    assert sent.status_code == 201, sent.text
    assert sent.json()["media_type"] == media_type


@pytest.mark.parametrize(
    ("content", "words"),
    [
        *((cut(textured(kind)), "damaged") for kind in ("PNG", "JPEG", "GIF", "WEBP")),
        (png_without_data(), "damaged"),
        (png_of(30, 30, zlib.compress(b"short")), "damaged"),
        (png_of(8000, 8000, zlib.compress(b"\0" * 100)), "damaged"),
        (png_of(100_000, 100_000, zlib.compress(b"\0" * 100)), "100,000,000 pixels"),
        (cut(multi_picture()[:700]), "damaged"),
        (pdf("Tea")[:200], "damaged"),
    ],
    ids=["PNG", "JPEG", "GIF", "WebP", "no data", "short data", "bomb", "huge bomb", "MPO", "PDF"],
)
def test_a_file_that_cannot_be_decoded_completely_is_refused_with_an_explanation(
    api: Api, content: bytes, words: str
) -> None:
    sent = upload(api, content)
    assert sent.status_code in (415, 422), sent.text
    assert words in sent.json()["error"]["message"]


def test_a_damaged_file_never_causes_a_server_error(api: Api) -> None:
    chance = random.Random(11)
    files = [textured(kind) for kind in ("PNG", "JPEG", "GIF", "WEBP")] + [multi_picture(), pdf("Tea", "Cake")]
    for content in files:
        for _ in range(4):
            broken = bytearray(content[: chance.randrange(8, len(content))])
            for _ in range(8):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            sent = upload(api, bytes(broken))
            assert sent.status_code in (201, 415, 422), sent.text


def test_an_import_with_a_damaged_attachment_is_refused_and_the_error_names_it(api: Api) -> None:
    created_at = "2026-01-01T00:00:00+00:00"
    lines: list[Json] = [
        {"type": "tertulia-export", "version": 1, "exported_at": created_at},
        {"type": "conversation", "id": "1", "model": "m", "created_at": created_at, "updated_at": created_at},
        {
            "type": "attachment", "id": "photo", "filename": "a.png", "created_at": created_at,
            "data": base64.b64encode(png_without_data()).decode(),
        },
    ]  # fmt: skip
    refused = put_in(api, "\n".join(json.dumps(line) for line in lines).encode())
    assert refused.status_code == 422, refused.text
    assert "photo" in refused.text
    assert "damaged" in refused.text


@pytest.fixture
def drawing(tmp_path: Path, place: Json) -> Generator[Api]:
    with served(tmp_path, "drawing_tools", **place) as client:
        yield client


def images(api: Api, conversation: str) -> list[Json]:
    blocks = [block for message in shown(api, conversation) for block in message["content"]]
    return [block["attachment"] for block in blocks if block["__typename"] == "ImageBlock"]


def test_a_damaged_image_of_a_tool_is_replaced_and_the_others_are_kept(drawing: Api) -> None:
    sent = drawing.send(call("phone", "damaged"))
    done = drawing.follow(sent["generation"]["id"])[-1]
    assert done["__typename"] == "GenerationCompleted"
    conversation = sent["conversation"]["id"]
    # The tools run concurrently, and the images of each are added when it ends.
    assert {attachment["mediaType"] for attachment in images(drawing, conversation)} == {"image/jpeg", "image/png"}
    message = drawing.messages(conversation)[-1]
    outputs = [block["output"] for block in message["content"] if block["__typename"] == "ToolResultBlock"]
    assert outputs[1].count("A picture was left out") == 3
    assert "Between." in outputs[1]


def test_images_over_the_limit_of_a_request_are_left_out_and_the_others_are_kept(drawing: Api) -> None:
    sent = drawing.send(call(("wide", {"count": 18}), ("wide", {"count": 5})))
    assert drawing.follow(sent["generation"]["id"])[-1]["__typename"] == "GenerationCompleted"
    conversation = sent["conversation"]["id"]
    assert len(images(drawing, conversation)) == 20
    _, done = answer(drawing, call(("wide", {"count": 1})), conversationId=conversation)
    assert done["__typename"] == "GenerationCompleted"
    assert "images must have at most 2000 x 2000 pixels" in results(done)[0]["output"]
    assert len(images(drawing, conversation)) == 20
    assert all(message["leftOut"] == [] for message in shown(drawing, conversation))
