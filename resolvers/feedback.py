"""The mutation that rates an answer, and the field that returns the rating."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from strawberry import UNSET

from tertulia.claude.tracing import record_rating
from tertulia.db import changes, generations, leases, outbox
from tertulia.db.rows import AnyMessage
from tertulia.db.tables import ChangeKind, Conversation, Generation, Message, Role, now
from tertulia.json import Json
from tertulia.resolvers.arguments import argument
from tertulia.resolvers.context import Context, Info
from tertulia.resolvers.errors import InvalidInput
from tertulia.resolvers.inputs import RateMessage, Rating, check_text
from tertulia.resolvers.turns import find_message

MAX_COMMENT = 2_000
"""Characters."""
MAX_TAGS = 20
MAX_TAG = 50
"""Characters of one tag."""


@dataclass(frozen=True, slots=True)
class MessageRating:
    """The viewer's rating of an answer."""

    rating: Rating
    comment: str | None
    tags: Sequence[str]
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class RatedMessage:
    """The answer with its current rating."""

    answer: Message


def rating(root: AnyMessage) -> MessageRating | None:
    """The viewer's rating of the answer. Null if it is not rated, and for a user's message."""
    stored = root.rating
    if stored is None:
        return None
    updated_at = datetime.fromisoformat(stored["updated_at"])
    return MessageRating(Rating(stored["rating"]), stored["comment"], stored["tags"], updated_at)


async def rate_message(
    info: Info, input: Annotated[RateMessage, argument("The answer, and its rating.")]
) -> RatedMessage:
    """Rate an answer, change its rating, or remove it. A repeated request changes nothing.

    - `InvalidInput`: The message is not an answer, or the comment or a tag is not accepted.
    - `NotFound`: The message does not exist.
    """
    context, owner = info.context, info.context.viewer.user_id
    comment = check_comment("comment", input.comment)
    tags = check_tags("tags", input.tags or [])
    if input.rating is UNSET:
        raise InvalidInput("rating", "must be GOOD, BAD or null.")
    if input.rating is None and (comment is not None or tags):
        raise InvalidInput("rating", "must not be null with a comment or tags.")
    async with context.database.write() as session:
        await leases.lock_owner(session, owner)
        message, conversation = await find_message(session, owner, input.message_id)
        if message.role is not Role.ASSISTANT:
            raise InvalidInput("messageId", "must be the id of an answer.")
        values = None if input.rating is None else {"rating": input.rating.value, "comment": comment, "tags": tags}
        if values == _without_time(message.rating):
            return RatedMessage(message)
        # An assignment writes only this column, so the content of an answer in progress stays the writer's.
        message.rating = None if values is None else {**values, "updated_at": now().isoformat()}
        generation = (await generations.of_messages(session, owner, [message.id])).get(message.id)
        await changes.record(session, owner, (ChangeKind.UPDATED, conversation.id, None))
        await outbox.add(session, owner, "message.rated", _event(message, conversation, generation))
    context.changed()
    if input.rating is not None and generation is not None:
        await _record(context, input.rating, generation)
    return RatedMessage(message)


def _event(message: Message, conversation: Conversation, generation: Generation | None) -> Json:
    rating = message.rating or {}
    return {
        "conversation_id": conversation.id,
        "generation_id": generation and generation.id,
        "message_id": message.id,
        "temporary": conversation.temporary,
        "model": generation and generation.model,
        "rating": rating.get("rating"),
        "tags": rating.get("tags", []),
    }


async def _record(context: Context, rating: Rating, generation: Generation) -> None:
    """Record a rating in the trace of the answer, and count it."""
    record_rating(generation.id, generation.trace, rating.value, is_good=rating is Rating.GOOD)
    # An import may contain models with any names, and each new name would be another time series.
    is_ours = await context.models.allows(generation.model)
    context.services.observer.on_rating(rating.value, generation.model if is_ours else "other")


def check_comment(field: str, comment: str | None) -> str | None:
    """Return the comment, or None if it is blank; raise InvalidInput if it is not accepted."""
    return check_text(field, comment, MAX_COMMENT) if comment is not None and comment.strip() else None


def check_tags(field: str, tags: Sequence[str]) -> list[str]:
    """Return the tags without duplicates; raise InvalidInput if one is not accepted, or there are too many."""
    if len(tags) > MAX_TAGS:
        raise InvalidInput(field, f"must have at most {MAX_TAGS} tags, not {len(tags):,}.")
    for index, tag in enumerate(tags):
        if not tag.strip():
            raise InvalidInput(f"{field}[{index}]", "must not be blank.")
        check_text(f"{field}[{index}]", tag, MAX_TAG)
    return list(dict.fromkeys(tags))


def _without_time(stored: Json | None) -> dict[str, Any] | None:
    return None if stored is None else {name: value for name, value in stored.items() if name != "updated_at"}
