"""Documents of many kinds: Claude receives their text with places, and citations lead back to them."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import documents as made
import docx
import pytest
from client import Api, Json
from conftest import Staged
from media import image, pdf
from PIL import Image
from running import execute
from scripted import model, says
from test_attachments import DELETE, FORK, say, shown, upload, uploaded
from test_transfer import export, imported

from tertulia.attachments.documents import kinds
from tertulia.attachments.documents.conversion import convert
from tertulia.attachments.documents.errors import UnfitMedia, UnknownMedia
from tertulia.attachments.documents.passages import places_in
from tertulia.attachments.files import source_of
from tertulia.attachments.media import MAX_IMAGE_BYTES, PDF, Media
from tertulia.attachments.pictures import Picture, decode_picture
from tertulia.billing.budget import estimate_input_tokens
from tertulia.claude.prompt import Turn
from tertulia.db.tables import Attachment, new_id

CITED = """query ($id: ID!) { conversation(id: $id) { messages { edges { node { content { ... on TextBlock { citations {
  citedText place source startIndex endIndex } } } } } } } }"""
DETAILS = "query ($id: ID!) { node(id: $id) { ... on Attachment { mediaType characters pages url convertedUrl } } }"


def blocks(data: bytes, name: str = "") -> list[str]:
    """Return the texts of the passages of a document."""
    content = convert(data, name).content
    assert not isinstance(content, str)
    assert {block["type"] for block in content} == {"text"}
    return [block["text"] for block in content]


def places(data: bytes, name: str = "") -> list[str]:
    return [place for text in blocks(data, name) for place in places_in(text)]


@pytest.mark.parametrize(
    ("data", "name", "media_type", "place", "words"),
    [
        (made.docx(), "a.bin", kinds.DOCX, "“Methods”, paragraphs 2-5", "We boiled\twater.\nLeaf | Minutes\nOolong | 3"),
        (made.pptx(), "", kinds.PPTX, "slide 1", "Tea\nAll about tea\nin two lines\nNotes: Smile here."),
        (made.xlsx(), "", kinds.XLSX, "sheet “Prices”, B3:C63", "Item | Price\nTea number 0 | 0.5\nTea number 1 | 1.5"),
        (made.odt(), "", kinds.ODT, "“Methods”, paragraphs 1-2", "We boiled  water\ttwice."),
        (made.ods(), "", kinds.ODS, "sheet “Leaves”, A1:B1", "Oolong | hot"),
        (made.odp(), "", kinds.ODP, "slide 2", "Cake"),
        (made.epub(), "", kinds.EPUB, "chapter 1, “Morning”, paragraphs 1-2", "Text of Morning & more."),
        (made.MAIL, "", kinds.MAIL, "body, paragraphs 1-2", "The kettle is on.\nSee you at four."),
        (made.MAIL, "", kinds.MAIL, "header", "Subject: Tee für zwei"),
        (made.MAIL, "", kinds.MAIL, "attached files, which are not included", "menu.pdf"),
        (made.HTML_MAIL, "", kinds.MAIL, "body, “News”, paragraphs 1-3", "The kettle is on."),
        (made.PAGE.encode("utf-16"), "x", kinds.HTML, "“Über Tee”, paragraphs 1-7", "Grün & gut.\n- One\n- Two\na\n  b\nA | B"),
        (made.NOTEBOOK.encode(), "", kinds.NOTEBOOK, "cell 2", "3 * 4\n12"),
        (made.RTF, "", kinds.RTF, "paragraphs 1-2", "First paragraph.\nCafé au lait."),
        (made.CSV.encode(), "no ending", kinds.CSV, "rows 1-68", "id | name | price\n1 | Tea 1 | 0.5"),
        (b"a\tb\n1\t2\n", "t.tsv", kinds.TSV, "rows 1-2", "a | b\n1 | 2"),
        (b"# One\n\ntext\n\n```\n# no heading\n```\n## Two\nmore", "README.md", kinds.MARKDOWN, "“Two”, lines 8-9", "more"),
        (b'{"a": [1, 2]}', "x", kinds.JSON, "line 1", '{"a": [1, 2]}'),
        (b"import this\n", "zen.py", "text/x-python", "line 1", "import this"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.svg", "image/svg+xml", "line 1", "<svg"),
        (b"[server]\nport = 1\n", "a.ini", "text/plain", "lines 1-2", "port = 1"),
    ],
)  # fmt: skip
def test_a_document_is_recognized_by_its_content_and_its_passages_name_their_places(
    data: bytes, name: str, media_type: str, place: str, words: str
) -> None:
    assert convert(data, name).media_type == media_type
    passage = next(text for text in blocks(data, name) if places_in(text) == [place])
    assert words in passage


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"Tea is ready.\r\nBread is not.", "Tea is ready.\nBread is not."),
        ("Tee für zwei".encode("utf-8-sig"), "Tee für zwei"),
        ("Чай готов".encode("utf-16"), "Чай готов"),
        ("Les élèves sont arrivés à l'école, déjà vu.".encode("cp1252"), "Les élèves sont arrivés à l'école, déjà vu."),
        ("Привет, как дела? Это тест.".encode("cp1251"), "Привет, как дела? Это тест."),
        ("日本語のテキストです。これはテスト。".encode("shift_jis"), "日本語のテキストです。これはテスト。"),
        (
            "A mark ⟦page 9⟧ of its own.\x07".encode() + b" " * 99 + b"end",
            "A mark [page 9] of its own." + " " * 99 + "end",
        ),
        (b"The magic words are %PDF-1.7, says the manual.", "The magic words are %PDF-1.7, says the manual."),
    ],
    ids=["UTF-8", "byte order mark", "UTF-16", "Windows-1252", "Windows-1251", "Shift JIS", "marks", "PDF in a text"],
)
def test_prose_is_sent_as_one_text_whatever_its_encoding(data: bytes, text: str) -> None:
    converted = convert(data, "notes.txt")
    assert (converted.media_type, converted.content) == ("text/plain", text)


def test_headings_and_numbers_of_passages_are_those_of_the_document() -> None:
    assert places(made.docx()) == ["paragraph 1", "“Methods”, paragraphs 2-5", "“Results”, paragraphs 6-7"]
    assert places(made.xlsx()) == [
        "sheet “Prices”, B3:C63", "sheet “Prices”, B64:C103", "sheet “Sums & more”, A1:AA2",
    ]  # fmt: skip
    long = made.bare_docx(
        "".join(made.paragraph(f"{n} {'word ' * 60}") for n in range(9)) + made.paragraph("x" * 9_000)
    )
    assert places(long) == [*(f"paragraphs {n}-{n + 2}" for n in (1, 4, 7)), "paragraph 10", "paragraph 10"]


SHIPPED = {
    "README.md": "text/markdown",
    "CHANGELOG.md": "text/markdown",
    "LICENSE": "text/plain",
    "Makefile": "text/plain",
    "package-lock.json": "application/json",
    "pyproject.toml": "text/plain",
    "requirements/run.in": "text/plain",
    "schema/schema.graphql": "text/plain",
    "docs/settings_reference.py": "text/x-python",
    "tests/node/page_journeys.mjs": "text/javascript",
    "web/app/src/style.css": "text/css",
    "src/tertulia/web/plain.html": "text/html",
    "src/tertulia/web/icon.svg": "image/svg+xml",
    "docx/templates/default-styles.xml": "text/xml",
    "docx/templates/default.docx": "no text",
    "pptx/templates/default.pptx": "no text",
}
"""Files of this repository and of installed packages."""


@pytest.mark.parametrize(("name", "expected"), SHIPPED.items(), ids=SHIPPED)
def test_files_that_others_have_written_are_recognized(name: str, expected: str) -> None:
    package = Path(docx.__file__).parent.parent
    file = package / name if name.startswith(("docx/", "pptx/")) else Path(__file__).parent.parent / name
    if expected == "no text":
        with pytest.raises(UnfitMedia, match="no text"):
            convert(file.read_bytes(), file.name)
    else:
        assert convert(file.read_bytes(), file.name).media_type == expected


def test_macros_are_not_read_and_the_type_of_the_file_names_them() -> None:
    for document, folder, kind in ((made.docx(), "word", kinds.DOCX), (made.xlsx(), "xl", kinds.XLSX)):
        converted = convert(made.with_macros(document, folder), "")
        assert converted.media_type == kinds.WITH_MACROS[kind]
        assert converted.content == convert(document, "").content


def test_text_boxes_are_read_once_and_deleted_text_is_not() -> None:
    alternatives = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    box = f'<mc:AlternateContent xmlns:mc="{alternatives}"><mc:Choice>{{0}}</mc:Choice><mc:Fallback>{{0}}</mc:Fallback></mc:AlternateContent>'
    inner = box.format(made.paragraph("boxed"))
    body = f"<w:p><w:r>{inner}</w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>"
    assert blocks(made.bare_docx(body)) == ["⟦paragraph 1⟧\nboxed"]


def picture(data: bytes) -> Picture:
    return decode_picture(data, len(data), is_strict=False)


def pixel(picture: Image.Image, x: int, y: int) -> list[int]:
    """Return the red, green and blue of a pixel."""
    return list(picture.convert("RGB").crop((x, y, x + 1, y + 1)).tobytes())


def sent_image(data: bytes) -> tuple[Media, Image.Image]:
    decoded = picture(data)
    assert decoded.converted is not None
    assert len(decoded.converted.data) <= MAX_IMAGE_BYTES
    opened = Image.open(io.BytesIO(decoded.converted.data))
    assert (opened.size, opened.get_format_mimetype()) == (
        (decoded.media.width, decoded.media.height),
        decoded.converted.media_type,
    )
    assert dict(opened.getexif()) == {}
    return decoded.media, opened


@pytest.mark.parametrize(
    ("data", "media_type", "sent_type"),
    [
        (made.photo("BMP", 40, 20), "image/bmp", "PNG"),
        (made.photo("TIFF", 40, 20), "image/tiff", "PNG"),
        (made.photo("TIFF", 40, 20, mode="CMYK"), "image/tiff", "PNG"),
        (made.photo("TIFF", 40, 20, mode="I;16"), "image/tiff", "PNG"),
        (made.photo("AVIF", 40, 20), "image/avif", "JPEG"),
        (made.photo("JPEG", 9_000, 100), "image/jpeg", "JPEG"),
        (made.photo("PNG", 9_000, 100, mode="RGBA"), "image/png", "PNG"),
    ],
    ids=["BMP", "TIFF", "TIFF in CMYK", "TIFF with 16 bits", "AVIF", "wide JPEG", "wide PNG"],
)
def test_an_image_that_claude_does_not_accept_is_converted(data: bytes, media_type: str, sent_type: str) -> None:
    media, sent = sent_image(data)
    assert (media.media_type, sent.format) == (media_type, sent_type)
    assert max(sent.size) <= 2000


def test_a_photo_of_a_phone_is_converted_without_its_metadata() -> None:
    media, sent = sent_image(made.heic())
    assert (media.media_type, sent.format, sent.size) == ("image/heic", "JPEG", (64, 32))
    left, right = (pixel(sent, x, 16) for x in (10, 50))
    assert left[0] > 180
    assert right[2] > 180


@pytest.mark.parametrize(("orientation", "red"), [(3, (50, 10)), (6, (10, 10)), (8, (10, 50))])
def test_a_photo_is_turned_as_its_metadata_demands(orientation: int, red: tuple[int, int]) -> None:
    _, sent = sent_image(made.photo("JPEG", 60, 20, orientation=orientation))
    assert sent.size == ((60, 20) if orientation == 3 else (20, 60))
    assert pixel(sent, *red)[0] > 180


def test_an_image_that_claude_accepts_is_sent_as_it_is() -> None:
    assert picture(image("PNG", 8000, 1)).converted is None
    assert picture(made.photo("JPEG", 60, 20)).converted is None


def test_the_pages_of_a_tiff_become_a_pdf() -> None:
    decoded = picture(made.tiff_pages(3))
    assert decoded.media == Media("image/tiff", pages=3)
    assert decoded.converted is not None
    assert (decoded.converted.media_type, decoded.converted.data[:5]) == (PDF, b"%PDF-")


# ---- through the API -------------------------------------------------------------------------


def cited(api: Api, conversation: str) -> list[Json]:
    edges: list[Json] = api.ask(CITED, id=conversation)["conversation"]["messages"]["edges"]
    return [
        citation for edge in edges for block in edge["node"]["content"] for citation in block.get("citations") or []
    ]


@pytest.mark.both
def test_a_document_is_downloaded_as_it_was_uploaded_and_claude_cites_the_places_of_its_text(api: Api) -> None:
    content = made.docx()
    sent = upload(api, content, "tea.docx", "image/png")
    assert sent.status_code == 201, sent.text
    body = sent.json()
    assert (body["filename"], body["media_type"], body["size_bytes"]) == ("tea.docx", kinds.DOCX, len(content))
    assert (body["width"], body["pages"], body["characters"]) == (None, None, convert(content, "").characters)
    download = api.http.get(body["url"])
    assert (download.content, download.headers["content-type"]) == (content, kinds.DOCX)
    assert download.headers["content-disposition"] == "attachment; filename*=UTF-8''tea.docx"
    text = api.http.get(body["converted_url"])
    assert (text.headers["content-type"], text.text) == ("text/plain; charset=utf-8", "\n\n".join(blocks(content)))
    assert "sandbox" in text.headers["content-security-policy"]
    details = api.ask(DETAILS, id=body["id"])["node"]
    assert (details["convertedUrl"], details["characters"]) == (body["converted_url"], body["characters"])
    note = uploaded(api, b"Tea is ready. Bread is not.", "note.txt")
    answer = say(api, "What are these?", body["id"], note, uploaded(api, pdf("Menu"), "menu.pdf"))
    assert cited(api, answer["conversation"]["id"]) == [
        {"citedText": "Before any heading.", "place": "paragraph 1", "source": "tea.docx", "startIndex": 0, "endIndex": 1},
        {"citedText": "Tea is ready. Bread is not.", "place": None, "source": "note.txt", "startIndex": 0, "endIndex": 27},
        {"citedText": "Menu", "place": "page 1", "source": "menu.pdf", "startIndex": 1, "endIndex": 2},
    ]  # fmt: skip


def test_claude_receives_text_and_passages_in_the_request_also_with_the_files_api(staged: Staged) -> None:
    stage = staged(says("Hi"), says("Hi"))
    book, note, scan = (
        uploaded(stage.api, made.xlsx(), "book.xlsx"),
        uploaded(stage.api, b"Just words.", "note.txt"),
        uploaded(stage.api, made.photo("BMP", 40, 20), "scan.bmp"),
    )
    say(stage.api, "Read", book, note, scan)
    first, second, third, _ = stage.claude.requests[0]["messages"][0]["content"]
    assert (first["type"], first["title"], first["citations"]) == ("document", "book.xlsx", {"enabled": True})
    assert first["source"] == {"type": "content", "content": convert(made.xlsx(), "").content}
    assert second["source"] == {"type": "text", "media_type": "text/plain", "data": "Just words."}
    assert (third["type"], third["source"]["type"], third["source"]["media_type"]) == ("image", "base64", "image/png")


@pytest.mark.both
def test_the_converted_content_of_a_file_is_shared_by_copies_and_deleted_with_the_last_one(
    fresh: Api, place: dict[str, Any], tmp_path: Path
) -> None:
    first = say(fresh, "Read", uploaded(fresh, made.pptx(), "deck.pptx"))["conversation"]["id"]
    forked = fresh.ask(FORK, id=shown(fresh, first)[-1]["id"])["forkConversation"]["conversation"]["id"]
    copy = shown(fresh, forked)[0]["content"][0]["attachment"]["url"]
    fresh.ask(DELETE, id=first)
    assert "Smile here." in fresh.http.get(f"{copy}/converted").text
    say(fresh, "Again", conversationId=forked)
    assert cited(fresh, forked)[-1]["place"] == "slide 1"
    fresh.ask(DELETE, id=forked)
    assert fresh.http.get(f"{copy}/converted").status_code == 404
    assert execute(place, "SELECT count(*) FROM blobs")[0][0] == 0
    assert [file for file in (tmp_path / "files").rglob("*") if file.is_file()] == []


def test_a_file_is_converted_again_if_its_converted_content_is_missing(fresh: Api, tmp_path: Path) -> None:
    sent = say(fresh, "Read", uploaded(fresh, made.odt(), "tea.odt"))
    (converted,) = (tmp_path / "files").rglob("*.converted")
    before = converted.read_bytes()
    converted.unlink()
    say(fresh, "Again", conversationId=sent["conversation"]["id"])
    assert converted.read_bytes() == before


def test_an_export_has_the_original_file_and_an_import_converts_it_again(api: Api) -> None:
    file = made.epub()
    sent = say(api, "Read", uploaded(api, file, "tea.epub"), uploaded(api, b"a,b,c\n" * 9, "t.csv"))
    conversation = imported(api, export(api, f"/export/{sent['conversation']['id']}"))["conversation_ids"][0]
    book, table = [block["attachment"] for block in shown(api, conversation)[0]["content"] if "attachment" in block]
    assert (book["mediaType"], table["mediaType"], table["filename"]) == (kinds.EPUB, kinds.CSV, "t.csv")
    assert api.http.get(book["url"]).content == file
    assert next(citation["place"] for citation in cited(api, conversation)) == "chapter 1, “Morning”, paragraphs 1-2"


def test_more_text_than_the_model_can_read_is_refused_without_a_request_to_claude(staged: Staged) -> None:
    stage = staged(says("Hi"))
    stage.claude.models = [{**model("claude-opus-5-5"), "max_input_tokens": 200_000}]
    long = uploaded(stage.api, b"Tea is ready. " * 70_000, "long.txt")
    refused = stage.api.try_send("Read", attachmentIds=[long])
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "attachmentIds")
    assert "800,000 characters of text, not 980,000" in refused["message"]
    assert stage.claude.requests == []


def test_the_reserved_cost_of_a_message_includes_the_text_of_its_documents() -> None:
    text = "お茶の準備ができました。" * 1_000
    row = Attachment(
        owner_id=new_id(), blob_id=new_id(), filename="", media_type="", size_bytes=9, characters=len(text),
        sent_bytes=len(text.encode()),
    )  # fmt: skip
    turn = Turn("user", [{"type": "document", "source": source_of(row)}])
    request: Any = SimpleNamespace(system_prompt="", tool_definitions=[], turns=[turn])
    assert len(text) <= estimate_input_tokens(request) < 1.1 * len(text)


def test_text_documents_need_no_model_that_reads_pdfs(staged: Staged) -> None:
    stage = staged(says("Hi"))
    capabilities = {"pdf_input": {"supported": False}}
    stage.claude.models = [{**model("claude-opus-5-5"), "capabilities": capabilities}]
    refused = stage.api.try_send("Read", attachmentIds=[uploaded(stage.api, pdf("Tea"))])
    assert "must not contain PDFs" in refused["message"]
    assert (
        stage.api.try_send("Read", attachmentIds=[uploaded(stage.api, made.docx())])["__typename"]
        == "SendMessagePayload"
    )


def test_a_server_without_the_extra_names_it_and_still_reads_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    assert convert(b"Just words.", "").content == "Just words."
    assert convert(b"# One\ntext", "a.md").media_type == kinds.MARKDOWN
    with pytest.raises(UnknownMedia, match='extra "documents"'):
        convert(made.docx(), "")
