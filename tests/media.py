"""Functions that make small images and PDFs."""

import struct
import zlib
from io import BytesIO

from PIL import Image


def image(kind: str = "PNG", width: int = 8, height: int = 6) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(buffer, kind)
    return buffer.getvalue()


def pdf(*pages: str) -> bytes:
    """Return a PDF with a line of text on each page (PDF 1.7, section 7.5)."""
    count = len(pages)
    kids = " ".join(f"{3 + 2 * index} 0 R" for index in range(count))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>",
    ]
    font = f"{3 + 2 * count} 0 R"
    for index, words in enumerate(pages):
        content = f"BT /F1 12 Tf 72 700 Td ({words}) Tj ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {4 + 2 * index} 0 R"
            f" /Resources << /Font << /F1 {font} >> >> >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    body, offsets = b"%PDF-1.7\n", list[int]()
    for number, inside in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{inside}\nendobj\n".encode()
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return body + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}".encode() + trailer.encode()


def multi_picture() -> bytes:
    """Return a JPEG with a second picture after the first, as many phones write them."""
    buffer = BytesIO()
    first = Image.new("RGB", (50, 40), (30, 200, 30))
    first.save(buffer, "MPO", save_all=True, append_images=[first])
    return buffer.getvalue()


def animation(kind: str) -> bytes:
    """Return a GIF or WebP with two frames."""
    buffer = BytesIO()
    frames = [Image.new("RGB", (20, 20), color) for color in ((200, 30, 30), (30, 30, 200))]
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def in_mode(kind: str, mode: str) -> bytes:
    """Return an image in a mode such as `L` or `RGBA`, whose pixels are not three bytes."""
    buffer = BytesIO()
    Image.new(mode, (20, 20)).save(buffer, kind)
    return buffer.getvalue()


def cut(content: bytes) -> bytes:
    """Return the first two thirds of a file, as after a broken connection."""
    return content[: len(content) * 2 // 3]


def png_without_data() -> bytes:
    """Return a PNG that has only a header and an end (PNG, section 5)."""
    header = struct.pack(">IIBBBBB", 30, 30, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IEND", b"")


def png_of(width: int, height: int, data: bytes = b"") -> bytes:
    """Return a PNG whose header claims this size, regardless of its data."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
