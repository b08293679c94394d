"""The size of variables, checked before graphql-core coerces them and reports each mistake in them."""

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

graphql_core: Any = graphql  # its declared types are unknown in part

MAX_VALUES = 5_000
"""Items of all lists, and entries of all objects, JSON not counted: its fields have limits of their own."""


def check_variables(schema: GraphQLSchema, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> None:
    """Raise GraphQLError for variables that hold more values than any field takes, or entries that no type has."""
    left = MAX_VALUES
    for node in operation.variable_definitions or ():
        name = node.variable.name.value
        if name in variables:
            left -= _count(graphql_core.type_from_ast(schema, node.type), variables[name], f"variables.{name}", left)


def _count(type_: object, value: object, path: str, left: int) -> int:
    """Count the values in a variable; raise GraphQLError where there are more than `left`."""
    if isinstance(type_, GraphQLNonNull):
        return _count(cast("Any", type_).of_type, value, path, left)
    found = 0
    if isinstance(type_, GraphQLList) and isinstance(value, list):
        items, item_type = cast("list[object]", value), cast("Any", type_).of_type
        found = len(items)
        _check(found, path, left)
        for item in items:
            found += _count(item_type, item, path, left - found)
    elif isinstance(type_, GraphQLInputObjectType) and isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        if len(entries) > len(type_.fields):
            unknown = next(name for name in entries if name not in type_.fields)
            raise _refused(f"{path}: {type_.name} has no field {unknown[:100]!r}.")
        found = len(entries)
        _check(found, path, left)
        for name, entry in entries.items():
            if name in type_.fields:
                found += _count(type_.fields[name].type, entry, f"{path}.{name}", left - found)
    return found


def _check(found: int, path: str, left: int) -> None:
    if found > left:
        raise _refused(f"{path}: the variables of a request hold at most {MAX_VALUES:,} values.")


def _refused(message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": "BAD_USER_INPUT"})
