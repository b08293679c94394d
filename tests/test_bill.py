"""Billing and budgets: each request to Claude has a row, and nobody can spend more than the budget."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from client import WAIT, Api, Json
from conftest import Stage, Staged
from running import execute, forget_logs, tertulia
from scripted import START, Cut, Gate, Reply, end, says, text, uses
from test_tools import MODULE

BUDGET = "{ viewer { usage { costUsd } budget { limitUsd spentUsd reservedUsd resetsAt } } }"
ROWS = "SELECT purpose, outcome, input_tokens, output_tokens, estimated, amount FROM calls ORDER BY id"
OVERLOADED = Reply(status=529, body={"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
INPUT, OUTPUT = 4_000_000, 20_000_000
"""The default model's prices of a token, in 10^-12 US dollars."""


def rows(place: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(*row[:4], bool(row[4]), row[5]) for row in execute(place, ROWS)]


def budget(api: Api) -> Json:
    result: Json = api.ask(BUDGET)["viewer"]["budget"]
    return result


@pytest.mark.both
def test_each_attempt_has_its_own_row(staged: Staged, place: dict[str, Any]) -> None:
    stage = staged(OVERLOADED, OVERLOADED, says("Hi"))
    stage.api.answer("Hello")
    failed = ("answer", "failed", 0, 0, False, 0)
    answered = ("answer", "completed", 11, 7, False, 11 * INPUT + 7 * OUTPUT)
    assert rows(place) == [failed, failed, answered]


def test_a_refused_answer_has_one_row(staged: Staged, place: dict[str, Any]) -> None:
    stage = staged(
        Reply(status=400, body={"type": "error", "error": {"type": "invalid_request_error", "message": "no"}})
    )
    stage.api.answer("Hello")
    assert rows(place) == [("answer", "failed", 0, 0, False, 0)]


@pytest.mark.both
def test_the_output_tokens_of_a_stopped_answer_are_estimated_from_its_text(
    staged: Staged, place: dict[str, Any]
) -> None:
    gate = Gate()
    stage = staged(says("x" * 4000, gate), Reply([START, *text("y" * 4000)[:2], Cut]))
    sent = stage.api.send("Hello")
    stage.api.wait_for_text(sent["generation"]["id"], "x" * 4000)
    stage.api.stop(sent["generation"]["id"])
    gate.open.set()
    stage.api.answer("Again", options={"continueInterrupted": False})
    cost = 11 * INPUT + 1000 * OUTPUT
    assert rows(place) == [("answer", "stopped", 11, 1000, True, cost), ("answer", "failed", 11, 1000, True, cost)]
    usage = stage.api.conversation(sent["conversation"]["id"])["usage"]
    assert (usage["outputTokens"], Decimal(usage["costUsd"])) == (1000, Decimal(cost) / 10**12)


def test_only_the_stopped_round_is_estimated(staged: Staged, place: dict[str, Any]) -> None:
    gate = Gate()
    stage = staged(uses(("who", {})), says("x" * 400, gate), tools=(MODULE,))
    sent = stage.api.send("Hello")
    stage.api.wait_for_text(sent["generation"]["id"], "x" * 400)
    stage.api.stop(sent["generation"]["id"])
    gate.open.set()
    stage.api.follow(sent["generation"]["id"])
    whole, stopped = rows(place)
    assert (whole[:2], whole[4]) == (("answer", "completed"), False)
    assert (stopped[:2], stopped[4]) == (("answer", "stopped"), True)


@pytest.mark.both
def test_a_budget_is_reserved_while_claude_answers_and_settled_after(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says("half", gate), says("Hi"), monthly_budget_usd=Decimal("0.5"))
    sent = stage.api.send("Hello", options={"maxTokens": 1000})
    assert gate.reached.wait(WAIT)
    running = budget(stage.api)
    # A thousand output tokens cost two cents; the question costs less than a tenth of a cent.
    assert Decimal("0.02") < Decimal(running["reservedUsd"]) < Decimal("0.021")
    assert [Decimal(running[name]) for name in ("limitUsd", "spentUsd")] == [Decimal("0.5"), Decimal(0)]
    assert running["resetsAt"].endswith("-01T00:00:00+00:00")
    gate.open.set()
    stage.api.follow(sent["generation"]["id"])
    settled = budget(stage.api)
    assert Decimal(settled["reservedUsd"]) == 0
    assert Decimal(settled["spentUsd"]) == Decimal(11 * INPUT + 7 * OUTPUT) / 10**12


def reserved(stage: Stage, gate: Gate, text: str) -> Decimal:
    """Return the amount that is reserved for an answer of at most 1,000 tokens to `text`."""
    sent = stage.api.send(text, options={"maxTokens": 1000})
    assert gate.reached.wait(WAIT)
    amount = Decimal(budget(stage.api)["reservedUsd"])
    gate.open.set()
    stage.api.follow(sent["generation"]["id"])
    return amount


