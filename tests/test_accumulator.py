"""The accumulator turns Claude's stream into blocks, numbered events, usage and the results of tools."""

import asyncio
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from client import Json
from hypothesis import given
from hypothesis import strategies as some

from tertulia.claude.deltas import utf16_length
from tertulia.claude.errors import StreamError
from tertulia.generation.accumulator import JSON_MARK, AnswerAccumulator
from tertulia.json import clean_text
from tertulia.streams.events import (
    ContentBlockFinished,
    ContentBlockStarted,
    Delta,
    GenerationEvent,
    TextDelta,
    ThinkingDelta,
    ToolInputDelta,
    fold,
)

ID = uuid4()
TEXT: Json = {"type": "text", "text": ""}


def accumulator(*content: Json, sequence: int = 0) -> AnswerAccumulator:
    return AnswerAccumulator(ID, sequence, content)


def take(answer: AnswerAccumulator, *events: Json) -> list[GenerationEvent]:
    """Process events that Claude sent together, and return the events of the generation."""
    output: list[GenerationEvent] = []
    answer.process(events, output)
    return output


def start(index: int, **block: Any) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}


def piece(index: int, kind: str, **delta: Any) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **delta}}


def text(index: int, text: str) -> Json:
    return piece(index, "text_delta", text=text)


def stop(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


def call(index: int, id: str, input: str) -> list[Json]:
    """Return the events of a call of a tool."""
    begin = start(index, type="tool_use", id=id, name="add", input={})
    return [begin, piece(index, "input_json_delta", partial_json=input), stop(index)]


def message_start(**usage: Any) -> Json:
    return {"type": "message_start", "request_id": "req_1", "message": {"usage": usage}}


def message_delta(stop_reason: str | None = "end_turn", container: str | None = None, **usage: Any) -> Json:
    delta: Json = {"stop_reason": stop_reason, "container": None if container is None else {"id": container}}
    return {"type": "message_delta", "delta": delta, "usage": usage}


def test_a_text_is_written_in_pieces_that_continue_one_another() -> None:
    answer = accumulator(sequence=1)
    assert take(answer, start(0, **TEXT)) == [ContentBlockStarted(ID, 2, 0, TEXT)]
    assert take(answer, text(0, "One 🌍")) == [TextDelta(ID, 3, 0, 0, "One 🌍")]
    assert take(answer, text(0, "")) == []
    assert take(answer, text(0, " two")) == [TextDelta(ID, 4, 0, 6, " two")]
    assert answer.content == [{"type": "text", "text": "One 🌍 two", "partial": True}]
    written = {"type": "text", "text": "One 🌍 two"}
    assert take(answer, stop(0)) == [ContentBlockFinished(ID, 5, 0, written)]
    assert answer.content == [written]
    assert answer.sequence == 5


def test_a_block_that_begins_with_text_is_continued_after_it() -> None:
    answer = accumulator()
    take(answer, start(0, type="thinking", thinking="Hm", signature=""), start(1, type="text", text="One"))
    events = take(answer, piece(0, "thinking_delta", thinking=" so"), text(1, " two"))
    assert events == [ThinkingDelta(ID, 3, 0, 2, " so"), TextDelta(ID, 4, 1, 3, " two")]
    assert [block.get("text") or block["thinking"] for block in answer.content] == ["Hm so", "One two"]
    take(answer, stop(0), stop(1))
    assert [block.get("text") or block["thinking"] for block in answer.content] == ["Hm so", "One two"]


def test_pieces_that_come_together_are_one_event() -> None:
    answer = accumulator()
    events = take(answer, start(0, **TEXT), text(0, "One"), text(0, " two"), stop(0))
    assert [event.sequence for event in events] == [1, 2, 3]
    assert events[1] == TextDelta(ID, 2, 0, 0, "One two")


def test_signatures_citations_and_summaries_are_parts_of_their_blocks_and_no_events() -> None:
    answer = accumulator()
    take(answer, start(0, type="thinking", thinking=""), start(1, **TEXT), start(2, type="compaction", content=None))
    pieces = [
        piece(0, "signature_delta", signature="ab"),
        piece(0, "signature_delta", signature="cd"),
        piece(1, "citations_delta", citation={"n": 1}),
        piece(1, "citations_delta", citation={"n": 2}),
        piece(2, "compaction_delta", content="They "),
        piece(2, "compaction_delta", content="talked.", encrypted_content="x"),
        piece(1, "a_delta_of_next_year", text="?"),
    ]
    assert take(answer, *pieces) == []
    take(answer, stop(0), stop(1), stop(2))
    assert answer.content == [
        {"type": "thinking", "thinking": "", "signature": "abcd"},
        {"type": "text", "text": "", "citations": [{"n": 1}, {"n": 2}]},
        {"type": "compaction", "content": "They talked.", "encrypted_content": "x"},
    ]


def test_a_summary_without_text_has_no_content() -> None:
    answer = accumulator()
    take(answer, start(0, type="compaction", content=None), piece(0, "compaction_delta", content=None), stop(0))
    assert answer.content == [{"type": "compaction", "content": None}]


def test_an_input_is_shown_as_text_until_it_is_whole() -> None:
    answer = accumulator()
    begin, delta, end = call(0, "toolu_1", '{"a": 1}')
    block: Json = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}}
    assert take(answer, begin, delta)[1] == ToolInputDelta(ID, 2, 0, 0, '{"a": 1}')
    assert answer.content == [{**block, "partial_json": '{"a": 1}', "partial": True}]
    take(answer, end)
    assert answer.content == [{**block, "input": {"a": 1}}]


