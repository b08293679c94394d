"""Reading Claude's data export within limits, even if an archive unpacks to far more.

Nothing is extracted to disk: one member is decompressed as a stream, and parsed one conversation at a time.
"""

import re
import struct
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path
from typing import IO, Any, Protocol, cast

from tertulia.json import InvalidJson, clean, loads
from tertulia.resolvers.errors import InvalidInput

MAX_FILE = 512 * 1024 * 1024
"""The maximum size in bytes of a file, or of an unpacked member of an archive."""
MAX_CONVERSATION = 16 * 1024 * 1024
"""The maximum size in bytes of a conversation in Claude's export, which is parsed as one document."""
MAX_VALUES = 500_000
"""The maximum number of commas and opening brackets in a JSON document. An empty array has 2 bytes, in memory 64."""
MAX_RATIO = 200
"""The maximum compression ratio of a member. Deflate reaches 20 with text, and 1,000 with repetitions."""
SMALL = 1024 * 1024
"""The compression ratio of members up to this size in bytes is not checked."""
MAX_MEMBERS = 20_000
MAX_DIRECTORY = 8 * 1024 * 1024
"""The maximum size in bytes of an archive's list of members, which `zipfile` reads as a whole."""
IN_LIST = 1
"""The depth of brackets between objects."""
CHUNK = 64 * 1024
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
ARCHIVED = "conversations.json"
ZIP_BEGINS = b"PK\x03\x04"
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 1
"""The bit in a member's flags that marks it as encrypted."""
NO_LIST = "must be an export of Tertulia, or Claude's `conversations.json`."

# The records at the end of an archive. Source: PKWARE's APPNOTE.TXT, sections 4.3.14 and 4.3.16.
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64_SIZE, _LOCATOR_64 = 20, b"PK\x06\x07"
_MAX_COMMENT = 65_535

# Everything up to and including a bracket, or the quote of a string that does not end in this chunk.
_OUTSIDE = re.compile(rb'(?s)[^"\[\]{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"\[\]{}]*+)*+(["\[\]{}])')
_INSIDE = re.compile(rb'["\\]')
_BETWEEN = re.compile(rb"[^ \t\r\n]")


class Stream(Protocol):
    """A file that is read once, from the beginning. `peek` returns bytes without consuming them."""

    def read(self, size: int = -1, /) -> bytes: ...
    def readline(self, limit: int = -1, /) -> bytes: ...
    def peek(self, size: int = 0, /) -> bytes: ...


@contextmanager
def open_export(file: Path) -> Generator[tuple[Stream, int]]:
    """Open a file of conversations, which may be in an archive.

    Yields:
        The stream, and its unpacked size in bytes.

    Raises:
        InvalidInput: The archive cannot be read, or exceeds a limit.
    """
    with BufferedReader(FileIO(file)) as raw:
        if not raw.peek(CHUNK).startswith(ZIP_BEGINS):
            yield raw, file.stat().st_size
            return
        try:
            _check_directory(raw)
            with zipfile.ZipFile(raw) as archive:
                member = _member(archive)
                with archive.open(member) as unpacked:
                    yield cast("Stream", unpacked), member.file_size
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise InvalidInput("file", f"is not a readable ZIP archive: {error}") from None


def _check_directory(raw: IO[bytes]) -> None:
    """Raise InvalidInput for an archive with too many members, because `zipfile` loads all of them into memory."""
    size = raw.seek(0, 2)
    start = max(size - _MAX_COMMENT - _END.size - _LOCATOR_64_SIZE - _END_64.size, 0)
    raw.seek(start)
    tail = raw.read()
    end_record = tail.rfind(b"PK\x05\x06")
    if end_record < 0 or len(tail) - end_record < _END.size:
        raise InvalidInput("file", "is not a readable ZIP archive: its end is missing.")
    _, _, _, _, members, directory, _, _ = _END.unpack_from(tail, end_record)
    locator = end_record - _LOCATOR_64_SIZE
    if locator >= _END_64.size and tail[locator : locator + 4] == _LOCATOR_64:
        _, _, _, _, _, _, _, members, directory, _ = _END_64.unpack_from(tail, locator - _END_64.size)
    if members > MAX_MEMBERS or directory > MAX_DIRECTORY:
        raise InvalidInput("file", f"must be an archive with at most {MAX_MEMBERS:,} members.")


def _member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    member = next((info for info in archive.infolist() if info.filename.rpartition("/")[2] == ARCHIVED), None)
    if member is None:
        raise InvalidInput("file", f"is an archive that has no {ARCHIVED}.")
    if member.flag_bits & ENCRYPTED:
        raise InvalidInput("file", "must not be an encrypted archive.")
    if member.compress_type not in METHODS:
        raise InvalidInput("file", f"must be an archive that is compressed with Deflate: {ARCHIVED} is not.")
    if member.file_size > MAX_FILE:
        raise InvalidInput("file", f"is too large: {ARCHIVED} must have at most {MAX_FILE >> 20} MB.")
    if member.file_size > max(SMALL, MAX_RATIO * member.compress_size):
        raise InvalidInput(
            "file", f"is too large: {ARCHIVED} is more than {MAX_RATIO} times larger than in its archive."
        )
    return member


