"""Downloads of the files that Claude made, from the Files API."""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tertulia.claude.attempts import forget_attempts
from tertulia.claude.client import Claude
from tertulia.claude.connections import reporting_credentials
from tertulia.claude.errors import request_errors

ATTEMPTS = 2
"""Downloads of a file. The SDK also repeats each request that fails before its response."""
RETRY_SECONDS = 1.0
UNAVAILABLE = "Claude's Files API did not return the file."
SERVER_FAULT = 500
MEGABYTE = 1024 * 1024

logger = logging.getLogger("tertulia.claude")


class DownloadError(Exception):
    """A file that cannot be stored. The message is for users."""


@dataclass(frozen=True, slots=True)
class DownloadedFile:
    """The metadata of a file in Claude's Files API, and the number of bytes that were received."""

    filename: str
    media_type: str
    size_bytes: int


async def download(claude: Claude, file_id: str, target: Path, max_bytes: int) -> DownloadedFile:
    """Download a file of Claude's Files API.

    Args:
        claude: The client of Claude's API.
        file_id: The id of the file.
        target: Where to write it.
        max_bytes: The maximum size.

    Raises:
        DownloadError: The file is too large, or cannot be downloaded.
    """
    # The attempts of the answer are billed, and these are not part of them.
    forget_attempts()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await _download(claude, file_id, target, max_bytes)
        except request_errors() as error:
            status: int | None = getattr(error, "status_code", None)
            if attempt == ATTEMPTS or (status is not None and status < SERVER_FAULT):
                logger.warning("The file %s that Claude made could not be downloaded: %s", file_id, error)
                raise DownloadError(UNAVAILABLE) from error
        await asyncio.sleep(RETRY_SECONDS)
    raise DownloadError(UNAVAILABLE)


async def _download(claude: Claude, file_id: str, target: Path, max_bytes: int) -> DownloadedFile:
    with reporting_credentials(claude.platform):
        files = (await claude.sdk()).files
        # Untyped, because a gateway may return anything.
        metadata: Any = await files.retrieve_metadata(file_id)
    filename, media_type = getattr(metadata, "filename", None), getattr(metadata, "mime_type", None)
    size: Any = getattr(metadata, "size_bytes", None)
    if isinstance(size, int):
        _check_size(size, max_bytes)
    received = 0
    async with files.with_streaming_response.download(file_id) as response:
        with target.open("wb") as file:
            async for piece in response.iter_bytes():
                received += len(piece)
                _check_size(received, max_bytes)
                await asyncio.to_thread(file.write, piece)
    return DownloadedFile(str(filename or ""), str(media_type or ""), received)


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        problem = f"The file has more than {max_bytes // MEGABYTE} MB, which is the most that is stored."
        raise DownloadError(problem)
