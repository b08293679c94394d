"""Parse the body of a streaming response into events of the Messages API. This module does no I/O.

Nearly all events are pieces of text. Parsing each as JSON and checking its shape takes most of the time of a token.
Therefore the bytes before the text of a block are compared with those of an earlier event of the block.
"""

import re
from typing import TYPE_CHECKING, NamedTuple

from tertulia.claude.deltas import DELTAS, clean_event
from tertulia.claude.errors import (
    UNREADABLE,
    BrokenStream,
    ErrorCode,
    GenerationError,
    StreamError,
    from_error_event,
    request_id_of,
)
from tertulia.claude.event_stream import EventStreamReader, is_event_stream
from tertulia.claude.parser import event_of
from tertulia.claude.sse import EventReader
from tertulia.json import Json, loads

if TYPE_CHECKING:
    import httpx2

FRAME_BEGINNING = b"event: content_block_delta\ndata: "
"""The bytes before the JSON of such an event in a stream of server-sent events."""
DELTA_END, FRAME_END = b'"}}', b'"}}\n\n'
"""The end of an event with a piece of text, which is its last value. The API may add spaces, which hide its length."""
PROBE = "probe"
LARGE = 2048
"""The size in bytes from which a piece of a body is searched for runs of text. For a few events that takes longer."""
PLAIN = rb'[^"\\\x00-\x1f]*+'
"""A text without escapes, as a regular expression. JSON does not allow control characters in a string."""


class Run(NamedTuple):
    """The text of events that follow each other in a piece of a body, and the position after them."""

    text: str
    end: int


class DeltaPattern:
    """The bytes before the text in the events of one block, which are the same in all of them."""

    __slots__ = (
        "_beginning",
        "_frame_beginning",
        "_index",
        "_kind",
        "_name",
        "_run",
        "_text",
    )

    def __init__(self) -> None:
        """Initialize without a pattern: `text_in` finds nothing until `learn` was called."""
        self._beginning = self._frame_beginning = b""
        self._run: re.Pattern[bytes] | None = None
        self._text: re.Pattern[bytes] | None = None
        self._index = 0
        self._kind = self._name = ""

    def learn(self, data: bytes, event: Json) -> None:
        """Remember the bytes before the text of an event, if it is a piece of text without escapes."""
        kind = event["type"] == "content_block_delta" and event["delta"]["type"]
        if kind not in DELTAS or (self._beginning and data.startswith(self._beginning)):
            return
        name = DELTAS[kind][1]
        quoted_text = b'"%b"' % event["delta"][name].encode("utf-8", "surrogatepass")
        beginning = data[: data.rfind(quoted_text) + 1]
        try:
            probe = event_of(loads(beginning + PROBE.encode() + DELTA_END))
        except ValueError:
            return
        # The text is the last string of the event, so any text without escapes can replace it.
        if probe == {**event, "delta": {"type": kind, name: PROBE}}:
            self._beginning, self._frame_beginning = beginning, FRAME_BEGINNING + beginning
            self._index, self._kind, self._name = event["index"], kind, name
            escaped = re.escape(self._frame_beginning)
            self._run = re.compile(rb'(?:%b%b" *\} *\} *\n\n)++' % (escaped, PLAIN))
            self._text = re.compile(rb'%b(%b)"' % (escaped, PLAIN))

    def text_in(self, data: bytes) -> str | None:
        """Return the text of an event that differs only in its text; None if it must be parsed."""
        return _text_between(self._beginning, data, DELTA_END)

    def event_in_frame(self, piece: bytes) -> Json | None:
        """Return such an event in a piece of a body that is one server-sent event."""
        text = _text_between(self._frame_beginning, piece, FRAME_END)
        if text is None:
            return None
        return {"type": "content_block_delta", "index": self._index, "delta": {"type": self._kind, self._name: text}}

    def run_in(self, body: bytes, start: int) -> Run | None:
        """Return the events from a position on that differ only in their text; None if the first must be parsed."""
        if self._run is None or self._text is None or (run := self._run.match(body, start)) is None:
            return None
        # The separator does not occur in a text, and incomplete characters on both sides of it are refused.
        texts = b'"'.join(self._text.findall(body, start, run.end()))
        try:
            return Run(texts.decode().replace('"', ""), run.end())
        except UnicodeDecodeError:
            # Look for no more of them, which would take quadratic time.
            self._run = None
            return None

    def event(self, text: str) -> Json:
        """Return the event with another text."""
        return {"type": "content_block_delta", "index": self._index, "delta": {"type": self._kind, self._name: text}}


