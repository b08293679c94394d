"""Small images and PDFs, made on the spot."""

from io import BytesIO

from PIL import Image


def image(kind: str = "PNG", width: int = 8, height: int = 6) -> bytes:
    made = BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(made, kind)
    return made.getvalue()


def pdf(*pages: str) -> bytes:
    """A PDF with a line of text on each page (PDF 1.7, section 7.5)."""
    count = len(pages)
    kids = " ".join(f"{3 + 2 * place} 0 R" for place in range(count))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>",
    ]
    font = f"{3 + 2 * count} 0 R"
    for place, words in enumerate(pages):
        content = f"BT /F1 12 Tf 72 700 Td ({words}) Tj ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {4 + 2 * place} 0 R"
            f" /Resources << /Font << /F1 {font} >> >> >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    body, places = b"%PDF-1.7\n", list[int]()
    for number, inside in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n{inside}\nendobj\n".encode()
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return body + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}".encode() + trailer.encode()
