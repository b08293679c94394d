"""The parsing, validation and execution of GraphQL documents."""

import threading
from asyncio import get_running_loop
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from inspect import isawaitable
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    parse,
)
from graphql.language import ExecutableDefinitionNode
from graphql.validation import (
    ExecutableDefinitionsRule,
    NoSchemaIntrospectionCustomRule,
    recommended_rules,
    specified_rules,
    validate,
)
from opentelemetry import trace
from strawberry.types import ExecutionResult

from tertulia.claude.tracing import QUIET, tracer
from tertulia.db.read_limit import ReadLimitExceeded, read_limit
from tertulia.resolvers.context import Context
from tertulia.schema import query_fast_path
from tertulia.schema.failures import internal_error, show_error
from tertulia.schema.fallbacks import record_fallback
from tertulia.schema.graphql_internals import StrawberrySchema
from tertulia.schema.selections import Plans
from tertulia.schema.shape import shape_problem
from tertulia.schema.subscription_fast_path import Operation, OperationFailed, Templates

BAD_USER_INPUT = "BAD_USER_INPUT"
LONGEST_DOCUMENT = 400_000
"""Characters. Parsing more would take longer than the rest of a request. Long texts belong in variables."""
CACHED_CHARACTERS = 1_000_000
"""The most characters of all cached documents together. A parsed document takes about 100 times as much memory."""
LONGEST_CACHED = 20_000
"""Characters. A longer document is parsed and validated for each request."""
MODEL_FIELDS = "model"
"""A part of the name of every field that returns Claude's models."""
MAX_TOKENS = 5_000
"""Lexical tokens of one document."""
MAX_ERRORS = 20
"""The number of errors after which validation stops."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A parsed document, its validation errors, the templates of its subscriptions, and the plans of its queries."""

    document: DocumentNode
    errors: list[GraphQLError]
    names_models: bool = False
    templates: Templates = field(default_factory=Templates)
    costs: dict[str | None, int] = field(default_factory=dict[str | None, int])
    """The costs of operations, by name, that do not depend on variables."""
    plans: Plans = field(default_factory=Plans)


class Schema(StrawberrySchema):
    """Strawberry's schema with a cache of prepared documents."""

    own_query_fields: frozenset[str] = frozenset()
    """The fields of `Query` that the application has added. graphql-core executes documents that select one of them."""

    @cached_property
    def _documents(self) -> "_Documents":
        return _Documents()

    async def prepare(self, query: str, *, closed: bool = False) -> Prepared:
        """Parse and validate a document in a thread, or return it from the cache.

        Args:
            query: The text of the document.
            closed: Whether to refuse introspection, and not to suggest names of the schema in errors.

        Raises:
            GraphQLError: The document is too long (QUERY_TOO_COMPLEX) or has a syntax error (GRAPHQL_PARSE_FAILED).
        """
        prepared = self._documents.get(query, closed=closed)
        if prepared is None:
            prepare = get_running_loop().run_in_executor
            prepared = await prepare(_worker, self._documents.prepare, self.core, query, closed)
        return prepared

    async def answer(
        self, prepared: Prepared, variables: Mapping[str, Any] | None, name: str | None, context: object
    ) -> ExecutionResult:
        """Execute a query or a mutation of a valid document. Errors of the result are safe to show to clients."""
        operation = find_operation(prepared.document, name)
        with _traced(operation) as span:
            try:
                with read_limit():
                    result = await self._execute(prepared, variables, name, context, operation)
            except ReadLimitExceeded as exceeded:
                result = ExecutionResult(None, [show_error(GraphQLError("", original_error=exceeded))])
            except OperationFailed as failed:
                result = ExecutionResult(None, failed.errors)
            if result.errors:
                codes = [(error.extensions or {}).get("code", "BAD_USER_INPUT") for error in result.errors]
                span.set_attribute("tertulia.error.codes", codes)
            return result

    async def _execute(
        self,
        prepared: Prepared,
        variables: Mapping[str, Any] | None,
        name: str | None,
        context: object,
        definition: OperationDefinitionNode,
    ) -> ExecutionResult:
        if definition.operation is not OperationType.QUERY or not isinstance(context, Context):
            return await self._execute_with_core(self.operation(prepared, variables, name, context), definition)
        if prepared.names_models:
            # Models may have to be fetched from Claude's API. No database connection is held meanwhile.
            await context.services.models.load()
        if self.own_query_fields.isdisjoint(root_fields(prepared.document)):
            async with context.read_snapshot() as snapshot:
                executor = self.operation(prepared, variables, name, snapshot).executor()
                try:
                    data, faults = await query_fast_path.execute(executor, prepared.plans)
                    return ExecutionResult(
                        data, [_root_field_error(key, error) for key, error in faults.items()] or None
                    )
                except query_fast_path.FALLBACK_ERRORS as error:
                    # The reads can be repeated, because they have no side effects. They need another snapshot: a
                    # transaction accepts no more statements after one has failed.
                    record_fallback(error)
        async with context.read_snapshot() as snapshot:
            return await self._execute_with_core(self.operation(prepared, variables, name, snapshot), definition)

    async def _execute_with_core(self, operation: Operation, definition: OperationDefinitionNode) -> ExecutionResult:
        """Execute an operation with graphql-core."""
        execution: Any = operation.executor().execute_operation()
        result: Any = await execution if isawaitable(execution) else execution
        errors: list[GraphQLError] = result.errors or []
        if definition.operation is OperationType.QUERY:
            for error in errors:
                if isinstance(error.original_error, ReadLimitExceeded):
                    raise error.original_error
        return ExecutionResult(result.data, [show_error(error) for error in errors] or None)

    def operation(
        self, prepared: Prepared, variables: Mapping[str, Any] | None, name: str | None, context: object
    ) -> Operation:
        """Return an operation of a valid document, to be executed or subscribed to."""
        executor_class = self.execution_context_class
        values = None if variables is None else dict(variables)
        return Operation(self.core, executor_class, prepared.document, prepared.templates, name, values, context)

    def process_errors(self, errors: list[GraphQLError], execution_context: object = None) -> None:
        """Do nothing. Strawberry would log every error here, but `schema.failures` logs internal errors only."""


