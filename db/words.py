"""Splitting of texts and queries into words for full-text search, in all scripts and the same on both databases. Pure.

Search compares normalized words, without case, accents and vowel points. Each character is a word in scripts that do
not separate words with spaces, and in Korean, which appends particles to words; a word of such a language is a phrase
of characters. Each emoji is a word. Letters and digits are separate words, so that `1.2` finds `v1.2.3`.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import regex

VERSION = 2
"""The version of these rules. Messages that an earlier version indexed are reindexed (`db.search.rebuild`)."""
MAX_WORD = 60
"""The number of characters of a word that are compared."""
_ALONE = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Hangul}"
"""Scripts in which each character is a word."""
_VOICED = r"[\u3099\u309A\uFF9E\uFF9F]"
"""Voicing marks, which belong to the kana before them."""
_JAMO = r"[\u1100-\u115F\uA960-\uA97C][\u1160-\u11A7\uD7B0-\uD7C6]*[\u11A8-\u11FF\uD7CB-\uD7FB]*"
"""A Korean syllable that is written as separate characters for its letters."""
_EMOJI = r"[[\p{Extended_Pictographic}\p{Regional_Indicator}]--[\p{L}\p{N}]]"
_PIECES = (
    rf"{_JAMO}|[[{_ALONE}]--[{_VOICED[1:-1]}]]{_VOICED}?|{_EMOJI}"
    rf"|[\p{{L}}--[{_ALONE}]][[\p{{L}}\p{{M}}\u00AD]--[{_ALONE}]]*|[\p{{N}}--[{_ALONE}]][\p{{N}}\p{{M}}]*"
)
_ASCII = re.compile(r"[a-z]+|[0-9]+")
_QUERY = re.compile(r'"(?P<quoted>[^"]*)"?|(?P<bare>[^\s"]+)')
_MARKS = re.compile(
    r"[\u00AD\u0300-\u036F"  # soft hyphen; accents of Latin, Greek and Cyrillic
    r"\u0591-\u05BD\u05BF\u05C1\u05C2\u05C4\u05C5\u05C7"  # Hebrew points and cantillation
    r"\u0610-\u061A\u0640\u064B-\u0652\u0656-\u065F\u0670\u06D6-\u06DC\u06DF-\u06E4\u06E7\u06E8\u06EA-\u06ED"  # Arabic
    r"\u20D0-\u20FF\uFE00-\uFE0F]"  # enclosing keycaps, variation selectors
)
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "\u0131": "i", "æ": "ae", "œ": "oe"})
"""Letters that Unicode does not decompose, and that users often type without their stroke or dot."""


class Word(NamedTuple):
    """A normalized word of a text, and its position in the text in characters."""

    text: str
    start: int
    end: int


class Term(NamedTuple):
    """Words that must be adjacent. With `prefix`, the last word may be the beginning of a longer word."""

    words: tuple[str, ...]
    prefix: bool = False


class Match(NamedTuple):
    """The position of a term among the words of a text: from `begin` to `end`, exclusive."""

    begin: int
    end: int
    term: int


def words(text: str) -> Iterator[Word]:
    """Yield the words of a text, in order."""
    if text.isascii():
        for plain in _ASCII.finditer(text.lower()):
            yield Word(plain[0][:MAX_WORD], plain.start(), plain.end())
        return
    for piece in _pieces().finditer(text):
        normalized = _normalized(piece.group())
        if normalized:
            yield Word(normalized, piece.start(), piece.end())


def bare_words(text: str) -> list[str]:
    """Return the words of a text without their positions, as the search index stores them."""
    if text.isascii():
        return [word[:MAX_WORD] for word in _ASCII.findall(text.lower())]
    return [normalized for piece in _pieces().findall(text) if (normalized := _normalized(piece))]


def terms(query: str) -> list[Term]:
    """Parse a query of words, "phrases" and prefixes*, which must all occur. Other characters only separate words."""
    result: list[Term] = []
    for part in _QUERY.finditer(query):
        bare = part.group("bare")
        term_words = tuple(word.text for word in words(part.group("quoted") if bare is None else bare))
        if term_words:
            result.append(Term(term_words, prefix=bare is not None and bare.endswith("*")))
    return result


def matches(text_words: list[Word], query_terms: Iterable[Term]) -> Iterator[Match]:
    """Yield the positions of terms among the words of a text. A word is only compared with terms that begin with it."""
    by_first: dict[str, list[int]] = {}
    beginnings: list[int] = []
    term_list = list(query_terms)
    for number, term in enumerate(term_list):
        if term.prefix and len(term.words) == 1:
            beginnings.append(number)
        else:
            by_first.setdefault(term.words[0], []).append(number)
    for position, word in enumerate(text_words):
        for number in by_first.get(word.text, ()):
            if _matches_at(text_words, position, term_list[number]):
                yield Match(position, position + len(term_list[number].words), number)
        for number in beginnings:
            if word.text.startswith(term_list[number].words[0]):
                yield Match(position, position + 1, number)


def _matches_at(text_words: list[Word], position: int, term: Term) -> bool:
    last_position = position + len(term.words) - 1
    if last_position >= len(text_words):
        return False
    end = text_words[last_position].text
    return (end.startswith(term.words[-1]) if term.prefix else end == term.words[-1]) and all(
        text_words[position + step].text == word for step, word in enumerate(term.words[:-1])
    )


@cache
def _pieces() -> "regex.Pattern[str]":
    # Imported here, because only texts that are not ASCII need the library.
    import regex

    return regex.compile(_PIECES, regex.V1)


@lru_cache(maxsize=20_000)
def _normalized(word: str) -> str:
    if word.isascii():
        return word.lower()[:MAX_WORD]
    bare = _MARKS.sub("", unicodedata.normalize("NFKD", word)).casefold().translate(_LETTERS)
    digits = "".join([str(unicodedata.digit(character, character)) for character in bare])
    return unicodedata.normalize("NFC", digits)[:MAX_WORD]
