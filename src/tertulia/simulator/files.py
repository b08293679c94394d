"""What the simulated Claude sees of images and documents, and the files that it keeps (`/v1/files`)."""

import base64
import binascii
import hashlib
import uuid
from datetime import UTC, datetime

from tertulia.attachments.media import FORMATS, PDF, Media, UnfitMedia, first_words, inspect
from tertulia.json import Json
from tertulia.simulator.request_rules import Refused, as_blocks, invalid

MAX_BASE64 = 5 * 1024 * 1024
MAX_FILES = 1000
TOKENS_OF_PAGE = 2000
PIXELS_OF_TOKEN = 750
MOST_TOKENS_OF_IMAGE = 1600
"""An image is made smaller until it has no more."""
MEDIA_TYPES = {"image": tuple(FORMATS.values()), "document": (PDF,)}


_INSPECTED: dict[str, Media] = {}
"""What files are, by their digests: each comes again with every message of its conversation."""


class FileStore:
    """Files that were uploaded to one simulated Claude."""

    def __init__(self) -> None:
        """Begin with none."""
        self._files: dict[str, tuple[Json, bytes]] = {}

    def add(self, filename: str, media_type: str, data: bytes) -> Json:
        """Keep a file; gives its metadata."""
        if len(self._files) >= MAX_FILES:
            del self._files[next(iter(self._files))]
        metadata: Json = {
            "type": "file",
            "id": f"file_{uuid.uuid4().hex[:24]}",
            "filename": filename,
            "mime_type": media_type,
            "size_bytes": len(data),
            "created_at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "downloadable": False,
        }
        self._files[metadata["id"]] = (metadata, data)
        return metadata

    def listed(self) -> list[Json]:
        """Give all metadata, the newest first."""
        return [metadata for metadata, _ in reversed(self._files.values())]

    def get(self, file_id: str) -> tuple[Json, bytes] | None:
        """Give a file's metadata and bytes."""
        return self._files.get(file_id)

    def remove(self, file_id: str) -> bool:
        """Keep a file no longer; say whether there was one."""
        return self._files.pop(file_id, None) is not None


def look_at(body: Json, files: FileStore) -> Json:
    """Give the request with each source seen: what it is, how many tokens, and its first words.

    Raises Refused for the first image or document that the API would not read.
    """
    try:
        messages = [
            {
                **message,
                "content": [_seen(f"messages.{place}.content.{index}", block, files) for index, block in blocks],
            }
            for place, message in enumerate(body["messages"])
            for blocks in [list(enumerate(as_blocks(message["content"])))]
        ]
    except (AttributeError, KeyError, TypeError):
        raise invalid("source: Input should be a valid dictionary") from None
    return {**body, "messages": messages}


def _seen(path: str, block: Json, files: FileStore) -> Json:
    if block.get("type") == "tool_result" and block.get("content"):
        inside = enumerate(as_blocks(block["content"]))
        where = f"{path}.tool_result.content"
        return {**block, "content": [_seen(f"{where}.{index}", one, files) for index, one in inside]}
    if block.get("type") not in MEDIA_TYPES:
        return block
    where = f"{path}.{block['type']}.source"
    media_type, data = _read(where, block, files)
    digest = hashlib.sha256(data).hexdigest()
    try:
        found = _INSPECTED.get(digest) or inspect(data)
    except UnfitMedia:
        words = "Could not process image" if block["type"] == "image" else "The PDF specified was not valid."
        raise invalid(f"{where}: {words}") from None
    if found.media_type != media_type:
        raise invalid(f"{where}: The file was specified using {media_type}, but appears to be {found.media_type}")
    if len(_INSPECTED) > MAX_FILES:
        _INSPECTED.clear()
    _INSPECTED[digest] = found
    words = first_words(data) if found.media_type == PDF else ""
    seen = {"type": "seen", "sha256": digest, "tokens": _tokens(found), "words": words}
    return {**block, "source": {**seen, "media_type": media_type, "size": [found.width, found.height, found.pages]}}


def _read(where: str, block: Json, files: FileStore) -> tuple[str, bytes]:
    source: Json = block["source"]
    if source["type"] == "file":
        kept = files.get(source["file_id"])
        if kept is None:
            raise Refused(404, "not_found_error", f"File not found: {source['file_id']}")
        return kept[0]["mime_type"], kept[1]
    if source["type"] != "base64":
        raise invalid(f"{where}: Input tag '{source['type']}' does not match any of the expected tags")
    takes = MEDIA_TYPES[block["type"]]
    if source["media_type"] not in takes:
        raise invalid(f"{where}.base64.media_type: Input should be one of {', '.join(takes)}")
    if block["type"] == "image" and len(source["data"]) > MAX_BASE64:
        size = len(source["data"])
        raise invalid(f"{where}.base64: image exceeds 5 MB maximum: {size} bytes > {MAX_BASE64} bytes")
    try:
        return source["media_type"], base64.b64decode(source["data"], validate=True)
    except binascii.Error:
        raise invalid(f"{where}.base64: Invalid base64 data") from None


def _tokens(found: Media) -> int:
    if found.pages is not None:
        return found.pages * TOKENS_OF_PAGE
    return max(1, min((found.width or 1) * (found.height or 1) // PIXELS_OF_TOKEN, MOST_TOKENS_OF_IMAGE))
