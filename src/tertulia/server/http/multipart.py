"""A streaming parser of multipart/form-data, from pieces of a body to pieces of its parts.

Sources: RFC 7578; RFC 2046, section 5.1; RFC 8187 for `filename*`; "Multipart form data" in the HTML standard. Lenient
where programs are known to deviate: a preamble, lines that end in LF alone, folded headers, names in other forms.
"""

import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from quopri import decodestring
from urllib.parse import unquote_to_bytes

MAX_HEADERS = 16_384
"""Bytes of the headers of one part."""
MAX_PARTS = 100
MAX_BOUNDARY = 200
MAX_PADDING = 256
"""Spaces and tabs after a boundary."""

_PARAMETER = re.compile(rb';\s*([^\s=;"]+)\s*=\s*("(?:\\.|[^"\\])*"|[^;]*)', re.DOTALL)
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_EXTENDED = re.compile(rb"([A-Za-z0-9_.:-]+)'[^']*'((?:[^%']|%[0-9A-Fa-f]{2})*)")
_ENCODED_WORD = re.compile(rb"=\?(utf-8|iso-8859-1)\?([bq])\?([^?]*)\?=", re.IGNORECASE)
_CONTINUATION = re.compile(rb"filename\*\d+\*?")
_CHARSETS = {b"utf-8": "utf-8", b"utf8": "utf-8", b"iso-8859-1": "latin-1", b"latin1": "latin-1", b"us-ascii": "ascii"}


class MalformedForm(Exception):
    """A body that is not a valid form. The message is shown to clients."""


@dataclass(frozen=True, slots=True)
class PartBegins:
    """The start of a part. `filename` is None if the part has no file name."""

    name: str
    filename: str | None


Piece = PartBegins | bytes


class _State(Enum):
    PREAMBLE = auto()
    HEADERS = auto()
    BODY = auto()
    EPILOGUE = auto()


