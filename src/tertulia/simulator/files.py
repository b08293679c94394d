"""The simulated Claude's inspection of images and documents, and its Files API (`/v1/files`)."""

import base64
import binascii
import hashlib
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from mimetypes import guess_type

from tertulia.attachments.decoding import first_words
from tertulia.attachments.documents.errors import UnfitMedia
from tertulia.attachments.media import FORMATS, PDF, Media, inspect
from tertulia.json import Json
from tertulia.simulator.request_rules import MODELS, Refused, as_blocks, invalid
from tertulia.simulator.script import GeneratedFile

MAX_BASE64 = 5 * 1024 * 1024
MAX_FILES = 1000
MOST_IMAGES, MILLION = 600, 1_000_000
"""The most images in a request to a model with a context window of a million tokens. Other models accept a sixth."""
TOKENS_OF_PAGE = 2000
PIXELS_OF_TOKEN = 750
MAX_TOKENS_OF_IMAGE = 1600
"""Larger images are scaled down to this size."""
MEDIA_TYPES = {"image": tuple(FORMATS.values()), "document": (PDF,)}
TABLE = b"number,square\n1,1\n2,4\n3,9\n"
BYTES = bytes(range(256))
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAABgAAAAQCAIAAACDRijCAAAAM0lEQVR42mP49fMrVRDDqEFY0aEQPQgaUIOQNQ+cQbg009cgYjTT3iBSNdPGIEo008QgACYsjXYlx4cHAAAAAElFTkSuQmCC"
)
PLAIN = "text/plain"
WORDS = 200
"""The number of characters of a text that an answer quotes."""
CHARACTERS_OF_TOKEN = 4
_INSPECTED: dict[str, Media] = {}
"""Inspected media by digest, cached because a file is sent again with every message of its conversation."""


