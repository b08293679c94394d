"""Writes the schema reference, a page of Markdown, from schema/schema.graphql: it cannot say anything else."""

from collections.abc import Callable, Iterable

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    NullValueNode,
    build_schema,
    is_introspection_type,
    print_ast,
)

ROOTS = ("Query", "Mutation", "Subscription")
OPENING = """# Schema reference

Every type, field and argument of the API, written from `schema/schema.graphql` when this site is built. GraphiQL shows
the same at `/graphql`, and lets you try it. A `!` says: never null.
"""
Group = tuple[str, Callable[[GraphQLSchema, GraphQLNamedType], bool]]


def _implements(interface: str) -> Callable[[GraphQLSchema, GraphQLNamedType], bool]:
    def test(_schema: GraphQLSchema, shown: GraphQLNamedType) -> bool:
        implemented = getattr(shown, "interfaces", ())
        return shown.name == interface or any(one.name == interface for one in implemented)

    return test


def _is(*kinds: type[GraphQLNamedType]) -> Callable[[GraphQLSchema, GraphQLNamedType], bool]:
    return lambda _schema, shown: isinstance(shown, kinds)


def _is_of_a_list(_schema: GraphQLSchema, shown: GraphQLNamedType) -> bool:
    return shown.name.endswith(("Connection", "Edge")) or shown.name == "PageInfo"


def _is_of_a_result(schema: GraphQLSchema, shown: GraphQLNamedType) -> bool:
    unions = (one for one in schema.type_map.values() if isinstance(one, GraphQLUnionType))
    return isinstance(shown, GraphQLUnionType) or any(shown in union.types for union in unions)


# A type stands in the first group that takes it.
GROUPS: tuple[Group, ...] = (
    ("Events of a stream", _implements("GenerationEvent")),
    ("Content blocks", _implements("ContentBlock")),
    ("Errors", _implements("Error")),
    ("Results of mutations", _is_of_a_result),
    ("Lists", _is_of_a_list),
    ("Objects", _is(GraphQLObjectType, GraphQLInterfaceType)),
    ("Inputs", _is(GraphQLInputObjectType)),
    ("Enums", _is(GraphQLEnumType)),
    ("Scalars", _is(GraphQLScalarType)),
)
ORDER = ("Objects", *(name for name, _ in GROUPS if name != "Objects"))
"""What one looks for first stands first."""


def write_reference(sdl: str) -> str:
    """Give the page for a schema that is written in the schema definition language."""
    schema = build_schema(sdl)
    groups: dict[str, list[GraphQLNamedType]] = {name: [] for name in ORDER}
    for shown in sorted(schema.type_map.values(), key=lambda one: one.name):
        if not is_introspection_type(shown) and shown.name not in ROOTS:
            name = next(name for name, takes in GROUPS if takes(schema, shown))
            groups[name].append(shown)
    roots = [_root(schema, name) for name in ROOTS]
    sections = [f"## {name}\n\n" + "\n".join(_type(schema, one) for one in groups[name]) for name in ORDER]
    return "\n".join([OPENING, *roots, *sections])


def _root(schema: GraphQLSchema, name: str) -> str:
    root = schema.type_map[name]
    assert isinstance(root, GraphQLObjectType)
    fields = (_operation(name, field_name, field) for field_name, field in root.fields.items())
    return f"## {name}\n\n" + "\n".join(fields)


def _operation(root: str, name: str, field: GraphQLField) -> str:
    parts = [f"### {name} {{ #{root.lower()}-{name.lower()} }}", _words(field.description)]
    if field.args:
        parts.append(_table("argument", field.args.items()))
    parts.append(f"Gives {_link(field)}.")
    return "\n\n".join(part for part in parts if part) + "\n"


def _type(schema: GraphQLSchema, shown: GraphQLNamedType) -> str:
    parts = [f"### {shown.name} {{ #{shown.name.lower()} }}", _words(shown.description)]
    if isinstance(shown, GraphQLObjectType | GraphQLInterfaceType):
        parts += [_relations(schema, shown), _fields(shown)]
    elif isinstance(shown, GraphQLInputObjectType):
        parts.append(_table("field", shown.fields.items()))
    elif isinstance(shown, GraphQLUnionType):
        parts.append("One of " + _list(shown.types) + ".")
    elif isinstance(shown, GraphQLEnumType):
        parts.append("\n".join(f"- `{name}`" + _said(value.description) for name, value in shown.values.items()))
    return "\n\n".join(part for part in parts if part) + "\n"


def _relations(schema: GraphQLSchema, shown: GraphQLObjectType | GraphQLInterfaceType) -> str:
    sentences: list[str] = []
    if shown.interfaces:
        sentences.append(f"Implements {_list(shown.interfaces)}.")
    if isinstance(shown, GraphQLInterfaceType):
        sentences.append(f"Implemented by {_list(schema.get_possible_types(shown))}.")
    unions = [one for one in schema.type_map.values() if isinstance(one, GraphQLUnionType) and shown in one.types]
    if unions:
        sentences.append(f"Given by {_list(unions)}.")
    return " ".join(sentences)


def _fields(shown: GraphQLObjectType | GraphQLInterfaceType) -> str:
    rows = ["| field | type | |", "| --- | --- | --- |"]
    for name, field in shown.fields.items():
        rows.append(f"| `{name}` | {_link(field)} | {_cell(field.description)} |")
        rows += [
            f"| `{name}({argument}:)` | {_link(given)}{_default(given)} | {_cell(given.description)} |"
            for argument, given in field.args.items()
        ]
    return "\n".join(rows)


def _table(heading: str, values: Iterable[tuple[str, GraphQLArgument | GraphQLInputField]]) -> str:
    rows = [f"| {heading} | type | |", "| --- | --- | --- |"]
    rows += [f"| `{name}` | {_link(given)}{_default(given)} | {_cell(given.description)} |" for name, given in values]
    return "\n".join(rows)


def _default(given: GraphQLArgument | GraphQLInputField) -> str:
    written = given.ast_node.default_value if given.ast_node else None
    return "" if written is None or isinstance(written, NullValueNode) else f" = `{print_ast(written)}`"


def _link(field: GraphQLField | GraphQLArgument | GraphQLInputField) -> str:
    assert field.ast_node is not None
    written = print_ast(field.ast_node.type)
    return f"[`{written}`](#{written.strip('[]!').lower()})"


def _list(types: Iterable[GraphQLNamedType]) -> str:
    return ", ".join(f"[`{one.name}`](#{one.name.lower()})" for one in types)


def _said(description: str | None) -> str:
    return f": {_cell(description)}" if description else ""


def _words(description: str | None) -> str:
    return (description or "").strip()


def _cell(description: str | None) -> str:
    return " ".join(_words(description).split()).replace("|", "\\|")
