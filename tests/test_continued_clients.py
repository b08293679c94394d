"""While an answer is interrupted and continued, each client shows its whole text once, and no error."""

import json
import re
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise, repeat
from pathlib import Path
from typing import Any

import httpx2
import pytest
import test_command
import test_example_scripts
import test_examples
from conftest import SECRET
from npm import run
from programs import chromium
from running import tertulia
from scripted import START, Cut, Reply, begin, delta, end, finish, scripted, text

from tertulia.cli.terminal.answer import AnswerReader, Kind, Piece

Json = dict[str, Any]
WHOLE, AROUND_A_CALL = "The quick brown fox jumps.", "Let me look. It is there."
THINKING = [
    begin(0, type="thinking", thinking="", signature=""),
    delta(0, "thinking_delta", thinking="Where was I?"),
    delta(0, "signature_delta", signature="c2ln"),
    finish(0),
]
WORD = [
    Reply([START, *THINKING[:2], Cut]),
    Reply([START, *text("The ", "quick ", "bro")[:-1], Cut]),
    # The continuation begins with thinking, and then in the middle of a word.
    Reply([START, *THINKING, *text("wn fox ", "jumps.", index=1), *end()]),
]
CALL = [
    Reply(
        [
            START,
            *text("Let me look."),
            begin(1, type="tool_use", id="toolu_1", name="look", input={}),
            delta(1, "input_json_delta", partial_json='{"at": "th'),
            Cut,
        ]
    ),
    Reply([START, *text(" It ", "is there."), *end()]),
]


@pytest.fixture
def interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    """A server whose answers are interrupted: in thinking and in a word, or in the input of a call."""
    monkeypatch.setattr("tertulia.generation.continuation.FIRST_DELAY", 0.0)
    with scripted(*[*WORD, *CALL] * 20) as claude:
        keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address}
        with tertulia(tmp_path, **keyed) as address:
            yield address


def grows(texts: list[str]) -> bool:
    """Return whether each text begins with the one before."""
    return all(later.startswith(earlier) for earlier, later in pairwise(texts))


KINDS = {
    "ai-sdk": (
        ["reasoning done", "text done", "reasoning done"],
        ["text done", "dynamic-tool output-error", "text done"],
        "completed",
    ),
    "ag-ui": (["reasoning", "assistant", "reasoning"], ["assistant", "tool", "assistant"], "RUN_FINISHED"),
}
GRAPHQL = (["ThinkingBlock", "TextBlock", "ThinkingBlock"], ["TextBlock", "ToolUseBlock", "TextBlock"], "COMPLETED")


@pytest.mark.needs("node", "tests/node", "node_modules")
def test_the_clients_of_other_projects_show_the_whole_text_once(interrupted: str) -> None:
    report = run("continued.mjs", interrupted)
    assert set(report) == {"graphql-ws", "graphql-sse", "apollo", "urql", "ai-sdk", "ag-ui"}
    for name, seen in report.items():
        in_word, in_call, status = KINDS.get(name, GRAPHQL)
        for answer, whole, kinds in (
            (seen["text"], WHOLE, in_word),
            (seen["call"], AROUND_A_CALL, in_call),
        ):
            assert grows(answer["texts"]), (name, answer["texts"])
            assert (answer["texts"][-1], answer["kinds"]) == (whole, kinds), name
            assert (answer["status"], answer["error"]) == (status, None), name


def test_chat_without_graphql_returns_the_whole_text_once(interrupted: str) -> None:
    for whole in (WHOLE, AROUND_A_CALL):
        response = httpx2.post(f"{interrupted}/chat", json={"message": "Write"})
        assert (response.status_code, response.json()["response"]) == (200, whole)
    for whole in (WHOLE, AROUND_A_CALL):
        stream = httpx2.post(f"{interrupted}/chat/stream", json={"message": "Write"}).text
        pieces = [piece[piece.index("event: ") :] for piece in stream.split("\n\n") if "event: " in piece]
        events = [piece.partition("\ndata: ") for piece in pieces]
        kinds = [kind.removeprefix("event: ") for kind, _, _ in events]
        texts = [json.loads(data)["text"] for kind, _, data in events if kind == "event: delta"]
        assert set(kinds) == {"start", "delta", "done"}
        assert "".join(texts) == whole


