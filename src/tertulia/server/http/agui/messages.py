"""Stored messages as messages of AG-UI, with the ids that the events of a running answer have. All functions are pure.

An answer is several messages there: each text, thinking and tool result has its own, and a call belongs to the text
before it.
"""

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any
from uuid import UUID

from tertulia.db.rows import MessageRow
from tertulia.db.tables import Role
from tertulia.json import Json, dumps, is_list, is_object
from tertulia.resolvers.content import (
    ContentBlock,
    DocumentBlock,
    ImageBlock,
    JsonBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    show_block,
)

CLIENT_DATA = "ag-ui"
"""The key of a message's metadata for what the client sent, which AG-UI reserves for itself."""
INCOMPLETE = "Claude did not complete this call."
"""The result of a call whose input was interrupted, so that no client runs it."""
NO_RESULT = "The answer ended before this call had a result."


class Kind(Enum):
    """The kinds of blocks that decide to which message a call belongs."""

    TEXT = auto()
    CALL = auto()
    OTHER = auto()


def kind_of(block: ContentBlock | None) -> Kind:
    """Return the kind of a block."""
    match block:
        case TextBlock() | JsonBlock():
            return Kind.TEXT
        case ToolUseBlock():
            return Kind.CALL
        case _:
            return Kind.OTHER


def block_id(message_id: str, index: int) -> str:
    """Return the id of the message that a block of an answer is in AG-UI."""
    return f"{message_id}-{index}"


def result_id(message_id: str, call_id: str) -> str:
    """Return the id of the message with the result of a call that has no block for it."""
    return f"{message_id}-{call_id}"


def parent_of_call(kinds: Mapping[int, Kind], index: int) -> int:
    """Return the block whose message a call belongs to: the text before it, or else the first of adjacent calls."""
    parent = index
    for earlier in range(index - 1, -1, -1):
        kind = kinds.get(earlier)
        if kind is Kind.TEXT:
            return earlier
        if kind is not Kind.CALL:
            break
        parent = earlier
    return parent


def is_incomplete(block: Json) -> bool:
    """Return whether Claude has not completed a block."""
    return bool(block.get("partial")) or block.get("partial_json") is not None


def arguments_of(block: Json) -> str:
    """Return the input of a call as JSON text, which is cut off if the call is incomplete."""
    partial = block.get("partial_json")
    return partial if isinstance(partial, str) else dumps(block.get("input") or {})


def output_of(block: Json) -> str:
    """Return the result of a call as text, without pictures."""
    content = block.get("content")
    if isinstance(content, str) or content is None:
        return content or ""
    if not is_list(content):
        return dumps(content)
    texts = [part.get("text") for part in content if is_object(part) and part.get("type") == "text"]
    return "\n".join(text for text in texts if isinstance(text, str)) if texts else dumps(content)


def client_id_of(row: MessageRow) -> str:
    """Return the id that the client gave to a user's message, or else that of the server."""
    data = row.app_metadata.get(CLIENT_DATA)
    own = data.get("id") if is_object(data) else None
    return own if isinstance(own, str) else str(row.id)


def of_rows(rows: Sequence[MessageRow], attachment_path: str) -> list[Json]:
    """Convert messages that are no longer written.

    Args:
        rows: The messages, oldest first.
        attachment_path: The path of attachments, to which their id is added.
    """
    converted: list[Json] = []
    for row in rows:
        if row.role is Role.USER:
            converted.append(_of_user(row, attachment_path))
        else:
            converted += of_answer(str(row.id), row.content, is_running=False)
    return converted


def of_answer(message_id: str, blocks: Sequence[Json], *, is_running: bool) -> list[Json]:
    """Convert an answer. `is_running`: whether its last block, and calls without a result, may still be completed."""
    messages: dict[str, Json] = {}
    kinds: dict[int, Kind] = {}
    unsettled: dict[str, str] = {}
    for index, stored in enumerate(blocks):
        block, own = show_block(index, stored), block_id(message_id, index)
        kinds[index] = kind_of(block)
        match block:
            case TextBlock() | JsonBlock():
                messages[own] = {"id": own, "role": "assistant", "content": block.text}
            case ThinkingBlock(redacted=False):
                messages[own] = {"id": own, "role": "reasoning", "content": block.text}
            case ToolUseBlock():
                parent = block_id(message_id, parent_of_call(kinds, index))
                holder = messages.setdefault(parent, {"id": parent, "role": "assistant"})
                holder.setdefault("toolCalls", []).append(_call(block, stored))
                may_complete = is_running and index == len(blocks) - 1
                if is_incomplete(stored) and not may_complete:
                    unsettled[block.tool_use_id] = INCOMPLETE
                elif not is_running:
                    unsettled[block.tool_use_id] = NO_RESULT
            case ToolResultBlock() if not is_incomplete(stored):
                messages[own] = _result(own, block.tool_use_id, output_of(stored), is_error=block.is_error)
                unsettled.pop(block.tool_use_id, None)
            case _:
                pass
    return [*messages.values(), *(_result(result_id(message_id, id), id, text) for id, text in unsettled.items())]


def _call(block: ToolUseBlock, stored: Json) -> Json:
    function = {"name": block.name, "arguments": arguments_of(stored)}
    return {"id": block.tool_use_id, "type": "function", "function": function}


def _result(id: str, call_id: str, content: str, *, is_error: bool = False) -> Json:
    error = {"error": content} if is_error else {}
    return {"id": id, "role": "tool", "toolCallId": call_id, "content": content, **error}


def _of_user(row: MessageRow, attachment_path: str) -> Json:
    parts = [
        part for index, block in enumerate(row.content) for part in _part(show_block(index, block), attachment_path)
    ]
    is_text = len(parts) == 1 and parts[0]["type"] == "text"
    content: Any = parts[0]["text"] if is_text else parts
    return {"id": client_id_of(row), "role": "user", "content": content}


def _part(block: ContentBlock | None, attachment_path: str) -> list[Json]:
    match block:
        case TextBlock():
            return [{"type": "text", "text": block.text}]
        case ImageBlock():
            return [_file("image", block.attachment_id, attachment_path)]
        case DocumentBlock():
            return [_file("document", block.attachment_id, attachment_path)]
        case _:
            return []


def _file(type: str, id: UUID, attachment_path: str) -> Json:
    return {"type": type, "source": {"type": "url", "value": f"{attachment_path}/{id}"}}
