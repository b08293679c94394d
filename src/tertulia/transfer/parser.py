"""The parser of imported files. It reads within limits, and refuses content that cannot be shown or sent."""

import base64
import binascii
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tertulia.attachments.documents.errors import UnfitMedia
from tertulia.attachments.files import MISSING
from tertulia.attachments.generated_files import MAX_FILES, stored_media_type
from tertulia.attachments.media import InspectedFile, Media, inspect
from tertulia.db.tables import Role
from tertulia.json import Json
from tertulia.resolvers.app_data import check_context, check_external_id, merged, stored_context
from tertulia.resolvers.errors import InvalidInput
from tertulia.resolvers.feedback import check_comment, check_tags
from tertulia.resolvers.inputs import MAX_SYSTEM_PROMPT, MAX_TITLE, check_text
from tertulia.tools.memory_files import ROOT, path_problem, size_problem
from tertulia.transfer.archives import BYTE_ORDER_MARK, CHUNK, Stream, objects, open_export, parse_json
from tertulia.transfer.blocks import content_problem, describe_error
from tertulia.transfer.claude_export import items_of
from tertulia.transfer.format import (
    AnyLine,
    AttachedFile,
    AttachmentLine,
    ConversationItem,
    ConversationLine,
    FileLine,
    HeaderLine,
    Item,
    LeftOutLine,
    MemoryLine,
    MessageLine,
)

MAX_ATTACHMENT_LINE = 48 * 1024 * 1024
"""The maximum size of the line of an attachment in bytes. The largest attachment needs less in base64."""
MAX_LINE = 8 * 1024 * 1024
"""The maximum size of other lines in bytes. With one character above U+FFFF, Python needs four bytes per character."""
MAX_CONVERSATIONS = 20_000
MAX_MESSAGES = 100_000
"""The maximum number of messages in a conversation."""
MAX_ATTACHMENTS = 2_000
"""The maximum number of attachments in a conversation."""
REPEATED = "id: is used twice in this conversation."
FILE_LEFT_OUT = "The file was missing when the conversation was exported."
_IS_ATTACHMENT = re.compile(rb'\s*\{\s*"type"\s*:\s*"attachment"')
_LINE: TypeAdapter[AnyLine] = TypeAdapter(AnyLine)


@dataclass(slots=True)
class _ConversationState:
    """The ids in the conversation that is being read."""

    messages: set[str] = field(default_factory=set[str])
    attached: set[str] = field(default_factory=set[str])
    unreadable: set[str] = field(default_factory=set[str])
    """The attachments that Claude cannot read. Only Claude makes such files."""
    left_out: set[str] = field(default_factory=set[str])
    """The attachments that the export left out."""


def items(file: Path, folder: Path, model: str) -> Generator[Item]:
    """Yield the conversations of a file, each followed by its attachments and messages. This call blocks.

    Args:
        file: An export of Tertulia, Claude's data export, or the `conversations.json` of one.
        folder: The folder for decoded attachments.
        model: The model of conversations if the file does not contain it.

    Raises:
        InvalidInput: The file is not valid. The error names the line or the conversation.
    """
    with open_export(file) as (stream, _):
        beginning = stream.peek(CHUNK).removeprefix(BYTE_ORDER_MARK).lstrip()
        if beginning.startswith(b"["):
            yield from _check_counts(items_of(objects(stream), model))
        else:
            yield from _check_counts(_lines(stream, folder))


def unpacked_size(file: Path) -> int:
    """Return the size of the unpacked file in bytes. Raise InvalidInput for an invalid archive. This call blocks."""
    with open_export(file) as (_, size):
        return size


def _check_counts(item_iterator: Iterator[Item]) -> Iterator[Item]:
    conversations = messages = 0
    for item in item_iterator:
        if isinstance(item, ConversationItem):
            conversations, messages = conversations + 1, 0
        messages += isinstance(item, MessageLine)
        if conversations > MAX_CONVERSATIONS:
            raise InvalidInput("file", f"must have at most {MAX_CONVERSATIONS:,} conversations.")
        if messages > MAX_MESSAGES:
            raise InvalidInput("file", f"must have at most {MAX_MESSAGES:,} messages in a conversation.")
        yield item


