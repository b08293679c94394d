"""Functions that declare GraphQL types whose values are rows. A field reads the attribute of the same name.

The description of a type is its docstring. The description of a field is the string under the field, or else the
docstring of its resolver.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING
from enum import EnumMeta
from functools import cache
from inspect import getdoc, getsource
from itertools import pairwise
from typing import Any, TypeVar, dataclass_transform

import strawberry
from strawberry.types.arguments import InputContext

from tertulia.schema.graphql_internals import enum_definition, get_object_definition

Type = TypeVar("Type", bound=type)


def graphql_type(*sources: type, name: str | None = None) -> Callable[[Type], Type]:
    """Return a decorator that declares a GraphQL type whose values are instances of `sources`."""

    def declare(cls: Type) -> Type:
        def is_type_of(value: object, _info: object) -> bool:
            return isinstance(value, sources)

        setattr(cls, "is_type_of", staticmethod(is_type_of))  # noqa: B010 - the attribute is Strawberry's hook
        return _with_field_descriptions(strawberry.type(cls, name=name, description=_unwrapped(getdoc(cls))))

    return declare


def described(cls: Type) -> Type:
    """Declare a GraphQL type whose values are instances of the class itself."""
    return _with_field_descriptions(strawberry.type(cls, description=_unwrapped(getdoc(cls))))


@dataclass_transform(kw_only_default=True)
def interface(cls: Type) -> Type:
    """Declare a GraphQL interface."""
    return _with_field_descriptions(strawberry.interface(cls, description=_unwrapped(getdoc(cls))))


def graphql_input(source: type, name: str) -> None:
    """Declare a GraphQL input that resolvers receive as an instance of `source`. Its fields must not be `Maybe`s."""
    _with_field_descriptions(strawberry.input(source, name=name, description=_unwrapped(getdoc(source))))
    get_object_definition(source, strict=True).from_input = _build_input


def _build_input(cls: type, value: Mapping[str, Any], context: InputContext) -> Any:
    """Return an input as an instance of its class, as Strawberry does.

    Strawberry resolves the types of all fields for each request, also of those that are null. That is a third of the
    time of a mutation outside of its resolver.
    """
    nulls, fields = _input_fields(cls, context.config.name_converter.from_field)
    values: dict[str, Any] = dict.fromkeys(nulls)
    for name, python_name, type_ in fields:
        if name in value:
            given = value[name]
            values[python_name] = None if given is None else context.convert(given, type_, name)
    return cls(**values)


@cache
def _input_fields(cls: type, name_of: Callable[[Any], str]) -> tuple[list[str], list[tuple[str, str, Any]]]:
    """Return the names of the fields that are null if they are not given; and names, Python names and types of all."""
    # Any, because the types of Strawberry's fields are partly unknown.
    fields: list[Any] = [*get_object_definition(cls, strict=True).fields]
    nulls = [
        field.python_name for field in fields if field.default_value is MISSING and field.default_factory is MISSING
    ]
    return nulls, [(name_of(field), field.python_name, field.resolve_type()) for field in fields]


def graphql_enum(source: EnumMeta, name: str, description: str, /, **members: str) -> None:
    """Declare a GraphQL enum with the descriptions of its members.

    Raises:
        KeyError: A member has no description.
    """
    strawberry.enum(source, name=name, description=description)
    for value in enum_definition(source).values:
        value.description = members[value.name]


def field(resolver: Callable[..., Any], name: str | None = None) -> Any:
    """Declare a field with a resolver. Its name is that of the attribute in camel case unless `name` is given."""
    return strawberry.field(resolver=resolver, name=name, description=_unwrapped(getdoc(resolver)))


def subscription(resolver: Callable[..., Any]) -> Any:
    """Declare a subscription whose resolver is an async generator."""
    return strawberry.subscription(resolver=resolver, description=_unwrapped(getdoc(resolver)))


def _with_field_descriptions(cls: Type) -> Type:
    """Set the description of each field to the string under it, in its class or in an interface of the class."""
    texts_by_class = [_field_texts(base.__module__).get(base.__name__, {}) for base in cls.__mro__]
    for field in get_object_definition(cls, strict=True).fields:
        description = next((texts[field.python_name] for texts in texts_by_class if field.python_name in texts), None)
        field.description = description or field.description
    return cls


@cache
def _field_texts(module: str) -> dict[str, dict[str, str]]:
    """Return the strings under the fields of a module's classes, by class. Empty if the source is not available."""
    try:
        tree = ast.parse(getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError):
        return {}
    return {node.name: dict(_strings(node)) for node in tree.body if isinstance(node, ast.ClassDef)}


def _strings(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(node.body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, _unwrapped(text) or ""
            case _:
                pass


def _unwrapped(text: str | None) -> str | None:
    """Return a docstring without line breaks inside paragraphs and list items, because clients wrap the text."""
    if text is None:
        return None
    lines = "\n".join(line.strip() for line in text.strip().splitlines())
    return re.sub(r"(?<!\n)\n(?!\n|- )", " ", lines)
