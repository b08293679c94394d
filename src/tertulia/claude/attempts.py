"""Record and log the failed requests to Claude's API, and the responses that break off.

The messages of the API are not logged, because they may quote users. They are stored with the answer.
"""

import logging
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tertulia.claude.errors import (
    RATE_LIMIT,
    SERVER_ERRORS,
    ErrorCode,
    StreamError,
    describe,
    request_id_of,
    retry_after,
)
from tertulia.log_lines import log_fields

if TYPE_CHECKING:
    import anthropic
    import httpx2

FAILURES = 400
"""The lowest HTTP status that is a failure."""
FAILED = "A request to Claude failed"
MAX_RETRY_AFTER = 10.0
"""The longest Retry-After after which a request is retried, in seconds. The SDK has no limit."""

logger = logging.getLogger("tertulia.claude")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A failed request to the Messages API, or a part of a response in which `model` has refused."""

    request_id: str | None = None
    usage: Mapping[str, int] = field(default_factory=dict[str, int])
    model: str | None = None


_attempts: ContextVar[list[Attempt] | None] = ContextVar("attempts", default=None)


@contextmanager
def faults_logged(response: "httpx2.Response") -> Generator[None]:
    """Log a fault of Claude's in a response that has begun. The API's message may quote users, and is not logged."""
    import httpx2

    try:
        yield
    except (StreamError, httpx2.HTTPError, OSError) as failure:
        error = describe(failure, request_id_of(response))
        if error.code is not ErrorCode.BUDGET_EXCEEDED:
            log_fields(
                logger,
                logging.WARNING,
                "Claude's response broke off",
                code=error.code.value,
                api_code=error.api_code,
                claude_request_id=error.request_id,
            )
        raise


def record_attempts(failed: list[Attempt] | None) -> None:
    """Add the failed attempts of this task's requests to a list from now on."""
    _attempts.set(failed)


def forget_attempts() -> None:
    """Stop recording the failed attempts of this task, for requests that are not part of an answer."""
    _attempts.set(None)


async def watch_attempts(request: "anthropic.APIRequest", call_next: Any) -> Any:
    """Record each failed attempt, and prevent retries if the API requires a wait longer than MAX_RETRY_AFTER."""
    failed, begun_at = _attempts.get(), time.monotonic()
    try:
        response = await call_next(request)
    except Exception as error:
        if failed is not None:
            failed.append(Attempt())
        seconds = round(time.monotonic() - begun_at, 3)
        log_fields(logger, logging.WARNING, FAILED, error=type(error).__name__, seconds=seconds)
        raise
    status = response.status_code
    if failed is not None and status >= FAILURES:
        failed.append(Attempt(request_id_of(response)))
    if status >= FAILURES:
        # A 404 of a file or a model, for example, is an answer that was asked for.
        is_fault = failed is not None or status == RATE_LIMIT or status >= SERVER_ERRORS
        log_fields(
            logger,
            logging.WARNING if is_fault else logging.DEBUG,
            FAILED,
            status=status,
            claude_request_id=request_id_of(response),
            seconds=round(time.monotonic() - begun_at, 3),
        )
    wait = retry_after(response.headers.get("retry-after"))
    if wait is not None and wait > MAX_RETRY_AFTER:
        response.headers["x-should-retry"] = "false"
    return response
