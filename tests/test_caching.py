"""Prompt caching and costs: each turn reads all earlier turns from the cache, and costs are exact."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from client import Api, Json
from conftest import Staged
from running import tertulia
from scripted import START, Cut, Gate, Reply, end, says, text

from tertulia.billing.prices import TABLE, Prices
from tertulia.claude.cache_control import is_slow, with_breakpoints
from tertulia.simulator.cache import CacheUse, PromptCache

CREATE = """mutation ($input: CreateConversationInput!) { createConversation(input: $input) {
  ... on ConversationPayload { conversation { id } } } }"""
USAGE = "inputTokens outputTokens cacheReadTokens cacheWriteTokens costUsd"
GENERATION = f"query ($id: ID!) {{ generation(id: $id) {{ usage {{ {USAGE} }} }} }}"
VIEWER = f"""query ($since: DateTime, $until: DateTime, $model: String) {{ viewer {{
  usage(since: $since, until: $until, model: $model) {{ {USAGE} }}
  usageByDay(since: $since, until: $until, model: $model) {{ day model usage {{ {USAGE} }} }}
}} }}"""
SYSTEM = "You are kind, and you say so in as few words as you can. " * 60
MODEL = "claude-opus-5-5"


def usage_of(api: Api, ended: Json) -> Json:
    usage: Json = api.ask(GENERATION, id=ended["generation"]["id"])["generation"]["usage"]
    return usage


def whole(usage: Json) -> int:
    """Return the number of all tokens of a prompt, cached or not."""
    return int(usage["inputTokens"] + usage["cacheReadTokens"] + usage["cacheWriteTokens"])


def conversation(api: Api, **values: Any) -> str:
    return str(api.ask(CREATE, input=values)["createConversation"]["conversation"]["id"])


def test_each_turn_reads_all_earlier_turns_from_the_cache(fresh: Api) -> None:
    id = conversation(fresh, systemPrompt=SYSTEM)
    texts = ["Hello", "/simulate thinking", "And then?", "/simulate markdown", "/simulate long 200", "Thank you"]
    usages = [usage_of(fresh, fresh.answer(text, conversationId=id)) for text in texts]
    assert (usages[0]["cacheReadTokens"], usages[0]["cacheWriteTokens"]) == (0, whole(usages[0]))
    for before, now in pairwise(usages):
        assert now["cacheReadTokens"] == whole(before)
        assert now["inputTokens"] == 0


def test_caching_can_be_turned_off(tmp_path: Path, place: dict[str, Any]) -> None:
    with tertulia(tmp_path, **place, prompt_caching=False) as address, Api(address) as api:
        used = usage_of(api, api.answer("Hello", conversationId=conversation(api, systemPrompt=SYSTEM)))
        assert (used["cacheReadTokens"], used["cacheWriteTokens"]) == (0, 0)


def turns(*blocks: int) -> list[Json]:
    """Return the messages of a conversation. Claude's answers have as many blocks as `blocks` says."""
    messages: list[Json] = []
    for turn, count in enumerate(blocks):
        messages.append({"role": "user", "content": [{"type": "text", "text": f"question {turn}"}]})
        answer = [{"type": "text", "text": f"answer {turn}.{number} " * 40} for number in range(count)]
        messages.append({"role": "assistant", "content": answer})
    return [*messages, {"role": "user", "content": [{"type": "text", "text": "the last question"}]}]


def asked(messages: list[Json], *, slow: bool = False, **more: Any) -> Json:
    return with_breakpoints({"model": MODEL, "system": SYSTEM, "messages": messages, **more}, slow=slow)


def test_an_answer_of_many_blocks_does_not_prevent_cache_hits() -> None:
    cache, messages = PromptCache(), turns(50, 50, 50)
    uses = [cache.use(asked(messages[: 2 * count + 1])) for count in range(4)]
    for before, now in pairwise(uses):
        assert now.read == before.total


@pytest.mark.parametrize("blocks", [17, 18, 19, 20, 38, 39])
def test_each_turn_reads_the_previous_one_from_the_cache_for_any_number_of_blocks(blocks: int) -> None:
    cache, messages = PromptCache(), turns(blocks)
    before, now = (cache.use(asked(messages[: 2 * count + 1])) for count in range(2))
    assert now.read == before.total


@pytest.mark.parametrize(("blocks", "marked"), [(18, False), (19, True)])
def test_the_end_of_the_previous_request_is_marked_from_twenty_blocks_on(blocks: int, *, marked: bool) -> None:
    question = asked(turns(blocks))["messages"][0]["content"][-1]
    assert ("cache_control" in question) is marked


