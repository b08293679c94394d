"""Attachments: taking uploads, showing them, and putting them into messages."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from tertulia.attachments.files import attachment_of, attachments_in, source_of
from tertulia.attachments.media import PDF, Media, UnfitMedia, UnknownMedia, check_together, inspect_async
from tertulia.claude.models import Model
from tertulia.db import attachments as rows
from tertulia.db.database import AsyncSession
from tertulia.db.inserting import insert
from tertulia.db.tables import Attachment, Conversation, Message
from tertulia.json import Json
from tertulia.resolvers.content import AttachmentBlock
from tertulia.resolvers.context import Context, Info, as_uuid
from tertulia.resolvers.errors import InvalidInput, NotFound

MAX_FILENAME = 200
MAX_ATTACHED = 100
"""Attachments of one message."""


class NotTaken(InvalidInput):
    """An upload that Claude would not take; `unknown`: because of what it is, and not of its size."""

    def __init__(self, error: UnfitMedia) -> None:
        """Say what it takes."""
        super().__init__("file", str(error))
        self.unknown = isinstance(error, UnknownMedia)


@dataclass(frozen=True, slots=True)
class Attached:
    """What a message shows besides its text; what its conversation must claim for it, and what is to be inserted."""

    blocks: Sequence[Json] = ()
    waiting: Sequence[UUID] = ()
    made: Sequence[Attachment] = ()

    async def keep(self, session: AsyncSession, conversation_id: UUID) -> None:
        """Let all of it belong to its conversation, whose row is there."""
        await rows.claim(session, self.waiting, conversation_id)
        if self.made:
            await insert(session, self.made)


def url(info: Info, root: Attachment) -> str:
    """Where its bytes are, as a path on this server; for its owner alone, with the same token as all else."""
    return path_of(info.context, root)


def path_of(context: Context, attachment: Attachment) -> str:
    """Return the path of an attachment's bytes as clients of this context have it."""
    return context.path(f"/attachments/{attachment.id}")


async def attachment(info: Info, root: AttachmentBlock) -> Attachment | None:
    """The file that is shown."""
    return await info.context.loaders.attachments.load(root.attachment_id)


async def upload(context: Context, filename: str, file: Path) -> Attachment:
    """Keep a file of the viewer's; raise NotTaken for what Claude would not take."""
    try:
        media = await inspect_async(file)
    except UnfitMedia as unfit:
        raise NotTaken(unfit) from unfit
    size = (await asyncio.to_thread(file.stat)).st_size
    await context.services.limits.check_upload(context.viewer.user_id, size)
    attachment = await context.services.files.store(
        file, media, size_bytes=size, filename=_clean(filename, media), owner=context.viewer.user_id
    )
    async with context.database.write() as session:
        await insert(session, [attachment])
    return attachment


async def download(context: Context, id: str) -> tuple[Attachment, AsyncIterator[bytes]]:
    """Give the viewer's attachment of that id, and its bytes; raise NotFound."""
    wanted = as_uuid(id)
    found = await context.loaders.attachments.load(wanted) if wanted else None
    if found is None:
        raise NotFound(id, "attachment")
    try:
        return found, await context.services.files.blobs.read(found.blob_id)
    except FileNotFoundError:
        raise NotFound(id, "attachment") from None


async def attach(
    session: AsyncSession,
    context: Context,
    conversation: Conversation,
    branch: Sequence[Message],
    ids: Sequence[str] | None,
    model: Model,
) -> Attached:
    """Give what a message with these attachments shows; raise InvalidInput for what is not there, or too much."""
    if not ids:
        return Attached()
    wanted = [as_uuid(id) for id in dict.fromkeys(ids)]
    found = await rows.get_many(session, conversation.owner_id, [one for one in wanted if one])
    missing = next((id for id in ids if (as_uuid(id) or None) not in found), None)
    if missing is not None:
        raise InvalidInput("attachmentIds", f"there is no attachment {missing[:100]!r}.")
    if len(wanted) > MAX_ATTACHED:
        raise InvalidInput("attachmentIds", f"takes at most {MAX_ATTACHED} attachments, not {len(wanted)}.")
    asked = [_of(found[one], conversation) for one in wanted if one]
    _check_taken(asked, model)
    shown = attachments_in(message.content for message in branch)
    earlier = await rows.get_many(session, conversation.owner_id, shown) if shown else {}
    _check_together([*earlier.values(), *asked], model, inline=context.services.files.inline)
    waiting = [one.id for one in asked if one.conversation_id is None]
    made = [one for one in asked if one.id not in found]
    return Attached([_block(one) for one in asked], waiting, made)


def _check_taken(asked: Sequence[Attachment], model: Model) -> None:
    for kind, taken in (("images", model.takes_images), ("documents", model.takes_documents)):
        if taken is False and any((one.media_type == PDF) == (kind == "documents") for one in asked):
            raise InvalidInput("attachmentIds", f"{model.id} takes no {kind}.")


def _check_together(every: Sequence[Attachment], model: Model, *, inline: bool) -> None:
    media = [Media(one.media_type, one.width, one.height, one.pages) for one in every]
    size = sum(one.size_bytes for one in every) if inline else 0
    problem = check_together(media, size, model.max_input_tokens)
    if problem is not None:
        raise InvalidInput("attachmentIds", problem)


def attachment_ids(content: Sequence[Json]) -> list[str]:
    """Give the ids of the attachments that a message shows."""
    return [str(found) for block in content if (found := attachment_of(block)) is not None]


def _of(attachment: Attachment, conversation: Conversation) -> Attachment:
    if attachment.conversation_id in (None, conversation.id):
        return attachment
    # Each conversation has its own, so that deleting one takes nothing from another.
    return rows.again(attachment, conversation.id)


def _block(attachment: Attachment) -> Json:
    source = source_of(attachment.id, attachment.media_type, attachment.pages)
    if attachment.media_type != PDF:
        return {"type": "image", "source": source}
    return {"type": "document", "source": source, "title": attachment.filename, "citations": {"enabled": True}}


def _clean(filename: str, media: Media) -> str:
    """Give a name without folders and control characters: it is shown, and never a path."""
    base = filename.replace("\\", "/").rpartition("/")[2]
    shown = "".join(char for char in base if char.isprintable() and not "\ud800" <= char <= "\udfff").strip()
    return shown[:MAX_FILENAME] or f"file.{media.media_type.partition('/')[2]}"
