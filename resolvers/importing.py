"""Putting conversations in: our own export, or Claude's; each becomes a new conversation of the viewer's."""

import asyncio
import base64
import binascii
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from claude.files import attachment_of, source_of
from claude.media import UnfitMedia, inspect
from db import changes, leases, search
from db.inserting import insert
from db.tables import UNFINISHED, Attachment, Blob, ChangeKind, Conversation, Generation, Json, Message, Status, new_id
from resolvers.context import Context
from resolvers.errors import InvalidInput
from resolvers.reading import bundles
from resolvers.transfer import AttachmentLine, Bundle, ConversationLine, GenerationLine, MessageLine

ROWS_AT_ONCE = 500


@dataclass(slots=True)
class Imported:
    """What was put in, and how many blocks of it could not be: kinds that only the other service knows."""

    conversation_ids: list[UUID] = field(default_factory=list[UUID])
    messages: int = 0
    attachments: int = 0
    blocks_left_out: int = 0


async def import_file(context: Context, file: Path) -> Imported:
    """Put all conversations of a file in; raise InvalidInput, with nothing put in, for the first line that is wrong."""
    size = (await asyncio.to_thread(file.stat)).st_size
    await context.services.limits.check_upload(context.viewer.id, size)
    await context.models.list()
    fallback = context.models.default_id
    await asyncio.to_thread(_check, file, fallback)
    done = Imported()
    found = bundles(file, fallback)
    while (bundle := await asyncio.to_thread(next, found, None)) is not None:
        await _put_in(context, bundle, done)
        context.changed()
    return done


def _check(file: Path, model: str) -> None:
    for bundle in bundles(file, model):
        for line in bundle.attachments:
            with tempfile.TemporaryDirectory(prefix="tertulia-") as folder:
                _decoded(line, Path(folder))


async def _put_in(context: Context, bundle: Bundle, done: Imported) -> None:
    conversation = await _conversation(context, bundle.conversation)
    attached = {line.id: await _attachment(context, line, conversation.id) for line in bundle.attachments}
    ids = {line.id: new_id() for line in bundle.messages}
    conversation.active_leaf_id = ids.get(bundle.conversation.active_leaf_id or "") or _last(ids)
    depths: dict[str, int] = {}
    messages: list[Message] = []
    for line in bundle.messages:
        depths[line.id] = depths[line.parent_id] + 1 if line.parent_id else 0
        messages.append(_message(line, conversation.id, ids, attached, depths[line.id]))
    generations = [
        _generation(line.generation, conversation.id, ids[line.id]) for line in bundle.messages if line.generation
    ]
    async with context.database.write() as session:
        await leases.lock_owner(session, conversation.owner_id)
        await insert(session, [conversation])
        for rows in (list(attached.values()), messages, generations):
            for place in range(0, len(rows), ROWS_AT_ONCE):
                await insert(session, rows[place : place + ROWS_AT_ONCE])
        await search.add(session, *((conversation.owner_id, one.id, one.content) for one in messages))
        await changes.record(session, conversation.owner_id, (ChangeKind.CREATED, conversation.id, None))
    done.conversation_ids.append(conversation.id)
    done.messages += len(messages)
    done.attachments += len(attached)
    done.blocks_left_out += bundle.blocks_left_out


async def _conversation(context: Context, line: ConversationLine) -> Conversation:
    # Which models may be asked is not decided by a file.
    model = line.model if await context.models.allows(line.model) else context.models.default_id
    used = line.usage.model_dump()
    same = ("title", "system_prompt", "archived", "pinned", "created_at", "updated_at")
    values: Json = {name: getattr(line, name) for name in same}
    values |= {"options": line.options.stored(), "tools": line.tools.stored()}
    return Conversation(owner_id=context.viewer.id, model=model, **values, **used)


async def _attachment(context: Context, line: AttachmentLine, conversation_id: UUID) -> Attachment:
    blob = Blob()
    with tempfile.TemporaryDirectory(prefix="tertulia-") as folder:
        file, media, size = await asyncio.to_thread(_decoded, line, Path(folder))
        async with context.database.write() as session:
            await insert(session, [blob])
        await context.services.files.blobs.put(blob.id, file)
    return Attachment(
        owner_id=context.viewer.id,
        conversation_id=conversation_id,
        blob_id=blob.id,
        filename=line.filename,
        media_type=media.media_type,
        size_bytes=size,
        width=media.width,
        height=media.height,
        pages=media.pages,
        created_at=line.created_at,
    )


def _decoded(line: AttachmentLine, folder: Path) -> tuple[Path, Any, int]:
    file = folder / "attachment"
    try:
        size = file.write_bytes(base64.b64decode(line.data, validate=True))
        return file, inspect(file), size
    except (binascii.Error, UnfitMedia) as error:
        raise InvalidInput("file", f"attachment {line.id}: {error}") from error


def _message(
    line: MessageLine,
    conversation_id: UUID,
    ids: Mapping[str, UUID],
    attached: Mapping[str, Attachment],
    depth: int,
) -> Message:
    return Message(
        id=ids[line.id],
        conversation_id=conversation_id,
        parent_id=ids[line.parent_id] if line.parent_id else None,
        role=line.role,
        depth=depth,
        content=[_renamed(block, attached) for block in line.content],
        created_at=line.created_at,
    )


def _renamed(block: Json, attached: Mapping[str, Attachment]) -> Json:
    shown = attachment_of(block)
    if shown is None:
        return block
    own = attached[str(shown)]
    return {**block, "source": source_of(own.id, own.media_type, own.pages)}


def _generation(line: GenerationLine, conversation_id: UUID, message_id: UUID) -> Generation:
    values = line.model_dump(exclude={"options", "usage", "error", "status"})
    used = line.usage.model_dump() if line.usage else {}
    # What was being written there is not being written here.
    status = Status.STOPPED if line.status in UNFINISHED else line.status
    return Generation(
        conversation_id=conversation_id,
        message_id=message_id,
        status=status,
        options=line.options.stored(),
        error=line.error.model_dump(mode="json") if line.error else None,
        **values,
        **used,
    )


def _last(ids: Mapping[str, UUID]) -> UUID | None:
    made: Sequence[UUID] = list(ids.values())
    return made[-1] if made else None
