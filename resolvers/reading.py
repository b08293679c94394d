"""Reading files of conversations, line by line, and refusing what could not be shown or sent again."""

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pydantic import TypeAdapter, ValidationError

from claude.answer import JSON_MARK
from claude.files import attachment_of
from resolvers.claude_export import bundles_of
from resolvers.errors import InvalidInput
from resolvers.inputs import MAX_SYSTEM_PROMPT, MAX_TITLE, check_text
from resolvers.transfer import AnyLine, AttachmentLine, Bundle, ConversationLine, HeaderLine, MessageLine
from tertulia.json import InvalidJson, Json, clean, loads

MAX_FILE = 512 * 1024 * 1024
"""Bytes of a file, also of one inside of an archive."""
MAX_LINE = 48 * 1024 * 1024
"""Bytes: the largest attachment, in base64, has less."""
ARCHIVED = "conversations.json"
ZIP_BEGINS = b"PK\x03\x04"
NEEDS: dict[str, Mapping[str, type | tuple[type, ...]]] = {
    "text": {"text": str},
    "thinking": {"thinking": str},
    "redacted_thinking": {"data": str},
    "tool_use": {"id": str, "name": str},
    "server_tool_use": {"id": str, "name": str},
    "image": {"source": dict},
    "document": {"source": dict},
}
"""What a block must hold to be shown."""
_LINE: TypeAdapter[AnyLine] = TypeAdapter(AnyLine)


@dataclass(slots=True)
class _Reading:
    """A conversation as far as it is read."""

    bundle: Bundle
    messages: set[str] = field(default_factory=set[str])
    attached: set[str] = field(default_factory=set[str])


def bundles(file: Path, model: str) -> Iterator[Bundle]:
    """Give the conversations of a file, of either kind; `model` answers where a file names none. Blocks.

    Raises InvalidInput, which names the line.
    """
    with file.open("rb") as opened:
        beginning = opened.read(64).lstrip()
        opened.seek(0)
        if beginning.startswith(ZIP_BEGINS):
            yield from bundles_of(_json(_inside(opened)), model)
        elif beginning.startswith(b"["):
            yield from bundles_of(_json(opened.read()), model)
        else:
            yield from _lines(opened)


def _lines(opened: IO[bytes]) -> Iterator[Bundle]:
    held: _Reading | None = None
    number = 0
    while raw := opened.readline(MAX_LINE + 1):
        number += 1
        if not raw.strip():
            continue
        line = _line(raw, number)
        if (number == 1) != isinstance(line, HeaderLine):
            raise wrong(number, "the header stands in the first line, and there alone.")
        if isinstance(line, HeaderLine):
            continue
        if isinstance(line, ConversationLine):
            if held is not None:
                yield held.bundle
            held = _Reading(Bundle(_checked(line, number)))
        elif held is None:
            raise wrong(number, "stands in front of its conversation.")
        else:
            _add(held, line, number)
    if number == 0:
        raise InvalidInput("file", "is empty.")
    if held is not None:
        yield held.bundle


def _line(raw: bytes, number: int) -> AnyLine:
    if len(raw) > MAX_LINE:
        raise wrong(number, f"is longer than {MAX_LINE >> 20} MB.")
    try:
        return _LINE.validate_python(clean(loads(raw)))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        raise wrong(number, f"{place}: {first['msg']}" if place else first["msg"]) from None
    except InvalidJson as error:
        raise wrong(number, f"is not JSON: {error}.") from None


def _checked(line: ConversationLine, number: int) -> ConversationLine:
    try:
        line.options.check()
        line.tools.check()
        check_text("title", line.title or "", MAX_TITLE)
        check_text("system_prompt", line.system_prompt or "", MAX_SYSTEM_PROMPT)
    except (ValueError, InvalidInput) as error:
        raise wrong(number, str(error)) from None
    return line


def _add(held: _Reading, line: AttachmentLine | MessageLine, number: int) -> None:
    known = held.attached if isinstance(line, AttachmentLine) else held.messages
    if line.id in known:
        raise wrong(number, "id: stands twice in this conversation.")
    known.add(line.id)
    if isinstance(line, AttachmentLine):
        held.bundle.attachments.append(line)
        return
    if line.parent_id is not None and (line.parent_id == line.id or line.parent_id not in held.messages):
        raise wrong(number, "parent_id: there is no such message in front of it.")
    if line.generation is not None:
        try:
            line.generation.options.check()
        except ValueError as error:
            raise wrong(number, f"generation.{error}") from None
    for index, block in enumerate(line.content):
        problem = block_problem(block, held.attached)
        if problem is not None:
            raise wrong(number, f"content.{index}: {problem}")
    held.bundle.messages.append(line)


def block_problem(block: Json, attached: set[str]) -> str | None:
    """Say why a block could not be shown; None where it could."""
    kind = block.get("type")
    if not isinstance(kind, str):
        return "has no type."
    needs = {"tool_use_id": str} if kind.endswith("tool_result") else NEEDS.get(kind, {})
    for name, takes in needs.items():
        if not isinstance(block.get(name), takes):
            return f"{name}: is missing, or of another type."
    if kind in ("image", "document"):
        return _attachment_problem(block, attached)
    return _mark_problem(block) if JSON_MARK in block else None


def _attachment_problem(block: Json, attached: set[str]) -> str | None:
    try:
        shown = attachment_of(block)
    except (KeyError, TypeError, ValueError):
        shown = None
    return None if shown is not None and str(shown) in attached else "source: there is no such attachment."


def _mark_problem(block: Json) -> str | None:
    mark: Any = block[JSON_MARK]
    try:
        if mark.get("checked") and mark["problem"] is None:
            loads(block["text"])
    except (AttributeError, KeyError, ValueError):
        return f"{JSON_MARK}: does not fit the text."
    return None


def _inside(opened: IO[bytes]) -> bytes:
    """Give the conversations out of an archive."""
    try:
        with zipfile.ZipFile(opened) as archive:
            names = [name for name in archive.namelist() if name.rpartition("/")[2] == ARCHIVED]
            if not names:
                raise InvalidInput("file", f"the archive holds no {ARCHIVED}.")
            if archive.getinfo(names[0]).file_size > MAX_FILE:
                raise InvalidInput("file", f"{ARCHIVED} is larger than {MAX_FILE >> 20} MB.")
            return archive.read(names[0])
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise InvalidInput("file", f"is no archive that can be read: {error}") from None


def _json(raw: bytes) -> Any:
    try:
        return clean(loads(raw))
    except InvalidJson as error:
        raise InvalidInput("file", f"is not JSON: {error}.") from None


def wrong(number: int, message: str) -> InvalidInput:
    """Make the error of a line."""
    return InvalidInput("file", f"line {number}: {message}")
