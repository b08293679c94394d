"""Errors of a whole request: each gets its code; a fault of ours gets a trace id and no detail."""

import logging

from graphql import GraphQLError
from strawberry.extensions import MaskErrors

from claude.spans import trace_id
from db.paging import PageError
from resolvers.errors import ExpectedError

logger = logging.getLogger("tertulia.graphql")


class Failures(MaskErrors):
    """Shows errors as the contract's list of `extensions.code` has them."""

    def _process_errors(self, errors: list[GraphQLError]) -> list[GraphQLError]:
        return [show_error(error) for error in errors]


def show_error(error: GraphQLError) -> GraphQLError:
    """Give an error its code; hide what it says where it is a fault of ours, and log that whole."""
    original = error.original_error
    if error.extensions and "code" in error.extensions:
        return error
    if isinstance(original, GraphQLError) or original is None:
        return _coded(error, error.message, {"code": "BAD_USER_INPUT"})
    if isinstance(original, (ExpectedError, PageError)):
        return _coded(error, str(original), {"code": "BAD_USER_INPUT"})
    return _hidden(error, original)


def internal_error(error: BaseException) -> GraphQLError:
    """Log a fault of ours, and make the error that a client sees."""
    return _hidden(GraphQLError(""), error)


def _hidden(error: GraphQLError, original: BaseException) -> GraphQLError:
    found_by = trace_id()
    logger.error("Internal error, trace id %s", found_by, exc_info=original)
    return _coded(error, "Internal server error.", {"code": "INTERNAL_SERVER_ERROR", "traceId": found_by})


def _coded(error: GraphQLError, message: str, extensions: dict[str, str]) -> GraphQLError:
    return GraphQLError(message, nodes=error.nodes, path=error.path, extensions={**extensions})
