"""How a schema type shows a row: fields read attributes of the same name, and nothing is wrapped or copied.

What clients read of a type is its docstring. What they read of a field is the string under it in its class, or the
docstring of the resolver that serves it.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from enum import EnumMeta
from functools import cache
from inspect import getdoc, getsource
from itertools import pairwise
from typing import Any, TypeVar, dataclass_transform

import strawberry

from tertulia.schema.graphql_internals import enum_definition, get_object_definition

Type = TypeVar("Type", bound=type)


def graphql_type(*sources: type, name: str | None = None) -> Callable[[Type], Type]:
    """Declare a GraphQL type that shows values of `sources`."""

    def declare(cls: Type) -> Type:
        def is_type_of(value: object, _info: object) -> bool:
            return isinstance(value, sources)

        setattr(cls, "is_type_of", staticmethod(is_type_of))  # noqa: B010 - the attribute is Strawberry's hook
        return _told(strawberry.type(cls, name=name, description=_words(getdoc(cls))))

    return declare


def described(cls: Type) -> Type:
    """Declare a GraphQL type whose values are made of the type itself."""
    return _told(strawberry.type(cls, description=_words(getdoc(cls))))


@dataclass_transform(kw_only_default=True)
def interface(cls: Type) -> Type:
    """Declare what several GraphQL types have in common."""
    return _told(strawberry.interface(cls, description=_words(getdoc(cls))))


def takes(source: type, name: str) -> None:
    """Declare a GraphQL input that is given to resolvers as a value of `source`."""
    _told(strawberry.input(source, name=name, description=_words(getdoc(source))))


def named(source: EnumMeta, name: str, description: str, /, **members: str) -> None:
    """Declare the GraphQL enum of a Python one, and what each of its members means; raise KeyError for one left out."""
    strawberry.enum(source, name=name, description=description)
    for value in enum_definition(source).values:
        value.description = members[value.name]


def field(resolver: Callable[..., Any]) -> Any:
    """Declare a field that a resolver serves."""
    return strawberry.field(resolver=resolver, description=_words(getdoc(resolver)))


def subscription(resolver: Callable[..., Any]) -> Any:
    """Declare a subscription that an async generator serves."""
    return strawberry.subscription(resolver=resolver, description=_words(getdoc(resolver)))


def _told(cls: Type) -> Type:
    """Describe fields by the strings under them, in their class or in the interface that they come from."""
    known = [_under_fields(base.__module__).get(base.__name__, {}) for base in cls.__mro__]
    for field in get_object_definition(cls, strict=True).fields:
        found = next((texts[field.python_name] for texts in known if field.python_name in texts), None)
        field.description = found or field.description
    return cls


@cache
def _under_fields(module: str) -> dict[str, dict[str, str]]:
    """Read the strings under the fields of a module's classes, by class; none where its source is not there."""
    try:
        tree = ast.parse(getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError):
        return {}
    return {node.name: dict(_strings(node)) for node in tree.body if isinstance(node, ast.ClassDef)}


def _strings(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(node.body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, _words(text) or ""
            case _:
                pass


def _words(text: str | None) -> str | None:
    """Give a docstring in which lines end only where paragraphs and items of a list do: readers wrap it themselves."""
    if text is None:
        return None
    lines = "\n".join(line.strip() for line in text.strip().splitlines())
    return re.sub(r"(?<!\n)\n(?!\n|- )", " ", lines)
