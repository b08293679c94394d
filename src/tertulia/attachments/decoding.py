"""The decoding of files in a sandbox process: PDFs with PDFium, images with Pillow, and the text of other documents."""

import base64
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tertulia.attachments.documents.conversion import convert
from tertulia.attachments.documents.errors import UnfitMedia, UnknownMedia
from tertulia.attachments.media import (
    BEGINNING,
    CONTENT,
    MAX_DOCUMENT_BYTES,
    MAX_PAGES,
    PDF,
    PDF_BEGINS,
    Media,
    SentContent,
    is_visual,
)
from tertulia.attachments.pictures import Picture, decode_picture

FIRST_WORDS = 200
# Only one thread at a time may use PDFium.
_ONE_AT_A_TIME = threading.Lock()


def decode(data: bytes, path: str | None, filename: str, *, is_strict: bool) -> dict[str, Any]:
    """Decode a file. This function is called in a sandbox process.

    Args:
        data: The bytes of the file, if there is no path.
        path: The path of the file.
        filename: The name that its owner gave it.
        is_strict: Whether a file that would have to be converted is refused.

    Returns:
        The fields of its `Media`, and the converted content, if it was converted; or `refused`, the reason why Claude
        would not accept it, and `unknown`, whether its type is the reason.
    """
    try:
        decoded = _decode(data if path is None else Path(path), filename, is_strict=is_strict)
    except UnfitMedia as error:
        return {"refused": str(error), "unknown": isinstance(error, UnknownMedia)}
    converted = decoded.converted
    encoded = None if converted is None else [converted.media_type, base64.b64encode(converted.data).decode()]
    return {"media": asdict(decoded.media), "converted": encoded}


def _decode(content: Path | bytes, filename: str, *, is_strict: bool) -> Picture:
    data = content.read_bytes() if isinstance(content, Path) else content
    if is_strict or is_visual(data):
        if PDF_BEGINS not in data[:BEGINNING]:
            return decode_picture(content, len(data), is_strict=is_strict)
        try:
            return Picture(_document(content, len(data)))
        except UnfitMedia:
            # A text can mention the first bytes of a PDF.
            if is_strict or data.startswith(PDF_BEGINS) or b"\0" in data:
                raise
    converted = convert(data, filename)
    media = Media(converted.media_type, characters=converted.characters)
    return Picture(media, SentContent(CONTENT, converted.to_json()))


def first_words(document: bytes) -> str:
    """Return the beginning of the text of a PDF's first page, or an empty string if it has none. This call blocks."""
    pdfium = _pdfium()
    with _ONE_AT_A_TIME:
        try:
            pdf = pdfium.PdfDocument(document)
            try:
                text = str(pdf[0].get_textpage().get_text_bounded())
            finally:
                pdf.close()
        except pdfium.PdfiumError:
            return ""
    return " ".join(text.split())[:FIRST_WORDS]


def _document(content: Path | bytes, size: int) -> Media:
    if size > MAX_DOCUMENT_BYTES:
        raise UnfitMedia(f"a PDF must have at most {MAX_DOCUMENT_BYTES >> 20} MB, not {size / 2**20:.1f}.")
    try:
        document = _pdfium().PdfDocument(content)
        try:
            pages = len(document)
        finally:
            document.close()
    except Exception as error:
        if "password" in str(error).lower():
            raise UnfitMedia("the PDF is protected by a password. Remove the password.") from error
        raise UnfitMedia("the PDF is damaged and cannot be opened.") from error
    if not 1 <= pages <= MAX_PAGES:
        raise UnfitMedia(f"a PDF must have 1 to {MAX_PAGES} pages, not {pages}.")
    return Media(PDF, pages=pages)


def _pdfium() -> Any:
    """Return the module of PDFium, which is untyped and only imported if it is used."""
    import pypdfium2

    return pypdfium2
