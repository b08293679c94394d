"""The decoding of images, and their conversion to what Claude accepts. It runs in a sandbox process."""

import struct
from dataclasses import dataclass
from importlib import import_module
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tertulia.attachments.documents.errors import UnfitMedia, UnknownMedia
from tertulia.attachments.documents.kinds import ACCEPTED
from tertulia.attachments.media import FORMATS, MAX_DOCUMENT_BYTES, MAX_IMAGE_BYTES, MAX_SIDE, PDF, Media, SentContent
from tertulia.extras import is_installed

if TYPE_CHECKING:
    from PIL.Image import Image

MULTI_PICTURE = "MPO"
"""Pillow's name for JPEG files that contain more pictures after the first one. Many phones write them."""
HEIF = "HEIF"
OTHER_FORMATS = {"AVIF": "image/avif", "BMP": "image/bmp", HEIF: "image/heic", "TIFF": "image/tiff"}
"""The formats that are converted."""
LOSSLESS = ("BMP", "GIF", "PNG", "TIFF")
MAX_PIXELS = 100_000_000
"""The largest image in pixels. Decoding takes up to 8 bytes for each."""
CONVERTED_SIDE = 2_000
"""The maximum width and height of a converted image. A request with many images may not contain larger ones."""
MAX_TIFF_PAGES = 50
ORIENTATION = 0x0112
"""The tag of the orientation. Source: Exif 2.32, section 4.6.4."""
QUALITIES = (90, 75, 60)
DIRECT = ("L", "RGB", "RGBA", "CMYK", "YCbCr")
"""The modes that can be scaled down before the colors are converted, which takes less memory."""
BOX = struct.Struct(">I4s")
"""The header of a box of the ISO base media file format: its size and its type (ISO/IEC 14496-12, section 4.2)."""
FILE_TYPE = b"ftyp"
GRAY_16 = ("I", "I;16", "I;16B", "I;16L")


@dataclass(frozen=True, slots=True)
class Picture:
    """An image: its type and size, and the image that Claude receives instead, if it was converted."""

    media: Media
    converted: SentContent | None = None


def decode_picture(content: Path | bytes, size: int, *, is_strict: bool) -> Picture:
    """Decode an image completely.

    Args:
        content: The image.
        size: The number of its bytes.
        is_strict: Whether an image that would have to be converted is refused.

    Raises:
        UnknownMedia: The file is no image.
        UnfitMedia: The image is damaged or too large.
    """
    pillow: Any = import_module("PIL.Image")
    pillow.MAX_IMAGE_PIXELS = None  # `MAX_PIXELS` and the sandbox limit the size instead.
    formats = list(FORMATS)
    if not is_strict:
        formats += [name for name in OTHER_FORMATS if name != HEIF]
        if is_installed("documents"):
            import_module("pi_heif").register_heif_opener()
            formats.append(HEIF)
    source = BytesIO(content) if isinstance(content, bytes) else content
    with BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
        if file.read(BOX.size)[4:] == FILE_TYPE and not _is_complete(file):
            raise UnfitMedia("the image is cut off.")
    try:
        image: Image = pillow.open(source, formats=formats)
    except Exception as error:
        # Pillow's plugins raise many exceptions, such as `struct.error` and `ZeroDivisionError`.
        raise UnknownMedia(ACCEPTED) from error
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise UnfitMedia(f"an image must have at most {MAX_PIXELS:,} pixels, not {image.width} x {image.height}.")
        try:
            return _decode(image, size, is_strict=is_strict)
        except UnfitMedia:
            raise
        except MemoryError:
            raise UnfitMedia("decoding the image takes too much memory.") from None
        except Exception as error:
            raise UnfitMedia("the image is damaged and cannot be decoded.") from error


def _decode(image: "Image", size: int, *, is_strict: bool) -> Picture:
    kind = str(image.format)
    media_type = FORMATS.get(kind) or OTHER_FORMATS.get(kind, FORMATS["JPEG"])
    is_large = max(image.size) > MAX_SIDE or size > MAX_IMAGE_BYTES
    if is_strict and is_large:
        raise UnfitMedia(f"an image must have at most {MAX_SIDE} x {MAX_SIDE} pixels and {MAX_IMAGE_BYTES >> 10} KB.")
    if kind == "TIFF" and getattr(image, "n_frames", 1) > 1:
        return _as_document(image)
    # Claude's API drops the metadata of images, and with it the orientation.
    is_turned = not is_strict and image.getexif().get(ORIENTATION, 1) != 1
    if is_large or is_turned or kind in OTHER_FORMATS:
        return _converted(image, media_type, is_lossless=kind in LOSSLESS)
    # The headers do not show whether an image was cut off.
    image.load()
    return Picture(Media(media_type, image.width, image.height))


