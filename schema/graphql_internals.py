"""The private parts of Strawberry and graphql-core that Tertulia relies on. No other module may import such parts.

Both libraries may change them in any release, so `pyproject.toml` limits their versions. Each docstring here names the
parts that it relies on, and tests/test_graphql_internals.py reports those that a new version lacks.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import strawberry
from graphql import GraphQLField, GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema, pyutils
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetails, collect_fields, collect_subfields
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.schema.types.base_scalars import DateDefinition, DateTimeDefinition, DecimalDefinition
from strawberry.schema.types.scalar import DEFAULT_SCALAR_REGISTRY
from strawberry.types import Info
from strawberry.types.base import StrawberryObjectDefinition, get_object_definition
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.field import StrawberryField

__all__ = [
    "DEFAULT_SCALAR_REGISTRY",
    "DateDefinition",
    "DateTimeDefinition",
    "DecimalDefinition",
    "Selection",
    "StrawberryExecutor",
    "StrawberryObjectDefinition",
    "StrawberrySchema",
    "allows_origin",
    "declared_field",
    "declaring_module",
    "enum_definition",
    "field_name",
    "get_object_definition",
    "resolve_info",
    "resolver",
    "selected_fields",
]

Selection = list[FieldDetails]
"""The nodes that a selection has for one response key. Relies on `FieldDetails.node`."""

StrawberryExecutor = StrawberryGraphQLCoreExecutionContext
"""The executor of one operation of a Strawberry schema.

`schema.executor` overrides `complete_list_value`, `complete_awaitable_value` and `complete_leaf_value`, and relies on
their parameters. The fast paths rely on the attributes `schema`, `fragments`, `variable_values`, `operation` and
`root_value`.
"""


ResolveInfo = GraphQLResolveInfo[Any]


class StrawberrySchema(strawberry.Schema):
    """Strawberry's schema with access to that of graphql-core. Relies on `Schema._schema`."""

    execution_context_class: Any  # its declared type is partly unknown

    @property
    def core(self) -> GraphQLSchema:
        """The schema of graphql-core."""
        return self._schema


def selected_fields(
    executor: Executor[Any], type_: GraphQLObjectType, selection: Selection | None = None
) -> dict[str, Selection]:
    """Return the fields that a selection has on a type, by response key. Fragments and directives are applied.

    Relies on `collect_fields` and `collect_subfields` of `graphql.execution.collect_fields`, and on the
    `grouped_field_set` of their result.

    Args:
        executor: The executor of the operation.
        type_: The object type.
        selection: The field that contains the object; None for the root.
    """
    common = (executor.schema, executor.fragments, executor.variable_values)
    if selection is None:
        return collect_fields(*common, type_, executor.operation).grouped_field_set
    return collect_subfields(*common, executor.operation, type_, selection).grouped_field_set


def field_name(selection: Selection) -> str:
    """Return the name of a selected field in the schema."""
    return selection[0].node.name.value


def declared_field(field: GraphQLField) -> StrawberryField:
    """Return the Strawberry field of a field of graphql-core.

    Relies on `GraphQLCoreConverter.DEFINITION_BACKREF`; `schema.query_fast_path` relies on the field's
    `is_basic_field`, `python_name` and `extensions`.
    """
    declared: StrawberryField = field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
    return declared


def declaring_module(field: GraphQLField) -> str | None:
    """Return the module of the class that declares a field; None for a field of introspection.

    Relies on `StrawberryField.origin`.
    """
    declared: Any = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    return None if declared is None else str(declared.origin.__module__)


def resolve_info(
    executor: Any, field: GraphQLField, parent: GraphQLObjectType, key: str, selection: Selection
) -> ResolveInfo:
    """Return the info of a field that is resolved for many objects together. Its path has no index of a list.

    Relies on `Executor.build_resolve_info`.
    """
    nodes = [details.node for details in selection]
    info: ResolveInfo = executor.build_resolve_info(field, nodes, parent, pyutils.Path(None, key, parent.name))
    return info


def resolver(
    declared: StrawberryField, info: ResolveInfo, loaded_by: str
) -> Callable[[Sequence[Any]], list[Any] | Awaitable[list[Any]]]:
    """Return a function that resolves a field without arguments for a list of objects.

    Args:
        declared: The field.
        info: The info of the field.
        loaded_by: The attribute of resolvers whose values are loaded together.

    Relies on `StrawberryField.base_resolver`, on the resolver's `wrapped_func`, `info_parameter` and `root_parameter`,
    and on the parameters of `Info`.
    """
    field: Any = declared
    base = field.base_resolver
    function = base.wrapped_func
    loaded = getattr(function, loaded_by, None)
    if loaded is not None:
        return partial(loaded.load_many, info.context)
    if base.info_parameter:
        function = partial(function, info=Info(_raw_info=info, _field=declared))
    if base.root_parameter:
        return lambda sources: [function(root=source) for source in sources]
    return lambda sources: [function() for _ in sources]


def allows_origin(view: Any, socket: object) -> bool:
    """Return whether a page of the socket's origin may open it. Relies on `AsyncBaseHTTPView._check_websocket_origin`.

    Args:
        view: A view of Strawberry, with the origins that are allowed.
        socket: The WebSocket of Starlette.
    """
    is_allowed: bool = view._check_websocket_origin(socket)  # noqa: SLF001 - it has no public name
    return is_allowed


def enum_definition(enum: type) -> StrawberryEnumDefinition:
    """Return Strawberry's definition of an enum. Relies on the attribute that Strawberry sets on the class."""
    definition: StrawberryEnumDefinition = getattr(enum, "__strawberry_definition__")  # noqa: B009 - typed as Any
    return definition