@pytest.mark.parametrize(("tools", "times", "searches"), [((), 1, 0), (("web_search",), 3, 10)])
def test_a_long_question_is_reserved_once_or_three_times_if_claude_may_search(
    staged: Staged, tools: tuple[str, ...], times: int, searches: int
) -> None:
    gate = Gate()
    stage = staged(says("half", gate), tools=tools, monthly_budget_usd=Decimal("0.5"))
    # With its JSON, it has 30,028 bytes, and the tool 78. Three are a token, which costs a quarter more because it is
    # written to the cache.
    question = (30_028 + 78 * len(tools)) // 3 * INPUT * 5 // 4
    expected = times * question + 1000 * OUTPUT + searches * 10**10
    assert reserved(stage, gate, "x" * 29_997) == Decimal(expected) / 10**12


def test_web_searches_are_reserved_if_the_model_may_make_them(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says("half", gate), tools=("web_search",), monthly_budget_usd=Decimal("0.5"))
    sent = stage.api.send("Hello", options={"maxTokens": 1000})
    assert gate.reached.wait(WAIT)
    # A thousand output tokens cost two cents, and ten searches a cent each.
    assert Decimal("0.12") < Decimal(budget(stage.api)["reservedUsd"]) < Decimal("0.121")
    gate.open.set()
    stage.api.follow(sent["generation"]["id"])


def test_a_reserved_amount_cannot_be_spent_twice(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says("half", gate), says("Hi"), monthly_budget_usd=Decimal("0.03"))
    sent = stage.api.send("Hello", options={"maxTokens": 32_000})
    assert gate.reached.wait(WAIT)
    refused = stage.api.try_send("And another")
    assert refused["__typename"] == "BudgetExceeded"
    assert stage.api.http.post("/chat", json={"message": "Hi"}).status_code == 402
    gate.open.set()
    stage.api.follow(sent["generation"]["id"])
    assert stage.api.answer("Now")["__typename"] == "GenerationCompleted"
    assert len(stage.claude.requests) == 2


def test_an_answer_that_exceeds_the_budget_is_stopped_and_keeps_its_text(staged: Staged) -> None:
    # The budget of a tenth of a cent pays for fifty output tokens.
    gate = Gate()
    long = Reply([START, *text("a" * 100, "b" * 400, gate, "c"), *end()])
    stage = staged(long, says("Hi"), monthly_budget_usd=Decimal("0.001"))
    ended = stage.api.answer("Hello")
    gate.open.set()
    assert (ended["__typename"], ended["error"]["code"]) == ("GenerationFailed", "BUDGET_EXCEEDED")
    assert ended["generation"]["message"]["text"] == "a" * 100 + "b" * 400
    assert stage.api.try_send("Again")["__typename"] == "BudgetExceeded"
    assert len(stage.claude.requests) == 1


@pytest.mark.both
def test_the_budget_is_checked_again_when_a_queued_message_starts(staged: Staged) -> None:
    gate = Gate()
    stage = staged(
        Reply([START, *text("a" * 500, gate), *end(output_tokens=1000)]), monthly_budget_usd=Decimal("0.015")
    )
    sent = stage.api.send("Hello")
    assert gate.reached.wait(WAIT)
    queued = stage.api.send("And then?", conversationId=sent["conversation"]["id"], whenBusy="QUEUE")
    gate.open.set()
    ended = stage.api.follow(queued["generation"]["id"])[-1]
    assert (ended["__typename"], ended["error"]["code"]) == ("GenerationFailed", "BUDGET_EXCEEDED")
    assert len(stage.claude.requests) == 1


def test_a_budget_needs_prices(staged: Staged) -> None:
    stage = staged(says("Hi"), default_model="claude-next-9", monthly_budget_usd=Decimal(1))
    refused = stage.api.try_send("Hello")
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "options.model")


def test_a_viewer_without_a_budget_has_none(staged: Staged) -> None:
    assert budget(staged(says("Hi")).api) is None


@pytest.mark.both
def test_an_answer_whose_process_died_is_billed_by_the_process_that_ends_it(
    tmp_path: Path, place: dict[str, Any]
) -> None:
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        sent = api.send("/simulate long 100")
        api.follow(sent["generation"]["id"])
    before = rows(place)
    forget_logs(place)
    execute(place, "DELETE FROM calls")
    # The row as the last checkpoint of a killed process would have left it.
    execute(
        place, "UPDATE generations SET status = 'running', lease_until = '2026-01-01 00:00:00+00:00', amount = NULL"
    )
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        assert api.follow(sent["generation"]["id"])[-1]["error"]["code"] == "INTERRUPTED"
    (row,) = rows(place)
    assert (row[0], row[1], row[4]) == ("answer", "failed", True)
    # Claude counts the output at the end of a response. That of a lost response is estimated from its text.
    text = " ".join(f"word{number}" for number in range(1, 101)) + "."
    assert row[2:4] == (before[0][2], len(text) // 4)
    assert row[5] == row[2] * INPUT + row[3] * OUTPUT
