"""A client of the server: GraphQL over HTTP, and subscriptions over WebSocket, server-sent events and multipart."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from tertulia.conformance.verdicts import Failed, reason
from tertulia.json import Json

SUBPROTOCOL = "graphql-transport-ws"
ACCEPT_JSON = "application/graphql-response+json, application/json"
ACCEPT_SSE = "text/event-stream"
ACCEPT_MULTIPART = "multipart/mixed;subscriptionSpec=1.0, application/json"
READ_BUFFER = 2**24
"""Bytes. A line of a stream can contain a whole answer."""


def endpoint(url: str) -> str:
    """Return the address of the GraphQL endpoint: an address without a path is that of a server."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path="/graphql")) if parts.path in ("", "/") else url


class Client:
    """The calls of one viewer.

    Args:
        session: The connections.
        url: The address of the GraphQL endpoint.
        token: The token of the viewer, if the server requires one.
        seconds: The longest time to wait for anything.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str | None, seconds: float) -> None:
        self.session, self.url, self.seconds = session, url, seconds
        self.credentials = {} if token is None else {"Authorization": f"Bearer {token}"}

    @asynccontextmanager
    async def request(self, query: str, variables: Json, accept: str) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Send an operation over HTTP and yield the response."""
        body = {"query": query, "variables": variables}
        headers = {"accept": accept, **self.credentials}
        async with self.session.post(self.url, json=body, headers=headers) as response:
            yield response

    async def response(self, query: str, variables: Json, accept: str = ACCEPT_JSON) -> Json:
        """Send a query or mutation and return the response as it is.

        Raises:
            Failed: The response is not JSON, or did not arrive.
        """
        sent = {"query": _name(query), "variables": variables}
        try:
            async with asyncio.timeout(self.seconds), self.request(query, variables, accept) as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Failed(f"No response: {reason(error)}.", sent=sent) from error
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise Failed("The response is not a JSON object.", sent=sent, received=text)
        return cast("Json", document)

    async def ask(self, query: str, **variables: Any) -> Json:
        """Send a query or mutation and return `data`.

        Raises:
            Failed: The response contains errors.
        """
        result = await self.response(query, variables)
        if result.get("errors") or not isinstance(result.get("data"), dict):
            sent = {"query": _name(query), "variables": variables}
            raise Failed("The operation failed.", sent=sent, received=result)
        data: Json = result["data"]
        return data

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[aiohttp.ClientWebSocketResponse]:
        """Open a socket, without the handshake of its subprotocol."""
        address = self.url.replace("http", "ws", 1)
        try:
            async with asyncio.timeout(self.seconds):
                socket = await self.session.ws_connect(address, protocols=(SUBPROTOCOL,), max_msg_size=0)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Failed(f"The socket was not opened: {reason(error)}.", sent=address) from error
        try:
            yield socket
        finally:
            await socket.close()

    @asynccontextmanager
    async def socket(self) -> AsyncGenerator["Socket"]:
        """Open a socket and complete its handshake."""
        async with self.connection() as connection:
            socket = Socket(connection, self.seconds)
            await socket.send({"type": "connection_init", "payload": self.credentials})
            answer = await socket.receive()
            if answer is None or answer.get("type") != "connection_ack":
                received = answer or f"the close code {connection.close_code}"
                raise Failed(
                    "The server did not acknowledge the connection.", sent="connection_init", received=received
                )
            reading = asyncio.create_task(socket.distribute())
            try:
                yield socket
            finally:
                reading.cancel()

    async def sse(self, query: str, variables: Json) -> AsyncGenerator[Json]:
        """Subscribe over server-sent events and yield each result until the event `complete`."""
        async with self.request(query, variables, ACCEPT_SSE) as response:
            await _require(response, ACCEPT_SSE)
            event, data = "", ""
            while line := await self._line(response):
                name, _, value = line.rstrip(b"\r\n").decode().partition(":")
                value = value.removeprefix(" ")
                if name == "event":
                    event = value
                elif name == "data":
                    data = f"{data}\n{value}" if data else value
                elif not name and not value:
                    if event == "complete":
                        return
                    if event == "next":
                        yield json.loads(data)
                    event, data = "", ""
            raise Failed("The stream ended without the event `complete`.", sent=variables)

    async def multipart(self, query: str, variables: Json) -> AsyncGenerator[Json]:
        """Subscribe over multipart and yield each result until the last boundary."""
        async with self.request(query, variables, ACCEPT_MULTIPART) as response:
            await _require(response, "multipart/mixed")
            while line := await self._line(response):
                text = line.strip()
                if text.startswith(b"{") and (payload := json.loads(text).get("payload")):
                    yield payload
                elif text.startswith(b"--") and text.endswith(b"--"):
                    return
            raise Failed("The stream ended without its last boundary.", sent=variables)

    async def _line(self, response: aiohttp.ClientResponse) -> bytes:
        async with asyncio.timeout(self.seconds):
            return await response.content.readline()


