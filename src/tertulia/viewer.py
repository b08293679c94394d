"""The authenticated caller, as applications see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Viewer:
    """The authenticated caller.

    Attributes:
        id: The user's id, 1 to 255 characters. It must never change, because conversations belong to it.
        name: The user's name, for people.
        claims: Other data of the application about the user. It is not stored.
    """

    id: str
    name: str
    claims: Mapping[str, Any] = field(default_factory=dict[str, Any])
