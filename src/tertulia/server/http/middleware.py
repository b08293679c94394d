"""Middleware: security headers on every response, and refusal of host names that are not local.

Sources: OWASP's "HTTP Headers" and "REST Security" cheat sheets; draft-ietf-httpapi-ratelimit-headers for RateLimit.
"""

import ipaddress
import math
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit
from uuid import UUID

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tertulia.ratelimit.limits import Limits
from tertulia.server.http.problems import problem

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # For responses other than pages; pages have their own policy.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
REQUEST_ID = "X-Request-ID"
"""The id of a request, from the client, a proxy or this server; log lines and the response contain it."""
OVER_TLS = {"Strict-Transport-Security": "max-age=31536000"}
PRIVATE = "no-store"
VIEWER_KEY = "viewer_with_limits"
TEST_CLIENT = "testserver"
"""The default host of Starlette's test client."""


class SecureHeaders:
    """Adds headers that a response does not set itself."""

    def __init__(self, app: ASGIApp, leaving: Callable[[], bool]) -> None:
        """Wrap an application. `leaving` returns whether the process is about to stop."""
        self._app = app
        self._leaving = leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, and add the headers to its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (ALWAYS | (OVER_TLS if scope["scheme"] == "https" else {})).items():
                    headers.setdefault(name, value)
                if "etag" not in headers:
                    headers.setdefault("Cache-Control", PRIVATE)
                headers.update(await _rates(scope))
                if self._leaving():
                    # A proxy could send a request on a keep-alive connection just as the server closes it, and lose it.
                    headers["Connection"] = "close"
            await send(message)

        await self._app(scope, receive, add)


class LoopbackHosts:
    """Refuses host names that are not local, because the user of the mode `local` needs no token.

    Otherwise any site could resolve its own name to this machine (DNS rebinding), and read the data as its own origin.
    """

    def __init__(self, app: ASGIApp, allowed_origins: Sequence[str]) -> None:
        """Accept also the hosts of `allowed_origins`."""
        self._app = app
        self._allowed_hosts = {urlsplit(origin).hostname for origin in allowed_origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the connection, or refuse it."""
        if scope["type"] in ("http", "websocket"):
            host = urlsplit("//" + Headers(scope=scope).get("host", "localhost")).hostname or ""
            if not (
                is_loopback(host) or host == TEST_CLIENT or host.endswith(".localhost") or host in self._allowed_hosts
            ):
                await self._refuse(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "Forbidden host"})
            return
        message = "`Host` must be a name of this machine in the mode `local`, or a host in TERTULIA_CORS_ORIGINS."
        await problem(403, "FORBIDDEN_HOST", message)(scope, receive, send)


def note_viewer(scope: Scope, limits: Limits, viewer_id: UUID) -> None:
    """Make the response to a request report the viewer's rate limits."""
    scope.setdefault("state", {})[VIEWER_KEY] = (limits, viewer_id)


async def _rates(scope: Scope) -> dict[str, str]:
    limits_and_viewer: tuple[Limits, UUID] | None = scope.get("state", {}).get(VIEWER_KEY)
    windows = [] if limits_and_viewer is None else await limits_and_viewer[0].windows(limits_and_viewer[1])
    if not windows:
        return {}
    return {
        "RateLimit-Policy": ", ".join(
            f'"{window.rate.name}";q={window.rate.amount};w={window.rate.seconds}' for window in windows
        ),
        "RateLimit": ", ".join(
            f'"{window.rate.name}";r={window.remaining};t={math.ceil(window.resets_in)}' for window in windows
        ),
    }


def route_path(scope: Scope) -> str:
    """Return the path of a request below the prefix under which the application is mounted."""
    root: str = scope.get("root_path", "").rstrip("/")
    path: str = scope["path"]
    return path.removeprefix(root) if path == root or path.startswith(f"{root}/") else path


def is_loopback(host: str) -> bool:
    """Return whether a host is `localhost`, or an address that only this machine reaches."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
