"""Tools that return documents, which Claude can cite."""

from tertulia import Document, Image
from tertulia.tools.base import Part


def look_up(topic: str = "returns") -> list[Part]:
    """Return documents about a topic.

    Args:
        topic: The topic.
    """
    pages = [
        Document(f"All about {topic}", f"https://example.com/{topic}", ["Within 30 days.", "We pay the label."]),
        Document("The handbook", "handbook §7", [f"Ask about {topic}."]),
    ]
    return [f"Two documents about {topic}:", *pages]


def look_up_long() -> Document:
    """Return a long document."""
    return Document("Long", "long.txt", ["a" * 150_000, "b" * 150_000, "c"])


def look_up_nothing() -> list[Document | Image]:
    """Return an invalid document."""
    return [Document("", "x", ["y"])]
