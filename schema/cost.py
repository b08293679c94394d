"""The cost of an operation before it is executed: about the number of fields that it can return.

A field costs 1. The cost of its selection is multiplied by the number of objects that it can return: `first` or `last`,
the default page size without either, the number of `ids` or `representations`, or 5 for any other list. Of fragments on
different object types only the most expensive one counts, because an object has one type. A mutation costs 10 more, a
search 100. Lists of the introspection count as many items as this schema has: inside `types` the average over all
types, elsewhere the maximum. Each fragment is visited once.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import Any, cast

import graphql
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    OperationType,
    SchemaMetaFieldDef,
    SelectionNode,
    SelectionSetNode,
    TypeMetaFieldDef,
    ValueNode,
    VariableNode,
    get_introspection_query,
    is_abstract_type,
    is_input_object_type,
    parse,
)

from tertulia.db.paging import DEFAULT_PAGE, MAX_PAGE
from tertulia.schema.graphql_internals import declaring_module

named_type: Any = graphql.get_named_type  # its declared type is partly unknown
MAX_COST = 30_000
WHOLE_INTROSPECTION_COST = 20_000
"""The maximum cost of the usual introspection query, which GraphiQL and code generators send, for any schema."""
UNBOUNDED_LIST_SIZE = 5
"""The assumed number of items of a list without a limit."""
MUTATION_COST = 10
SEARCH_COST = 100
META = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}
OTHER_TYPES = ("type", "ofType", "possibleTypes", "interfaces")
"""Fields of the introspection that lead from a type to other types."""
MAX_WRAPPERS = 3
"""The levels of `ofType` in `[T!]!`. No type has more."""
PAGE_ARGUMENTS = ("first", "last")
IDS_ARGUMENTS, QUERY_ARGUMENT = ("ids", "representations"), "query"


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of an operation, and whether it depends on its variables."""

    cost: int
    depends_on_variables: bool


