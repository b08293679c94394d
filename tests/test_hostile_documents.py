"""Hostile documents are refused with an explanation, and cost the server neither time nor memory."""

import asyncio
import random
import resource
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import documents as made
import pytest
from client import Api
from media import image, pdf
from test_attachments import upload, uploaded

from tertulia.attachments.documents import archives, kinds, passages
from tertulia.attachments.documents.conversion import convert
from tertulia.attachments.documents.errors import UnfitMedia
from tertulia.attachments.documents.passages import Unit
from tertulia.attachments.media import InspectedFile, inspect, inspect_async
from tertulia.sandbox import turns

DEEP = 100_000


def nested(levels: int) -> bytes:
    return made.bare_docx("<w:p>" * levels + "</w:p>" * levels)


HOSTILE = {
    "zip bomb": (lambda: made.bomb(65), "MB after unpacking"),
    "zip bomb that lies": (lambda: made.lying_zip(made.bomb(2), "word/document.xml", 1_000), "damaged"),
    "sheet bomb": (lambda: made.lying_zip(made.xlsx(), "xl/worksheets/sheet1.xml", 1 << 30), "256 MB after unpacking"),
    "many parts": (lambda: made.zipped({f"word/{n}": "" for n in range(10_001)}), "10,000 parts"),
    "billion laughs": (lambda: made.zipped({"[Content_Types].xml": made.TYPES, "word/document.xml": f"{made.laughing()}<d>&e9;</d>"}), "damaged"),
    "external entity": (lambda: made.zipped({"[Content_Types].xml": made.TYPES, "word/document.xml": '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><d>&x;</d>'}), "entities"),
    "deep XML": (lambda: nested(DEEP), "damaged"),
    "encrypted zip": (lambda: made.encrypted_zip(made.docx()), "password"),
    "encrypted ODT": (lambda: made.opendocument("text", "", "<encryption-data/>"), "password"),
    "encrypted DOCX": (lambda: made.compound("EncryptionInfo", "EncryptedPackage"), "password"),
    "encrypted PDF": (made.encrypted_pdf, "password"),
    "protected book": (lambda: made.epub(protected=True), "DRM"),
    "old Word": (lambda: made.compound("WordDocument"), "DOCX"),
    "old PowerPoint": (lambda: made.compound("PowerPoint Document"), "PPTX"),
    "Outlook": (lambda: made.compound("__properties_version1.0"), "EML"),
    "damaged XLS": (lambda: made.compound("Workbook"), "damaged"),
    "cut DOCX": (lambda: made.docx()[:20_000], "damaged"),
    "cut XLSX": (lambda: made.xlsx()[:3_000], "damaged"),
    "cut HEIC": (lambda: made.heic()[:500], "cut off"),
    "cut HEIC by a byte": (lambda: made.heic()[:-1], "cut off"),
    "cut AVIF by a byte": (lambda: made.photo("AVIF", 90, 90)[:-1], "cut off"),
    "cut BMP": (lambda: made.photo("BMP", 90, 90)[:9_000], "damaged"),
    "archive": (lambda: made.zipped({"a.txt": "words"}), "DOCX"),
    "program": (lambda: b"\x7fELF\2\1\1" + bytes(range(32)) * 200, "DOCX"),
    "no text": (lambda: made.bare_docx(""), "no text"),
    "no document": (lambda: made.zipped({"[Content_Types].xml": "<Types/>", "word/x": ""}), "damaged"),
    "huge sheet": (made.huge_sheet, "time or memory"),
    "long text": (lambda: b"words " * 400_000, "2,000,000 characters"),
    "many slides": (lambda: made.opendocument("presentation", "<draw:page><text:p>x</text:p></draw:page>" * 10_001), "10,000 pages"),
    "open quotation mark": (lambda: b'a,b\n"' + b"c" * 200_000, "too long"),
    "million pixels": (lambda: bmp_of(40_000, 40_000), "100,000,000 pixels"),
    "many pages": (lambda: made.tiff_pages(51), "50 pages"),
}  # fmt: skip


def bmp_of(width: int, height: int) -> bytes:
    """Return a BMP whose header claims this size."""
    content = bytearray(made.photo("BMP", 8, 8))
    content[18:26] = struct.pack("<ii", width, height)
    return bytes(content)


