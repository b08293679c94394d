"""Export and import of conversations, in Tertulia's own format, Claude's data export and Markdown."""

from enum import StrEnum


class Format(StrEnum):
    """The format of an export."""

    JSONL = "jsonl"
    MARKDOWN = "markdown"
