"""The transports of the clients: a keep-alive HTTP connection, and graphql-transport-ws over picows."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import orjson
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

Json = dict[str, Any]
OPENING = 32
"""How many sockets are opened, or answers are started, at the same time."""
Listener = Callable[[Json, int], None]
"""Is called with a message of the protocol and the time.monotonic_ns() of its arrival."""


class Http:
    """One keep-alive HTTP/1.1 connection. A request is one write, and a response has a Content-Length."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> bytes:
        """Send a request, and return the body of its response. Raises ConnectionError if the status is not 200."""
        if self._streams is None or self._streams[0].at_eof():
            # Servers close idle connections after some seconds.
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
        except asyncio.IncompleteReadError:
            raise ConnectionError("the server closed the connection") from None
        if b" 200 " not in head[:16]:
            raise ConnectionError(f"{head[:40]!r}: {body[:300]!r}")
        return body

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()


def post(path: str, body: object) -> bytes:
    """Return a POST request with a JSON body."""
    text = orjson.dumps(body)
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/json\r\ncontent-type: application/json\r\n"
    return head.encode() + b"content-length: %d\r\n\r\n%s" % (len(text), text)


def get(path: str) -> bytes:
    """Return a GET request."""
    return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/json\r\n\r\n".encode()


class Socket(WSListener):
    """One graphql-transport-ws socket with any number of subscriptions."""

    def __init__(self) -> None:
        self.listeners: dict[str, Listener] = {}
        self.transport: WSTransport | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Send `connection_init`."""
        self.transport = transport
        self.say({"type": "connection_init"})

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Pass a message to the listener of its subscription."""
        now = time.monotonic_ns()
        if frame.msg_type == WSMsgType.CLOSE:
            self._lost(f"closed: {frame.get_close_message()!r}")
            return
        if frame.msg_type != WSMsgType.TEXT:
            return
        message = orjson.loads(frame.get_payload_as_memoryview())
        listener = self.listeners.get(message.get("id"))
        if listener is not None:
            listener(message, now)
        elif message["type"] == "ping":
            self.say({"type": "pong"})
        elif message["type"] == "connection_ack":
            self.ready.set_result(None)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Report the lost connection to all listeners."""
        self._lost("the connection was lost")

    def subscribe(self, id: str, query: str, variables: Json, listener: Listener) -> None:
        """Start a subscription."""
        self.listeners[id] = listener
        self.say({"id": id, "type": "subscribe", "payload": {"query": query, "variables": variables}})

    def say(self, message: Json) -> None:
        """Send a message."""
        if self.transport is not None:
            self.transport.send(WSMsgType.TEXT, orjson.dumps(message))

    def close(self) -> None:
        """Close the connection without notifying the listeners."""
        self.listeners.clear()
        if self.transport is not None:
            self.transport.disconnect(graceful=False)

    def _lost(self, reason: str) -> None:
        listeners, self.listeners = self.listeners, {}
        for listener in listeners.values():
            listener({"type": "lost", "payload": reason}, time.monotonic_ns())
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(reason))


async def open_socket(port: int) -> Socket:
    """Open a socket, and wait for the server's acknowledgement."""
    address = f"ws://127.0.0.1:{port}/graphql"
    headers = {"Sec-WebSocket-Protocol": "graphql-transport-ws"}
    _, socket = await ws_connect(Socket, address, extra_headers=headers, websocket_handshake_timeout=60)
    assert isinstance(socket, Socket)
    await asyncio.wait_for(socket.ready, 60)
    return socket


async def open_sockets(ports: list[int], streams: int) -> list[list[Socket]]:
    """Open one socket to each port for each client."""
    flat = await gather_limited(OPENING, [partial(open_socket, port) for _ in range(streams) for port in ports])
    return [flat[start : start + len(ports)] for start in range(0, len(flat), len(ports))]


async def gather_limited(limit: int, work: list[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """Run the jobs, at most `limit` at the same time, and return the results in order."""
    semaphore = asyncio.Semaphore(limit)

    async def one(job: Callable[[], Awaitable[Any]]) -> Any:
        async with semaphore:
            return await job()

    return await asyncio.gather(*(one(job) for job in work))


def fetch(port: int, path: str, body: Json | None = None) -> Json:
    """Send one request on its own connection, and return the JSON of the response."""

    async def once() -> Json:
        http = Http(port)
        try:
            answer: Json = orjson.loads(await http.send(get(path) if body is None else post(path, body)))
        finally:
            http.close()
        return answer

    return asyncio.run(once())
