"""How the SDK's requests travel: aiohttp's client behind httpx's interface, as thin as both allow.

The SDK's own transport on aiohttp reads a body through five generators, for each token. This one also gives out the
body itself, as the response's extension BODY, and can let it rest. HTTP, TLS, encodings, kept connections: all
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
"""Headers of what aiohttp undoes."""
LARGE = 256 * 1024
"""Bytes of a request."""


class Body(httpx2.AsyncByteStream):
    """A response's body as it comes; raises httpx's exceptions."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        """Take a response whose head has come."""
        self._response = response

    async def read(self) -> bytes:
        """Give all that has come and was not read, waiting for at least a byte; empty at the end."""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _translated(error) from error

    async def rest(self, seconds: float) -> None:
        """Read nothing for a while: what comes meanwhile waits in the kernel, and then costs one read."""
        connection = self._response.connection
        transport = connection.transport if connection is not None else None
        if transport is not None:
            transport.pause_reading()
            try:
                await asyncio.sleep(seconds)
            finally:
                transport.resume_reading()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give pieces up to the end."""
        while piece := await self.read():
            yield piece

    async def aclose(self) -> None:
        """Keep the connection where the body was read to its end; cut it otherwise."""
        self._response.release()


class Transport(httpx2.AsyncBaseTransport):
    """One session of aiohttp's for one server, opened with the first request."""

    def __init__(self) -> None:
        """Open nothing yet."""
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request, and give its response when the head has come."""
        session = self._session = self._session or _session(request.url)
        data = await request.aread()
        with _translating():
            response = await session.request(
                request.method,
                str(request.url),
                headers=request.headers.multi_items(),
                # aiohttp writes a file in pieces, and gives way between them.
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
    # No limit: who may have how many answers at once is not decided here. The environment is asked for a proxy once:
    # aiohttp would ask it, and read ~/.netrc, with each request.
    proxy = None if proxy_bypass(url.host) else getproxies().get(url.scheme)
    connector = aiohttp.TCPConnector(limit=0, ssl=httpx2.create_ssl_context())
    cookies = aiohttp.DummyCookieJar()
    return aiohttp.ClientSession(connector=connector, cookie_jar=cookies, proxy=proxy)


def _timeout(request: httpx2.Request) -> aiohttp.ClientTimeout:
    given = request.extensions.get("timeout", {})
    return aiohttp.ClientTimeout(total=None, sock_connect=given.get("connect"), sock_read=given.get("read"))


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