class MultipartReader:
    """Splits a body into its parts, wherever the pieces of the body begin and end."""

    def __init__(self, content_type: str) -> None:
        """Parse the boundary in the request's Content-Type; raise MalformedForm if there is none."""
        boundary = _parameters(b";" + content_type.partition(";")[2].encode("latin-1", "replace")).get(b"boundary", b"")
        if not 0 < len(boundary) <= MAX_BOUNDARY:
            raise MalformedForm("`Content-Type` must contain a boundary: `multipart/form-data; boundary=...`.")
        self._delimiter = rb"--" + re.escape(boundary)
        self._longest_boundary = len(boundary) + MAX_PADDING + 8
        self._boundary = re.compile(rb"(?:\r?\n)" + self._delimiter + rb"(?:(--)|[ \t]{0,%d}(\r?\n))" % MAX_PADDING)
        self._state = _State.PREAMBLE
        self._buffer = b"\n"
        self._parts = 0
        # The newline before a boundary belongs to it. Each state starts with the newline of the previous line.
        self._newline = 0

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Add a piece of the body, and yield what is complete of its parts; raise MalformedForm."""
        self._buffer += data
        while True:
            match self._state:
                case _State.HEADERS:
                    match = _END_OF_HEADERS.search(self._buffer)
                    if match is None or match.end() > MAX_HEADERS:
                        self._check_headers()
                        return
                    yield self._begin_part(match)
                case _State.EPILOGUE:
                    self._buffer = b""
                    return
                case _:
                    match = self._boundary.search(self._buffer)
                    end = match.start() if match else len(self._buffer) - self._longest_boundary
                    if self._state is _State.BODY and end > self._newline:
                        yield self._buffer[self._newline : end]
                        self._newline = 0
                    if match is None:
                        self._discard_until(max(end, 0))
                        return
                    self._end_part(match)

    def close(self) -> None:
        """Raise MalformedForm if the body is incomplete."""
        if self._state is not _State.EPILOGUE:
            raise MalformedForm("The form is cut off: its last boundary is missing.")

    def _discard_until(self, start: int) -> None:
        if self._state is _State.PREAMBLE or self._newline == 0:
            self._buffer = self._buffer[start:]

    def _check_headers(self) -> None:
        if len(self._buffer) > MAX_HEADERS:
            raise MalformedForm(f"The headers of a part must be at most {MAX_HEADERS:,} bytes.")

    def _begin_part(self, match: re.Match[bytes]) -> PartBegins:
        headers = self._buffer[: match.start()]
        blank_line = match.group()
        self._newline = 2 if blank_line.endswith(b"\r\n") else 1
        self._buffer = self._buffer[match.end() - self._newline :]
        self._boundary = self._strict_boundary(self._buffer[: self._newline])
        self._state = _State.BODY
        return _part(headers)

    def _strict_boundary(self, newline: bytes) -> re.Pattern[bytes]:
        """Return the pattern of a boundary after this kind of newline: content may contain the other kind."""
        return re.compile(newline + self._delimiter + rb"(?:(--)|[ \t]{0,%d}(%b))" % (MAX_PADDING, newline))

    def _end_part(self, match: re.Match[bytes]) -> None:
        closing, newline = match.groups()
        self._newline = 0
        if closing is not None:
            self._state, self._buffer = _State.EPILOGUE, b""
            return
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise MalformedForm(f"The form must have at most {MAX_PARTS} parts.")
        self._state = _State.HEADERS
        self._buffer = self._buffer[match.end() - len(newline) :]


def _part(headers: bytes) -> PartBegins:
    for line in re.sub(rb"\r?\n[ \t]+", b" ", headers).splitlines():
        field, _, value = line.partition(b":")
        if field.strip().lower() == b"content-disposition":
            parameters = _parameters(value)
            if b"name" in parameters:
                return PartBegins(_text(parameters[b"name"]), _filename(parameters))
    raise MalformedForm('Each part must have a header `Content-Disposition: form-data; name="..."`.')


def _parameters(header: bytes) -> dict[bytes, bytes]:
    parameters: dict[bytes, bytes] = {}
    for name, value in _PARAMETER.findall(header):
        bare = value.strip()
        if bare[:1] == b'"':
            bare = re.sub(rb'\\(["\\])', rb"\1", bare[1:-1])
        elif len(bare) > 1 and bare[:1] == bare[-1:] == b"'":
            bare = bare[1:-1]
        parameters.setdefault(name.lower(), bare)
    return parameters


def _filename(parameters: dict[bytes, bytes]) -> str | None:
    """Return the file name of a part, in any of its encodings; None if there is none."""
    extended = parameters.get(b"filename*")
    if extended is None and (names := sorted(name for name in parameters if _CONTINUATION.fullmatch(name))):
        joined = b"".join(parameters[name] for name in names)
        extended = joined if names[0].endswith(b"*") else None
        parameters = {b"filename": joined, **parameters}
    if extended is not None and (match := _EXTENDED.fullmatch(extended)):
        charset = _CHARSETS.get(match[1].lower())
        if charset is not None:
            return unquote_to_bytes(match[2]).decode(charset, "replace")
    if b"filename" not in parameters:
        return None if extended is None else ""
    # Browsers escape these three characters as `%22`, `%0D` and `%0A`, and no others.
    name = parameters[b"filename"].replace(b"%22", b'"').replace(b"%0D", b"\r").replace(b"%0A", b"\n")
    return _ENCODED_WORD.sub(_decoded_word, name).decode("utf-8") if _ENCODED_WORD.fullmatch(name) else _text(name)


def _decoded_word(match: re.Match[bytes]) -> bytes:
    charset, encoding, text = match.groups()
    try:
        raw = b64decode(text) if encoding.lower() == b"b" else decodestring(text, header=True)
    except ValueError:
        return match.group()
    return raw.decode(_CHARSETS[charset.lower()], "replace").encode()


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
