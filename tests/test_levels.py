"""The fast path of queries returns the same result as graphql-core, for any document."""

import json
from typing import Any
from uuid import uuid4

import pytest
from client import Api
from graphql import GraphQLInterfaceType, GraphQLUnionType, get_named_type, is_leaf_type
from hypothesis import assume, given, settings
from hypothesis import strategies as some

from tertulia.schema import fallbacks, query_fast_path
from tertulia.schema.root import schema

CORE: Any = schema._schema
DIRECTIVES = ("", "", "", "@include(if: $yes)", "@include(if: $no)", "@skip(if: $yes)", "@skip(if: $no)")
VARIABLES = {"yes": True, "no": False, "size": 2}
INTROSPECTION = "schema: __schema { __typename }"
"""A selection that makes graphql-core execute the whole document, because the fast path does not support it."""
SHARE = "mutation ($id: ID!) { shareConversation(id: $id) { ... on ShareConversationPayload { token } } }"
IDS = [f"${name}" for name in ("conversation", "question", "answer", "generation", "failed", "nobody")]


@pytest.fixture(scope="module")
def ids(api: Api) -> dict[str, str]:
    """Return an id of each kind, by the name of its variable."""
    sent = api.send("Good morning")
    api.follow(sent["generation"]["id"])
    conversation = sent["conversation"]["id"]
    api.answer("/simulate thinking", conversationId=conversation)
    failed = api.send("/simulate error 1 reject", conversationId=conversation)["generation"]["id"]
    api.follow(failed)
    question, answer, *_ = api.messages(conversation)
    return {
        "conversation": conversation,
        "question": question["id"],
        "answer": answer["id"],
        "generation": answer["generation"]["id"],
        "failed": failed,
        "nobody": str(uuid4()),
        "token": api.ask(SHARE, id=conversation)["shareConversation"]["token"],
    }


@some.composite
def selections(draw: some.DrawFn, type_: Any, depth: int) -> str:
    """Generate fields, aliases, arguments, directives, inline fragments and spreads on a type."""
    parts: list[str] = draw(some.sampled_from([[], ["__typename"], ["kind: __typename"]]))[:]
    fields = {} if isinstance(type_, GraphQLUnionType) else type_.fields
    for name in draw(some.lists(some.sampled_from(sorted(fields)), max_size=5)) if fields else []:
        named_type = get_named_type(fields[name].type)
        if is_leaf_type(named_type) or depth > 0:
            below = "" if is_leaf_type(named_type) else f"{{ {draw(selections(named_type, depth - 1))} }}"
            parts.append(
                f"{draw(field_with_arguments(name, fields[name].args))} {draw(some.sampled_from(DIRECTIVES))} {below}"
            )
    if isinstance(type_, GraphQLInterfaceType | GraphQLUnionType):
        named_type = draw(some.lists(some.sampled_from(CORE.get_possible_types(type_)), max_size=3))
        parts += [
            f"... on {on.name} {draw(some.sampled_from(DIRECTIVES))} {{ {draw(selections(on, depth))} }}"
            for on in named_type
        ]
    elif type_.name in ("Conversation", "Message", "Generation") and depth > 0 and draw(some.booleans()):
        parts.append(f"...On{type_.name} {draw(some.sampled_from(DIRECTIVES))}")
    return " ".join(parts) or "__typename"


@some.composite
def field_with_arguments(draw: some.DrawFn, name: str, arguments: dict[str, Any]) -> str:
    """Generate a field with arguments. Its response key depends on them, so that fields never conflict."""
    written: list[str] = []
    if "id" in arguments:
        written.append(f"id: {draw(some.sampled_from(IDS))}")
    if "ids" in arguments:
        written.append(f"ids: [{', '.join(draw(some.lists(some.sampled_from(IDS), max_size=4)))}]")
    if "first" in arguments:
        written += draw(some.sampled_from([[], ["first: 1"], ["first: $size"], ["first: 0"], ["first: 101"]]))
    if "token" in arguments:
        written.append("token: $token")
    if not written:
        return draw(some.sampled_from([name, f"a_{name}: {name}"]))
    suffix = "".join(character if character.isalnum() else "_" for character in "".join(written))
    return f"{name}{suffix}: {name}({', '.join(written)})"


