"""The recognition of documents by content.

File names only distinguish kinds of texts, and declared types are ignored.
"""

import mimetypes
import re
from dataclasses import dataclass

from tertulia.attachments.documents.archives import Archive
from tertulia.attachments.documents.errors import PROTECTED, UnfitMedia, UnknownMedia
from tertulia.attachments.documents.sheets import delimiter_of
from tertulia.attachments.documents.texts import as_json, decoded
from tertulia.json import is_list, is_object

ACCEPTED = (
    "the file must be an image (PNG, JPEG, GIF, WebP, HEIC, AVIF, TIFF, BMP), a PDF, a document (DOCX, ODT, RTF, EPUB),"
    " a presentation (PPTX, ODP), a spreadsheet (XLSX, XLSM, XLSB, XLS, ODS, CSV), an e-mail (EML) or a text; this one"
    " is not, or is damaged."
)
OFFICE = "application/vnd.openxmlformats-officedocument."
DOCX, PPTX, XLSX = (
    f"{OFFICE}{kind}" for kind in ("wordprocessingml.document", "presentationml.presentation", "spreadsheetml.sheet")
)
XLS, XLSB = "application/vnd.ms-excel", "application/vnd.ms-excel.sheet.binary.macroenabled.12"
ODT, ODS, ODP = (f"application/vnd.oasis.opendocument.{kind}" for kind in ("text", "spreadsheet", "presentation"))
EPUB, RTF, MAIL, HTML = "application/epub+zip", "application/rtf", "message/rfc822", "text/html"
MARKDOWN, CSV, TSV = "text/markdown", "text/csv", "text/tab-separated-values"
JSON, NOTEBOOK, PLAIN = "application/json", "application/x-ipynb+json", "text/plain"
WITH_MACROS = {
    DOCX: "application/vnd.ms-word.document.macroenabled.12",
    PPTX: "application/vnd.ms-powerpoint.presentation.macroenabled.12",
    XLSX: "application/vnd.ms-excel.sheet.macroenabled.12",
}
MAIN_PARTS = {"word/": DOCX, "ppt/": PPTX, "xl/": XLSX}
PACKAGES = (ODT, ODS, ODP, EPUB)
ZIP, COMPOUND = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""The first bytes of archives; and of files of older Office versions and encrypted ones ([MS-CFB], section 2.2)."""
OLD_KINDS = {
    "EncryptedPackage": PROTECTED,
    "WordDocument": "the file is of a Word version before 2007. Save it as DOCX.",
    "PowerPoint Document": "the file is of a PowerPoint version before 2007. Save it as PPTX.",
    "__properties_version1.0": "the file is an e-mail of Outlook (MSG). Save it as EML.",
}
PROSE_NAMES = ("", "txt", "text")
MARKDOWN_NAMES = ("md", "markdown", "mdown", "mkd")
TABLE_NAMES = {"csv": CSV, "tsv": TSV, "tab": TSV}
_TYPES = mimetypes.MimeTypes(filenames=())
for _ending in (".js", ".mjs"):
    _TYPES.add_type("text/javascript", _ending)  # Python 3.11 has another name for it.
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_HTML = re.compile(r"\s*(<\?xml[^>]*>\s*)?<(!doctype\s+html|html)\b", re.IGNORECASE)
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*:[ \t]|From ")
_SENDER = re.compile(r"^From:", re.IGNORECASE | re.MULTILINE)
_OF_MAIL = re.compile(r"^(Received|Date|Message-ID|MIME-Version|Return-Path):", re.IGNORECASE | re.MULTILINE)
BEGINNING = 4_096
"""The number of characters of a text in which its type is recognized."""


@dataclass(frozen=True, slots=True)
class RecognizedDocument:
    """A document whose type is known.

    Attributes:
        media_type: Its type.
        archive: Its parts, if it is an archive.
        text: Its text, if it is one.
        delimiter: The character between the cells of a table in text.
        is_prose: Whether a text consists of sentences, and not of lines.
    """

    media_type: str
    archive: Archive | None = None
    text: str | None = None
    delimiter: str | None = None
    is_prose: bool = False


def recognize(data: bytes, filename: str) -> RecognizedDocument:
    """Return the type of a document.

    Args:
        data: The document.
        filename: Its name, whose extension is used for texts only.

    Raises:
        UnknownMedia: Its type is not accepted.
        UnfitMedia: It is damaged, or protected by a password.
    """
    if not data.strip():
        raise UnknownMedia("the file must not be empty.")
    if data.startswith(ZIP):
        return _archive(Archive(data))
    if data.startswith(COMPOUND):
        return RecognizedDocument(_compound(data))
    if data.startswith(b"{\\rtf"):
        return RecognizedDocument(RTF)
    text = decoded(data)
    if text is None:
        raise UnknownMedia(ACCEPTED)
    return _text(text, filename)


def _archive(archive: Archive) -> RecognizedDocument:
    if "mimetype" in archive:
        declared = archive.read("mimetype").decode("latin-1").strip()
        if declared in PACKAGES:
            return RecognizedDocument(declared, archive)
    if "[Content_Types].xml" in archive:
        has_macros = any(name.endswith("vbaProject.bin") for name in archive.names)
        for folder, media_type in MAIN_PARTS.items():
            if any(name.startswith(folder) for name in archive.names):
                if "xl/workbook.bin" in archive:
                    return RecognizedDocument(XLSB, archive)
                return RecognizedDocument(WITH_MACROS[media_type] if has_macros else media_type, archive)
    raise UnknownMedia(ACCEPTED)


def _compound(data: bytes) -> str:
    for stream, problem in OLD_KINDS.items():
        if stream.encode("utf-16-le") in data:
            raise UnfitMedia(problem)
    if any(stream.encode("utf-16-le") in data for stream in ("Workbook", "Book")):
        return XLS
    raise UnknownMedia(ACCEPTED)


def _text(text: str, filename: str) -> RecognizedDocument:
    ending = filename.rpartition(".")[2].lower() if "." in filename else ""
    beginning = text[:BEGINNING]
    if _HTML.match(_COMMENT.sub("", beginning)):
        return RecognizedDocument(HTML, text=text)
    value = as_json(text)
    if value is not None:
        is_notebook = is_object(value) and is_list(value.get("cells")) and "nbformat" in value
        return RecognizedDocument(NOTEBOOK if is_notebook else JSON, text=text)
    headers = beginning.partition("\n\n")[0].partition("\r\n\r\n")[0]
    if _HEADER.match(headers) and _SENDER.search(headers) and _OF_MAIL.search(headers):
        return RecognizedDocument(MAIL, text=text)
    if ending in MARKDOWN_NAMES:
        return RecognizedDocument(MARKDOWN, text=text)
    delimiter = delimiter_of(text, is_named_table=ending in TABLE_NAMES)
    if ending in TABLE_NAMES or (delimiter is not None and ending in PROSE_NAMES):
        return RecognizedDocument(TABLE_NAMES.get(ending, CSV), text=text, delimiter=delimiter)
    guessed = _TYPES.guess_type(f"x.{ending}")[0] or PLAIN
    media_type = guessed if guessed.startswith("text/") or guessed.endswith("+xml") else PLAIN
    return RecognizedDocument(media_type, text=text, is_prose=ending in PROSE_NAMES)
