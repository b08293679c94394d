"""The transfer of attachments to Claude, through the Files API or in the request."""

import asyncio
import base64
import logging
import mimetypes
import time
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import UUID

from tertulia.attachments.documents.errors import UnfitMedia
from tertulia.attachments.media import CONTENT, InspectedFile, Media, PictureRoom, SentContent, inspect_async
from tertulia.claude.client import Claude
from tertulia.claude.connections import reporting_credentials
from tertulia.claude.errors import request_errors
from tertulia.claude.parser import LONGEST_ID
from tertulia.db import attachments
from tertulia.db.blobs import Blobs
from tertulia.db.database import Database
from tertulia.db.inserting import insert
from tertulia.db.tables import Attachment, Blob
from tertulia.isolation import ItemLoop
from tertulia.json import Json, is_object, loads
from tertulia.threads import offload

ATTACHMENT = "attachment"
"""The type of a stored source that refers to an attachment. It is never sent to Claude."""
TEXT_BYTES = "text_bytes"
"""The key of the size of a document that is sent as text, in a stored source."""
RETRY_SECONDS = 3600.0
"""The time in seconds until the Files API is tried again after a failure. Many gateways do not have it."""
MAX_FILENAME = 200
"""The maximum length in characters. Longer names are cut."""
REMOVALS = ItemLoop("removal.files")
MISSING = "[This attachment no longer exists: {}]"
"""The text that replaces an attachment whose bytes or row are missing, with its name."""

logger = logging.getLogger("tertulia.claude")


def source_of(attachment: Attachment) -> Json:
    """Return the stored form of a content block's source that refers to an attachment."""
    source: Json = {"type": ATTACHMENT, "attachment_id": str(attachment.id), "media_type": attachment.media_type}
    sizes: Json = {"pages": attachment.pages}
    if attachment.characters is not None:
        sizes[TEXT_BYTES] = attachment.sent_bytes
    return source | {name: size for name, size in sizes.items() if size is not None}


def media_of(attachment: Attachment) -> Media:
    """Return the type and the size of an attachment."""
    sizes = (attachment.width, attachment.height, attachment.pages, attachment.characters)
    return Media(attachment.media_type, *sizes)


def sent_size(rows: Iterable[Attachment], *, inline: bool) -> int:
    """Return the number of bytes that a request contains of these attachments.

    Args:
        rows: The attachments.
        inline: Whether it contains the bytes of images and PDFs. It always contains the texts of other documents.
    """
    contained_rows = (row for row in rows if inline or row.characters is not None)
    return sum(row.size_bytes if row.sent_bytes is None else row.sent_bytes for row in contained_rows)


def display_name(filename: str, media_type: str) -> str:
    """Return a name without folders and control characters. It is for display, and never used as a path."""
    base = filename.replace("\\", "/").rpartition("/")[2]
    name = "".join(char for char in base if char.isprintable() and not "\ud800" <= char <= "\udfff").strip()
    return name[:MAX_FILENAME] or f"file{mimetypes.guess_extension(media_type) or ''}"


def attachment_of(block: Json) -> UUID | None:
    """Return the id of the attachment that a stored block refers to, or None if it refers to none."""
    # The source of a search result is a string, and that of a block of an unknown type can be anything.
    source = block.get("source")
    return UUID(source["attachment_id"]) if is_object(source) and source.get("type") == ATTACHMENT else None