class _Documents:
    """A cache of the most recently used documents, by their text. One thread prepares them, one after the other."""

    def __init__(self) -> None:
        self._cache: OrderedDict[tuple[str, bool], Prepared] = OrderedDict()
        self._characters = 0
        self._lock = threading.Lock()

    def get(self, query: str, *, closed: bool) -> Prepared | None:
        with self._lock:
            prepared = self._cache.get((query, closed))
            if prepared is not None:
                self._cache.move_to_end((query, closed))
            return prepared

    def prepare(self, schema: GraphQLSchema, query: str, closed: bool) -> Prepared:  # noqa: FBT001 - for an executor
        cached = self.get(query, closed=closed)  # another request may have prepared it meanwhile
        if cached is not None:
            return cached
        prepared = _prepare(schema, query, closed=closed)
        if len(query) <= LONGEST_CACHED:
            with self._lock:
                self._cache[query, closed] = prepared
                self._characters += len(query)
                while self._characters > CACHED_CHARACTERS:
                    (oldest, _), _ = self._cache.popitem(last=False)
                    self._characters -= len(oldest)
        return prepared


_worker = ThreadPoolExecutor(1, thread_name_prefix="documents")


def find_operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """Return the operation that a request selects (GraphQL specification, GetOperation); raise GraphQLError."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if not operations:
        raise bad_request("`query` must contain an operation.")
    if name is None and len(operations) > 1:
        raise bad_request("`operationName` must name one of the operations of the document, which has several.")
    for operation in operations:
        if name is None or (operation.name and operation.name.value == name):
            return operation
    raise bad_request(f"`operationName` must name an operation of the document, which has no {(name or '')[:100]!r}.")


def root_fields(document: DocumentNode) -> Iterator[str]:
    """Yield the names of the fields that operations, and fragments on `Query`, select at the root."""
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode) or (
            isinstance(node, FragmentDefinitionNode) and node.type_condition.name.value == "Query"
        ):
            yield from selected_fields(node.selection_set)


def selected_fields(selected: SelectionSetNode) -> Iterator[str]:
    """Yield the names of the fields that an operation selects at the root, without those of fragments by name."""
    for node in selected.selections:
        if isinstance(node, FieldNode):
            yield node.name.value
        elif isinstance(node, InlineFragmentNode):
            yield from selected_fields(node.selection_set)


def bad_request(message: str) -> GraphQLError:
    """Return the error of a malformed request."""
    return GraphQLError(message, extensions={"code": BAD_USER_INPUT})


def is_subscription(operation: OperationDefinitionNode) -> bool:
    """Return whether an operation is a subscription."""
    return operation.operation is OperationType.SUBSCRIPTION


def _root_field_error(key: str, error: Exception) -> GraphQLError:
    masked = internal_error(error)
    return GraphQLError(masked.message, path=[key], extensions=masked.extensions)


def _traced(operation: OperationDefinitionNode) -> AbstractContextManager[trace.Span]:
    """Open the span of an operation (OpenTelemetry, "Semantic conventions for GraphQL server").

    It does not contain the text of the document.
    """
    kind, name = operation.operation.value, operation.name.value if operation.name else None
    attributes = {"graphql.operation.type": kind} | ({"graphql.operation.name": name} if name else {})
    return tracer.start_as_current_span(f"{kind} {name}" if name else kind, attributes=attributes, **QUIET)


def _prepare(schema: GraphQLSchema, query: str, *, closed: bool) -> Prepared:
    if len(query) > LONGEST_DOCUMENT:
        raise too_complex(
            f"The document is too long: at most {LONGEST_DOCUMENT:,} characters are allowed. Put long texts into "
            "variables."
        )
    try:
        document = parse(query, max_lexical_tokens=MAX_TOKENS)
    except GraphQLError as syntax_error:
        syntax_error.extensions = {"code": "GRAPHQL_PARSE_FAILED"}
        raise
    except RecursionError:
        raise GraphQLError("The document is nested too deeply.", extensions={"code": "GRAPHQL_PARSE_FAILED"}) from None
    problem = shape_problem(document)
    if problem is not None:
        # The document is not validated, because that would take longer than parsing.
        return Prepared(document, [too_complex(problem)])
    rules = [*specified_rules, *recommended_rules, *([NoSchemaIntrospectionCustomRule] if closed else [])]
    if not all(isinstance(node, ExecutableDefinitionNode) for node in document.definitions):
        # The other rules report nothing useful for a document with type definitions.
        rules = [ExecutableDefinitionsRule]
    errors = validate(schema, document, rules, MAX_ERRORS, hide_suggestions=closed)
    for error in errors:
        error.extensions = {**(error.extensions or {}), "code": "GRAPHQL_VALIDATION_FAILED"}
    return Prepared(document, errors, MODEL_FIELDS in query)


def too_complex(message: str) -> GraphQLError:
    """Return the error of a document or an operation that exceeds a limit."""
    return GraphQLError(message, extensions={"code": "QUERY_TOO_COMPLEX"})
