"""uvicorn's WebSocket, with one shorter way out: a text message that is framed and written at once."""

import struct
from asyncio import BaseTransport, TimerHandle
from typing import Any

from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

STATE = "socket_protocol"
SHORT, LONG = 126, 1 << 16
"""Lengths from which a frame's header says more (RFC 6455, section 5.2)."""


CLOSE_SECONDS = 3.0
"""How long a client may take to answer a close; as long again, what it does not read may stay unsent."""


class SocketProtocol(WebSocketsSansIOProtocol):
    """One socket. The application finds it in its scope's state, and may write past ASGI's four layers."""

    _abort_timer: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        """Wait less long than uvicorn for a client that does not close its side."""
        super().connection_made(transport)
        self.close_timeout = CLOSE_SECONDS

    def connection_lost(self, exc: Exception | None) -> None:
        """End the timer."""
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        super().connection_lost(exc)

    async def send(self, message: Any) -> None:
        """Send; a closed socket whose client reads nothing is cut, where uvicorn would wait for it for ever."""
        if message["type"] == "websocket.close" and self._abort_timer is None:
            # Before it is sent: that waits for a client that reads nothing, too.
            self._abort_timer = self.loop.call_later(2 * CLOSE_SECONDS, self.transport.abort)
        await super().send(message)

    async def run_asgi(self) -> None:
        """Serve the socket, and let the application find this object."""
        scope: dict[str, Any] = {**self.scope}
        scope["state"][STATE] = self
        await super().run_asgi()

    def write_text(self, message: bytes) -> bool:
        """Write a message of UTF-8 at once; False where it would have to wait, or where the socket is closing."""
        if not self.writable.is_set() or self.close_sent or not self.handshake_complete or self.transport.is_closing():
            return False
        self.transport.write(frame(message))
        return True


def frame(message: bytes) -> bytes:
    """Frame a whole text message that is neither masked nor compressed."""
    length = len(message)
    if length < SHORT:
        return b"\x81%c%b" % (length, message)
    if length < LONG:
        return struct.pack("!BBH", 0x81, 126, length) + message
    return struct.pack("!BBQ", 0x81, 127, length) + message


def protocol_of(socket: WebSocket) -> SocketProtocol | None:
    """Give what carries a socket; None under another server."""
    found: object = getattr(socket.state, STATE, None)
    return found if isinstance(found, SocketProtocol) else None
