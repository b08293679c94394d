"""Results as the JSON that is sent."""

from collections.abc import Sequence
from typing import Any

from graphql import GraphQLError


def response(data: Any, errors: Sequence[GraphQLError] | None) -> dict[str, Any]:
    """Give a response's entries, as the GraphQL specification's section 7.1 has them."""
    body: dict[str, Any] = {"errors": [error.formatted for error in errors]} if errors else {}
    # An error with no path is of the whole request, so that nothing was executed: there is no `data` entry.
    if data is None and all(error.path is None for error in errors or ()):
        return body
    return {**body, "data": data}
