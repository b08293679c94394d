"""The limit of Python: hands Claude's tokens on over a WebSocket, with nothing in between.

asyncio on uvloop, picows for the socket, ten lines that read server-sent events off a bare connection, orjson, one
message a token. No GraphQL (it speaks just enough of graphql-transport-ws for the same load), no SDK, nothing stored,
no pool of connections. Fair as a limit, not as a product: it skips what HTTP's chunks say, and knows one kind of event.
"""

import argparse
import asyncio
import os
from typing import cast
from urllib.parse import urlsplit

import orjson
import uvloop
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from bench.upstream import MODEL

ADDRESS = urlsplit(os.environ.get("ANTHROPIC_BASE_URL", "http://127.0.0.1:8001"))
HOST, PORT = ADDRESS.hostname or "127.0.0.1", ADDRESS.port or 80


class Upstream(asyncio.Protocol):
    """One request to Claude, and its answer."""

    def __init__(self, client: "Client", id: str, text: str) -> None:
        """Take whom to tell."""
        self._client = client
        self._id = id
        self._body = orjson.dumps(
            {"model": MODEL, "max_tokens": 32_000, "stream": True, "messages": [{"role": "user", "content": text}]}
        )
        self._buffer = b""
        self._offset = 0
        self._sequence = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self.transport = cast("asyncio.Transport", transport)
        head = b"POST /v1/messages HTTP/1.1\r\nhost: claude\r\ncontent-type: application/json\r\n"
        self.transport.write(head + b"content-length: %d\r\n\r\n%s" % (len(self._body), self._body))

    def data_received(self, data: bytes) -> None:
        """Hand each event on."""
        *events, self._buffer = (self._buffer + data).split(b"\n\n")
        for event in events:
            place = event.find(b"data: ")
            if place >= 0:
                self._take(orjson.loads(event[place + 6 :]))

    def _take(self, event: "dict[str, object]") -> None:
        kind, delta = event["type"], event.get("delta")
        if kind == "content_block_delta" and isinstance(delta, dict):
            self._sequence += 1
            text = delta["text"]
            shown = {"__typename": "TextDelta", "sequence": self._sequence, "index": 0, "offset": self._offset}
            self._client.say({"id": self._id, "type": "next", "payload": {"data": {"events": {**shown, "text": text}}}})
            self._offset += len(text)
        elif kind == "message_stop":
            self._client.say({"id": self._id, "type": "complete"})
            if self.transport is not None:
                self.transport.close()


class Client(WSListener):
    """One socket; reading from Claude pauses while it is full."""

    def __init__(self) -> None:
        """Begin with no answers."""
        self._transport: WSTransport | None = None
        self._answers: list[Upstream] = []

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Begin."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answer what the load says."""
        if frame.msg_type == WSMsgType.TEXT:
            message = orjson.loads(frame.get_payload_as_memoryview())
            if message["type"] == "connection_init":
                self.say({"type": "connection_ack"})
            elif message["type"] == "subscribe":
                answer = Upstream(self, message["id"], message["payload"]["variables"]["text"])
                self._answers.append(answer)
                opening = asyncio.get_running_loop().create_connection(lambda: answer, HOST, PORT)
                asyncio.ensure_future(opening)  # noqa: RUF006 - it lives as long as its connection

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """End all that the client asked for."""
        self._transport = None
        for answer in self._answers:
            if answer.transport is not None:
                answer.transport.close()

    def pause_writing(self) -> None:
        """Read no more from Claude."""
        for answer in self._answers:
            if answer.transport is not None:
                answer.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on."""
        for answer in self._answers:
            if answer.transport is not None:
                answer.transport.resume_reading()

    def say(self, message: "dict[str, object]") -> None:
        """Send a message."""
        if self._transport is not None:
            self._transport.send(WSMsgType.TEXT, orjson.dumps(message))


def accept(_request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
    """Take every socket."""
    response = WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": "graphql-transport-ws"})
    return WSUpgradeResponseWithListener(response, Client())


async def serve(port: int) -> None:
    """Serve until killed."""
    server = await ws_create_server(accept, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))
