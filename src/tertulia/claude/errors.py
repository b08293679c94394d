"""The errors of requests to Claude, by the Messages API's names.

Source of the names: the "Errors" page of the Claude API documentation. The SDK's exceptions have them as `.type`.
"""

import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tertulia.json import clean_text, is_list, is_object, loads
from tertulia.storage import MESSAGE, is_storage_full

if TYPE_CHECKING:
    import anthropic
    import httpx2

MASK = "[the API key]"
SECRET_LENGTH = 16
"""The length from which a key is masked wherever it occurs. A shorter key is masked only where it is a word."""
WORD_LENGTH = 8
"""The length of the shortest key that is masked."""


API_CODE = r"[a-z0-9_]{1,64}"
"""The form of the API's error codes."""
SPENT_CODES = (
    "contract_spend_limit_reached",
    "enforced_spend_limit_reached",
    "linked_organization_billing_unavailable",
    "linked_organization_spend_limit_reached",
    "organization_on_hold",
)
"""The error codes of an account that cannot pay. Some have the status 429, but waiting for seconds does not help."""
LONGEST_MESSAGE, LONGEST_REQUEST_ID = 2000, 128
"""The maximum lengths in characters that are stored and shown."""


REQUEST_IDS = ("request-id", "x-amzn-requestid", "apim-request-id")
"""The headers with the id of a request: Anthropic's, Amazon's, and Azure's."""
SECRETS = ("x-api-key", "authorization", "x-amz-security-token")
"""The headers of a request with credentials."""
_OF_WORDS = re.compile(r"""message['"]?: ?['"]+(?:messages|system|tools|output_config|metadata)\b""")


class ErrorCode(StrEnum):
    """Why a generation failed."""

    AUTHENTICATION = "authentication_error"
    PERMISSION = "permission_error"
    BILLING = "billing_error"
    INVALID_REQUEST = "invalid_request_error"
    NOT_FOUND = "not_found_error"
    REQUEST_TOO_LARGE = "request_too_large"
    RATE_LIMITED = "rate_limit_error"
    OVERLOADED = "overloaded_error"
    API_ERROR = "api_error"
    TIMEOUT = "timeout_error"
    CONNECTION = "connection_error"
    INTERRUPTED = "interrupted"
    REFUSED = "refused"
    BUDGET_EXCEEDED = "budget_exceeded"


_BY_STATUS = {
    400: ErrorCode.INVALID_REQUEST,
    401: ErrorCode.AUTHENTICATION,
    402: ErrorCode.BILLING,
    403: ErrorCode.PERMISSION,
    404: ErrorCode.NOT_FOUND,
    408: ErrorCode.TIMEOUT,
    413: ErrorCode.REQUEST_TOO_LARGE,
    429: ErrorCode.RATE_LIMITED,
    504: ErrorCode.TIMEOUT,
    529: ErrorCode.OVERLOADED,
}
_RETRYABLE = {
    ErrorCode.RATE_LIMITED,
    ErrorCode.OVERLOADED,
    ErrorCode.API_ERROR,
    ErrorCode.TIMEOUT,
    ErrorCode.CONNECTION,
    ErrorCode.INTERRUPTED,
}


@dataclass(frozen=True, slots=True)
class GenerationError:
    """Why a generation failed, as stored with the generation and shown to clients."""

    code: ErrorCode
    message: str
    request_id: str | None = None
    retry_after_seconds: float | None = None
    api_code: str | None = None
    """The API's own `error_code`, which is finer than `code`; None if it has sent none."""

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return self.code in _RETRYABLE

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "GenerationError":
        """Create an error from its stored form."""
        optional = {name: stored.get(name) for name in ("request_id", "retry_after_seconds", "api_code")}
        return cls(ErrorCode(stored["code"]), stored["message"], **optional)


INTERRUPTED = GenerationError(ErrorCode.INTERRUPTED, "The server that wrote this answer was stopped or lost.")
REFUSED = GenerationError(ErrorCode.REFUSED, "Claude refused to answer, or to continue.")
"""Only the reason of a continuation: an answer that ends with a refusal has not failed."""
UNSAVED = GenerationError(ErrorCode.API_ERROR, "The answer could not be saved completely.")
NOT_RESUMED = GenerationError(ErrorCode.API_ERROR, "The answer could not be continued.")
UNREADABLE = "Claude's API sent a response that could not be read."
"""The message of API_ERROR for data that violates the protocol."""


class StreamError(Exception):
    """Claude's stream contained an `error` event, or violated the protocol."""

    def __init__(self, error: GenerationError) -> None:
        """Initialize with the error that clients see."""
        super().__init__(error.message)
        self.error = error


class BrokenStream(StreamError):
    """The stream broke in the middle of a response, so the answer can be continued with another request."""


_BREAKING = {ErrorCode.OVERLOADED, ErrorCode.API_ERROR, ErrorCode.TIMEOUT}
"""The codes of `error` events after which another request may succeed. Others repeat what the API refuses."""
RATE_LIMIT = 429
SERVER_ERRORS = 500
"""The lowest HTTP status that is a fault of the API and not of the request."""


