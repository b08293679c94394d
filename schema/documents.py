"""Documents: parsed and validated once, whoever sends them, and the operation that a request means."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import strawberry
from graphql import DocumentNode, GraphQLError, GraphQLSchema, OperationDefinitionNode, OperationType, parse
from graphql.validation import NoSchemaIntrospectionCustomRule, recommended_rules, specified_rules, validate
from opentelemetry import trace
from strawberry.extensions import SchemaExtension
from strawberry.schema.base import BaseSchema
from strawberry.types import ExecutionContext, ExecutionResult

from claude.spans import QUIET, tracer
from resolvers.context import Context
from schema import levels
from schema.live import Operation, Templates
from schema.shape import shape_problem

BAD_USER_INPUT = "BAD_USER_INPUT"
CACHED_DOCUMENTS = 256
LONGEST_CACHED = 20_000
"""Characters; a longer document is parsed each time, so that the cache stays small."""
OF_MODELS = "model"
"""In the name of each field that tells of Claude's models."""
MAX_TOKENS = 5_000
MAX_ERRORS = 20
"""After which validation gives up."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document, what validation found in it, and what was made of it since."""

    document: DocumentNode
    errors: list[GraphQLError]
    templates: Templates = field(default_factory=Templates)


class Schema(strawberry.Schema):
    """Strawberry's schema, for which a document is prepared once."""

    execution_context_class: Any  # its declared type is unknown in part

    @property
    def core(self) -> GraphQLSchema:
        """The schema as graphql-core knows it."""
        return self._schema

    def prepare(self, query: str, *, closed: bool = False) -> Prepared:
        """Parse and validate; raise GraphQLError with the code GRAPHQL_PARSE_FAILED where it is no GraphQL.

        `closed`: without introspection, and without errors that tell what there is.
        """
        prepare = _cached if len(query) <= LONGEST_CACHED else _prepare
        return prepare(self._schema, query, closed)

    async def answer(
        self, query: str, variables: dict[str, Any] | None, name: str | None, context: object
    ) -> ExecutionResult:
        """Execute a query or a mutation, whose document may be wrong; give errors as a client may see them."""
        prepared = self.prepare(query)
        if prepared.errors:
            return await self.execute(query, variables, context, operation_name=name)
        meant = find_operation(prepared.document, name)
        with _traced(meant) as span:
            if meant.operation is OperationType.QUERY and isinstance(context, Context):
                result = await self._read(query, variables, name, context)
            else:
                result = await self.execute(query, variables, context, operation_name=name)
            if result.errors:
                codes = [(error.extensions or {}).get("code", "BAD_USER_INPUT") for error in result.errors]
                span.set_attribute("tertulia.error.codes", codes)
            return result

    async def _read(
        self, query: str, variables: dict[str, Any] | None, name: str | None, context: Context
    ) -> ExecutionResult:
        if OF_MODELS in query:
            # They may have to be asked of Claude, and nobody holds a connection to the database meanwhile.
            await context.models.load()
        # Reading has no effects, so that it can be begun again where there is anything to tell: at another moment, as a
        # transaction in which a statement failed says no more.
        with suppress(Exception):
            async with context.at_one_moment() as seen:
                executor = self.operation(query, variables, name, seen).executor()
                return ExecutionResult(await levels.execute(executor), errors=None)
        async with context.at_one_moment() as seen:
            return await self.execute(query, variables, seen, operation_name=name)

    def operation(self, query: str, variables: dict[str, Any] | None, name: str | None, context: object) -> Operation:
        """Make an operation, whose document is valid, ready to be executed or followed."""
        prepared = self.prepare(query)
        executor_class = self.execution_context_class
        document, templates = prepared.document, prepared.templates
        return Operation(self._schema, executor_class, document, templates, name, variables, context)

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Log nothing here: `schema.failures` knows whose fault an error is."""


def ours(schema: BaseSchema) -> Schema:
    """Give a schema of ours, where Strawberry only says that it is one."""
    if not isinstance(schema, Schema):
        raise TypeError("not a schema of ours")
    return schema


def find_operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """Give the operation that a request means (GraphQL specification, GetOperation), or raise GraphQLError."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if not operations:
        raise bad_request("query: the document holds no operation.")
    if name is None and len(operations) > 1:
        raise bad_request("operationName: the document holds several operations; say which one.")
    for operation in operations:
        if name is None or (operation.name and operation.name.value == name):
            return operation
    raise bad_request(f"operationName: the document holds no operation {name[:100]!r}." if name else "operationName")


def bad_request(message: str) -> GraphQLError:
    """Make the error of a request that cannot be understood."""
    return GraphQLError(message, extensions={"code": BAD_USER_INPUT})


class Documents(SchemaExtension):
    """Gives Strawberry what `prepare` already knows, so that nothing is parsed or validated twice."""

    def on_operation(self) -> Iterator[None]:
        """Hand over the parsed document; a document that is none fails where Strawberry parses it."""
        context = self.execution_context
        if context.query:
            with suppress(GraphQLError):
                context.graphql_document = ours(context.schema).prepare(context.query).document
        yield

    def on_validate(self) -> Iterator[None]:
        """Hand over what validation found."""
        context = self.execution_context
        if context.query:
            context.pre_execution_errors = ours(context.schema).prepare(context.query).errors
        yield


def _traced(operation: OperationDefinitionNode) -> AbstractContextManager[trace.Span]:
    """Open the span of an operation (OpenTelemetry, "Semantic conventions for GraphQL server"), without its text."""
    kind, name = operation.operation.value, operation.name.value if operation.name else None
    attributes = {"graphql.operation.type": kind} | ({"graphql.operation.name": name} if name else {})
    return tracer.start_as_current_span(f"{kind} {name}" if name else kind, attributes=attributes, **QUIET)


def is_subscription(operation: OperationDefinitionNode) -> bool:
    """Say whether an operation is followed rather than answered."""
    return operation.operation is OperationType.SUBSCRIPTION


def _prepare(schema: GraphQLSchema, query: str, closed: bool) -> Prepared:  # noqa: FBT001 - a cache knows places alone
    try:
        document = parse(query, max_lexical_tokens=MAX_TOKENS)
    except GraphQLError as syntax_error:
        syntax_error.extensions = {"code": "GRAPHQL_PARSE_FAILED"}
        raise
    except RecursionError:
        raise GraphQLError("The document is nested too deeply.", extensions={"code": "GRAPHQL_PARSE_FAILED"}) from None
    problem = shape_problem(document)
    if problem is not None:
        # Not validated: rules take longer than reading does.
        return Prepared(document, [GraphQLError(problem, extensions={"code": "QUERY_TOO_COMPLEX"})])
    rules = [*specified_rules, *recommended_rules, *([NoSchemaIntrospectionCustomRule] if closed else [])]
    errors = validate(schema, document, rules, MAX_ERRORS, hide_suggestions=closed)
    for error in errors:
        error.extensions = {**(error.extensions or {}), "code": "GRAPHQL_VALIDATION_FAILED"}
    return Prepared(document, errors)


_cached = lru_cache(maxsize=CACHED_DOCUMENTS)(_prepare)