def _is_complete(file: BinaryIO) -> bool:
    """Return whether no box of a HEIC or AVIF ends after the file. Decoders accept some files that are cut off."""
    size, at = file.seek(0, SEEK_END), 0
    while at < size:
        file.seek(at)
        header = file.read(BOX.size)
        if len(header) < BOX.size:
            return False
        length = int(BOX.unpack(header)[0])
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        at = size if length == 0 else at + max(length, BOX.size)
    return at == size


def _converted(image: "Image", media_type: str, *, is_lossless: bool) -> Picture:
    shown = _upright(image)
    has_alpha = shown.mode == "RGBA"
    attempts: list[tuple[str, int]] = [("PNG", 0)] if is_lossless or has_alpha else []
    attempts += [("WEBP" if has_alpha else "JPEG", quality) for quality in QUALITIES]
    for kind, quality in attempts:
        buffer = BytesIO()
        shown.save(buffer, kind, quality=quality)
        if buffer.tell() <= MAX_IMAGE_BYTES:
            media = Media(media_type, shown.width, shown.height)
            return Picture(media, SentContent(FORMATS[kind], buffer.getvalue()))
    raise UnfitMedia("the image is too large, also after it was scaled down.")


def _upright(image: "Image") -> "Image":
    """Return an image in RGB or RGBA, scaled, turned as its metadata demands, and without metadata."""
    from PIL import ImageOps

    if image.mode in DIRECT:
        # Of a large JPEG, this decodes only as many pixels as are needed.
        image.thumbnail((CONVERTED_SIDE, CONVERTED_SIDE))
    image.load()
    shown = _in_color(image)
    shown.thumbnail((CONVERTED_SIDE, CONVERTED_SIDE))
    shown.info = {key: value for key, value in image.info.items() if key in ("exif", "icc_profile")}
    profile = shown.info.pop("icc_profile", None)
    shown = _in_srgb(ImageOps.exif_transpose(shown), profile)
    shown.info = {}
    return shown


def _in_color(image: "Image") -> "Image":
    if image.mode in GRAY_16:
        gray: Any = image.convert("I")
        shown: Image = gray.point([value >> 8 for value in range(1 << 16)], "L").convert("RGB")
        return shown
    has_alpha = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    return image.convert("RGBA" if has_alpha else "RGB")


def _in_srgb(image: "Image", profile: bytes | None) -> "Image":
    """Return an image in the colors that are assumed where there is no profile."""
    if not profile:
        return image
    colors: Any = import_module("PIL.ImageCms")
    try:
        own, srgb = colors.ImageCmsProfile(BytesIO(profile)), colors.createProfile("sRGB")
        shown: Image = colors.profileToProfile(image, own, srgb, outputMode=image.mode)
    except (colors.PyCMSError, OSError, ValueError, TypeError):
        return image
    return shown


def _as_document(image: "Image") -> Picture:
    """Return the pages of a TIFF, for example of a scanner or a fax, as a PDF."""
    pages: int = getattr(image, "n_frames", 1)
    if pages > MAX_TIFF_PAGES:
        raise UnfitMedia(f"a TIFF must have at most {MAX_TIFF_PAGES} pages, not {pages}. Save it as a PDF.")
    frames: list[Image] = []
    for number in range(pages):
        image.seek(number)
        if image.width * image.height > MAX_PIXELS:
            raise UnfitMedia(f"an image must have at most {MAX_PIXELS:,} pixels, not {image.width} x {image.height}.")
        frames.append(_upright(image).convert("RGB"))
    buffer = BytesIO()
    frames[0].save(buffer, "PDF", save_all=True, append_images=frames[1:])
    if buffer.tell() > MAX_DOCUMENT_BYTES:
        raise UnfitMedia(f"the pages of the TIFF must have at most {MAX_DOCUMENT_BYTES >> 20} MB together.")
    return Picture(Media(OTHER_FORMATS["TIFF"], pages=pages), SentContent(PDF, buffer.getvalue()))
