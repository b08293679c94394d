"""The inspection of files: whether Claude accepts them as images or documents, by their content and not by their names.

Source of the limits: "Vision" and "PDF support" in the Claude API documentation.
"""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from tertulia.sandbox.process import MEDIA, OutOfBoundsError, SandboxBusyError

MAX_IMAGE_BYTES = 5 * 1024 * 1024 * 3 // 4
"""Claude accepts images of up to 5 MB in base64."""
MAX_DOCUMENT_BYTES = 22 * 1024 * 1024
"""A request may have 32 MB, including its attachments in base64."""
MAX_BYTES = max(MAX_IMAGE_BYTES, MAX_DOCUMENT_BYTES)
MAX_SIDE = 8000
MAX_SIDE_OF_MANY = 2000
"""The maximum width and height in pixels if a request contains more than `MANY_IMAGES` images."""
MANY_IMAGES = 20
MAX_IMAGES, MAX_IMAGES_SMALL = 600, 100
MAX_PAGES, MAX_PAGES_SMALL = 600, 100
"""The limits of a request. The lower ones apply to models with a context window of at most `SMALL_WINDOW` tokens."""
SMALL_WINDOW = 200_000

FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
PDF = "application/pdf"
PDF_BEGINS = b"%PDF-"
PDF_BEGINS_WITHIN = 1024
FIRST_WORDS = 200

MULTI_PICTURE = "MPO"
"""Pillow's name for JPEG files that contain more pictures after the first one. Many phones write them."""
DECODE_SECONDS = 10.0
"""The limit on the processor time for one file. The largest image takes about one second."""
DECODE = f"{__name__}:decode"

# Only one thread at a time may use PDFium.
_ONE_AT_A_TIME = threading.Lock()


class UnfitMedia(Exception):
    """Claude would not accept a file. The message is a clause that describes what would be accepted."""


class UnknownMedia(UnfitMedia):
    """A file is neither an image nor a document of a type that Claude accepts."""


@dataclass(frozen=True, slots=True)
class Media:
    """The media type of a file, with the size of an image in pixels or the number of pages of a document."""

    media_type: str
    width: int | None = None
    height: int | None = None
    pages: int | None = None


async def inspect_async(content: Path | bytes) -> Media:
    """Inspect a file in a sandbox process.

    Args:
        content: The path of the file, or its bytes.

    Raises:
        UnfitMedia: Claude would not accept the file, or it cannot be checked now.
    """
    job = _job(content)
    with _bounds_as_refusal():
        return _media(await MEDIA.run(DECODE, seconds=DECODE_SECONDS, data=job.data, path=job.path))


def inspect(content: Path | bytes) -> Media:
    """Inspect a file like `inspect_async`, in a thread without an event loop."""
    job = _job(content)
    with _bounds_as_refusal():
        return _media(MEDIA.run_blocking(DECODE, seconds=DECODE_SECONDS, data=job.data, path=job.path))


@dataclass(frozen=True, slots=True)
class _Job:
    data: bytes = b""
    path: str | None = None


def _job(content: object) -> _Job:
    if isinstance(content, Path):
        size = content.stat().st_size
    elif isinstance(content, bytes):
        size = len(content)
    else:
        raise UnknownMedia(f"its data must be bytes, not {type(content).__name__}.")
    if size > MAX_BYTES:
        raise UnfitMedia(f"a file must have at most {MAX_BYTES >> 20} MB, not {size / 2**20:.1f}.")
    return _Job(path=str(content)) if isinstance(content, Path) else _Job(content)


@contextmanager
def _bounds_as_refusal() -> Generator[None]:
    try:
        yield
    except OutOfBoundsError:
        raise UnfitMedia(
            "the file cannot be decoded: it is damaged, or decoding it takes too much time or memory."
        ) from None
    except SandboxBusyError:
        raise UnfitMedia("the file cannot be checked now, because the server is busy. Try again.") from None


def _media(result: dict[str, Any]) -> Media:
    if "refused" in result:
        raise (UnknownMedia if result["unknown"] else UnfitMedia)(result["refused"])
    return Media(**result)


def decode(data: bytes, path: str | None) -> dict[str, Any]:
    """Decode a file. This function is called in a sandbox process.

    Args:
        data: The bytes of the file, if there is no path.
        path: The path of the file.

    Returns:
        The fields of its `Media`; or `refused`, the reason why Claude would not accept it, and `unknown`, whether its
        type is the reason.
    """
    content = data if path is None else Path(path)
    try:
        if path is None:
            beginning, size = data[:PDF_BEGINS_WITHIN], len(data)
        else:
            with Path(path).open("rb") as file:
                beginning = file.read(PDF_BEGINS_WITHIN)
            size = Path(path).stat().st_size
        return asdict(_document(content, size) if PDF_BEGINS in beginning else _image(content, size))
    except UnfitMedia as error:
        return {"refused": str(error), "unknown": isinstance(error, UnknownMedia)}


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