@some.composite
def bodies(draw: some.DrawFn) -> tuple[str, str]:
    """Generate a query's selections and the fragments that they spread."""
    body = draw(selections(CORE.query_type, draw(some.integers(1, 5))))
    fragments = ""
    for name in ("Conversation", "Message", "Generation"):
        if f"...On{name} " in body:
            fragments += f" fragment On{name} on {name} {{ {draw(selections(CORE.get_type(name), 0))} }}"
    return body, fragments


def document(body: str, fragments: str) -> str:
    uses = "".join(f" u{number}: node(id: {name}) {{ __typename }}" for number, name in enumerate(IDS))
    rest = f"{uses} c: conversations(first: $size) {{ __typename }} t: sharedConversation(token: $token) {{ __typename }} y: __typename @skip(if: $yes) @include(if: $no)"
    declared = ", ".join(f"{name}: ID!" for name in IDS)
    return f"query ({declared}, $yes: Boolean!, $no: Boolean!, $size: Int!, $token: String!) {{ {body} {rest} }}{fragments}"


def without_locations(result: dict[str, Any]) -> str:
    for error in result.get("errors", []):
        del error["locations"]
    return json.dumps(result)


@settings(max_examples=60)
@given(bodies())
def test_the_fast_path_of_queries_returns_what_graphql_core_returns(
    api: Api, ids: dict[str, str], asked: tuple[str, str]
) -> None:
    body, fragments = asked
    expected = api.post(document(f"{body} {INTROSPECTION}", fragments), VARIABLES | ids).json()
    assume("data" in expected)  # Otherwise the document is not valid.
    actual = api.post(document(body, fragments), VARIABLES | ids).json()
    if expected["data"] is not None:
        assert expected["data"].pop("schema") == {"__typename": "__Schema"}
    assert without_locations(actual) == without_locations(expected), "the same values, in the same order"


PLAIN = """query ($conversation: ID!) {
  viewer { id usage { outputTokens } } models { id }
  conversations(first: 2) { edges { node { id lastMessage { text role } activeGeneration { id } } } }
  conversation(id: $conversation) { messages { edges { node {
    content { index ... on TextBlock { text } } parent { id } siblings { id } generation { status usage { inputTokens } }
  } } } }
}"""


def test_plain_queries_stay_on_the_fast_path(api: Api, ids: dict[str, str]) -> None:
    before = dict(fallbacks.fallbacks())
    result = api.ask(PLAIN, conversation=ids["conversation"])
    assert fallbacks.fallbacks() == before
    assert result["conversation"]["messages"]["edges"][0]["node"]["content"][0]["text"] == "Good morning"


def test_one_document_selects_other_fields_with_other_variables(api: Api) -> None:
    query = "query ($name: Boolean = true) { viewer { id @skip(if: $name) name @include(if: $name) } }"
    before = dict(fallbacks.fallbacks())
    for _ in range(2):
        assert api.ask(query) == {"viewer": {"name": "local"}}
        assert list(api.ask(query, name=False)["viewer"]) == ["id"]
    assert fallbacks.fallbacks() == before


def test_a_query_that_the_fast_path_cannot_execute_falls_back_to_graphql_core(
    api: Api, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = api.ask(PLAIN, conversation=ids["conversation"])

    async def cannot(_executor: Any, _plans: Any) -> Any:
        raise fallbacks.FallBack(fallbacks.FallbackReason.NULL, "viewer")

    monkeypatch.setattr(query_fast_path, "execute", cannot)
    assert api.ask(PLAIN, conversation=ids["conversation"]) == expected


def test_a_query_over_a_socket_uses_the_fast_path(api: Api, ids: dict[str, str]) -> None:
    before = dict(fallbacks.fallbacks())
    with api.socket() as socket:
        socket.subscribe(PLAIN, {"conversation": ids["conversation"]}, id="q")
        assert socket.receive()["payload"] == {"data": api.ask(PLAIN, conversation=ids["conversation"])}
        assert socket.receive() == {"id": "q", "type": "complete"}
    assert fallbacks.fallbacks() == before
