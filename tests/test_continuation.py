"""Answers that are interrupted in the middle are continued by asking Claude for the rest."""

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from client import apply
from conftest import Staged
from scripted import START, Cut, Reply, begin, delta, end, finish, says, text

from tertulia.claude.continuation import attempts_of
from tertulia.claude.errors import ErrorCode
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.streams.events import GenerationEvent, fold

Json = dict[str, Any]
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


@pytest.fixture(autouse=True)
def _without_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tertulia.generation.continuation.FIRST_DELAY", 0.0)


def types(events: list[Json]) -> list[str]:
    return [event["__typename"] for event in events]


def half(*pieces: str, fault: Any = Cut) -> Reply:
    """Return an answer whose text breaks off."""
    return Reply([START, *text(*pieces)[:-1], fault])


def roles(request: Json) -> list[tuple[str, list[str]]]:
    return [
        (message["role"], [block.get("text", block["type"]) for block in message["content"]])
        for message in request["messages"]
    ]


def test_25_a_text_that_breaks_off_continues_in_the_same_block(staged: Staged) -> None:
    stage = staged(half("The quick bro"), says("wn fox jumps."), says("Next."))
    sent = stage.api.send("Hello")
    events = stage.api.follow(sent["generation"]["id"], after=0)
    assert types(events) == [
        "GenerationStarted",
        "ContentBlockStarted",
        "TextDelta",
        "GenerationContinued",
        "TextDelta",
        "ContentBlockFinished",
        "GenerationCompleted",
    ]
    assert [event["sequence"] for event in events] == list(range(1, 8))
    assert apply(events) == ["The quick brown fox jumps."]
    assert stage.api.messages(sent["conversation"]["id"])[-1]["text"] == "The quick brown fox jumps."
    question, written, instruction = stage.claude.requests[1]["messages"]
    assert question == stage.claude.requests[0]["messages"][0]
    assert written["content"][0]["text"] == "The quick bro"
    assert instruction["role"] == "user"
    assert "<end_of_reply>The quick bro</end_of_reply>" in instruction["content"][0]["text"]


def test_26_later_prompts_contain_what_was_exchanged(staged: Staged) -> None:
    thinking = [
        begin(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="Hm."),
        delta(0, "signature_delta", signature="c2ln"),
        finish(0),
    ]
    again = [START, *thinking, *text("fox is quick. It jumps.", index=1), *end()]
    stage = staged(Reply([START, *thinking, *text("The fox is qu", index=1)[:-1], Cut]), Reply(again), says("Next."))
    sent = stage.api.send("Hello")
    assert apply(stage.api.follow(sent["generation"]["id"]))[1] == "The fox is quick. It jumps."
    stage.api.answer("And then?", conversationId=sent["conversation"]["id"])
    continued, later = (without_cache(request["messages"]) for request in stage.claude.requests[1:])
    assert later[:3] == continued
    assert [block.get("text") or block["thinking"] for block in later[3]["content"]] == [
        "Hm.",
        "fox is quick. It jumps.",
    ]


def without_cache(messages: list[Json]) -> list[Json]:
    cleaned: list[Json] = json.loads(json.dumps(messages).replace(', "cache_control": {"type": "ephemeral"}', ""))
    return cleaned


@pytest.mark.parametrize(
    "fault",
    [
        Cut,
        OVERLOADED,
        {"type": "error", "error": {"type": "api_error", "message": "Internal server error"}},
        b'event: content_block_delta\ndata: {"type": "conte\n\n',
        delta(7, "text_delta", text="of an unknown block"),
    ],
)
def test_24_each_fault_of_claude_in_the_middle_is_continued(staged: Staged, fault: Any) -> None:
    stage = staged(half("One, ", fault=fault), half("two, ", fault=fault), says("three."))
    ended = stage.api.answer("Count")
    assert ended["generation"]["message"]["text"] == "One, two, three."
    generation = stage.api.ask(
        "query ($id: ID!) { generation(id: $id) { status continuations } }", id=ended["generation"]["id"]
    )
    assert generation["generation"] == {"status": "COMPLETED", "continuations": 2}


@pytest.mark.parametrize("kind", ["invalid_request_error", "rate_limit_error", "authentication_error"])
def test_errors_of_the_request_are_not_continued(staged: Staged, kind: str) -> None:
    stage = staged(half("One, ", fault={"type": "error", "error": {"type": kind, "message": "no"}}), says("two."))
    failed = stage.api.answer("Count")
    assert failed["__typename"] == "GenerationFailed"
    assert failed["generation"]["message"]["text"] == "One, "
    assert len(stage.claude.requests) == 1


def test_an_answer_is_continued_five_times_at_most(staged: Staged) -> None:
    stage = staged(half("a."))
    failed = stage.api.answer("Count")
    assert (failed["__typename"], failed["error"]["code"]) == ("GenerationFailed", "CONNECTION")
    assert failed["generation"]["message"]["text"].startswith("a.")
    assert len(stage.claude.requests) == 6


def test_an_answer_is_not_continued_if_the_client_or_the_owner_disables_it(staged: Staged) -> None:
    stage = staged(half("One, "))
    assert stage.api.answer("Count", options={"continueInterrupted": False})["error"]["code"] == "CONNECTION"
    assert len(stage.claude.requests) == 1


