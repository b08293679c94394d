"""Refuse compressed request bodies: decompression would need limits, and no client needs to compress."""

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tertulia.server.http.middleware import route_path
from tertulia.server.http.problems import envelope

GRAPHQL = "/graphql"
IDENTITY = "identity"
MAX_QUOTED = 60
"""Characters of the header that the error message quotes."""


class PlainBodies:
    """Responds with 415 to a request with a Content-Encoding (RFC 9110, section 15.5.16)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or refuse it."""
        encoding = Headers(scope=scope).get("content-encoding", "") if scope["type"] == "http" else ""
        if encoding.strip().lower() in ("", IDENTITY):
            await self._app(scope, receive, send)
            return
        message = f"`Content-Encoding` must not be {encoding[:MAX_QUOTED]!r}: send the body uncompressed."
        body = envelope("UNSUPPORTED_MEDIA_TYPE", message)
        if route_path(scope) == GRAPHQL:
            body = {"errors": [{"message": message, "extensions": {"code": "BAD_USER_INPUT"}}]}
        await JSONResponse(body, 415, {"Accept-Encoding": IDENTITY})(scope, receive, send)
