"""The text of word processing documents and presentations: Office Open XML (ECMA-376) and OpenDocument."""

import posixpath
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from tertulia.attachments.documents.archives import Archive, local_name
from tertulia.attachments.documents.errors import DAMAGED, PROTECTED, UnfitMedia
from tertulia.attachments.documents.passages import Unit, named

SPACES = {"tab": "\t", "br": "\n", "cr": "\n", "line-break": "\n", "noBreakHyphen": "-"}
PROPERTIES = ("pPr", "rPr", "tblPr", "sectPr")
OPEN_DOCUMENT = "{urn:oasis:names:tc:opendocument"
"""The beginning of the namespaces of OpenDocument."""
NOTES = {"footnotes": "footnote", "endnotes": "endnote"}


def main_part(archive: Archive, kind: str) -> str:
    """Return the name of the main part of a file of Office Open XML.

    Args:
        archive: The file.
        kind: The end of the part's content type without its suffix, such as `presentation`.
    """
    for override in archive.xml("[Content_Types].xml"):
        content_type = (override.get("ContentType") or "").lower()
        if content_type.endswith(".main+xml") and kind in content_type:
            return (override.get("PartName") or "").lstrip("/")
    raise UnfitMedia(DAMAGED)


def word_units(archive: Archive) -> Iterator[Unit]:
    """Yield the paragraphs and the rows of tables of a DOCX file, then its notes."""
    part = main_part(archive, "wordprocessingml")
    related = {_kind(item): _target(part, item) for item in archive.relationships(part).values()}
    names = _style_names(archive, related.get("styles"))
    section = ""
    root = _without_alternatives(archive.xml(part))
    for number, element in enumerate(_top_level(root), start=1):
        text = row_text(element) if local_name(element) == "tr" else text_of(element)
        style = next(iter(element.iterfind("{*}pPr/{*}pStyle")), None)
        if style is not None and text.strip() and _is_heading(names.get(_value(style), _value(style))):
            section = named(text)
        yield Unit(section, "paragraph", number, text)
    for kind, note in NOTES.items():
        if (notes_part := related.get(kind, "")) in archive:
            for number, element in enumerate(archive.xml(notes_part), start=-1):
                # The first two are the lines that separate notes from the text.
                yield Unit("", note, max(number, 1), text_of(element))


def slide_units(archive: Archive) -> Iterator[Unit]:
    """Yield the slides of a PPTX file in the order of the presentation, with their notes."""
    part = main_part(archive, "presentationml")
    related = archive.relationships(part)
    ids = [
        next((value for name, value in item.items() if name.endswith("}id")), "") for item in _slide_list(archive, part)
    ]
    for number, slide_id in enumerate(ids, start=1):
        if (item := related.get(slide_id)) is None or (slide := _target(part, item)) not in archive:
            continue
        lines = [_shape_text(archive.xml(slide))]
        others = archive.relationships(slide).values()
        notes = (_target(slide, other) for other in others if _kind(other) == "notesSlide")
        lines += [_noted(archive.xml(name)) for name in notes if name in archive]
        yield Unit(f"slide {number}", "", number, "\n".join(line for line in lines if line.strip()))


def opendocument_units(archive: Archive) -> Iterator[Unit]:
    """Yield the paragraphs of an ODT file, or the slides of an ODP file."""
    manifest = "META-INF/manifest.xml"
    if manifest in archive and b"encryption-data" in archive.read(manifest):
        raise UnfitMedia(PROTECTED)
    root = archive.xml("content.xml")
    pages = list(root.iter("{*}page"))
    for number, page in enumerate(pages, start=1):
        yield Unit(f"slide {number}", "", number, "\n".join(text_of(item) for item in page.iter("{*}p", "{*}h")))
    if pages:
        return
    section = ""
    for number, element in enumerate(_top_level(root), start=1):
        name = local_name(element)
        text = row_text(element) if name == "table-row" else text_of(element)
        section = named(text) or section if name == "h" else section
        yield Unit(section, "paragraph", number, text)


