"""Documents that Claude can cite: results of tools and of the hook `retrieve`.

Source: "Search results" in the Claude API documentation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tertulia.json import Json, clean_text

MAX_TITLE, MAX_SOURCE = 1_000, 2_000
"""The maximum lengths in characters."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document that a tool or the hook `retrieve` found for an answer. Claude can cite its passages.

    Attributes:
        title: The title, at most 1,000 characters. Citations contain it.
        source: The address of the document, or another name of it, at most 2,000 characters. Citations contain it.
        passages: The texts, in order. A citation quotes one or more of them.
    """

    title: str
    source: str
    passages: Sequence[str]


def check_document(document: Document) -> None:
    """Raise ValueError for a document that Claude's API would refuse."""
    for name, text, limit in (("title", document.title, MAX_TITLE), ("source", document.source, MAX_SOURCE)):
        if not text.strip() or len(text) > limit:
            raise ValueError(f"the {name} of a document must have 1 to {limit:,} characters, and must not be blank.")
    if isinstance(document.passages, str) or not any(passage.strip() for passage in document.passages):
        raise ValueError("`passages` of a document must be a list of texts, and at least one must not be blank.")


def search_result(document: Document) -> Json:
    """Return the content block of a document."""
    passages = [clean_text(passage) for passage in document.passages if passage.strip()]
    return {
        "type": "search_result",
        "source": clean_text(document.source),
        "title": clean_text(document.title),
        "content": [{"type": "text", "text": passage} for passage in passages],
        "citations": {"enabled": True},
    }
