"""The query `searchMessages`, and the excerpts of its matches."""

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
"""The longest search, in characters."""
MAX_TERMS = 32
"""Words and phrases."""
PASSAGE = 240
"""Approximate length of an excerpt, in characters."""
MAX_SCANNED = 50_000
"""Characters of a message that are searched for its excerpt."""
MAX_SCANNED_ON_PAGE = 300_000
"""Characters of all messages of a page that are searched. Excerpts of the remaining messages are their beginnings."""
_ONE_LINE = str.maketrans("\n\r\t", "   ")


class Span(NamedTuple):
    """An occurrence of a term: its first character, the first one after it, and the term's number."""

    start: int
    end: int
    term: int


@dataclass(frozen=True, slots=True)
class TextRange:
    """A range of a text, in UTF-16 code units; `end` is exclusive."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class MessageSearchEdge:
    """A message that matches."""

    cursor: str
    node: Message
    excerpt: str
    highlights: list[TextRange]
    score: float


@dataclass(frozen=True, slots=True)
class MessageSearchConnection:
    """A page of matches."""

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
    """Search the text of the viewer's messages. The best match comes first.

    A message matches if it contains all words of the query, in upper or lower case, with or without accents and vowel
    points. `"Quotes"` search for a phrase, and an asterisk for words with a prefix: `tert*`. A page has at most 100
    matches, and 50 by default. If more than 1,000 messages match, only the newest 1,000 are ranked.

    Fails with the code BAD_USER_INPUT if the query contains no word or is too long.
    """
    search_terms = _terms(query)
    page = Page(first, after, last, before)
    async with info.context.read() as session:
        rows = await search.find(session, info.context.viewer.user_id, search_terms, page)
    page_of_rows = connect(rows, page, lambda row: search.cursor(*row))
    return MessageSearchConnection(
        await asyncio.to_thread(_edges, page_of_rows.edges, search_terms), page_of_rows.page_info
    )


def _terms(query: str) -> list[Term]:
    if len(query) > MAX_QUERY:
        raise BadUserInput("query", f"must have at most {MAX_QUERY:,} characters, not {len(query):,}.")
    search_terms = terms(query)
    if not search_terms:
        raise BadUserInput("query", "must contain a word.")
    if len(search_terms) > MAX_TERMS:
        raise BadUserInput("query", f"must have at most {MAX_TERMS} words and phrases, not {len(search_terms)}.")
    return search_terms


def _edges(rows: Sequence[Edge[tuple[Message, float]]], search_terms: Sequence[Term]) -> list[MessageSearchEdge]:
    """Return the edges of a page. Runs in a thread, because it takes a microsecond for each word of each message."""
    remaining = MAX_SCANNED_ON_PAGE
    edges: list[MessageSearchEdge] = []
    for edge in rows:
        message, score = edge.node
        text = " ".join(block["text"] for block in message.content if block.get("type") == "text")
        scanned = min(len(text), MAX_SCANNED, remaining)
        remaining -= scanned
        excerpt, highlights = passage(text, search_terms, scanned)
        edges.append(MessageSearchEdge(edge.cursor, message, excerpt, highlights, score))
    return edges


def passage(text: str, search_terms: Sequence[Term], scanned: int = MAX_SCANNED) -> tuple[str, list[TextRange]]:
    """Return the excerpt of a text, and the positions of the terms in the excerpt.

    Args:
        text: The text of a message.
        search_terms: The terms of the query.
        scanned: The number of characters at the beginning of the text that are searched.
    """
    spans = _spans(text[:scanned], search_terms)
    start, end = _window(text, spans)
    prefix, suffix = "…" * (start > 0), "…" * (end < len(text))
    excerpt = prefix + text[start:end].translate(_ONE_LINE) + suffix
    ranges = [(span.start - start + len(prefix), span.end - start + len(prefix)) for span in spans]
    visible = [(low, high) for low, high in ranges if low >= len(prefix) and high <= len(prefix) + end - start]
    return excerpt, [TextRange(utf16_length(excerpt[:low]), utf16_length(excerpt[:high])) for low, high in visible]


def _spans(text: str, search_terms: Sequence[Term]) -> list[Span]:
    """Return the occurrences of the terms in order. Of overlapping ones, only the first and longest is returned."""
    text_words = list(words(text))
    spans = [
        Span(text_words[match.begin].start, text_words[match.end - 1].end, match.term)
        for match in matches(text_words, search_terms)
    ]
    spans.sort(key=lambda span: (span.start, -span.end, span.term))
    disjoint: list[Span] = []
    for span in spans:
        if not disjoint or span.start >= disjoint[-1].end:
            disjoint.append(span)
    return disjoint


def _window(text: str, spans: Sequence[Span]) -> tuple[int, int]:
    """Return the first character of the excerpt and the one after its end. The excerpt is cut between words.

    It is the passage with the most different terms, then with the most occurrences, then the earliest one.
    """
    best_score, extent = (0, 0), (0, 0)
    term_counts = Counter[int]()
    past_last = 0
    for first, (start, _, number) in enumerate(spans):
        while past_last < len(spans) and spans[past_last].end <= start + PASSAGE:
            term_counts[spans[past_last].term] += 1
            past_last += 1
        score = (len(term_counts), past_last - first)
        if score > best_score:
            best_score, extent = score, (start, spans[past_last - 1].end)
        if past_last > first:
            term_counts[number] -= 1
            if not term_counts[number]:
                del term_counts[number]
        else:
            past_last = first + 1  # this span is longer than an excerpt
    spare = max(PASSAGE - (extent[1] - extent[0]), 0)
    start, end = max(extent[0] - spare // 2, 0), min(extent[1] + spare // 2, len(text))
    if start:
        gap = text.find(" ", start, extent[0])
        start = gap + 1 if gap >= 0 else start
    if end < len(text):
        gap = text.rfind(" ", extent[1], end)
        end = gap if gap >= 0 else end
    return start, end