def _lines(stream: Stream, folder: Path) -> Iterator[Item]:
    lines = _Lines(folder)
    while raw := stream.readline(MAX_ATTACHMENT_LINE + 1):
        lines.number += 1
        raw = raw.removeprefix(BYTE_ORDER_MARK) if lines.number == 1 else raw
        if raw.strip() and (item := lines.item(_line(raw, lines.number))) is not None:
            yield item
    if lines.number == 0:
        raise InvalidInput("file", "must not be empty.")


@dataclass(slots=True)
class _Lines:
    """Converts the lines of an export to items, and checks their order."""

    folder: Path
    number: int = 0
    state: _ConversationState | None = None
    memories: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """The assistants and paths of memories."""

    def item(self, line: AnyLine) -> Item | None:
        """Return the item of a line, or None. Raise InvalidInput if the line contradicts the lines before it."""
        if (self.number == 1) != isinstance(line, HeaderLine):
            raise line_error(self.number, "the first line, and no other, must be the header.")
        if isinstance(line, HeaderLine) or (isinstance(line, LeftOutLine) and line.kind == "conversation"):
            return None
        if isinstance(line, MemoryLine):
            return _memory(self.memories, line, self.number)
        if isinstance(line, ConversationLine):
            self.state = _ConversationState()
            return ConversationItem(_check_conversation(line, self.number), f"has an error in line {self.number}: ")
        if self.state is None:
            raise line_error(self.number, "must follow its conversation.")
        if isinstance(line, AttachmentLine):
            return _decode_attachment(self.state, line, self.number, self.folder)
        if isinstance(line, MessageLine):
            return _message(self.state, line, self.number)
        self.state.left_out.add(line.id)
        return None


def _memory(known: set[tuple[str, str]], line: MemoryLine, number: int) -> MemoryLine:
    key = line.assistant, line.path
    path = "is used twice." if key in known else path_problem(line.path)
    if path is not None or line.path == ROOT:
        raise line_error(number, f"path: {path or 'must be that of a file.'}")
    # Only of this file: together, the files of an account and of a guest can exceed the limits, and are then skipped.
    content = size_problem({}, line.path, line.content)
    if content is not None:
        raise line_error(number, f"content: {content}")
    known.add(key)
    return line


def _line(raw: bytes, number: int) -> AnyLine:
    is_attachment = _IS_ATTACHMENT.match(raw) is not None and raw.isascii()
    value = parse_json(raw, f"has an error in line {number}: ", MAX_ATTACHMENT_LINE if is_attachment else MAX_LINE)
    try:
        return _LINE.validate_python(value)
    except ValidationError as error:
        raise line_error(number, describe_error(error, skipped=1)) from None


def _check_conversation(line: ConversationLine, number: int) -> ConversationLine:
    try:
        check_text("title", line.title or "", MAX_TITLE)
        check_text("system_prompt", line.system_prompt or "", MAX_SYSTEM_PROMPT)
        if line.external_id is not None:
            check_external_id(line.external_id)
        return line.model_copy(update={"metadata": merged({}, "metadata", line.metadata)})
    except InvalidInput as error:
        raise line_error(number, str(error)) from None


def _decode_attachment(state: _ConversationState, line: AttachmentLine, number: int, folder: Path) -> AttachedFile:
    if line.id in state.unreadable:
        raise line_error(number, REPEATED)
    _add(state.attached, line.id, number)
    if len(state.attached) + len(state.unreadable) > MAX_ATTACHMENTS:
        raise line_error(number, f"a conversation must have at most {MAX_ATTACHMENTS:,} attachments.")
    file = folder / "attachment"
    try:
        size = file.write_bytes(base64.b64decode(line.data, validate=True))
    except (binascii.Error, ValueError) as error:
        raise line_error(number, f"data: attachment {line.id}: {error}") from error
    try:
        inspected = inspect(file, line.filename)
    except UnfitMedia as error:
        if line.media_type is None:
            raise line_error(number, f"data: attachment {line.id}: {error}") from error
        inspected = InspectedFile(Media(stored_media_type(line.media_type)))
        state.attached.discard(line.id)
        state.unreadable.add(line.id)
    return AttachedFile(line.model_copy(update={"data": ""}), file, inspected, size)


