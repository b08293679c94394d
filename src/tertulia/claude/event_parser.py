"""Parse the body of a streaming response into events of the Messages API. This module does no I/O.

Nearly all events are pieces of text. Parsing each as JSON and checking its shape takes most of the time of a token.
Therefore the bytes before the text of a block are compared with those of an earlier event of the block.
"""

from typing import TYPE_CHECKING

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


class DeltaPattern:
    """The bytes before the text in the events of one block, which are the same in all of them."""

    __slots__ = (
        "_beginning",
        "_frame_beginning",
        "_index",
        "_kind",
        "_name",
    )

    def __init__(self) -> None:
        """Initialize without a pattern: `text_in` finds nothing until `learn` was called."""
        self._beginning = self._frame_beginning = b""
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

    def text_in(self, data: bytes) -> str | None:
        """Return the text of an event that differs only in its text; None if it must be parsed."""
        return _text_between(self._beginning, data, DELTA_END)

    def event_in_frame(self, piece: bytes) -> Json | None:
        """Return such an event in a piece of a body that is one server-sent event."""
        text = _text_between(self._frame_beginning, piece, FRAME_END)
        if text is None:
            return None
        return {"type": "content_block_delta", "index": self._index, "delta": {"type": self._kind, self._name: text}}

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
        self._reader = EventStreamReader() if is_event_stream(response.headers) else EventReader()
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
        try:
            for name, data in self._reader.feed(piece):
                text = None if name in (b"ping", b"error") else self._pattern.text_in(data)
                if text is not None:
                    texts.append(text)
                    continue
                if texts:
                    events.append(self._pattern.event("".join(texts)))
                    texts.clear()
                if name != b"ping" and (event := self._parsed(name, data)) is not None:
                    events.append(event)
                if self.error is not None or (events and events[-1]["type"] == "message_stop"):
                    return
        finally:
            if texts:
                events.append(self._pattern.event("".join(texts)))

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
