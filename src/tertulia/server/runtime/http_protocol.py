"""uvicorn's HTTP protocol, with deadlines for clients that stall. uvicorn itself waits forever for a request."""

from asyncio import TimerHandle, Transport
from enum import Enum, auto
from typing import Any, cast

import uvicorn.protocols.http.httptools_impl as uvicorn_http

TIMED_OUT = b"408 Request Timeout", b"The request did not arrive in time."
TOO_LARGE = b"431 Request Header Fields Too Large", b"The headers of the request must be at most 131,072 bytes."
HTTP_1_0 = "1.0"


class ExpectedPart(Enum):
    """The part of a request that the server waits for."""

    HEADERS = auto()
    BODY = auto()
    NOTHING = auto()


class HttpProtocol(uvicorn_http.HttpToolsProtocol):
    """One connection. An incomplete request gets 408, and a client that reads nothing is disconnected.

    Uploads may be slow as long as they progress. The rule for bodies is the same as in other servers (Kestrel, IIS).
    """

    HEADER_SECONDS = 20.0
    """From the start of the connection, or the first byte of a later request, to the end of the headers."""
    HEADER_BYTES = 131_072
    BODY_SILENCE_SECONDS = 30.0
    BODY_GRACE_SECONDS = 20.0
    BODY_BYTES_PER_SECOND = 240
    """The minimum average rate of a body, after `BODY_GRACE_SECONDS`."""
    UNREAD_SECONDS = 60.0
    """How long a client may read nothing while data of a response waits to be sent."""
    CHECK_SECONDS = 2.0

    _expected_part = ExpectedPart.HEADERS
    _request_begun = False
    _since = _last_data_at = _checked = _drained = 0.0
    _received = _unsent = 0
    _check_timer: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Expect a request from now on."""
        super().connection_made(transport)
        self._since = self._last_data_at = self._checked = self._drained = self.loop.time()
        self._check_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the checks."""
        if self._check_timer is not None:
            self._check_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data; data after a complete response starts the next request."""
        if self._expected_part is ExpectedPart.NOTHING and self.cycle.response_complete:
            self._expect(ExpectedPart.HEADERS)
            self._request_begun = False
        super().data_received(data)
        if self._expected_part is ExpectedPart.HEADERS and not self.transport.is_closing():
            self._received += len(data)
            if self._received > self.HEADER_BYTES:
                self._refuse(*TOO_LARGE)

    def resume_writing(self) -> None:
        """Record that the client reads."""
        self._drained = self.loop.time()
        super().resume_writing()

    def on_message_begin(self) -> None:
        """Expect the headers."""
        super().on_message_begin()
        self._expect(ExpectedPart.HEADERS)
        self._request_begun = True

    def on_headers_complete(self) -> None:
        """Expect the body. The response begins, and its application runs later, as a task."""
        super().on_headers_complete()
        self._expect(ExpectedPart.BODY)
        parser: Any = self.parser
        if parser.get_http_version() == HTTP_1_0 and not parser.should_upgrade():
            # HTTP/1.0 has no chunked encoding: the body ends with the connection.
            self.cycle.chunked_encoding = False
            self.cycle.expected_content_length = UntilClose()

    def on_body(self, body: bytes) -> None:
        """Record that the body progresses."""
        super().on_body(body)
        self._received += len(body)
        self._last_data_at = self.loop.time()

    def on_message_complete(self) -> None:
        """Expect nothing until the next request begins. uvicorn itself closes idle connections."""
        super().on_message_complete()
        self._expect(ExpectedPart.NOTHING)

    def _expect(self, part: ExpectedPart) -> None:
        self._expected_part = part
        self._received = 0
        self._since = self._last_data_at = self.loop.time()

    def _check_later(self) -> None:
        self._check_timer = self.loop.call_later(self.CHECK_SECONDS, self._check)

    def _check(self) -> None:
        if self.transport.get_protocol() is not self:
            return  # It is a WebSocket now.
        now = self.loop.time()
        if self._is_unread(now):
            self.transport.abort()
            return
        if self._is_late(now) and not self.transport.is_closing():
            self._refuse(*TIMED_OUT)
        self._checked = now
        self._check_later()

    def _is_late(self, now: float) -> bool:
        if self._expected_part is ExpectedPart.HEADERS:
            # Reading is paused by an upgrade or an earlier response, which is not the client's fault.
            return not self.flow.read_paused and now - self._since > self.HEADER_SECONDS
        if self._expected_part is ExpectedPart.NOTHING:
            return False
        if self.flow.read_paused or self.cycle.waiting_for_100_continue:
            self._last_data_at = now
            self._since += now - self._checked
            return False
        max_seconds = self.BODY_GRACE_SECONDS + self._received / self.BODY_BYTES_PER_SECOND
        return now - self._last_data_at > self.BODY_SILENCE_SECONDS or now - self._since > max_seconds

    def _is_unread(self, now: float) -> bool:
        transport: Transport = self.transport
        unsent = transport.get_write_buffer_size()
        if unsent == 0 or unsent < self._unsent:
            self._drained = now
        self._unsent = unsent
        return now - self._drained > self.UNREAD_SECONDS

    def _refuse(self, status: bytes, message: bytes) -> None:
        """Close the connection, with a response if the client would attribute it to its request."""
        cycle: Any = self.cycle  # None before the first request
        answering = cycle is not None and cycle.response_started and not cycle.response_complete
        if self._request_begun and not answering:
            head = b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: "
            self.transport.write(b"HTTP/1.1 %b\r\n%b%d\r\n\r\n%b" % (status, head, len(message), message))
        self.transport.close()


class UntilClose(int):
    """The length of a body that ends with its connection (RFC 9112, section 6.3): it fits any number of bytes."""

    def __lt__(self, other: int) -> bool:
        """No body is too long."""
        return False

    def __sub__(self, other: int) -> "UntilClose":
        """Any number of bytes may follow."""
        return self

    def __eq__(self, other: object) -> bool:
        """No body is too short."""
        return True

    def __ne__(self, other: object) -> bool:
        """No body is too short."""
        return False

    __hash__ = cast("Any", int.__hash__)
