"""How a check ends if it does not pass, and helpers to read what a server of unknown quality sends."""

import json
from typing import Any, cast

from tertulia.json import Json

LONGEST = 1_500
"""Characters of a document that a report quotes."""


class Failed(Exception):
    """A requirement is not fulfilled.

    Attributes:
        sent: What the suite sent.
        received: What it received instead of what the requirement demands.
    """

    def __init__(self, message: str, *, sent: Any = None, received: Any = None) -> None:
        super().__init__(message)
        self.sent, self.received = _quote(sent), _quote(received)


class NotApplicable(Exception):
    """A requirement could not be checked on this server. The message is the reason."""


def reason(error: Exception) -> str:
    """Return the message of an error, or its name if it has none, as timeouts do."""
    return str(error) or type(error).__name__


def member(document: Any, *path: str) -> Any:
    """Return a member of nested objects of JSON, or None if the document has another form."""
    for name in path:
        document = cast("Json", document).get(name) if isinstance(document, dict) else None
    return document


def _quote(document: Any) -> str | None:
    if document is None:
        return None
    text = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"
