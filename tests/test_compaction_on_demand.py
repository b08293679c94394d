"""`compactConversation`: Claude summarizes a conversation, and later answers read the summary instead of it."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import anthropic
import pytest
from client import Api, Json
from people import MODE, register, signed
from running import running, tertulia

from tertulia.simulator.app import create_simulator

OPUS = "claude-opus-5-5"
BETAS = {"anthropic-beta": "compact-2026-09-04"}
COMPACT = """mutation ($input: CompactConversationInput!) { compactConversation(input: $input) {
  __typename ... on InvalidInput { field message } ... on Error { message }
  ... on CompactConversationPayload { replayed conversation { id } generation { id } }
} }"""
READ = """query ($id: ID!) { generation(id: $id) {
  status stopReason error { message apiCode } usage { inputTokens outputTokens } requests { usage { inputTokens } }
  message { leftOut { reason blocks } content { __typename ... on CompactionBlock { summary } ... on TextBlock { text } } }
} }"""
CONTEXT = "query ($id: ID!) { conversation(id: $id) { context { usedTokens } } }"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    with tertulia(tmp_path_factory.mktemp("compaction")) as address, Api(address) as api:
        yield api


def compact(api: Api, conversation: str, **input: Any) -> Json:
    result: Json = api.ask(COMPACT, input={"conversationId": conversation, **input})["compactConversation"]
    return result


def finished(api: Api, id: str) -> Json:
    api.follow(id)
    generation: Json = api.ask(READ, id=id)["generation"]
    return generation


def conversation_of(api: Api, *texts: str, **more: Any) -> str:
    first = api.send(texts[0], **more)
    api.follow(first["generation"]["id"])
    id: str = first["conversation"]["id"]
    for text in texts[1:]:
        api.answer(text, conversationId=id)
    return id


def test_a_summary_replaces_the_conversation_for_later_answers(api: Api) -> None:
    id = conversation_of(api, "My name is Ada. " + "word " * 2000, "What else?")
    result = compact(api, id, instructions="Keep all names.")
    assert (result["__typename"], result["replayed"], result["conversation"]["id"]) == (
        "CompactConversationPayload",
        False,
        id,
    )
    generation = finished(api, result["generation"]["id"])
    assert (generation["status"], generation["stopReason"], generation["error"]) == ("COMPLETED", "COMPACTION", None)
    (block,) = generation["message"]["content"]
    assert block["summary"] == "The user and I have exchanged 4 messages. As requested: Keep all names."
    assert generation["usage"]["inputTokens"] > 2000
    assert api.ask(CONTEXT, id=id)["conversation"]["context"]["usedTokens"] < 100
    next_one = finished(api, api.send("And now?", conversationId=id)["generation"]["id"])
    assert next_one["status"] == "COMPLETED"
    assert next_one["requests"][0]["usage"]["inputTokens"] < 500
    assert len(api.messages(id)) == 7


def test_a_summary_can_be_summarized_again_after_another_message(api: Api) -> None:
    id = conversation_of(api, "Hello")
    finished(api, compact(api, id)["generation"]["id"])
    assert compact(api, id)["field"] == "conversationId"
    api.answer("More", conversationId=id)
    generation = finished(api, compact(api, id)["generation"]["id"])
    assert generation["message"]["content"][0]["summary"].startswith("The user and I have exchanged 3 messages")


def test_another_model_still_reads_the_whole_conversation(api: Api) -> None:
    id = conversation_of(api, "My name is Ada")
    finished(api, compact(api, id)["generation"]["id"])
    options = {"model": "claude-haiku-4-5"}
    sent = api.send("What is my name?", conversationId=id, options=options)
    generation = finished(api, sent["generation"]["id"])
    assert "Ada" in generation["message"]["content"][-1]["text"]
    assert generation["message"]["leftOut"] == [{"reason": "SUMMARY_OF_ANOTHER_MODEL", "blocks": 1}]


def test_a_repeated_request_returns_the_first_summary(api: Api) -> None:
    id = conversation_of(api, "Hello")
    key = "0190a0b0-0000-7000-8000-000000000001"
    first, second = compact(api, id, idempotencyKey=key), compact(api, id, idempotencyKey=key)
    assert (first["replayed"], second["replayed"]) == (False, True)
    assert first["generation"] == second["generation"]


def test_a_conversation_that_cannot_be_summarized_is_refused(api: Api) -> None:
    id = conversation_of(api, "Hello", options={"model": "claude-haiku-4-5"})
    assert compact(api, id)["message"].endswith("the model claude-haiku-4-5 does not support it.")
    assert compact(api, "0190a0b0-0000-7000-8000-000000000002")["__typename"] == "NotFound"
    long = compact(api, id, instructions="x" * 10_001)
    assert (long["__typename"], long["field"]) == ("InvalidInput", "instructions")


def test_the_summary_cannot_be_regenerated_as_an_answer(api: Api) -> None:
    id = conversation_of(api, "Hello")
    finished(api, compact(api, id)["generation"]["id"])
    summary = api.messages(id)[-1]["id"]
    regenerate = "mutation ($id: ID!) { r: regenerateMessage(input: {messageId: $id}) { __typename } }"
    assert api.ask(regenerate, id=summary)["r"]["__typename"] == "InvalidInput"


def test_a_conversation_of_another_user_is_not_found(tmp_path: Path) -> None:
    with (
        tertulia(tmp_path, **MODE) as address,
        signed(address, register(address, "ada")) as ada,
        signed(address, register(address, "eve")) as eve,
    ):
        id = conversation_of(ada, "Hello")
        assert compact(eve, id)["__typename"] == "NotFound"


@pytest.fixture(scope="module")
def claude() -> Generator[anthropic.Anthropic]:
    with (
        running(create_simulator(pace=0), lifespan="off") as address,
        anthropic.Anthropic(api_key="anything", base_url=address, max_retries=0) as client,
    ):
        yield client


def summarize(claude: anthropic.Anthropic, messages: Any, **more: Any) -> Any:
    body: dict[str, Any] = {"compaction": {"type": "summarize"}, **more}
    return claude.messages.create(model=OPUS, max_tokens=100, messages=messages, extra_body=body, extra_headers=BETAS)


def test_the_simulator_accepts_a_summary_only_first_and_unchanged(claude: anthropic.Anthropic) -> None:
    history: Any = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    message = summarize(claude, history)
    assert message.stop_reason == "compaction"
    summary: Any = {"role": "assistant", "content": [block.to_dict() for block in message.content]}
    question: Any = {"role": "user", "content": "And?"}

    def ask(*messages: Any) -> Any:
        return claude.messages.create(model=OPUS, max_tokens=100, messages=[*messages], extra_headers=BETAS)

    assert ask(summary, question).stop_reason == "end_turn"
    changed = {**summary, "content": [{**summary["content"][0], "content": "Something else."}]}
    for messages, code in (
        ((*history, summary, question), "compaction_block_misplaced"),
        ((changed, question), "compaction_signature_invalid"),
    ):
        with pytest.raises(anthropic.BadRequestError) as raised:
            ask(*messages)
        assert raised.value.error_code == code
    with pytest.raises(anthropic.BadRequestError) as raised:
        summarize(claude, history, context_management={"edits": []})
    assert "cannot be combined" in str(raised.value) or "Extra inputs" in str(raised.value)


@pytest.mark.both
def test_a_summary_is_stored_and_read_on_both_databases(fresh: Api) -> None:
    id = conversation_of(fresh, "My name is Ada")
    finished(fresh, compact(fresh, id)["generation"]["id"])
    answer = finished(fresh, fresh.send("And now?", conversationId=id)["generation"]["id"])
    assert answer["status"] == "COMPLETED"
