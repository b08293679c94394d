"""The server's budget: all users together, on all replicas, spend no more than the operator's limit."""

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from client import WAIT, Api, Json, wait_until
from conftest import SECRET, Staged
from people import MODE, register, signed
from running import execute, tertulia
from scripted import START, Gate, Reply, end, says, scripted, text, uses
from test_command import run_here
from test_titles import SMALL, title_reply

SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename
  ... on BudgetExceeded { message resetsAt } } }"""
MONTHLY, DAILY = "server_monthly_budget_usd", "server_daily_budget_usd"
COST = Decimal(11 * 4 + 7 * 20) / 10**6
"""US dollars of one scripted answer."""


def refused(api: Api, **more: Any) -> Json:
    """Send a message that a spent budget must refuse; return the refusal."""
    refusal: Json = api.ask(SEND, input={"text": "Hello", **more})["sendMessage"]
    assert refusal["__typename"] == "BudgetExceeded", refusal
    return refusal


def new_account(stack: ExitStack, address: str, name: str) -> Api:
    """Register a new account; return its client."""
    return stack.enter_context(signed(address, register(address, name)))


def next_start(period: str) -> datetime:
    """Return when the next day or month begins, in UTC."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=1) if period == "day" else (today.replace(day=1) + timedelta(days=32)).replace(day=1)


def reserved(place: Json) -> int:
    """Return the amount that running answers and titles have reserved, in units."""
    answers, titles = (
        execute(place, f"SELECT coalesce(sum({column}), 0) FROM {table}")[0][0]
        for column, table in (("reserved", "generations"), ("amount", "reservations"))
    )
    return int(answers + titles)


@pytest.mark.both
@pytest.mark.parametrize(("setting", "period"), [(MONTHLY, "month"), (DAILY, "day")])
def test_a_new_account_cannot_use_a_spent_server_budget(setting: str, period: str, tmp_path: Path, place: Json) -> None:
    with scripted(Reply([START, *text("Hi"), *end(output_tokens=1000)])) as claude:
        keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address, setting: Decimal("0.005")}
        with tertulia(tmp_path, **place, **keyed, **MODE) as address, ExitStack() as stack:
            ada, eve, mallory = (new_account(stack, address, name) for name in ("ada", "eve", "mallory"))
            assert ada.answer("Hello")["error"]["code"] == "BUDGET_EXCEEDED"
            for api in (ada, eve, mallory):
                refusal = refused(api)
                assert refusal["message"] == "The server's budget is used up."
                assert datetime.fromisoformat(refusal["resetsAt"]) == next_start(period)
                by_rest = api.http.post("/chat", json={"message": "Hello"})
                assert (by_rest.status_code, by_rest.json()["error"]["code"]) == (402, "BUDGET_EXCEEDED")
            assert ada.ask("{ viewer { budget { limitUsd } } }")["viewer"]["budget"] is None
        assert len(claude.requests) == 1


def test_when_both_budgets_are_spent_the_later_reset_is_reported(staged: Staged) -> None:
    stage = staged(
        Reply([START, *text("Hi"), *end(output_tokens=1000)]), **{MONTHLY: Decimal("0.005"), DAILY: Decimal("0.004")}
    )
    stage.api.answer("Hello")
    assert datetime.fromisoformat(refused(stage.api)["resetsAt"]) == next_start("month")


@pytest.mark.joined
def test_concurrent_messages_on_three_replicas_reserve_no_more_than_the_budget(tmp_path: Path, place: Json) -> None:
    gate = Gate()
    limit = Decimal("0.1")
    with ExitStack() as stack:
        claude = stack.enter_context(scripted(says("half", gate)))
        keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address, MONTHLY: limit, **MODE}
        addresses = [stack.enter_context(tertulia(tmp_path, **place, **keyed)) for _ in range(3)]
        apis = [new_account(stack, addresses[number % 3], f"user{number}") for number in range(6)]

        # Each answer may cost slightly more than two cents.
        def send(api: Api) -> str:
            return str(api.try_send("Hi", options={"maxTokens": 1000})["__typename"])

        sends = apis * 4
        with ThreadPoolExecutor(len(sends)) as pool:
            kinds = list(pool.map(send, sends))
        assert reserved(place) == int(limit * 10**12)
        # The last answer has reserved the remaining amount.
        assert kinds.count("SendMessagePayload") == 5
        assert kinds.count("BudgetExceeded") == len(sends) - 5
        gate.open.set()


