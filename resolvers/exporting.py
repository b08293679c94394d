"""Taking conversations out: as lines of JSON that can be put in again without loss, or as Markdown to read."""

import base64
from collections.abc import AsyncIterator, Sequence
from enum import StrEnum
from uuid import UUID

from db import transfer as rows
from db.blobs import Blobs
from db.database import Database
from db.tables import Attachment, Conversation, Generation, Message, now
from db.transfer import Whole
from resolvers.markdown import as_markdown
from resolvers.transfer import (
    AttachmentLine,
    ConversationLine,
    ErrorLine,
    GenerationLine,
    HeaderLine,
    MessageLine,
    Options,
    ToolsLine,
    UsageLine,
)

COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")


class Format(StrEnum):
    """What is written."""

    JSONL = "jsonl"
    MARKDOWN = "markdown"


async def export(
    database: Database, blobs: Blobs, owner: UUID, ids: Sequence[UUID] | None, form: Format
) -> AsyncIterator[bytes]:
    """Give the owner's conversations piece by piece: those of the ids, or all but temporary ones, oldest first.

    Each is read in a transaction of its own; one that is deleted meanwhile is left out.
    """
    if ids is None:
        async with database.read() as session:
            ids = await rows.all_of(session, owner)
    if form is Format.JSONL:
        yield HeaderLine(exported_at=now()).written()
    for conversation_id in ids:
        async with database.read() as session:
            whole = await rows.whole(session, owner, conversation_id)
        if whole is not None and form is Format.MARKDOWN:
            yield as_markdown(whole).encode("utf-8", "replace")
        elif whole is not None:
            async for line in _lines(whole, blobs):
                yield line


async def _lines(whole: Whole, blobs: Blobs) -> AsyncIterator[bytes]:
    yield _conversation(whole.conversation).written()
    for attachment in whole.attachments:
        yield (await _attachment(attachment, blobs)).written()
    for message, generation in whole.messages:
        yield _message(message, generation).written()


def _conversation(row: Conversation) -> ConversationLine:
    return ConversationLine(
        id=str(row.id),
        title=row.title,
        system_prompt=row.system_prompt,
        model=row.model,
        options=Options(**row.options),
        tools=ToolsLine(**row.tools),
        archived=row.archived,
        pinned=row.pinned,
        active_leaf_id=_text(row.active_leaf_id),
        usage=_usage(row),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


async def _attachment(row: Attachment, blobs: Blobs) -> AttachmentLine:
    data = base64.b64encode(await blobs.get(row.blob_id)).decode()
    return AttachmentLine(id=str(row.id), filename=row.filename, data=data, created_at=row.created_at)


def _message(row: Message, generation: Generation | None) -> MessageLine:
    return MessageLine(
        id=str(row.id),
        parent_id=_text(row.parent_id),
        role=row.role,
        content=row.content,
        created_at=row.created_at,
        generation=None if generation is None else _generation(generation),
    )


def _generation(row: Generation) -> GenerationLine:
    same = (
        *("status", "model", "sequence", "stop_reason", "request_id", "prefix", "left_out", "context_tokens"),
        *("created_at", "started_at", "first_token_at", "finished_at"),
    )
    return GenerationLine(
        **{name: getattr(row, name) for name in same},
        options=Options(**row.options),
        error=ErrorLine(**row.error) if row.error else None,
        usage=_usage(row) if row.input_tokens is not None else None,
    )


def _usage(row: Conversation | Generation) -> UsageLine:
    return UsageLine(**{name: getattr(row, name) or 0 for name in COUNTS}, amount=row.amount)


def _text(id: UUID | None) -> str | None:
    return None if id is None else str(id)