class Files:
    """Adds attachments to requests, stores their bytes, and deletes the bytes that no attachment uses any more."""

    def __init__(self, database: Database, blobs: Blobs, claude: Claude, *, files_api: bool) -> None:
        """Initialize without a request to Claude.

        Args:
            database: The database with the rows of attachments.
            blobs: The storage of their bytes.
            claude: The client of the Files API.
            files_api: Whether the Files API may be used, if the provider has one.
        """
        self.blobs = blobs
        self._database = database
        self._claude = claude
        self._files_api = files_api and claude.platform.stores_files
        self._not_before = 0.0

    @property
    def inline(self) -> bool:
        """Whether requests contain the bytes of their attachments, instead of ids of the Files API."""
        return not self._files_api or time.monotonic() < self._not_before

    async def fill(self, request: Json, *, inline: bool = False) -> Json:
        """Return the request with sources that the Messages API accepts.

        Args:
            request: A request whose blocks have stored sources.
            inline: Send all attachments as base64, without the Files API.
        """
        inline = inline or not self._claude.stores_files_for(request["model"])
        filled: list[Json] = [*request["messages"]]
        ids = await offload(len(filled), lambda: _attachments_by_position(filled))
        if not ids:
            return request
        async with self._database.read() as session:
            sources = await attachments.sources(session, list(chain.from_iterable(ids.values())))
        for position in ids:
            message = filled[position]
            content = [await self._fill_block(block, sources, inline=inline) for block in message["content"]]
            filled[position] = {**message, "content": content}
        return {**request, "messages": filled}

    async def room(self, owner: UUID, contents: Sequence[Sequence[Json]], window: int | None) -> PictureRoom:
        """Return the room that a conversation has for more pictures.

        Args:
            owner: The owner of the conversation.
            contents: The contents of its messages.
            window: The model's context window in tokens, or None if it is unknown.
        """
        attachment_ids = await offload(len(contents), lambda: attachments_in(contents))
        rows: list[Attachment] = []
        if attachment_ids:
            async with self._database.read() as session:
                rows = list((await attachments.get_many(session, owner, attachment_ids)).values())
        size = sent_size(rows, inline=self.inline)
        return PictureRoom([media_of(row) for row in rows], size, window, inline=self.inline)

    async def keep(self, data: bytes, room: PictureRoom, owner: UUID, conversation_id: UUID) -> Json:
        """Store a picture that a tool returned.

        Returns:
            The content block that shows it.

        Raises:
            UnfitMedia: Claude would not accept it, or the conversation has no room for it.
        """
        inspected = await inspect_async(data, owner=owner)
        media = inspected.media
        if not media.is_image:
            raise UnfitMedia(f"it must be an image, not {media.media_type}.")
        room.take(media, len(data) if inspected.converted is None else len(inspected.converted.data))
        filename = f"picture.{media.media_type.partition('/')[2]}"
        attachment = await self.store(data, inspected, size_bytes=len(data), filename=filename, owner=owner)
        attachment.conversation_id = conversation_id
        async with self._database.write() as session:
            await insert(session, [attachment])
        return {"type": "image", "source": source_of(attachment)}

    async def store(
        self,
        content: bytes | Path,
        inspected: InspectedFile,
        *,
        size_bytes: int,
        filename: str,
        owner: UUID,
        file_id: str | None = None,
    ) -> Attachment:
        """Store the bytes of a file, and its converted content.

        `file_id` is its id in Claude's Files API, if Claude has it already.

        Returns:
            The row of the attachment, which the caller inserts.
        """
        media, converted = inspected.media, inspected.converted
        if file_id is not None and converted is not None and converted.media_type != CONTENT:
            # The id of the file would be used as that of the converted image or PDF.
            await self._remove_file(Blob(file_id=file_id))
            file_id = None
        blob = Blob(file_id=file_id, converted_type=None if converted is None else converted.media_type)
        # The row is inserted first. If storing the bytes fails, `sweep` finds the row and deletes both.
        async with self._database.write() as session:
            await insert(session, [blob])
        await self.blobs.put(blob.id, content)
        if converted is not None:
            await self.blobs.put(blob.id, converted.data, converted=True)
        return Attachment(
            owner_id=owner,
            blob_id=blob.id,
            filename=filename,
            media_type=media.media_type,
            size_bytes=size_bytes,
            width=media.width,
            height=media.height,
            pages=media.pages,
            characters=media.characters,
            sent_bytes=None if converted is None else len(converted.data),
        )

    async def forget(self, request: Json) -> None:
        """Delete the stored Files API ids of a request's attachments, because Claude no longer has these files."""
        messages = request["messages"]
        ids = await offload(len(messages), lambda: attachments_in(message["content"] for message in messages))
        async with self._database.write() as session:
            sources = await attachments.sources(session, ids)
            # Sorted, because two transactions that update the same rows in different orders can deadlock.
            for blob_id in sorted(blob.id for blob, _ in sources.values()):
                await attachments.remember_file(session, blob_id, None)

    async def discard(self, ids: Sequence[UUID]) -> None:
        """Delete the blobs with these ids that no attachment uses any more. `sweep` retries what fails."""
        if ids:
            async with self._database.read() as session:
                unused_blobs = await attachments.unused(session, ids)
            await self._remove(unused_blobs)

    async def sweep(self) -> None:
        """Delete uploads that were never sent, and blobs that no attachment uses."""
        async with self._database.write() as session:
            await attachments.forget_unsent(session)
            unused_blobs = await attachments.unused(session)
        await self._remove(unused_blobs)

    async def _fill_block(self, block: Json, sources: dict[UUID, tuple[Blob, str]], *, inline: bool) -> Json:
        attachment_id = attachment_of(block)
        if attachment_id is None:
            return block
        if attachment_id not in sources:
            return {"type": "text", "text": MISSING.format(block.get("title", "image"))}
        blob, filename = sources[attachment_id]
        is_text = blob.converted_type == CONTENT
        if blob.file_id is not None and self._files_api and not inline and not is_text:
            return {**block, "source": {"type": "file", "file_id": blob.file_id}}
        content = await self._sent(blob, filename, block["source"]["media_type"])
        if content is None:
            return {"type": "text", "text": MISSING.format(filename)}
        return await self._with_source(block, blob, filename, content, inline=inline)

    async def _with_source(self, block: Json, blob: Blob, filename: str, sent: SentContent, *, inline: bool) -> Json:
        if sent.media_type == CONTENT:
            return {**block, "source": await asyncio.to_thread(_text_source, sent.data)}
        file_id = None if inline else await self._upload(blob, filename, sent)
        if file_id is not None:
            return {**block, "source": {"type": "file", "file_id": file_id}}
        encoded = base64.b64encode(sent.data).decode()
        return {**block, "source": {"type": "base64", "media_type": sent.media_type, "data": encoded}}

    async def converted(self, blob_id: UUID) -> SentContent:
        """Return the converted content of a blob. Raise FileNotFoundError if it does not exist."""
        async with self._database.read() as session:
            blob = await attachments.blob(session, blob_id)
        if blob is None or blob.converted_type is None:
            raise FileNotFoundError(str(blob_id))
        return SentContent(blob.converted_type, await self.blobs.get(blob_id, converted=True))

    async def _sent(self, blob: Blob, filename: str, media_type: str) -> SentContent | None:
        """Return the content that Claude receives for a blob; None if its bytes are missing."""
        try:
            if blob.converted_type is None:
                return SentContent(media_type, await self.blobs.get(blob.id))
            try:
                return SentContent(blob.converted_type, await self.blobs.get(blob.id, converted=True))
            except FileNotFoundError:
                # Backups of earlier versions contain only the files themselves.
                converted = (await inspect_async(await self.blobs.get(blob.id), filename, owner=None)).converted
        except (FileNotFoundError, UnfitMedia):
            logger.exception(
                "The bytes of blob %s are missing; Claude is told that the attachment no longer exists", blob.id
            )
            return None
        if converted is not None:
            await self.blobs.put(blob.id, converted.data, converted=True)
        return converted

    async def _upload(self, blob: Blob, filename: str, sent: SentContent) -> str | None:
        """Upload a file to the Files API. Return its id, or None if the Files API is not available."""
        if self.inline:
            return None
        try:
            with reporting_credentials(self._claude.platform):
                files = (await self._claude.sdk()).with_options(max_retries=0).files
                uploaded = await files.upload(file=(filename, sent.data, sent.media_type))
        except request_errors() as error:
            logger.warning(
                "The Files API is not available, so attachments are sent in each request for an hour: %s", error
            )
            self._not_before = time.monotonic() + RETRY_SECONDS
            return None
        file_id: Any = getattr(uploaded, "id", None)
        if not isinstance(file_id, str) or not 0 < len(file_id) <= LONGEST_ID:
            logger.warning("The Files API returned no valid id, so an attachment is sent in its request")
            return None
        async with self._database.write() as session:
            await attachments.remember_file(session, blob.id, file_id)
        return file_id

    async def _remove(self, unused_blobs: Sequence[Blob]) -> None:
        blobs = {blob.id: blob for blob in unused_blobs}

        async def remove(blob_id: UUID) -> None:
            await self.blobs.delete([blob_id])
            if blobs[blob_id].converted_type is not None:
                await self.blobs.delete([blob_id], converted=True)
            await self._remove_file(blobs[blob_id])
            # One transaction per blob, so that a blob that is in use again does not prevent the deletion of others.
            async with self._database.write() as session:
                await attachments.remove_blobs(session, [blob_id])

        await REMOVALS.each(blobs, remove)

    async def _remove_file(self, blob: Blob) -> None:
        if blob.file_id is None or not self._files_api:
            return
        try:
            with reporting_credentials(self._claude.platform):
                await (await self._claude.sdk()).files.delete(blob.file_id)
        except request_errors() as error:
            logger.warning("The file %s could not be deleted from the Files API: %s", blob.file_id, error)


def _text_source(stored: bytes) -> Json:
    """Return the source of a document whose text was stored by `ConvertedDocument.to_json`. This call blocks."""
    content: list[Json] | str = loads(stored)["content"]
    if isinstance(content, str):
        return {"type": "text", "media_type": "text/plain", "data": content}
    return {"type": "content", "content": content}


def readable(stored: bytes) -> bytes:
    """Return the stored text of a document for people, with its places. This call blocks."""
    content: list[Json] | str = loads(stored)["content"]
    return (content if isinstance(content, str) else "\n\n".join(block["text"] for block in content)).encode()


def _attachments_by_position(messages: Sequence[Json]) -> dict[int, list[UUID]]:
    """Return the ids of the attachments in messages, by the positions of those that have attachments."""
    by_position = {position: attachments_in([message["content"]]) for position, message in enumerate(messages)}
    return {position: ids for position, ids in by_position.items() if ids}


def attachments_in(contents: Iterable[Sequence[Json]]) -> list[UUID]:
    """Return the ids of the attachments in messages, in order and without duplicates."""
    attachment_ids = (attachment_of(block) for content in contents for block in content)
    return list(dict.fromkeys(attachment_id for attachment_id in attachment_ids if attachment_id is not None))
