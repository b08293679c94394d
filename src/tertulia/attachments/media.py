"""The inspection of files: whether Claude accepts them as images or documents, and their conversion if it does not.

Source of the limits: "Vision" and "PDF support" in the Claude API documentation.
"""

import base64
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from tertulia.attachments.documents.errors import UnfitMedia, UnknownMedia
from tertulia.sandbox.process import DOCUMENTS, MEDIA, OutOfBoundsError, Sandbox, SandboxBusyError
from tertulia.sandbox.turns import TURNS

MAX_IMAGE_BYTES = 5 * 1024 * 1024 * 3 // 4
"""Claude accepts images of up to 5 MB in base64. Larger ones are converted."""
MAX_DOCUMENT_BYTES = 22 * 1024 * 1024
"""A request may have 32 MB, including its attachments in base64."""
MAX_BYTES = 32 * 1024 * 1024
"""The largest file that can be uploaded. Claude receives less of those that are converted."""
MAX_SIDE = 8000
MAX_SIDE_OF_MANY = 2000
"""The maximum width and height in pixels if a request contains more than `MANY_IMAGES` images."""
MANY_IMAGES = 20
MAX_IMAGES, MAX_IMAGES_SMALL = 600, 100
MAX_PAGES, MAX_PAGES_SMALL = 600, 100
"""The limits of a request. The lower ones apply to models with a context window of at most `SMALL_WINDOW` tokens."""
SMALL_WINDOW = 200_000
CHARACTERS_PER_TOKEN = 4
"""The most characters of a token on average, in any language."""

FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
PDF = "application/pdf"
PDF_BEGINS = b"%PDF-"
BEGINNING = 1024
"""The number of bytes in which a PDF must begin."""
CONTENT = "application/vnd.tertulia.content+json"
"""The type of the text of a converted document: the content of a `document` block of the Messages API."""
IMAGES_BEGIN = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*")
ARCHIVES_BEGIN = (b"PK", b"\xd0\xcf\x11\xe0")

DECODE_SECONDS = 20.0
"""The limit on the processor time for one file. The largest image takes about two seconds."""
DECODE = "tertulia.attachments.decoding:decode"


@dataclass(frozen=True, slots=True)
class Media:
    """The media type of a file, and the size of the image, PDF or text that Claude receives.

    Attributes:
        media_type: The type of the file.
        width: The width of an image in pixels.
        height: The height of an image in pixels.
        pages: The number of pages of a PDF.
        characters: The number of characters of a document that is sent as text.
    """

    media_type: str
    width: int | None = None
    height: int | None = None
    pages: int | None = None
    characters: int | None = None

    @property
    def is_image(self) -> bool:
        """Whether Claude is sent an image."""
        return self.width is not None

    @property
    def is_readable(self) -> bool:
        """Whether Claude can be sent the file. Files that Claude made can be of any type."""
        return self.is_image or self.pages is not None or self.characters is not None


@dataclass(frozen=True, slots=True)
class SentContent:
    """The content that Claude receives for a file."""

    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class InspectedFile:
    """A file that Claude accepts.

    Attributes:
        media: Its type and size.
        converted: The content that Claude receives instead; None if it receives the file itself.
    """

    media: Media
    converted: SentContent | None = None


async def inspect_async(content: Path | bytes, filename: str = "", *, owner: UUID | None) -> InspectedFile:
    """Inspect a file in a sandbox process, and convert it if Claude does not accept its type or size.

    Args:
        content: The path of the file, or its bytes.
        filename: Its name, whose extension distinguishes kinds of texts.
        owner: The user whose file it is. One file of a user is inspected at a time. None if it must not wait for this.

    Raises:
        UnfitMedia: Claude would not accept the file, or it cannot be checked now.
    """
    job = _job(content)
    with _bounds_as_refusal():
        async with nullcontext() if owner is None else TURNS.of(owner):
            arguments = job.arguments(filename)
            return _inspected(await job.sandbox.run(DECODE, seconds=DECODE_SECONDS, data=job.data, **arguments))


def inspect(content: Path | bytes, filename: str = "", *, is_strict: bool = False) -> InspectedFile:
    """Inspect a file like `inspect_async`, in a thread without an event loop.

    Args:
        content: The path of the file, or its bytes.
        filename: Its name.
        is_strict: Whether to refuse a file that would have to be converted.
    """
    job = _job(content)
    arguments = job.arguments(filename, is_strict=is_strict)
    with _bounds_as_refusal():
        return _inspected(job.sandbox.run_blocking(DECODE, seconds=DECODE_SECONDS, data=job.data, **arguments))


def is_visual(beginning: bytes) -> bool:
    """Return whether a file that begins with these bytes may be an image or a PDF, and not another document."""
    is_bitmap = beginning.startswith(b"BM") and beginning[6:10] == b"\0\0\0\0"
    is_webp = beginning.startswith(b"RIFF") and beginning[8:12] == b"WEBP"
    is_heif = beginning[4:8] == b"ftyp"
    if is_bitmap or is_webp or is_heif or beginning.startswith(IMAGES_BEGIN):
        return True
    return PDF_BEGINS in beginning[:BEGINNING] and not beginning.startswith(ARCHIVES_BEGIN)


@dataclass(frozen=True, slots=True)
class _Job:
    sandbox: Sandbox
    data: bytes = b""
    path: str | None = None

    def arguments(self, filename: str, *, is_strict: bool = False) -> dict[str, object]:
        return {"path": self.path, "filename": filename, "is_strict": is_strict}


def _job(content: object) -> _Job:
    if isinstance(content, Path):
        size = content.stat().st_size
        with content.open("rb") as file:
            beginning = file.read(BEGINNING)
    elif isinstance(content, bytes):
        size, beginning = len(content), content[:BEGINNING]
    else:
        raise UnknownMedia(f"its data must be bytes, not {type(content).__name__}.")
    if size > MAX_BYTES:
        raise UnfitMedia(f"a file must have at most {MAX_BYTES >> 20} MB, not {size / 2**20:.1f}.")
    # A document that takes long does not delay images.
    sandbox = MEDIA if is_visual(beginning) else DOCUMENTS
    return _Job(sandbox, path=str(content)) if isinstance(content, Path) else _Job(sandbox, content)


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


def _inspected(result: dict[str, Any]) -> InspectedFile:
    if "refused" in result:
        raise (UnknownMedia if result["unknown"] else UnfitMedia)(result["refused"])
    media_type, encoded = result["converted"] or (None, "")
    converted = None if media_type is None else SentContent(media_type, base64.b64decode(encoded))
    return InspectedFile(Media(**result["media"]), converted)


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
    images = [item for item in media if item.is_image]
    characters = sum(item.characters or 0 for item in media)
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
    if window is not None and characters > window * CHARACTERS_PER_TOKEN:
        return (
            f"documents in a conversation with this model must have at most {window * CHARACTERS_PER_TOKEN:,}"
            f" characters of text, not {characters:,}."
        )
    if size_bytes > MAX_DOCUMENT_BYTES:
        return f"the attachments of a conversation must have at most {MAX_DOCUMENT_BYTES >> 20} MB together."
    return None
