"""The fast path of subscriptions returns the same results as graphql-core, for any document."""

import json
from typing import Any
from uuid import UUID

import pytest
from client import Api
from graphql import ExecutionResult, parse, validate
from graphql.execution import execute_subscription_event
from hypothesis import given
from hypothesis import strategies as some

from tertulia.schema.documents import Prepared
from tertulia.schema.root import schema
from tertulia.schema.subscription_fast_path import DELTAS, Operation, execute, template
from tertulia.streams.events import (
    ContentBlockFinished,
    ContentBlockStarted,
    GenerationCompleted,
    GenerationEvent,
    GenerationStarted,
)

ID = UUID(int=7)
CORE = schema._schema
TYPES = (
    "ContentBlockStarted",
    "TextDelta",
    "ThinkingDelta",
    "ToolInputDelta",
    "GenerationEvent",
    "MessageSnapshot",
    "GenerationCompleted",
)


def leaves_of(name: str) -> list[str]:
    """Return the fields of a type that have no subselections."""
    texts = {"TextDelta": "text", "ThinkingDelta": "text", "ToolInputDelta": "partialJson"}
    own = ["index", "offset", texts[name]] if name in texts else ["index"] if name.startswith("ContentBlock") else []
    return ["__typename", "generationId", "sequence", *own]


NESTED = {
    "ContentBlockStarted": "block { __typename }",
    "MessageSnapshot": "message { id text content { index ... on TextBlock { text } } }",
    "GenerationCompleted": "generation { id status usage { inputTokens } }",
}
DIRECTIVES = ("", "@include(if: $yes)", "@include(if: $no)", "@skip(if: $yes)", "@skip(if: $no)", "@include(if: true)")


@some.composite
def selections(draw: some.DrawFn, name: str, depth: int = 2) -> str:
    """Generate fields, aliases, directives, inline fragments and spreads that are valid on a type."""
    parts: list[str] = []
    for _ in range(draw(some.integers(1, 4))):
        directive = draw(some.sampled_from(DIRECTIVES))
        match draw(some.integers(0, 3 if depth else 1)):
            case 0 | 1:
                field = draw(some.sampled_from(leaves_of(name)))
                # Aliases of different fields differ, so that no two selections conflict.
                alias = draw(some.sampled_from(["", f"a_{field}: ", f"b_{field}: "]))
                parts.append(f"{alias}{field} {directive}")
            case 2:
                on = draw(some.sampled_from(TYPES)) if name == "GenerationEvent" else name
                inner = draw(selections(on, depth - 1))
                parts.append(f"... on {on} {directive} {{ {inner} {NESTED.get(on, '')} }}")
            case _:
                parts.append(f"...On{name} {directive}")
    return " ".join(parts)


@some.composite
def documents(draw: some.DrawFn) -> str:
    """Generate a subscription to an answer's events."""
    root = draw(some.sampled_from(["", "events: "]))
    body = draw(selections("GenerationEvent"))
    fragments = " ".join(
        f"fragment On{name} on {name} {{ {draw(selections(name, 0))} }}" for name in TYPES if f"...On{name} " in body
    )
    more = ""
    for name in TYPES:
        if f"...On{name} " in body and f"fragment On{name} " not in fragments:
            more += f" fragment On{name} on {name} {{ {draw(selections(name, 0))} }}"
    again = draw(some.sampled_from(["", f"{root}generationEvents(generationId: $id) {{ sequence }}"]))
    return (
        "subscription ($id: ID!, $yes: Boolean!, $no: Boolean!) "
        f"{{ {root}generationEvents(generationId: $id) {{ {body} }} {again} }} {fragments}{more}"
    )


