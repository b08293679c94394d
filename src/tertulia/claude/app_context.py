"""The context of a message: JSON of the application, which Claude receives beside the user's words.

The text depends only on the JSON, so that each later request repeats it byte for byte, and Claude's cache applies.
"""

from collections.abc import Sequence
from typing import Any

from tertulia.json import Json, dumps

INTRODUCTION = "The application sent this JSON with the user's message. The user did not write it."


def with_context(content: Sequence[Json], context: Any) -> list[Json]:
    """Return the blocks of a user's message with a block for its context, after attachments and before the text."""
    if context is None:
        return list(content)
    end = next((index for index, block in enumerate(content) if block.get("type") == "text"), len(content))
    return [*content[:end], {"type": "text", "text": context_text(context)}, *content[end:]]


def context_text(context: Any) -> str:
    """Return the text of a context. No string in it can end the element, because every `<` is escaped."""
    data = dumps(context).replace("<", "\\u003c")
    return f"<application_context>\n{INTRODUCTION}\n{data}\n</application_context>"
