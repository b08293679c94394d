"""The request to Claude: which content of a conversation it contains, and which is left out because Claude refuses it."""

from collections import Counter
from typing import Any

import pytest

from tertulia.claude.prompt import (
    Turn,
    build_request,
    prefix_fingerprint,
    with_answer_so_far,
)
from tertulia.claude.repairs import LeftOut
from tertulia.claude.request_fixes import with_allowed_thinking, with_unique_ids

Json = dict[str, Any]
MODEL = "claude-opus-5-5"
SYSTEM = "Be kind."
PREFIX = prefix_fingerprint(MODEL, SYSTEM)
THOUGHT: Json = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
ALL_FORMS = frozenset({"adaptive", "between_tools", "disabled", "enabled"})


def text(words: str | None) -> Json:
    return {"type": "text", "text": words}


def built(*turns: tuple[str, list[Json]], written_with: str = PREFIX, **more: Any) -> tuple[Json, Counter[LeftOut]]:
    values: dict[str, Any] = {
        "model": MODEL,
        "max_output_tokens": 128_000,
        "system_prompt": SYSTEM,
        "options": {},
        "forms": None,
    }
    rows = [Turn(role, blocks, written_with if role == "assistant" else None) for role, blocks in turns]
    return build_request(**values | more, turns=rows)


def messages(*turns: tuple[str, list[Json]], **more: Any) -> list[Json]:
    request, _ = built(*turns, **more)
    sent: list[Json] = request["messages"]
    return sent


ASK = ("user", [text("Hello")])


@pytest.mark.parametrize("blank", ["", " ", "\n\t ", "\u2003", None])
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_blank_texts_are_not_sent(role: str, blank: str | None) -> None:
    turn = (role, [text(blank), text(" Hi. "), text(blank)])
    sent, left_out = built(ASK, turn, ASK)
    assert sent["messages"][1] == {"role": role, "content": [text(" Hi. ")]}
    assert left_out == Counter()


def test_a_turn_of_only_blank_texts_is_not_sent() -> None:
    assert messages(ASK, ("assistant", [text(" ")]), ASK) == [
        {"role": role, "content": blocks} for role, blocks in (ASK, ASK)
    ]


def test_a_continued_request_contains_no_blank_texts() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "It is there."}
    request, _ = built(ASK)
    continued = with_answer_so_far(request, [text("\n\n"), call, result])
    assert continued["messages"][1:] == [
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]


def test_thinking_is_sent_only_to_the_model_and_instructions_that_produced_it() -> None:
    answer = ("assistant", [THOUGHT, text("Hi.")])
    sent, left_out = built(ASK, answer, ASK)
    assert (sent["messages"][1]["content"], left_out) == ([THOUGHT, text("Hi.")], Counter())
    other = prefix_fingerprint(MODEL, "Be brief.")
    sent, left_out = built(ASK, answer, ASK, written_with=other)
    assert sent["messages"][1]["content"] == [text("Hi.")]
    assert left_out == Counter({LeftOut.THINKING_OF_ANOTHER_PREFIX: 1})


def test_the_fingerprint_depends_on_model_instructions_and_tools() -> None:
    tools = [{"name": "look"}], [{"name": "seek"}]
    fingerprints = [
        prefix_fingerprint(MODEL, SYSTEM),
        prefix_fingerprint("claude-haiku-5-5", SYSTEM),
        prefix_fingerprint(MODEL, None),
        *(prefix_fingerprint(MODEL, SYSTEM, of_request) for of_request in tools),
    ]
    assert len(set(fingerprints)) == len(fingerprints)
    assert prefix_fingerprint(MODEL, SYSTEM, []) == prefix_fingerprint(MODEL, SYSTEM)


def test_a_turn_of_only_thinking_is_not_sent() -> None:
    assert messages(ASK, ("assistant", [THOUGHT, text("")]), ASK) == [
        {"role": "user", "content": [text("Hello")]},
        {"role": "user", "content": [text("Hello")]},
    ]


FILTERED_THOUGHT: Json = {"type": "thinking", "thinking": "H.", "filtered": True}


def test_no_thinking_of_an_answer_is_sent_if_a_filter_has_changed_some_of_it() -> None:
    answer = ("assistant", [THOUGHT, FILTERED_THOUGHT, text("Hi.")])
    request, left_out = built(ASK, answer, ASK)
    assert request["messages"][1]["content"] == [text("Hi.")]
    assert left_out == Counter({LeftOut.THINKING_FILTERED: 2})
    continued = with_answer_so_far(request, [FILTERED_THOUGHT, text("One moment.")])
    assert continued["messages"][3]["content"] == [text("One moment.")]
    assert "thinking" not in continued


CALL: Json = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
RESULT: Json = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "It is there."}


