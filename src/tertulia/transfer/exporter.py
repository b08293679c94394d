"""Exports of conversations and memories as JSON Lines, which can be imported again without loss, or as Markdown.

A conversation is exported completely, or left out and named in the export, so that one unreadable conversation does not
abort an export of thousands.
"""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from uuid import UUID

from tertulia.attachments.files import media_of
from tertulia.db import memories
from tertulia.db import transfer as rows
from tertulia.db.blobs import Blobs
from tertulia.db.database import Database
from tertulia.db.errors import AWAY
from tertulia.db.generated_files import GeneratedFile
from tertulia.db.memories import Memory
from tertulia.db.tables import TOKEN_COUNTS, Attachment, Conversation, Generation, Message, now
from tertulia.db.transfer import ConversationContents
from tertulia.transfer import Format
from tertulia.transfer.format import (
    AttachmentLine,
    ConversationLine,
    FileLine,
    GenerationLine,
    HeaderLine,
    LeftOutLine,
    MemoryLine,
    MessageLine,
    UsageLine,
)
from tertulia.transfer.markdown import as_markdown, left_out_as_markdown, memory_as_markdown

LINES_AT_ONCE = 100
"""The number of lines sent together. Thousands of single lines to a fast client never yield to the event loop."""
UNREADABLE = "It could not be read. The server's log contains the reason."
BYTES_MISSING = "Its file is missing in the attachment storage."

LeftOut = Callable[[LeftOutLine], None]
"""A function that is called with the line of each conversation or attachment that an export leaves out."""

logger = logging.getLogger("tertulia.export")


async def export(
    database: Database,
    blobs: Blobs,
    owner: UUID,
    ids: Sequence[UUID] | None,
    export_format: Format,
    left_out: LeftOut = lambda _line: None,
) -> AsyncIterator[bytes]:
    """Yield an export of the owner's conversations in pieces.

    Each conversation is read in a separate transaction. Conversations that are deleted meanwhile are skipped.

    Args:
        blobs: The storage of attachments.
        owner: The owner of the conversations.
        ids: The conversations to export; None for all except temporary ones, oldest first, and all memories.
        export_format: The format of the export.
        left_out: Called with the line of each conversation or attachment that is left out.
    """
    yield HeaderLine(exported_at=now()).to_bytes() if export_format is Format.JSONL else b""
    if ids is None:
        async with database.read() as session:
            ids, remembered = await rows.all_of(session, owner), await memories.all_of(session, owner)
        yield b"".join(_memory(memory, export_format) for memory in remembered)
    for conversation_id in ids:
        try:
            async with database.read() as session:
                contents = await rows.contents_of(session, owner, conversation_id)
            if contents is None:
                continue
            pieces = await asyncio.to_thread(_markdown if export_format is Format.MARKDOWN else _lines, contents)
        except AWAY:
            # The database is unavailable, so the cause is not this conversation.
            raise
        except Exception:
            logger.exception("Conversation %s could not be exported and was left out", conversation_id)
            line = LeftOutLine(kind="conversation", id=str(conversation_id), reason=UNREADABLE)
            left_out(line)
            yield _left_out(line, export_format)
            continue
        yield pieces[0]
        if export_format is Format.JSONL:
            for attachment in contents.attachments:
                yield await _attachment_line(attachment, blobs, left_out)
        for start in range(1, len(pieces), LINES_AT_ONCE):
            yield b"".join(pieces[start : start + LINES_AT_ONCE])


def _left_out(line: LeftOutLine, export_format: Format) -> bytes:
    is_text = export_format is Format.MARKDOWN
    return left_out_as_markdown(line.id, line.reason).encode() if is_text else line.to_bytes()


def _markdown(contents: ConversationContents) -> list[bytes]:
    return [as_markdown(contents).encode("utf-8", "replace")]


def _lines(contents: ConversationContents) -> list[bytes]:
    """Return the line of a conversation, followed by the lines of its messages."""
    files = contents.files
    messages = (_message(row, generation, files.get(row.id, ())).to_bytes() for row, generation in contents.messages)
    return [_conversation(contents.conversation).to_bytes(), *messages]


async def _attachment_line(row: Attachment, blobs: Blobs, left_out: LeftOut) -> bytes:
    try:
        data = await blobs.get(row.blob_id)
    except OSError as error:
        logger.warning("The file of attachment %s could not be exported: %s", row.id, error)
        line = LeftOutLine(kind="attachment", id=str(row.id), reason=BYTES_MISSING)
        left_out(line)
        return line.to_bytes()
    return await asyncio.to_thread(_attachment(row, data).to_bytes)


def _conversation(row: Conversation) -> ConversationLine:
    return ConversationLine.model_construct(
        id=str(row.id),
        title=row.title,
        system_prompt=row.system_prompt,
        model=row.model,
        options=row.options,
        tools=row.tools,
        assistant=row.assistant,
        archived=row.archived,
        pinned=row.pinned,
        external_id=row.external_id,
        metadata=row.app_metadata,
        active_leaf_id=_text(row.active_leaf_id),
        usage=_usage(row),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _memory(row: Memory, export_format: Format) -> bytes:
    if export_format is Format.MARKDOWN:
        return memory_as_markdown(row).encode()
    same = ("assistant", "path", "content", "created_at", "updated_at")
    return MemoryLine.model_construct(**{name: getattr(row, name) for name in same}).to_bytes()


def _attachment(row: Attachment, data: bytes) -> AttachmentLine:
    encoded = base64.b64encode(data).decode()
    # The type of the others is detected again from their content.
    media_type = None if media_of(row).is_readable else row.media_type
    return AttachmentLine.model_construct(
        id=str(row.id), filename=row.filename, media_type=media_type, data=encoded, created_at=row.created_at
    )


def _message(row: Message, generation: Generation | None, files: Sequence[GeneratedFile]) -> MessageLine:
    return MessageLine.model_construct(
        id=str(row.id),
        parent_id=_text(row.parent_id),
        role=row.role,
        content=row.content,
        context=row.context,
        metadata=row.app_metadata,
        rating=row.rating,
        created_at=row.created_at,
        generation=None if generation is None else _generation(generation),
        files=[_file(file) for file in files],
    )


def _file(row: GeneratedFile) -> FileLine:
    return FileLine.model_construct(file_id=row.file_id, attachment_id=_text(row.attachment_id), problem=row.problem)


def _generation(row: Generation) -> GenerationLine:
    same = (
        *("status", "model", "sequence", "steered", "continuations", "stop_reason", "stop_sequence", "refusal"),
        *("request_id", "prefix", "left_out", "context_tokens"),
        *("created_at", "started_at", "first_token_at", "finished_at"),
    )
    return GenerationLine.model_construct(
        **{name: getattr(row, name) for name in same},
        options=row.options,
        error=row.error or None,
        usage=_usage(row) if row.input_tokens is not None else None,
    )


def _usage(row: Conversation | Generation) -> UsageLine:
    counts: dict[str, Any] = {name: getattr(row, name) or 0 for name in TOKEN_COUNTS}
    return UsageLine.model_construct(**counts, amount=row.amount)


def _text(id: UUID | None) -> str | None:
    return None if id is None else str(id)