def _text_between(beginning: bytes, data: bytes, ending: bytes) -> str | None:
    """Return a text without escapes between the two parts of an event; None if the event is not of this form."""
    if not beginning or not data.startswith(beginning):
        return None
    start = len(beginning)
    end = data.find(b'"', start)
    if data[end:] != ending and data[end:].translate(None, b" ") != ending:
        return None
    try:
        text = data[start:end].decode()
    except UnicodeDecodeError:
        return None
    # JSON does not allow control characters in a string.
    return text if text.isprintable() and "\\" not in text else None


class EventParser:
    """Parses a body, which arrives in any pieces, up to its first error or `message_stop`."""

    __slots__ = (
        "_is_text",
        "_pattern",
        "_reader",
        "_request_id",
        "_response",
        "error",
    )

    def __init__(self, response: "httpx2.Response") -> None:
        """Initialize with the response, whose headers name the request and the framing."""
        self.error: StreamError | None = None
        """The error after the events that `parse` has returned."""
        self._response = response
        self._request_id = request_id_of(response)
        self._is_text = not is_event_stream(response.headers)
        self._reader = EventReader() if self._is_text else EventStreamReader()
        self._pattern = DeltaPattern()

    def parse(self, piece: bytes) -> list[Json]:
        """Return the events that end in this piece, except `ping`. Adjacent pieces of text are joined."""
        if self._reader.is_between_events and (event := self._pattern.event_in_frame(piece)) is not None:
            # Most pieces are one event.
            return [event]
        events: list[Json] = []
        try:
            self._parse(piece, events)
        except (ValueError, KeyError, TypeError):
            self.error = BrokenStream(GenerationError(ErrorCode.API_ERROR, UNREADABLE, self._request_id))
        return events

    def _parse(self, piece: bytes, events: list[Json]) -> None:
        """Append the events to `events`. Raise ValueError, KeyError or TypeError at one that is malformed."""
        texts: list[str] = []
        start, has_ended = 0, False
        has_runs = self._is_text and len(piece) >= LARGE
        try:
            while start < len(piece) and not has_ended:
                run = self._pattern.run_in(piece, start) if has_runs and self._reader.is_between_events else None
                if run is not None:
                    texts.append(run.text)
                    start = run.end
                    continue
                # One event, so that those after it can be a run.
                end = piece.find(b"\n\n", start) + 2 if has_runs else 0
                end = end if end > 1 else len(piece)
                has_ended = self._parse_part(piece[start:end], texts, events)
                start = end
        finally:
            self._append_text(texts, events)

    def _parse_part(self, part: bytes, texts: list[str], events: list[Json]) -> bool:
        """Append the pieces of text to `texts`, and other events to `events`. Return whether the stream has ended."""
        for name, data in self._reader.feed(part):
            text = None if name in (b"ping", b"error") else self._pattern.text_in(data)
            if text is not None:
                texts.append(text)
                continue
            self._append_text(texts, events)
            if name != b"ping" and (event := self._parsed(name, data)) is not None:
                events.append(event)
            if self.error is not None or (events and events[-1]["type"] == "message_stop"):
                return True
        return False

    def _append_text(self, texts: list[str], events: list[Json]) -> None:
        if texts:
            events.append(self._pattern.event("".join(texts)))
            texts.clear()

    def _parsed(self, name: bytes, data: bytes) -> Json | None:
        """Return the event; None if it is a `ping` or an `error`."""
        event: Json = {"type": "error"} if name == b"error" else event_of(loads(data))
        kind = event["type"]
        if kind == "error":
            self.error = from_error_event(data, self._response)
            return None
        if kind == "ping":
            return None
        event = clean_event(event)
        if kind == "message_start":
            event["request_id"] = self._request_id
        self._pattern.learn(data, event)
        return event
