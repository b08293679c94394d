"""The format of Claude's data export: `conversations.json`, alone or in an archive.

A conversation is a tree or a list of messages. Files are only named; the export contains the text of some of them.
Thinking has no signature there, so it can be shown but not sent to Claude again.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from tertulia.db.tables import Role, now
from tertulia.json import Json
from tertulia.resolvers.errors import InvalidInput
from tertulia.resolvers.inputs import MAX_TITLE
from tertulia.transfer.blocks import describe_error
from tertulia.transfer.format import BlocksLeftOut, ConversationItem, ConversationLine, Item, MessageLine, Moment, Name

ROLES = {"human": Role.USER, "assistant": Role.ASSISTANT}


def _list(value: object) -> object:
    return [] if value is None else value


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


Text = Annotated[str | None, BeforeValidator(_text_or_none)]
"""Optional text; None if the export has a value of another type."""


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
    """Yield the items of an export.

    Args:
        conversations: The decoded conversations.
        model: The model of the conversations, which the export does not contain.

    Raises:
        InvalidInput: A conversation is not valid. The error gives its index.
    """
    for number, raw_conversation in enumerate(conversations):
        error_prefix = f"has an error in conversation {number}: "
        try:
            conversation = _Conversation.model_validate(raw_conversation)
        except ValidationError as error:
            raise InvalidInput("file", f"{error_prefix}{describe_error(error)}") from None
        yield from _items(conversation, model, error_prefix)


def _items(conversation: _Conversation, model: str, error_prefix: str) -> Iterator[Item]:
    title = " ".join((conversation.name or "").split())[:MAX_TITLE] or None
    created_at = conversation.created_at or conversation.updated_at or now()
    line = ConversationLine(
        id=conversation.uuid,
        title=title,
        model=model,
        created_at=created_at,
        updated_at=conversation.updated_at or created_at,
    )
    yield ConversationItem(line, error_prefix)
    parents: dict[str, str | None] = {}
    """The parent for the replies to each message, by its id: the message itself, or its parent if it is left out."""
    previous: MessageLine | None = None
    left_out = 0
    for message in conversation.chat_messages:
        parent_id = message.parent_message_uuid
        parent = parents.get(parent_id or "")
        if parent_id is None and previous is not None:
            # Older exports contain no parents: each message follows the previous one.
            parent = previous.id
        role = ROLES.get(message.sender or "")
        if role is None or message.uuid in parents or (parent is None and role is Role.ASSISTANT):
            left_out += max(len(message.content), 1)
            parents.setdefault(message.uuid, parent)
            continue
        blocks, blocks_left_out = _blocks(message, role)
        left_out += blocks_left_out
        previous = _line(message, parent, role, blocks, previous.created_at if previous else created_at)
        parents[message.uuid] = message.uuid
        yield previous
    if left_out:
        yield BlocksLeftOut(left_out)


def _line(message: _Message, parent: str | None, role: Role, blocks: list[Json], default_time: datetime) -> MessageLine:
    created_at = message.created_at or default_time
    return MessageLine(id=message.uuid, parent_id=parent, role=role, content=blocks, created_at=created_at)


def _blocks(message: _Message, role: Role) -> tuple[list[Json], int]:
    """Return the blocks of a message that can be imported, and the number of blocks that cannot."""
    file_blocks: list[Json] = []
    for attached in (*message.attachments, *message.files):
        name = attached.file_name or "a file"
        file_blocks.append(
            _text(f"[{name}]\n\n{attached.extracted_content}" if attached.extracted_content else f"[{name}]")
        )
    content_blocks = [block for raw_block in message.content if (block := _block(raw_block, role)) is not None]
    left_out = len(message.content) - len(content_blocks)
    if not content_blocks and message.text:
        content_blocks = [_text(message.text)]
    return [*file_blocks, *content_blocks], left_out


def _block(raw_block: object, role: Role) -> Json | None:
    block = cast("Json", raw_block) if isinstance(raw_block, dict) else {}
    match block.get("type"):
        case "text" if isinstance(block.get("text"), str) and block["text"]:
            return _text(block["text"])
        case "thinking" if isinstance(block.get("thinking"), str) and role is Role.ASSISTANT:
            return {"type": "thinking", "thinking": block["thinking"], "partial": True}
        case _:
            return None


def _text(text: str) -> Json:
    return {"type": "text", "text": text}
