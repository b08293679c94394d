"""Files of a JSON request: `data:` addresses, which are stored as attachments, and paths of attachments."""

import base64
import binascii
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

import anyio
from strawberry import ID

from tertulia.resolvers.attachments import MAX_ATTACHED, upload
from tertulia.resolvers.context import Context, as_uuid
from tertulia.resolvers.errors import InvalidInput

_ATTACHMENT = re.compile(r"/attachments/([0-9a-fA-F-]{36})(?:[?#].*)?$")


@dataclass(frozen=True, slots=True)
class InlineFile:
    """A file that a request contains, or names by its address."""

    url: str
    filename: str = ""


async def attach(context: Context, field: str, files: list[InlineFile]) -> list[ID]:
    """Return the ids of the attachments of files, and store those that are in the request.

    Args:
        context: The viewer's context.
        field: The path of the files in the request, for errors.
        files: The files.

    Raises:
        InvalidInput: There are too many files, an address is not accepted, or Claude would not accept a file.
        RateLimited: The viewer has uploaded too much.
    """
    if len(files) > MAX_ATTACHED:
        raise InvalidInput(field, f"must have at most {MAX_ATTACHED} files, not {len(files)}.")
    return [await _attachment(context, field, file) for file in files]


async def _attachment(context: Context, field: str, file: InlineFile) -> ID:
    if file.url[:5].lower() == "data:":
        with tempfile.TemporaryDirectory(prefix="tertulia-") as folder:
            path = Path(folder) / "upload"
            await anyio.Path(path).write_bytes(_data(field, file.url))
            return ID(str((await upload(context, file.filename, path)).id))
    match = _ATTACHMENT.search(file.url)
    if match is None or as_uuid(match[1]) is None:
        # The server fetches no other address, because it could reach hosts that the user cannot.
        raise InvalidInput(field, "must have only files with a `data:` address, or with the `url` of an attachment.")
    return ID(match[1])


def _data(field: str, url: str) -> bytes:
    """Return the bytes of a `data:` address (RFC 2397)."""
    header, comma, data = url.partition(",")
    if not comma:
        raise InvalidInput(field, "must have `data:` addresses with a comma before the data.")
    raw = unquote_to_bytes(data)
    if not header.lower().endswith(";base64"):
        return raw
    try:
        return base64.b64decode(raw, validate=True)
    except binascii.Error:
        raise InvalidInput(field, "must have `data:` addresses whose data is valid base64.") from None
