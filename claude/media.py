"""What Claude takes as an image or a document, told by the content of a file and not by its name.

Source of the limits: "Vision" and "PDF support" in the Claude API documentation.
"""

import threading
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pypdfium2
from PIL import Image

MAX_IMAGE_BYTES = 5 * 1024 * 1024 * 3 // 4
"""Claude takes 5 MB of base64."""
MAX_DOCUMENT_BYTES = 22 * 1024 * 1024
"""A request takes 32 MB, base64 and all else."""
MAX_BYTES = max(MAX_IMAGE_BYTES, MAX_DOCUMENT_BYTES)
MAX_SIDE = 8000
MAX_SIDE_OF_MANY = 2000
"""Pixels, once a request holds more than MANY_IMAGES."""
MANY_IMAGES = 20
MAX_IMAGES, MAX_IMAGES_SMALL = 600, 100
MAX_PAGES, MAX_PAGES_SMALL = 600, 100
"""Of all documents of a request; the small ones are those of models with a window of SMALL_WINDOW tokens."""
SMALL_WINDOW = 200_000

FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
PDF = "application/pdf"
PDF_BEGINS = b"%PDF-"
PDF_BEGINS_WITHIN = 1024
FIRST_WORDS = 200

# Only headers are read, never pixels.
Image.MAX_IMAGE_PIXELS = None
_PDFIUM: Any = pypdfium2
# PDFium may be used by one thread at a time.
_ONE_AT_A_TIME = threading.Lock()


class UnfitMedia(Exception):
    """A file that Claude does not take; the message says what it takes."""


class UnknownMedia(UnfitMedia):
    """A file that is neither an image nor a document of a kind that Claude takes."""


@dataclass(frozen=True, slots=True)
class Media:
    """What a file is; pixels of an image, pages of a document."""

    media_type: str
    width: int | None = None
    height: int | None = None
    pages: int | None = None


def inspect(content: Path | bytes) -> Media:
    """Say what a file, or its bytes, are; raise UnfitMedia for what Claude would refuse. Blocks."""
    if isinstance(content, bytes):
        beginning, size = content[:PDF_BEGINS_WITHIN], len(content)
    else:
        with content.open("rb") as opened:
            beginning = opened.read(PDF_BEGINS_WITHIN)
        size = content.stat().st_size
    return _document(content, size) if PDF_BEGINS in beginning else _image(content, size)


def first_words(document: bytes) -> str:
    """Give the beginning of a PDF's first page, as far as it has words. Blocks."""
    with _ONE_AT_A_TIME:
        opened = _PDFIUM.PdfDocument(document)
        try:
            text = str(opened[0].get_textpage().get_text_bounded())
        finally:
            opened.close()
    return " ".join(text.split())[:FIRST_WORDS]


def check_together(media: list[Media], size_bytes: int, window: int | None) -> str | None:
    """Say what is too much of the attachments of one request; None where Claude takes them all.

    `size_bytes`: of those that travel in the request itself. `window`: the model's, in tokens, if it is known.
    """
    small = window is not None and window <= SMALL_WINDOW
    images = [one for one in media if one.pages is None]
    pages = sum(one.pages or 0 for one in media)
    most_images, most_pages = (MAX_IMAGES_SMALL, MAX_PAGES_SMALL) if small else (MAX_IMAGES, MAX_PAGES)
    if len(images) > most_images:
        return f"Claude takes at most {most_images} images in a conversation with this model; these are {len(images)}."
    if len(images) > MANY_IMAGES and any(max(one.width or 0, one.height or 0) > MAX_SIDE_OF_MANY for one in images):
        return f"of more than {MANY_IMAGES} images none may be larger than {MAX_SIDE_OF_MANY} x {MAX_SIDE_OF_MANY} px."
    if pages > most_pages:
        return f"Claude takes documents of at most {most_pages} pages together with this model; these are {pages}."
    if size_bytes > MAX_DOCUMENT_BYTES:
        return f"the attachments of a conversation may hold {MAX_DOCUMENT_BYTES >> 20} MB together."
    return None


def _document(content: Path | bytes, size: int) -> Media:
    if size > MAX_DOCUMENT_BYTES:
        raise UnfitMedia(f"a document may hold {MAX_DOCUMENT_BYTES >> 20} MB, not {size / 2**20:.1f}.")
    with _ONE_AT_A_TIME:
        try:
            document = _PDFIUM.PdfDocument(content)
        except _PDFIUM.PdfiumError as error:
            if "password" in str(error).lower():
                raise UnfitMedia("the PDF needs a password, which Claude cannot enter.") from error
            raise UnfitMedia("the PDF is damaged: it cannot be opened.") from error
        try:
            pages = len(document)
        finally:
            document.close()
    if not 1 <= pages <= MAX_PAGES:
        raise UnfitMedia(f"a document may have 1 to {MAX_PAGES} pages, not {pages}.")
    return Media(PDF, pages=pages)


def _image(content: Path | bytes, size: int) -> Media:
    try:
        with Image.open(BytesIO(content) if isinstance(content, bytes) else content, formats=list(FORMATS)) as image:
            kind, (width, height) = str(image.format), image.size
            image.verify()
    except (OSError, SyntaxError, ValueError) as error:
        raise UnknownMedia("takes PNG, JPEG, GIF and WebP images, and PDF documents; this file is none.") from error
    if size > MAX_IMAGE_BYTES:
        raise UnfitMedia(f"an image may hold {MAX_IMAGE_BYTES / 2**20:.2f} MB, not {size / 2**20:.2f}.")
    if max(width, height) > MAX_SIDE:
        raise UnfitMedia(f"an image may be {MAX_SIDE} x {MAX_SIDE} px, not {width} x {height}.")
    return Media(FORMATS[kind], width, height)
