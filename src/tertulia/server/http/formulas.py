"""The formulas of Markdown texts. `web/app/src/formulas.ts` finds the same ones on the chat page.

Positions that a search has found are remembered, so that hostile texts take linear time.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass

FIRST, LAST = 0xE000, 0xF8FF
"""The placeholders: characters for private use, in the order of the formulas."""
PLACEHOLDER = re.compile("[\ue000-\uf8ff]")

_FENCE = re.compile(r"^(?:[ \t]|>|(?:[-*+]|\d+[.)])[ \t])*+(`{3,}|~{3,})[^`\n]*$", re.MULTILINE)
_TICKS = re.compile("`+")
_BLANK_LINE = re.compile(r"\n\s*\n")
# The target of a link, escaped backslashes and escaped dollar signs are text.
_TEXT = re.compile(r"\]\((?:\\.|[^()\s\\]|\([^()\s]*\))*+\)|\\\\|\\\$")
_DOLLARS = re.compile(r"\$\$(?:\\.|[^\\$])++\$\$")
# As in Pandoc, so that "$5 and $10" is text.
_DOLLAR = re.compile(r"(?<![\w$])\$(?![\s$])(?:\\.|[^\\$\n])*+(?<!\s)\$(?![\w$])", re.ASCII)
_BEGINNING = re.compile(r"^[ \t>\-*+\d]*(?:```|~~~)|`|\]\(|\\[\\$\[(]|\$|[\ue000-\uf8ff]", re.MULTILINE)


@dataclass(frozen=True)
class WithFormulas:
    """A text with a placeholder for each formula, so that Markdown does not interpret the formulas."""

    text: str
    sources: list[str]
    """The formulas with their delimiters."""


def extract_formulas(markdown: str) -> WithFormulas:
    """Replace the formulas of a text, and characters that look like placeholders."""
    if not re.search(r"[$\\\ue000-\uf8ff]", markdown):
        return WithFormulas(markdown, [])
    tokens = _Tokens(markdown)
    pieces, sources = list[str](), list[str]()
    position = 0
    while (found := _BEGINNING.search(markdown, position)) and len(sources) <= LAST - FIRST:
        end, is_formula = tokens.at(found.start())
        pieces.append(markdown[position : found.start()])
        pieces.append(chr(FIRST + len(sources)) if is_formula else markdown[found.start() : end])
        if is_formula:
            sources.append(markdown[found.start() : end])
        position = end
    return WithFormulas("".join(pieces) + markdown[position:], sources)


class _Tokens:
    """The code, links, escaped characters and formulas of a text. Remembers where the next delimiters are."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._next = dict[str, int]()
        self._ticks = defaultdict[int, list[int]](list)
        for run in _TICKS.finditer(text):
            self._ticks[len(run[0])].append(run.start())

    def at(self, start: int) -> tuple[int, bool]:
        """Return the end of the token that begins here, and whether it is a formula."""
        text = self._text
        if (fence := _FENCE.match(text, start)) is not None:
            closing = re.compile(rf"^[ \t>]*{fence[1]}", re.MULTILINE).search(text, fence.end())
            return (closing.end() if closing else len(text)), False
        if text[start] == "`":
            return self._code(start), False
        if (other := _TEXT.match(text, start)) is not None:
            return other.end(), False
        end = self._formula(start)
        return (start + 1, PLACEHOLDER.match(text, start) is not None) if end is None else (end, True)

    def _formula(self, start: int) -> int | None:
        """Return the end of the formula that begins here; None if there is none."""
        text = self._text
        if (formula := _DOLLARS.match(text, start) or _DOLLAR.match(text, start)) is not None:
            return formula.end()
        for opening, closing in (("\\[", "\\]"), ("\\(", "\\)")):
            if text.startswith(opening, start):
                end = self._find(closing, start + 2)
                limit = self._paragraph(start) if opening == "\\(" else len(text)
                return end + 2 if start + 2 < end < limit else None
        return None

    def _code(self, start: int) -> int:
        """Return the end of the inline code that begins with these backticks, or else their end."""
        run = _TICKS.match(self._text, start)
        length = len(run[0]) if run else 1
        places = self._ticks[length]
        following = bisect_left(places, start + length)
        if following == len(places) or places[following] >= self._paragraph(start):
            return start + length
        return places[following] + length

    def _paragraph(self, start: int) -> int:
        """Return the end of the paragraph that contains this position."""
        if self._next.get("paragraph", -1) < start:
            blank = _BLANK_LINE.search(self._text, start)
            self._next["paragraph"] = blank.start() if blank else len(self._text)
        return self._next["paragraph"]

    def _find(self, delimiter: str, start: int) -> int:
        """Return the next position of a delimiter; -1 if there is none."""
        if self._next.get(delimiter, -1) < start:
            found = self._text.find(delimiter, start)
            self._next[delimiter] = found if found >= 0 else len(self._text)
        return self._next[delimiter] if self._next[delimiter] < len(self._text) else -1
