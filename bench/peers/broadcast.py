"""The broadcast peer: sends each token of one answer to all sockets, the limit of what Python can do for followers.

Like the relay, it uses asyncio on uvloop, picows and orjson. A message is encoded once, so nearly all of its CPU is
that of one write per socket.
"""

import argparse
import asyncio
from typing import cast

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

from bench.peers.relay import HOST, PORT, Upstream
from bench.processes import Json


class Everyone:
    """All sockets. The first one requests the answer, and the others follow it."""

    def __init__(self) -> None:
        self.transports: dict[WSTransport, None] = {}
        self._text = ""
        self._answer: Upstream | None = None

    def join(self, transport: WSTransport, id: str, text: str) -> None:
        """Send the text so far, and from now on each token."""
        snapshot = {"__typename": "MessageSnapshot", "message": {"text": self._text}}
        transport.send(
            WSMsgType.TEXT, orjson.dumps({"id": id, "type": "next", "payload": {"data": {"events": snapshot}}})
        )
        self.transports[transport] = None
        if self._answer is None:
            answer = self._answer = Upstream(self, id, text, 0.0)
            opening = asyncio.get_running_loop().create_connection(lambda: answer, HOST, PORT)
            asyncio.ensure_future(opening)  # noqa: RUF006 - it lives as long as its connection

    def say(self, message: "dict[str, object]") -> None:
        """Send a message of the answer to all sockets. All of them use the same id."""
        payload = cast("Json", message.get("payload") or {})
        self._text += str(payload["data"]["events"]["text"]) if payload else ""
        encoded = orjson.dumps(message)
        for transport in self.transports:
            transport.send(WSMsgType.TEXT, encoded)


class Client(WSListener):
    """One socket."""

    def __init__(self, everyone: Everyone) -> None:
        self._everyone = everyone

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Acknowledge the connection, or follow the answer."""
        if frame.msg_type == WSMsgType.TEXT:
            message = orjson.loads(frame.get_payload_as_memoryview())
            if message["type"] == "connection_init":
                transport.send(WSMsgType.TEXT, b'{"type":"connection_ack"}')
            elif message["type"] == "subscribe":
                self._everyone.join(transport, message["id"], message["payload"]["variables"]["text"])

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Send nothing more to this socket."""
        self._everyone.transports.pop(transport, None)


async def serve(port: int) -> None:
    """Accept every socket until killed."""
    everyone = Everyone()

    def accept(_request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        response = WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": "graphql-transport-ws"})
        return WSUpgradeResponseWithListener(response, Client(everyone))

    server = await ws_create_server(accept, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))
