"""Annotated types of arguments that several fields share, with their GraphQL descriptions."""

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import ID
from strawberry.types.arguments import StrawberryArgumentAnnotation


def argument(description: str) -> StrawberryArgumentAnnotation:
    """Return the description of an argument, as metadata of its type."""
    return strawberry.argument(description=description)


_CURSOR = "A cursor of another list or order is refused with the code BAD_USER_INPUT."

First = Annotated[
    int | None,
    argument(
        "How many to give from the beginning: 0 to 100, and 50 where neither this nor `last` is given, never both."
    ),
]
Last = Annotated[
    int | None, argument("How many to give from the end, in the list's own order: 0 to 100; not with `first`.")
]
After = Annotated[
    str | None, argument(f"Return the items after this cursor: `endCursor` of the previous page. {_CURSOR}")
]
Before = Annotated[
    str | None, argument(f"Return the items before this cursor: `startCursor` of the next page. {_CURSOR}")
]

SearchQuery = Annotated[str, argument("What to look for: 1 to 32 words and phrases, in at most 1,000 characters.")]

FirstEvents = Annotated[
    int | None,
    argument(
        "How many events to return from the beginning: 0 to 100, and 100 where neither this nor `last` is given, never "
        "both."
    ),
]
LastEvents = Annotated[
    int | None, argument("How many events to return from the end, by rising `sequence`: 0 to 100; not with `first`.")
]
AfterEvents = Annotated[
    int | None, argument("Return the events after this `sequence`; all of them where it is null or 0.")
]
BeforeEvents = Annotated[int | None, argument("Return the events before this `sequence`; null for no bound.")]
_SEQUENCE = "Cursors are sequences in decimal; anything else is refused with the code BAD_USER_INPUT."
AfterEvent = Annotated[
    str | None, argument(f"Return the events after this cursor: `endCursor` of the page before. {_SEQUENCE}")
]
BeforeEvent = Annotated[
    str | None, argument(f"Return the events before this cursor: `startCursor` of the next page. {_SEQUENCE}")
]
Resume = Annotated[
    int | None,
    argument(
        "The last `sequence` that was seen, 0 for none: exactly the events behind it follow. Null for a snapshot of "
        "all that is written so far."
    ),
]
ResumeChanges = Annotated[
    str | None,
    argument(
        "The last `cursor` that was seen, good for a day: what has happened since is told first. Null for what happens "
        "from now on."
    ),
]

Since = Annotated[
    datetime | None, argument("Count from this moment on, itself included; null for all that was before.")
]
Until = Annotated[datetime | None, argument("Count up to this moment, itself left out; null for up to now.")]
OfModel = Annotated[str | None, argument("Count this model alone, by its id; null for all models.")]

ConversationId = Annotated[ID, argument("The conversation's id.")]
GenerationId = Annotated[ID, argument("The answer's id, as a send or `activeGeneration` gave it.")]
MessageId = Annotated[ID, argument("The id of any message of the branch.")]
