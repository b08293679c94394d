"""Refusals: what the user sees, what later requests contain, and which model answers instead."""

from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from client import Api, Json
from conftest import Staged
from running import execute, tertulia
from scripted import START, Reply, begin, end, finish, model, says, text
from test_tools import MODULE

REFUSED = """query ($id: ID!) { conversation(id: $id) { messages(last: 20) { edges { node { text
  leftOut { reason blocks } content { index ... on TextBlock { text models } }
  generation { model { id } stopReason refusal { category explanation } continuations
    usage { inputTokens outputTokens costUsd } } } } } } }"""
OPUS = "claude-opus-5-5"


def refuses(*written: str, **details: Any) -> Reply:
    """Return an answer that ends with a refusal."""
    blocks = text(*written) if written else []
    ended, stop = end("refusal")
    ended["delta"]["stop_details"] = {"type": "refusal", "category": "cyber", **details}
    return Reply([START, *blocks, ended, stop])


def answers(api: Api, conversation_id: str) -> list[Json]:
    edges = api.ask(REFUSED, id=conversation_id)["conversation"]["messages"]["edges"]
    return [edge["node"] for edge in edges if edge["node"]["generation"]]


def say(api: Api, words: str, **more: Any) -> Json:
    """Send a message, wait until its answer has ended, and return the answer, with the conversation's id."""
    sent = api.send(words, **more)
    api.follow(sent["generation"]["id"])
    return answers(api, sent["conversation"]["id"])[-1] | {"conversationId": sent["conversation"]["id"]}


def test_a_refusal_has_the_category_and_the_explanation_of_claude(staged: Staged) -> None:
    stage = staged(refuses("I would", explanation="It could enable cyber harm.", fallback_credit_token="fct_1"))
    answer = say(stage.api, "Something bad")
    assert (answer["text"], answer["generation"]["stopReason"]) == ("I would", "REFUSAL")
    assert answer["generation"]["refusal"] == {"category": "cyber", "explanation": "It could enable cyber harm."}
    chat = stage.api.http.post("/chat", json={"message": "Something bad"}).json()
    assert chat["refusal"] == {"category": "cyber", "explanation": "It could enable cyber harm."}
    assert stage.api.http.post("/chat", json={"message": "x"}).json()["stop_reason"] == "refusal"
    exported = stage.api.http.get("/export?format=markdown").text
    assert "(stop reason: refusal). It could enable cyber harm." in exported


@pytest.mark.parametrize("details", [None, "no", {"category": 7}, {"category": "\ud800", "explanation": "x" * 9000}])
def test_malformed_details_of_a_refusal_do_not_fail_the_answer(staged: Staged, details: Any) -> None:
    ended, stop = end("refusal")
    ended["delta"]["stop_details"] = details
    generation = say(staged(Reply([START, ended, stop])).api, "Hi")["generation"]
    assert generation["stopReason"] == "REFUSAL"
    assert len(generation["refusal"]["explanation"] or "") <= 2000


def test_without_a_fallback_the_simulator_refuses_until_the_turn_is_left_out(api: Api) -> None:
    refused = say(api, "/simulate refusal")
    assert refused["generation"]["refusal"]["explanation"] == "The request was declined."
    later = say(api, "And 2 + 2?", conversationId=refused["conversationId"])
    assert later["generation"]["stopReason"] == "END_TURN"
    assert later["leftOut"] == [{"reason": "REFUSED", "blocks": 2}]
    assert later["generation"]["refusal"] is None


CALLS = (
    "SELECT model, outcome, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens FROM calls ORDER BY id"
)


@pytest.fixture
def with_fallback(tmp_path: Path, place: dict[str, Any]) -> Generator[Callable[..., Api]]:
    """A function that starts a server with the simulated Claude and fallback models."""
    with ExitStack() as stack:

        def start(models: str, **more: Any) -> Api:
            address = stack.enter_context(tertulia(tmp_path, fallback_models=models, **place, **more))
            return stack.enter_context(Api(address))

        yield start


