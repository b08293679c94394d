"""Invalid input gets an error that names the field, and changes nothing."""

import base64
import json
from decimal import Decimal
from uuid import uuid4

import pytest
from client import Api, Json

from tertulia.schema.scalars import write_decimal

LONG = 200_001
NOBODY = "01a20d3f-014f-7341-9124-61bfc6c5dd41"


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "blank"), ("   \n\t ", "blank"), ("x" * LONG, "200,000"), ("nul \0", "U+0000")],
)
def test_invalid_text_is_refused_and_nothing_is_stored(fresh: Api, text: str, says: str) -> None:
    refused = fresh.try_send(text)
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "text")
    assert says in refused["message"]
    assert fresh.ask("{ conversations { edges { cursor } } }")["conversations"]["edges"] == []


def test_text_of_the_full_length_is_sent(api: Api) -> None:
    sent = api.send("x" * (LONG - 1))
    assert api.follow(sent["generation"]["id"])[-1]["__typename"] == "GenerationCompleted"


@pytest.mark.parametrize("id", ["", "x", "0", NOBODY, f"{{{NOBODY}}}", "é" * 500, "null", "\0"])
def test_an_unknown_conversation_is_not_found(api: Api, id: str) -> None:
    assert api.try_send("Hello", conversationId=id)["__typename"] == "NotFound"
    assert api.conversation(id) is None
    delete = "mutation ($id: ID!) { deleteConversation(id: $id) { __typename ... on NotFound { id } } }"
    assert api.ask(delete, id=id)["deleteConversation"] == {"__typename": "NotFound", "id": id}
    assert api.stop(id)["__typename"] == "NotFound"
    update = 'mutation ($id: ID!) { updateConversation(input: { id: $id, title: "x" }) { __typename } }'
    assert api.ask(update, id=id)["updateConversation"]["__typename"] == "NotFound"
    assert api.ask(
        "query ($id: ID!) { node(id: $id) { id } nodes(ids: [$id]) { id } generation(id: $id) { id } }", id=id
    ) == {
        "node": None,
        "nodes": [None],
        "generation": None,
    }


def test_a_parent_of_another_conversation_is_not_found(api: Api) -> None:
    one, other = api.send("One"), api.send("Other")
    for sent in (one, other):
        api.follow(sent["generation"]["id"])
    refused = api.try_send("Go on", conversationId=one["conversation"]["id"], parentId=other["userMessage"]["id"])
    assert refused["__typename"] == "NotFound"
    assert api.try_send("Hi", parentId=str(uuid4()))["__typename"] == "NotFound"
    assert len(api.messages(one["conversation"]["id"])) == 2


def test_a_refused_first_message_leaves_no_conversation(fresh: Api) -> None:
    assert fresh.try_send("Hi", parentId=str(uuid4()))["__typename"] == "NotFound"
    assert fresh.ask("{ conversations { edges { cursor } } }")["conversations"]["edges"] == []


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"model": "gpt-4"}, "options.model"),
        ({"model": ""}, "options.model"),
        ({"maxTokens": 0}, "options.maxTokens"),
        ({"maxTokens": -5}, "options.maxTokens"),
        ({"maxTokens": 10_000_000}, "options.maxTokens"),
        ({"thinking": {"enabled": True, "budgetTokens": 5}}, "options.thinking.budgetTokens"),
        ({"thinking": {"enabled": False, "budgetTokens": 2048}}, "options.thinking.budgetTokens"),
        ({"maxTokens": 2048, "thinking": {"enabled": True, "budgetTokens": 2048}}, "options.thinking.budgetTokens"),
    ],
)
def test_an_invalid_option_is_named(api: Api, options: Json, field: str) -> None:
    refused = api.try_send("Hello", options=options)
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", field)


def test_the_error_for_an_unknown_model_lists_the_models(api: Api) -> None:
    assert "claude-opus-5-5" in api.try_send("Hello", options={"model": "nothing"})["message"]


@pytest.mark.parametrize("key", ["", "key", "123"])
def test_an_idempotency_key_must_be_a_uuid(api: Api, key: str) -> None:
    assert api.try_send("Hello", idempotencyKey=key)["field"] == "idempotencyKey"


def test_an_attachment_that_does_not_exist_is_refused(api: Api) -> None:
    assert api.try_send("Hello", attachmentIds=[str(uuid4())])["field"] == "attachmentIds"


CREATE = """mutation ($input: CreateConversationInput!) { createConversation(input: $input) {
  __typename ... on InvalidInput { field message } ... on ConversationPayload { conversation { id } } } }"""
UPDATE = """mutation ($input: UpdateConversationInput!) { updateConversation(input: $input) {
  __typename ... on InvalidInput { field } ... on ConversationPayload { conversation { title systemPrompt archived } } } }"""