def _message(state: _ConversationState, line: MessageLine, number: int) -> MessageLine:
    _add(state.messages, line.id, number)
    if line.parent_id is not None and (line.parent_id == line.id or line.parent_id not in state.messages):
        raise line_error(number, "parent_id: must be the id of an earlier message of the conversation.")
    if line.parent_id is None and line.role != Role.USER:
        raise line_error(number, "role: must be user for the first message of a conversation.")
    line = _with_checked_data(line, number)
    if line.generation is not None:
        if line.role != Role.ASSISTANT:
            raise line_error(number, "generation: is only allowed in messages with the role assistant.")
        try:
            line.generation.options.check()
        except ValueError as error:
            raise line_error(number, f"generation.{error}") from None
    line = line.model_copy(update={"files": [_check_file(state, line, file, number) for file in line.files]})
    if state.left_out:
        content = [_replace_left_out(block, state.left_out) for block in line.content]
        line = line.model_copy(update={"content": content})
    is_attached = state.attached.__contains__
    problem = content_problem(line.content, of_user=line.role == Role.USER, is_attached=is_attached)
    if problem is not None:
        raise line_error(number, problem)
    return line


def _check_file(state: _ConversationState, line: MessageLine, file: FileLine, number: int) -> FileLine:
    if line.role != Role.ASSISTANT or len(line.files) > MAX_FILES:
        raise line_error(number, f"files: at most {MAX_FILES} are allowed, in messages with the role assistant.")
    if [other.file_id for other in line.files].count(file.file_id) > 1:
        raise line_error(number, "files: the same `file_id` is used twice.")
    if file.attachment_id is None or file.attachment_id in state.attached | state.unreadable:
        return file
    if file.attachment_id in state.left_out:
        return file.model_copy(update={"attachment_id": None, "problem": FILE_LEFT_OUT})
    raise line_error(number, "files: `attachment_id` must be the id of an attachment of the conversation.")


def _with_checked_data(line: MessageLine, number: int) -> MessageLine:
    """Return the line with the application's data as it can be stored."""
    if line.context is not None and line.role != Role.USER:
        raise line_error(number, "context: is only allowed in messages with the role user.")
    if line.rating is not None and line.role != Role.ASSISTANT:
        raise line_error(number, "rating: is only allowed in messages with the role assistant.")
    try:
        data: Json = {
            "context": stored_context(check_context("context", line.context)),
            "metadata": merged({}, "metadata", line.metadata),
        }
        if line.rating is not None:
            comment = check_comment("rating.comment", line.rating.comment)
            tags = check_tags("rating.tags", line.rating.tags)
            data["rating"] = line.rating.model_copy(update={"comment": comment, "tags": tags})
        return line.model_copy(update=data)
    except InvalidInput as error:
        raise line_error(number, str(error)) from None


def _add(ids: set[str], id: str, number: int) -> None:
    if id in ids:
        raise line_error(number, REPEATED)
    ids.add(id)


def _replace_left_out(block: Json, left_out: set[str]) -> Json:
    """Return the block, or a text block in place of an attachment that the export left out."""
    source: Any = block.get("source")
    try:
        is_left_out = block.get("type") in ("image", "document") and source["attachment_id"] in left_out
    except (KeyError, TypeError):
        is_left_out = False
    if not is_left_out:
        return block
    return {"type": "text", "text": MISSING.format(block.get("title", "image"))}


def line_error(number: int, message: str) -> InvalidInput:
    """Return the error about a line."""
    return InvalidInput("file", f"has an error in line {number}: {message}")
