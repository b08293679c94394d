"""The responses to exceptions that a route does not handle itself."""

from collections.abc import Awaitable, Callable

from asgi_correlation_id import correlation_id
from fastapi.exceptions import RequestValidationError
from graphql import GraphQLError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from tertulia.db.errors import DATABASE_ERRORS
from tertulia.ratelimit.errors import RateLimited
from tertulia.schema.failures import internal_error, storage_error
from tertulia.server.auth.providers import Unauthenticated, Unavailable
from tertulia.server.http.middleware import ALWAYS, REQUEST_ID
from tertulia.server.http.problems import TRY_AGAIN, challenge, problem, too_many_requests
from tertulia.storage import CODE, MESSAGE, is_storage_full


async def _invalid(_request: Request, error: Exception) -> Response:
    """Respond to an invalid request as FastAPI does, but without the input, which JSON may be unable to represent."""
    if not isinstance(error, RequestValidationError):
        raise error
    details = [{name: detail[name] for name in ("loc", "msg", "type")} for detail in error.errors()]
    return JSONResponse({"detail": details}, 422)


async def _unauthenticated(_request: Request, error: Exception) -> Response:
    if not isinstance(error, Unauthenticated):
        raise error
    return problem(401, "UNAUTHENTICATED", error.message, challenge(error))


async def _unavailable(_request: Request, error: Exception) -> Response:
    return problem(503, "UNAVAILABLE", str(error), TRY_AGAIN)


async def _rate_limited(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RateLimited):
        raise error
    return too_many_requests(error)


async def _disconnected(_request: Request, _error: Exception) -> Response:
    """Respond to a client that disconnected during its request, which is not an error of the server."""
    return Response(status_code=400)


async def _storage_failed(_request: Request, error: Exception) -> Response:
    """Respond to a request that failed because the disk is full; all other errors are left to `_failed`."""
    if not is_storage_full(error):
        raise error
    storage_error(GraphQLError(""), error)
    return problem(507, CODE, MESSAGE)


async def _failed(_request: Request, error: Exception) -> Response:
    """Respond to an unexpected error with a trace id and no detail."""
    internal = internal_error(error)
    # This handler runs outside of all middleware, and uvicorn then closes the connection.
    headers = ALWAYS | {REQUEST_ID: correlation_id.get() or "", "Connection": "close"}
    trace_id = (internal.extensions or {}).get("traceId")
    return problem(500, "INTERNAL_SERVER_ERROR", internal.message, headers, trace_id=trace_id)


ERROR_HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    Unauthenticated: _unauthenticated,
    RequestValidationError: _invalid,
    Unavailable: _unavailable,
    RateLimited: _rate_limited,
    ClientDisconnect: _disconnected,
    # The attachment store raises OSError, too.
    **dict.fromkeys(DATABASE_ERRORS, _storage_failed),
    Exception: _failed,
}
