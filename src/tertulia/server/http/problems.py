"""The responses to failed requests on all routes except GraphQL's: one JSON envelope, with a code for clients."""

import math
from typing import Any

from starlette.responses import JSONResponse

from tertulia.ratelimit.errors import RateLimited
from tertulia.server.auth.providers import Unauthenticated

TRY_AGAIN = {"Retry-After": "5"}
"""The headers of a 503 whose cause lasts for an unknown time."""


def envelope(code: str, message: str, *, source: str = "tertulia", **details: Any) -> dict[str, Any]:
    """Return the body of an error.

    Args:
        code: The code of the error, in uppercase.
        message: The error, and the values that would be accepted.
        source: Where the error comes from: `tertulia` or `claude`.
        details: Further fields of the error.
    """
    return {"error": {"source": source, "code": code, "message": message, **details}}


def problem(
    status: int, code: str, message: str, headers: dict[str, str] | None = None, **details: Any
) -> JSONResponse:
    """Return the response to a failed request."""
    return JSONResponse(envelope(code, message, **details), status, headers)


def too_many_requests(error: RateLimited) -> JSONResponse:
    """Return the response to a request that exceeds a limit (RFC 6585, section 4)."""
    return problem(429, "RATE_LIMITED", error.message, retry_after(error))


def retry_after(error: RateLimited) -> dict[str, str]:
    """Return the header with the whole seconds until the limit allows the next request."""
    return {"Retry-After": str(math.ceil(error.retry_after_seconds))}


def challenge(error: Unauthenticated) -> dict[str, str]:
    """Return the header of a 401 (RFC 6750, section 3)."""
    details = ', error="invalid_token"' if error.token_sent else ""
    return {"WWW-Authenticate": f'Bearer realm="tertulia"{details}'}
