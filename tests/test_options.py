"""Options, thinking and structured output: the Models API's capabilities of a model decide what is accepted."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from client import Api, Json
from conftest import Staged
from scripted import model, says

EFFORTS = ("low", "medium", "high", "xhigh", "max")
MODELS = "{ models { id thinking efforts } }"


def takes(id: str, forms: Sequence[str], efforts: Sequence[str] = EFFORTS) -> Json:
    """Return a model with these capabilities, as the Models API lists it."""

    def support(names: Sequence[str], among: Sequence[str]) -> Json:
        return {name: {"supported": name in names} for name in among}

    no = {"supported": False}
    others = ("batch", "citations", "code_execution", "image_input", "pdf_input", "structured_outputs")
    all_forms = ("adaptive", "between_tools", "disabled", "enabled")
    capabilities = {
        **dict.fromkeys(others, no),
        "context_management": no,
        "server_tools": {**no, "code_execution": no, "web_search": no},
        "effort": {"supported": bool(efforts), **support(efforts, EFFORTS)},
        "thinking": {"supported": bool(forms), "types": support(forms, all_forms)},
    }
    return {**model(id), "lifecycle": "active", "capabilities": capabilities}


def request_for(staged: Staged, forms: Sequence[str] | None, **options: Any) -> Json:
    """Send a message with these options to a model that supports these forms of thinking; return the request."""
    stage = staged(says("Hi"))
    model_ = model("claude-opus-5-5") if forms is None else takes("claude-opus-5-5", forms)
    stage.claude.models = [model_]
    stage.api.answer("Hello", options=options)
    return stage.claude.requests[0]


SHOWN = {"type": "adaptive", "display": "summarized"}


@pytest.mark.parametrize(
    ("forms", "option", "thinking"),
    [
        (["adaptive"], None, SHOWN),
        (["adaptive", "disabled"], None, SHOWN),
        (["enabled", "disabled"], None, None),
        ([], None, None),
        (None, None, None),
        (["adaptive"], {"enabled": True}, SHOWN),
        (["adaptive", "disabled"], {"enabled": False}, {"type": "disabled"}),
        (["adaptive", "between_tools"], {"enabled": False}, {"type": "between_tools"}),
        (["enabled", "disabled"], {"enabled": True}, {"type": "enabled", "budget_tokens": 16_000}),
        (["enabled", "adaptive"], {"enabled": True, "budgetTokens": 2048}, {"type": "enabled", "budget_tokens": 2048}),
        (None, {"enabled": False}, {"type": "disabled"}),
        (None, {"enabled": True, "budgetTokens": 2048}, {"type": "enabled", "budget_tokens": 2048}),
    ],
)
def test_thinking_is_requested_in_a_form_that_the_model_supports(
    staged: Staged, forms: Sequence[str] | None, option: Json | None, thinking: Json | None
) -> None:
    request = request_for(staged, forms, **({} if option is None else {"thinking": option}))
    # How the API treats thinking of another conversation is tested with its replay.
    sent = {key: value for key, value in request.get("thinking", {}).items() if key != "block_binding"}
    assert sent == (thinking or {})


@pytest.mark.parametrize(
    ("forms", "options", "field"),
    [
        (["adaptive"], {"thinking": {"enabled": False}}, "options.thinking.enabled"),
        (["disabled"], {"thinking": {"enabled": True}}, "options.thinking.enabled"),
        (["adaptive"], {"thinking": {"enabled": True, "budgetTokens": 2048}}, "options.thinking.budgetTokens"),
        (["adaptive"], {"effort": "MAX"}, "options.effort"),
        (["adaptive"], {"maxTokens": 128_001}, "options.maxTokens"),
        (["adaptive"], {"maxTokens": 0}, "options.maxTokens"),
    ],
)
def test_unsupported_options_are_refused_with_their_field_and_nothing_is_stored(
    staged: Staged, forms: Sequence[str], options: Json, field: str
) -> None:
    stage = staged(says("Hi"))
    stage.claude.models = [takes("claude-opus-5-5", forms, EFFORTS[:3])]
    refused = stage.api.try_send("Hello", options=options)
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", field)
    conversations = stage.api.ask("{ conversations { edges { node { id } } } }")["conversations"]["edges"]
    assert (conversations, stage.claude.requests) == ([], [])


def test_a_message_without_a_model_uses_the_conversations_model(staged: Staged) -> None:
    stage = staged(says("Hi"))
    stage.claude.models = [takes("claude-opus-5-5", ["adaptive"]), takes("claude-haiku-4-5", ["enabled", "disabled"])]
    sent = stage.api.send("Hello", options={"model": "claude-haiku-4-5"})
    stage.api.follow(sent["generation"]["id"])
    id = sent["conversation"]["id"]
    stage.api.answer("Again", conversationId=id, options={"thinking": {"enabled": False}})
    assert stage.claude.requests[1]["thinking"] == {"type": "disabled"}


CREATE = """mutation ($input: CreateConversationInput!) { made: createConversation(input: $input) {
  ... on ConversationPayload { conversation { id options { maxTokens effort thinking { enabled budgetTokens } } } }
  ... on InvalidInput { field }
} }"""
UPDATE = CREATE.replace("CreateConversationInput", "UpdateConversationInput").replace("createC", "updateC")


def test_a_conversations_options_apply_to_messages_without_their_own(staged: Staged) -> None:
    stage = staged(says("Hi"))
    kept = {"maxTokens": 900, "effort": "HIGH", "thinking": {"enabled": True, "budgetTokens": None}}
    conversation = stage.api.ask(CREATE, input={"options": kept})["made"]["conversation"]
    assert conversation["options"] == kept
    stage.api.answer("1", conversationId=conversation["id"])
    stage.api.answer("2", conversationId=conversation["id"], options={"effort": "LOW"})
    stage.api.ask(UPDATE, input={"id": conversation["id"], "options": None})
    stage.api.answer("3", conversationId=conversation["id"])
    requests = stage.claude.requests
    assert [request["max_tokens"] for request in requests] == [900, 900, 32_000]
    assert [request.get("output_config") for request in requests] == [{"effort": "high"}, {"effort": "low"}, None]
    assert ["thinking" in request for request in requests] == [True, True, False]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"effort": "MAX"}, "options.effort"),
        ({"maxTokens": 0}, "options.maxTokens"),
        ({"model": "claude-opus-5-5"}, "options.model"),
        ({"thinking": {"enabled": False}}, "options.thinking.enabled"),
    ],
)
def test_invalid_options_of_a_conversation_are_refused_with_their_field(
    staged: Staged, options: Json, field: str
) -> None:
    stage = staged(says("Hi"))
    stage.claude.models = [takes("claude-opus-5-5", ["adaptive"], ["low"])]
    assert stage.api.ask(CREATE, input={"options": options})["made"] == {"field": field}
    conversation = stage.api.ask(CREATE, input={})["made"]["conversation"]["id"]
    assert stage.api.ask(UPDATE, input={"id": conversation, "options": options})["made"] == {"field": field}


def test_a_conversations_options_that_another_model_does_not_support_are_refused_when_a_message_is_sent(
    staged: Staged,
) -> None:
    stage = staged(says("Hi"))
    stage.claude.models = [takes("claude-opus-5-5", ["adaptive"]), takes("claude-haiku-5-5", ["adaptive"], ["low"])]
    conversation = stage.api.ask(CREATE, input={"options": {"effort": "MAX"}})["made"]["conversation"]["id"]
    refused = stage.api.try_send("Hi", conversationId=conversation, options={"model": "claude-haiku-5-5"})
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "options.effort")
    assert stage.api.messages(conversation) == []


def test_models_list_their_thinking_forms_and_efforts(staged: Staged) -> None:
    stage = staged(says("Hi"))
    stage.claude.models = [takes("claude-opus-5-5", ["adaptive"], ["low", "high"]), model("claude-haiku-5-5")]
    assert stage.api.ask(MODELS)["models"] == [
        {"id": "claude-opus-5-5", "thinking": ["adaptive"], "efforts": ["high", "low"]},
        {"id": "claude-haiku-5-5", "thinking": None, "efforts": None},
    ]


def test_a_simulated_model_refuses_an_unsupported_form_of_thinking(api: Api) -> None:
    refused = api.try_send("Hello", options={"thinking": {"enabled": False}})
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "options.thinking.enabled")
    ended = api.answer("Hello", options={"model": "claude-haiku-4-5", "thinking": {"enabled": False}})
    assert ended["__typename"] == "GenerationCompleted"


SCHEMA: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer", "minimum": 1}},
    "required": ["city", "people"],
}
STRUCTURED = """
  query ($id: ID!) { generation(id: $id) { message { text content { __typename index
    ... on JsonBlock { text value problem } } } conversation { options { outputSchema } } } }
