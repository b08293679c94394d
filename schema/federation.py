"""The schema as a subgraph of a federated graph, according to version 2 of Apollo Federation.

A router reads the schema from `Query._service` and objects from `Query._entities`. The specification defines the names
and the types of both fields.
"""

import re
from functools import cache
from typing import Annotated

import strawberry
from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.types import Info
from strawberry.types.scalar import ScalarDefinition

from tertulia.json import is_object
from tertulia.resolvers import federation
from tertulia.resolvers.context import as_uuid
from tertulia.resolvers.federation import Representation
from tertulia.schema import enums
from tertulia.schema.content import Attachment
from tertulia.schema.declare import described, field
from tertulia.schema.types import Conversation, Generation, Message
from tertulia.schema.viewer import Viewer

__all__ = ["KEYS", "SCALARS", "enums", "query_types", "subgraph_sdl"]

LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.4", import: ["@key", "@shareable"])'
KEYS = {
    "Attachment": ("id",),
    "Conversation": ("id", "externalId"),
    "Generation": ("id",),
    "Message": ("id",),
    "Viewer": ("id",),
}
"""The names of the fields that identify an entity, by type."""
SHARED = ("PageInfo",)
"""The object types that other subgraphs also define."""
OBJECT_TYPE = re.compile(r"^type (\w+)[^{\n]*(?= \{$)", re.MULTILINE)


def parse_representation(value: object) -> Representation:
    """Return the type and the key of an entity.

    Raises:
        StrawberryInputCoercionError: The value is not an object with `__typename` and a key of that type.
    """
    given = value if is_object(value) else {}
    type_name = given.get("__typename")
    keys = KEYS.get(type_name, ()) if isinstance(type_name, str) else ()
    if not keys:
        raise StrawberryInputCoercionError(
            f"A representation must be an object whose `__typename` is one of {', '.join(KEYS)}."
        )
    for key in keys:
        text = given.get(key)
        if isinstance(text, str):
            return Representation(str(type_name), as_uuid(text)) if key == "id" else Representation("", None, text)
    names = " or ".join(f"`{key}`" for key in keys)
    raise StrawberryInputCoercionError(f"A representation of {type_name} must have the string {names}.")


SCALARS: dict[object, ScalarDefinition] = {
    Representation: ScalarDefinition(
        name="_Any",
        description="The type of an entity in `__typename`, and its key: `id` or, for a `Conversation`, `externalId`.",
        specified_by_url=None,
        serialize=None,
        parse_value=parse_representation,
        parse_literal=None,
    )
}
"""The scalar that only the schema of a subgraph has."""

Entity = Annotated[
    Attachment | Conversation | Generation | Message | Viewer,
    strawberry.union("_Entity", description="An object that other subgraphs can refer to and extend."),
]


@cache
def subgraph_sdl(schema: strawberry.Schema) -> str:
    """Return a schema in the schema definition language with the directives of Apollo Federation."""
    return f"{LINK}\n\n{OBJECT_TYPE.sub(_with_directives, schema.as_str())}\n"


def _sdl(info: Info) -> str:
    """The schema in the schema definition language, with the directives of Apollo Federation."""
    return subgraph_sdl(info.schema)


@strawberry.type(name="_Service", description="The schema of the subgraph.")
class Service:
    """The schema of the subgraph."""

    sdl: str | None = field(_sdl)


def _service() -> Service:
    """The schema of the subgraph, for the composition of a federated graph."""
    return Service()


@described
class EntityQuery:
    """The field of `Query` with which a router reads entities."""

    subgraph_entities: list[Entity | None] = field(federation.entities, "_entities")


@described
class ServiceQuery:
    """The field of `Query` from which the schema is read for the composition."""

    subgraph_service: Service = field(_service, "_service")


def query_types(*, introspection: bool) -> list[type]:
    """Return the types whose fields a subgraph adds to `Query`; without introspection, `_service` does not exist."""
    return [EntityQuery, ServiceQuery] if introspection else [EntityQuery]


def _with_directives(declared: re.Match[str]) -> str:
    directives = [f'@key(fields: "{key}")' for key in KEYS.get(declared[1], ())]
    directives += ["@shareable"] if declared[1] in SHARED else []
    return " ".join([declared[0], *directives])