def test_the_terminal_prints_the_whole_text_once(interrupted: str, tmp_path: Path) -> None:
    done = test_command.run_here(tmp_path, "chat", "--url", interrupted, stdin="Write\nCall\n")
    assert done.exit_code == 0, done.output
    assert " ".join(done.stdout.split()) == f"{WHOLE} {AROUND_A_CALL}"
    assert done.stderr.startswith("Where was I?")


def test_the_terminal_prints_a_continued_text_in_one_piece() -> None:
    reader = AnswerReader()
    shown: list[tuple[Kind, str]] = []
    for kind, values in (
        ("TextDelta", {"index": 0, "offset": 0, "text": "The quick bro"}),
        ("GenerationContinued", {}),
        ("ThinkingDelta", {"index": 1, "offset": 0, "text": "Where was I?"}),
        ("TextDelta", {"index": 0, "offset": 13, "text": "wn fox jumps."}),
        ("ContentBlockFinished", {"index": 0, "block": {}}),
        ("ContentBlockFinished", {"index": 2, "block": {"name": "look", "input": {}, "partialJson": '{"a'}}),
        ("ThinkingDelta", {"index": 3, "offset": 0, "text": "Done."}),
        ("GenerationCompleted", {}),
    ):
        shown += [(piece.kind, piece.text) for piece in reader.read({"__typename": kind, **values})]
    assert shown == [
        (Kind.TEXT, "The quick bro"),
        (Kind.TEXT, "wn fox jumps."),
        (Kind.NOTE, "(tool: look interrupted)"),
        (Kind.THINKING, "Done."),
        (Kind.NOTE, "(interrupted and continued)"),
    ]


def test_the_terminal_prints_why_claude_has_declined() -> None:
    refusal = {"category": "cyber", "explanation": "It could enable harm."}
    event = {"__typename": "GenerationCompleted", "generation": {"refusal": refusal}}
    (piece,) = AnswerReader().read(event)
    assert piece == Piece(Kind.PROBLEM, "Claude declined to answer (cyber: It could enable harm.).")


def test_the_example_scripts_print_the_whole_text_once(interrupted: str) -> None:
    for whole in (WHOLE, AROUND_A_CALL):
        status, out, problems = test_example_scripts.ended(test_example_scripts.python("Write"), interrupted)
        assert (status, out.partition("\n")[0]) == (0, whole), out + problems
    status, out, problems = test_example_scripts.ended(test_example_scripts.shell("Write"), interrupted)
    sections = re.findall(r"== .*\n(.*)\n", out)
    assert (status, sections[:2]) == (0, [WHOLE, AROUND_A_CALL]), out + problems


@pytest.mark.needs("chromium", "node", "tests/node", "node_modules", "page")
@pytest.mark.parametrize(
    "examples", [(), pytest.param(("apollo-react", "urql-react", "vue", "ai-sdk", "ag-ui"), marks=pytest.mark.chaos)]
)
def test_the_pages_show_the_whole_text_once(interrupted: str, examples: tuple[str, ...], tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(test_examples.build, examples, repeat(tmp_path)))
    with ExitStack() as stack:
        pages = {"page": interrupted, "plain": f"{interrupted}/plain"}
        for name in examples:
            pages[name] = stack.enter_context(test_examples.preview(name, tmp_path, interrupted))
        report = run("continued_pages.mjs", chromium(), "-", *[f"{name}={address}" for name, address in pages.items()])
    for name, seen in report.items():
        assert "error" not in seen, f"{name}: {seen}"
        assert seen["noted"] == [], name
        check_page(name, seen)
    for name in ("page", "plain"):
        assert "Interrupted and continued." in report[name]["word"][-1]["notes"]
        assert "Interrupted and continued." in report[name]["later"]["notes"]
    assert report["page"]["calls"] == ["look incomplete"]


def check_page(name: str, seen: Json) -> None:
    for states, whole in ((seen["word"], WHOLE), (seen["call"], AROUND_A_CALL)):
        assert [state["alerts"] for state in states if state["alerts"]] == [], name
        if name == "ag-ui" and whole == AROUND_A_CALL:
            continue  # This page shows the call and its result between the texts.
        assert grows([state["text"] for state in states]), name
        # The answer is shown as running until it is whole. The spaces between blocks differ.
        ended = {state["text"].replace(" ", "") for state in states if state["text"] and not state["busy"]}
        assert ended == {whole.replace(" ", "")}, name
