"""The authenticated caller, as applications see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OPERATOR = "operator"
"""The role of viewers who may use GraphQL's `admin` and the console."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """The authenticated caller.

    Attributes:
        id: The user's id, 1 to 255 characters. It must never change, because conversations belong to it.
        name: The user's name, for people.
        claims: Other data of the application about the user. It is not stored.
        roles: The user's roles. `operator` lets the user manage the server: see docs/operators.md. It is not stored.
    """

    id: str
    name: str
    claims: Mapping[str, Any] = field(default_factory=dict[str, Any])
    roles: frozenset[str] = frozenset()