class Socket:
    """A socket that carries any number of operations at the same time."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse, seconds: float) -> None:
        self.connection, self._seconds = connection, seconds
        self._operations: dict[str, asyncio.Queue[Json | None]] = {}
        self._closed = False

    async def send(self, message: Json) -> None:
        """Send a message."""
        await self.connection.send_str(json.dumps(message))

    async def receive(self) -> Json | None:
        """Return the next message that is not a ping, or None if the socket was closed."""
        while True:
            async with asyncio.timeout(self._seconds):
                frame = await self.connection.receive()
            if frame.type is not aiohttp.WSMsgType.TEXT:
                return None
            message: Json = json.loads(frame.data)
            if message.get("type") != "ping":
                return message
            await self.send({"type": "pong"})

    async def distribute(self) -> None:
        """Pass each message to its operation until the socket is closed."""
        try:
            while (message := await self.receive()) is not None:
                queue = self._operations.get(str(message.get("id")))
                if queue is not None:
                    queue.put_nowait(message)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
            pass
        finally:
            self._closed = True
            for queue in self._operations.values():
                queue.put_nowait(None)

    async def subscribe(self, query: str, variables: Json) -> AsyncGenerator[Json]:
        """Start an operation and yield each result until `complete`.

        Raises:
            Failed: An `error`, a timeout, or the end of the socket.
        """
        id = str(len(self._operations) + 1)
        queue = self._operations[id] = asyncio.Queue()
        if self._closed:
            queue.put_nowait(None)
        else:
            await self.send({"id": id, "type": "subscribe", "payload": {"query": query, "variables": variables}})
        while True:
            try:
                async with asyncio.timeout(self._seconds):
                    message = await queue.get()
            except TimeoutError as error:
                raise Failed(f"Nothing arrived within {self._seconds:g} seconds.", sent=variables) from error
            match message:
                case {"type": "next", "payload": payload}:
                    yield payload
                case {"type": "complete"}:
                    return
                case None:
                    code = self.connection.close_code
                    raise Failed(f"The socket was closed with {code} before `complete`.", sent=variables)
                case _:
                    raise Failed("The operation failed.", sent=variables, received=message)

    def abort(self) -> None:
        """Close the connection without saying so, as a lost network does."""
        transport = self.connection.get_extra_info("socket")
        if transport is not None:
            transport.shutdown(2)


async def _require(response: aiohttp.ClientResponse, content_type: str) -> None:
    if response.status != HTTPStatus.OK or response.content_type != content_type:
        received = f"{response.status} {response.headers.get('content-type')}\n{await response.text()}"
        raise Failed(f"The response is not {content_type}.", sent=f"accept: {content_type}", received=received)


def _name(query: str) -> str:
    """Return the beginning of an operation, which says what it does."""
    return " ".join(query.split())[:80]