def text_of(element: Any) -> str:
    """Return the text of an element, in which paragraphs are lines."""
    etree: Any = import_module("lxml.etree")
    walker = etree.iterwalk(element, events=("start", "end"))
    parts: list[str] = []
    for event, item in walker:
        name = local_name(item)
        # In OpenDocument, all elements have text. In Office Open XML, runs have it.
        is_open = isinstance(item.tag, str) and item.tag.startswith(OPEN_DOCUMENT)
        if event == "end":
            parts.append((item.tail or "") if is_open and item is not element else "")
        elif name in PROPERTIES:
            walker.skip_subtree()
        else:
            if name == "p" and parts and not parts[-1].endswith("\n"):
                parts.append("\n")
            parts.append(" " * _count(item) if is_open and name == "s" else SPACES.get(name, ""))
            parts.append((item.text or "") if is_open or name == "t" else "")
    return "".join(parts).strip("\n")


def row_text(row: Any) -> str:
    """Return the cells of a row of a table, separated by bars."""
    cells = [" ".join(text_of(cell).split()) for cell in row.iter("{*}tc", "{*}table-cell") if _row_of(cell) is row]
    return " | ".join(cells) if any(cells) else ""


def _row_of(cell: Any) -> Any:
    return next(cell.iterancestors("{*}tr", "{*}table-row"), None)


def _top_level(root: Any) -> Iterator[Any]:
    """Yield paragraphs, headings and rows that are not inside others."""
    kinds = ("{*}p", "{*}h", "{*}tr", "{*}table-row")
    for element in root.iter(*kinds):
        if next(element.iterancestors(*kinds), None) is None:
            yield element


def _count(item: Any) -> int:
    count = next((value for name, value in item.items() if name.endswith("}c")), "1")
    return min(int(count), 100) if count.isdecimal() else 1


def _without_alternatives(root: Any) -> Any:
    # Text boxes are stored twice: for new programs, and as a fallback for old ones.
    etree: Any = import_module("lxml.etree")
    etree.strip_elements(root, "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback", with_tail=False)
    return root


def _shape_text(root: Any) -> str:
    lines = [
        row_text(item) if local_name(item) == "tr" else text_of(item)
        for item in _top_level(_without_alternatives(root))
    ]
    return "\n".join(line for line in lines if line.strip())


def _noted(root: Any) -> str:
    # A page of notes also has a picture of the slide, and its number as a field.
    for field in list(root.iter("{*}fld")):
        field.getparent().remove(field)
    text = _shape_text(root)
    return f"Notes: {text}" if text else ""


def _slide_list(archive: Archive, part: str) -> list[Any]:
    return list(archive.xml(part).iterfind("{*}sldIdLst/{*}sldId"))


def _style_names(archive: Archive, part: str | None) -> dict[str, str]:
    """Return the names of styles by id. Names of headings are the same in all languages, and ids are not."""
    if part is None or part not in archive:
        return {}
    names: dict[str, str] = {}
    for style in archive.xml(part).iterfind("{*}style"):
        name = next(iter(style.iterfind("{*}name")), None)
        style_id = next((value for key, value in style.items() if key.endswith("}styleId")), "")
        names[style_id] = _value(name) if name is not None else ""
    return names


def _is_heading(style: str) -> bool:
    return style.lower().startswith(("heading", "title"))


def _value(element: Any) -> str:
    return next((value for name, value in element.items() if name.endswith("}val")), "")


def _kind(relationship: Any) -> str:
    return (relationship.get("Type") or "").rpartition("/")[2]


def _target(part: str, relationship: Any) -> str:
    if relationship.get("TargetMode") == "External":
        return ""
    return posixpath.normpath(posixpath.join("/", posixpath.dirname(part), relationship.get("Target") or "")).lstrip(
        "/"
    )
