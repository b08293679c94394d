"""Words, for searching: the same on either database, in any language's writing. Pure.

What is searched are not texts but words made alike: without case and accents, and, in scripts that put no spaces
between words, each character by itself, so that a word of theirs is a phrase of characters.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import regex

MAX_WORD = 60
"""Characters of a word that count."""
_PIECES = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
    r"|[[\p{L}\p{N}\p{M}]--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]]+",
    regex.V1,
)
_ASCII = re.compile(r"[0-9a-z]+")
_QUERY = regex.compile(r'"(?P<quoted>[^"]*)"?|(?P<bare>[^\s"]+)')
_ACCENTS = regex.compile(r"[\u0300-\u036f]")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text: as it is compared, and where it stands, in characters."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Term:
    """Words that must stand side by side; with `prefix`, the last one may go on."""

    words: tuple[str, ...]
    prefix: bool = False


def words(text: str) -> Iterator[Word]:
    """Give the words of a text, in order."""
    for found in _PIECES.finditer(text):
        alike = _alike(found.group())
        if alike:
            yield Word(alike, found.start(), found.end())


def bare_words(text: str) -> list[str]:
    """Give the words of a text without their places: what is stored of each message."""
    if text.isascii():
        return [word[:MAX_WORD] for word in _ASCII.findall(text.lower())]
    return [alike for piece in _PIECES.findall(text) if (alike := _alike(piece))]


def terms(query: str) -> list[Term]:
    """Read a query: words, all of which must be there; "a phrase"; a beginning*. Anything else only parts words."""
    found: list[Term] = []
    for part in _QUERY.finditer(query):
        bare = part.group("bare")
        inside = tuple(word.text for word in words(part.group("quoted") if bare is None else bare))
        if inside:
            found.append(Term(inside, prefix=bare is not None and bare.endswith("*")))
    return found


def matches(found: list[Word], term: Term) -> Iterator[tuple[int, int]]:
    """Give where a term stands among a text's words: the first one's place, and the place behind the last."""
    count, last = len(term.words), term.words[-1]
    for place in range(len(found) - count + 1):
        end = found[place + count - 1].text
        if (end.startswith(last) if term.prefix else end == last) and all(
            found[place + step].text == word for step, word in enumerate(term.words[:-1])
        ):
            yield place, place + count


def _alike(word: str) -> str:
    if word.isascii():
        return word.lower()[:MAX_WORD]
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", word))
    return unicodedata.normalize("NFC", bare.casefold())[:MAX_WORD]
