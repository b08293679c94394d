"""The text of HTML pages, and of electronic books (EPUB), whose chapters are HTML."""

import posixpath
from collections.abc import Iterator
from importlib import import_module
from itertools import count
from typing import Any
from urllib.parse import unquote

from tertulia.attachments.documents.archives import Archive, local_name
from tertulia.attachments.documents.errors import DAMAGED, UnfitMedia
from tertulia.attachments.documents.passages import Unit, named
from tertulia.attachments.documents.texts import decoded

SKIPPED = frozenset({"script", "style", "template", "noscript", "svg", "math", "object", "iframe", "head"})
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
BLOCKS = HEADINGS | frozenset(
    [
        *("address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "details", "div", "dl"),
        *("dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html", "legend", "li", "main"),
        *("nav", "ol", "option", "p", "pre", "section", "summary", "table", "tbody", "tfoot", "thead", "title", "tr"),
        "ul",
    ]
)
CELLS = frozenset({"td", "th"})
MAX_CHAPTERS = 2_000


def page_units(page: str, section: str = "") -> Iterator[Unit]:
    """Yield the paragraphs of an HTML page.

    Args:
        page: The page.
        section: The name of the part of the document, such as a chapter.
    """
    numbers = count(1)
    heading = ""
    for kind, text in _blocks(_parse(page)):
        if kind in HEADINGS:
            heading = named(text)
        place = ", ".join(part for part in (section, heading) if part)
        yield Unit(place, "paragraph", next(numbers), f"- {text}" if kind == "li" else text)


def book_units(archive: Archive) -> Iterator[Unit]:
    """Yield the paragraphs of an EPUB, in reading order."""
    if "META-INF/rights.xml" in archive or "META-INF/sinf.xml" in archive:
        raise UnfitMedia("the book is protected against copying (DRM).")
    container = archive.xml("META-INF/container.xml")
    package_name = next((item.get("full-path") for item in container.iter("{*}rootfile")), None)
    if not package_name:
        raise UnfitMedia(DAMAGED)
    package = archive.xml(package_name)
    files = {item.get("id"): item.get("href") or "" for item in package.iterfind("{*}manifest/{*}item")}
    references = list(package.iterfind("{*}spine/{*}itemref"))[:MAX_CHAPTERS]
    for number, reference in enumerate(references, start=1):
        path = posixpath.join(posixpath.dirname(package_name), unquote(files.get(reference.get("idref"), "")))
        if (name := posixpath.normpath(path)) in archive:
            yield from page_units(decoded(archive.read(name)) or "", f"chapter {number}")


def _parse(page: str) -> Any:
    html: Any = import_module("lxml.html")
    parser = html.HTMLParser(encoding="utf-8", huge_tree=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        return html.document_fromstring(page.encode("utf-8", "replace"), parser)
    except Exception as error:
        # `lxml.etree.ParserError` for a page without elements, and others.
        raise UnfitMedia(DAMAGED) from error


def _blocks(root: Any) -> Iterator[tuple[str, str]]:
    """Yield the kind and the text of each block."""
    etree: Any = import_module("lxml.etree")
    walker = etree.iterwalk(root, events=("start", "end"))
    parts: list[str] = []
    kind = ""
    preformatted = 0
    for event, element in walker:
        name = local_name(element)
        if event == "start" and name in SKIPPED:
            walker.skip_subtree()
            continue
        if name in BLOCKS:
            if text := _collapsed(parts, keep=preformatted > 0):
                yield kind, text
            parts = []
            preformatted += {"start": 1, "end": -1}[event] if name == "pre" else 0
            kind = name if event == "start" else ""
        elif name in CELLS and event == "end":
            parts.append(" | ")
        if event == "start":
            parts.append(element.text or "")
        elif element.tail and name not in ("html", "body"):
            parts.append(element.tail)
    if text := _collapsed(parts, keep=False):
        yield kind, text


def _collapsed(parts: list[str], *, keep: bool) -> str:
    text = "".join(parts)
    return text.strip("\n") if keep and text.strip() else " ".join(text.split()).removesuffix(" |").strip()
