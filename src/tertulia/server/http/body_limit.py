"""A limit for the bodies of requests that FastAPI parses."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from tertulia.server.http.problems import problem


class _TooLarge(HTTPException):
    """The body is larger than the limit. FastAPI passes on only exceptions of this class."""


def limited_route(max_bytes: int) -> type[APIRoute]:
    """Return a class of routes that respond with 413 to a body of more than `max_bytes`, and do not read it whole."""

    class LimitedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def handle_limited(request: Request) -> Response:
                received = 0

                async def receive() -> Message:
                    nonlocal received
                    message = await request.receive()
                    received += len(message.get("body") or b"")
                    if received > max_bytes:
                        raise _TooLarge(413)
                    return message

                try:
                    return await handle(Request(request.scope, receive))
                except _TooLarge:
                    return problem(413, "PAYLOAD_TOO_LARGE", f"The body must be at most {max_bytes:,} bytes.")

            return handle_limited

    return LimitedRoute
