"""Receive one file of a form, and write it to a folder, up to a maximum size."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse

from tertulia.server.http.multipart import MalformedForm, MultipartReader
from tertulia.server.http.problems import problem

FORM_OVERHEAD = 64 * 1024
"""Bytes of a request that are not part of its file."""
FIELD = "file"
"""The name of the part that is the file."""
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}
"""The request body of a route that receives a file, for OpenAPI."""


class Refused(Exception):
    """A request that is refused: the status, code and message of its response."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def response(self) -> JSONResponse:
        """Return the refusal as a response."""
        return problem(self.status, self.code, self.message)


def check_origin(request: Request, allowed_origins: Sequence[str]) -> None:
    """Raise Refused for a form of another site (CSRF): browsers send forms without a preflight.

    Args:
        request: The request, whose host is allowed.
        allowed_origins: The origins that are also allowed.
    """
    origin = request.headers.get("origin")
    host = request.headers.get("host", "")
    if origin is not None and origin not in allowed_origins and origin.partition("://")[2] != host:
        raise Refused(
            403, "FORBIDDEN_ORIGIN", "Pages of this origin may not upload files. TERTULIA_CORS_ORIGINS allows origins."
        )


async def received(request: Request, folder: Path, max_bytes: int) -> tuple[str, Path]:
    """Write the form's file to a folder.

    Args:
        request: The request, with a form whose part `file` is the file.
        folder: The folder to write to.
        max_bytes: The largest file that is accepted.

    Returns:
        The original name of the file, and its path.

    Raises:
        Refused: The request contains no such form, or the file is too large.
    """
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        raise Refused(415, "UNSUPPORTED_MEDIA_TYPE", "`Content-Type` must be multipart/form-data.")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes + FORM_OVERHEAD:
        raise _too_large(max_bytes)
    file = folder / "upload"
    try:
        filename = await _write(_bounded(request.stream(), max_bytes), MultipartReader(content_type), file)
    except MalformedForm as error:
        raise Refused(422, "INVALID_INPUT", str(error)) from None
    if filename is None:
        raise Refused(422, "INVALID_INPUT", "The form must have a part `file`.")
    return filename, file


async def _write(pieces: AsyncIterator[bytes], reader: MultipartReader, file: Path) -> str | None:
    """Write the part `file`, with or without a file name, and skip all others; return the file name."""
    filename: str | None = None
    is_file_part = False
    # anyio writes in threads, so that a slow disk does not block the event loop.
    async with await anyio.open_file(file, "wb") as output:
        async for piece in pieces:
            for part_piece in reader.feed(piece):
                if isinstance(part_piece, bytes):
                    if is_file_part:
                        await output.write(part_piece)
                    continue
                is_file_part = part_piece.name == FIELD
                if is_file_part and filename is not None:
                    raise MalformedForm("The form must not have more than one part `file`.")
                filename = part_piece.filename or "" if is_file_part else filename
        reader.close()
    return filename


async def _bounded(pieces: AsyncIterator[bytes], max_bytes: int) -> AsyncGenerator[bytes]:
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > max_bytes + FORM_OVERHEAD:
            raise _too_large(max_bytes)
        yield piece


def _too_large(max_bytes: int) -> Refused:
    return Refused(413, "PAYLOAD_TOO_LARGE", f"`file` must be at most {max_bytes >> 20} MB.")
