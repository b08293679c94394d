"""Bounded HTTP requests to authorization servers. Their addresses come from metadata of MCP servers."""

import asyncio
import ipaddress
import socket
from urllib.parse import urlsplit

import httpx2

MAX_BYTES = 256 * 1024
"""The maximum size of a response."""
SECONDS = 10.0
"""The time limit of a request."""
KEPT_HEADERS = ("content-type", "www-authenticate")


class AuthorizationError(Exception):
    """An authorization failed. The message is for the operator and the user, and contains no secret."""


class GrantRefusedError(AuthorizationError):
    """The authorization server refused a grant, so the user must authorize again.

    Attributes:
        code: The error code of RFC 6749, section 5.2.
    """

    def __init__(self, code: str) -> None:
        super().__init__("The authorization server refused the grant.")
        self.code = code


def open_client() -> httpx2.AsyncClient:
    """Return a client that uses each connection for one request.

    Requests are rare, and servers close idle connections without warning, often after 5 seconds. A refresh that is sent
    at that moment would fail, and cannot be repeated: refresh tokens may work only once.
    """
    return httpx2.AsyncClient(timeout=SECONDS, limits=httpx2.Limits(max_keepalive_connections=0))


def is_loopback(host: str | None) -> bool:
    """Return whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


class AuthorizationHttp:
    """Sends requests to the addresses that the operator has configured, and to those that their metadata names.

    Addresses must have https, and must not be IP addresses of private networks. Otherwise, the metadata of a server
    could direct requests to other services of the operator (SSRF). Addresses of this machine are accepted if the
    configured one is of this machine too. Redirects are not followed.
    """

    def __init__(self, client: httpx2.AsyncClient, server_url: str) -> None:
        """Initialize for an MCP server with this address."""
        self._client = client
        self._origin = _origin(server_url)
        self._is_local = is_loopback(urlsplit(server_url).hostname)

    def check(self, url: str) -> str:
        """Return an address; raise AuthorizationError if no request to it is allowed."""
        if _origin(url) == self._origin:
            return url
        parts = urlsplit(url)
        if self._is_local and is_loopback(parts.hostname) and parts.scheme in ("http", "https"):
            return url
        if parts.scheme != "https" or not parts.hostname or parts.username or _is_private(parts.hostname):
            raise AuthorizationError("The metadata names an address that is not public, or has no https.")
        return url

    async def send(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request, and return its response, which has been read.

        Raises:
            AuthorizationError: There was no response in time, it is too large, or its address is not allowed.
        """
        self.check(str(request.url))
        try:
            async with asyncio.timeout(SECONDS):
                return await self._send(request)
        except (httpx2.HTTPError, TimeoutError):
            raise AuthorizationError(f"{request.url.host} cannot be reached.") from None

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._client.send(request, stream=True, follow_redirects=False)
        body = bytearray()
        try:
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MAX_BYTES:
                    raise AuthorizationError(f"{request.url.host} sent more than {MAX_BYTES:,} bytes.")
        finally:
            await response.aclose()
        headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        return httpx2.Response(response.status_code, headers=headers, content=bytes(body), request=request)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _is_private(host: str) -> bool:
    name = host.rstrip(".")
    try:
        # Resolvers also accept `2130706433` and `127.1`.
        return not ipaddress.ip_address(socket.inet_aton(name)).is_global
    except (OSError, ValueError):
        pass
    try:
        return not ipaddress.ip_address(name).is_global
    except ValueError:
        return name == "localhost" or name.endswith((".localhost", ".local", ".internal"))
