"""searchMessages: what is found, and the passage that shows it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tertulia.claude.deltas import utf16_length
from tertulia.db import search
from tertulia.db.paging import Edge, Page, PageInfo, connect
from tertulia.db.tables import Message
from tertulia.db.words import Term, matches, terms, words
from tertulia.resolvers.arguments import After, Before, First, Last, SearchQuery
from tertulia.resolvers.context import Info
from tertulia.resolvers.errors import BadUserInput

MAX_QUERY = 1000
MAX_TERMS = 32
PASSAGE = 240
"""Characters of an excerpt, about."""
LOOKED_THROUGH = 50_000
"""Characters of a message that are looked through for its excerpt."""
ALL_LOOKED_THROUGH = 300_000
"""Characters of all messages of a page. The excerpts of those that are left begin where their messages do."""
_ONE_LINE = str.maketrans("\n\r\t", "   ")


class Span(NamedTuple):
    """Where a term stands: from and to, in characters, and the term's number."""

    start: int
    end: int
    term: int


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
    info: Info,
    query: SearchQuery,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> MessageSearchConnection:
    """Full-text search over the viewer's own messages, best match first.

    All words must be there, in any case and with or without accents and vowel points. `"Quotes"` ask for a phrase, a
    star for words that begin so: `tert*`. Pages hold at most 100, and 50 unless asked; of very many matches the newest
    thousand are ranked.

    It fails with the code BAD_USER_INPUT where the query holds no word, or is too long.
    """
    wanted = _terms(query)
    page = Page(first, after, last, before)
    async with info.context.read() as session:
        rows = await search.find(session, info.context.viewer.user_id, wanted, page)
    found = connect(rows, page, lambda row: search.cursor(*row))
    return MessageSearchConnection(await asyncio.to_thread(_edges, found.edges, wanted), found.page_info)


def _terms(query: str) -> list[Term]:
    if len(query) > MAX_QUERY:
        raise BadUserInput("query", f"takes at most {MAX_QUERY:,} characters, not {len(query):,}")
    wanted = terms(query)
    if not wanted:
        raise BadUserInput("query", "must hold a word")
    if len(wanted) > MAX_TERMS:
        raise BadUserInput("query", f"takes at most {MAX_TERMS} words and phrases, not {len(wanted)}")
    return wanted


def _edges(found: Sequence[Edge[tuple[Message, float]]], wanted: Sequence[Term]) -> list[MessageSearchEdge]:
    """Make the edges of a page. In a thread, because it takes a microsecond for each word of each message."""
    left = ALL_LOOKED_THROUGH
    edges: list[MessageSearchEdge] = []
    for edge in found:
        message, score = edge.node
        text = " ".join(block["text"] for block in message.content if block.get("type") == "text")
        looked_through = min(len(text), LOOKED_THROUGH, left)
        left -= looked_through
        excerpt, highlights = passage(text, wanted, looked_through)
        edges.append(MessageSearchEdge(edge.cursor, message, excerpt, highlights, score))
    return edges


def passage(text: str, wanted: Sequence[Term], looked_through: int = LOOKED_THROUGH) -> tuple[str, list[TextRange]]:
    """Return the part of a text's beginning that holds most of the terms, and their positions in it."""
    spans = _spans(text[:looked_through], wanted)
    start, end = _window(text, spans)
    before, behind = "…" * (start > 0), "…" * (end < len(text))
    excerpt = before + text[start:end].translate(_ONE_LINE) + behind
    inside = [(left - start + len(before), right - start + len(before)) for left, right, _ in spans]
    shown = [(left, right) for left, right in inside if left >= len(before) and right <= len(before) + end - start]
    return excerpt, [TextRange(utf16_length(excerpt[:left]), utf16_length(excerpt[:right])) for left, right in shown]


def _spans(text: str, wanted: Sequence[Term]) -> list[Span]:
    """Give where the terms stand, in order; of those that overlap, the first and longest."""
    found = list(words(text))
    spans = [Span(found[match.begin].start, found[match.end - 1].end, match.term) for match in matches(found, wanted)]
    spans.sort(key=lambda span: (span.start, -span.end, span.term))
    kept: list[Span] = []
    for span in spans:
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept


def _window(text: str, spans: Sequence[Span]) -> tuple[int, int]:
    """Choose what is shown: most different terms, then most of them, then the earliest; cut between words."""
    best, chosen = (0, 0), (0, 0)
    inside = Counter[int]()
    behind = 0
    for place, (start, _, number) in enumerate(spans):
        while behind < len(spans) and spans[behind].end <= start + PASSAGE:
            inside[spans[behind].term] += 1
            behind += 1
        worth = (len(inside), behind - place)
        if worth > best:
            best, chosen = worth, (start, spans[behind - 1].end)
        if behind > place:
            inside[number] -= 1
            if not inside[number]:
                del inside[number]
        else:
            behind = place + 1  # one that is longer than a passage
    spare = max(PASSAGE - (chosen[1] - chosen[0]), 0)
    start, end = max(chosen[0] - spare // 2, 0), min(chosen[1] + spare // 2, len(text))
    if start:
        gap = text.find(" ", start, chosen[0])
        start = gap + 1 if gap >= 0 else start
    if end < len(text):
        gap = text.rfind(" ", chosen[1], end)
        end = gap if gap >= 0 else end
    return start, end
