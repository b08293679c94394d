"""Claude's own data export: `conversations.json`, alone or in its archive.

Its conversations are trees or plain lists of messages; files are named, not contained, but for the text of some.
Thinking bears no signature there, so that it can be read, and not sent again.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from tertulia.db.tables import Role, now
from tertulia.json import Json
from tertulia.resolvers.errors import InvalidInput
from tertulia.resolvers.inputs import MAX_TITLE
from tertulia.transfer.blocks import described
from tertulia.transfer.format import BlocksLeftOut, ConversationLine, Item, MessageLine, Moment, Name, Placed

ROLES = {"human": Role.USER, "assistant": Role.ASSISTANT}


def _list(value: object) -> object:
    return [] if value is None else value


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


Text = Annotated[str | None, BeforeValidator(_text_or_none)]
"""Text that nothing depends on: null where the export has something else."""


class _Lenient(BaseModel):
    # Anthropic may add fields at any time.
    model_config = ConfigDict(extra="ignore")


class _Attached(_Lenient):
    file_name: Text = None
    extracted_content: Text = None


class _Message(_Lenient):
    uuid: Name
    sender: Text = None
    text: Text = None
    content: Annotated[list[Any], BeforeValidator(_list)] = []
    created_at: Moment | None = None
    attachments: Annotated[list[_Attached], BeforeValidator(_list)] = []
    files: Annotated[list[_Attached], BeforeValidator(_list)] = []
    parent_message_uuid: Text = None


class _Conversation(_Lenient):
    uuid: Name
    name: Text = None
    created_at: Moment | None = None
    updated_at: Moment | None = None
    chat_messages: Annotated[list[_Message], BeforeValidator(_list)]


def items_of(conversations: Iterator[Any], model: str) -> Iterator[Item]:
    """Yield what an export holds; raise InvalidInput, which names the conversation."""
    for number, found in enumerate(conversations):
        place = f"conversation {number}: "
        try:
            conversation = _Conversation.model_validate(found)
        except ValidationError as error:
            raise InvalidInput("file", f"{place}{described(error)}") from None
        yield from _items(conversation, model, place)


def _items(found: _Conversation, model: str, place: str) -> Iterator[Item]:
    title = " ".join((found.name or "").split())[:MAX_TITLE] or None
    begun = found.created_at or found.updated_at or now()
    line = ConversationLine(
        id=found.uuid, title=title, model=model, created_at=begun, updated_at=found.updated_at or begun
    )
    yield Placed(line, place)
    following: dict[str, str | None] = {}
    """By message: the one that what follows it has as its parent, which is another where it is left out."""
    previous: MessageLine | None = None
    left_out = 0
    for message in found.chat_messages:
        named = message.parent_message_uuid
        parent = following.get(named or "")
        if named is None and previous is not None:
            # Older exports name no parents: each message follows the one before it.
            parent = previous.id
        role = ROLES.get(message.sender or "")
        if role is None or message.uuid in following or (parent is None and role is Role.ASSISTANT):
            left_out += max(len(message.content), 1)
            following.setdefault(message.uuid, parent)
            continue
        blocks, without = _blocks(message, role)
        left_out += without
        previous = _line(message, parent, role, blocks, previous.created_at if previous else begun)
        following[message.uuid] = message.uuid
        yield previous
    if left_out:
        yield BlocksLeftOut(left_out)


def _line(message: _Message, parent: str | None, role: Role, blocks: list[Json], before: datetime) -> MessageLine:
    created_at = message.created_at or before
    return MessageLine(id=message.uuid, parent_id=parent, role=role, content=blocks, created_at=created_at)


def _blocks(message: _Message, role: Role) -> tuple[list[Json], int]:
    """Give what can be kept of a message, and how many blocks cannot."""
    kept: list[Json] = []
    for attached in (*message.attachments, *message.files):
        name = attached.file_name or "a file"
        kept.append(_text(f"[{name}]\n\n{attached.extracted_content}" if attached.extracted_content else f"[{name}]"))
    theirs = [block for given in message.content if (block := _block(given, role)) is not None]
    left_out = len(message.content) - len(theirs)
    if not theirs and message.text:
        theirs = [_text(message.text)]
    return [*kept, *theirs], left_out


def _block(given: object, role: Role) -> Json | None:
    block = cast("Json", given) if isinstance(given, dict) else {}
    match block.get("type"):
        case "text" if isinstance(block.get("text"), str) and block["text"]:
            return _text(block["text"])
        case "thinking" if isinstance(block.get("thinking"), str) and role is Role.ASSISTANT:
            return {"type": "thinking", "thinking": block["thinking"], "partial": True}
        case _:
            return None


def _text(text: str) -> Json:
    return {"type": "text", "text": text}
