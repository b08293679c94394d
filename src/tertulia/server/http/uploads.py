"""Receiving one file of a form: written to a folder, never more of it than may be taken."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse

from tertulia.server.http.multipart import MalformedForm, MultipartReader
from tertulia.server.http.problems import problem

AROUND = 64 * 1024
"""Bytes of a request besides its file."""
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
"""What a route that receives a file says of itself in OpenAPI."""


class Refused(Exception):
    """A request that is not served: a status, and an error that says why."""

    def __init__(self, status: int, code: str, message: str) -> None:
        """Take the status, a code for programs and a sentence for people."""
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def response(self) -> JSONResponse:
        """Give what is answered."""
        return problem(self.status, self.code, self.message)


def check_origin(request: Request, allowed: Sequence[str]) -> None:
    """Refuse forms of other sites' pages: without a preflight, any of them could send one by a visitor's browser."""
    origin = request.headers.get("origin")
    host = request.headers.get("host", "")
    if origin is not None and origin not in allowed and origin.partition("://")[2] != host:
        raise Refused(403, "FORBIDDEN_ORIGIN", "Pages of this origin may not upload here.")


async def received(request: Request, folder: Path, most: int) -> tuple[str, Path]:
    """Write the form's file into the folder; gives its name, as it was sent, and its place. Raises Refused."""
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        raise Refused(415, "UNSUPPORTED_MEDIA_TYPE", "An upload is a form of the type multipart/form-data.")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most + AROUND:
        raise _too_large(most)
    file = folder / "upload"
    try:
        filename = await _write(_bounded(request.stream(), most), MultipartReader(content_type), file)
    except MalformedForm as error:
        raise Refused(422, "INVALID_INPUT", f"file: {error}") from None
    if filename is None:
        raise Refused(422, "INVALID_INPUT", "file: the form has no file of this name.")
    return filename, file


async def _write(pieces: AsyncIterator[bytes], reader: MultipartReader, file: Path) -> str | None:
    """Write the part `file`, whether it has a file's name or not, and pass over all others; return its name."""
    filename: str | None = None
    wanted = False
    # Threads write: a disk that is slow holds up nobody else.
    async with await anyio.open_file(file, "wb") as written:
        async for piece in pieces:
            for found in reader.feed(piece):
                if isinstance(found, bytes):
                    if wanted:
                        await written.write(found)
                    continue
                wanted = found.name == FIELD
                if wanted and filename is not None:
                    raise MalformedForm("the form has more than one file of this name.")
                filename = found.filename or "" if wanted else filename
        reader.close()
    return filename


async def _bounded(pieces: AsyncIterator[bytes], most: int) -> AsyncGenerator[bytes]:
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > most + AROUND:
            raise _too_large(most)
        yield piece


def _too_large(most: int) -> Refused:
    return Refused(413, "PAYLOAD_TOO_LARGE", f"An upload may hold {most >> 20} MB.")
