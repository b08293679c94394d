"""searchMessages: what is found, and the passage that shows it."""

from collections.abc import Sequence
from dataclasses import dataclass

from claude.pieces import utf16_length
from db import search
from db.paging import Page, PageInfo
from db.tables import Json, Message
from db.words import Term, matches, terms, words
from resolvers.arguments import After, FirstFound, SearchQuery
from resolvers.context import Info
from resolvers.errors import BadUserInput

MAX_QUERY = 1000
MAX_TERMS = 32
PASSAGE = 240
"""Characters of an excerpt, about."""
_ONE_LINE = str.maketrans("\n\r\t", "   ")

Span = tuple[int, int, int]
"""From and to, in characters, and the number of the term that stands there."""


@dataclass(frozen=True, slots=True)
class TextRange:
    """A stretch of a text, in UTF-16 code units; `end` is the first behind it."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class MessageSearchEdge:
    """A message that was found."""

    cursor: str
    node: Message
    excerpt: str
    highlights: list[TextRange]
    score: float


@dataclass(frozen=True, slots=True)
class MessageSearchConnection:
    """A page of what was found."""

    edges: list[MessageSearchEdge]
    page_info: PageInfo


async def search_messages(
    info: Info, query: SearchQuery, first: FirstFound = None, after: After = None
) -> MessageSearchConnection:
    """Full-text search over the viewer's own messages, best match first.

    All words must be there, in any case and with or without accents. `"Quotes"` ask for a phrase, a star for words that
    begin so: `tert*`. Pages hold at most 100, and 50 unless asked; of very many matches the newest thousand are ranked.

    It fails with the code BAD_USER_INPUT where the query holds no word, or is too long.
    """
    wanted = _terms(query)
    page = Page(first, after)
    async with info.context.read() as session:
        found = await search.find(session, info.context.viewer.id, wanted, page.size + 1, after)
    edges = [_edge(message, score, wanted) for message, score in found[: page.size]]
    ends = (edges[0].cursor, edges[-1].cursor) if edges else (None, None)
    return MessageSearchConnection(edges, PageInfo(len(found) > page.size, after is not None, *ends))


def _terms(query: str) -> list[Term]:
    if len(query) > MAX_QUERY:
        raise BadUserInput("query", f"takes at most {MAX_QUERY:,} characters, not {len(query):,}")
    wanted = terms(query)
    if not wanted:
        raise BadUserInput("query", "must hold a word")
    if len(wanted) > MAX_TERMS:
        raise BadUserInput("query", f"takes at most {MAX_TERMS} words and phrases, not {len(wanted)}")
    return wanted


def _edge(message: Message, score: float, wanted: Sequence[Term]) -> MessageSearchEdge:
    excerpt, highlights = passage(message.content, wanted)
    return MessageSearchEdge(search.cursor(message, score), message, excerpt, highlights, score)


def passage(content: Sequence[Json], wanted: Sequence[Term]) -> tuple[str, list[TextRange]]:
    """Give the stretch of a message's text that holds most of the terms, and where they stand in it."""
    text = " ".join(block["text"] for block in content if block.get("type") == "text")
    spans = _spans(text, wanted)
    start, end = _window(text, spans)
    before, behind = "…" * (start > 0), "…" * (end < len(text))
    excerpt = before + text[start:end].translate(_ONE_LINE) + behind
    inside = [(left - start + len(before), right - start + len(before)) for left, right, _ in spans]
    shown = [(left, right) for left, right in inside if left >= len(before) and right <= len(before) + end - start]
    return excerpt, [TextRange(utf16_length(excerpt[:left]), utf16_length(excerpt[:right])) for left, right in shown]


def _spans(text: str, wanted: Sequence[Term]) -> list[Span]:
    """Give where the terms stand, in order; of those that overlap, the first and longest."""
    found = list(words(text))
    spans = sorted(
        (found[begin].start, -found[end - 1].end, number)
        for number, term in enumerate(wanted)
        for begin, end in matches(found, term)
    )
    kept: list[Span] = []
    for start, negative_end, number in spans:
        if not kept or start >= kept[-1][1]:
            kept.append((start, -negative_end, number))
    return kept


def _window(text: str, spans: Sequence[Span]) -> tuple[int, int]:
    """Choose what is shown: most different terms, then most of them, then the earliest; cut between words."""
    best, chosen = (0, 0), (0, 0)
    for place, (start, _, _) in enumerate(spans):
        inside = [span for span in spans[place : place + PASSAGE] if span[1] <= start + PASSAGE]
        worth = (len({number for _, _, number in inside}), len(inside))
        if worth > best:
            best, chosen = worth, (start, inside[-1][1])
    spare = max(PASSAGE - (chosen[1] - chosen[0]), 0)
    start, end = max(chosen[0] - spare // 2, 0), min(chosen[1] + spare // 2, len(text))
    if start:
        gap = text.find(" ", start, chosen[0])
        start = gap + 1 if gap >= 0 else start
    if end < len(text):
        gap = text.rfind(" ", chosen[1], end)
        end = gap if gap >= 0 else end
    return start, end
