"""The files that Claude makes with the code that it runs: they are fetched, and stored as attachments of the answer."""

import asyncio
import logging
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from tertulia.attachments.documents.errors import UnfitMedia
from tertulia.attachments.files import Files, display_name
from tertulia.attachments.media import InspectedFile, Media, inspect_async
from tertulia.claude.client import Claude
from tertulia.claude.downloads import DownloadError, download
from tertulia.claude.parser import LONGEST_ID
from tertulia.db import generated_files, leases
from tertulia.db.database import Database
from tertulia.db.generated_files import GeneratedFile
from tertulia.db.inserting import insert
from tertulia.db.tables import Attachment
from tertulia.json import Json, clean_text, is_list, is_object

MAX_FILES = 20
"""The most files of one answer that are stored."""
MAX_BYTES = 32 * 1024 * 1024
"""The maximum size of a file."""
FILE_SECONDS, ALL_SECONDS = 30.0, 60.0
"""How long an answer waits for one file, and for all files of a round."""
CONCURRENT = 4
RESULTS, OUTPUTS = "code_execution_tool_result", "code_execution_output"
"""The ends of the types of blocks, for code in Python and in Bash."""
UNKNOWN_TYPE = "application/octet-stream"
SWITCHED_OFF = "This server does not use Claude's Files API."
TOO_SLOW = "Claude's Files API did not return the file in time."
UNSTORED = "The file could not be stored."

logger = logging.getLogger("tertulia.claude")


@dataclass(frozen=True, slots=True)
class FileReference:
    """A file that a result of Claude's code execution names."""

    tool_use_id: str
    file_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The message whose files are stored."""

    owner_id: UUID
    conversation_id: UUID
    message_id: UUID


def files_in(content: Sequence[Json]) -> list[FileReference]:
    """Return the files that Claude made in a message, in order and without duplicates."""
    references: dict[str, FileReference] = {}
    for block in content:
        result = block.get("content")
        outputs = result.get("content") if str(block.get("type")).endswith(RESULTS) and is_object(result) else None
        for output in outputs if is_list(outputs) else ():
            if not is_object(output) or not str(output.get("type")).endswith(OUTPUTS):
                continue
            file_id = output.get("file_id")
            if isinstance(file_id, str) and 0 < len(file_id) <= LONGEST_ID:
                references.setdefault(file_id, FileReference(str(block.get("tool_use_id")), file_id))
    return list(references.values())


def stored_media_type(media_type: str) -> str:
    """Return the media type that a file claims to have, or a general one if it is not valid."""
    plain = media_type.partition(";")[0].strip().lower()
    return plain if re.fullmatch(r"[a-z0-9.+-]{1,64}/[a-z0-9.+-]{1,64}", plain) else UNKNOWN_TYPE


class GeneratedFiles:
    """Fetches files from Claude's Files API."""

    def __init__(self, database: Database, files: Files, claude: Claude, *, enabled: bool) -> None:
        """Initialize without a request.

        Args:
            database: The database.
            files: The storage of attachments.
            claude: The client of Claude's API.
            enabled: Whether the Files API may be used.
        """
        self._database = database
        self._files = files
        self._claude = claude
        self._enabled = enabled

    async def store(self, answer: Answer, content: Sequence[Json]) -> None:
        """Store the files of an answer that are not stored yet. Failures are stored instead, and nothing is raised."""
        references = files_in(content)[:MAX_FILES]
        if not references:
            return
        slots = asyncio.Semaphore(CONCURRENT)

        async def store(reference: FileReference) -> None:
            async with slots:
                await self._store(answer, reference)

        try:
            async with asyncio.timeout(ALL_SECONDS):
                async with self._database.read() as session:
                    stored_ids = await generated_files.known_ids(session, answer.message_id)
                async with asyncio.TaskGroup() as group:
                    for reference in references:
                        if reference.file_id not in stored_ids:
                            group.create_task(store(reference))
        except Exception:
            # The answer is complete without its files.
            logger.exception("The files of message %s could not be stored", answer.message_id)

    async def _store(self, answer: Answer, reference: FileReference) -> None:
        row = GeneratedFile(message_id=answer.message_id, file_id=reference.file_id)
        attachment: Attachment | None = None
        try:
            async with asyncio.timeout(FILE_SECONDS):
                attachment = await self._fetch(answer, reference.file_id)
        except DownloadError as error:
            row.problem = str(error)
        except TimeoutError:
            row.problem = TOO_SLOW
        except Exception:
            logger.exception("The file %s that Claude made could not be stored", reference.file_id)
            row.problem = UNSTORED
        if attachment is not None:
            row.attachment_id, row.filename = attachment.id, attachment.filename
        async with self._database.write() as session:
            await leases.lock_owner(session, answer.owner_id)
            if reference.file_id in await generated_files.known_ids(session, answer.message_id):
                # Another process continues the answer, and was faster. The sweep of unused blobs deletes these bytes.
                return
            if attachment is not None:
                await insert(session, [attachment])
            await insert(session, [row])

    async def _fetch(self, answer: Answer, file_id: str) -> Attachment:
        if not self._enabled:
            raise DownloadError(SWITCHED_OFF)
        with tempfile.TemporaryDirectory(prefix="tertulia-") as folder:
            path = Path(folder) / "file"
            downloaded = await download(self._claude, file_id, path, MAX_BYTES)
            try:
                inspected = await inspect_async(path, downloaded.filename, owner=answer.owner_id)
            except UnfitMedia:
                # It is not for Claude, so it need not be a picture or a document that Claude reads.
                inspected = InspectedFile(Media(stored_media_type(downloaded.media_type)))
            attachment = await self._files.store(
                path,
                inspected,
                size_bytes=downloaded.size_bytes,
                filename=display_name(clean_text(downloaded.filename), inspected.media.media_type),
                owner=answer.owner_id,
                file_id=file_id,
            )
        attachment.conversation_id = answer.conversation_id
        return attachment
