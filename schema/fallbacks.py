"""Queries that graphql-core executes, because the fast path cannot: their reasons, and how many there were."""

import logging
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

logger = logging.getLogger("tertulia.graphql")


class FallbackReason(StrEnum):
    """Why graphql-core executed a query instead."""

    INTROSPECTION = "introspection"
    CLIENT_ERROR = "client_error"
    """An error that graphql-core reports with its location in the document."""
    NULL = "null"
    """A non-null field had no value, or a leaf could not be serialized."""
    NOT_A_LIST = "not_a_list"
    UNKNOWN_TYPE = "unknown_type"
    """No type of the schema matches a value."""


EXPECTED_REASONS = (FallbackReason.INTROSPECTION, FallbackReason.CLIENT_ERROR)
"""Reasons that clients cause. Any other is a bug of the server. It only makes queries slower, so it must be logged."""


class FallBack(Exception):
    """Raised when graphql-core must execute the query instead."""

    def __init__(self, reason: FallbackReason, field: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.reason = reason


_fallbacks = Counter[FallbackReason](dict.fromkeys(FallbackReason, 0))


def fallbacks() -> Mapping[FallbackReason, int]:
    """Return the number of queries that graphql-core executed instead, in this process and by reason."""
    return _fallbacks


def record_fallback(error: Exception) -> None:
    """Count a fallback; log it unless a client caused it."""
    reason = error.reason if isinstance(error, FallBack) else FallbackReason.CLIENT_ERROR
    _fallbacks[reason] += 1
    if reason not in EXPECTED_REASONS:
        logger.warning(
            "The query fast path failed, so graphql-core executes the query, which is slower. Please report this: %s",
            error,
        )
