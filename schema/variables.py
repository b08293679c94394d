"""The limit on the size of variables, checked before graphql-core coerces them and reports every error in them."""

from collections.abc import Mapping
from typing import Any, cast

import graphql
from graphql import (
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    OperationDefinitionNode,
)

graphql_core: Any = graphql  # its declared types are partly unknown

MAX_VALUES = 5_000
"""The most list items and object entries together. JSON scalars are not counted: they have their own limits."""


def check_variables(schema: GraphQLSchema, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> None:
    """Raise GraphQLError for variables with more than MAX_VALUES values, or an object with too many entries."""
    limit = MAX_VALUES
    for node in operation.variable_definitions or ():
        name = node.variable.name.value
        if name in variables:
            limit -= _count(graphql_core.type_from_ast(schema, node.type), variables[name], f"variables.{name}", limit)


def _count(type_: object, value: object, path: str, limit: int) -> int:
    """Count the values in a variable; raise GraphQLError for more than `limit`."""
    if isinstance(type_, GraphQLNonNull):
        return _count(cast("Any", type_).of_type, value, path, limit)
    count = 0
    if isinstance(type_, GraphQLList) and isinstance(value, list):
        items, item_type = cast("list[object]", value), cast("Any", type_).of_type
        count = len(items)
        _check(count, path, limit)
        for item in items:
            count += _count(item_type, item, path, limit - count)
    elif isinstance(type_, GraphQLInputObjectType) and isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        if len(entries) > len(type_.fields):
            unknown = next(name for name in entries if name not in type_.fields)
            raise _input_error(f"`{path}` must be a {type_.name}, which has no field {unknown[:100]!r}.")
        count = len(entries)
        _check(count, path, limit)
        for name, entry in entries.items():
            if name in type_.fields:
                count += _count(type_.fields[name].type, entry, f"{path}.{name}", limit - count)
    return count


def _check(count: int, path: str, limit: int) -> None:
    if count > limit:
        raise _input_error(f"`{path}` is too large: the variables of a request can have at most {MAX_VALUES:,} values.")


def _input_error(message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": "BAD_USER_INPUT"})
