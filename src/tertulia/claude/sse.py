"""Reading server-sent events from pieces of bytes: pure, bytes in, events out.

Source: "Server-sent events" in the HTML standard, section 9.2.6, as far as the Messages API uses it. The SDK's own
reader goes line by line and costs several times as much for each token.
"""

from collections.abc import Iterator

LONGEST_EVENT = 32 * 1024 * 1024
"""Bytes. A server that never ends an event must not fill the memory."""


class EventReader:
    """Cuts a body into its events, wherever its pieces were cut."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._pieces: list[bytes] = []
        self._size = 0
        self._after_cr = False

    def feed(self, piece: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Give the events that are whole: the name, empty where it has none, and the data.

        Raises ValueError for an event that is too long.
        """
        if self._after_cr:
            # The other half of a CRLF. The CR has ended its line already: an event must not wait for the next one.
            self._after_cr = not piece
            piece = piece.removeprefix(b"\n")
        if b"\r" in piece:
            self._after_cr = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        for event in self._split(piece):
            name, data = _fields(event)
            if data:
                yield name, data

    def _split(self, piece: bytes) -> list[bytes]:
        """Return the events that end in this piece, and keep the rest."""
        ends_here = b"\n\n" in piece or (piece[:1] == b"\n" and self._pieces and self._pieces[-1][-1:] == b"\n")
        if piece:
            self._pieces.append(piece)
            self._size += len(piece)
        events: list[bytes] = []
        if ends_here:
            # Pieces are joined once for each event: joining for each piece takes quadratic time for a long event.
            *events, rest = b"".join(self._pieces).split(b"\n\n")
            self._pieces, self._size = [rest] if rest else [], len(rest)
        if self._size > LONGEST_EVENT:
            raise ValueError("An event is too long.")
        return events


def _fields(event: bytes) -> tuple[bytes, bytes]:
    if event.startswith(b"event: "):
        # How the API writes nearly all of them: two lines.
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
