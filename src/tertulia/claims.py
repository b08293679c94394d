"""Read the claims of tokens, and of viewers that `authenticate` returns."""

from collections.abc import Mapping
from typing import Any, cast

OVERAGE = "_claim_names"
"""The claim that names the claims which are not in the token (OpenID Connect Core 1.0, section 5.6.2). Entra ID uses it
for the groups of users with more than 200."""


def claim_values(claims: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """Return the texts of a claim: its text, or those in its list. Values of other types are left out.

    Args:
        claims: The claims of a token.
        path: The name of a claim, such as `groups` or `https://example.com/groups`; or the names that lead to a nested
            claim, separated by dots, such as `resource_access.tertulia.roles`. The names may contain dots themselves.
    """
    value = _claim(claims, path)
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple | set | frozenset):
        return ()
    return tuple(item for item in cast("list[Any]", value) if isinstance(item, str))


def is_left_out(claims: Mapping[str, Any], path: str) -> bool:
    """Return whether the provider left a claim out of the token because it has too many values."""
    names = claims.get(OVERAGE)
    return isinstance(names, Mapping) and path in names and path not in claims


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    if path in claims:
        return claims[path]
    for index, character in enumerate(path):
        nested = claims.get(path[:index]) if character == "." else None
        if isinstance(nested, Mapping):
            value = _claim(cast("Mapping[str, Any]", nested), path[index + 1 :])
            if value is not None:
                return value
    return None