@pytest.mark.both
def test_the_api_itself_asks_a_fallback_model_that_it_allows(with_fallback: Any, place: dict[str, Any]) -> None:
    api = with_fallback("claude-opus-5")
    answer = say(api, "/simulate refusal 3 claude-opus-5-5")
    assert answer["text"].startswith("I would rather")
    assert answer["text"].endswith("I am glad to help.")
    assert [block["models"] for block in answer["content"] if "models" in block] == [[], ["claude-opus-5"]]
    generation = answer["generation"]
    assert (generation["stopReason"], generation["refusal"], generation["continuations"]) == ("END_TURN", None, 0)
    refused, answered = execute(place, CALLS)
    assert (refused[:2], answered[:2]) == ((OPUS, "completed"), ("claude-opus-5", "completed"))
    assert min(refused[2], refused[3], answered[3]) > 0
    assert generation["usage"]["outputTokens"] == refused[3] + answered[3]
    assert generation["usage"]["costUsd"] is not None


@pytest.mark.both
def test_the_server_asks_a_fallback_model_that_the_api_does_not_allow(with_fallback: Any, place: Any) -> None:
    api = with_fallback("claude-haiku-5-5")
    answer = say(api, "/simulate refusal 0 claude-opus-5-5")
    assert (answer["text"], answer["generation"]["continuations"]) == ("I am glad to help.", 1)
    assert [block["models"] for block in answer["content"]] == [["claude-haiku-5-5"]]
    refused, answered = execute(place, CALLS)
    assert (refused[:2], answered[:2]) == ((OPUS, "completed"), ("claude-haiku-5-5", "completed"))
    chat = api.http.post("/chat", json={"message": "/simulate refusal 0 claude-opus-5-5"}).json()
    assert (chat["model_used"], chat["stop_reason"], chat["refusal"]) == (
        "claude-haiku-5-5 (simulated)",
        "end_turn",
        None,
    )


@pytest.mark.parametrize("fallback", ["claude-opus-5", "claude-haiku-5-5"])
def test_the_fallback_model_answers_later_messages_too(with_fallback: Any, place: Any, fallback: str) -> None:
    api = with_fallback(fallback)
    first = say(api, "/simulate refusal 0 claude-opus-5-5")
    later = say(api, "And 2 + 2?", conversationId=first["conversationId"])
    assert later["generation"]["stopReason"] == "END_TURN"
    assert later["content"][0]["models"] == [fallback]
    assert later["leftOut"] == []
    # One request: the model that would refuse again is not asked.
    assert [row[0] for row in execute(place, CALLS)][2:] == [fallback]
    other = say(api, "Hello")
    assert other["content"][0]["models"] == []


@pytest.mark.parametrize("fallback", ["claude-opus-5", "claude-haiku-5-5"])
def test_the_fallback_model_gets_its_own_earlier_thinking(with_fallback: Any, place: Any, fallback: str) -> None:
    api = with_fallback(fallback)
    first = say(api, "/simulate refusal 0 claude-opus-5-5")
    say(api, "/simulate thinking", conversationId=first["conversationId"])
    third = say(api, "And 2 + 2?", conversationId=first["conversationId"])
    # The simulated Claude checks the signature.
    assert third["leftOut"] == []
    assert [row[0] for row in execute(place, CALLS)][2:] == [fallback, fallback]


def test_if_all_models_refuse_the_answer_is_refused(with_fallback: Any) -> None:
    api = with_fallback("claude-opus-5,claude-haiku-5-5")
    answer = say(api, "/simulate refusal 0")
    generation = answer["generation"]
    assert (generation["stopReason"], generation["refusal"]["category"]) == ("REFUSAL", "general_harms")
    later = say(api, "2 + 2?", conversationId=answer["conversationId"])
    assert (later["generation"]["stopReason"], later["leftOut"]) == ("END_TURN", [{"reason": "REFUSED", "blocks": 1}])


