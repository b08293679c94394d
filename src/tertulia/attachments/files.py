"""The bytes of attachments in requests: by Claude's Files API, or in the request itself, as base64."""

import base64
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from tertulia.attachments.media import Media, PictureRoom, UnfitMedia, inspect_async
from tertulia.claude.client import Claude
from tertulia.claude.errors import request_errors
from tertulia.claude.parser import LONGEST_ID
from tertulia.db import attachments
from tertulia.db.blobs import Blobs
from tertulia.db.database import Database
from tertulia.db.inserting import insert
from tertulia.db.tables import Attachment, Blob
from tertulia.isolation import ItemLoop
from tertulia.json import Json

ATTACHMENT = "attachment"
"""The kind of a source that names an attachment; Claude never sees it."""
ASK_AGAIN = 3600.0
"""Seconds for which a Files API that was not there is not asked again: gateways often have none."""
REMOVALS = ItemLoop("removal.files")
LOST = "[An attachment that is no longer there: {}]"

logger = logging.getLogger("tertulia.claude")


def source_of(attachment_id: UUID, media_type: str, pages: int | None) -> Json:
    """Give the source of a block that shows an attachment, as it is stored."""
    source = {"type": ATTACHMENT, "attachment_id": str(attachment_id), "media_type": media_type}
    return source if pages is None else {**source, "pages": pages}


def attachment_of(block: Json) -> UUID | None:
    """Give the attachment that a stored block shows."""
    source: Json = block.get("source") or {}
    return UUID(source["attachment_id"]) if source.get("type") == ATTACHMENT else None


