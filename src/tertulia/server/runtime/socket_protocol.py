"""uvicorn's WebSocket protocol, with a fast path that frames and writes a text message at once."""

import struct
from asyncio import BaseTransport, TimerHandle
from typing import Any

from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

STATE = "socket_protocol"
SHORT, LONG = 126, 1 << 16
"""Lengths from which a frame needs a longer header (RFC 6455, section 5.2)."""
MEDIUM_HEADER, LONG_HEADER = struct.Struct("!BBH").pack, struct.Struct("!BBQ").pack
BYTES_AT_ONCE = 8192
"""Bytes parsed before other connections get a turn: uvloop reads 256,000 at once, which can be 40,000 frames."""
CLOSE_SECONDS = 3.0
"""Seconds for a client to respond to a close frame. After twice as long, a socket with unsent data is aborted."""


class SocketProtocol(WebSocketsSansIOProtocol):
    """One socket. It is in the scope's state, so that the application can write without the four layers of ASGI."""

    _abort_timer: TimerHandle | None = None
    _unparsed = b""
    _deferred = False

    def connection_made(self, transport: BaseTransport) -> None:
        """Set a shorter close timeout than uvicorn's."""
        super().connection_made(transport)
        self.close_timeout = CLOSE_SECONDS

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timer."""
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        super().connection_lost(exc)

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
        self._pause_reading()

    async def run_asgi(self) -> None:
        """Serve the socket, with this object in the scope's state."""
        scope: dict[str, Any] = {**self.scope}
        scope["state"][STATE] = self
        await super().run_asgi()

    def write_text(self, *parts: bytes) -> bool:
        """Write a UTF-8 message at once; return False if it would have to wait, or if the socket is closing."""
        if self.close_sent or not self.handshake_complete or not self.writable.is_set() or self.transport.is_closing():
            return False
        self.transport.write(frame(*parts))
        return True


def frame(*parts: bytes) -> bytes:
    """Return a text message, which consists of `parts`, as one frame, neither masked nor compressed."""
    length = sum(map(len, parts))
    if length < SHORT:
        header = b"\x81%c" % length
    elif length < LONG:
        header = MEDIUM_HEADER(0x81, 126, length)
    else:
        header = LONG_HEADER(0x81, 127, length)
    return b"".join((header, *parts))


def protocol_of(socket: WebSocket) -> SocketProtocol | None:
    """Return the protocol of a socket; None under another server."""
    protocol: object = getattr(socket.state, STATE, None)
    return protocol if isinstance(protocol, SocketProtocol) else None