"""


def block_of(api: Api, generation: str) -> Json:
    block: Json = api.ask(STRUCTURED, id=generation)["generation"]["message"]["content"][0]
    return block


@pytest.mark.parametrize(
    ("said", "value", "problem"),
    [
        ('{"city": "Ávila", "people": 58000}', {"city": "Ávila", "people": 58000}, None),
        ('{"city": "Ávila", "people": 0}', None, "['people']: 0 is less than the minimum of 1"),
        ('{"city": "Ávila"}', None, '"people" is a required property'),
        ('{"city": "Áv', None, "The text is not JSON"),
        ("[" * 5000, None, "The text is not JSON"),
    ],
)
def test_structured_output_is_checked_against_its_schema(
    staged: Staged, said: str, value: Json | None, problem: str | None
) -> None:
    stage = staged(says(said[:5], said[5:]), says("Hi"))
    sent = stage.api.send("Describe Ávila", options={"outputSchema": SCHEMA})
    events = stage.api.follow(sent["generation"]["id"], 0)
    kinds = [event["block"]["__typename"] for event in events if "block" in event]
    assert kinds == ["JsonBlock", "JsonBlock"]
    block = block_of(stage.api, sent["generation"]["id"])
    assert (block["text"], block["value"]) == (said, value)
    assert block["problem"] is None if problem is None else problem in block["problem"]
    asked_for = stage.claude.requests[0]["output_config"]["format"]
    assert (asked_for["type"], asked_for["schema"]["additionalProperties"]) == ("json_schema", False)
    stage.api.answer("And now in prose", conversationId=sent["conversation"]["id"])
    assert stage.claude.requests[1]["messages"][1]["content"] == [{"type": "text", "text": said}]
    assert "output_config" not in stage.claude.requests[1]


def test_an_output_schema_can_be_an_option_of_the_conversation(api: Api) -> None:
    conversation = api.ask(CREATE, input={"options": {"outputSchema": SCHEMA}})["made"]["conversation"]["id"]
    sent = api.send("Anything", conversationId=conversation)
    api.follow(sent["generation"]["id"])
    assert block_of(api, sent["generation"]["id"])["value"] == {"city": "example", "people": 1}
    stored_schema = api.ask(STRUCTURED, id=sent["generation"]["id"])["generation"]["conversation"]["options"][
        "outputSchema"
    ]
    assert stored_schema == SCHEMA


DEEP: Json = json.loads('{"not":' * 70 + "{}" + "}" * 70)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("text", "an object"),
        ([], "an object"),
        ({"type": "banana"}, "not a valid JSON schema"),
        ({"type": "string", "pattern": "("}, "not a valid JSON schema"),
        ({"$ref": "http://127.0.0.1:1/schema"}, "must point into the schema itself"),
        ({"type": "string", "description": "x" * 70_000}, "65,536 bytes"),
        (DEEP, "64 levels"),
    ],
)
def test_an_invalid_output_schema_is_refused(api: Api, schema: Any, words: str) -> None:
    refused = api.try_send("Hello", options={"outputSchema": schema})
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "options.outputSchema")
    assert words in refused["message"]


def test_an_output_schema_is_refused_for_a_model_without_structured_outputs(staged: Staged) -> None:
    stage = staged(says("Hi"))
    stage.claude.models = [takes("claude-opus-5-5", ["adaptive"])]
    refused = stage.api.try_send("Hello", options={"outputSchema": SCHEMA})
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "options.outputSchema")
