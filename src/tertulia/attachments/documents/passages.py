"""Passages: pieces of a document's text with their places, which Claude cites.

A passage begins with a line that names its place, such as `⟦slide 3⟧`. So Claude reads the place, and a citation
contains it, because it quotes the whole passage.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from tertulia.attachments.documents.errors import UnfitMedia

LENGTH = 1_200
"""The number of characters after which a passage ends. Claude cites whole passages."""
MAX_LENGTH = 8_000
"""Longer paragraphs and rows are split."""
MAX_CHARACTERS = 2_000_000
"""The longest text of a document. It has about 500,000 tokens."""
MAX_UNITS = 500_000
"""The most paragraphs, rows or lines, including blank ones."""
MAX_PLACE = 120
"""The maximum number of characters of a heading or another name in a place."""
_PLACE = re.compile(r"^⟦([^⟦⟧\n]+)⟧\n", re.MULTILINE)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Unit:
    """The smallest piece of a document, such as a paragraph.

    Attributes:
        section: The part of the document that contains it, such as `slide 3`; empty if there is none.
        kind: What it is, in the singular; empty if the section is the place.
        number: Its number, counted from 1.
        text: Its text.
    """

    section: str
    kind: str
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A text with its place in the document."""

    place: str
    text: str

    @property
    def marked(self) -> str:
        """The text after a line that names the place."""
        return f"⟦{self.place}⟧\n{self.text}"


def passages(units: Iterable[Unit]) -> Iterator[Passage]:
    """Join adjacent units of a section to passages. Blank units are left out; raise UnfitMedia for too many units."""
    for (section, kind), grouped in groupby(_counted(units), lambda unit: (unit.section, unit.kind)):
        waiting: list[Unit] = []
        size = 0
        for unit in grouped:
            text = clean(unit.text)
            if not text.strip():
                continue
            if waiting and size + len(text) > LENGTH:
                yield from _joined(section, kind, waiting)
                waiting, size = [], 0
            waiting.append(Unit(section, kind, unit.number, text))
            size += len(text)
        if waiting:
            yield from _joined(section, kind, waiting)


def _counted(units: Iterable[Unit]) -> Iterator[Unit]:
    for count, unit in enumerate(units, start=1):
        if count > MAX_UNITS:
            raise UnfitMedia(f"the document must have at most {MAX_UNITS:,} paragraphs, rows or lines.")
        yield unit


def named(text: str) -> str:
    """Return a heading or another name, shortened and in quotation marks, for a place."""
    name = " ".join(clean(text).split())
    return f"“{name if len(name) <= MAX_PLACE else name[: MAX_PLACE - 1] + '…'}”" if name else ""


def clean(text: str) -> str:
    """Return a text without control characters, lone surrogates and the marks of places."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).replace("⟦", "[").replace("⟧", "]")


def places_in(cited_text: str) -> list[str]:
    """Return the places that a cited text names."""
    return _PLACE.findall(cited_text)


def without_places(cited_text: str) -> str:
    """Return a cited text without the lines that name its places."""
    return _PLACE.sub("", cited_text)


def _joined(section: str, kind: str, units: list[Unit]) -> Iterator[Passage]:
    first, last = units[0].number, units[-1].number
    numbers = f"{kind} {first}" if first == last else f"{kind}s {first}-{last}"
    place = ", ".join(part for part in (section, numbers if kind else "") if part)
    text = "\n".join(unit.text for unit in units).strip("\n")
    for start in range(0, len(text), MAX_LENGTH):
        if (piece := text[start : start + MAX_LENGTH]).strip():
            yield Passage(place, piece)
