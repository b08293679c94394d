"""Functions that make documents of many kinds, with libraries that are not those that read them where there are any."""

import base64
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

from docx import Document
from media import pdf
from PIL import Image
from pptx import Presentation
from xlsxwriter import Workbook

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override PartName="/word/document.xml"'
    ' ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
MAIL = b"""\
From: Ada <ada@example.com>
To: bob@example.com
Date: Mon, 12 Oct 2026 10:00:00 +0000
Subject: =?utf-8?q?Tee_f=C3=BCr_zwei?=
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: text/plain; charset=utf-8

The kettle is on.

See you at four.
--b
Content-Type: application/pdf
Content-Disposition: attachment; filename="menu.pdf"

%PDF-1.7
--b--
"""
HTML_MAIL = MAIL.replace(b"text/plain", b"text/html").replace(
    b"The kettle is on.", b"<h1>News</h1><p>The kettle is on.</p>"
)
PAGE = """<!DOCTYPE html><html><head><title>x</title><style>p { color: red }</style></head><body>
<h1>Über Tee</h1><p>Grün &amp; <b>gut</b>.</p><ul><li>One<li>Two</ul><pre>a
  b</pre><table><tr><th>A<th>B<tr><td>1<td>2</table><script>alert(1)</script></body></html>"""
NOTEBOOK = json.dumps(
    {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [
            {"cell_type": "markdown", "source": ["# Tea\n", "How hot?"]},
            {"cell_type": "code", "source": "3 * 4", "outputs": [{"data": {"text/plain": ["12"]}}]},
        ],
    }
)
RTF = rb"{\rtf1\ansi\deff0 {\fonttbl{\f0 Times;}}\f0 First paragraph.\par Caf\'e9 au lait.\par}"
HEIC = (
    "eNpjYGCQSSupLMhIzUxmAILczDRDEDs3MzGNgYFxX25qSSIDBChmpOQUQdkMBZnJJQxowCQzJx9siIsDAxMDI4jF+AhCA4EPUAwI",
    "mPTgIgZAbJGZmZcG5oFkRYGcVLAyoJqMsmRDBiRBRpAS14pMsHK+gsySXAaoSoa/mQVFBUD6bmZBcj6QLgPqdWZkBglNACuS+8Dw",
    "5++PHwwM/MwJQB0SDow8jP//gxQwg1Qwg5DcLiaHRKCklhMjI5rMAoVG1mmvnizbuYMjw0ABKMQMIhgUk4DK2VwYDxYf6ARaIpyc",
    "n1OUl5xTARTlZWBrAAqJZBYXpEK96wDFGsk5iQVQNsjxClAaHAj///9/AA0MgYLMikyQIDMHBweQksgsyIXFBSMDI2sjEzNrC5At",
    "lVmUmgYV50tOKU4GBz7IxJbclERQLHloMK6PePbl1f7/Tw/t/3frT/t54//x/7P2hn9kFP53/P+Lb52ZLfLTd8zJ2nfAwHmqIkeM",
    "19eXhjc+ntqxaXP9yynPt79ldlrGu2qV+QWgWWyQGPD1ZdAC8jgYmBj5wa5lcUwBBp4QKMBAgQJxDgBcZYCQ",
)
CSV = "id,name,price\n" + "".join(f"{n},Tea {n},{n / 2}\n" for n in range(1, 121))


def zipped(parts: Mapping[str, str | bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in parts.items():
            # With a fixed date, so that the same content is the same file whenever it is written.
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def docx() -> bytes:
    """Return a DOCX with headings, a table and a tab."""
    document = Document()
    document.add_paragraph("Before any heading.")
    document.add_heading("Methods", 1)
    document.add_paragraph("We boiled\twater.")
    table = document.add_table(2, 2)
    for number, text in enumerate(("Leaf", "Minutes", "Oolong", "3")):
        table.cell(number // 2, number % 2).text = text
    document.add_heading("Results", 2)
    document.add_paragraph("It was hot.")
    return _saved(document)


def bare_docx(body: str, **parts: str) -> bytes:
    """Return a DOCX with this XML in its body, and with more parts."""
    document = f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    return zipped({"[Content_Types].xml": TYPES, "word/document.xml": document, **parts})


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def pptx() -> bytes:
    """Return a PPTX with two slides, the first of which has notes."""
    deck = Presentation()
    for title in ("Tea", "Cake"):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        shapes: Any = slide.shapes
        shapes.title.text, shapes[1].text = title, f"All about {title.lower()}\nin two lines"
    notes: Any = deck.slides[0].notes_slide.notes_text_frame
    notes.text = "Smile here."
    return _saved(deck)


def xlsx() -> bytes:
    """Return an XLSX with a table that does not start at A1, a formula, and a second sheet."""
    buffer = io.BytesIO()
    book = Workbook(buffer, {"in_memory": True})
    prices = book.add_worksheet("Prices")
    prices.write_row("B3", ["Item", "Price"])
    for number in range(100):
        prices.write_row(3 + number, 1, [f"Tea number {number}", number + 0.5])
    book.add_worksheet("Empty")
    sums = book.add_worksheet("Sums & more")
    sums.write_formula("A1", "=1+1", value=2)
    sums.write("AA2", True)
    book.close()
    return buffer.getvalue()


def epub(*, protected: bool = False) -> bytes:
    """Return an EPUB with two chapters, which are not in the order of their names."""
    chapter = (
        "<html xmlns='http://www.w3.org/1999/xhtml'><body><h1>{0}</h1><p>Text of {0}&nbsp;&amp; more.</p></body></html>"
    )
    package = """<package xmlns="http://www.idpf.org/2007/opf"><manifest><item id="b" href="b%20b.xhtml"/>
    <item id="a" href="a.xhtml"/></manifest><spine><itemref idref="b"/><itemref idref="a"/></spine></package>"""
    container = """<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
    <rootfile full-path="OEBPS/book.opf"/></rootfiles></container>"""
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": container,
            "OEBPS/book.opf": package,
            "OEBPS/b b.xhtml": chapter.format("Morning"),
            "OEBPS/a.xhtml": chapter.format("Evening"),
            **({"META-INF/rights.xml": "<rights/>"} if protected else {}),
        }
    )


def opendocument(kind: str, content: str, manifest: str = "") -> bytes:
    """Return an ODT, ODS or ODP with this XML inside its body."""
    names = ("office", "text", "table", "draw")
    spaces = " ".join(f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in names)
    return zipped(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "META-INF/manifest.xml": f"<manifest>{manifest}</manifest>",
            "content.xml": f"<office:document-content {spaces}><office:body>{content}</office:body></office:document-content>",
        }
    )


