"""Filters over the text and thinking that Claude writes: what is shown, stored and counted, however it arrives."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from client import Json
from hypothesis import given
from hypothesis import strategies as some

from tertulia import Redactor, TextFilter, TextStream, hook
from tertulia.claude.deltas import utf16_length
from tertulia.claude.errors import StreamError
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.hooks import Hooks
from tertulia.json import clean_text
from tertulia.streams.events import ContentBlockFinished, Delta, GenerationEvent, TextDelta, ThinkingDelta, fold
from tertulia.text_filters import TextKind

STREAM = TextStream(uuid4(), "ada", uuid4(), uuid4())
PATTERN, LONGEST = r"(?<!\d)\d(?:-?\d){2,4}(?!\d)", 10
TEXTS = some.text(alphabet="12345- x\n😀é", max_size=60)
PIECES = some.lists(TEXTS, max_size=8)
KINDS = some.sampled_from(("text", "thinking"))
SIGNED: Json = {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig"}}


class Upper:
    """Shows everything at once, in upper case."""

    def feed(self, text: str) -> str:
        return text.upper()

    def finish(self) -> str:
        return ""


class Hoarder:
    """Holds everything back until the end."""

    def __init__(self) -> None:
        self.text = ""

    def feed(self, text: str) -> str:
        self.text += text
        return ""

    def finish(self) -> str:
        return f"<{self.text}>"


class Broken(Upper):
    """Fails at the second piece."""

    fed = 0

    def feed(self, text: str) -> str:
        self.fed += 1
        if self.fed == 2:
            raise RuntimeError(text)
        return text


def answer_with(text_filter: Any, on_error: Any = "refuse", kind: TextKind = "text", **more: Any) -> AnswerAccumulator:
    @hook(timeout=60, on_error=on_error)
    def transform_text(stream: TextStream) -> TextFilter:
        assert stream == replace(STREAM, kind=kind)
        made: TextFilter = text_filter()
        return made

    answer = AnswerAccumulator(STREAM.generation_id)
    answer.new_filter = Hooks(SimpleNamespace(transform_text=transform_text), **more).text_filters(STREAM)
    return answer


def redacting() -> Redactor:
    return Redactor(PATTERN, "[n]", longest=LONGEST)


def start(kind: str = "text") -> Json:
    return {"type": "content_block_start", "index": 0, "content_block": {"type": kind, kind: ""}}


def piece(text: str, kind: str = "text") -> Json:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": f"{kind}_delta", kind: text}}


STOP: Json = {"type": "content_block_stop", "index": 0}


def write(
    answer: AnswerAccumulator, pieces: Sequence[str], *, is_stopped: bool = False, kind: TextKind = "text"
) -> list[GenerationEvent]:
    output: list[GenerationEvent] = []
    ending = ([SIGNED] if kind == "thinking" else []) + ([] if is_stopped else [STOP])
    for event in [start(kind), *(piece(text, kind) for text in pieces), *ending]:
        answer.process([event], output)
    return [*output, *answer.release_text()]


def check_offsets(events: Sequence[GenerationEvent], shown: str, kind: TextKind = "text") -> None:
    """Check that events, offsets and sequences agree with the text."""
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    deltas = [event for event in events if isinstance(event, Delta)]
    assert all(isinstance(delta, TextDelta if kind == "text" else ThinkingDelta) for delta in deltas)
    assert "".join(delta.text for delta in deltas) == shown
    assert all(delta.text for delta in deltas)
    for before, after in pairwise(deltas):
        assert after.offset == before.offset + utf16_length(before.text)


@given(pieces=PIECES)
def test_any_split_of_a_text_is_redacted_in_the_same_way_with_true_offsets(pieces: list[str]) -> None:
    expected = re.sub(PATTERN, "[n]", "".join(pieces))
    answer = answer_with(redacting)
    events = write(answer, pieces)
    check_offsets(events, expected)
    assert fold(events) == answer.content == answer.original_content == [{"type": "text", "text": expected}]


@given(pieces=PIECES)
def test_any_split_of_thinking_is_redacted_and_only_the_next_round_gets_the_original(pieces: list[str]) -> None:
    written = "".join(pieces)
    expected = re.sub(PATTERN, "[n]", written)
    answer = answer_with(redacting, kind="thinking")
    events = write(answer, pieces, kind="thinking")
    check_offsets(events, expected, "thinking")
    original: Json = {"type": "thinking", "thinking": written, "signature": "sig"}
    # Thinking that does not change is stored as Claude wrote it, with its signature.
    filtered: Json = {"type": "thinking", "thinking": expected, "filtered": True}
    assert fold(events) == answer.content == [original if expected == written else filtered]
    assert answer.original_content == [original]
    finished = [event.block for event in events if isinstance(event, ContentBlockFinished)]
    assert finished == answer.content


@given(pieces=PIECES, kind=KINDS)
def test_what_is_held_back_is_shown_when_an_answer_stops_in_the_middle(pieces: list[str], kind: TextKind) -> None:
    expected = re.sub(PATTERN, "[n]", "".join(pieces))
    answer = answer_with(redacting, kind=kind)
    events = write(answer, pieces, is_stopped=True, kind=kind)
    check_offsets(events, expected, kind)
    signed = {"signature": "sig"} if kind == "thinking" else {}
    assert answer.content == [{"type": kind, kind: expected, "partial": True} | signed]
    assert fold(events) == [{"type": kind, kind: expected, "partial": True}]
    assert answer.release_text() == []


@given(pieces=some.lists(some.text(alphabet="\ud83d\ude00a\0", max_size=4), max_size=6))
def test_a_filter_gets_whole_characters_even_if_a_surrogate_pair_is_split(pieces: list[str]) -> None:
    fed: list[str] = []

    class Noting(Upper):
        def feed(self, text: str) -> str:
            fed.append(text)
            return text

    events = write(answer_with(Noting), pieces)
    assert "".join(fed) == clean_text("".join(pieces))
    check_offsets(events, "".join(fed))


def test_a_filter_that_holds_everything_back_shows_it_at_the_end_of_the_block() -> None:
    events = write(answer_with(Hoarder), ["Hello ", "there"])
    check_offsets(events, "<Hello there>")
    assert [type(event).__name__ for event in events] == ["ContentBlockStarted", "TextDelta", "ContentBlockFinished"]


def test_tool_inputs_are_not_filtered() -> None:
    answer = answer_with(Upper)
    begun: Json = {"type": "tool_use", "id": "t", "name": "pay", "input": {}}
    input: Json = {"type": "input_json_delta", "partial_json": '{"card": "hm"}'}
    begin: Json = {"type": "content_block_start", "index": 0, "content_block": begun}
    answer.process([begin, {"type": "content_block_delta", "index": 0, "delta": input}, STOP], [])
    assert answer.content == [{**begun, "input": {"card": "hm"}}]


def test_a_filter_that_fails_ends_the_answer_and_shows_nothing_more_if_it_is_declared_so() -> None:
    answer = answer_with(Broken)
    with pytest.raises(StreamError, match="could not check its text"):
        write(answer, ["Hello ", "secret"])
    assert answer.release_text() == []
    assert answer.content[0]["text"] == "Hello "


def test_a_filter_that_fails_lets_the_text_through_if_it_is_declared_so() -> None:
    check_offsets(write(answer_with(Broken, "allow"), ["Hello ", "there", "!"]), "Hello there!")


class Late(Hoarder):
    """Fails when it is asked for the rest, so that everything is still held back."""

    def finish(self) -> str:
        raise RuntimeError


def test_text_that_a_failed_filter_has_held_back_unchanged_is_not_lost() -> None:
    check_offsets(write(answer_with(Late, "allow"), ["Hello ", "there"]), "Hello there")


def test_the_calls_of_a_filter_are_observed_once_for_each_block() -> None:
    calls: list[str] = []

    def note(name: str, outcome: str, _seconds: float) -> None:
        calls.append(f"{name} {outcome}")

    write(answer_with(Upper, on_call=note), ["a", "b"])
    write(answer_with(Broken, "allow", on_call=note), ["a", "b"])
    assert calls == ["transform_text ok", "transform_text failed"]


def test_a_filter_that_returns_no_text_fails() -> None:
    class Wrong(Upper):
        def feed(self, text: str) -> Any:
            return text.encode()

    with pytest.raises(StreamError):
        write(answer_with(Wrong), ["Hello"])


def test_a_summary_is_redacted_and_only_the_next_round_gets_the_original() -> None:
    begun: Json = {"type": "compaction", "content": None, "signature": "sig"}
    answer, output = answer_with(redacting), list[GenerationEvent]()
    answer.process([{"type": "content_block_start", "index": 0, "content_block": begun}], output)
    for words in ("Their number is 41", "11."):
        delta = {"type": "compaction_delta", "content": words}
        answer.process([{"type": "content_block_delta", "index": 0, "delta": delta}], output)
    assert "41" not in str(answer.content)
    answer.process([STOP], output)
    assert (
        answer.content == fold(output) == [{"type": "compaction", "content": "Their number is [n].", "filtered": True}]
    )
    assert answer.original_content == [{**begun, "content": "Their number is 4111."}]
