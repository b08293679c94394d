"""A query that is executed a level at a time gives what graphql-core gives, for any document."""

import json
from typing import Any
from uuid import uuid4

import pytest
from client import Api
from graphql import GraphQLInterfaceType, GraphQLUnionType, get_named_type, is_leaf_type
from hypothesis import assume, given, settings
from hypothesis import strategies as some

from tertulia.schema import query_fast_path
from tertulia.schema.root import schema

CORE: Any = schema._schema
DIRECTIVES = ("", "", "", "@include(if: $yes)", "@include(if: $no)", "@skip(if: $yes)", "@skip(if: $no)")
VARIABLES = {"yes": True, "no": False, "size": 2}
THE_OTHER_WAY = "schema: __schema { __typename }"
"""Introspection is left to graphql-core, and with it all of the document that it stands in."""
IDS = [f"${name}" for name in ("conversation", "question", "answer", "generation", "failed", "nobody")]


@pytest.fixture(scope="module")
def ids(api: Api) -> dict[str, str]:
    """An id of each kind, by the names of the variables that bear them."""
    sent = api.send("Good morning")
    api.follow(sent["generation"]["id"])
    conversation = sent["conversation"]["id"]
    api.answer("/simulate thinking", conversationId=conversation)
    failed = api.send("/simulate error", conversationId=conversation)["generation"]["id"]
    api.follow(failed)
    question, answer, *_ = api.messages(conversation)
    return {
        "conversation": conversation,
        "question": question["id"],
        "answer": answer["id"],
        "generation": answer["generation"]["id"],
        "failed": failed,
        "nobody": str(uuid4()),
    }


@some.composite
def selections(draw: some.DrawFn, type_: Any, depth: int) -> str:
    """Fields, aliases, arguments, directives, inline fragments and spreads on a type."""
    parts: list[str] = draw(some.sampled_from([[], ["__typename"], ["kind: __typename"]]))[:]
    fields = {} if isinstance(type_, GraphQLUnionType) else type_.fields
    for name in draw(some.lists(some.sampled_from(sorted(fields)), max_size=5)) if fields else []:
        shown = get_named_type(fields[name].type)
        if is_leaf_type(shown) or depth > 0:
            below = "" if is_leaf_type(shown) else f"{{ {draw(selections(shown, depth - 1))} }}"
            parts.append(f"{draw(called(name, fields[name].args))} {draw(some.sampled_from(DIRECTIVES))} {below}")
    if isinstance(type_, GraphQLInterfaceType | GraphQLUnionType):
        shown = draw(some.lists(some.sampled_from(CORE.get_possible_types(type_)), max_size=3))
        parts += [
            f"... on {on.name} {draw(some.sampled_from(DIRECTIVES))} {{ {draw(selections(on, depth))} }}"
            for on in shown
        ]
    elif type_.name in ("Conversation", "Message", "Generation") and depth > 0 and draw(some.booleans()):
        parts.append(f"...On{type_.name} {draw(some.sampled_from(DIRECTIVES))}")
    return " ".join(parts) or "__typename"


@some.composite
def called(draw: some.DrawFn, name: str, arguments: dict[str, Any]) -> str:
    """A field with its arguments, under a key that no field with other arguments has."""
    written: list[str] = []
    if "id" in arguments:
        written.append(f"id: {draw(some.sampled_from(IDS))}")
    if "ids" in arguments:
        written.append(f"ids: [{', '.join(draw(some.lists(some.sampled_from(IDS), max_size=4)))}]")
    if "first" in arguments:
        written += draw(some.sampled_from([[], ["first: 1"], ["first: $size"], ["first: 0"], ["first: 101"]]))
    if not written:
        return draw(some.sampled_from([name, f"a_{name}: {name}"]))
    told = "".join(character if character.isalnum() else "_" for character in "".join(written))
    return f"{name}{told}: {name}({', '.join(written)})"


@some.composite
def bodies(draw: some.DrawFn) -> tuple[str, str]:
    """What a query selects, and the fragments that it spreads."""
    body = draw(selections(CORE.query_type, draw(some.integers(1, 5))))
    fragments = ""
    for name in ("Conversation", "Message", "Generation"):
        if f"...On{name} " in body:
            fragments += f" fragment On{name} on {name} {{ {draw(selections(CORE.get_type(name), 0))} }}"
    return body, fragments


def document(body: str, fragments: str) -> str:
    uses = "".join(f" u{number}: node(id: {name}) {{ __typename }}" for number, name in enumerate(IDS))
    rest = f"{uses} c: conversations(first: $size) {{ __typename }} y: __typename @skip(if: $yes) @include(if: $no)"
    declared = ", ".join(f"{name}: ID!" for name in IDS)
    return f"query ({declared}, $yes: Boolean!, $no: Boolean!, $size: Int!) {{ {body} {rest} }}{fragments}"


def without_traces(result: dict[str, Any]) -> str:
    for error in result.get("errors", []):
        del error["locations"]
    return json.dumps(result)


@settings(max_examples=60)
@given(bodies())
def test_a_level_at_a_time_gives_what_graphql_core_gives(api: Api, ids: dict[str, str], asked: tuple[str, str]) -> None:
    body, fragments = asked
    theirs = api.post(document(f"{body} {THE_OTHER_WAY}", fragments), VARIABLES | ids).json()
    assume("data" in theirs)  # Otherwise the document is not valid.
    ours = api.post(document(body, fragments), VARIABLES | ids).json()
    if theirs["data"] is not None:
        assert theirs["data"].pop("schema") == {"__typename": "__Schema"}
    assert without_traces(ours) == without_traces(theirs), "the same values, in the same order"


PLAIN = """query ($conversation: ID!) {
  viewer { id usage { outputTokens } } models { id }
  conversations(first: 2) { edges { node { id lastMessage { text role } activeGeneration { id } } } }
  conversation(id: $conversation) { messages { edges { node {
    content { index ... on TextBlock { text } } parent { id } siblings { id } generation { status usage { inputTokens } }
  } } } }
}"""


def test_plain_queries_never_leave_the_fast_path(api: Api, ids: dict[str, str]) -> None:
    before = dict(query_fast_path.fallbacks())
    found = api.ask(PLAIN, conversation=ids["conversation"])
    assert query_fast_path.fallbacks() == before
    assert found["conversation"]["messages"]["edges"][0]["node"]["content"][0]["text"] == "Good morning"


def test_what_a_level_cannot_give_is_left_to_graphql_core(
    api: Api, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = api.ask(PLAIN, conversation=ids["conversation"])

    async def cannot(_executor: Any) -> Any:
        raise query_fast_path.FallBack(query_fast_path.FallbackReason.NULL, "viewer")

    monkeypatch.setattr(query_fast_path, "execute", cannot)
    assert api.ask(PLAIN, conversation=ids["conversation"]) == expected


def test_a_query_over_a_socket_is_executed_the_same_way(api: Api, ids: dict[str, str]) -> None:
    before = dict(query_fast_path.fallbacks())
    with api.socket() as socket:
        socket.subscribe(PLAIN, {"conversation": ids["conversation"]}, id="q")
        assert socket.receive()["payload"] == {"data": api.ask(PLAIN, conversation=ids["conversation"])}
        assert socket.receive() == {"id": "q", "type": "complete"}
    assert query_fast_path.fallbacks() == before