@pytest.mark.parametrize(("make", "words"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_with_an_explanation_in_a_short_time(make: Callable[[], bytes], words: str) -> None:
    content = make()
    began = time.process_time()
    with pytest.raises(UnfitMedia, match=words):
        inspect(content, "table.csv" if words == "too long" else "upload")
    # The work is done by another process.
    assert time.process_time() - began < 1


def test_a_file_that_needs_too_much_memory_ends_only_its_own_process() -> None:
    with pytest.raises(UnfitMedia, match="time or memory"):
        inspect(made.huge_sheet())
    assert inspect(made.docx()).media.media_type == kinds.DOCX
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2 << 20


def test_a_file_that_takes_too_long_ends_only_its_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tertulia.attachments.media.DECODE_SECONDS", 0.05)
    slow = made.zipped({"mimetype": kinds.ODT, "content.xml": "<d>" + "<p>x</p>" * 2_000_000 + "</d>"})
    with pytest.raises(UnfitMedia, match="time or memory"):
        inspect(slow)
    monkeypatch.undo()
    assert inspect(made.docx()).media.media_type == kinds.DOCX


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (image("GIF") + made.docx(), "image/gif"),
        (pdf("Tea") + made.docx(), "application/pdf"),
        (b"<!-- %PDF-1.7 --><!doctype html><p>Tea", "text/html"),
        (image() + b"<script>alert(1)</script>", "image/png"),
    ],
    ids=["GIF and ZIP", "PDF and ZIP", "HTML and PDF", "PNG and HTML"],
)
def test_a_file_of_two_types_is_stored_as_one_and_never_shown_as_a_page(
    api: Api, content: bytes, media_type: str
) -> None:
    sent = upload(api, content, "a.html", "text/html")
    assert sent.status_code == 201, sent.text
    download = api.http.get(sent.json()["url"])
    assert (sent.json()["media_type"], download.headers["content-type"].partition(";")[0]) == (media_type, media_type)
    assert download.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert download.headers["x-content-type-options"] == "nosniff"
    assert media_type.startswith("image/") or download.headers["content-disposition"].startswith("attachment")


def test_damaged_documents_are_refused_and_never_cause_a_server_error(api: Api) -> None:
    chance = random.Random(5)
    whole = [made.docx(), made.xlsx(), made.pptx(), made.epub(), made.odt(), made.MAIL, made.RTF, made.heic()]
    for content in whole:
        for _ in range(3):
            broken = bytearray(content[: chance.randrange(8, len(content))])
            for _ in range(8):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            sent = upload(api, bytes(broken), "broken")
            assert sent.status_code in (201, 415, 422), sent.text


def test_a_refused_document_has_a_status_and_a_message_for_people(api: Api) -> None:
    refused = upload(api, made.encrypted_zip(made.docx()), "secret.docx")
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "INVALID_INPUT")
    assert (
        refused.json()["error"]["message"]
        == "`file` was not accepted: the file is protected by a password. Remove the password."
    )
    unknown = upload(api, made.zipped({"a": "b"}), "a.zip")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_document_of_very_many_blank_paragraphs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passages, "MAX_UNITS", 10)
    assert list(passages.passages(Unit("", "paragraph", number, "") for number in range(10))) == []
    with pytest.raises(UnfitMedia, match="at most 10 paragraphs"):
        convert(made.bare_docx("<w:p/>" * 11), "")


def test_an_xml_document_loads_nothing_and_expands_nothing() -> None:
    with pytest.raises(UnfitMedia, match="entities"):
        archives.parse_xml(f"{made.laughing()}<d>&e1;</d>".encode())
    assert archives.parse_xml(b"<!DOCTYPE html PUBLIC 'x' 'http://example.com/x.dtd'><d>ok</d>").text == "ok"


def test_a_converted_document_of_another_user_is_not_found(api: Api) -> None:
    assert api.http.get(f"/attachments/{uploaded(api, image())}/converted").status_code == 404
    for id in ("0198f3b0-7c1e-7000-8000-000000000000", "nonsense", "a%00b"):
        assert api.http.get(f"/attachments/{id}/converted").status_code == 404


def test_the_slow_files_of_one_user_do_not_delay_the_file_of_another() -> None:
    slow = made.zipped({"mimetype": kinds.ODT, "content.xml": "<d>" + "<p>x</p>" * 40_000 + "</d>"})
    finished: list[str] = []

    async def inspected(who: str, owner: UUID, content: bytes) -> None:
        with suppress(UnfitMedia):
            await inspect_async(content, owner=owner)
        finished.append(who)

    async def everyone() -> None:
        hostile, other = uuid4(), uuid4()
        async with asyncio.TaskGroup() as group:
            for _ in range(6):
                group.create_task(inspected("hostile", hostile, slow))
            await asyncio.sleep(0)
            group.create_task(inspected("other", other, made.docx()))

    asyncio.run(everyone())
    # The job that is running is not interrupted.
    assert finished.index("other") <= 1, finished


def test_a_user_has_a_limited_number_of_files_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MAX_WAITING", 2)

    async def inspected() -> list[Any]:
        owner = uuid4()
        works = [inspect_async(made.docx(), owner=owner) for _ in range(3)]
        return await asyncio.gather(*works, return_exceptions=True)

    *accepted, refused = asyncio.run(inspected())
    assert [type(result) for result in accepted] == [InspectedFile, InspectedFile]
    assert "busy" in str(refused)