@some.composite
def events(draw: some.DrawFn) -> GenerationEvent:
    numbers = some.integers(0, 2**31 - 1)
    if draw(some.integers(0, 3)) == 0:
        sequence, block = draw(numbers), {"type": "text", "text": ""}
        blocks = [kind(ID, sequence, draw(numbers), block) for kind in (ContentBlockStarted, ContentBlockFinished)]
        return draw(some.sampled_from([GenerationStarted(ID, sequence), *blocks]))
    text = draw(some.one_of(some.text(), some.text(alphabet='"\\\n\t%{}é👋\x00\u2028')))
    return draw(some.sampled_from(DELTAS))(ID, draw(numbers), draw(numbers), draw(numbers), text)


def operation(document: str) -> Operation:
    variables = {"id": str(ID), "yes": True, "no": False}
    return schema.operation(Prepared(parse(document), []), variables, None, None)


@given(documents(), events())
def test_a_template_returns_what_graphql_core_returns(document: str, event: GenerationEvent) -> None:
    errors = [error for error in validate(CORE, parse(document)) if "is never used" not in error.message]
    assert errors == []
    prepared = operation(document)
    executed = execute_subscription_event(prepared.executor(event))
    assert isinstance(executed, ExecutionResult)
    fill = template(prepared.executor(), type(event))
    if fill is None:
        # The document selects nothing of this event, or more than its leaf fields.
        value = next(iter((executed.data or {}).values()))
        assert not value or "block" in value
        return
    filled: Any = json.loads(fill(event))
    assert filled == {"data": executed.data}
    assert json.dumps(filled) == json.dumps({"data": executed.data}), "the order of the fields"


def test_every_kind_of_delta_has_a_template() -> None:
    prepared = operation("subscription ($id: ID!) { generationEvents(generationId: $id) { sequence } }")
    assert all(template(prepared.executor(), kind) for kind in DELTAS)


@pytest.mark.anyio
async def test_an_event_without_a_template_is_executed() -> None:
    prepared = operation("subscription ($id: ID!) { e: generationEvents(generationId: $id) { __typename sequence } }")
    result = await execute(prepared, GenerationCompleted(ID, 9))
    assert json.loads(result) == {"data": {"e": {"__typename": "GenerationCompleted", "sequence": 9}}}


DOCUMENT = """
  query Nothing {{ __typename }}
  subscription Whole($id: ID!, $text: Boolean! = {default}, $other: Boolean = false) {{
    generationEvents(generationId: $id, after: 0) {{
      __typename sequence @include(if: $other) ... on TextDelta {{ text @include(if: $text) offset @skip(if: $text) }}
    }}
  }}
  subscription Numbers($id: ID!, $text: Boolean!) {{
    generationEvents(generationId: $id, after: 0) {{ __typename sequence ... on TextDelta {{ text @skip(if: $text) }} }}
  }}
"""


@pytest.mark.parametrize("default", ["true", "false"])
def test_followers_with_the_same_document_get_the_fields_that_their_variables_select(api: Api, default: str) -> None:
    generation = api.answer("Hello")["generation"]["id"]
    document = DOCUMENT.format(default=default)

    def fields(name: str, **variables: bool) -> set[str]:
        """Follow the answer; return the fields of its text deltas."""
        with api.socket() as socket:
            payload = {
                "query": document,
                "operationName": name,
                "variables": {"id": generation, **variables},
            }
            socket.send({"type": "subscribe", "id": "1", "payload": payload})
            events: list[Any] = []
            while (message := socket.receive())["type"] == "next":
                events.append(message["payload"]["data"]["generationEvents"])
        (keys,) = {frozenset(event) for event in events if event["__typename"] == "TextDelta"}
        return set(keys) - {"__typename"}

    by_default = {"text"} if default == "true" else {"offset"}
    for _ in range(2):
        assert fields("Whole", text=True) == {"text"}
        assert fields("Whole", text=False) == {"offset"}
        assert fields("Whole") == by_default
        assert fields("Whole", other=True) == {"sequence", *by_default}
        assert fields("Numbers", text=True) == {"sequence"}
        assert fields("Numbers", text=False) == {"sequence", "text"}
