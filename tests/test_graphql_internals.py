"""The installed versions of Strawberry and graphql-core have the private parts that Tertulia relies on."""

import ast
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from inspect import signature
from typing import Any

import pytest
from graphql import parse
from test_architecture import FILES, name, tree

from tertulia.schema.documents import Prepared
from tertulia.schema.graphql_internals import declared_field
from tertulia.schema.root import schema

MODULE = "schema/graphql_internals.py"
VERSIONS = " and ".join(f"{library} {version(library)}" for library in ("strawberry-graphql", "graphql-core"))
COLLECT = "graphql.execution.collect_fields"
EXECUTOR = "strawberry.schema.schema:StrawberryGraphQLCoreExecutionContext"
COMPLETION = "self return_type field_details_list info path result position_context"
PARAMETERS = {
    f"{COLLECT}:collect_fields": "schema fragments variable_values runtime_type operation",
    f"{COLLECT}:collect_subfields": "schema fragments variable_values operation return_type field_details_list",
    "graphql.execution:Executor.build": "schema document root_value context_value raw_variable_values operation_name",
    "graphql.execution:Executor.build_resolve_info": "self field_def field_nodes parent_type path",
    f"{EXECUTOR}.complete_list_value": COMPLETION,
    f"{EXECUTOR}.complete_awaitable_value": COMPLETION,
    f"{EXECUTOR}.complete_leaf_value": "return_type result",
    "strawberry.types:Info": "_raw_info _field",
    "strawberry.http.async_base_view:AsyncBaseHTTPView._check_websocket_origin": "self request",
}
"""The first parameters of each function that is called or overridden, in order."""
PUBLIC = {
    "graphql",
    "graphql.execution",
    "graphql.language",
    "graphql.validation",
    "strawberry",
    "strawberry.exceptions",
    "strawberry.fastapi",
    "strawberry.scalars",
    "strawberry.schema.config",
    "strawberry.types",
    "strawberry.types.arguments",
    "strawberry.types.field",
    "strawberry.types.scalar",
}
"""The modules that all other files may import."""


@pytest.mark.parametrize("path", PARAMETERS)
def test_each_private_function_has_the_expected_parameters(path: str) -> None:
    module, _, names = path.partition(":")
    part: Any = import_module(module)
    for attribute in names.split("."):
        part = getattr(part, attribute, None)
    assert part is not None, f"{VERSIONS} have no {path}: change {MODULE}"
    expected = PARAMETERS[path].split()
    parameters = list(signature(part).parameters)[: len(expected)]
    assert parameters == expected, f"{path} of {VERSIONS} takes other parameters: change {MODULE}"


def test_each_private_attribute_in_use_exists() -> None:
    document = parse("query ($yes: Boolean = true) { viewer { id @include(if: $yes) } }")
    executor: Any = schema.operation(Prepared(document, []), None, None, None).executor()
    query, generation = schema.core.query_type, schema.core.type_map["Generation"]
    assert query is not None
    served, basic = declared_field(query.fields["viewer"]), declared_field(getattr(generation, "fields")["model"])  # noqa: B009
    relied_on = {
        "the executor": (executor, "schema fragments variable_values operation root_value context_value"),
        "the executor's variables": (executor.variable_values, "coerced"),
        "StrawberryField": (basic, "is_basic_field python_name extensions base_resolver origin"),
        "StrawberryResolver": (served.base_resolver, "wrapped_func info_parameter root_parameter"),
        "GraphQLScalarType": (schema.core.type_map["String"], "coerce_output_value"),
    }
    missing = [
        f"{owner}.{attribute}"
        for owner, (part, attributes) in relied_on.items()
        for attribute in attributes.split()
        if not hasattr(part, attribute)
    ]
    assert not missing, f"{VERSIONS} have no {', '.join(missing)}: change {MODULE}"


def test_no_other_module_imports_private_parts() -> None:
    imports = [(name(file), module) for file in FILES if name(file) != MODULE for module in _imported(tree(file))]
    private = [
        f"{file} imports {module}"
        for file, module in imports
        if module.partition(".")[0] in ("graphql", "strawberry") and module not in PUBLIC
    ]
    assert not private, "\n".join(private)


def _imported(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
