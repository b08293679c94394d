"""The facts about a request that the log and the metrics report, collected while it is served."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from starlette.types import Scope

from tertulia.json import Json

FACTS = "request_facts"
MAX_NAME = 64
"""The most characters of an operation's name in the log."""
MAX_CODES = 3
"""The most error codes of one request in the log."""
NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")
INVALID = "invalid"


@dataclass(slots=True)
class RequestFacts:
    """The facts about one request, or about one operation of a socket.

    Attributes:
        viewer_id: The id of the viewer's row; None if the client is not authenticated.
        operation: The name of the GraphQL operation, from the client, as `bounded_name` returns it.
        operation_type: `query`, `mutation` or `subscription`; None without a valid document.
        operation_label: The name in metrics, of which there are few (see `DocumentPolicy.label`).
        error_codes: The codes of the GraphQL errors.
    """

    viewer_id: UUID | None = None
    operation: str | None = None
    operation_type: str | None = None
    operation_label: str | None = None
    error_codes: Sequence[str] = ()

    def note_errors(self, errors: Sequence[Any]) -> None:
        """Note the different codes of errors in a response."""
        extensions: list[Json] = [error.get("extensions") or {} for error in errors]
        codes = [str(values.get("code", "BAD_USER_INPUT")) for values in extensions]
        self.error_codes = list(dict.fromkeys(codes))[:MAX_CODES]

    @property
    def joined_codes(self) -> str | None:
        """The codes for the log; None without errors."""
        return ",".join(self.error_codes) or None


def facts_of(scope: Scope) -> RequestFacts:
    """Return the facts about a request, which its scope keeps."""
    state: dict[str, Any] = scope.setdefault("state", {})
    facts: RequestFacts | None = state.get(FACTS)
    if facts is None:
        facts = state[FACTS] = RequestFacts()
    return facts


def bounded_name(name: str | None) -> str | None:
    """Return the name of an operation for the log: cut if it is long, and `invalid` if GraphQL does not allow it.

    Names are from clients, so a name that is a text must not reach the log.
    """
    if name is None:
        return None
    return name[:MAX_NAME] if NAME.fullmatch(name) else INVALID
