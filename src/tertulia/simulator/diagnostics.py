"""The simulated Claude's explanation of cache misses: it compares a request with the one of an earlier response.

Source: "Cache diagnostics" in the Claude API documentation.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from tertulia.json import Json, is_list, is_object
from tertulia.simulator.cache import count_tokens

MAX_FINGERPRINTS = 10_000


@dataclass(frozen=True, slots=True)
class _Fingerprint:
    """The hashes of the parts of a request, and its tokens."""

    model: str
    system: str
    tools: str
    messages: tuple[str, ...]
    tokens: int


class Diagnoses:
    """The fingerprints of requests, by the ids of their responses."""

    def __init__(self) -> None:
        self._fingerprints: dict[str, _Fingerprint] = {}

    def explain(self, body: Json, response_id: str) -> Json | None:
        """Return the field `diagnostics` of a response, and remember its request; None if the request has no such."""
        diagnostics: Json | None = body.get("diagnostics")
        if diagnostics is None:
            return None
        current = _fingerprint(body)
        self._fingerprints[response_id] = current
        if len(self._fingerprints) > MAX_FINGERPRINTS:
            del self._fingerprints[next(iter(self._fingerprints))]
        previous_id = diagnostics.get("previous_message_id")
        return {"cache_miss_reason": None if previous_id is None else self._reason(current, previous_id)}

    def _reason(self, current: _Fingerprint, previous_id: str) -> Json | None:
        previous = self._fingerprints.get(previous_id)
        if previous is None:
            return {"type": "previous_message_not_found"}
        kind = None
        if previous.model != current.model:
            kind = "model_changed"
        elif previous.system != current.system:
            kind = "system_changed"
        elif previous.tools != current.tools:
            kind = "tools_changed"
        elif previous.messages != current.messages[: len(previous.messages)]:
            kind = "messages_changed"
        return None if kind is None else {"type": kind, "cache_missed_input_tokens": previous.tokens}


def _fingerprint(body: Json) -> _Fingerprint:
    return _Fingerprint(
        body["model"],
        _hash(body.get("system")),
        _hash(body.get("tools")),
        tuple(_hash(message) for message in body["messages"]),
        count_tokens(body),
    )


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(_bare(value), sort_keys=True).encode()).hexdigest()


def _bare(value: Any) -> Any:
    """Return a value without cache breakpoints."""
    if is_object(value):
        return {key: _bare(item) for key, item in value.items() if key != "cache_control"}
    return [_bare(item) for item in value] if is_list(value) else value