def odt() -> bytes:
    content = (
        '<office:text><text:h text:outline-level="1">Methods</text:h><text:p>We <text:span>boiled</text:span>'
        '<text:s text:c="2"/>water<text:tab/>twice.</text:p></office:text>'
    )
    return opendocument("text", content)


def odp() -> bytes:
    slide = "<draw:page><draw:frame><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame></draw:page>"
    return opendocument(
        "presentation", f"<office:presentation>{slide.format('Tea')}{slide.format('Cake')}</office:presentation>"
    )


def ods() -> bytes:
    cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    row = f"<table:table-row>{cell.format('Oolong')}{cell.format('hot')}</table:table-row>"
    return opendocument(
        "spreadsheet", f'<office:spreadsheet><table:table table:name="Leaves">{row}</table:table></office:spreadsheet>'
    )


def with_macros(document: bytes, folder: str) -> bytes:
    """Return a DOCX, XLSX or PPTX with a part for macros."""
    buffer = io.BytesIO(document)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(f"{folder}/vbaProject.bin", b'Sub AutoOpen()\nShell("calc")\nEnd Sub')
    return buffer.getvalue()


def compound(*streams: str) -> bytes:
    """Return the beginning of a file of an older Office version, or of an encrypted one, with the names of its streams."""
    return (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        + b"\0" * 504
        + b"".join(name.encode("utf-16-le") + b"\0\0" for name in streams)
    )


def photo(kind: str, width: int, height: int, *, orientation: int = 1, mode: str = "RGB") -> bytes:
    """Return an image whose left half is red and whose right half is blue, with an orientation and a place."""
    picture = Image.new("RGB", (width, height), (220, 20, 20))
    picture.paste((20, 20, 220), (width // 2, 0, width, height))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Camera of Ada"
    buffer = io.BytesIO()
    picture.convert(mode).save(buffer, kind, **({} if kind in ("BMP", "GIF") else {"exif": exif}))
    return buffer.getvalue()


def heic() -> bytes:
    """Return a photo of 64 x 32 pixels, whose left half is red. Free programs that write this format are rare."""
    return zlib.decompress(base64.b64decode("".join(HEIC)))


def tiff_pages(count: int) -> bytes:
    """Return a TIFF with several pages, as scanners write them."""
    buffer = io.BytesIO()
    pages = [Image.new("1", (200, 280), number % 2) for number in range(count)]
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    return buffer.getvalue()


def lying_zip(document: bytes, name: str, size: int) -> bytes:
    """Return an archive whose directory claims another size of a part after unpacking (APPNOTE.TXT, section 4.3.12)."""
    content = bytearray(document)
    entry = content.rindex(b"PK\x01\x02", 0, content.rindex(name.encode()))
    content[entry + 24 : entry + 28] = struct.pack("<I", size)
    return bytes(content)


def encrypted_zip(document: bytes) -> bytes:
    """Return an archive whose parts claim to be encrypted."""
    content = bytearray(document)
    start = 0
    while (start := content.find(b"PK\x01\x02", start)) >= 0:
        content[start + 8] |= 1
        start += 4
    return bytes(content)


def bomb(megabytes: int) -> bytes:
    """Return a DOCX whose document has this size after unpacking, and is a thousandth of it before."""
    return bare_docx(paragraph("a" * (megabytes << 20)))


def huge_sheet() -> bytes:
    """Return an XLSX with a value in the first and in the last cell of a sheet."""
    buffer = io.BytesIO()
    book = Workbook(buffer, {"in_memory": True})
    sheet = book.add_worksheet("Wide")
    sheet.write("A1", 1)
    sheet.write("XFD1048576", 2)
    book.close()
    return buffer.getvalue()


def laughing(entities: int = 30) -> str:
    """Return the declaration of entities that expand to a billion characters."""
    levels = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(entities))
    return f'<!DOCTYPE d [<!ENTITY e0 "ha">{levels}]>'


def encrypted_pdf() -> bytes:
    """Return a PDF that needs a password (PDF 1.7, section 7.6). Its keys fit no password."""
    content = pdf("Secret")
    encrypt = b"<< /Filter /Standard /V 1 /R 2 /P -4 /O (" + b"o" * 32 + b") /U (" + b"u" * 32 + b") >>"
    return content.replace(b"/Root 1 0 R >>", b"/Root 1 0 R /Encrypt " + encrypt + b" /ID [(a)(a)] >>")


def deflated(size: int) -> bytes:
    """Return this many zeros, compressed."""
    return zlib.compress(b"\0" * size, 9)


def _saved(document: Any) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()
