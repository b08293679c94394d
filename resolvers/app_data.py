"""Data of the application: the context of messages, and the checks of it."""

from typing import Any

from strawberry.scalars import JSON

from tertulia.db.tables import Message
from tertulia.json import MAX_VALUE_DEPTH, InvalidJson, clean, encode, exact_for_javascript
from tertulia.resolvers.errors import InvalidInput

MAX_CONTEXT = 32_768
"""Bytes of JSON of the context of one message."""


def message_context(root: Message) -> JSON | None:
    """The JSON that the application sent with the user's message, to tell Claude what it knows. Null if there is none.

    Claude receives it beside the text, marked as data of the application. It is kept when the message is edited, unless
    the edit sets another one, and when its branch is forked.
    """
    return JSON(exact_for_javascript(root.context))


def check_context(field: str, value: Any) -> Any:
    """Return the context of a message as JSON that can be stored; raise InvalidInput."""
    return _check_json(field, value, MAX_CONTEXT)


def stored_context(value: Any) -> Any:
    """Return a context as it is stored: an empty object is none."""
    return None if value == {} else value


def _check_json(field: str, value: Any, max_bytes: int) -> Any:
    if value is None:
        return None
    try:
        size = len(encode(value))
        # The same as GraphQL's scalar, for REST and imports.
        cleaned = clean(value, max_depth=MAX_VALUE_DEPTH) if size <= max_bytes else value
    except (InvalidJson, ValueError) as error:
        raise InvalidInput(field, f"must be JSON of at most {MAX_VALUE_DEPTH} levels: {error}.") from None
    if size > max_bytes:
        raise InvalidInput(field, f"must have at most {max_bytes:,} bytes of JSON, not {size:,}.")
    return cleaned
