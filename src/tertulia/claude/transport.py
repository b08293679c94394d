"""The HTTP transport of the SDK: a thin adapter from httpx's interface to aiohttp's client.

The SDK's aiohttp transport reads each token through five generators. This transport provides the body itself, as the
response's extension BODY, which delivers bytes when they arrive and can be paused. aiohttp handles HTTP, TLS, encodings
and connection reuse.
"""

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from io import BytesIO
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2
from yarl import URL

from tertulia.claude.receiver import Receiver, Take

BODY = "tertulia.body"
DECODED_HEADERS = (b"content-encoding", b"content-length", b"transfer-encoding")
"""Headers that do not apply to the body, because aiohttp has decoded it."""
LARGE = 256 * 1024
"""The size in bytes above which a request is written in pieces."""


class Body(httpx2.AsyncByteStream):
    """The body of a response while it is received. Its methods raise httpx's exceptions."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        """Initialize with a response whose headers have been received."""
        self._response = response
        self._resuming: asyncio.TimerHandle | None = None

    async def read(self) -> bytes:
        """Wait for data, and return all bytes that have been received and not read. Empty at the end of the body."""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _translated(error) from error
        except RuntimeError as error:
            # aiohttp has closed the connection, because what followed the bytes that were read is not valid HTTP.
            raise httpx2.ReadError("The response is not valid HTTP.") from error

    async def receive(self, take: Take) -> bool:
        """Call `take` with each piece of the body in the turn of the event loop in which it arrives.

        Args:
            take: Processes a piece without waiting, and returns whether it accepts the next one. Its exceptions are
                raised here.

        Returns:
            True as soon as `take` returns False; the following pieces are buffered until the next call. False at the
            end of the body.
        """
        connection = self._response.connection
        if connection is None or connection.transport is None or connection.protocol is None:
            # The whole body has been received, or the connection is lost.
            return await self.receive_by_reading(take)
        receiver = Receiver(connection.transport, connection.protocol, self._response, take, _translated)
        return await receiver.receive()

    async def receive_by_reading(self, take: Take) -> bool:
        """Do the same as `receive`, but wake the task for each piece."""
        while data := await self.read():
            if not take(data):
                return True
        return False

    def pause(self, seconds: float) -> None:
        """Pause receiving. Bytes that arrive meanwhile stay in the kernel's buffer, and are then read at once."""
        connection = self._response.connection
        transport = connection.transport if connection is not None else None
        if transport is not None and self._resuming is None and transport.is_reading():
            transport.pause_reading()
            self._resuming = asyncio.get_running_loop().call_later(seconds, self._resume, transport)

    def _resume(self, transport: asyncio.Transport) -> None:
        self._resuming = None
        if not transport.is_closing():
            transport.resume_reading()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces of the body."""
        while piece := await self.read():
            yield piece

    async def aclose(self) -> None:
        """Release the connection for reuse if the body was read to its end, or else close it."""
        if self._resuming is not None:
            self._resuming.cancel()
            if (connection := self._response.connection) is not None and connection.transport is not None:
                self._resume(connection.transport)
        self._response.release()


class Client(httpx2.AsyncClient):
    """A client whose requests have exactly the headers that the SDK sets, which saves merging them with its own."""

    def build_request(self, method: str, url: httpx2.URL | str, **options: Any) -> httpx2.Request:
        """Build a request."""
        given = {name: value for name, value in options.items() if value is not None}
        if given.keys() != {"content", "headers", "timeout"} or not isinstance(given["timeout"], httpx2.Timeout):
            return super().build_request(method, url, **options)
        extensions = {"timeout": given["timeout"].as_dict()}
        return httpx2.Request(method, url, headers=given["headers"], content=given["content"], extensions=extensions)


class Transport(httpx2.AsyncBaseTransport):
    """A transport with one aiohttp session, which the first request opens."""

    def __init__(self) -> None:
        """Initialize without a session."""
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request, and return the response when its headers have arrived."""
        session = self._session = self._session or _session(request.url)
        data = await request.aread()
        with _translating():
            response = await session.request(
                request.method,
                # Encoded, because a signature covers the path as it is.
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                # aiohttp writes a file in pieces, and the event loop runs in between.
                data=BytesIO(data) if len(data) > LARGE else data or None,
                allow_redirects=False,
                timeout=_timeout(request),
            )
        headers = [(name, value) for name, value in response.raw_headers if name.lower() not in DECODED_HEADERS]
        body = Body(response)
        return httpx2.Response(response.status, headers=headers, stream=body, extensions={BODY: body})

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()


def _session(url: httpx2.URL) -> aiohttp.ClientSession:
    # Connections are not limited here, because the number of concurrent answers is limited elsewhere. The proxy is read
    # from the environment once, because aiohttp would read it, and ~/.netrc, for each request.
    proxy = None if proxy_bypass(url.host) else getproxies().get(url.scheme)
    connector = aiohttp.TCPConnector(limit=0, ssl=httpx2.create_ssl_context())
    cookies = aiohttp.DummyCookieJar()
    return aiohttp.ClientSession(connector=connector, cookie_jar=cookies, proxy=proxy)


def _timeout(request: httpx2.Request) -> aiohttp.ClientTimeout:
    timeouts = request.extensions.get("timeout", {})
    return aiohttp.ClientTimeout(total=None, sock_connect=timeouts.get("connect"), sock_read=timeouts.get("read"))


@contextmanager
def _translating() -> Generator[None]:
    try:
        yield
    except (aiohttp.ClientError, TimeoutError) as error:
        raise _translated(error) from error


def _translated(error: Exception) -> httpx2.TransportError:
    match error:
        case aiohttp.ConnectionTimeoutError():
            return httpx2.ConnectTimeout(str(error))
        case TimeoutError():
            return httpx2.ReadTimeout(str(error))
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return httpx2.ProxyError(str(error))
        case aiohttp.ClientConnectorError():
            return httpx2.ConnectError(str(error))
        case aiohttp.InvalidURL():
            return httpx2.UnsupportedProtocol(str(error))
        case _:
            return httpx2.ReadError(str(error))