def test_tool_results_without_the_thinking_that_a_budget_requires_disable_thinking() -> None:
    options = {"thinking": {"enabled": True, "budget_tokens": 2000}}
    request, _ = built(ASK, options=options, forms=frozenset({"enabled"}))

    def thinking(*content: Json) -> str:
        kind: str = with_allowed_thinking(with_answer_so_far(request, list(content)))["thinking"]["type"]
        return kind

    assert thinking(FILTERED_THOUGHT, CALL, RESULT) == "disabled"
    assert thinking(THOUGHT, CALL, RESULT) == thinking(THOUGHT, CALL, RESULT, text("So."), CALL, RESULT) == "enabled"
    assert thinking(text("Hm")) == "enabled"
    steered, _ = built(ASK, ("assistant", [FILTERED_THOUGHT, CALL, RESULT]), ASK, options=options, forms={"enabled"})
    assert with_allowed_thinking(steered)["thinking"] == {"type": "disabled"}


def test_calls_with_equal_ids_in_two_turns_get_different_ones() -> None:
    turn = ("assistant", [CALL, RESULT])
    request, _ = built(ASK, turn, ASK, turn, ASK)
    ids = [
        block.get("id") or block.get("tool_use_id")
        for message in with_unique_ids(request)["messages"]
        for block in message["content"]
        if block["type"] != "text"
    ]
    assert ids == ["toolu_1", "toolu_1", "toolu_1_2", "toolu_1_2"]


def test_only_the_text_of_cut_off_blocks_is_sent() -> None:
    answer = (
        "assistant",
        [
            {**text("Half a sen"), "partial": True},
            {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}, "json": '{"at": ', "partial": True},
        ],
    )
    sent, left_out = built(ASK, answer, ASK)
    assert sent["messages"][1]["content"] == [text("Half a sen")]
    assert left_out == Counter({LeftOut.UNFINISHED: 1})


def test_a_call_without_a_result_gets_an_error_result_before_the_next_message() -> None:
    calls: list[Json] = [{"type": "tool_use", "id": id, "name": "look", "input": {}} for id in ("toolu_1", "toolu_2")]
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "It is there."}
    missing = {"type": "tool_result", "tool_use_id": "toolu_2", "content": "The tool was not run.", "is_error": True}
    assert messages(ASK, ("assistant", [*calls, result]), ASK)[1:] == [
        {"role": "assistant", "content": calls},
        {"role": "user", "content": [missing, result, text("Hello")]},
    ]


@pytest.mark.parametrize(
    ("options", "max_output_tokens", "asked"),
    [
        ({}, 128_000, 32_000),
        ({}, 8_000, 8_000),
        ({}, None, 32_000),
        ({"max_tokens": 100_000}, 128_000, 100_000),
    ],
)
def test_max_tokens_is_32000_unless_the_model_or_the_client_sets_it(
    options: Json, max_output_tokens: int | None, asked: int
) -> None:
    request, _ = built(ASK, options=options, max_output_tokens=max_output_tokens)
    assert request["max_tokens"] == asked


SHOWN = {"type": "adaptive", "display": "summarized"}


@pytest.mark.parametrize(
    ("option", "forms", "form"),
    [
        (None, None, None),
        (None, ALL_FORMS, SHOWN),
        (None, {"enabled", "disabled"}, None),
        ({"enabled": True}, ALL_FORMS, SHOWN),
        ({"enabled": True}, None, SHOWN),
        ({"enabled": True}, {"enabled"}, {"type": "enabled", "budget_tokens": 16_000}),
        ({"enabled": True, "budget_tokens": 2000}, ALL_FORMS, {"type": "enabled", "budget_tokens": 2000}),
        ({"enabled": True, "budget_tokens": 2000}, {"adaptive"}, SHOWN),
        ({"enabled": False}, ALL_FORMS, {"type": "disabled"}),
        ({"enabled": False}, {"adaptive", "between_tools"}, {"type": "between_tools"}),
        ({"enabled": False}, {"adaptive"}, SHOWN),
    ],
)
def test_thinking_is_requested_in_a_form_that_the_model_supports(
    option: Json | None, forms: set[str] | None, form: Json | None
) -> None:
    request, _ = built(ASK, options={"thinking": option}, forms=None if forms is None else frozenset(forms))
    assert request.get("thinking") == form


def test_the_thinking_budget_is_at_least_the_minimum_of_the_api() -> None:
    options = {"thinking": {"enabled": True}, "max_tokens": 1500}
    request, _ = built(ASK, options=options, forms=frozenset({"enabled"}))
    assert request["thinking"] == {"type": "enabled", "budget_tokens": 1024}


def test_what_was_interrupted_is_not_missing_if_the_answer_was_continued() -> None:
    broken: Json = {"type": "thinking", "thinking": "Half a", "partial": True}
    continued = ("assistant", [broken, {**text("Whole."), "attempt": 1}])
    assert built(ASK, continued, ASK)[1] == Counter()
    assert built(ASK, ("assistant", [text("Half"), {**broken, "attempt": 1}]), ASK)[1] == {LeftOut.UNFINISHED: 1}