@pytest.mark.parametrize(("length", "marked"), [(1499, False), (1500, True)])
def test_a_system_prompt_is_marked_from_1500_characters_on(length: int, *, marked: bool) -> None:
    request = with_breakpoints({"model": MODEL, "system": "x" * length, "messages": turns(1)}, slow=False)
    assert ("cache_control" in json.dumps(request["system"])) is marked


@pytest.mark.parametrize(("slow", "control"), [(False, {}), (True, {"ttl": "1h"})])
def test_all_breakpoints_of_a_request_have_the_same_lifetime(control: Json, *, slow: bool) -> None:
    request = asked(turns(19), slow=slow)
    expected = {"type": "ephemeral", **control}
    marks = [request, request["system"][-1], request["messages"][0]["content"][-1]]
    assert [mark["cache_control"] for mark in marks] == [expected] * 3


def test_no_request_has_more_breakpoints_than_the_api_allows() -> None:
    for count in range(6):
        request = asked(turns(*[2] * count), tools=[{"name": "look"}])
        assert json.dumps(request).count('"cache_control"') <= 4


def test_the_original_messages_are_not_modified() -> None:
    messages = turns(1, 1)
    before = json.dumps(messages)
    asked(messages)
    assert json.dumps(messages) == before


@pytest.mark.parametrize(
    ("pauses", "slow"),
    [
        ([], False),
        ([60], False),
        ([300], False),
        ([301], True),
        ([60, 400], True),
        ([3600], True),
        ([3601], False),
        ([7200], False),
        ([400, *[10] * 5], False),
        ([400, *[10] * 4], True),
    ],
)
def test_a_conversation_with_long_pauses_is_cached_for_an_hour(pauses: list[int], *, slow: bool) -> None:
    sent_at = [datetime(2026, 11, 24, tzinfo=UTC)]
    for pause in pauses:
        sent_at.append(sent_at[-1] + timedelta(seconds=pause))
    assert is_slow(sent_at) is slow


def test_cache_entries_expire_and_every_hit_renews_them() -> None:
    clock = [0.0]
    cache, request = PromptCache(lambda: clock[0]), asked(turns(1))
    assert cache.use(request).written_5m > 0
    for clock[0] in (299.0, 598.0):
        assert cache.use(request).read == cache.use(request).total
    clock[0] = 900.0
    assert cache.use(request).read == 0
    slowly = asked(turns(2), slow=True)
    assert cache.use(slowly).written_1h > 0
    clock[0] += 3500.0
    assert cache.use(slowly).read == cache.use(slowly).total


def test_another_thinking_or_tool_choice_invalidates_only_the_cached_messages() -> None:
    request = asked(turns(1), tools=[{"name": "look", "description": "Looks."}])
    for change in ({"thinking": {"type": "disabled"}}, {"tool_choice": {"type": "none"}}):
        cache = PromptCache()
        total = cache.use(request).total
        assert cache.use(request).read == total
        assert 0 < cache.use(request | change).read < total


def test_users_of_one_assistant_share_its_instructions_up_to_the_first_variable() -> None:
    cache, reads = PromptCache(), list[int]()
    for user in ("Ada", "Bob", "Cy"):
        system = [{"type": "text", "text": "You are kind. " * 900}, {"type": "text", "text": f"The user is {user}."}]
        reads.append(cache.use(asked(turns(1), system=system)).read)
    assert (reads[0], reads[1]) == (0, reads[2])
    assert reads[1] > 3000


def test_a_short_prompt_is_not_cached() -> None:
    request = with_breakpoints({"model": MODEL, "messages": turns(1)[-1:]}, slow=False)
    assert PromptCache().use(request) == CacheUse(total=PromptCache().use(request).total)


# ---- costs ---------------------------------------------------------------------------------------------------


def billed(usage: Json, **more: int) -> Decimal:
    price, hour = TABLE[MODEL], more.get("hour", 0)
    tokens = [
        (price.input, usage["inputTokens"]),
        (price.read, usage["cacheReadTokens"]),
        (price.write, usage["cacheWriteTokens"] - hour),
        (price.write_1h, hour),
        (price.output, usage["outputTokens"]),
    ]
    return sum((each * Decimal(count) for each, count in tokens), Decimal(0)) / 1_000_000


def test_the_cost_is_exact_for_an_answer_its_conversation_and_the_viewer(fresh: Api) -> None:
    id = conversation(fresh, systemPrompt=SYSTEM)
    costs: list[Decimal] = []
    for message in ("Hello", "Go on", "/simulate refusal"):
        usage = usage_of(fresh, fresh.answer(message, conversationId=id))
        costs.append(Decimal(usage["costUsd"]))
        assert costs[-1] == billed(usage)
    assert Decimal(fresh.conversation(id)["usage"]["costUsd"]) == sum(costs)
    assert Decimal(fresh.ask(VIEWER)["viewer"]["usage"]["costUsd"]) == sum(costs)


