"""How a schema type shows a row: fields read attributes of the same name, and nothing is wrapped or copied."""

from collections.abc import Callable
from inspect import getdoc
from typing import Any, TypeVar

import strawberry

Type = TypeVar("Type", bound=type)


def shows(*sources: type, name: str | None = None) -> Callable[[Type], Type]:
    """Declare a GraphQL type that shows values of `sources`; its docstring is the description."""

    def declare(cls: Type) -> Type:
        def is_type_of(value: object, _info: object) -> bool:
            return isinstance(value, sources)

        setattr(cls, "is_type_of", staticmethod(is_type_of))  # noqa: B010 - the attribute is Strawberry's hook
        return strawberry.type(cls, name=name, description=getdoc(cls))

    return declare


def described(cls: Type) -> Type:
    """Declare a GraphQL type whose values are made of the type itself; its docstring is the description."""
    return strawberry.type(cls, description=getdoc(cls))


def served(resolver: Callable[..., Any]) -> Any:
    """Declare a field that a resolver serves; the resolver's docstring is the description."""
    return strawberry.field(resolver=resolver, description=getdoc(resolver))


def followed(resolver: Callable[..., Any]) -> Any:
    """Declare a subscription that an async generator serves; its docstring is the description."""
    return strawberry.subscription(resolver=resolver, description=getdoc(resolver))
