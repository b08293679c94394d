"""Parse server-sent events from chunks of bytes. This module does no I/O.

Source: "Server-sent events" in the HTML standard, section 9.2.6, as far as the Messages API uses it. The SDK's parser
reads line by line and takes several times as long for each token.
"""

LONGEST_EVENT = 32 * 1024 * 1024
"""The maximum size of an event in bytes, so that a server that never ends an event cannot fill the memory."""


class EventReader:
    """Splits a body, which arrives in any pieces, into its events."""

    __slots__ = (
        "_after_cr",
        "_pieces",
        "_size",
        "is_between_events",
    )

    def __init__(self) -> None:
        """Initialize at the start of a body."""
        self._pieces: list[bytes] = []
        self._size = 0
        self._after_cr = False
        self.is_between_events = True
        """Whether the next piece begins with an event."""

    def feed(self, piece: bytes) -> list[tuple[bytes, bytes]]:
        """Return the name, which may be empty, and the data of each complete event.

        Raises:
            ValueError: An event is too long.
        """
        if self._after_cr:
            # This may be the LF of a CRLF. Its CR has already ended the line, so that the event did not have to wait.
            self._after_cr = not piece
            piece = piece.removeprefix(b"\n")
        if b"\r" in piece:
            self._after_cr = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if not self._pieces and piece.endswith(b"\n\n") and len(piece) <= LONGEST_EVENT:
            # The common case: the piece is one event, or several complete ones.
            events = piece[:-2].split(b"\n\n")
        else:
            events = self._split(piece)
        self.is_between_events = not self._pieces and not self._after_cr
        return [fields for event in events if (fields := _fields(event))[1]]

    def _split(self, piece: bytes) -> list[bytes]:
        """Return the events that end in this piece, and buffer the rest."""
        ends_here = b"\n\n" in piece or (piece[:1] == b"\n" and self._pieces and self._pieces[-1][-1:] == b"\n")
        if piece:
            self._pieces.append(piece)
            self._size += len(piece)
        events: list[bytes] = []
        if ends_here:
            # Joined once for each event, because joining for each piece would take quadratic time for a long event.
            *events, incomplete = b"".join(self._pieces).split(b"\n\n")
            self._pieces, self._size = [incomplete] if incomplete else [], len(incomplete)
        if self._size > LONGEST_EVENT:
            raise ValueError("A server-sent event is too long.")
        return events


def _fields(event: bytes) -> tuple[bytes, bytes]:
    if event.startswith(b"event: "):
        # The API writes nearly all events as two lines.
        name, _, data = event.partition(b"\n")
        if data.startswith(b"data: ") and b"\n" not in data:
            return name[7:], data[6:]
    name, lines = b"", list[bytes]()
    for line in event.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"event":
            name = value.removeprefix(b" ")
        elif field == b"data":
            lines.append(value.removeprefix(b" "))
    return name, b"\n".join(lines)
