"""Parse GraphQL requests: the body or the query string, and the types of the parameters."""

from dataclasses import dataclass
from typing import Any, cast

from graphql import GraphQLError
from starlette.datastructures import Headers
from starlette.requests import Request

from tertulia.json import loads
from tertulia.schema.documents import BAD_USER_INPUT

MAX_BODY = 2_000_000
"""Bytes of a request's body."""
JSON_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """The validated parameters of a request."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None


class RequestRefused(Exception):
    """A request that is not executed: the status, error and headers of its response."""

    def __init__(self, status: int, message: str, *, code: str = BAD_USER_INPUT, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = GraphQLError(message, extensions={"code": code})
        self.headers = headers


def check_request(parameters: object) -> dict[str, Any]:
    """Return the parameters of a request; raise RequestRefused if one has a wrong type."""
    if isinstance(parameters, list):
        raise RequestRefused(400, "Batches are not supported: send one operation per request.")
    if not isinstance(parameters, dict):
        raise RequestRefused(400, "The body must be a JSON object with `query`.")
    fields = cast("dict[str, Any]", parameters)
    variables, name = fields.get("variables"), fields.get("operationName")
    if not isinstance(variables, dict | None):
        raise RequestRefused(400, "`variables` must be an object.")
    if not isinstance(name, str | None):
        raise RequestRefused(400, "`operationName` must be a string.")
    if not isinstance(fields.get("extensions"), dict | None):
        raise RequestRefused(400, "`extensions` must be an object.")
    return fields


def query_parameters(request: Request) -> dict[str, object]:
    """Return the parameters of a GET request; raise RequestRefused if one is not valid JSON."""
    parameters: dict[str, object] = {**request.query_params}
    for name in ("variables", "extensions"):
        if parameters.get(name):
            parameters[name] = decoded(name, request.query_params[name])
        else:
            parameters.pop(name, None)
    return parameters


def check_content_type(headers: Headers) -> None:
    """Raise RequestRefused for a content type that an HTML form on another site could send."""
    # CSRF: no HTML form can send this type, so browsers send a preflight for a page of another site.
    content_type, _, parameters = headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if content_type.strip().lower() != JSON_TYPE or (charset and charset not in ("utf-8", "utf8")):
        raise RequestRefused(415, f"`Content-Type` must be {JSON_TYPE}, in UTF-8.", Accept=JSON_TYPE)


async def read_body(request: Request) -> bytes:
    """Return the body; raise RequestRefused if it is longer than `MAX_BODY`."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise RequestRefused(413, f"The body must be at most {MAX_BODY:,} bytes.")
    return bytes(body)


def decoded(name: str, text: bytes | str) -> object:
    """Return parsed JSON; raise RequestRefused with a message that begins with `name`."""
    try:
        return loads(text)
    except ValueError as error:
        raise RequestRefused(400, f"{name} is not valid JSON: {error}.") from None
