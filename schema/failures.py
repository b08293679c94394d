"""Errors of a whole request: each gets its code; a fault of ours gets a trace id and no detail."""

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
    """Return how many errors were shown as INTERNAL_SERVER_ERROR in this process, over all transports."""
    return _counts[CODE]


def show_error(error: GraphQLError) -> GraphQLError:
    """Give an error its code; hide what it says where it is a fault of ours, and log that whole."""
    original = error.original_error
    if error.extensions and "code" in error.extensions:
        return error
    if isinstance(original, GraphQLError) or original is None:
        return _coded(error, error.message, {"code": "BAD_USER_INPUT"})
    if isinstance(original, ReadLimitExceeded):
        return _coded(error, str(original), {"code": "QUERY_TOO_COMPLEX"})
    if isinstance(original, EXPECTED_ERRORS):
        return _coded(error, str(original), {"code": "BAD_USER_INPUT"})
    if is_storage_full(original):
        return storage_error(error, original)
    return _hidden(error, original)


def storage_error(error: GraphQLError, original: BaseException) -> GraphQLError:
    """Log that nothing can be stored, and return the error that a client sees."""
    logger.error("Nothing can be stored: %s", str(getattr(original, "orig", original)).partition("\n")[0])
    return _coded(error, MESSAGE, {"code": STORAGE_FULL})


def internal_error(error: BaseException) -> GraphQLError:
    """Log a fault of ours, and make the error that a client sees."""
    return _hidden(GraphQLError(""), error)


def _hidden(error: GraphQLError, original: BaseException) -> GraphQLError:
    _counts[CODE] += 1
    found_by = trace_id()
    logger.error("Internal error, trace id %s", found_by, exc_info=original)
    return _coded(error, "Internal server error.", {"code": CODE, "traceId": found_by})


def _coded(error: GraphQLError, message: str, extensions: dict[str, str]) -> GraphQLError:
    return GraphQLError(message, nodes=error.nodes, path=error.path, extensions={**extensions})
