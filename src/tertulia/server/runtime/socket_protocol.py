"""uvicorn's WebSocket protocol, with a fast path that frames and writes a text message at once.

Thousands of sockets are idle for hours, so each keeps little in memory: no frames of middleware, no headers of the
handshake, and no queue while there are no messages.
"""

import struct
from asyncio import BaseTransport, Event, Future, TimerHandle, get_running_loop
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

STATE = "socket_protocol"
SHORT, LONG = 126, 1 << 16
"""Lengths from which a frame needs a longer header (RFC 6455, section 5.2)."""
MEDIUM_HEADER, LONG_HEADER = struct.Struct("!BBH").pack, struct.Struct("!BBQ").pack
PREPARED_HEADERS = 512
"""The headers of frames of fewer bytes are computed in advance."""
BYTES_AT_ONCE = 8192
"""Bytes parsed before other connections get a turn: uvloop reads 256,000 at once, which can be 40,000 frames."""
CLOSE_SECONDS = 3.0
"""Seconds for a client to respond to a close frame. After twice as long, a socket with unsent data is aborted."""


class SocketProtocol(WebSocketsSansIOProtocol):
    """One socket. It is in the scope's state, so that the application can write without the four layers of ASGI."""

    # More than 30 attributes in a dictionary take five times as much memory.
    __slots__ = (
        "_abort_timer",
        "_deferred",
        "_next_work",
        "_unparsed",
        "app",
        "app_state",
        "asgi_version",
        "client",
        "close_sent",
        "close_timeout",
        "close_timer",
        "config",
        "conn",
        "connections",
        "curr_msg_data_type",
        "default_headers",
        "disconnected",
        "flag",
        "frames",
        "handshake_complete",
        "handshake_initiated",
        "initial_response",
        "last_ping_rtt",
        "logger",
        "loop",
        "pending_ping_payload",
        "ping_interval",
        "ping_sent_at",
        "ping_timeout",
        "ping_timer",
        "pong_timer",
        "queue",
        "read_paused",
        "request",
        "response",
        "root_path",
        "scheme",
        "scope",
        "server",
        "tasks",
        "transport",
        "writable",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        """Initialize with uvicorn's arguments."""
        super().__init__(*args, **options)
        self._abort_timer: TimerHandle | None = None
        self._deferred = False
        self._unparsed = b""
        self._next_work: Callable[[], Awaitable[None]] | None = None
        self.flag = WritableFlag()
        protocol: Any = self  # uvicorn declares classes of asyncio, which take 3 KB per socket
        protocol.queue, protocol.writable = MessageQueue(), self.flag

    def connection_made(self, transport: BaseTransport) -> None:
        """Set a shorter close timeout than uvicorn's."""
        super().connection_made(transport)
        self.close_timeout = CLOSE_SECONDS

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timer."""
        self.flag.close()
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        super().connection_lost(exc)
        if self.handshake_initiated:
            # The scope refers to this object. Without this, both would stay in memory until a garbage collection.
            scope: dict[str, Any] = {**self.scope}
            scope["state"].pop(STATE, None)

    def data_received(self, data: bytes) -> None:
        """Parse `data` in chunks, and read no more until all of it is parsed."""
        self._unparsed += data
        if len(self._unparsed) == len(data):
            self._parse()

    def _parse(self) -> None:
        chunk, self._unparsed = self._unparsed[:BYTES_AT_ONCE], self._unparsed[BYTES_AT_ONCE:]
        super().data_received(chunk)
        if self._unparsed:
            self._deferred = True
            self._pause_reading()
            self.loop.call_soon(self._parse_remaining)
        elif self._deferred:
            self._deferred = False
            if not self.read_paused and not self.transport.is_closing():
                self.transport.resume_reading()

    def _parse_remaining(self) -> None:
        if self.transport.is_closing():
            self._unparsed = b""
        else:
            self._parse()

    def _pause_reading(self) -> None:
        # uvicorn resumes reading when its queue is empty, which may be before the remaining data is parsed.
        if self._unparsed and not self.transport.is_closing():
            self.transport.pause_reading()

    async def receive(self) -> Any:
        """Return the next message."""
        message = await super().receive()
        self._pause_reading()
        return message

    async def send(self, message: Any) -> None:
        """Send a message. Abort a closed socket whose client reads nothing: uvicorn would wait forever."""
        if message["type"] == "websocket.close" and self._abort_timer is None:
            self._abort_timer = self.loop.call_later(2 * CLOSE_SECONDS, self.transport.abort)
            # uvicorn would wait until the client reads; the transport can buffer these few bytes instead.
            self.writable.set()
        await super().send(message)
        if self.close_sent:
            self.flag.close()
        if message["type"] == "websocket.accept":
            # They have been read, and sent.
            for handshake in (self.request, self.response):
                handshake.headers.clear()
        self._pause_reading()

    async def run_asgi(self) -> None:
        """Serve the socket, with this object in the scope's state."""
        scope: dict[str, Any] = {**self.scope}
        scope["state"][STATE] = self
        application: Any = self.app

        async def serve(*asgi: Any) -> None:
            await application(*asgi)
            work, self._next_work = self._next_work, None
            if work is not None:
                await work()

        protocol: Any = self
        protocol.app = serve
        try:
            await super().run_asgi()
        finally:
            protocol.app = application

    def continue_with(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` after the application has returned, and then close the socket.

        The frames of middleware, routers and their closures do not stay in memory then.
        """
        self._next_work = work

    def write_text(self, *parts: bytes) -> bool:
        """Write a UTF-8 message at once; return False if it would have to wait, or if the socket is closing."""
        if not self.handshake_complete or not self.flag.is_open or self.transport.is_closing():
            return False
        self.transport.write(frame(*parts))
        return True


class MessageQueue:
    """The part of asyncio's queue that uvicorn uses, for one reader. It allocates nothing while it is empty."""

    __slots__ = ("_messages", "_reader")

    def __init__(self) -> None:
        """Initialize without messages."""
        self._messages: list[Any] | None = None
        self._reader: Future[None] | None = None

    def empty(self) -> bool:
        """Return whether there are no messages."""
        return not self._messages

    def put_nowait(self, message: Any) -> None:
        """Add a message."""
        if self._messages is None:
            self._messages = []
        self._messages.append(message)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> Any:
        """Wait for a message, and remove it."""
        while not self._messages:
            self._messages = None
            self._reader = get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._messages.pop(0)


class WritableFlag:
    """The part of asyncio's event that uvicorn uses. It is set at first, and allocates nothing while it is set.

    Attributes:
        is_open: Whether messages may be written now: the flag is set, and no close frame was sent.
    """

    __slots__ = ("_event", "_is_closed", "is_open")

    def __init__(self) -> None:
        """Initialize as set."""
        self._event: Event | None = None
        self._is_closed = False
        self.is_open = True

    def is_set(self) -> bool:
        """Return whether the flag is set."""
        return self._event is None

    def clear(self) -> None:
        """Reset the flag."""
        self.is_open = False
        if self._event is None:
            self._event = Event()

    def set(self) -> None:
        """Set the flag, and wake all that wait."""
        self.is_open = not self._is_closed
        if self._event is not None:
            self._event.set()
            self._event = None

    def close(self) -> None:
        """Note that a close frame was sent, after which no message may follow."""
        self._is_closed, self.is_open = True, False

    async def wait(self) -> None:
        """Wait until the flag is set."""
        if self._event is not None:
            await self._event.wait()


def frame(*parts: bytes) -> bytes:
    """Return a text message, which consists of `parts`, as one frame, neither masked nor compressed."""
    return b"".join((header(sum(map(len, parts))), *parts))


def header(length: int) -> bytes:
    """Return the header of the frame of a text message with this many bytes."""
    if length < SHORT:
        return b"\x81%c" % length
    return MEDIUM_HEADER(0x81, 126, length) if length < LONG else LONG_HEADER(0x81, 127, length)


HEADERS = tuple(map(header, range(PREPARED_HEADERS)))
"""The headers of frames by the length of the message, for most messages."""


def protocol_of(socket: WebSocket) -> SocketProtocol | None:
    """Return the protocol of a socket; None under another server."""
    protocol: object = getattr(socket.state, STATE, None)
    return protocol if isinstance(protocol, SocketProtocol) else None
