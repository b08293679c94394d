"""Reading files of conversations item by item, within bounds, and refusing what could not be shown or sent again."""

import base64
import binascii
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tertulia.attachments.files import LOST
from tertulia.attachments.media import UnfitMedia, inspect
from tertulia.db.tables import Role
from tertulia.json import Json
from tertulia.resolvers.errors import InvalidInput
from tertulia.resolvers.inputs import MAX_SYSTEM_PROMPT, MAX_TITLE, check_text
from tertulia.transfer.archives import BYTE_ORDER_MARK, CHUNK, Stream, objects, opened, parsed
from tertulia.transfer.blocks import content_problem, described
from tertulia.transfer.claude_export import items_of
from tertulia.transfer.format import (
    AnyLine,
    AttachedFile,
    AttachmentLine,
    ConversationLine,
    HeaderLine,
    Item,
    LeftOutLine,
    MessageLine,
    Placed,
)

MAX_ATTACHMENT_LINE = 48 * 1024 * 1024
"""Bytes: the largest attachment, in base64, has less."""
MAX_LINE = 8 * 1024 * 1024
"""Bytes of any other line. One character beyond U+FFFF makes its text take four times as much memory."""
MAX_CONVERSATIONS = 20_000
MAX_MESSAGES = 100_000
"""Of one conversation."""
MAX_ATTACHMENTS = 2_000
"""Of one conversation."""
_IS_ATTACHMENT = re.compile(rb'\s*\{\s*"type"\s*:\s*"attachment"')
_LINE: TypeAdapter[AnyLine] = TypeAdapter(AnyLine)


@dataclass(slots=True)
class _Reading:
    """The conversation that is being read."""

    messages: set[str] = field(default_factory=set[str])
    attached: set[str] = field(default_factory=set[str])
    lost: set[str] = field(default_factory=set[str])
    """Attachments that the export could not write."""


def items(file: Path, folder: Path, model: str) -> Generator[Item]:
    """Yield the conversations of a file, each before what belongs to it. Blocks.

    Args:
        file: An export of Tertulia, Claude's data export, or the `conversations.json` of one.
        folder: Where attachments are decoded to.
        model: The model of conversations of files that name none.

    Raises:
        InvalidInput: Names the line or the conversation that is wrong.
    """
    with opened(file) as (stream, _):
        beginning = stream.peek(CHUNK).removeprefix(BYTE_ORDER_MARK).lstrip()
        if beginning.startswith(b"["):
            yield from _counted(items_of(objects(stream), model))
        else:
            yield from _counted(_lines(stream, folder))


def unpacked_size(file: Path) -> int:
    """Return how many bytes a file has, unpacked; raise InvalidInput. Blocks."""
    with opened(file) as (_, size):
        return size


def _counted(item_iterator: Iterator[Item]) -> Iterator[Item]:
    conversations = messages = 0
    for item in item_iterator:
        if isinstance(item, Placed):
            conversations, messages = conversations + 1, 0
        messages += isinstance(item, MessageLine)
        if conversations > MAX_CONVERSATIONS:
            raise InvalidInput("file", f"has more than {MAX_CONVERSATIONS:,} conversations.")
        if messages > MAX_MESSAGES:
            raise InvalidInput("file", f"has a conversation of more than {MAX_MESSAGES:,} messages.")
        yield item


def _lines(stream: Stream, folder: Path) -> Iterator[Item]:
    lines = _Lines(folder)
    while raw := stream.readline(MAX_ATTACHMENT_LINE + 1):
        lines.number += 1
        raw = raw.removeprefix(BYTE_ORDER_MARK) if lines.number == 1 else raw
        if raw.strip() and (item := lines.item(_line(raw, lines.number))) is not None:
            yield item
    if lines.number == 0:
        raise InvalidInput("file", "is empty.")


