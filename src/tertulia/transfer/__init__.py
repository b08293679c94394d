"""Export and import of conversations: Tertulia's own format, Claude's data export, and Markdown."""

from enum import StrEnum


class Format(StrEnum):
    """What an export is written as."""

    JSONL = "jsonl"
    MARKDOWN = "markdown"
