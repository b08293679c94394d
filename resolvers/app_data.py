"""Data of the application: the context of messages, metadata and external ids, with their checks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from strawberry import UNSET
from strawberry.scalars import JSON

from tertulia.db import changes, leases, messages
from tertulia.db import metadata as metadata_rows
from tertulia.db.metadata import ContainerInList, TagCount
from tertulia.db.rows import AnyConversation, AnyMessage
from tertulia.db.tables import ChangeKind, Message
from tertulia.json import MAX_VALUE_DEPTH, InvalidJson, Json, clean, encode, exact_for_javascript, is_list, is_object
from tertulia.resolvers.arguments import argument
from tertulia.resolvers.context import Info, as_uuid
from tertulia.resolvers.errors import BadUserInput, InvalidInput, NotFound
from tertulia.resolvers.inputs import UpdateMessage, check_text

MAX_CONTEXT = 32_768
"""Bytes of JSON of the context of one message."""
MAX_METADATA = 16_384
"""Bytes of JSON."""
MAX_METADATA_DEPTH = 8
"""Levels of objects and lists, including the metadata itself."""
MAX_METADATA_ENTRIES = 100
"""Keys and list items, on all levels together."""
MAX_METADATA_KEY = 100
"""The longest key of metadata, in characters."""
MAX_EXTERNAL_ID = 255
"""Characters."""


@dataclass(frozen=True, slots=True)
class MessagePayload:
    """The message in its current state."""

    # Not `message`, which is a field of errors with another type, so that a selection of both would be invalid.
    updated_message: Message


def message_context(root: AnyMessage) -> JSON | None:
    """The JSON that the application sent with the user's message, to tell Claude what it knows. Null if there is none.

    Claude receives it beside the text, marked as data of the application. It is kept when the message is edited, unless
    the edit sets another one, and when its branch is forked.
    """
    return JSON(exact_for_javascript(root.context))


def metadata_of(root: AnyConversation | AnyMessage) -> JSON:
    """A JSON object of the application, `{}` if there is none. Claude does not receive it."""
    return JSON(exact_for_javascript(root.app_metadata))


def tags_of(root: AnyConversation) -> list[str]:
    """The tags of the conversation: the texts in the list `tags` of its metadata.

    `updateConversation(input: {metadata: {tags: [...]}})` sets them, and `ConversationFilter.metadata` lists the
    conversations with a tag.
    """
    return metadata_rows.tags_in(root.app_metadata)


async def tags_of_viewer(info: Info) -> list[TagCount]:
    """The tags of the viewer's conversations, the most used first.

    At most 100, from the 1,000 conversations with tags that were active last. Temporary conversations do not count.
    """
    async with info.context.read() as session:
        return await metadata_rows.tags(session, info.context.viewer.user_id)


async def update_message(
    info: Info, input: Annotated[UpdateMessage, argument("The message and the fields to change.")]
) -> MessagePayload:
    """Change the metadata of a message. Its content never changes: use `editMessage` for another version of it.

    - `InvalidInput`: The metadata is not accepted.
    - `NotFound`: The message does not exist.
    """
    owner, message_id = info.context.viewer.user_id, as_uuid(input.id)
    async with info.context.database.write() as session:
        await leases.lock_owner(session, owner)
        found = await messages.get_many(session, owner, [message_id]) if message_id else {}
        message = found.get(message_id) if message_id else None
        if message is None:
            raise NotFound(input.id, "message")
        if input.metadata is not UNSET:
            # An assignment writes only this column, so the content of an answer in progress stays the writer's.
            message.app_metadata = merged(message.app_metadata, "metadata", input.metadata)
            await changes.record(session, owner, (ChangeKind.UPDATED, message.conversation_id, None))
    info.context.changed()
    return MessagePayload(message)


def check_context(field: str, value: Any) -> Any:
    """Return the context of a message as JSON that can be stored; raise InvalidInput."""
    return None if value is None else _check_json(field, value, MAX_CONTEXT, MAX_VALUE_DEPTH)


def stored_context(value: Any) -> Any:
    """Return a context as it is stored: an empty object is none."""
    return None if value == {} else value


def merged(metadata: Json, field: str, change: Any) -> Json:
    """Return metadata with the keys of a change, without those that are null in it, or {} if the change is null.

    Raises:
        InvalidInput: The change is not an object, or the result exceeds a limit.
    """
    if change is None:
        return {}
    if not is_object(change):
        raise InvalidInput(field, "must be a JSON object.")
    values = {key: value for key, value in (metadata | change).items() if value is not None}
    result: Json = _check_json(field, values, MAX_METADATA, MAX_METADATA_DEPTH)
    entries = list(_entries(result))
    if len(entries) > MAX_METADATA_ENTRIES:
        raise InvalidInput(
            field,
            f"must have at most {MAX_METADATA_ENTRIES} keys and list items on all levels together, not {len(entries)}.",
        )
    if not all(1 <= len(key) <= MAX_METADATA_KEY for key in entries if key is not None):
        raise InvalidInput(field, f"must have keys of 1 to {MAX_METADATA_KEY} characters.")
    return result


def filter_terms(contains: Any) -> frozenset[str]:
    """Return the terms that a conversation must have to contain an object; raise BadUserInput."""
    field = "filter.metadata.contains"
    if not is_object(contains):
        raise BadUserInput(field, "must be a JSON object.")
    try:
        result: Json = _check_json(field, contains, MAX_METADATA, MAX_METADATA_DEPTH)
        if sum(1 for _ in _entries(result)) > MAX_METADATA_ENTRIES:
            raise BadUserInput(field, f"must have at most {MAX_METADATA_ENTRIES} keys and list items.")
        return metadata_rows.filter_terms(result)
    except InvalidInput as error:
        raise BadUserInput(field, error.predicate) from None
    except ContainerInList:
        raise BadUserInput(field, "must not have objects or lists inside a list.") from None


def check_external_id(external_id: str) -> str:
    """Return an external id; raise InvalidInput."""
    if not external_id:
        raise InvalidInput("externalId", f"must have 1 to {MAX_EXTERNAL_ID} characters.")
    return check_text("externalId", external_id, MAX_EXTERNAL_ID)


def _check_json(field: str, value: Any, max_bytes: int, max_depth: int) -> Any:
    try:
        size = len(encode(value))
        # The same as GraphQL's scalar, for REST and imports. A larger value is not walked.
        cleaned = clean(value, max_depth=max_depth) if size <= max_bytes else value
    except (InvalidJson, ValueError) as error:
        raise InvalidInput(field, f"must be JSON of at most {max_depth} levels: {error}.") from None
    if size > max_bytes:
        raise InvalidInput(field, f"must have at most {max_bytes:,} bytes of JSON, not {size:,}.")
    return cleaned


def _entries(value: Any) -> Iterator[str | None]:
    """Yield the keys of objects, and None for each item of a list, on all levels."""
    if is_object(value):
        for key, part in value.items():
            yield key
            yield from _entries(part)
    elif is_list(value):
        for item in value:
            yield None
            yield from _entries(item)