def objects(stream: Stream) -> Iterator[Any]:
    """Yield the objects of a JSON array. Each is parsed separately.

    Raises:
        InvalidInput: The file is not an array of objects, or an object exceeds a limit. The error gives its index.
    """
    scanner = _Scanner()
    chunk = stream.read(CHUNK).removeprefix(BYTE_ORDER_MARK)
    while chunk:
        for raw in scanner.feed(chunk):
            yield parse_json(raw, _prefix(scanner.number), MAX_CONVERSATION)
            scanner.number += 1
        chunk = stream.read(CHUNK)
    if not scanner.ended:
        raise InvalidInput("file", "is not JSON: its list is not complete.")


def parse_json(raw: bytes | bytearray, error_prefix: str, max_bytes: int) -> Any:
    """Parse JSON within the limits, and clean its text.

    Args:
        raw: The JSON text.
        error_prefix: The beginning of error messages, which locates the JSON text in the file.
        max_bytes: The maximum size.

    Raises:
        InvalidInput: The text is not JSON, or exceeds a limit.
    """
    if len(raw) > max_bytes:
        raise InvalidInput("file", f"{error_prefix}is larger than {max_bytes >> 20} MB.")
    if sum(raw.count(separator) for separator in (b",", b"[", b"{")) > MAX_VALUES:
        raise InvalidInput("file", f"{error_prefix}has more than {MAX_VALUES:,} values.")
    try:
        return clean(loads(bytes(raw)))
    except InvalidJson as error:
        raise InvalidInput("file", f"{error_prefix}is not JSON: {error}.") from None


def _prefix(number: int) -> str:
    """Return the beginning of error messages about a conversation."""
    return f"has an error in conversation {number}: "


class _Scanner:
    """Splits an array of objects without parsing them. It buffers at most one object."""

    def __init__(self) -> None:
        """Create a scanner that expects the beginning of the array."""
        self.number = 0
        """The index of the object that is being read."""
        self.ended = False
        self._depth = 0
        self._in_string = self._escaped = False
        self._after_object = False
        self._buffer = bytearray()
        self._openings = 0

    def feed(self, chunk: bytes) -> Iterator[bytearray]:
        """Read the next piece of the file, and yield the objects that end in it."""
        position, begin = 0, 0
        while position < len(chunk):
            if self._depth <= IN_LIST:
                position = begin = self._between(chunk, position)
                continue
            position = self._within_string(chunk, position) if self._in_string else self._within(chunk, position)
            if self._depth == IN_LIST:
                self._append(chunk[begin:position])
                yield self._buffer
                self._buffer, self._openings, self._after_object = bytearray(), 0, True
        if self._depth > IN_LIST:
            self._append(chunk[begin:])

    def _between(self, chunk: bytes, position: int) -> int:
        """Read until the next object begins, and return the position to continue from."""
        token = _BETWEEN.search(chunk, position)
        if token is None:
            return len(chunk)
        sign = token.group()
        if self._depth == 0 and sign == b"[" and not self.ended:
            self._depth = IN_LIST
        elif self._depth == IN_LIST and sign == b"{" and not self._after_object:
            self._depth = IN_LIST + 1
            return token.start()
        elif self._depth == IN_LIST and sign == b"," and self._after_object:
            self._after_object = False
        elif self._depth == IN_LIST and sign == b"]" and (self._after_object or self.number == 0):
            self._depth, self.ended = 0, True
        elif self._depth == IN_LIST and not self._after_object:
            raise InvalidInput("file", f"{_prefix(self.number)}must be an object.")
        else:
            raise InvalidInput("file", NO_LIST)
        return token.end()

    def _within_string(self, chunk: bytes, position: int) -> int:
        if self._escaped:
            self._escaped = False
            return position + 1
        token = _INSIDE.search(chunk, position)
        if token is None:
            return len(chunk)
        if token.group() == b'"':
            self._in_string = False
        else:
            self._escaped = True
        return token.end()

    def _within(self, chunk: bytes, position: int) -> int:
        token = _OUTSIDE.match(chunk, position)
        if token is None:
            return len(chunk)
        match token.group(1):
            case b'"':
                self._in_string = True
            case b"{" | b"[":
                # `_between` has counted the brace that opens the object.
                self._depth += self._openings > 0
                self._openings += 1
                if self._openings > MAX_VALUES:
                    raise InvalidInput("file", f"{_prefix(self.number)}has more than {MAX_VALUES:,} values.")
            case _:
                self._depth -= 1
        return token.end()

    def _append(self, piece: bytes) -> None:
        self._buffer += piece
        if len(self._buffer) > MAX_CONVERSATION:
            raise InvalidInput("file", f"{_prefix(self.number)}is larger than {MAX_CONVERSATION >> 20} MB.")