def test_an_input_that_is_no_object_becomes_an_empty_one_once_the_round_has_ended() -> None:
    answer = accumulator()
    for number, input in enumerate(['{"a": 1', "[1]", '{"a": 2}']):
        take(answer, *call(number, f"toolu_{number}", input))
    assert answer.content[0] == {
        "type": "tool_use", "id": "toolu_0", "name": "add", "input": {}, "partial_json": '{"a": 1', "partial": True,
    }  # fmt: skip
    last = answer.sequence
    events: list[GenerationEvent] = []
    assert answer.fix_invalid_inputs(events) == {"toolu_0", "toolu_1"}
    empty = [{"type": "tool_use", "id": f"toolu_{number}", "name": "add", "input": {}} for number in range(2)]
    assert events == [ContentBlockFinished(ID, last + number + 1, number, empty[number]) for number in range(2)]
    assert answer.content[:2] == empty
    assert answer.content[2]["input"] == {"a": 2}
    answer.end_round(0)
    assert answer.fix_invalid_inputs(events) == set()


def test_the_calls_of_an_earlier_round_are_not_fixed_again() -> None:
    answer = accumulator({"type": "tool_use", "id": "toolu_1", "name": "add", "input": [1]})
    events: list[GenerationEvent] = []
    assert answer.fix_invalid_inputs(events) == set()
    assert events == []


def test_calls_with_one_id_get_ids_of_their_own() -> None:
    answer = accumulator()
    for number in range(3):
        take(answer, *call(number, "toolu_1", "{}"))
    take(answer, *call(3, "toolu_4", "{}"))
    assert [block["id"] for block in answer.content] == ["toolu_1", "toolu_1_2", "toolu_1_3", "toolu_4"]


def test_results_follow_the_blocks_of_their_round_and_the_next_round_follows_them() -> None:
    answer = accumulator(sequence=1)
    take(answer, *call(0, "toolu_1", "{}"), *call(1, "toolu_2", "{}"))
    assert answer.has_calls is True
    assert answer.open_calls() == {}
    answer.end_round(0)
    assert not answer.has_calls
    assert [block["id"] for block in answer.open_calls().values()] == ["toolu_1", "toolu_2"]
    last = answer.sequence
    result: Json = {"type": "tool_result", "tool_use_id": "toolu_1"}
    assert answer.begin_result("toolu_1") == ContentBlockStarted(ID, last + 1, 2, {**result, "partial": True})
    assert answer.begin_result("toolu_1") is None
    assert answer.content[2] == {**result, "partial": True}
    assert list(answer.open_calls()) == [0, 1]
    whole = {**result, "content": "3"}
    assert answer.finish_result(whole) == [ContentBlockFinished(ID, last + 2, 2, whole)]
    assert answer.content[2] == whole
    assert list(answer.open_calls()) == [1]
    other: Json = {"type": "tool_result", "tool_use_id": "toolu_2", "content": "4"}
    begun = {"type": "tool_result", "tool_use_id": "toolu_2", "partial": True}
    assert answer.finish_result(other) == [
        ContentBlockStarted(ID, last + 3, 3, begun), ContentBlockFinished(ID, last + 4, 3, other),
    ]  # fmt: skip
    picture: Json = {"type": "image", "source": {}}
    assert answer.add(picture) == [
        ContentBlockStarted(ID, last + 5, 4, picture), ContentBlockFinished(ID, last + 6, 4, picture),
    ]  # fmt: skip
    assert answer.open_calls() == {}
    (started, *_) = take(answer, start(0, **TEXT))
    assert started == ContentBlockStarted(ID, last + 7, 5, TEXT)
    assert [block["type"] for block in answer.content] == [
        "tool_use", "tool_use", "tool_result", "tool_result", "image", "text",
    ]  # fmt: skip


