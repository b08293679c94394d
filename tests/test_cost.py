"""The cost of a GraphQL document: the number of fields that it can return, computed before execution."""

from collections.abc import Mapping
from typing import Any

import pytest
from graphql import OperationDefinitionNode, build_schema, get_introspection_query, parse

from tertulia.schema.cost import cost_of
from tertulia.schema.root import schema

CORE = schema._schema
MESSAGES = "messages(first: 100) { edges { node { id } } }"
"""A connection with an edge, a node and an id for each of its 100 items: it costs 301."""


def cost(text: str, variables: Mapping[str, Any] | None = None) -> int:
    document = parse(text)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    return cost_of(CORE, document, operation, variables or {}).cost


def node(selected: str) -> str:
    return f'{{ node(id: "x") {{ {selected} }} }}'


def test_a_field_costs_one() -> None:
    assert cost("{ viewer { id name } }") == 3


def test_a_connection_costs_as_many_items_as_it_can_return() -> None:
    assert cost("{ conversations(first: 7) { edges { node { id } } } }") == 1 + 7 * 3
    assert cost("{ conversations(last: 7) { edges { node { id } } } }") == 1 + 7 * 3
    assert cost("{ conversations(first: 2, last: 7) { edges { node { id } } } }") == 1 + 7 * 3
    assert cost("{ conversations { edges { node { id } } } }") == 1 + 50 * 3
    assert cost("{ conversations(first: 1000000) { edges { node { id } } } }") == 1 + 100 * 3
    assert cost("{ conversations(first: 0) { edges { node { id } } } }") == 1 + 1 * 3


@pytest.mark.parametrize(
    ("declared", "variables", "size"),
    [
        ("$n: Int", {"n": 7}, 7),
        ("$n: Int = 7", {}, 7),
        ("$n: Int = 7", {"n": 9}, 9),
        ("$n: Int", {}, 50),
        ("$n: Int", {"n": None}, 50),
        ("$n: Int", {"n": "many"}, 100),
    ],
)
def test_a_size_in_a_variable_is_used(declared: str, variables: dict[str, Any], size: int) -> None:
    document = f"query ({declared}) {{ conversations(first: $n) {{ edges {{ node {{ id }} }} }} }}"
    assert cost(document, variables) == 1 + size * 3


def test_lists_without_a_size_count_as_five_items_and_ids_as_their_number() -> None:
    assert cost("{ conversation(id: 1) { messages(first: 1) { edges { node { siblings { id } } } } } }") == 10
    assert cost("{ nodes(ids: [1, 2, 3]) { id } }") == 4
    assert cost("{ nodes(ids: 1) { id } }") == 2
    assert cost("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": [1, 2, 3, 4]}) == 5
    assert cost("query ($ids: [ID!]! = [1, 2, 3]) { nodes(ids: $ids) { id } }") == 4


def test_a_search_costs_a_hundred_and_each_mutation_ten() -> None:
    assert cost('{ searchMessages(query: "x", first: 2) { edges { score } } }') == 100 + 2 * 2
    one = 'deleteConversation(id: "x") { __typename }'
    assert cost(f"mutation {{ {one} }}") == 12
    assert cost(f"mutation {{ a: {one} b: {one} }}") == 24


def test_nested_of_type_counts_at_most_three_times() -> None:
    def nested(depth: int) -> str:
        return "ofType { " * depth + "name" + " }" * depth

    costs = [cost(f'{{ __type(name: "Query") {{ {nested(depth)} }} }}') for depth in range(6)]
    assert costs == [2, 3, 4, 5, 5, 5]


def test_the_usual_introspection_of_a_large_schema_stays_within_the_limit_and_that_of_a_small_one_costs_less() -> None:
    document = parse(get_introspection_query(input_value_deprecation=True))
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    small = "type Query { id: ID } "
    large = small + " ".join(f"type T{number} {{ a(b: Int): Int c: [T0!]! }}" for number in range(3000))
    assert 10_000 < cost_of(build_schema(large), document, operation, {}).cost <= 20_001
    assert cost_of(build_schema(small), document, operation, {}).cost < 5_000


def test_every_fragment_on_one_type_counts() -> None:
    on_type = f"... on Conversation {{ {{}}: {MESSAGES} }}"
    repeated = " ".join(on_type.replace("{}", name) for name in ("a", "b", "c"))
    assert cost(node(repeated)) == 1 + 3 * 301


def test_every_spread_of_one_fragment_counts() -> None:
    fragment = f" fragment Messages on Conversation {{ {MESSAGES} }}"
    assert cost(node("...Messages ...Messages") + fragment) == 1 + 2 * 301


def test_only_the_most_expensive_of_fragments_on_different_types_counts() -> None:
    assert cost(node(f"__typename ... on Conversation {{ {MESSAGES} }} ... on Message {{ id text }}")) == 2 + 301


def test_fragments_on_an_interface_of_an_object_count_beside_those_on_its_type() -> None:
    assert cost("{ viewer { ... on Viewer { id name } ... on Node { id } } }") == 1 + 2 + 1


def test_a_fragment_on_the_same_type_costs_as_much_as_its_fields() -> None:
    plain = cost(f'{{ conversation(id: "x") {{ {MESSAGES} }} }}')
    assert cost(f'{{ conversation(id: "x") {{ ... on Conversation {{ {MESSAGES} }} }} }}') == plain == 302
    assert cost(f'{{ conversation(id: "x") {{ ... {{ {MESSAGES} }} }} }}') == plain
