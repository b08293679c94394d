"""The HTTP transport of the SDK: a thin adapter of aiohttp's client to httpx's interface.

The SDK's own aiohttp transport reads a body through five generators for each token. This one also provides the body
itself, as the response's extension BODY, and can pause reading it. HTTP, TLS, encodings and connection reuse are
aiohttp's.
"""

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from io import BytesIO
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2

BODY = "tertulia.body"
UNDONE = (b"content-encoding", b"content-length", b"transfer-encoding")
"""Headers that no longer apply to the body that aiohttp returns."""
LARGE = 256 * 1024
"""The size in bytes from which a request is written in pieces."""


class Body(httpx2.AsyncByteStream):
    """The body of a response while it is received; raises httpx's exceptions."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        """Initialize with a response whose headers are received."""
        self._response = response

    async def read(self) -> bytes:
        """Return all bytes that are received but not read, waiting for at least one; empty at the end."""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _translated(error) from error

    async def pause_reading(self, seconds: float) -> None:
        """Pause reading: bytes that arrive meanwhile stay in the kernel's buffer, and then need one read."""
        connection = self._response.connection
        transport = connection.transport if connection is not None else None
        if transport is not None:
            transport.pause_reading()
            try:
                await asyncio.sleep(seconds)
            finally:
                transport.resume_reading()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield pieces up to the end."""
        while piece := await self.read():
            yield piece

    async def aclose(self) -> None:
        """Reuse the connection if the body was read to its end, or else close it."""
        self._response.release()


class Transport(httpx2.AsyncBaseTransport):
    """A transport with one aiohttp session, which is opened by the first request."""

    def __init__(self) -> None:
        """Initialize without a session."""
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request, and return the response when its headers are received."""
        session = self._session = self._session or _session(request.url)
        data = await request.aread()
        with _translating():
            response = await session.request(
                request.method,
                str(request.url),
                headers=request.headers.multi_items(),
                # aiohttp writes a file in pieces, and does not block the event loop in between.
                data=BytesIO(data) if len(data) > LARGE else data or None,
                allow_redirects=False,
                timeout=_timeout(request),
            )
        headers = [(name, value) for name, value in response.raw_headers if name.lower() not in UNDONE]
        body = Body(response)
        return httpx2.Response(response.status, headers=headers, stream=body, extensions={BODY: body})

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()


def _session(url: httpx2.URL) -> aiohttp.ClientSession:
    # No limit: the number of concurrent answers is limited elsewhere. The proxy is read from the environment once:
    # aiohttp would read it, and ~/.netrc, for each request.
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