class PictureRoom:
    """The room that a conversation has for more pictures. Claude refuses a request with too many."""

    def __init__(self, media: list[Media], size_bytes: int, window: int | None, *, inline: bool) -> None:
        """Initialize with the attachments that the conversation already has.

        Args:
            media: The attachments.
            size_bytes: Their size.
            window: The model's context window in tokens, or None if it is unknown.
            inline: Whether requests contain the bytes of their attachments.
        """
        self._media = media
        self._size = size_bytes if inline else 0
        self._window = window
        self._inline = inline

    def take(self, media: Media, size_bytes: int) -> None:
        """Reserve room for a picture. Raise UnfitMedia if there is none."""
        size = self._size + (size_bytes if self._inline else 0)
        problem = check_together([*self._media, media], size, self._window)
        if problem is not None:
            raise UnfitMedia(problem)
        self._media.append(media)
        self._size = size


def check_together(media: list[Media], size_bytes: int, window: int | None) -> str | None:
    """Return a clause about the limit that the attachments of a request exceed together, or None if none is exceeded.

    Args:
        media: All attachments of the request.
        size_bytes: The size of the attachments whose bytes the request contains.
        window: The model's context window in tokens, or None if it is unknown.
    """
    small = window is not None and window <= SMALL_WINDOW
    images = [item for item in media if item.pages is None]
    pages = sum(item.pages or 0 for item in media)
    most_images, most_pages = (MAX_IMAGES_SMALL, MAX_PAGES_SMALL) if small else (MAX_IMAGES, MAX_PAGES)
    if len(images) > most_images:
        return f"a conversation with this model must have at most {most_images} images, not {len(images)}."
    if len(images) > MANY_IMAGES and any(max(item.width or 0, item.height or 0) > MAX_SIDE_OF_MANY for item in images):
        return (
            f"images must have at most {MAX_SIDE_OF_MANY} x {MAX_SIDE_OF_MANY} pixels if a conversation has more than"
            f" {MANY_IMAGES} of them."
        )
    if pages > most_pages:
        return f"documents in a conversation with this model must have at most {most_pages} pages, not {pages}."
    if size_bytes > MAX_DOCUMENT_BYTES:
        return f"the attachments of a conversation must have at most {MAX_DOCUMENT_BYTES >> 20} MB together."
    return None


def _document(content: Path | bytes, size: int) -> Media:
    if size > MAX_DOCUMENT_BYTES:
        raise UnfitMedia(f"a document must have at most {MAX_DOCUMENT_BYTES >> 20} MB, not {size / 2**20:.1f}.")
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
        raise UnfitMedia(f"a document must have 1 to {MAX_PAGES} pages, not {pages}.")
    return Media(PDF, pages=pages)


def _pdfium() -> Any:
    """Return the module of PDFium, which is untyped and only imported if it is used."""
    import pypdfium2

    return pypdfium2


def _image(content: Path | bytes, size: int) -> Media:
    from PIL import Image

    # `MAX_SIDE` limits the size instead.
    Image.MAX_IMAGE_PIXELS = None
    source = BytesIO(content) if isinstance(content, bytes) else content
    try:
        image = Image.open(source, formats=[*FORMATS, MULTI_PICTURE])
    except Exception as error:
        # Pillow's plugins raise many exceptions, such as `struct.error` and `ZeroDivisionError`.
        raise UnknownMedia(
            "the file must be a PNG, JPEG, GIF or WebP image, or a PDF document; this one is not, or is damaged."
        ) from error
    with image:
        kind, (width, height) = str(image.format), image.size
        if size > MAX_IMAGE_BYTES:
            raise UnfitMedia(f"an image must have at most {MAX_IMAGE_BYTES / 2**20:.2f} MB, not {size / 2**20:.2f}.")
        if max(width, height) > MAX_SIDE:
            raise UnfitMedia(f"an image must have at most {MAX_SIDE} x {MAX_SIDE} pixels, not {width} x {height}.")
        try:
            # The headers do not show whether an image was cut off.
            image.load()
        except MemoryError:
            raise UnfitMedia("decoding the image takes too much memory.") from None
        except Exception as error:
            raise UnfitMedia("the image is damaged and cannot be decoded.") from error
    return Media(FORMATS.get(kind, FORMATS["JPEG"]), width, height)