class Files:
    """Fills the bytes into requests, and removes what nobody names any more."""

    def __init__(self, database: Database, blobs: Blobs, claude: Claude, *, files_api: bool) -> None:
        """Take the parts; `files_api`: whether Claude may be asked to keep files."""
        self.blobs = blobs
        self._database = database
        self._claude = claude
        self._files_api = files_api
        self._not_before = 0.0

    @property
    def inline(self) -> bool:
        """Whether bytes travel in each request."""
        return not self._files_api or time.monotonic() < self._not_before

    async def fill(self, request: Json, *, inline: bool = False) -> Json:
        """Give the request with sources that Claude knows; `inline`: all of them as base64."""
        shown = {attachment_of(block) for message in request["messages"] for block in message["content"]}
        wanted = [one for one in shown if one is not None]
        if not wanted:
            return request
        async with self._database.read() as session:
            found = await attachments.sources(session, wanted)
        filled: list[Json] = []
        for message in request["messages"]:
            content = [await self._filled(block, found, inline=inline) for block in message["content"]]
            filled.append({**message, "content": content})
        return {**request, "messages": filled}

    async def room(self, owner: UUID, contents: Iterable[Sequence[Json]], window: int | None) -> PictureRoom:
        """Return the room for pictures after these messages of the owner's; `window`: the model's, in tokens."""
        shown = attachments_in(iter(contents))
        found: list[Attachment] = []
        if shown:
            async with self._database.read() as session:
                found = list((await attachments.get_many(session, owner, shown)).values())
        media = [Media(one.media_type, one.width, one.height, one.pages) for one in found]
        return PictureRoom(media, sum(one.size_bytes for one in found), window, inline=self.inline)

    async def keep(self, data: bytes, room: PictureRoom, owner: UUID, conversation_id: UUID) -> Json:
        """Keep a picture that a tool returned, and return the block that shows it; raise UnfitMedia."""
        media = await inspect_async(data)
        if media.pages is not None:
            raise UnfitMedia("it must be a PNG, JPEG, GIF or WebP image, and is a PDF document.")
        room.take(media, len(data))
        filename = f"picture.{media.media_type.partition('/')[2]}"
        attachment = await self.store(data, media, size_bytes=len(data), filename=filename, owner=owner)
        attachment.conversation_id = conversation_id
        async with self._database.write() as session:
            await insert(session, [attachment])
        return {"type": "image", "source": source_of(attachment.id, attachment.media_type, None)}

    async def store(
        self, content: bytes | Path, media: Media, *, size_bytes: int, filename: str, owner: UUID
    ) -> Attachment:
        """Store the bytes of a file, and return its attachment, which the caller inserts."""
        blob = Blob()
        # The row first: by it, the bytes are found and removed if anything fails after it.
        async with self._database.write() as session:
            await insert(session, [blob])
        await self.blobs.put(blob.id, content)
        return Attachment(
            owner_id=owner,
            blob_id=blob.id,
            filename=filename,
            media_type=media.media_type,
            size_bytes=size_bytes,
            width=media.width,
            height=media.height,
            pages=media.pages,
        )

    async def forget(self, request: Json) -> None:
        """Forget the files of a request: Claude no longer has them."""
        shown = {attachment_of(block) for message in request["messages"] for block in message["content"]}
        async with self._database.write() as session:
            for blob, _ in (await attachments.sources(session, [one for one in shown if one])).values():
                await attachments.remember_file(session, blob.id, None)

    async def discard(self, ids: Sequence[UUID]) -> None:
        """Remove the bytes of blobs that no attachment names any more; what fails is left to the sweep."""
        if ids:
            async with self._database.read() as session:
                gone = await attachments.unused(session, ids)
            await self._remove(gone)

    async def sweep(self) -> None:
        """Remove uploads that were never sent, and bytes that were left behind."""
        async with self._database.write() as session:
            await attachments.forget_unsent(session)
            gone = await attachments.unused(session)
        await self._remove(gone)

    async def _filled(self, block: Json, found: dict[UUID, tuple[Blob, str]], *, inline: bool) -> Json:
        wanted = attachment_of(block)
        if wanted is None:
            return block
        if wanted not in found:
            return {"type": "text", "text": LOST.format(block.get("title", "image"))}
        blob, filename = found[wanted]
        media_type: str = block["source"]["media_type"]
        if blob.file_id is not None and self._files_api and not inline:
            return {**block, "source": {"type": "file", "file_id": blob.file_id}}
        try:
            data = await self.blobs.get(blob.id)
        except FileNotFoundError:
            logger.exception("The bytes of %s are no longer there", blob.id)
            return {"type": "text", "text": LOST.format(filename)}
        file_id = None if inline else await self._upload(blob, filename, data, media_type)
        if file_id is not None:
            return {**block, "source": {"type": "file", "file_id": file_id}}
        encoded = base64.b64encode(data).decode()
        return {**block, "source": {"type": "base64", "media_type": media_type, "data": encoded}}

    async def _upload(self, blob: Blob, filename: str, data: bytes, media_type: str) -> str | None:
        """Upload a file to the Files API and return its id; None where there is no Files API."""
        if self.inline:
            return None
        try:
            sdk = await self._claude.sdk()
            sent = await sdk.with_options(max_retries=0).files.upload(file=(filename, data, media_type))
        except request_errors() as error:
            logger.warning("The Files API cannot be used, so attachments travel in each request: %s", error)
            self._not_before = time.monotonic() + ASK_AGAIN
            return None
        file_id: Any = getattr(sent, "id", None)
        if not isinstance(file_id, str) or not 0 < len(file_id) <= LONGEST_ID:
            logger.warning("The Files API gave no id, so an attachment travels in its request.")
            return None
        async with self._database.write() as session:
            await attachments.remember_file(session, blob.id, file_id)
        return file_id

    async def _remove(self, gone: Sequence[Blob]) -> None:
        blobs = {blob.id: blob for blob in gone}

        async def remove(blob_id: UUID) -> None:
            await self.blobs.delete([blob_id])
            await self._remove_file(blobs[blob_id])
            # By itself: one that is named again meanwhile must not keep the others.
            async with self._database.write() as session:
                await attachments.remove_blobs(session, [blob_id])

        await REMOVALS.each(blobs, remove)

    async def _remove_file(self, blob: Blob) -> None:
        if blob.file_id is None or not self._files_api:
            return
        try:
            await (await self._claude.sdk()).files.delete(blob.file_id)
        except request_errors() as error:
            logger.warning("Claude's file %s could not be removed: %s", blob.file_id, error)


def attachments_in(contents: Iterator[Sequence[Json]]) -> list[UUID]:
    """Give the attachments that messages show, in order, each once."""
    found = (attachment_of(block) for content in contents for block in content)
    return list(dict.fromkeys(one for one in found if one is not None))