@pytest.mark.both
def test_the_reservation_of_a_running_answer_is_not_available_to_others(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says("half", gate), says("Hi"), **{DAILY: Decimal("0.03")})
    sent = stage.api.send("Hello", options={"maxTokens": 32_000})
    assert gate.reached.wait(WAIT)
    assert stage.api.try_send("And another", options={"maxTokens": 32_000})["__typename"] == "BudgetExceeded"
    gate.open.set()
    stage.api.follow(sent["generation"]["id"])
    assert stage.api.answer("Now")["__typename"] == "GenerationCompleted"


@pytest.mark.both
def test_spending_of_yesterday_does_not_count_toward_todays_budget(staged: Staged, place: Json) -> None:
    stage = staged(Reply([START, *text("Hi"), *end(output_tokens=1000)]), says("Hi"), **{DAILY: Decimal("0.005")})
    assert stage.api.answer("Hello")["error"]["code"] == "BUDGET_EXCEEDED"
    assert refused(stage.api)["message"] == "The server's budget is used up."
    execute(place, f"UPDATE spending SET day = '{next_start('day') - timedelta(days=2):%Y-%m-%d}'")
    assert stage.api.answer("Hello", options={"maxTokens": 100})["__typename"] == "GenerationCompleted"


def test_spending_on_the_first_of_the_month_counts_until_the_months_end(staged: Staged, place: Json) -> None:
    stage = staged(Reply([START, *text("Hi"), *end(output_tokens=1000)]), **{MONTHLY: Decimal("0.005")})
    stage.api.answer("Hello")
    execute(place, f"UPDATE spending SET day = '{next_start('day') - timedelta(days=1):%Y-%m-01}'")
    refused(stage.api)
    execute(place, f"UPDATE spending SET day = '{next_start('month') - timedelta(days=32):%Y-%m-%d}'")
    assert stage.api.answer("Hello")["error"]["code"] == "BUDGET_EXCEEDED"


@pytest.mark.both
def test_the_unused_part_of_a_reservation_is_released(staged: Staged, place: Json) -> None:
    stage = staged(says("Hi"), **{MONTHLY: Decimal(1), DAILY: Decimal(1)})
    for _ in range(3):
        assert stage.api.answer("Hello", options={"maxTokens": 40_000})["__typename"] == "GenerationCompleted"
    ((spent,),) = execute(place, "SELECT sum(amount) FROM spending")
    assert (Decimal(int(spent)) / 10**12, reserved(place)) == (3 * COST, 0)


def test_on_rest_a_budget_that_ends_an_answer_is_an_error_of_tertulia(staged: Staged) -> None:
    stage = staged(Reply([START, *text("Hi"), *end(output_tokens=1000)]), **{DAILY: Decimal("0.005")})
    response = stage.api.http.post("/chat", json={"message": "Hello"})
    error = response.json()["error"]
    assert (response.status_code, error["source"], error["code"]) == (402, "tertulia", "BUDGET_EXCEEDED")


@pytest.mark.both
def test_an_answer_that_exhausts_the_servers_budget_fails_and_keeps_its_text(staged: Staged) -> None:
    gate = Gate()
    stage = staged(Reply([START, *text("a" * 100, "b" * 400, gate, "c"), *end()]), **{DAILY: Decimal("0.001")})
    ended = stage.api.answer("Hello")
    gate.open.set()
    assert (ended["__typename"], ended["error"]["code"]) == ("GenerationFailed", "BUDGET_EXCEEDED")
    assert ended["generation"]["message"]["text"] == "a" * 100 + "b" * 400


@pytest.mark.both
def test_a_queued_message_is_checked_against_the_budget_when_it_begins(staged: Staged) -> None:
    gate = Gate()
    stage = staged(Reply([START, *text("a" * 500, gate), *end(output_tokens=1000)]), **{MONTHLY: Decimal("0.015")})
    sent = stage.api.send("Hello")
    assert gate.reached.wait(WAIT)
    waits = stage.api.send("And then?", conversationId=sent["conversation"]["id"], whenBusy="QUEUE")
    gate.open.set()
    assert stage.api.follow(waits["generation"]["id"])[-1]["error"]["code"] == "BUDGET_EXCEEDED"
    assert len(stage.claude.requests) == 1


def test_each_tool_round_needs_a_new_reservation(staged: Staged, place: Json) -> None:
    # The first round costs two cents, and nothing remains for a second one.
    calls = uses(("who", {}))
    calls.pieces = [*calls.pieces[:-2], *end("tool_use", output_tokens=1000)]
    stage = staged(calls, says("You"), tools=("some_tools",), **{MONTHLY: Decimal("0.02")})
    ended = stage.api.answer("Who am I?")
    assert ended["error"]["code"] == "BUDGET_EXCEEDED"
    assert len(stage.claude.requests) == 1
    assert reserved(place) == 0