def interruption_by(error: Exception, request_id: str | None) -> GenerationError | None:
    """Return the error of a response that broke; None for a failure after which the answer must not be continued."""
    import anthropic
    import httpx2

    broken = (BrokenStream, anthropic.APIConnectionError, httpx2.TransportError, ConnectionError, TimeoutError)
    is_fault_of_api = isinstance(error, anthropic.APIStatusError) and error.status_code >= SERVER_ERRORS
    return describe(error, request_id) if isinstance(error, broken) or is_fault_of_api else None


def unavailability_by(error: Exception) -> GenerationError | None:
    """Return the error of a provider that did not accept a request, although another one may; None otherwise."""
    import anthropic

    is_unavailable = isinstance(error, anthropic.APIConnectionError) or (
        isinstance(error, anthropic.APIStatusError) and error.status_code in (RATE_LIMIT, *range(SERVER_ERRORS, 600))
    )
    return describe(error) if is_unavailable else None


def request_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that a request to Claude can raise, including those of the transport and the parser.

    This is a function and not a constant, because the SDK takes a second to import.
    """
    import anthropic
    import httpx2

    return (StreamError, anthropic.AnthropicError, httpx2.HTTPError, ValueError, TimeoutError, OSError)


def from_error_event(data: bytes, response: "httpx2.Response") -> StreamError:
    """Return the exception for an `error` event of a stream."""
    request_id = request_id_of(response)
    try:
        body = loads(data)["error"]
        code, message = _code(body["type"], None), _message(body["message"], response.request)
        details: object = body.get("details")
        api_code = str(details.get("error_code")) if is_object(details) else ""
    except (ValueError, KeyError, TypeError, AttributeError):
        code, message, api_code = ErrorCode.API_ERROR, "Claude's API reported an error during the answer.", ""
    error = GenerationError(code, message, request_id, None, api_code if re.fullmatch(API_CODE, api_code) else None)
    return (BrokenStream if code in _BREAKING else StreamError)(error)


def describe(error: BaseException, request_id: str | None = None) -> GenerationError:
    """Return the typed error for an exception that a request to Claude raised."""
    if is_storage_full(error):
        return GenerationError(ErrorCode.INTERRUPTED, MESSAGE, request_id)
    import anthropic
    import httpx2

    match error:
        case StreamError():
            return error.error
        case anthropic.APIStatusError():
            return _from_status(error)
        case anthropic.APITimeoutError() | httpx2.TimeoutException() | TimeoutError():
            return GenerationError(ErrorCode.TIMEOUT, "Claude's API did not respond in time.", request_id)
        case anthropic.APIConnectionError() | httpx2.TransportError() | OSError():
            return GenerationError(ErrorCode.CONNECTION, "The connection to Claude was lost.", request_id)
        case _:
            return GenerationError(ErrorCode.API_ERROR, UNREADABLE, request_id)


def _from_status(error: "anthropic.APIStatusError") -> GenerationError:
    reason = _reason_in(error.body)
    if reason is not None:
        message = _message(reason, error.request)
    else:
        # The body may be the HTML page of a proxy, for example, whose text must not be shown.
        message = f"Claude's API responded with status {error.status_code}."
    api_code = error.error_code if re.fullmatch(API_CODE, error.error_code or "") else None
    return GenerationError(
        ErrorCode.BILLING if api_code in SPENT_CODES else _code(error.type, error.status_code),
        message,
        request_id_of(error.response),
        retry_after(error.response.headers.get("retry-after")),
        api_code,
    )


def _reason_in(body: Any) -> str | None:
    """Return the message in the body of an error; None if there is none.

    Amazon Bedrock writes `{"message": …}`, and Vertex AI may write its error as the item of a list.
    """
    if is_list(body) and body:
        body = body[0]
    if not is_object(body):
        return None
    details: Any = body.get("error")
    reason = details.get("message") if is_object(details) else body.get("message") or body.get("Message")
    return reason if isinstance(reason, str) and reason else None


def quotes_users(error_text: str) -> bool:
    """Return whether an error is about what users wrote. It can quote them, so it says nothing about the API itself."""
    return _OF_WORDS.search(error_text) is not None


def request_id_of(response: "httpx2.Response") -> str | None:
    """Return the request id in the response's headers, truncated to LONGEST_REQUEST_ID."""
    request_id = next(filter(None, map(response.headers.get, REQUEST_IDS)), None)
    return None if request_id is None else request_id[:LONGEST_REQUEST_ID]


def _message(message: object, request: "httpx2.Request") -> str:
    return without_key(str(message), request)[:LONGEST_MESSAGE]


def without_key(message: str, request: "httpx2.Request") -> str:
    """Return the API's message about a request, cleaned and without the API key, which some gateways quote.

    A key shorter than WORD_LENGTH is not masked, because it is a placeholder for servers that accept any key.
    """
    message = clean_text(message)
    for header in SECRETS:
        key = request.headers.get(header, "").removeprefix("Bearer ").strip()
        if len(key) >= SECRET_LENGTH:
            message = message.replace(key, MASK)
        elif len(key) >= WORD_LENGTH:
            message = re.sub(rf"(?<!\w){re.escape(key)}(?!\w)", MASK, message)
    return message


def retry_after(header: str | None) -> float | None:
    """Return the seconds of a Retry-After header; None for dates and invalid values."""
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _code(error_type: str | None, status: int | None) -> ErrorCode:
    try:
        return ErrorCode(error_type or "")
    except ValueError:
        return _BY_STATUS.get(status or 0, ErrorCode.API_ERROR)
