"""The cost of an operation, before it is executed: about how many fields it may give.

A field costs 1, and what is selected inside of it as much as it may give: as many times as `first` or `last` says, or a
page where neither does; as many as `ids` names; 5 times for any other list. Of fragments on different object types the
most expensive one counts, because an object has one type. A mutation costs 10 more, a search 100. Introspection costs 1
a field. Fragments are walked once.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

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
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
)

from db.paging import DEFAULT_PAGE, MAX_PAGE

MAX_COST = 30_000
OF_LIST = 5
"""What a list counts as that nobody bounds."""
OF_MUTATION = 10
OF_SEARCH = 100
PAGED = ("first", "last")
MANY, SEARCHED = "ids", "query"


def cost_of(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> int:
    """Give the cost of an operation of a valid document."""
    root = schema.get_root_type(operation.operation)
    counted = _Counting(schema, document, _values(operation, variables)).of_set(operation.selection_set, root)
    if operation.operation is OperationType.MUTATION:
        counted += OF_MUTATION * len(operation.selection_set.selections)
    return counted


def _values(operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Give variables with their defaults, as far as numbers and lists go."""
    found: dict[str, Any] = {}
    for node in operation.variable_definitions or ():
        name = node.variable.name.value
        if name in variables:
            found[name] = variables[name]
        elif isinstance(node.default_value, IntValueNode):
            found[name] = int(node.default_value.value)
        elif isinstance(node.default_value, ListValueNode):
            found[name] = node.default_value.values
    return found


class _Counting:
    """One operation, whose fragments are counted once."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, values: Mapping[str, Any]) -> None:
        self._schema = schema
        self._values = values
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._known: dict[str, int] = {}

    def of_set(self, selected: SelectionSetNode | None, parent: GraphQLNamedType | None) -> int:
        """Count what is selected on a type."""
        total = 0
        by_type = Counter[str]()
        for node in selected.selections if selected else ():
            if isinstance(node, FieldNode):
                total += self._of_field(node, parent)
                continue
            inner, cost = self._of_fragment(node, parent)
            if isinstance(inner, GraphQLObjectType) and inner is not parent:
                by_type[inner.name] += cost
            else:
                total += cost
        return total + max(by_type.values(), default=0)

    def _of_fragment(self, node: SelectionNode, parent: GraphQLNamedType | None) -> tuple[GraphQLNamedType | None, int]:
        """Give the type that a fragment is on, and its cost."""
        if isinstance(node, InlineFragmentNode):
            condition = node.type_condition
            inner = self._schema.get_type(condition.name.value) if condition else parent
            return inner, self.of_set(node.selection_set, inner)
        name = node.name.value if isinstance(node, FragmentSpreadNode) else ""
        fragment = self._fragments[name]
        inner = self._schema.get_type(fragment.type_condition.name.value)
        if name not in self._known:
            self._known[name] = self.of_set(fragment.selection_set, inner)
        return inner, self._known[name]

    def _of_field(self, node: FieldNode, parent: GraphQLNamedType | None) -> int:
        fields: dict[str, Any] = getattr(parent, "fields", {})
        field = fields.get(node.name.value)
        if field is None or node.selection_set is None:
            return 1
        of_type = cast("GraphQLNamedType", get_named_type(field.type))
        inner = self.of_set(node.selection_set, of_type)
        itself = OF_SEARCH if SEARCHED in field.args else 1
        return itself + self._factor(node, field, parent) * inner

    def _factor(self, node: FieldNode, field: Any, parent: GraphQLNamedType | None) -> int:
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        if any(name in field.args for name in PAGED):
            sizes = [self._number(given[name]) for name in PAGED if name in given]
            return min(max(sizes, default=DEFAULT_PAGE), MAX_PAGE)
        if MANY in field.args and MANY in given:
            return self._length(given[MANY])
        # A connection's edges were counted with the connection.
        connected = parent is not None and parent.name.endswith("Connection")
        return OF_LIST if str(field.type).startswith("[") and not connected else 1

    def _number(self, node: ValueNode) -> int:
        found = self._values.get(node.name.value) if isinstance(node, VariableNode) else getattr(node, "value", None)
        try:
            return max(int(found), 1) if found is not None else DEFAULT_PAGE
        except (TypeError, ValueError):
            return MAX_PAGE

    def _length(self, node: ValueNode) -> int:
        found = self._values.get(node.name.value) if isinstance(node, VariableNode) else getattr(node, "values", None)
        return len(cast("list[object]", found)) if isinstance(found, list | tuple) else 1
