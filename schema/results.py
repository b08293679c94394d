"""Results as the JSON that is sent."""

import json
from collections.abc import Sequence
from typing import Any

import orjson
from graphql import GraphQLError


def encode_json(data: object) -> bytes:
    """Write JSON; the standard library takes what orjson does not, such as half a surrogate pair."""
    try:
        return orjson.dumps(data)
    except TypeError:
        return json.dumps(data, separators=(",", ":")).encode()


def response(data: Any, errors: Sequence[GraphQLError] | None) -> dict[str, Any]:
    """Give a response's entries, as the GraphQL specification's section 7.1 has them."""
    body: dict[str, Any] = {"errors": [error.formatted for error in errors]} if errors else {}
    # An error with no path is of the whole request, so that nothing was executed: there is no `data` entry.
    if data is None and all(error.path is None for error in errors or ()):
        return body
    return {**body, "data": data}