def test_a_result_that_was_begun_before_the_process_was_lost_is_finished_by_the_next_one() -> None:
    running: Json = {"type": "tool_result", "tool_use_id": "toolu_1", "partial": True}
    use: Json = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}}
    answer = accumulator(use, running, sequence=5)
    assert answer.content == [use, running]
    assert list(answer.open_calls()) == [0]
    assert answer.begin_result("toolu_1") is None
    whole: Json = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "3"}
    assert answer.finish_result(whole) == [ContentBlockFinished(ID, 6, 1, whole)]
    assert answer.content == [use, whole]
    assert answer.open_calls() == {}


def test_blocks_that_were_saved_unfinished_stay_as_they_are() -> None:
    saved: Json = {"type": "text", "text": "One", "partial": True}
    answer = accumulator(saved, sequence=3)
    assert answer.content == [saved]
    (started,) = take(answer, start(0, **TEXT))
    assert started == ContentBlockStarted(ID, 4, 1, TEXT)


def test_the_final_usage_replaces_the_first_one_and_what_is_not_reported_stays() -> None:
    answer = accumulator()
    take(answer, message_start(input_tokens=10, output_tokens=1, cache_read_input_tokens=4))
    assert (answer.request_id, answer.stop_reason, answer.counted) == ("req_1", None, False)
    assert answer.context_tokens == 15
    take(answer, message_delta(None, output_tokens=6, input_tokens=None))
    assert not answer.counted
    take(answer, message_delta("tool_use", "container_1", output_tokens=7))
    assert (answer.stop_reason, answer.container, answer.counted) == ("tool_use", "container_1", True)
    assert answer.usage == {"input_tokens": 10, "output_tokens": 7, "cache_read_tokens": 4}
    assert answer.context_tokens == 21
    take(answer, {"type": "message_delta", "delta": {}})
    assert (answer.stop_reason, answer.container, answer.counted) == ("tool_use", "container_1", True)
    assert answer.context_tokens == 21
    take(answer, message_start())
    assert answer.stop_reason is None


def test_an_event_of_an_unknown_type_changes_nothing() -> None:
    answer = accumulator()
    assert take(answer, {"type": "ping"}, {"type": "an_event_of_next_year"}) == []
    assert (answer.sequence, answer.content) == (0, [])


def test_searches_and_tokens_that_are_cached_for_an_hour_are_counted_for_each_round() -> None:
    answer = accumulator()
    lifetimes = {"ephemeral_1h_input_tokens": 30, "ephemeral_5m_input_tokens": 5}
    take(answer, message_start(input_tokens=1, cache_creation=lifetimes))
    take(answer, message_delta(output_tokens=2, server_tool_use={"web_search_requests": 3}))
    assert (answer.web_searches, answer.cache_write_1h_tokens) == (3, 30)
    answer.end_round(5)
    assert (answer.web_searches, answer.cache_write_1h_tokens) == (0, 0)
    assert (answer.usage, answer.request_id, answer.counted) == ({}, None, False)
    take(answer, message_start(input_tokens=1))
    assert (answer.web_searches, answer.cache_write_1h_tokens) == (0, 0)


def test_output_that_was_not_reported_is_estimated_from_the_text() -> None:
    answer = accumulator()
    assert answer.billed() == {}
    take(answer, start(0, **TEXT), text(0, "12345"), text(0, "6789"))
    assert answer.billed() == {"output_tokens": 3}
    take(answer, message_start(input_tokens=10, output_tokens=1))
    assert answer.billed() == {"input_tokens": 10, "output_tokens": 3}
    take(answer, message_delta(None, output_tokens=9))
    assert answer.billed() == {"input_tokens": 10, "output_tokens": 9}
    take(answer, message_delta(output_tokens=2))
    assert answer.billed() == {"input_tokens": 10, "output_tokens": 2}
    answer.end_round(0)
    assert answer.billed() == {}


def test_an_interrupted_request_is_billed_though_it_has_written_nothing() -> None:
    answer = accumulator()
    take(answer, message_start(input_tokens=10))
    assert answer.billed() == {"input_tokens": 10, "output_tokens": 0}


def test_the_usage_and_the_cost_of_all_rounds_are_added_up() -> None:
    answer = accumulator()
    assert answer.earlier_amount == 0
    answer.usage = {"input_tokens": 5}
    answer.end_round(100)
    answer.usage = {"input_tokens": 7, "output_tokens": 1}
    answer.end_round(20)
    assert (answer.total(), answer.earlier_amount) == ({"input_tokens": 12, "output_tokens": 1}, 120)
    answer.end_round(None)
    assert answer.earlier_amount is None
    answer.end_round(3)
    assert answer.earlier_amount is None


