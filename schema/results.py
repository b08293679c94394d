"""The JSON form of GraphQL responses."""

from collections.abc import Sequence
from typing import Any

from graphql import GraphQLError


def response(data: Any, errors: Sequence[GraphQLError] | None) -> dict[str, Any]:
    """Return the entries of a response (GraphQL specification, section 7.1)."""
    body: dict[str, Any] = {"errors": [error.formatted for error in errors]} if errors else {}
    # Errors without a path concern the whole request. Nothing was executed, so there is no `data` entry.
    if data is None and all(error.path is None for error in errors or ()):
        return body
    return {**body, "data": data}
