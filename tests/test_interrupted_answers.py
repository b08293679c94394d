"""The accumulator keeps the blocks of an interrupted response, and the next response continues them."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

from client import Json

from tertulia.claude.continuation import attempts_of
from tertulia.claude.errors import ErrorCode, GenerationError, StreamError
from tertulia.generation.accumulator import JSON_MARK, AnswerAccumulator
from tertulia.streams.events import (
    ContentBlockFinished,
    ContentBlockStarted,
    GenerationContinued,
    GenerationEvent,
    TextDelta,
    fold,
)
from tertulia.text_filters import BlockFilter, TextKind

ID = uuid4()
CUT = ErrorCode.CONNECTION
TEXT: Json = {"type": "text", "text": ""}
THINKING: Json = {"type": "thinking", "thinking": ""}
CALL: Json = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}}


class Answer(AnswerAccumulator):
    """An answer that remembers its events."""

    def __init__(self, *content: Json, sequence: int = 0) -> None:
        super().__init__(ID, sequence, content)
        self.events: list[GenerationEvent] = []

    def take(self, *events: Json) -> list[GenerationEvent]:
        """Process events that arrive one after the other, and return the events of the generation."""
        output: list[GenerationEvent] = []
        for event in events:
            self.process([event], output)
        self.events += output
        return output


def start(index: int, block: Json, **more: Any) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block | more}


def text(index: int, text: str) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}


def input(index: int, json: str) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": {"type": "input_json_delta", "partial_json": json}}


def stop(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


def message_start(**message: Any) -> Json:
    return {"type": "message_start", "request_id": "req_1", "message": {"usage": {"input_tokens": 5}} | message}


def test_a_text_is_continued_among_the_blocks_of_the_next_response() -> None:
    answer = Answer()
    answer.take(message_start(), start(0, THINKING, thinking="Hm."), stop(0), start(1, TEXT), text(1, "One "))
    assert answer.break_off() == []
    assert answer.end_with_calls() is None
    answer.end_attempt(70)
    assert (answer.usage, answer.request_id, answer.earlier_amount) == ({}, None, 70)
    assert answer.earlier == {"input_tokens": 5, "output_tokens": 1}
    continued = answer.begin_attempt(CUT)
    assert continued == GenerationContinued(ID, 5, "connection_error", 1, 1)
    answer.events.append(continued)
    answer.take(message_start(), start(0, THINKING, thinking="So."), stop(0))
    assert answer.take(start(1, TEXT, text="two"), text(1, ", "), text(1, "three.")) == [
        TextDelta(ID, 8, 1, 4, "two"),
        TextDelta(ID, 9, 1, 7, ", "),
        TextDelta(ID, 10, 1, 9, "three."),
    ]
    answer.take(stop(1), start(2, CALL), input(2, "{}"), stop(2), start(3, TEXT, text="Four."), stop(3))
    assert [block["type"] for block in answer.content] == ["thinking", "text", "thinking", "tool_use", "text"]
    assert answer.content[1]["text"] == "One two, three."
    first, second = attempts_of(answer.content).values()
    assert [block.get("text", block["type"]) for block in first] == ["thinking", "One "]
    assert [block.get("text", block["type"]) for block in second] == ["thinking", "two, three.", "tool_use", "Four."]
    assert [event.sequence for event in answer.events] == list(range(1, answer.sequence + 1))
    assert fold(answer.events) == answer.content


def test_a_text_that_is_not_continued_is_finished_before_the_next_block_and_at_the_end() -> None:
    for following, ends in ((start(0, CALL), True), ({"type": "message_stop"}, True), (start(0, THINKING), False)):
        answer = Answer()
        answer.take(start(0, TEXT), text(0, "One"))
        answer.break_off()
        answer.begin_attempt(CUT)
        events = answer.take(following)
        finished = [event for event in events if isinstance(event, ContentBlockFinished)]
        joins = [{"attempt": 1, "at": 3, "citations": 0}]
        expected = ContentBlockFinished(ID, 4, 0, {"type": "text", "text": "One", "joins": joins})
        assert finished == ([expected] if ends else [])


def test_thinking_and_calls_that_break_off_are_closed_once() -> None:
    answer = Answer()
    answer.take(start(0, CALL), input(0, '{"a'))
    partial = {**CALL, "partial_json": '{"a', "partial": True}
    assert answer.break_off() == [ContentBlockFinished(ID, 3, 0, partial)]
    assert answer.break_off() == []
    assert answer.end_with_calls() is None
    assert answer.begin_attempt(CUT) == GenerationContinued(ID, 4, "connection_error", 1, None)
    saved = {**THINKING, "thinking": "Hm", "partial": True}
    restored = Answer(saved, sequence=5)
    assert restored.break_off() == [ContentBlockFinished(ID, 6, 0, saved)]
    later = Answer(saved, sequence=5)
    later.attempt = 1
    assert later.break_off() == []


def test_a_saved_text_that_broke_off_is_continued() -> None:
    answer = Answer({**TEXT, "text": "One 🌍", "partial": True}, sequence=5)
    assert answer.break_off() == []
    assert answer.begin_attempt(CUT) == GenerationContinued(ID, 6, "connection_error", 1, 0)
    assert answer.take(start(0, TEXT), text(0, " two")) == [TextDelta(ID, 7, 0, 6, " two")]


def test_complete_calls_end_a_round_that_broke_off_in_a_text() -> None:
    answer = Answer()
    answer.take(start(0, CALL), stop(0), start(1, TEXT), text(1, "One"))
    assert answer.break_off() == []
    assert answer.end_with_calls() == [ContentBlockFinished(ID, 5, 1, {"type": "text", "text": "One"})]
    assert answer.content == [CALL, {"type": "text", "text": "One"}]


def test_a_response_that_broke_off_before_its_first_block_is_repeated_from_there() -> None:
    answer = Answer()
    assert answer.begin_attempt(CUT) == GenerationContinued(ID, 1, "connection_error", 1, None)
    started = {**TEXT, "attempt": 1}
    assert answer.take(start(0, TEXT)) == [ContentBlockStarted(ID, 2, 0, started)]


def test_only_a_refusal_is_the_reason_why_another_model_answers() -> None:
    for reason, declined in ((ErrorCode.REFUSED, {"category": "bio"}), (CUT, None)):
        answer = Answer()
        answer.refusal = {"category": "bio"}
        answer.begin_attempt(reason)
        assert answer.declined == declined
    answer = Answer()
    answer.begin_attempt(ErrorCode.REFUSED)
    assert answer.declined == {}


def test_text_is_held_back_while_it_may_be_a_repetition() -> None:
    answer = Answer()
    assert (answer.is_joining, answer.release_join()) == (False, [])
    answer.take(start(0, THINKING), stop(0), start(1, TEXT), text(1, "We two "))
    answer.break_off()
    answer.begin_attempt(CUT)
    assert not answer.is_joining
    assert answer.take(start(0, TEXT), text(0, "two")) == []
    assert answer.is_joining
    assert answer.release_join() == [TextDelta(ID, 6, 1, 7, "two")]
    assert (answer.is_joining, answer.release_join()) == (False, [])
    assert answer.take(text(0, ".")) == [TextDelta(ID, 7, 1, 10, ".")]


def test_the_output_of_a_lost_response_is_estimated_from_the_characters_of_its_attempt() -> None:
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "3"}
    saved = [{**TEXT, "text": "x" * 400}, CALL, result, {**TEXT, "text": "x" * 40}]
    answer = Answer(*saved, {**THINKING, "thinking": "x" * 9, "attempt": 1})
    answer.estimate_usage()
    assert answer.billed() == {"output_tokens": 10}
    answer.attempt = 1
    answer.estimate_usage()
    assert answer.billed() == {"output_tokens": 3}


def test_the_fallback_model_of_the_api_continues_the_text_of_the_model_that_refuses() -> None:
    answer = Answer()
    answer.fallbacks = frozenset({"small"})
    answer.take(message_start(model="large"), start(0, THINKING, thinking="Hm."), stop(0), start(1, TEXT, text="One"))
    boundary = {"type": "fallback", "trigger": {"category": "bio"}, "to": {"model": "small"}}
    answer.take(stop(1), start(2, boundary), stop(2), start(3, TEXT), text(3, "Two"), stop(3), start(4, CALL), stop(4))
    assert (answer.declined, answer.writer) == ({"category": "bio"}, "small")
    started = [event.index for event in answer.events if isinstance(event, ContentBlockStarted)]
    assert started == [0, 1, 2, 3]
    thought, one, two, call = answer.content
    assert (thought["thinking"], thought["partial"]) == ("Hm.", True)
    assert (one, two) == ({**TEXT, "text": "One"}, {**TEXT, "text": "Two", "written_by": "small"})
    assert call == {**CALL, "written_by": "small"}
    answer.end_round(0)
    answer.take(message_start(model="large"), start(0, TEXT), start(1, TEXT), text(1, "Three"))
    assert [block["text"] for block in answer.content[4:]] == ["", "Three"]
    other = Answer()
    other.fallbacks = frozenset({"small"})
    other.take(message_start(model="small"), start(0, TEXT))
    assert other.content[0]["written_by"] == "small"


def test_the_report_of_a_response_is_that_of_its_beginning_and_its_end() -> None:
    answer = Answer()
    answer.take(message_start(id="msg_1", cache_miss={"reason": "tools"}))
    answer.take({"type": "message_delta", "delta": {"stop_sequence": "END"}, "edits": [1]})
    assert answer.details() == {"cache_miss": {"reason": "tools"}, "edits": [1]}
    assert (answer.response_id, answer.stop_sequence) == ("msg_1", "END")


@dataclass
class Filter:
    """A filter that holds everything back, and shows `end` at the end; without an end, it fails."""

    end: str | None

    def feed(self, _text: str) -> str:
        return ""

    def finish(self) -> str:
        if self.end is None:
            raise StreamError(GenerationError(ErrorCode.API_ERROR, "The hook failed."))
        return self.end


def filtering(text_filter: object) -> Callable[[TextKind], BlockFilter]:
    return lambda _: cast("BlockFilter", text_filter)


def test_text_that_a_filter_holds_back_is_shown_at_the_end_unless_the_filter_fails() -> None:
    answer = Answer()
    for index, end in enumerate(("Done.", None, "held")):
        answer.new_filter = filtering(Filter(end))
        answer.take(start(index, TEXT), text(index, "Hi."))
    answer.take(stop(0))
    assert answer.release_text() == [TextDelta(ID, answer.sequence, 2, 0, "held")]
    assert [block["text"] for block in answer.content] == ["Done.", "", "held"]
    assert answer.release_text() == []


def test_a_continued_text_passes_the_filter_again() -> None:
    answer = Answer()
    answer.take(start(0, TEXT), text(0, "one "))
    answer.break_off()
    answer.new_filter = filtering(SimpleNamespace(feed=str.upper, finish=lambda: ""))
    answer.begin_attempt(CUT)
    answer.take(start(0, TEXT), text(0, "two"), stop(0))
    assert answer.content[0]["text"] == "one TWO"


def test_a_continued_text_that_must_be_json_is_checked_as_a_whole() -> None:
    answer = Answer()
    answer.schema = {"type": "object"}
    answer.take(start(0, TEXT), text(0, "{"))
    answer.break_off()
    answer.begin_attempt(CUT)
    answer.take(start(0, TEXT), text(0, "}"), stop(0))
    assert (answer.content[0]["text"], answer.content[0][JSON_MARK]) == ("{}", {})
