"""Uploads and downloads of attachments, and the attachments of messages."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from tertulia.attachments.documents.errors import UnfitMedia, UnknownMedia
from tertulia.attachments.files import (
    attachment_of,
    attachments_in,
    display_name,
    media_of,
    readable,
    sent_size,
    source_of,
)
from tertulia.attachments.media import CONTENT, SentContent, check_together, inspect_async
from tertulia.claude.models import Model
from tertulia.db import attachments as rows
from tertulia.db.database import AsyncSession
from tertulia.db.inserting import insert
from tertulia.db.messages import PromptMessage
from tertulia.db.tables import Attachment, Conversation, Message
from tertulia.json import Json
from tertulia.resolvers.content import AttachmentBlock
from tertulia.resolvers.context import Context, Info, as_uuid
from tertulia.resolvers.errors import InvalidInput, NotFound
from tertulia.threads import offload

MAX_ATTACHED = 100
"""The most attachments of one message."""


class FileRejected(InvalidInput):
    """An upload that Claude would not accept.

    Attributes:
        unknown: Whether its media type is the reason.
    """

    def __init__(self, error: UnfitMedia) -> None:
        super().__init__("file", f"was not accepted: {error}")
        self.unknown = isinstance(error, UnknownMedia)


@dataclass(frozen=True, slots=True)
class MessageAttachments:
    """The content blocks of a message's attachments, and the rows to write for them.

    Attributes:
        blocks: The content blocks.
        waiting: Uploads that belong to no conversation yet.
        copies: New rows for attachments that belong to another conversation.
    """

    blocks: Sequence[Json] = ()
    waiting: Sequence[UUID] = ()
    copies: Sequence[Attachment] = ()

    async def store(self, session: AsyncSession, conversation_id: UUID) -> None:
        """Assign the attachments to a conversation, whose row must exist."""
        await rows.claim(session, self.waiting, conversation_id)
        if self.copies:
            await insert(session, self.copies)


def url(info: Info, root: Attachment) -> str:
    """The path on this server from which the owner can download the file, with the same token as for other requests."""
    return path_of(info.context, root)


def converted_url(info: Info, root: Attachment) -> str | None:
    """The path of what Claude receives instead of the file: its text, an image or a PDF. Null if Claude receives
    the file itself.
    """
    return None if root.sent_bytes is None else f"{path_of(info.context, root)}/converted"


def path_of(context: Context, attachment: Attachment) -> str:
    """Return the path at which clients of this context download an attachment."""
    return context.path(f"/attachments/{attachment.id}")


async def attachment(info: Info, root: AttachmentBlock) -> Attachment | None:
    """The attached file."""
    return await info.context.loaders.attachments.load(root.attachment_id)


async def upload(context: Context, filename: str, file: Path) -> Attachment:
    """Store a file that the viewer uploads; raise FileRejected if Claude would not accept it."""
    try:
        inspected = await inspect_async(file, filename, owner=context.viewer.user_id)
    except UnfitMedia as unfit:
        raise FileRejected(unfit) from unfit
    size = (await asyncio.to_thread(file.stat)).st_size
    await context.limits.check_upload(context.viewer.user_id, size)
    attachment = await context.services.files.store(
        file,
        inspected,
        size_bytes=size,
        filename=display_name(filename, inspected.media.media_type),
        owner=context.viewer.user_id,
    )
    async with context.database.write() as session:
        await insert(session, [attachment])
    return attachment


async def download(context: Context, id: str) -> tuple[Attachment, AsyncIterator[bytes]]:
    """Return the viewer's attachment with this id, and its bytes; raise NotFound."""
    attachment = await _of_viewer(context, id)
    try:
        return attachment, await context.services.files.blobs.read(attachment.blob_id)
    except FileNotFoundError:
        raise NotFound(id, "attachment") from None


async def download_converted(context: Context, id: str) -> SentContent:
    """Return the converted content of the viewer's attachment with this id; raise NotFound."""
    attachment = await _of_viewer(context, id)
    if attachment.sent_bytes is None:
        raise NotFound(id, "attachment")
    try:
        converted = await context.services.files.converted(attachment.blob_id)
    except FileNotFoundError:
        raise NotFound(id, "attachment") from None
    if converted.media_type == CONTENT:
        return SentContent("text/plain; charset=utf-8", await asyncio.to_thread(readable, converted.data))
    return converted