def test_if_the_fallback_model_fails_the_answer_is_refused(staged: Staged) -> None:
    failed = Reply(status=400, body={"type": "error", "error": {"type": "invalid_request_error", "message": "no"}})
    stage = staged(refuses("I would"), failed, fallback_models="claude-haiku-5-5")
    generation = say(stage.api, "Hi")["generation"]
    assert (generation["stopReason"], generation["refusal"]["category"]) == ("REFUSAL", "cyber")


def test_calls_of_a_model_that_refuses_are_not_run(staged: Staged) -> None:
    call = [begin(0, type="tool_use", id="toolu_1", name="who", input={}), finish(0)]
    stage = staged(
        Reply([START, *call, *end("refusal")]), says("I help."), tools=(MODULE,), fallback_models="claude-haiku-5-5"
    )
    answer = say(stage.api, "Hi")
    assert answer["text"] == "I help."
    assert "tool_use" not in str(stage.claude.requests[1]["messages"])


def test_a_refused_request_is_repeated_with_its_credit_token(with_fallback: Any, place: Any) -> None:
    api = with_fallback("claude-haiku-5-5")
    first = say(api, "/simulate long 4000")
    say(api, "/simulate refusal 0 claude-opus-5-5", conversationId=first["conversationId"])
    answered = execute(place, CALLS)[-1]
    # Without the token, the whole conversation would be written to the cache of the fallback model.
    assert answered[0] == "claude-haiku-5-5"
    assert (answered[4] > 4000, answered[5]) == (True, 0)


def test_the_fallback_model_of_the_api_writes_the_next_rounds_too(staged: Staged, place: Any) -> None:
    fallback, boundary = "claude-opus-5", {"from": {"model": OPUS}, "to": {"model": "claude-opus-5"}}
    content = [
        *text("I would"),
        begin(1, type="tool_use", id="toolu_1", name="who", input={}),
        finish(1),
        begin(2, type="fallback", trigger={"type": "refusal", "category": "bio"}, **boundary),
        finish(2),
        begin(3, type="tool_use", id="toolu_2", name="who", input={}),
        finish(3),
    ]
    hops = [{"type": "message", "model": OPUS, "input_tokens": 11, "output_tokens": 2}]
    hops += [{"type": "fallback_message", "model": fallback, "input_tokens": 11, "output_tokens": 7}]
    stage = staged(
        Reply([START, *content, *end("tool_use", iterations=hops)]),
        says("Ada."),
        says("Bye."),
        tools=(MODULE,),
        fallback_models=fallback,
    )
    stage.claude.models = [{**model(OPUS), "allowed_fallback_models": [fallback]}, model(fallback)]
    answer = say(stage.api, "Who am I?")
    first, second = stage.claude.requests
    assert (first["model"], first["fallbacks"]) == (OPUS, [{"model": fallback}])
    assert (second["model"], "fallbacks" in second) == (fallback, False)
    # The call of the model that has refused is neither run nor sent, and the boundary is not sent.
    assert [block.get("id", block["type"]) for block in second["messages"][1]["content"]] == ["text", "toolu_2"]
    assert [block["tool_use_id"] for block in second["messages"][2]["content"]] == ["toolu_2"]
    assert answer["text"] == "I wouldAda."
    assert [block["index"] for block in answer["content"]] == [0, 1, 2, 3, 4]
    assert [(row[0], row[3]) for row in execute(place, CALLS)] == [(OPUS, 2), (fallback, 7), (fallback, 7)]


@pytest.mark.parametrize("words", ["fallbacks: Extra inputs are not permitted", "fallbacks.0.model: not allowed"])
def test_an_api_that_refuses_fallbacks_is_asked_without_them(staged: Staged, words: str) -> None:
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": words}}
    stage = staged(Reply(status=400, body=error), says("Hi"), says("Bye"), fallback_models="claude-haiku-5-5")
    stage.claude.models = [{**model(OPUS), "allowed_fallback_models": ["claude-haiku-5-5"]}]
    first = say(stage.api, "Hello")
    say(stage.api, "Bye", conversationId=first["conversationId"])
    asked = ["fallbacks" in request for request in stage.claude.requests]
    # Only if the API does not know them at all, no later request has them.
    assert asked == [True, False, "0.model" in words]