class FileStore:
    """The files that were uploaded to a simulated Claude."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[Json, bytes]] = {}

    def add(self, filename: str, media_type: str, data: bytes) -> Json:
        """Store a file and return its metadata."""
        return self._add(GeneratedFile(f"file_{uuid.uuid4().hex[:24]}", filename, media_type, data), downloadable=False)

    def add_generated(self, files: Sequence[GeneratedFile]) -> None:
        """Store files that the code execution tool has made. Only these can be downloaded."""
        for file in files:
            self._add(file, downloadable=True)

    def _add(self, file: GeneratedFile, *, downloadable: bool) -> Json:
        if len(self._files) >= MAX_FILES:
            del self._files[next(iter(self._files))]
        metadata: Json = {
            "type": "file",
            "id": file.file_id,
            "filename": file.filename,
            "mime_type": file.media_type,
            "size_bytes": len(file.data),
            "created_at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "downloadable": downloadable,
        }
        self._files[file.file_id] = (metadata, file.data)
        return metadata

    def list_metadata(self) -> list[Json]:
        """Return the metadata of all files, newest first."""
        return [metadata for metadata, _ in reversed(self._files.values())]

    def get(self, file_id: str) -> tuple[Json, bytes] | None:
        """Return the metadata and the bytes of a file, or None if it does not exist."""
        return self._files.get(file_id)

    def remove(self, file_id: str) -> bool:
        """Delete a file. Return whether it existed."""
        return self._files.pop(file_id, None) is not None


def make_file(name: str) -> GeneratedFile:
    """Return the file that the simulated Claude makes: by its name a picture, bytes of no known type, or a table."""
    filename = name or "numbers.csv"
    media_type = guess_type(filename)[0] or "application/octet-stream"
    data = {"image/png": PICTURE, "application/octet-stream": BYTES}.get(media_type, TABLE)
    return GeneratedFile(f"file_{uuid.uuid4().hex[:24]}", filename, media_type, data)


def inspect_media(body: Json, files: FileStore) -> Json:
    """Return the request with each source replaced by its type, size, tokens and first words. This call blocks.

    Raises:
        Refused: The API would refuse one of the images or documents.
    """
    try:
        _check_number(body)
        messages = [
            {
                **message,
                "content": [
                    _inspect_block(f"messages.{index}.content.{block_index}", block, files)
                    for block_index, block in blocks
                ],
            }
            for index, message in enumerate(body["messages"])
            for blocks in [list(enumerate(as_blocks(message["content"])))]
        ]
    except (AttributeError, KeyError, TypeError):
        raise invalid("source: Input should be a valid dictionary") from None
    return {**body, "messages": messages}


def _check_number(body: Json) -> None:
    """Raise Refused for too many images. The API has more room for them in a context window of a million tokens."""
    blocks = [block for message in body["messages"] for block in as_blocks(message["content"])]
    inner = [
        part for block in blocks if block.get("type") == "tool_result" for part in as_blocks(block.get("content") or [])
    ]
    count = sum(block.get("type") == "image" for block in [*blocks, *inner])
    limit = MOST_IMAGES if MODELS[body["model"]][1] >= MILLION else MOST_IMAGES // 6
    if count > limit:
        raise invalid(f"messages: too many images: {count} > {limit} maximum")


def _inspect_block(path: str, block: Json, files: FileStore) -> Json:
    if block.get("type") == "tool_result" and block.get("content"):
        contents = enumerate(as_blocks(block["content"]))
        content_path = f"{path}.tool_result.content"
        return {
            **block,
            "content": [_inspect_block(f"{content_path}.{index}", content, files) for index, content in contents],
        }
    if block.get("type") not in MEDIA_TYPES:
        return block
    source_path = f"{path}.{block['type']}.source"
    text = _inspect_text(source_path, block, files)
    if text is not None:
        return {**block, "source": text}
    media_type, data = _read_source(source_path, block, files)
    digest = hashlib.sha256(data).hexdigest()
    try:
        media = _INSPECTED.get(digest) or inspect(data, is_strict=True).media
    except UnfitMedia:
        problem = "Could not process image" if block["type"] == "image" else "The PDF specified was not valid."
        raise invalid(f"{source_path}: {problem}") from None
    if media.media_type != media_type:
        raise invalid(f"{source_path}: The file was specified using {media_type}, but appears to be {media.media_type}")
    if len(_INSPECTED) > MAX_FILES:
        _INSPECTED.clear()
    _INSPECTED[digest] = media
    excerpt = first_words(data) if media.media_type == PDF else ""
    location = {"type": "page_location", "start_page_number": 1, "end_page_number": 2}
    summary = {"type": "inspected", "sha256": digest, "tokens": _tokens(media), "words": excerpt, "location": location}
    return {**block, "source": {**summary, "media_type": media_type, "size": [media.width, media.height, media.pages]}}


def _inspect_text(path: str, block: Json, files: FileStore) -> Json | None:
    """Return the summary of a document that is sent as text; None for another source."""
    source: Json = block["source"]
    file = files.get(source["file_id"]) if source["type"] == "file" and block["type"] == "document" else None
    if block["type"] == "document" and source["type"] == "content":
        passages = _passages(path, source)
        text, words, media_type = "\n".join(passages), passages[0], "content"
        location: Json = {"type": "content_block_location", "start_block_index": 0, "end_block_index": 1}
    elif block["type"] == "document" and (source["type"] == "text" or (file and file[0]["mime_type"] == PLAIN)):
        if source["type"] == "text" and source["media_type"] != PLAIN:
            raise invalid(f"{path}.text.media_type: Input should be '{PLAIN}'")
        text = source["data"] if file is None else file[1].decode("utf-8", "replace")
        if not isinstance(text, str) or not text.strip():
            raise invalid(f"{path}.text.data: text must contain non-whitespace text")
        # The API splits a text into sentences.
        words, media_type = text.partition("\n")[0][:WORDS] or text[:WORDS], PLAIN
        location = {"type": "char_location", "start_char_index": 0, "end_char_index": len(words)}
    else:
        return None
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    tokens = max(1, len(text) // CHARACTERS_OF_TOKEN)
    return {
        "type": "inspected",
        "sha256": digest,
        "tokens": tokens,
        "words": words,
        "location": location,
        "media_type": media_type,
        "size": [len(text)],
    }


def _passages(path: str, source: Json) -> list[str]:
    """Return the texts of custom content."""
    texts: list[str] = []
    for index, part in enumerate(as_blocks(source["content"])):
        if part.get("type") not in ("text", "image"):
            raise invalid(
                f"{path}.content.content.{index}: Input tag '{part.get('type')}' does not match 'text', 'image'"
            )
        for name in part.keys() - {"type", "text", "source", "cache_control", "citations"}:
            raise invalid(f"{path}.content.content.{index}.{part['type']}.{name}: Extra inputs are not permitted")
        if part["type"] == "text" and not part["text"].strip():
            raise invalid(f"{path}.content.content.{index}.text: text content blocks must contain non-whitespace text")
        texts += [part["text"]] if part["type"] == "text" else []
    if not texts:
        raise invalid(f"{path}.content.content: at least one text block is required")
    return texts


def _read_source(path: str, block: Json, files: FileStore) -> tuple[str, bytes]:
    source: Json = block["source"]
    if source["type"] == "file":
        file = files.get(source["file_id"])
        if file is None:
            raise Refused(404, "not_found_error", f"File not found: {source['file_id']}")
        return file[0]["mime_type"], file[1]
    if source["type"] != "base64":
        raise invalid(f"{path}: Input tag '{source['type']}' does not match any of the expected tags")
    media_types = MEDIA_TYPES[block["type"]]
    if source["media_type"] not in media_types:
        raise invalid(f"{path}.base64.media_type: Input should be one of {', '.join(media_types)}")
    if block["type"] == "image" and len(source["data"]) > MAX_BASE64:
        size = len(source["data"])
        raise invalid(f"{path}.base64: image exceeds 5 MB maximum: {size} bytes > {MAX_BASE64} bytes")
    try:
        return source["media_type"], base64.b64decode(source["data"], validate=True)
    except binascii.Error:
        raise invalid(f"{path}.base64: Invalid base64 data") from None


def _tokens(media: Media) -> int:
    if media.pages is not None:
        return media.pages * TOKENS_OF_PAGE
    return max(1, min((media.width or 1) * (media.height or 1) // PIXELS_OF_TOKEN, MAX_TOKENS_OF_IMAGE))
