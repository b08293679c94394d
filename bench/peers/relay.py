"""The relay peer: passes Claude's tokens to a WebSocket with nothing in between, as the limit of what Python can do.

It uses asyncio on uvloop, picows for the socket, ten lines that read server-sent events from a plain connection, and
orjson, with one message per token. With `--pause-ms`, it pauses after each read like Tertulia under load, and sends the
tokens of a read as one message. It has no GraphQL (only as much of graphql-transport-ws as the load needs), no SDK,
no storage and no connection pool. It is a limit, not a product: it ignores HTTP chunk sizes, and knows one kind of
event.
"""

import argparse
import asyncio
import os
from typing import Protocol, cast
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


class Listener(Protocol):
    """Receives the messages of an answer."""

    def say(self, message: "dict[str, object]") -> None:
        """Receive a message of graphql-transport-ws."""


class Upstream(asyncio.Protocol):
    """One request to Claude, and its response."""

    def __init__(self, client: Listener, id: str, text: str, pause: float) -> None:
        self._client = client
        self._pause = pause
        self._id = id
        self._body = orjson.dumps(
            {"model": MODEL, "max_tokens": 32_000, "stream": True, "messages": [{"role": "user", "content": text}]}
        )
        self._buffer = b""
        self._offset = 0
        self._sequence = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        self.transport = cast("asyncio.Transport", transport)
        head = b"POST /v1/messages HTTP/1.1\r\nhost: claude\r\ncontent-type: application/json\r\n"
        self.transport.write(head + b"content-length: %d\r\n\r\n%s" % (len(self._body), self._body))

    def data_received(self, data: bytes) -> None:
        """Pass on each event, or the text of all events together."""
        *events, self._buffer = (self._buffer + data).split(b"\n\n")
        texts: list[str] = []
        stopped = False
        for event in events:
            start = event.find(b"data: ")
            if start >= 0:
                content = orjson.loads(event[start + 6 :])
                stopped = stopped or content["type"] == "message_stop"
                if content["type"] == "content_block_delta":
                    texts.append(content["delta"]["text"])
        for text in ["".join(texts)] if self._pause and texts else texts:
            self._send(text)
        if stopped:
            self._client.say({"id": self._id, "type": "complete"})
            if self.transport is not None:
                self.transport.close()
        elif self._pause and self.transport is not None:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(self._pause, self._resume)

    def _send(self, text: str) -> None:
        self._sequence += 1
        shown = {"__typename": "TextDelta", "sequence": self._sequence, "index": 0, "offset": self._offset}
        self._client.say({"id": self._id, "type": "next", "payload": {"data": {"events": {**shown, "text": text}}}})
        self._offset += len(text)

    def _resume(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()


class Client(WSListener):
    """One socket. Reading from Claude pauses while the socket's buffer is full."""

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._transport: WSTransport | None = None
        self._answers: list[Upstream] = []

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Acknowledge the connection, or start an answer."""
        if frame.msg_type == WSMsgType.TEXT:
            message = orjson.loads(frame.get_payload_as_memoryview())
            if message["type"] == "connection_init":
                self.say({"type": "connection_ack"})
            elif message["type"] == "subscribe":
                answer = Upstream(self, message["id"], message["payload"]["variables"]["text"], self._pause)
                self._answers.append(answer)
                opening = asyncio.get_running_loop().create_connection(lambda: answer, HOST, PORT)
                asyncio.ensure_future(opening)  # noqa: RUF006 - it lives as long as its connection

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """End all answers of the client."""
        self._transport = None
        for answer in self._answers:
            if answer.transport is not None:
                answer.transport.close()

    def pause_writing(self) -> None:
        """Pause reading from Claude."""
        for answer in self._answers:
            if answer.transport is not None:
                answer.transport.pause_reading()

    def resume_writing(self) -> None:
        """Resume reading from Claude."""
        for answer in self._answers:
            if answer.transport is not None:
                answer.transport.resume_reading()

    def say(self, message: "dict[str, object]") -> None:
        """Send a message."""
        if self._transport is not None:
            self._transport.send(WSMsgType.TEXT, orjson.dumps(message))


async def serve(port: int, pause: float) -> None:
    """Accept every socket until killed."""

    def accept(_request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        response = WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": "graphql-transport-ws"})
        return WSUpgradeResponseWithListener(response, Client(pause))

    server = await ws_create_server(accept, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pause-ms", type=float, default=0.0)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port, arguments.pause_ms / 1000))
