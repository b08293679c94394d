"""Text files: their encoding, Markdown, source code, notebooks and RTF."""

import codecs
import json
import re
from collections.abc import Iterator
from importlib import import_module
from itertools import count
from typing import Any

from tertulia.attachments.documents.errors import DAMAGED, UnfitMedia
from tertulia.attachments.documents.passages import Unit, named
from tertulia.extras import is_installed
from tertulia.json import Json, is_list, is_object

SAMPLE = 200_000
"""The number of bytes from which an encoding is guessed."""
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
USUAL = "cp1252"
"""The most frequent encoding of texts that are not in Unicode."""
TIE = 0.1
"""The difference of two guesses up to which the more frequent encoding is chosen."""
MAX_CONTROLS = 0.01
"""The largest share of control characters in a text. Binary files have more."""
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_HEADING = re.compile(r"#{1,6}\s+(.+?)\s*#*\s*$")
_FENCE = re.compile(r"\s{0,3}(```|~~~)")


def decoded(data: bytes) -> str | None:
    """Return the text of a file in any encoding; None if it is not a text."""
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if data.startswith(mark):
            return _checked(data.decode(encoding, "replace"))
    try:
        return _checked(data.decode())
    except UnicodeDecodeError:
        return None if b"\0" in data[:SAMPLE] else _guessed(data)


def line_units(text: str) -> Iterator[Unit]:
    """Yield the lines of source code, a log or another text that is no prose."""
    for number, line in enumerate(text.splitlines(), start=1):
        yield Unit("", "line", number, line)


def markdown_units(text: str) -> Iterator[Unit]:
    """Yield the lines of Markdown, by heading."""
    section, fenced = "", False
    for number, line in enumerate(text.splitlines(), start=1):
        fenced ^= _FENCE.match(line) is not None
        if not fenced and (heading := _HEADING.match(line)):
            section = named(heading[1])
        yield Unit(section, "line", number, line)


def notebook_units(notebook: Json) -> Iterator[Unit]:
    """Yield the cells of a Jupyter notebook, with the text of their output."""
    cells: Any = notebook["cells"]
    for number, cell in enumerate(cells, start=1):
        if not is_object(cell):
            raise UnfitMedia(DAMAGED)
        parts = [_joined(cell.get("source"))]
        outputs: Any = cell.get("outputs")
        parts += [_output_text(output) for output in outputs if is_object(output)] if is_list(outputs) else []
        yield Unit(f"cell {number}", "", number, "\n".join(part for part in parts if part))


def rtf_units(data: bytes) -> Iterator[Unit]:
    """Yield the paragraphs of an RTF document."""
    striprtf: Any = import_module("striprtf.striprtf")
    numbers = count(1)
    try:
        text: str = striprtf.rtf_to_text(data.decode("latin-1"), errors="replace")
    except Exception as error:
        raise UnfitMedia(DAMAGED) from error
    for paragraph in text.splitlines():
        yield Unit("", "paragraph", next(numbers), paragraph)


def as_json(text: str) -> Any:
    """Return the value of JSON; None if the text is none, or is neither an object nor an array."""
    if text.lstrip("\ufeff \t\r\n")[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _output_text(output: Json) -> str:
    data: Any = output.get("data")
    return _joined(output.get("text") or (data.get("text/plain") if is_object(data) else ""))


def _joined(lines: Any) -> str:
    return "".join(str(line) for line in lines) if is_list(lines) else str(lines or "")


def _checked(text: str) -> str | None:
    sample = text[:SAMPLE]
    return text if len(_CONTROLS.findall(sample)) <= MAX_CONTROLS * len(sample) else None


def _guessed(data: bytes) -> str | None:
    if not is_installed("documents"):
        raise UnfitMedia("a text must be in UTF-8 or UTF-16.")
    charset_normalizer: Any = import_module("charset_normalizer")
    matches = charset_normalizer.from_bytes(data[:SAMPLE])
    best = matches.best()
    if best is None:
        return None
    # Short texts often match several encodings of Latin letters equally well.
    likely = (match for match in matches if match.chaos <= best.chaos + TIE)
    is_usual = any(USUAL in match.could_be_from_charset for match in likely)
    return _checked(data.decode(USUAL if is_usual else best.encoding, "replace"))
