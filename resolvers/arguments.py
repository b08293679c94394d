"""Annotated types of arguments that several fields share, with their GraphQL descriptions."""

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import ID
from strawberry.types.arguments import StrawberryArgumentAnnotation


def argument(description: str) -> StrawberryArgumentAnnotation:
    """Return the description of an argument, as metadata of its type."""
    return strawberry.argument(description=description)


_CURSOR = "A cursor of another list or another order fails with the code BAD_USER_INPUT."

First = Annotated[
    int | None,
    argument(
        "The number of items to return from the start of the list: 0 to 100. The default is 50 if `last` is not "
        "passed either. Cannot be combined with `last`."
    ),
]
Last = Annotated[
    int | None,
    argument(
        "The number of items to return from the end of the list, in the list's order: 0 to 100. Cannot be combined "
        "with `first`."
    ),
]
After = Annotated[
    str | None, argument(f"Return the items after this cursor: `endCursor` of the previous page. {_CURSOR}")
]
Before = Annotated[
    str | None, argument(f"Return the items before this cursor: `startCursor` of the next page. {_CURSOR}")
]

SearchQuery = Annotated[
    str, argument("The words and phrases to find: 1 to 32 words and phrases, in at most 1,000 characters.")
]

FirstEvents = Annotated[
    int | None,
    argument(
        "The number of events to return from the start of the list: 0 to 100. The default is 100 if `last` is not "
        "passed either. Cannot be combined with `last`."
    ),
]
LastEvents = Annotated[
    int | None,
    argument(
        "The number of events to return from the end of the list, by ascending `sequence`: 0 to 100. Cannot be "
        "combined with `first`."
    ),
]
AfterEvents = Annotated[
    int | None, argument("Return the events after this `sequence`. Null or 0 returns the events from the first one on.")
]
BeforeEvents = Annotated[int | None, argument("Return the events before this `sequence`. Null sets no upper bound.")]
_SEQUENCE = "A cursor is a sequence in decimal; anything else fails with the code BAD_USER_INPUT."
AfterEvent = Annotated[
    str | None, argument(f"Return the events after this cursor: `endCursor` of the previous page. {_SEQUENCE}")
]
BeforeEvent = Annotated[
    str | None, argument(f"Return the events before this cursor: `startCursor` of the next page. {_SEQUENCE}")
]
Resume = Annotated[
    int | None,
    argument(
        "The `sequence` of the last event that the client has applied, or 0 for none: exactly the events after it "
        "follow. Null begins with a snapshot of everything written so far."
    ),
]
ResumeChanges = Annotated[
    str | None,
    argument(
        "The `cursor` of the last change that the client has received: all changes since then are sent first. Valid "
        "for 24 hours. Null sends only changes from now on."
    ),
]

Since = Annotated[datetime | None, argument("The start of the period, inclusive. Null sets no lower bound.")]
Until = Annotated[datetime | None, argument("The end of the period, exclusive. Null counts up to now.")]
OfModel = Annotated[str | None, argument("The id of the only model to count. Null counts all models.")]

ConversationId = Annotated[ID, argument("The id of the conversation.")]
OptionalConversationId = Annotated[
    ID | None, argument("The id of the conversation. Null if `externalId` is passed instead.")
]
ExternalId = Annotated[
    str | None,
    argument("The application's id of the conversation, 1 to 255 characters. Null if `id` is passed instead."),
]
GenerationId = Annotated[
    ID, argument("The id of the generation, for example from `sendMessage` or `Conversation.activeGeneration`.")
]
MessageId = Annotated[ID, argument("The id of any message of the branch.")]
