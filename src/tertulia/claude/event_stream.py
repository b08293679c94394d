"""Parse AWS event streams from chunks of bytes: the framing of Amazon Bedrock's streams. This module does no I/O.

A message has a prelude of three big-endian numbers (its length, that of its headers, and the CRC-32 of both), headers,
a payload, and a CRC-32 of everything before it. Source: "Event stream encoding" in the Amazon Transcribe developer
guide, and `InvokeModelWithResponseStream` in the Amazon Bedrock API reference. botocore's parser takes ten times as
long, because it parses the same headers again for each token.
"""

from binascii import a2b_base64
from collections.abc import Iterator, Mapping
from struct import Struct
from typing import Any
from zlib import crc32

from tertulia.json import Json, encode, is_object, loads

CONTENT_TYPE = "application/vnd.amazon.eventstream"
LONGEST_MESSAGE = 32 * 1024 * 1024
"""The maximum size of a message in bytes, so that a server that never ends one cannot fill the memory."""
MOST_HEADERS = 1000
"""The number of different headers that are remembered. A stream of Bedrock has two or three."""
ERRORS = {
    "internalServerException": "api_error",
    "modelStreamErrorException": "api_error",
    "modelTimeoutException": "timeout_error",
    "serviceUnavailableException": "overloaded_error",
    "throttlingException": "overloaded_error",
    "validationException": "invalid_request_error",
}
"""The Messages API's types of the exceptions in a stream. Bedrock throttles streams because of its own load."""
_PRELUDE, _NUMBER, _SIZE = Struct(">III"), Struct(">I"), Struct(">H")
_SMALLEST = _PRELUDE.size + _NUMBER.size
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""The sizes of the types of header values whose size is fixed."""
_TEXT, _BYTES = 7, 6
_BEGINNING = b'{"bytes":"'


def is_event_stream(headers: Mapping[str, str]) -> bool:
    """Return whether a response with these headers is an AWS event stream."""
    return headers.get("content-type", "").startswith(CONTENT_TYPE)


class EventStreamReader:
    """Splits a body, which arrives in any pieces, into its events."""

    is_between_events = False
    """Always False: a message is never only the text of a server-sent event."""

    def __init__(self) -> None:
        """Initialize at the start of a body."""
        self._pieces: list[bytes] = []
        self._missing = _SMALLEST
        self._headers: dict[bytes, dict[str, str]] = {}

    def feed(self, piece: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the name and the data of each complete event. Only errors have a name, `error`.

        Raises:
            ValueError: A message is damaged or too long.
        """
        self._pieces.append(piece)
        self._missing -= len(piece)
        if self._missing > 0:
            # Joined once for each message, because joining for each piece would take quadratic time for a long one.
            return
        buffer, start = b"".join(self._pieces), 0
        while len(buffer) - start >= (size := _size_at(buffer, start)):
            if (event := self._event_in(buffer, start, start + size)) is not None:
                yield event
            start += size
        self._pieces, self._missing = [buffer[start:]], size - (len(buffer) - start)

    def _event_in(self, buffer: bytes, start: int, end: int) -> tuple[bytes, bytes] | None:
        """Return the event of the message between two positions; None if it has none."""
        payload_end = end - _NUMBER.size
        if crc32(buffer[start:payload_end]) != _NUMBER.unpack_from(buffer, payload_end)[0]:
            raise ValueError("An event stream's message is damaged.")
        payload_start = start + _PRELUDE.size + _NUMBER.unpack_from(buffer, start + _NUMBER.size)[0]
        headers = self._parsed(buffer[start + _PRELUDE.size : payload_start])
        return _event(headers, buffer[payload_start:payload_end])

    def _parsed(self, encoded: bytes) -> dict[str, str]:
        headers = self._headers.get(encoded)
        if headers is None:
            headers = _headers_of(encoded)
            if len(self._headers) < MOST_HEADERS:
                self._headers[encoded] = headers
        return headers


def _size_at(buffer: bytes, start: int) -> int:
    """Return the size of the message at a position, or that of the smallest one if its prelude is incomplete."""
    if len(buffer) - start < _PRELUDE.size:
        return _SMALLEST
    size, headers_size, checksum = _PRELUDE.unpack_from(buffer, start)
    if crc32(buffer[start : start + 2 * _NUMBER.size]) != checksum:
        raise ValueError("The prelude of an event stream's message is damaged.")
    if not _SMALLEST + headers_size <= size <= LONGEST_MESSAGE:
        raise ValueError("An event stream's message has an invalid length.")
    return int(size)


def _event(headers: dict[str, str], payload: bytes) -> tuple[bytes, bytes] | None:
    match headers.get(":message-type"):
        case "event":
            return (b"", _chunk(payload)) if headers.get(":event-type") == "chunk" else None
        case "exception":
            kind = headers.get(":exception-type", "")
            return b"error", _error(ERRORS.get(kind, "api_error"), _message(payload) or kind)
        case "error":
            return b"error", _error("api_error", headers.get(":error-message") or headers.get(":error-code", ""))
        case _:
            return None


def _chunk(payload: bytes) -> bytes:
    """Return the event in the payload of a chunk: `{"bytes":"BASE64","p":"PADDING"}`."""
    if payload.startswith(_BEGINNING):
        encoded: Any = payload[len(_BEGINNING) : payload.find(b'"', len(_BEGINNING))]
    else:
        encoded = _object(payload).get("bytes")
    if not isinstance(encoded, str | bytes):
        raise ValueError("A chunk of an event stream contains no bytes.")  # noqa: TRY004 - a fault of the data
    return a2b_base64(encoded)


def _object(payload: bytes) -> Json:
    body = loads(payload)
    return body if is_object(body) else {}


def _message(payload: bytes) -> str:
    body = _object(payload) if payload else {}
    return str(body.get("message") or body.get("Message") or "")


def _error(kind: str, message: str) -> bytes:
    return encode({"type": "error", "error": {"type": kind, "message": message}})


def _headers_of(encoded: bytes) -> dict[str, str]:
    """Return the headers of a message whose values are text. Raise ValueError if they are damaged."""
    headers: dict[str, str] = {}
    position = 0
    try:
        while position < len(encoded):
            name_end = position + 1 + encoded[position]
            name, kind = encoded[position + 1 : name_end].decode(), encoded[name_end]
            position = name_end + 1
            if kind in (_TEXT, _BYTES):
                size = _SIZE.unpack_from(encoded, position)[0]
                position += _SIZE.size
                if kind == _TEXT:
                    headers[name] = encoded[position : position + size].decode()
            else:
                size = _SIZES[kind]
            position += size
    except (IndexError, KeyError, OverflowError) as error:
        raise ValueError("The headers of an event stream's message are damaged.") from error
    if position != len(encoded):
        raise ValueError("The headers of an event stream's message are damaged.")
    return headers
