"""Generate the schema reference, a page of Markdown, from schema/schema.graphql."""

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

Every type, field and argument of the API, generated from `schema/schema.graphql`. GraphiQL at `/graphql` shows the
same, and lets you run operations. A `!` after a type means that the value is never null.
"""
Group = tuple[str, Callable[[GraphQLSchema, GraphQLNamedType], bool]]


def _implements(interface: str) -> Callable[[GraphQLSchema, GraphQLNamedType], bool]:
    def belongs(_schema: GraphQLSchema, type_: GraphQLNamedType) -> bool:
        interfaces = getattr(type_, "interfaces", ())
        return type_.name == interface or any(implemented.name == interface for implemented in interfaces)

    return belongs


def _is(*kinds: type[GraphQLNamedType]) -> Callable[[GraphQLSchema, GraphQLNamedType], bool]:
    return lambda _schema, type_: isinstance(type_, kinds)


def _is_list_type(_schema: GraphQLSchema, type_: GraphQLNamedType) -> bool:
    return type_.name.endswith(("Connection", "Edge")) or type_.name == "PageInfo"


def _is_result_type(schema: GraphQLSchema, type_: GraphQLNamedType) -> bool:
    unions = (union for union in schema.type_map.values() if isinstance(union, GraphQLUnionType))
    return isinstance(type_, GraphQLUnionType) or any(type_ in union.types for union in unions)


# A type is listed in the first group whose test it passes.
GROUPS: tuple[Group, ...] = (
    ("Events of a stream", _implements("GenerationEvent")),
    ("Content blocks", _implements("ContentBlock")),
    ("Errors", _implements("Error")),
    ("Results of mutations", _is_result_type),
    ("Lists", _is_list_type),
    ("Objects", _is(GraphQLObjectType, GraphQLInterfaceType)),
    ("Inputs", _is(GraphQLInputObjectType)),
    ("Enums", _is(GraphQLEnumType)),
    ("Scalars", _is(GraphQLScalarType)),
)
ORDER = ("Objects", *(name for name, _ in GROUPS if name != "Objects"))
"""The groups in the order of the page: readers look for objects first."""


def write_reference(sdl: str) -> str:
    """Return the page for a schema in the schema definition language."""
    schema = build_schema(sdl)
    groups: dict[str, list[GraphQLNamedType]] = {name: [] for name in ORDER}
    for type_ in sorted(schema.type_map.values(), key=lambda named: named.name):
        if not is_introspection_type(type_) and type_.name not in ROOTS:
            name = next(name for name, belongs in GROUPS if belongs(schema, type_))
            groups[name].append(type_)
    roots = [_root(schema, name) for name in ROOTS]
    sections = [f"## {name}\n\n" + "\n".join(_type(schema, type_) for type_ in groups[name]) for name in ORDER]
    return "\n".join([OPENING, *roots, *sections])


def _root(schema: GraphQLSchema, name: str) -> str:
    root = schema.type_map[name]
    assert isinstance(root, GraphQLObjectType)
    fields = (_operation(name, field_name, field) for field_name, field in root.fields.items())
    return f"## {name}\n\n" + "\n".join(fields)


def _operation(root: str, name: str, field: GraphQLField) -> str:
    parts = [f"### {name} {{ #{root.lower()}-{name.lower()} }}", _text(field.description)]
    if field.args:
        parts.append(_table("argument", field.args.items()))
    parts.append(f"Returns {_link(field)}.")
    return "\n\n".join(part for part in parts if part) + "\n"


def _type(schema: GraphQLSchema, type_: GraphQLNamedType) -> str:
    parts = [f"### {type_.name} {{ #{type_.name.lower()} }}", _text(type_.description)]
    if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
        parts += [_relations(schema, type_), _fields(type_)]
    elif isinstance(type_, GraphQLInputObjectType):
        parts.append(_table("field", type_.fields.items()))
    elif isinstance(type_, GraphQLUnionType):
        parts.append("One of " + _list(type_.types) + ".")
    elif isinstance(type_, GraphQLEnumType):
        parts.append("\n".join(f"- `{name}`" + _after_colon(value.description) for name, value in type_.values.items()))
    return "\n\n".join(part for part in parts if part) + "\n"


def _relations(schema: GraphQLSchema, type_: GraphQLObjectType | GraphQLInterfaceType) -> str:
    sentences: list[str] = []
    if type_.interfaces:
        sentences.append(f"Implements {_list(type_.interfaces)}.")
    if isinstance(type_, GraphQLInterfaceType):
        sentences.append(f"Implemented by {_list(schema.get_possible_types(type_))}.")
    unions = [
        union for union in schema.type_map.values() if isinstance(union, GraphQLUnionType) and type_ in union.types
    ]
    if unions:
        sentences.append(f"Member of {_list(unions)}.")
    return " ".join(sentences)


def _fields(type_: GraphQLObjectType | GraphQLInterfaceType) -> str:
    rows = ["| field | type | |", "| --- | --- | --- |"]
    for name, field in type_.fields.items():
        rows.append(f"| `{name}` | {_link(field)} | {_cell(field.description)} |")
        rows += [
            f"| `{name}({argument_name}:)` | {_link(argument)}{_default(argument)} | {_cell(argument.description)} |"
            for argument_name, argument in field.args.items()
        ]
    return "\n".join(rows)


def _table(heading: str, values: Iterable[tuple[str, GraphQLArgument | GraphQLInputField]]) -> str:
    rows = [f"| {heading} | type | |", "| --- | --- | --- |"]
    rows += [f"| `{name}` | {_link(value)}{_default(value)} | {_cell(value.description)} |" for name, value in values]
    return "\n".join(rows)


def _default(value: GraphQLArgument | GraphQLInputField) -> str:
    default = value.ast_node.default_value if value.ast_node else None
    return "" if default is None or isinstance(default, NullValueNode) else f" = `{print_ast(default)}`"


def _link(field: GraphQLField | GraphQLArgument | GraphQLInputField) -> str:
    assert field.ast_node is not None
    type_text = print_ast(field.ast_node.type)
    return f"[`{type_text}`](#{type_text.strip('[]!').lower()})"


def _list(types: Iterable[GraphQLNamedType]) -> str:
    return ", ".join(f"[`{type_.name}`](#{type_.name.lower()})" for type_ in types)


def _after_colon(description: str | None) -> str:
    return f": {_cell(description)}" if description else ""


def _text(description: str | None) -> str:
    return (description or "").strip()


def _cell(description: str | None) -> str:
    return " ".join(_text(description).split()).replace("|", "\\|")