@pytest.mark.parametrize(
    ("input", "field"),
    [
        ({"title": "x" * 201}, "title"),
        ({"title": "\0"}, "title"),
        ({"systemPrompt": "x" * 100_001}, "systemPrompt"),
        ({"model": "gpt-4"}, "model"),
    ],
)
def test_an_invalid_field_of_a_conversation_is_named(api: Api, input: Json, field: str) -> None:
    assert api.ask(CREATE, input=input)["createConversation"]["field"] == field
    id = api.ask(CREATE, input={"title": "kept"})["createConversation"]["conversation"]["id"]
    assert api.ask(UPDATE, input={"id": id, "archived": True, **input})["updateConversation"]["field"] == field
    conversation = api.conversation(id)
    assert (conversation["title"], conversation["archived"]) == ("kept", False)


@pytest.mark.parametrize("name", ["model", "archived", "pinned"])
def test_required_fields_of_a_conversation_cannot_be_removed(api: Api, name: str) -> None:
    conversation_id = api.ask(CREATE, input={})["createConversation"]["conversation"]["id"]
    assert api.ask(UPDATE, input={"id": conversation_id, name: None})["updateConversation"]["field"] == name


@pytest.mark.parametrize(
    "arguments",
    [
        "first: -1",
        "first: 101",
        "last: 101",
        "first: 1, last: 1",
        'after: "x"',
        'before: ""',
        'first: 1, after: "###"',
    ],
)
@pytest.mark.parametrize("field", ["conversations", "messages"])
def test_an_invalid_page_argument_is_named(api: Api, field: str, arguments: str) -> None:
    id = api.ask(CREATE, input={})["createConversation"]["conversation"]["id"]
    selection = f"{field}({arguments}) {{ edges {{ cursor }} }}"
    query = f"{{ {selection} }}" if field == "conversations" else f'{{ conversation(id: "{id}") {{ {selection} }} }}'
    error = api.errors(query)[0]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["message"].lstrip("`").partition("`")[0].split(":")[0] in arguments


def test_more_nodes_than_a_page_are_refused(api: Api) -> None:
    ids = ", ".join(f'"{number}"' for number in range(101))
    assert api.errors(f"{{ nodes(ids: [{ids}]) {{ id }} }}")[0]["message"].startswith("`ids` must have at most 100")


def test_a_number_outside_the_range_of_a_graphql_int_is_refused(api: Api) -> None:
    sent = api.send("Hello")
    query = "query ($id: ID!, $after: Int) { generation(id: $id) { events(after: $after) { edges { cursor } } } }"
    assert api.errors(query, id=sent["generation"]["id"], after=2**31)[0]["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "moment", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "9999-12-31T24:00:00", "x", "", "1e400"]
)
def test_a_time_outside_the_calendar_is_refused_in_every_argument(api: Api, moment: str) -> None:
    for field in ("usage(since: $at) { inputTokens }", "usage(until: $at) { inputTokens }", "usageByDay(since: $at) { day }",
                  "usageByDay(until: $at) { day }", "toolUsage(since: $at) { name }"):  # fmt: skip
        (error,) = api.errors(f"query ($at: DateTime) {{ viewer {{ {field} }} }}", at=moment)
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert "ISO 8601" in error["message"]
    cursor = base64.urlsafe_b64encode(f"{moment}|{NOBODY}".encode()).decode()
    (error,) = api.errors("query ($after: String) { conversations(after: $after) { edges { cursor } } }", after=cursor)
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-01-01T00:00:00"])
def test_the_first_and_last_times_of_the_calendar_are_accepted(api: Api, moment: str) -> None:
    asked = "query ($at: DateTime) { viewer { usage(since: $at) { inputTokens } usageByDay(until: $at) { day } } }"
    assert api.ask(asked, at=moment)["viewer"]["usage"]["inputTokens"] >= 0


def test_costs_are_written_without_exponents() -> None:
    for value in ("1E-12", "0E-12", "1E+2", "-2.5E-7"):
        assert "E" not in write_decimal(Decimal(value))
        assert Decimal(write_decimal(Decimal(value))) == Decimal(value)


@pytest.mark.parametrize("text", ["\ud800", "\0"])
def test_text_that_cannot_be_stored_can_be_used_in_filters(api: Api, text: str) -> None:
    for asked in (
        "query ($x: String) { conversations(filter: {titleContains: $x}) { edges { cursor } } }",
        "query ($x: String) { viewer { usage(model: $x) { inputTokens } usageByDay(model: $x) { day } } }",
    ):
        body = json.dumps({"query": asked, "variables": {"x": text}})
        answer = api.http.post("/graphql", content=body, headers={"content-type": "application/json"})
        assert "errors" not in answer.json()
