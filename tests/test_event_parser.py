"""Pieces of text are recognized by the bytes before them, with the same result as parsing each event."""

import json
from typing import Any
from unittest.mock import patch

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scripted import START, begin, delta, end, finish, sse, text

from tertulia.claude.deltas import merge_deltas
from tertulia.claude.event_parser import LARGE, DeltaPattern, EventParser

Json = dict[str, Any]
ODD = [
    '"',
    "\\",
    '\\"',
    "\\u0041",
    "\n",
    "\t",
    "\0",
    "\ud83d",
    "\ude00",
    "\u2028",
    "\x85",
    "\xa0",
    "é",
    "👋",
    "",
    "}}",
    '"}}',
]
WORDS = some.lists(some.sampled_from([" the", " word", "s", *ODD]) | some.text(max_size=5), max_size=8)


def parsed(body: bytes, sizes: list[int] | None = None) -> tuple[list[Json], str | None]:
    """Return the events of a body that arrives in pieces of these sizes, and the error after them."""
    request = httpx2.Request("POST", "https://api.anthropic.com/v1/messages")
    response = httpx2.Response(200, headers={"request-id": "req_1"}, request=request)
    parser, events, start = EventParser(response), list[Json](), 0
    for size in [*(sizes or []), len(body)]:
        events += parser.parse(body[start : start + size])
        start += size
        if parser.error is not None:
            return list(merge_deltas(events)), parser.error.error.code
    return list(merge_deltas(events)), None


def parsed_one_by_one(body: bytes) -> tuple[list[Json], str | None]:
    with patch.object(DeltaPattern, "learn"):
        return parsed(body)


def written(events: list[Json], *, spaced: bool, ascii_only: bool, padding: int) -> bytes:
    """Return a body as an implementation of the API may write it."""
    separators = None if spaced else (",", ":")
    body = b""
    for event in events:
        data = json.dumps(event, ensure_ascii=ascii_only, separators=separators).encode("utf-8", "surrogatepass")
        is_padded = event["type"] == "content_block_delta"
        data = data[:-1] + b" " * padding + data[-1:] if is_padded else data
        body += b"event: %b\ndata: %b\n\n" % (event["type"].encode(), data)
    return body


@given(
    first=WORDS,
    second=WORDS,
    spaced=some.booleans(),
    ascii_only=some.booleans(),
    padding=some.sampled_from([0, 1, 20]),
    sizes=some.lists(some.integers(1, 300)),
)
def test_any_text_in_any_form_is_parsed_like_all_other_events(
    first: list[str], second: list[str], *, spaced: bool, ascii_only: bool, padding: int, sizes: list[int]
) -> None:
    thinking = [delta(1, "thinking_delta", thinking=word) for word in second]
    events = [START, *text(*first), begin(1, type="thinking", thinking="", signature=""), *thinking, finish(1), *end()]
    body = written(events, spaced=spaced, ascii_only=ascii_only, padding=padding)
    assert parsed(body, sizes) == parsed_one_by_one(body)


@given(
    words=some.lists(some.sampled_from([" the", " word", "s", *ODD]), min_size=40, max_size=80),
    padding=some.sampled_from([0, 20]),
    sizes=some.lists(some.integers(1, 9000), max_size=3),
    line_end=some.sampled_from([b"\n", b"\r\n"]),
)
def test_large_pieces_are_parsed_like_all_other_events(
    words: list[str], padding: int, sizes: list[int], line_end: bytes
) -> None:
    thinking = [delta(1, "thinking_delta", thinking=word) for word in words]
    events = [START, *text(*words), begin(1, type="thinking", thinking="", signature=""), *thinking, finish(1), *end()]
    body = written(events, spaced=False, ascii_only=False, padding=padding).replace(b"\n", line_end)
    assert parsed(body, sizes) == parsed_one_by_one(body)


@pytest.mark.parametrize(
    "faulty", [b"\xff", b"\xc3", b"\xe2\x82", b"\x01", b"\n\n"], ids=["byte", "cut", "cut 2", "control", "empty line"]
)
def test_a_faulty_text_among_many_ends_the_stream_with_an_error(faulty: bytes) -> None:
    good = sse(delta(0, "text_delta", text="a"))
    # The bytes after a cut character could continue it, if the texts were decoded together.
    other = good.replace(b'"a"', b'"\xa9"')
    body = good * 30 + good.replace(b'"a"', b'"%b"' % faulty) + other + good * 30
    events, error = parsed(body)
    assert (events, error) == parsed_one_by_one(body)
    assert (events, error) == ([delta(0, "text_delta", text="a" * 30)], "api_error")


def test_pieces_of_text_that_arrive_together_are_joined() -> None:
    events = b"".join(map(sse, [delta(0, "text_delta", text=word) for word in ("a", " few", " words")]))
    parser = EventParser(httpx2.Response(200))
    assert len(parser.parse(events)) == 2  # The first is parsed, and shows the form of the others.
    assert parser.parse(events) == [delta(0, "text_delta", text="a few words")]


@pytest.mark.parametrize(
    "other",
    [
        b'{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "b\x01"}}',
        b'{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "b\xff"}}',
        b'{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "b"}}}',
        b'{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "b"}',
        b'{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "b',
        b'{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "b", "text": "c"}}',
        b'{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "b"}, "index": 1}',
        b'{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": null}}',
    ],
)
@pytest.mark.parametrize("name", [b"content_block_delta", b"ping", b"error", b""])
def test_an_event_of_another_form_is_parsed(other: bytes, name: bytes) -> None:
    body = sse(delta(0, "text_delta", text="a")) + b"event: %b\ndata: %b\n\n" % (name, other)
    assert parsed(body) == parsed_one_by_one(body)


def test_a_form_whose_last_string_is_not_the_text_is_not_remembered() -> None:
    event = b'data: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", %b}}\n\n'
    body = event % b'"text": "a", "x": "a"' + event % b'"text": "a", "x": "b"'
    assert parsed(body)[0] == [delta(0, "text_delta", text="aa")]


def test_nothing_after_an_error_or_the_end_of_a_message_is_parsed() -> None:
    word, more = delta(0, "text_delta", text="a"), sse(delta(0, "text_delta", text="b"))
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "later"}}
    assert parsed(sse(word) + sse(error) + more) == ([word], "overloaded_error")
    stop = end()[-1]
    assert parsed(sse(word) + sse(stop) + more) == ([word, stop], None)


@pytest.mark.parametrize("beginning", [b"data: [\n", b"event: ping\n", b"event: error\n", b": a comment\n"])
def test_lines_before_a_large_piece_belong_to_its_first_event(beginning: bytes) -> None:
    good = sse(delta(0, "text_delta", text="a"))
    body = good + beginning + good * 40
    assert len(good * 40) > LARGE
    assert parsed(body, [len(good + beginning)]) == parsed_one_by_one(body)