@dataclass(slots=True)
class _Lines:
    """The lines of an export, and the conversation that is being read."""

    folder: Path
    number: int = 0
    reading: _Reading | None = None

    def item(self, line: AnyLine) -> Item | None:
        """Return what a line adds; raise InvalidInput where it does not fit those before it."""
        if (self.number == 1) != isinstance(line, HeaderLine):
            raise wrong(self.number, "the header must be the first line, and only the first.")
        if isinstance(line, HeaderLine) or (isinstance(line, LeftOutLine) and line.kind == "conversation"):
            return None
        if isinstance(line, ConversationLine):
            self.reading = _Reading()
            return Placed(_checked(line, self.number), f"line {self.number}: ")
        if self.reading is None:
            raise wrong(self.number, "must follow its conversation.")
        if isinstance(line, AttachmentLine):
            return _decoded(self.reading, line, self.number, self.folder)
        if isinstance(line, MessageLine):
            return _message(self.reading, line, self.number)
        self.reading.lost.add(line.id)
        return None


def _line(raw: bytes, number: int) -> AnyLine:
    is_attachment = _IS_ATTACHMENT.match(raw) is not None and raw.isascii()
    value = parsed(raw, f"line {number}: ", MAX_ATTACHMENT_LINE if is_attachment else MAX_LINE)
    try:
        return _LINE.validate_python(value)
    except ValidationError as error:
        raise wrong(number, described(error, skipped=1)) from None


def _checked(line: ConversationLine, number: int) -> ConversationLine:
    try:
        check_text("title", line.title or "", MAX_TITLE)
        check_text("system_prompt", line.system_prompt or "", MAX_SYSTEM_PROMPT)
    except InvalidInput as error:
        raise wrong(number, str(error)) from None
    return line


def _decoded(reading: _Reading, line: AttachmentLine, number: int, folder: Path) -> AttachedFile:
    _add(reading.attached, line.id, number)
    if len(reading.attached) > MAX_ATTACHMENTS:
        raise wrong(number, f"a conversation has at most {MAX_ATTACHMENTS:,} attachments.")
    file = folder / "attachment"
    try:
        size = file.write_bytes(base64.b64decode(line.data, validate=True))
        media = inspect(file)
    except (binascii.Error, UnfitMedia, ValueError) as error:
        raise wrong(number, f"data: attachment {line.id}: {error}") from error
    return AttachedFile(line.model_copy(update={"data": ""}), file, media, size)


def _message(reading: _Reading, line: MessageLine, number: int) -> MessageLine:
    _add(reading.messages, line.id, number)
    if line.parent_id is not None and (line.parent_id == line.id or line.parent_id not in reading.messages):
        raise wrong(number, "parent_id: there is no such message before it.")
    if line.parent_id is None and line.role != Role.USER:
        raise wrong(number, "role: the first message of a conversation must be the user's.")
    if line.generation is not None:
        if line.role != Role.ASSISTANT:
            raise wrong(number, "generation: only messages of Claude's have one.")
        try:
            line.generation.options.check()
        except ValueError as error:
            raise wrong(number, f"generation.{error}") from None
    if reading.lost:
        line = line.model_copy(update={"content": [_without_lost(block, reading.lost) for block in line.content]})
    attached = reading.attached.__contains__
    problem = content_problem(line.content, of_user=line.role == Role.USER, is_attached=attached)
    if problem is not None:
        raise wrong(number, problem)
    return line


def _add(ids: set[str], id: str, number: int) -> None:
    if id in ids:
        raise wrong(number, "id: is used twice in this conversation.")
    ids.add(id)


def _without_lost(block: Json, lost: set[str]) -> Json:
    """Return words in place of an attachment that the export could not write."""
    source: Any = block.get("source")
    try:
        is_lost = block.get("type") in ("image", "document") and source["attachment_id"] in lost
    except (KeyError, TypeError):
        is_lost = False
    if not is_lost:
        return block
    return {"type": "text", "text": LOST.format(block.get("title", "image"))}


def wrong(number: int, message: str) -> InvalidInput:
    """Make the error of a line."""
    return InvalidInput("file", f"line {number}: {message}")