async def _of_viewer(context: Context, id: str) -> Attachment:
    attachment_id = as_uuid(id)
    attachment = await context.loaders.attachments.load(attachment_id) if attachment_id else None
    if attachment is None:
        raise NotFound(id, "attachment")
    return attachment


async def attach(
    session: AsyncSession,
    context: Context,
    conversation: Conversation,
    branch: Sequence[Message | PromptMessage],
    ids: Sequence[str] | None,
    model: Model,
) -> MessageAttachments:
    """Return the blocks and rows that these attachments add to a message.

    Args:
        session: The transaction that will store the message.
        context: The viewer's context.
        conversation: The conversation of the message. Its row may not exist yet.
        branch: The earlier messages. Their attachments count towards the limits of a request to Claude.
        ids: The ids of the attachments, from the client.
        model: The model that will answer.

    Raises:
        InvalidInput: An attachment does not exist, the model does not accept it, or a limit is exceeded.
    """
    if not ids:
        return MessageAttachments()
    requested_ids = [as_uuid(id) for id in dict.fromkeys(ids)]
    rows_by_id = await rows.get_many(session, conversation.owner_id, [id for id in requested_ids if id])
    missing = next((id for id in ids if (as_uuid(id) or None) not in rows_by_id), None)
    if missing is not None:
        raise InvalidInput("attachmentIds", f"contains {missing[:100]!r}, which is not the id of an attachment.")
    if len(requested_ids) > MAX_ATTACHED:
        raise InvalidInput("attachmentIds", f"must have at most {MAX_ATTACHED} items, not {len(requested_ids)}.")
    requested = [_for_conversation(rows_by_id[id], conversation) for id in requested_ids if id]
    unreadable = next((file for file in requested if not media_of(file).is_readable), None)
    if unreadable is not None:
        # Claude made it, so it can be of any type.
        raise InvalidInput("attachmentIds", f"must not contain {unreadable.filename!r}: Claude cannot read it.")
    _check_model_accepts(requested, model)
    earlier_ids = await offload(len(branch), lambda: attachments_in(message.content for message in branch))
    earlier = await rows.get_many(session, conversation.owner_id, earlier_ids) if earlier_ids else {}
    _check_together([*earlier.values(), *requested], model, inline=context.services.files.inline)
    waiting = [attachment.id for attachment in requested if attachment.conversation_id is None]
    copies = [attachment for attachment in requested if attachment.id not in rows_by_id]
    return MessageAttachments([_content_block(attachment) for attachment in requested], waiting, copies)


def _check_model_accepts(requested: Sequence[Attachment], model: Model) -> None:
    media = [media_of(attachment) for attachment in requested]
    if model.takes_images is False and any(item.is_image for item in media):
        raise InvalidInput("attachmentIds", f"must not contain images: {model.id} does not accept them.")
    if model.takes_documents is False and any(item.pages is not None for item in media):
        raise InvalidInput("attachmentIds", f"must not contain PDFs: {model.id} does not accept them.")


def _check_together(attached: Sequence[Attachment], model: Model, *, inline: bool) -> None:
    media = [media_of(attachment) for attachment in attached]
    problem = check_together(media, sent_size(attached, inline=inline), model.max_input_tokens)
    if problem is not None:
        raise InvalidInput("attachmentIds", f"cannot be sent in this conversation: {problem}")


def attachment_ids(content: Sequence[Json]) -> list[str]:
    """Return the ids of the attachments in a message."""
    return [str(attachment_id) for block in content if (attachment_id := attachment_of(block)) is not None]


def _for_conversation(attachment: Attachment, conversation: Conversation) -> Attachment:
    if attachment.conversation_id in (None, conversation.id):
        return attachment
    # Each conversation has its own copy of the row, so that deleting one conversation does not affect another.
    return rows.copy_for(attachment, conversation.id)


def _content_block(attachment: Attachment) -> Json:
    source = source_of(attachment)
    if media_of(attachment).is_image:
        return {"type": "image", "source": source}
    return {"type": "document", "source": source, "title": attachment.filename, "citations": {"enabled": True}}