def test_a_restored_answer_has_the_usage_of_its_round_apart_from_that_of_earlier_ones() -> None:
    answer = accumulator()
    answer.restore({"input_tokens": 12, "output_tokens": 3}, {"input_tokens": 5}, 70, "tool_use")
    assert answer.usage == {"input_tokens": 7, "output_tokens": 3}
    assert answer.earlier == {"input_tokens": 5}
    assert (answer.earlier_amount, answer.stop_reason) == (70, "tool_use")
    answer.restore({"input_tokens": 5, "output_tokens": 1}, {"input_tokens": 5}, None, None)
    assert answer.usage == {"input_tokens": 0, "output_tokens": 1}
    assert (answer.earlier_amount, answer.stop_reason) == (None, None)
    answer.restore({"input_tokens": 5}, {"input_tokens": 5}, 1, None)
    assert answer.usage == {}


def test_the_text_of_a_block_that_must_be_json_is_checked_when_it_ends() -> None:
    checked: list[tuple[Json, str]] = []

    async def check(schema: Json, text: str) -> str | None:
        checked.append((schema, text))
        return "is not JSON"

    async def work() -> None:
        answer = accumulator({"type": "text", "text": "Earlier."})
        await answer.check_json(stop(0), check)
        answer.schema = {"type": "object"}
        take(answer, start(0, type="text", text="{"), start(1, type="thinking", thinking=""))
        assert answer.content[1][JSON_MARK] == {}
        assert JSON_MARK not in answer.content[2]
        take(answer, text(0, "}"))
        for event in (text(0, "x"), stop(1), stop(2), {"type": "content_block_stop", "index": None}):
            await answer.check_json(event, check)
        assert checked == []
        await answer.check_json(stop(0), check)
        assert checked == [({"type": "object"}, "{}")]
        take(answer, stop(1), stop(0))
        assert answer.content[1] == {
            "type": "text",
            "text": "{}",
            JSON_MARK: {"checked": True, "problem": "is not JSON"},
        }
        assert JSON_MARK not in answer.content[2]

    asyncio.run(work())


@pytest.mark.parametrize(
    "malformed",
    [{}, {"type": "content_block_stop", "index": 9}, {"type": "content_block_delta", "index": 0, "delta": None}],
)
def test_a_stream_that_cannot_be_understood_is_an_error_after_the_events_before_it(malformed: Json) -> None:
    answer = accumulator()
    output: list[GenerationEvent] = []
    with pytest.raises(StreamError) as raised:
        answer.process([{**message_start(), "type": "message_start"}, start(0, **TEXT), malformed], output)
    assert output == [ContentBlockStarted(ID, 1, 0, TEXT)]
    assert raised.value.error.request_id == "req_1"


def _cleaned(blocks: list[Json]) -> list[Json]:
    """Clean the text of unfinished blocks, as the accumulator does: a delta may end with half of a character."""
    return [
        {key: clean_text(value) if isinstance(value, str) else value for key, value in block.items()}
        for block in blocks
    ]


@given(some.lists(some.lists(some.text(max_size=3), max_size=4), max_size=4), some.data())
def test_the_events_of_an_answer_fold_to_its_content_at_any_point(
    texts: list[list[str]], data: some.DataObject
) -> None:
    answer = accumulator()
    sent: list[Json] = []
    for index, pieces in enumerate(texts):
        kind = data.draw(some.sampled_from(["text", "thinking", "tool_use"]))
        match kind:
            case "text":
                sent.append(start(index, type="text", text=data.draw(some.sampled_from(["", "A"]))))
                sent += [text(index, written) for written in pieces]
            case "thinking":
                sent.append(start(index, type="thinking", thinking=""))
                sent += [piece(index, "thinking_delta", thinking=written) for written in pieces]
            case _:
                sent.append(start(index, type="tool_use", id=f"toolu_{index}", name="add", input={}))
                sent += [piece(index, "input_json_delta", partial_json=written) for written in pieces]
        if index + 1 < len(texts) or data.draw(some.booleans()):
            sent.append(stop(index))
    events: list[GenerationEvent] = []
    while sent:
        count = data.draw(some.integers(1, len(sent)))
        answer.process(sent[:count], events)
        sent = sent[count:]
        assert [event.sequence for event in events] == list(range(1, answer.sequence + 1))
        assert _cleaned(fold(events)) == answer.content
    for index in range(len(texts)):
        deltas = [event for event in events if isinstance(event, Delta) and event.index == index]
        for event, following in pairwise(deltas):
            assert following.offset == event.offset + utf16_length(event.text)