def test_tokens_that_are_cached_for_an_hour_have_their_own_price(staged: Staged) -> None:
    usage = {
        "input_tokens": 3,
        "output_tokens": 1,
        "cache_creation_input_tokens": 1000,
        "cache_read_input_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 600},
    }
    start = {**START, "message": {**START["message"], "usage": usage}}
    stage = staged(Reply([start, *text("Hi"), *end()]))
    billed_usage = usage_of(stage.api, stage.api.answer("Hello"))
    assert Decimal(billed_usage["costUsd"]) == billed(billed_usage, hour=600)


def test_stopped_and_interrupted_answers_are_billed(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says("half", gate), Reply([START, *text("half")[:2], Cut]))
    sent = stage.api.send("Hello")
    stage.api.wait_for_text(sent["generation"]["id"], "half")
    stage.api.stop(sent["generation"]["id"])
    gate.open.set()
    stage.api.answer("Again", options={"continueInterrupted": False})
    (row,) = stage.api.ask(VIEWER)["viewer"]["usageByDay"]
    assert row["usage"]["inputTokens"] == 22


def test_costs_remain_after_a_conversation_is_deleted(fresh: Api) -> None:
    sent = fresh.send("Hello")
    fresh.follow(sent["generation"]["id"])
    before = fresh.ask(VIEWER)["viewer"]["usage"]
    fresh.ask("mutation ($id: ID!) { deleteConversation(id: $id) { __typename } }", id=sent["conversation"]["id"])
    assert fresh.ask(VIEWER)["viewer"]["usage"] == before


def test_usage_is_reported_by_period_model_and_day(fresh: Api) -> None:
    fresh.answer("Hello")
    fresh.answer("Hello", options={"model": "claude-haiku-5-5"})
    today = datetime.now(UTC)
    viewer = fresh.ask(VIEWER)["viewer"]
    assert [row["model"] for row in viewer["usageByDay"]] == ["claude-haiku-5-5", MODEL]
    assert {row["day"] for row in viewer["usageByDay"]} <= {str(today.date()), str((today - timedelta(days=1)).date())}
    assert sum(row["usage"]["outputTokens"] for row in viewer["usageByDay"]) == viewer["usage"]["outputTokens"]
    only = fresh.ask(VIEWER, model=MODEL)["viewer"]
    assert [row["model"] for row in only["usageByDay"]] == [MODEL]
    past = fresh.ask(VIEWER, until=(today - timedelta(days=2)).isoformat())["viewer"]
    assert (past["usage"]["outputTokens"], past["usageByDay"]) == (0, [])
    future = fresh.ask(VIEWER, since=(today + timedelta(days=2)).isoformat())["viewer"]
    assert future["usage"]["outputTokens"] == 0


def test_the_operators_prices_replace_the_built_in_table(tmp_path: Path, place: dict[str, Any]) -> None:
    own = {MODEL: {"input": "0", "output": "1000000"}}
    with tertulia(tmp_path, **place, prices=own) as address, Api(address) as api:
        used = usage_of(api, api.answer("Hello"))
        assert Decimal(used["costUsd"]) == used["outputTokens"]


def test_the_cost_of_a_model_without_a_price_is_null(tmp_path: Path, staged: Staged) -> None:
    stage = staged(says("Hi"), default_model="claude-next-9")
    ended = stage.api.answer("Hello")
    assert usage_of(stage.api, ended)["costUsd"] is None
    viewer = stage.api.ask(VIEWER)["viewer"]
    assert (viewer["usage"]["costUsd"], viewer["usage"]["inputTokens"]) == (None, 11)


@pytest.mark.parametrize("prices", [{"m": {}}, {"m": {"input": "x", "output": 1}}, {"m": {"input": -1, "output": 1}}])
def test_invalid_prices_are_refused_and_the_model_is_named(prices: Json) -> None:
    with pytest.raises(ValueError, match=r"^m: .*must be"):
        Prices(prices)


def test_a_price_applies_to_model_ids_with_a_date_suffix() -> None:
    assert Prices().of("claude-opus-4-5-20251101") == TABLE["claude-opus-4-5"]
    assert Prices().of("claude-opus-9") is None


def test_an_answer_that_has_used_nothing_costs_nothing() -> None:
    assert {price.amount({}) for price in TABLE.values()} == {0}


def test_long_prompts_cost_more_if_the_model_has_a_long_context_price() -> None:
    short, long = ({"input_tokens": count, "output_tokens": 0} for count in (100_000, 100_001))
    price = TABLE["claude-haiku-5-5"]
    assert price.amount(long) == 5 * (price.amount(short) + price.amount({"input_tokens": 1}))
