"""The AWS event stream encoding: pieces of any size, exceptions, and damaged messages."""

import json
import random
import struct
import zlib
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from providers import chunk, event_stream_message
from scripted import EVERYTHING

from tertulia.claude import event_stream
from tertulia.claude.event_stream import EventStreamReader

Json = dict[str, Any]
BODY = b"".join(chunk(event) for event in EVERYTHING)


def read(pieces: Iterable[bytes]) -> list[tuple[bytes, Json]]:
    reader = EventStreamReader()
    return [(name, json.loads(data)) for piece in pieces for name, data in reader.feed(piece)]


def cut(body: bytes, positions: Iterable[int]) -> list[bytes]:
    ends = [0, *sorted(positions), len(body)]
    return [body[start:end] for start, end in pairwise(ends)]


def exception(kind: str, payload: bytes = b'{"message": "Too many requests."}') -> bytes:
    return event_stream_message({":message-type": "exception", ":exception-type": kind}, payload)


def test_the_messages_of_the_tests_are_those_that_amazons_library_reads() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(BODY + exception("throttlingException"))
    messages: list[Any] = list(buffer)
    assert len(messages) == len(EVERYTHING) + 1
    assert messages[-1].headers[":exception-type"] == "throttlingException"


def test_a_body_is_read_equally_in_pieces_of_any_size() -> None:
    expected = [(b"", event) for event in EVERYTHING]
    assert read([BODY]) == expected
    assert read(BODY[at : at + 1] for at in range(len(BODY))) == expected
    dice = random.Random(1)
    for _ in range(200):
        assert read(cut(BODY, dice.choices(range(len(BODY)), k=dice.randint(1, 40)))) == expected


def test_an_event_is_delivered_with_its_last_byte() -> None:
    reader, first = EventStreamReader(), chunk(EVERYTHING[0])
    assert list(reader.feed(first[:-1])) == []
    assert [json.loads(data) for _, data in reader.feed(first[-1:])] == EVERYTHING[:1]


@pytest.mark.parametrize(
    ("kind", "type"),
    [
        ("throttlingException", "overloaded_error"),
        ("serviceUnavailableException", "overloaded_error"),
        ("internalServerException", "api_error"),
        ("modelStreamErrorException", "api_error"),
        ("modelTimeoutException", "timeout_error"),
        ("validationException", "invalid_request_error"),
        ("aNewException", "api_error"),
    ],
)
def test_an_exception_is_an_error_of_the_messages_api(kind: str, type: str) -> None:
    assert read([BODY, exception(kind)])[-1] == (
        b"error",
        {"type": "error", "error": {"type": type, "message": "Too many requests."}},
    )


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]"])
def test_an_exception_without_a_message_is_named(payload: bytes) -> None:
    assert read([exception("throttlingException", payload)])[0][1]["error"]["message"] == "throttlingException"


def test_an_error_message_without_a_payload_is_an_error() -> None:
    headers = {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "It broke."}
    assert read([event_stream_message(headers, b"")])[0][1]["error"] == {"type": "api_error", "message": "It broke."}


def test_messages_of_other_kinds_are_skipped() -> None:
    other = event_stream_message({":message-type": "event", ":event-type": "initial-response"}, b"{}")
    unknown = event_stream_message({":message-type": "news"}, b"{}")
    assert read([other + unknown + BODY]) == [(b"", event) for event in EVERYTHING]


def test_headers_of_all_types_are_skipped() -> None:
    message = chunk(EVERYTHING[0])
    headers_end = 12 + int.from_bytes(message[4:8], "big")
    others = (
        b"\x01a\x00" b"\x01b\x01" b"\x01c\x02x" b"\x01d\x03xx" b"\x01e\x04xxxx" b"\x01f\x05xxxxxxxx"
        b"\x01g\x06\x00\x03xxx" b"\x01h\x08xxxxxxxx" b"\x01i\x09xxxxxxxxxxxxxxxx"
    )  # fmt: skip
    body = rebuilt(others + message[12:headers_end], message[headers_end:-4])
    assert read([body]) == [(b"", EVERYTHING[0])]


def rebuilt(headers: bytes, payload: bytes) -> bytes:
    """Return a message with encoded headers and correct checksums."""
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


@pytest.mark.parametrize(
    "body",
    [
        rebuilt(b"\x05abc", b"{}"),
        rebuilt(b"\x01a\x0bxx", b"{}"),
        rebuilt(b"\x01a\x07\xff\xff", b"{}"),
        rebuilt(b"\x01a\x07\x00\x01\xff", b"{}"),
        event_stream_message({":message-type": "event", ":event-type": "chunk"}, b'{"p": 1}'),
        event_stream_message({":message-type": "event", ":event-type": "chunk"}, b'{"bytes": 1}'),
        event_stream_message({":message-type": "event", ":event-type": "chunk"}, b'{"bytes":"?'),
        event_stream_message({":message-type": "event", ":event-type": "chunk"}, b"nothing"),
    ],
)
def test_a_malformed_message_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read([BODY, body])


def test_each_damaged_byte_is_noticed() -> None:
    message = chunk(EVERYTHING[0])
    for at in range(len(message)):
        damaged = message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]
        with pytest.raises(ValueError, match=r"damaged|length"):
            read([damaged + b"\0" * 8])


def test_a_message_of_an_invalid_size_is_refused_before_it_is_received(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "LONGEST_MESSAGE", 200)
    with pytest.raises(ValueError, match="length"):
        read([event_stream_message({":message-type": "news"}, b"x" * 200)[:16]])