@pytest.mark.both
def test_the_cost_of_a_title_is_reserved_while_it_is_written_and_settled_afterwards(
    staged: Staged, place: Json
) -> None:
    gate = Gate()
    title = title_reply("A title")
    title.gate = gate
    stage = staged(says("Hi"), title, title_model=SMALL, **{MONTHLY: Decimal(1)})
    sent = stage.api.send("Hello")
    stage.api.follow(sent["generation"]["id"])
    assert gate.reached.wait(WAIT)
    # 1,024 tokens of a title are half a thousandth of a dollar.
    assert 512 * 10**6 < reserved(place) < 600 * 10**6
    gate.open.set()
    wait_until(lambda: not reserved(place), "the settlement of the title")
    ((spent,),) = execute(place, "SELECT sum(amount) FROM spending")
    ((billed,),) = execute(place, "SELECT sum(amount) FROM calls")
    assert spent == billed > 0


def test_no_title_is_written_when_the_budget_is_spent(staged: Staged) -> None:
    stage = staged(says("Hi"), title_reply("A title"), title_model=SMALL, **{MONTHLY: COST})
    sent = stage.api.send("Hello")
    ended = stage.api.follow(sent["generation"]["id"])[-1]
    assert ended["__typename"] == "GenerationCompleted"
    assert refused(stage.api)
    assert len(stage.claude.requests) == 1


def test_deleting_an_account_does_not_refund_its_spending(tmp_path: Path, place: Json) -> None:
    with scripted(Reply([START, *text("Hi"), *end(output_tokens=1000)])) as claude:
        keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address, MONTHLY: Decimal("0.005")}
        with tertulia(tmp_path, **place, **keyed, **MODE) as address, ExitStack() as stack:
            ada = new_account(stack, address, "ada")
            ada.answer("Hello")
            gone = ada.http.request("DELETE", "/auth/user", data={"password": "a long enough one"})
            assert gone.status_code == 200, gone.text
            refused(new_account(stack, address, "ada"))


def test_a_running_answer_of_a_deleted_account_is_charged(tmp_path: Path, place: Json) -> None:
    gate = Gate()
    with scripted(Reply([START, *text("a" * 4000, gate), *end()])) as claude:
        keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address, MONTHLY: Decimal("0.005")}
        with tertulia(tmp_path, **place, **keyed, **MODE) as address, ExitStack() as stack:
            ada = new_account(stack, address, "ada")
            ada.wait_for_text(ada.send("Hello")["generation"]["id"], "a" * 4000)
            gone = ada.http.request("DELETE", "/auth/user", data={"password": "a long enough one"})
            gate.open.set()
            assert gone.status_code == 200, gone.text
            refused(new_account(stack, address, "eve"))


def test_doctor_reports_the_spending_and_a_spent_budget(staged: Staged, place: Json, tmp_path: Path) -> None:
    assert "budget: none for the server" in run_here(tmp_path, "doctor").stdout
    limits = {"TERTULIA_SERVER_DAILY_BUDGET_USD": "0.05", "TERTULIA_SERVER_MONTHLY_BUDGET_USD": "5"}
    environment = {"DATABASE_URL": place["database_url"], **limits}
    stage = staged(Reply([START, *text("Hi"), *end(output_tokens=1000)]), **{DAILY: Decimal("0.05")})
    stage.api.answer("Hello")
    well = run_here(tmp_path, "doctor", **environment)
    assert "budget: 0.02 of 5 USD of this month are spent or reserved; 0.02 of 0.05 USD of this day" in well.stdout
    stage.api.answer("Hello")
    stage.api.answer("Hello")
    wrong = run_here(tmp_path, "doctor", **environment)
    assert wrong.exit_code == 1
    assert re.search(r"wrong +budget: .*TERTULIA_SERVER_DAILY_BUDGET_USD: 0.05 USD are spent", wrong.stdout)


@pytest.mark.parametrize("given", ["0", "-1", "much"])
def test_an_invalid_limit_is_reported_by_doctor(given: str, tmp_path: Path) -> None:
    stopped = run_here(tmp_path, "doctor", TERTULIA_SERVER_DAILY_BUDGET_USD=given)
    assert stopped.exit_code == 1
    assert f"TERTULIA_SERVER_DAILY_BUDGET_USD: got '{given}'" in stopped.stdout


def test_with_a_server_budget_a_model_without_a_price_is_refused(staged: Staged) -> None:
    stage = staged(says("Hi"), default_model="claude-next-9", **{DAILY: Decimal(1)})
    answer = stage.api.try_send("Hello")
    assert (answer["__typename"], answer["field"]) == ("InvalidInput", "options.model")
