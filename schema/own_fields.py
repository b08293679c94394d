"""Schemas with GraphQL fields of the application that embeds Tertulia."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import graphql
import strawberry
from strawberry.exceptions import DuplicatedTypeName
from strawberry.schema.config import StrawberryConfig
from strawberry.types.field import StrawberryField

from tertulia.schema import root
from tertulia.schema.documents import Schema
from tertulia.schema.graphql_internals import StrawberryObjectDefinition, get_object_definition

core: Any = graphql  # its declared types are partly unknown


@dataclass(frozen=True, slots=True)
class _Owner:
    """The class that declares a field."""

    field: StrawberryField
    cls: type

    def __str__(self) -> str:
        return f"{self.cls.__qualname__}.{self.field.python_name}"


def schema_with(query: Sequence[type] = (), mutation: Sequence[type] = (), federation: Sequence[type] = ()) -> Schema:
    """Return a schema with the application's root fields. Without any, return the default schema.

    Args:
        query: Strawberry types whose fields are added to `Query`.
        mutation: Strawberry types whose fields are added to `Mutation`.
        federation: The types whose fields make the schema a subgraph: see `schema.federation`.

    Raises:
        TypeError: An item is not a Strawberry type, or a field leads to a type of Tertulia.
        ValueError: A field or a type has the same name as another one.
    """
    if not query and not mutation and not federation:
        return root.schema
    own_queries = _own_fields("query", root.Query, query)
    own_mutations = _own_fields("mutation", root.Mutation, mutation)
    try:
        schema = root.build(_merge(root.Query, [*query, *federation]), _merge(root.Mutation, mutation))
    except DuplicatedTypeName as error:
        raise ValueError(_duplicate(error)) from None
    _check_results(schema, "Query", own_queries)
    _check_results(schema, "Mutation", own_mutations)
    schema.own_query_fields = frozenset(own_queries)
    return schema


def _own_fields(argument: str, base: type, types: Sequence[type]) -> dict[str, _Owner]:
    """Return the fields that an argument adds to a root type, by their GraphQL names."""
    if not isinstance(types, list | tuple):
        raise TypeError(f"`{argument}` must be a list of Strawberry types, such as {argument}=[My{argument.title()}].")
    name_of = StrawberryConfig().name_converter.from_field
    owners_by_attribute = {field.python_name: _Owner(field, base) for field in _definition(base).fields}
    owners_by_name = {name_of(owner.field): owner for owner in owners_by_attribute.values()}
    own_fields: dict[str, _Owner] = {}
    for cls in types:
        for field in _fields(argument, cls):
            name, owner = name_of(field), _Owner(field, cls)
            other = owners_by_name.get(name) or owners_by_attribute.get(field.python_name)
            if other is not None:
                raise ValueError(
                    f"{owner}: `{name}` is already a field of {other.cls.__qualname__}. Rename one of them."
                )
            owners_by_name[name] = owners_by_attribute[field.python_name] = own_fields[name] = owner
    return own_fields


def _fields(argument: str, cls: object) -> list[StrawberryField]:
    # A subclass that is not decorated itself has the definition of its base.
    definition = get_object_definition(cls) if isinstance(cls, type) else None
    if definition is None or definition.origin is not cls or definition.is_input or definition.is_interface:
        label = cls.__qualname__ if isinstance(cls, type) else repr(cls)[:100]
        raise TypeError(
            f"`{argument}` must contain only Strawberry types, and {label} is none. Decorate the class with "
            "@strawberry.type."
        )
    return definition.fields


def _definition(cls: type) -> StrawberryObjectDefinition:
    return get_object_definition(cls, strict=True)


def _merge(base: type, types: Sequence[type]) -> type:
    merged = type(base.__name__, (base, *types), {})
    return strawberry.type(merged, description=_definition(base).description)


def _duplicate(error: DuplicatedTypeName) -> str:
    classes = [cls for cls in (error.first_cls, error.second_cls) if cls and not cls.__module__.startswith("tertulia.")]
    prefix = f"{classes[0].__module__}.{classes[0].__qualname__}: " if classes else ""
    return f"{prefix}{error}. Rename the class, or give its type another `name`."


def _check_results(schema: Schema, root_name: str, own: dict[str, _Owner]) -> None:
    """Raise TypeError if a field of the application leads to a type of Tertulia.

    The fields of Tertulia's types do not check whether the viewer may read a row. That is checked where Tertulia
    fetches the row.
    """
    fields: dict[str, Any] = cast("Any", schema.core.type_map[root_name]).fields
    internal = {name for name, declared in root.schema.core.type_map.items() if core.is_composite_type(declared)}
    for name, owner in own.items():
        for type_name in _reachable(schema, fields[name]):
            if type_name in internal:
                raise TypeError(
                    f"{owner} returns {type_name}, which is a type of Tertulia. Return an id that clients can pass to "
                    "`node`, or a type of your own."
                )


def _reachable(schema: Schema, field: Any) -> list[str]:
    """Return the names of all types that a selection on a field can reach, nearest types first."""
    names: list[str] = []
    types = deque([core.get_named_type(field.type)])
    while types:
        type_ = types.popleft()
        if type_.name in names:
            continue
        names.append(type_.name)
        types.extend(getattr(type_, "interfaces", ()))
        if core.is_abstract_type(type_):
            types.extend(schema.core.get_possible_types(type_))
        if core.is_object_type(type_) or core.is_interface_type(type_):
            types.extend(core.get_named_type(inner.type) for inner in type_.fields.values())
    return names
