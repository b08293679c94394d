"""The results of subscriptions as frames of a WebSocket, written in the turn of the loop that shows their events."""

from tertulia.schema.subscription_fast_path import ResultPush
from tertulia.server.runtime.socket_protocol import HEADERS, PREPARED_HEADERS, SocketProtocol, header


class ResultWriter(ResultPush):
    """Frames and writes the results of one subscription: messages that begin with `prefix` and end with a brace."""

    __slots__ = ("_flag", "_prefix")

    def __init__(self, protocol: SocketProtocol, prefix: bytes) -> None:
        """Initialize for a socket whose handshake is complete."""
        super().__init__(protocol.transport.write)
        self._flag = protocol.flag
        self._prefix = prefix

    def frame(self, result: bytes) -> bytes | None:
        """Return the frame of a result; None if it cannot be written now."""
        if not self._flag.is_open:
            return None
        prefix = self._prefix
        length = len(prefix) + len(result) + 1
        return b"%b%b%b}" % (HEADERS[length] if length < PREPARED_HEADERS else header(length), prefix, result)
