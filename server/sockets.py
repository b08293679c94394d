"""uvicorn's WebSocket, with one shorter way out: a text message that is framed and written at once."""

import struct
from typing import Any

from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

STATE = "socket_protocol"
SHORT, LONG = 126, 1 << 16
"""Lengths from which a frame's header says more (RFC 6455, section 5.2)."""


class SocketProtocol(WebSocketsSansIOProtocol):
    """One socket. The application finds it in its scope's state, and may write past ASGI's four layers."""

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
