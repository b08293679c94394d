"""Reading the small forms of sign-in: `application/x-www-form-urlencoded`, as OAuth has it, or a JSON object."""

from typing import Any, cast
from urllib.parse import parse_qsl

from starlette.requests import Request

from tertulia.json import loads

MOST = 16_384
"""Bytes."""


class BadForm(Exception):
    """A form that cannot be read; the message says why."""


def described(*names: str, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """Give what a route says of its form in OpenAPI."""
    properties = {name: {"type": "string"} for name in names}
    shape = {"schema": {"type": "object", "properties": properties, "required": list(required or names)}}
    media = {"application/x-www-form-urlencoded": shape, "application/json": shape}
    return {"requestBody": {"required": True, "content": media}}


async def fields(request: Request) -> dict[str, str]:
    """Give the fields of a form; raise BadForm. A field that stands twice is refused (RFC 6749, section 3.2)."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST:
            raise BadForm(f"A form has at most {MOST:,} bytes.")
    if media_type == "application/json":
        return _json(bytes(body))
    if media_type == "application/x-www-form-urlencoded":
        return _form(bytes(body))
    raise BadForm("Content-Type: takes application/x-www-form-urlencoded or application/json.")


def _json(body: bytes) -> dict[str, str]:
    try:
        given: object = loads(body)
    except ValueError:
        raise BadForm("The body is not valid JSON.") from None
    if not isinstance(given, dict):
        raise BadForm("The body must be a JSON object.")
    found: dict[str, str] = {}
    for name, value in cast("dict[str, object]", given).items():
        if not isinstance(value, str):
            raise BadForm(f"{name[:100]}: must be a text.")
        found[name] = value
    return found


def _form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=20, errors="strict")
    except ValueError:
        raise BadForm("The body is not a form in UTF-8.") from None
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadForm("A field stands twice.")
    return found
