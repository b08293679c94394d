"""Parse the forms of sign-in: `application/x-www-form-urlencoded`, as in OAuth, or a JSON object."""

from typing import Any, cast
from urllib.parse import parse_qsl

from starlette.requests import Request

from tertulia.json import loads

MAX_BYTES = 16_384
"""Bytes of a form."""
MAX_FIELDS = 20
TOKEN_SCHEME, PASSWORD_SCHEME = "token", "password"
SIGNED_IN: dict[str, Any] = {"security": [{TOKEN_SCHEME: []}, {PASSWORD_SCHEME: []}]}
"""The description of a route that needs the token of an account, for OpenAPI."""


class BadForm(Exception):
    """A form that is not accepted. The message is shown to clients."""


def described(*names: str, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the description of a form for OpenAPI. All fields are required, unless `required` names some."""
    properties = {name: {"type": "string"} for name in names}
    shape = {"schema": {"type": "object", "properties": properties, "required": list(required or names)}}
    media = {"application/x-www-form-urlencoded": shape, "application/json": shape}
    return {"requestBody": {"required": True, "content": media}}


async def fields(request: Request) -> dict[str, str]:
    """Return the fields of a form; raise BadForm if it is invalid or repeats a field (RFC 6749, section 3.2)."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BYTES:
            raise BadForm(f"The form must be at most {MAX_BYTES:,} bytes.")
    if media_type == "application/json":
        return _json(bytes(body))
    if media_type == "application/x-www-form-urlencoded":
        return _form(bytes(body))
    raise BadForm("`Content-Type` must be application/x-www-form-urlencoded or application/json.")


def _json(body: bytes) -> dict[str, str]:
    try:
        document: object = loads(body)
    except ValueError:
        raise BadForm("The body must be valid JSON.") from None
    if not isinstance(document, dict):
        raise BadForm("The body must be a JSON object.")
    values: dict[str, str] = {}
    for name, value in cast("dict[str, object]", document).items():
        if not isinstance(value, str):
            raise BadForm(f"`{name[:100]}` must be a string.")
        values[name] = value
    return values


def _form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise BadForm(f"The body must be a form in UTF-8 with at most {MAX_FIELDS} fields.") from None
    values = dict(pairs)
    if len(values) < len(pairs):
        raise BadForm("The form must not contain a field twice.")
    return values