@pytest.mark.parametrize(
    ("shown", "continuation", "whole"),
    [
        ("She reads the bo", "ok.", "She reads the book."),
        ("She reads the boo", "the book.", "She reads the book."),
        ("She reads a great bo", " reads a great book.", "She reads a great book."),
        ("| yes | yes |", " yes |\n", "| yes | yes | yes |\n"),
        ("x = 100000", "00\n", "x = 10000000\n"),
        ("今日は天", "は天気がいい。", "今日は天気がいい。"),
        ("A 👩‍👩", "‍👧‍👦 family", "A 👩‍👩‍👧‍👦 family"),
        ("```python\nprint(1", ")\n```", "```python\nprint(1)\n```"),
        ("I thi", "think so.", "I think so."),
        ("Stop, or all", "all of it.", "Stop, or all of it."),
        ("A list of ", "of words.", "A list of words."),
        ("Call `Vie", "`Viewer`.", "Call `Viewer`."),
        ("In\n## The", "## The End", "In\n## The End"),
        ("In\n  // A to", "  // A tool", "In\n  // A tool"),
        ("| `true", "` | `true` |", "| `true` | `true` |"),
        ("It was in 20", "20.", "It was in 2020."),
    ],
)
def test_a_repeated_beginning_is_shown_once(staged: Staged, shown: str, continuation: str, whole: str) -> None:
    stage = staged(half(shown), says(*continuation))
    assert stage.api.answer("Write")["generation"]["message"]["text"] == whole


MARKDOWN = [path.read_text()[:3000] for path in sorted(Path(__file__).parents[1].joinpath("docs").glob("*.md"))] + [
    """# 東京での一日 🗼

今日は天気がいいので、朝から散歩に出かけました。公園には人がたくさんいて、子どもたちが走り回っていました。

| 時間 | 場所 | 料金 |
| --- | --- | --- |
| 10:00 | 上野公園 | 無料 |
| 12:00 | ラーメン屋 | 900円 |

```python
def quicksort(items: list[int]) -> list[int]:
    if len(items) <= 1:
        return items
    smaller = [item for item in items if item < items[0]]
```

👩‍🍳 Anna kocht, 👨‍🍳 Ben wäscht ab. 👨‍👩‍👧‍👦 Alle essen.
""",
]
CUTS = 200


def repeated_words(shown: str, dice: random.Random) -> str:
    """Return up to three words from the end of a text, of which the first has at least four letters."""
    words = [match.start() for match in re.finditer(r"(?<!\S)[^\W\d_]{4,}", shown[-200:])]
    return shown[-200:][words[-dice.randint(1, 3) :][0] :] if words else ""


def nothing(_shown: str, _dice: random.Random) -> str:
    return ""


@pytest.mark.parametrize(("repeat", "least"), [(nothing, 199), (repeated_words, 198)])
def test_markdown_that_is_cut_twice_anywhere_is_the_same_as_without_interruptions(
    repeat: Callable[[str, random.Random], str], least: int
) -> None:
    dice, equal = random.Random(1), 0
    for _ in range(CUTS):
        whole = dice.choice(MARKDOWN)
        answer, events, written = AnswerAccumulator(uuid4()), list[GenerationEvent](), list[str]()
        shown = ""
        for cut in [*sorted(dice.sample(range(1, len(whole)), 2)), len(whole)]:
            if written:
                events += answer.break_off()
                shown = answer.content[0]["text"]
                events.append(answer.begin_attempt(ErrorCode.CONNECTION))
            rest = whole[len(shown) : max(cut, len(shown))] if whole.startswith(shown) else whole[cut:]
            written.append((repeat(shown, dice) if shown else "") + rest)
            pieces = re.findall(rf"(?s).{{1,{dice.randint(1, 30)}}}", written[-1])
            answer.process([begin(0, type="text", text=""), *text(*pieces)[1:-1]], events)
        answer.process([finish(0), *end()], events)
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        assert fold(events) == answer.content
        # A text that was held back at a cut is not shown, so Claude writes it again.
        parts = [blocks[0]["text"] for blocks in attempts_of(answer.content).values()]
        assert parts[0] == written[0]
        assert written[-1] == parts[-1]
        equal += answer.content[0]["text"] == whole
    assert equal >= least


def test_24_a_fallback_model_finishes_what_an_overloaded_one_began(staged: Staged) -> None:
    stage = staged(half("One, ", fault=OVERLOADED), says("two."), says("Next."), fallback_models="claude-haiku-5-5")
    sent = stage.api.send("Count")
    stage.api.follow(sent["generation"]["id"])
    blocks = stage.api.ask(
        "query ($id: ID!) { generation(id: $id) { model { id } message { content { ... on TextBlock { text models } } } } }",
        id=sent["generation"]["id"],
    )["generation"]
    assert blocks["message"]["content"] == [{"text": "One, two.", "models": ["claude-haiku-5-5"]}]
    assert blocks["model"]["id"] == "claude-opus-5-5"
    assert [request["model"] for request in stage.claude.requests] == ["claude-opus-5-5", "claude-haiku-5-5"]
    days = stage.api.ask("{ viewer { usageByDay { model usage { outputTokens } } } }")["viewer"]["usageByDay"]
    assert {day["model"] for day in days} == {"claude-opus-5-5", "claude-haiku-5-5"}