def cost_of(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> Cost:
    """Return the cost of an operation of a valid document."""
    root = schema.get_root_type(operation.operation)
    counter = _CostCounter(schema, document, _values(operation, variables))
    cost = counter.selection_cost(operation.selection_set, root)
    if operation.operation is OperationType.MUTATION:
        cost += MUTATION_COST * len(operation.selection_set.selections)
    return Cost(cost, counter.depends_on_variables)


def _values(operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables, including those defaults that are integers or lists."""
    values: dict[str, Any] = {}
    for node in operation.variable_definitions or ():
        name = node.variable.name.value
        if name in variables:
            values[name] = variables[name]
        elif isinstance(node.default_value, IntValueNode):
            values[name] = int(node.default_value.value)
        elif isinstance(node.default_value, ListValueNode):
            values[name] = node.default_value.values
    return values


@dataclass(frozen=True, slots=True)
class _Sizes:
    """The number of items of a list of the introspection."""

    average: int
    largest: int


@cache
def _list_sizes(schema: GraphQLSchema) -> dict[str, _Sizes]:
    types: list[Any] = list(schema.type_map.values())
    fields: list[Any] = [field for of_type in types for field in getattr(of_type, "fields", {}).values()]
    lists = {
        "fields": [0 if is_input_object_type(of_type) else len(getattr(of_type, "fields", ())) for of_type in types],
        "inputFields": [len(of_type.fields) if is_input_object_type(of_type) else 0 for of_type in types],
        "args": [len(getattr(field, "args", ())) for field in fields],
        "enumValues": [len(getattr(of_type, "values", ())) for of_type in types],
        "interfaces": [len(getattr(of_type, "interfaces", ())) for of_type in types],
        "possibleTypes": [
            len(schema.get_possible_types(of_type)) if is_abstract_type(of_type) else 0 for of_type in types
        ],
        "types": [len(types)],
        "directives": [len(schema.directives)],
    }
    return {name: _Sizes(ceil(sum(sizes) / len(sizes)), max(sizes)) for name, sizes in lists.items()}


@cache
def _introspection_scale(schema: GraphQLSchema) -> float:
    """Return the factor that keeps the usual introspection query within its maximum cost."""
    document = parse(
        get_introspection_query(
            specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True
        )
    )
    operation: Any = document.definitions[0]
    counter = _CostCounter(schema, document, {})
    whole = counter.selection_cost(operation.selection_set.selections[0].selection_set, schema.get_type("__Schema"))
    return min(1.0, WHOLE_INTROSPECTION_COST / whole)


class _CostCounter:
    """Counts the cost of one operation. Each fragment is counted once."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, values: Mapping[str, Any]) -> None:
        self._schema = schema
        self._values = values
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._fragment_costs: dict[tuple[str, bool], int] = {}
        self._of_each_type = False
        """Whether the current selection applies to every type of the schema."""
        self.depends_on_variables = False
        self._wrappers = 0
        """The number of `ofType` fields around the current selection."""

    def selection_cost(self, selected: SelectionSetNode | None, parent: GraphQLNamedType | None) -> int:
        """Return the cost of a selection on a type."""
        total = 0
        by_type = Counter[str]()
        for node in selected.selections if selected else ():
            if isinstance(node, FieldNode):
                total += self._field_cost(node, parent)
                continue
            inner, cost = self._fragment_cost(node, parent)
            if isinstance(inner, GraphQLObjectType) and inner is not parent:
                by_type[inner.name] += cost
            else:
                total += cost
        return total + max(by_type.values(), default=0)

    def _fragment_cost(
        self, node: SelectionNode, parent: GraphQLNamedType | None
    ) -> tuple[GraphQLNamedType | None, int]:
        """Return the type that a fragment is on, and its cost."""
        if isinstance(node, InlineFragmentNode):
            condition = node.type_condition
            inner = self._schema.get_type(condition.name.value) if condition else parent
            return inner, self.selection_cost(node.selection_set, inner)
        name = node.name.value if isinstance(node, FragmentSpreadNode) else ""
        fragment = self._fragments[name]
        inner = self._schema.get_type(fragment.type_condition.name.value)
        key = name, self._of_each_type
        if key not in self._fragment_costs:
            self._fragment_costs[key] = self.selection_cost(fragment.selection_set, inner)
        return inner, self._fragment_costs[key]

    def _field_cost(self, node: FieldNode, parent: GraphQLNamedType | None) -> int:
        fields: dict[str, Any] = getattr(parent, "fields", {})
        field: Any = fields.get(node.name.value) or META.get(node.name.value)
        if field is None or node.selection_set is None:
            return 1
        of_type = named_type(field.type)
        if parent is not None and parent.name.startswith("__"):
            return 1 + self._introspection_cost(node, of_type)
        inner = self.selection_cost(node.selection_set, of_type)
        if field is SchemaMetaFieldDef:
            return 1 + ceil(inner * _introspection_scale(self._schema))
        own_cost = SEARCH_COST if QUERY_ARGUMENT in field.args else 1
        return own_cost + self._factor(node, field, parent) * inner

    def _introspection_cost(self, node: FieldNode, of_type: GraphQLNamedType) -> int:
        """Return the cost of the selection in a field of the introspection."""
        name, of_each_type = node.name.value, self._of_each_type
        if name == "ofType" and self._wrappers >= MAX_WRAPPERS:
            return 0
        wrappers, self._wrappers = self._wrappers, self._wrappers + 1 if name == "ofType" else 0
        sizes = _list_sizes(self._schema).get(name)
        self._of_each_type = name == "types" or (of_each_type and name not in OTHER_TYPES)
        inner = self.selection_cost(node.selection_set, of_type)
        self._of_each_type, self._wrappers = of_each_type, wrappers
        return inner if sizes is None else inner * (sizes.average if of_each_type else sizes.largest)

    def _factor(self, node: FieldNode, field: Any, parent: GraphQLNamedType | None) -> int:
        arguments = {argument.name.value: argument.value for argument in node.arguments or ()}
        if any(name in field.args for name in PAGE_ARGUMENTS):
            sizes = [self._page_size(arguments[name]) for name in PAGE_ARGUMENTS if name in arguments]
            size = max(sizes, default=DEFAULT_PAGE)
            # Tertulia's own resolvers reject larger pages; those of the application may not.
            return min(size, MAX_PAGE) if _is_internal(field) else size
        for name in IDS_ARGUMENTS:
            if name in field.args and name in arguments:
                return self._list_length(arguments[name])
        # A connection's edges were counted with the connection.
        connected = parent is not None and parent.name.endswith("Connection")
        return UNBOUNDED_LIST_SIZE if str(field.type).startswith("[") and not connected else 1

    def _page_size(self, node: ValueNode) -> int:
        value = self._variable(node) if isinstance(node, VariableNode) else getattr(node, "value", None)
        try:
            return max(int(value), 1) if value is not None else DEFAULT_PAGE
        except (TypeError, ValueError):
            return MAX_PAGE

    def _list_length(self, node: ValueNode) -> int:
        value = self._variable(node) if isinstance(node, VariableNode) else getattr(node, "values", None)
        return len(cast("list[object]", value)) if isinstance(value, list | tuple) else 1

    def _variable(self, node: VariableNode) -> Any:
        self.depends_on_variables = True
        return self._values.get(node.name.value)


def _is_internal(field: Any) -> bool:
    """Return whether a field is declared by Tertulia and not by the application."""
    module = declaring_module(field)
    return module is not None and module.startswith("tertulia.")
