"""Errors for clients: each has a code, and internal errors have a trace id instead of details."""

import logging
from collections import Counter

from graphql import GraphQLError

from tertulia.claude.tracing import trace_id
from tertulia.db.read_limit import ReadLimitExceeded
from tertulia.resolvers.errors import EXPECTED_ERRORS
from tertulia.storage import CODE as STORAGE_FULL
from tertulia.storage import MESSAGE, is_storage_full

logger = logging.getLogger("tertulia.graphql")
CODE = "INTERNAL_SERVER_ERROR"
_counts = Counter[str]()


def internal_errors() -> int:
    """Return the number of errors shown as INTERNAL_SERVER_ERROR in this process, over all transports."""
    return _counts[CODE]


def show_error(error: GraphQLError) -> GraphQLError:
    """Return an error for clients, with its code. An internal error is logged, and its message is hidden."""
    original = error.original_error
    if error.extensions and "code" in error.extensions:
        return error
    if isinstance(original, GraphQLError) or original is None:
        return _with_code(error, error.message, {"code": "BAD_USER_INPUT"})
    if isinstance(original, ReadLimitExceeded):
        return _with_code(error, str(original), {"code": "QUERY_TOO_COMPLEX"})
    if isinstance(original, EXPECTED_ERRORS):
        return _with_code(error, str(original), {"code": "BAD_USER_INPUT"})
    if is_storage_full(original):
        return storage_error(error, original)
    return _masked(error, original)


def storage_error(error: GraphQLError, original: BaseException) -> GraphQLError:
    """Log that the storage is full, and return the error for the client."""
    reason = str(getattr(original, "orig", original)).partition("\n")[0]
    logger.error("Nothing can be stored. Free space on the disk, or make it writable. Cause: %s", reason)
    return _with_code(error, MESSAGE, {"code": STORAGE_FULL})


def internal_error(error: BaseException) -> GraphQLError:
    """Log an internal error, and return the error for the client."""
    return _masked(GraphQLError(""), error)


def _masked(error: GraphQLError, original: BaseException) -> GraphQLError:
    _counts[CODE] += 1
    id = trace_id()
    logger.error("Internal error, trace id %s", id, exc_info=original)
    return _with_code(error, "Internal server error.", {"code": CODE, "traceId": id})


def _with_code(error: GraphQLError, message: str, extensions: dict[str, str]) -> GraphQLError:
    return GraphQLError(message, nodes=error.nodes, path=error.path, extensions={**extensions})
