"""The simulator's broken streams and their continuations, called by the real SDK over HTTP."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import anthropic
import httpx2
import pytest
from running import running

from tertulia.simulator.app import create_simulator

Json = dict[str, Any]

MODEL = "claude-opus-5-5"
INSTRUCTION = "Your reply was interrupted. Continue exactly where the text stops, without repeating any of it."
TOOLS: list[Json] = [
    {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}},
    {"type": "web_search_20260318", "name": "web_search", "allowed_callers": ["direct"]},
]
UNFINISHED = (anthropic.APIError, httpx2.HTTPError, ValueError, AssertionError)


@pytest.fixture(scope="module")
def claude() -> Generator[anthropic.Anthropic]:
    with running(create_simulator(pace=0), lifespan="off") as address:
        client = anthropic.Anthropic(api_key="anything", base_url=address, max_retries=0, timeout=httpx2.Timeout(10))
        with client:
            yield client


@dataclass
class Attempt:
    """The answer to one request: its blocks, the indexes of the complete ones, and its end or error."""

    blocks: list[Json] = field(default_factory=list[Json])
    completed: set[int] = field(default_factory=set[int])
    stop_reason: str | None = None
    usage: Json = field(default_factory=dict[str, Any])
    error: BaseException | None = None

    @property
    def text(self) -> str:
        return "".join(block["text"] for block in self.blocks if block["type"] == "text")

    @property
    def kinds(self) -> list[str]:
        return [block["type"] for block in self.blocks]

    def resent(self) -> list[Json]:
        """Return the blocks as a client sends them back: texts that were cut, and otherwise only complete blocks."""
        written = [block for index, block in enumerate(self.blocks) if index in self.completed or block.get("text")]
        return [block for block in written if block["type"] != "text" or block["text"].strip()]


def user(text: str) -> Json:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def attempt(claude: anthropic.Anthropic, messages: Sequence[Json], **more: Any) -> Attempt:
    """Stream one answer, up to its end or to the point where it breaks."""
    written = Attempt()
    body: Json = {"model": MODEL, "max_tokens": 4000, "messages": list(messages), "stream": True}
    try:
        events: Any = claude.messages.create(**(body | more))
        for event in events:
            _take(written, event.model_dump(mode="json", exclude_none=True))
        assert written.stop_reason is not None, "the stream ended without an end of the message"
    except UNFINISHED as error:
        written.error = error
    return written


def _take(written: Attempt, event: Json) -> None:
    match event["type"]:
        case "message_start":
            written.usage = event["message"]["usage"]
        case "content_block_start":
            written.blocks.append(dict(event["content_block"]))
        case "content_block_delta":
            _append(written.blocks[event["index"]], event["delta"])
        case "content_block_stop":
            written.completed.add(event["index"])
        case "message_delta":
            written.stop_reason, written.usage = event["delta"]["stop_reason"], written.usage | event["usage"]
        case _:
            pass


def _append(block: Json, delta: Json) -> None:
    for name in ("text", "thinking", "signature"):
        if name in delta:
            block[name] = block.get(name, "") + delta[name]
    if "partial_json" in delta:
        block["json"] = block.get("json", "") + delta["partial_json"]
    if "citation" in delta:
        block["citations"] = [*block.get("citations", []), delta["citation"]]


def continued(messages: Sequence[Json], *parts: Sequence[Json], instruction: str = INSTRUCTION) -> list[Json]:
    """Return the messages of a request to continue an answer of which some parts were written."""
    following: list[Json] = []
    for part in parts:
        if part:
            following += [{"role": "assistant", "content": list(part)}, user(instruction)]
    return [*messages, *following]


def finish(claude: anthropic.Anthropic, message: str, *, attempts: int = 9, **more: Any) -> list[Attempt]:
    """Ask for an answer, and continue it until it ends."""
    written: list[Attempt] = []
    while len(written) < attempts and (not written or written[-1].stop_reason is None):
        parts = [earlier.resent() for earlier in written]
        written.append(attempt(claude, continued([user(message)], *parts), **more))
    return written


def uninterrupted(claude: anthropic.Anthropic, message: str, **more: Any) -> Attempt:
    """Return the whole answer to a message that requests a break. An answer that is not streamed does not break."""
    body: Json = {"model": MODEL, "max_tokens": 4000, "messages": [user(message)]}
    whole = claude.messages.create(**(body | more)).model_dump(mode="json", exclude_none=True)
    return Attempt(whole["content"], set(range(len(whole["content"]))), whole["stop_reason"], whole["usage"])


def text_of(attempts: Sequence[Attempt]) -> str:
    return "".join(part.text for part in attempts)


# ---- continuations -------------------------------------------------------------------------------------------


def test_an_answer_that_breaks_at_a_character_continues_from_exactly_there(claude: anthropic.Anthropic) -> None:
    whole = uninterrupted(claude, "/simulate break-at 120")
    first, second = finish(claude, "/simulate break-at 120")
    assert first.text == whole.text[:120]
    assert isinstance(first.error, anthropic.APIError)
    assert first.text + second.text == whole.text
    assert (second.stop_reason, second.kinds) == ("end_turn", ["text"])


def test_an_answer_continues_from_each_of_its_characters(claude: anthropic.Anthropic) -> None:
    messages = [user("/simulate break-at 0")]
    whole = uninterrupted(claude, "/simulate break-at 0").text
    for end in range(1, len(whole), 43):
        part: Json = {"type": "text", "text": whole[:end]}
        assert whole[:end] + attempt(claude, continued(messages, [part])).text == whole


def test_a_stream_breaks_several_times_each_time_further_on(claude: anthropic.Anthropic) -> None:
    attempts = finish(claude, "/simulate break-at 50 3")
    assert [len(part.text) for part in attempts[:3]] == [50, 50, 50]
    assert len(attempts) == 4
    assert text_of(attempts) == uninterrupted(claude, "/simulate break-at 50 3").text


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("error", "Overloaded"), ("api-error", "Internal server error"), ("cut", "peer closed"),
        ("no-stop", "without an end"), ("garbage", ""),
    ],
)  # fmt: skip
def test_a_stream_breaks_in_the_requested_way(claude: anthropic.Anthropic, kind: str, error: str) -> None:
    for message in (f"/simulate break-at 77 1 {kind}", f"/simulate {kind}"):
        first, second = finish(claude, message)
        assert error in str(first.error)
        assert first.text
        assert first.text + second.text == uninterrupted(claude, message).text


def test_a_hanging_stream_sends_nothing_more(claude: anthropic.Anthropic) -> None:
    impatient = claude.with_options(timeout=httpx2.Timeout(10, read=0.3))
    first, second = finish(impatient, "/simulate break-at 40 hang")
    assert isinstance(first.error, (httpx2.ReadTimeout, anthropic.APITimeoutError))
    assert first.text + second.text == uninterrupted(claude, "/simulate break-at 40 hang").text


@pytest.mark.parametrize("scenario", ["long 60", "markdown", "unicode"])
def test_other_answers_can_be_broken_and_continued(claude: anthropic.Anthropic, scenario: str) -> None:
    message = f"/simulate {scenario}\n/simulate break-at 30 2"
    attempts = finish(claude, message)
    assert len(attempts) == 3
    assert text_of(attempts) == uninterrupted(claude, f"/simulate {scenario}").text


def test_an_answer_without_a_break_can_be_continued_after_the_client_lost_it(claude: anthropic.Anthropic) -> None:
    whole = uninterrupted(claude, "My name is Ada").text
    rest = attempt(claude, continued([user("My name is Ada")], [{"type": "text", "text": whole[:25]}]))
    assert whole[:25] + rest.text == whole


@pytest.mark.parametrize(
    "instruction", ["Please continue.", "You were cut off. Please resume.", "Carry on where it broke off"]
)
def test_any_instruction_to_continue_is_recognized(claude: anthropic.Anthropic, instruction: str) -> None:
    whole = uninterrupted(claude, "Hello").text
    part: Json = {"type": "text", "text": whole[:9]}
    assert attempt(claude, continued([user("Hello")], [part], instruction=instruction)).text == whole[9:]


@pytest.mark.parametrize(
    ("part", "instruction"),
    [(0.5, "What is my name?"), (0.5, "/simulate thinking and continue"), (1.0, "Continue"), (0.0, "Continue")],
)
def test_an_ordinary_message_after_an_answer_is_not_a_continuation(
    claude: anthropic.Anthropic, part: float, instruction: str
) -> None:
    whole = uninterrupted(claude, "Hello, my name is Ada").text
    written: Json = {"type": "text", "text": whole[: int(len(whole) * part)] or "Another answer."}
    answer = attempt(claude, continued([user("Hello, my name is Ada")], [written], instruction=instruction))
    assert not whole.endswith(answer.text)
    assert answer.stop_reason == "end_turn"


def test_a_whole_answer_continues_with_an_empty_one(claude: anthropic.Anthropic) -> None:
    whole = uninterrupted(claude, "/simulate break-at 5000")
    first, second = finish(claude, "/simulate break-at 5000")
    assert (first.text, first.completed) == (whole.text, {0})
    assert (second.blocks, second.stop_reason, second.usage["output_tokens"]) == ([], "end_turn", 1)


def test_later_turns_do_not_notice_that_an_answer_was_continued(claude: anthropic.Anthropic) -> None:
    first, second = finish(claude, "/simulate break-at 300")
    history = continued([user("/simulate break-at 300")], first.resent())
    interrupted = [*history, {"role": "assistant", "content": second.resent()}, user("Hello again")]
    whole = {"role": "assistant", "content": first.text + second.text}
    plain = attempt(claude, [user("/simulate break-at 300"), whole, user("Hello again")])
    assert attempt(claude, interrupted).text == plain.text
    assert "turn 2" in plain.text


def test_a_continuation_ends_at_its_own_max_tokens(claude: anthropic.Anthropic) -> None:
    whole = uninterrupted(claude, "/simulate long 80")
    part: Json = {"type": "text", "text": whole.text[:100]}
    messages = continued([user("/simulate long 80")], [part])
    cut = attempt(claude, messages, max_tokens=10)
    assert (cut.stop_reason, cut.usage["output_tokens"]) == ("max_tokens", 10)
    assert whole.text.startswith(part["text"] + cut.text)
    assert attempt(claude, continued(messages, cut.resent())).text == whole.text[100 + len(cut.text) :]


def test_a_continuation_ends_with_the_stop_reason_of_the_answer(claude: anthropic.Anthropic) -> None:
    for message, more in (
        ("/simulate max-tokens 30", {}), ("/simulate refusal", {}), ("/simulate long 9", {"stop_sequences": ["word7"]})
    ):  # fmt: skip
        whole = uninterrupted(claude, message, **more)
        rest = attempt(claude, continued([user(message)], [{"type": "text", "text": whole.text[:8]}]), **more)
        assert whole.text[:8] + rest.text == whole.text
        assert rest.stop_reason == whole.stop_reason != "end_turn"


def test_each_request_has_its_own_usage_and_reads_the_prompt_from_the_cache(claude: anthropic.Anthropic) -> None:
    cached: Json = {"cache_control": {"type": "ephemeral"}, "system": "You are kind. " * 300}
    whole = uninterrupted(claude, "/simulate break-at 500 #usage", **cached)
    first, second = finish(claude, "/simulate break-at 500 #usage", **cached)
    counts = [sum(part.usage[name] for name in part.usage if name.endswith("input_tokens")) for part in (first, second)]
    assert counts[0] < counts[1]
    assert second.usage["cache_read_input_tokens"] == counts[0]
    assert 0 < second.usage["output_tokens"] < whole.usage["output_tokens"]


def test_the_same_request_gets_the_same_answer(claude: anthropic.Anthropic) -> None:
    attempts = [finish(claude, "/simulate break-at 90 2") for _ in range(2)]
    assert [part.blocks for part in attempts[0]] == [part.blocks for part in attempts[1]]


# ---- repeats, refusals and errors ----------------------------------------------------------------------------


@pytest.mark.parametrize(("option", "repeated"), [("repeat 12", 12), ("repeat 2 words", len("**message** tra"))])
def test_a_continuation_repeats_a_little_at_the_join(claude: anthropic.Anthropic, option: str, repeated: int) -> None:
    whole = uninterrupted(claude, "/simulate break-at 0").text
    at = whole.index("**message** tra") + len("**message** tra")
    first, second = finish(claude, f"/simulate break-at {at} {option}")
    assert second.text == whole[at - repeated :]
    assert first.text + second.text[repeated:] == whole


@pytest.mark.parametrize("keeps", [True, False])
def test_a_client_may_keep_or_remove_what_a_continuation_repeats(claude: anthropic.Anthropic, *, keeps: bool) -> None:
    message = "/simulate break-at 60 2 repeat 7"
    whole = uninterrupted(claude, message).text
    parts = [[{"type": "text", "text": whole[:60]}]]
    second = attempt(claude, continued([user(message)], *parts)).text
    assert second == whole[53:120]
    parts.append([{"type": "text", "text": second if keeps else second[7:]}])
    assert attempt(claude, continued([user(message)], *parts)).text == whole[113:]


def test_a_part_that_could_repeat_or_continue_is_taken_as_the_requested_repeat(claude: anthropic.Anthropic) -> None:
    message = "/simulate break-at 60 1 repeat 7"
    whole = uninterrupted(claude, message).text
    at = next(at for at in range(20, len(whole)) if whole[at - 7] == whole[at] != " ")
    parts = [[{"type": "text", "text": text}] for text in (whole[:at], whole[at])]
    assert attempt(claude, continued([user(message)], *parts)).text == whole[at - 7 :]


def test_a_continuation_can_be_refused(claude: anthropic.Anthropic) -> None:
    _, second = finish(claude, "/simulate break-at 60 refuse")
    assert (second.stop_reason, second.blocks) == ("refusal", [])


def test_a_continuation_can_be_an_invalid_request(claude: anthropic.Anthropic) -> None:
    _, second = finish(claude, "/simulate cut reject", attempts=2)
    assert isinstance(second.error, anthropic.BadRequestError)


def test_a_continuation_can_be_overloaded_a_few_times(claude: anthropic.Anthropic) -> None:
    message = "/simulate break-at 60 cut overloaded 2"
    first, *failed, last = finish(claude, message)
    assert [getattr(part.error, "status_code", None) for part in failed] == [529, 529]
    assert first.text + last.text == uninterrupted(claude, message).text


def test_another_model_continues_what_an_overloaded_one_began(claude: anthropic.Anthropic) -> None:
    message = f"/simulate break-at 60 overloaded {MODEL}"
    first, *failed = finish(claude, message, attempts=3)
    assert [getattr(part.error, "status_code", None) for part in failed] == [529, 529]
    rest = attempt(claude, continued([user(message)], first.resent()), model="claude-sonnet-5-5")
    assert first.text + rest.text == uninterrupted(claude, message).text
    whole = attempt(claude, [user(f"/simulate overloaded {MODEL}")], model="claude-sonnet-5-5")
    assert whole.text == "It worked in the end."


# ---- thinking and tools --------------------------------------------------------------------------------------


def test_a_continuation_begins_with_thinking_of_its_own(claude: anthropic.Anthropic) -> None:
    message = "/simulate thinking\n/simulate break-at 100"
    first, second = finish(claude, message)
    assert (first.kinds, second.kinds) == (["thinking", "text"], ["thinking", "text"])
    assert first.blocks[0]["signature"] != second.blocks[0]["signature"]
    assert first.text + second.text == uninterrupted(claude, message).text


def test_an_answer_that_breaks_within_thinking_thinks_from_the_beginning(claude: anthropic.Anthropic) -> None:
    whole = uninterrupted(claude, "/simulate break-thinking 2")
    attempts = finish(claude, "/simulate break-thinking 2")
    assert [part.kinds for part in attempts] == [["thinking"], ["thinking"], ["thinking", "text"]]
    assert whole.blocks[0]["thinking"].startswith(attempts[0].blocks[0]["thinking"])
    assert attempts[0].completed == set()
    assert attempts[2].blocks == whole.blocks


@pytest.mark.parametrize(
    "call", ['/simulate call weather {"city": "Cadiz"}\n/simulate break-tool 2', "/simulate break-tool 2"]
)
def test_a_call_that_breaks_within_its_input_is_made_again(claude: anthropic.Anthropic, call: str) -> None:
    whole = uninterrupted(claude, call, tools=TOOLS)
    attempts = finish(claude, call, tools=TOOLS)
    assert [part.kinds for part in attempts] == [["text", "tool_use"], ["tool_use"], ["tool_use"]]
    assert [part.completed for part in attempts] == [{0}, set(), {0}]
    assert (attempts[0].text, attempts[-1].stop_reason) == (whole.text, "tool_use")
    assert attempts[-1].blocks[0]["json"].startswith('{"city": ')


def test_calls_follow_a_continued_text_and_their_results_are_accepted(claude: anthropic.Anthropic) -> None:
    message = '/simulate thinking\n/simulate call weather {"city": "Cadiz"}\n/simulate break-at 80'
    first, second = finish(claude, message, tools=TOOLS)
    assert second.kinds == ["thinking", "text", "tool_use"]
    call = {"type": "tool_use", "id": second.blocks[2]["id"], "name": "weather", "input": {"city": "Cadiz"}}
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "Sunny"}
    messages = [
        *continued([user(message)], first.resent()),
        {"role": "assistant", "content": [*second.blocks[:2], call]},
        {"role": "user", "content": [result]},
    ]
    described = attempt(claude, messages, tools=TOOLS)
    assert (described.text, described.stop_reason) == ('The tool returned: "Sunny".', "end_turn")
    half = continued(messages, [{"type": "text", "text": described.text[:10]}])
    assert described.text[:10] + attempt(claude, half, tools=TOOLS).text == described.text


def test_the_answer_to_tool_results_can_break(claude: anthropic.Anthropic) -> None:
    message = "/simulate rounds 2\n/simulate break-at 12 after-tools"
    messages = [user(message)]
    for breaks in (False, True):
        written = attempt(claude, messages, tools=TOOLS)
        assert (written.error is not None) is breaks
        if breaks:
            messages = continued(messages, written.resent())
            written = attempt(claude, messages, tools=TOOLS)
        assert written.stop_reason == "tool_use"
        *texts, call = written.blocks
        call = {"type": "tool_use", "id": call["id"], "name": call["name"], "input": {}}
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": "Sunny"}
        messages = [*messages, {"role": "assistant", "content": [*texts, call]}, {"role": "user", "content": [result]}]
    first = attempt(claude, messages, tools=TOOLS)
    rest = attempt(claude, continued(messages, first.resent()), tools=TOOLS)
    assert (first.text, rest.text) == ("The tool ret", 'urned: "Sunny".')


def test_a_search_that_is_complete_is_not_made_again(claude: anthropic.Anthropic) -> None:
    message = "/simulate web-search storks"
    whole = uninterrupted(claude, message, tools=TOOLS)
    searched = whole.blocks[:2]
    part = {"type": "text", "text": whole.text[:12]}
    after_text = attempt(claude, continued([user(message)], [*searched, part]), tools=TOOLS)
    assert (after_text.kinds, after_text.text) == (["text"], whole.text[12:])
    after_search = attempt(claude, continued([user(message)], searched), tools=TOOLS)
    assert (after_search.kinds, after_search.text) == (["text"], whole.text)
    assert "server_tool_use" not in after_search.usage


def test_a_paused_turn_can_be_interrupted_after_the_pause(claude: anthropic.Anthropic) -> None:
    paused = uninterrupted(claude, "/simulate pause", tools=TOOLS).blocks
    messages = [user("/simulate pause"), {"role": "assistant", "content": paused}]
    whole = attempt(claude, messages, tools=TOOLS)
    result = {**whole.blocks[0]}
    part = [*paused, result, {"type": "text", "text": whole.text[:9]}]
    rest = attempt(claude, continued([user("/simulate pause")], part), tools=TOOLS)
    assert whole.text[:9] + rest.text == whole.text


# ---- the rules of the API ------------------------------------------------------------------------------------


def test_a_continuation_must_end_with_the_user(claude: anthropic.Anthropic) -> None:
    first, _ = finish(claude, "/simulate break-at 100")
    prefill = [user("/simulate break-at 100"), {"role": "assistant", "content": first.resent()}]
    assert "assistant message prefill" in str(attempt(claude, prefill).error)


def test_thinking_is_bound_to_everything_before_it_also_to_the_instruction(claude: anthropic.Anthropic) -> None:
    message = "/simulate thinking\n/simulate break-at 100 2"
    first, second, third = finish(claude, message)
    parts = [part.resent() for part in (first, second)]
    answer = {"role": "assistant", "content": third.resent()}
    exact = [*continued([user(message)], *parts), answer, user("Thank you")]
    assert attempt(claude, exact).stop_reason == "end_turn"
    other_instruction = [*continued([user(message)], *parts, instruction="Continue."), answer, user("Thank you")]
    other_text = [*continued([user(message)], [*first.resent(), {"type": "text", "text": "!"}], parts[1]), answer]
    other_question = [user(f"{message} please"), *exact[1:]]
    for messages, index in ((other_instruction, 3), ([*other_text, user("Thank you")], 3), (other_question, 1)):
        error = attempt(claude, messages).error
        assert isinstance(error, anthropic.BadRequestError)
        assert f"messages.{index}.content.0: Invalid `signature` in `thinking` block" in str(error)


def test_thinking_may_be_left_out_altogether(claude: anthropic.Anthropic) -> None:
    message = "/simulate thinking\n/simulate break-at 100"
    first, _ = finish(claude, message)
    text = [block for block in first.resent() if block["type"] == "text"]
    rest = attempt(claude, continued([user(message)], text))
    assert first.text + rest.text == uninterrupted(claude, message).text


def test_unfinished_thinking_and_calls_are_refused(claude: anthropic.Anthropic) -> None:
    unfinished, _ = finish(claude, "/simulate break-thinking cut")
    error = attempt(claude, continued([user("/simulate break-thinking cut")], unfinished.blocks)).error
    assert "Invalid `signature`" in str(error)
    call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
    error = attempt(claude, continued([user("/simulate break-tool")], [call]), tools=TOOLS).error
    assert "without `tool_result` blocks" in str(error)
