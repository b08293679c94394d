"""The rest of a request and of an answer: options of assistants, edits of the context, and what each request has cost."""

import json
from collections.abc import Generator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from client import Api, Json, wait_until
from running import tertulia
from scripted import Reply, ScriptedClaude, end, says, scripted, text, uses

from tertulia.assistants.definition import AssistantError
from tertulia.assistants.parser import read_assistant
from tertulia.billing.prices import Prices, Terms
from tertulia.claude.request_options import without_refused_option

OPUS = "claude-opus-5-5"
TUNED = """---
model: claude-opus-5
tools: [code_execution, who]
stop_sequences: [END]
service_tier: standard_only
speed: fast
inference_geo: us
task_budget: 50000
skills: [pptx, "skill_01@7"]
context_editing:
  clear_tool_uses: {trigger_tokens: 5000, keep: 1, clear_at_least: 100, exclude_tools: [pay], clear_tool_inputs: true}
  clear_thinking: {keep: 2}
clients_may_set: [options]
---
Be quick.
"""
EDITING = """---
tools: [who]
context_editing:
  clear_tool_uses: {trigger_tokens: 10, keep: 0}
  clear_thinking: true
clients_may_set: [options]
---
Be brief.
"""
REQUESTS = """
query ($id: ID!) { generation(id: $id) {
  stopReason stopSequence status error { code apiCode retryable }
  usage { costUsd outputTokens cacheReadTokens }
  costs { kind count costUsd }
  contextEdits { kind cleared clearedInputTokens }
  requests {
    status modelId requestId thinkingTokens tools speed serviceTier inferenceGeo estimated
    usage { inputTokens outputTokens costUsd } costs { kind count costUsd }
    cacheMiss { reason missedTokens } contextEdits { kind }
  }
} }"""
SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
  __typename ... on InvalidInput { field message } ... on SendMessagePayload { generation { id } }
} }"""


def assistants(folder: Path, **files: str) -> str:
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.md").write_text(content)
    return str(folder)


@pytest.fixture(scope="module")
def claude() -> Generator[ScriptedClaude]:
    with scripted(says("Hello")) as claude:
        yield claude


@pytest.fixture(scope="module")
def told(claude: ScriptedClaude, tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    """A server whose requests the scripted Claude records."""
    path = tmp_path_factory.mktemp("told")
    options: dict[str, Any] = {"anthropic_api_key": "k", "anthropic_base_url": claude.address}
    options |= {"tools": ("some_tools:who", "some_tools:pay", "code_execution"), "clients_may_set": ("options",)}
    folder = assistants(path / "assistants", default="---\nclients_may_set: [options]\n---\nHi.", tuned=TUNED)
    with tertulia(path, assistants=folder, **options) as address, Api(address) as api:
        yield api


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    """A server with the simulated Claude."""
    path = tmp_path_factory.mktemp("simulated")
    folder = assistants(
        path / "assistants", default="---\nclients_may_set: [options, model]\n---\nHi.", editing=EDITING, tuned=TUNED
    )
    tools = ("some_tools:who", "some_tools:pay", "code_execution")
    with tertulia(path, assistants=folder, tools=tools) as address, Api(address) as api:
        yield api


def asked(api: Api, claude: ScriptedClaude, message: str, *replies: Reply, **more: Any) -> list[Json]:
    """Send a message, and return the requests that Claude received for it."""
    claude.replies = [*replies, says("Hello")]
    before = len(claude.requests)
    api.answer(message, **more)
    return claude.requests[before:]


def answered(api: Api, message: str, **more: Any) -> Json:
    """Send a message, wait for the answer, and return its generation."""
    id = api.send(message, **more)["generation"]["id"]
    api.follow(id)
    generation: Json = api.ask(REQUESTS, id=id)["generation"]
    return generation


def test_the_options_of_an_assistant_become_fields_of_its_requests(told: Api, claude: ScriptedClaude) -> None:
    (request,) = asked(told, claude, "Hi", assistantId="tuned")
    names = ("stop_sequences", "service_tier", "speed", "inference_geo")
    assert [request[name] for name in names] == [["END"], "standard_only", "fast", "us"]
    assert request["output_config"] == {"task_budget": {"type": "tokens", "total": 50_000}}
    custom = {"type": "custom", "skill_id": "skill_01", "version": "7"}
    assert request["container"] == {"skills": [{"type": "anthropic", "skill_id": "pptx"}, custom]}
    clear_tools = {
        "type": "clear_tool_uses_20250919",
        "trigger": {"type": "input_tokens", "value": 5000},
        "keep": {"type": "tool_uses", "value": 1},
        "clear_at_least": {"type": "input_tokens", "value": 100},
        "exclude_tools": ["pay"],
        "clear_tool_inputs": True,
    }
    clear_thinking = {"type": "clear_thinking_20251015", "keep": {"type": "thinking_turns", "value": 2}}
    thinks = "thinking" in request
    assert request["context_management"]["edits"] == [*([clear_thinking] if thinks else []), clear_tools]
    betas = claude.headers[-1]["anthropic-beta"].split(",")
    assert set(betas) == {"fast-mode-2026-02-01", "task-budgets-2026-03-13", "context-management-2025-06-27"}


def test_skills_stay_in_the_container_of_the_next_round(told: Api, claude: ScriptedClaude) -> None:
    first = uses(("who", {}))
    first.pieces[-2]["delta"]["container"] = {"id": "container_1"}
    _, second = asked(told, claude, "Hi", first, assistantId="tuned")
    assert second["container"]["id"] == "container_1"
    assert len(second["container"]["skills"]) == 2


def test_clients_end_an_answer_at_a_stop_sequence(simulated: Api) -> None:
    options = {"stopSequences": ["word7", "word9"], "taskBudget": 20_000}
    generation = answered(simulated, "/simulate long 20", options=options)
    assert (generation["stopReason"], generation["stopSequence"]) == ("STOP_SEQUENCE", "word7")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"stopSequences": [" "]}, "options.stopSequences[0]"),
        ({"stopSequences": ["a", "b" * 201]}, "options.stopSequences[1]"),
        ({"stopSequences": ["a"] * 17}, "options.stopSequences"),
        ({"taskBudget": 19_999}, "options.taskBudget"),
    ],
)
def test_an_invalid_option_is_refused_with_its_field(told: Api, options: Json, field: str) -> None:
    result = told.ask(SEND, input={"text": "Hi", "options": options})["sendMessage"]
    assert (result["__typename"], result["field"]) == ("InvalidInput", field)


@pytest.mark.parametrize("option", ["speed", "task_budget", "context_management"])
def test_an_option_that_the_model_does_not_support_is_left_out(told: Api, claude: ScriptedClaude, option: str) -> None:
    message = f"{option}: Extra inputs are not permitted"
    refusal = Reply(status=400, body={"type": "error", "error": {"type": "invalid_request_error", "message": message}})
    first, second = asked(told, claude, "Hi", refusal, assistantId="tuned")
    assert option in json.dumps(first)
    assert option not in json.dumps(second)


def test_the_region_of_an_answer_is_never_left_out() -> None:
    assert without_refused_option({"model": OPUS, "inference_geo": "us"}, "inference_geo: is not supported") is None


def test_a_server_without_diagnostics_is_asked_without_them(tmp_path: Path) -> None:
    message = "diagnostics: Extra inputs are not permitted"
    refusal = Reply(status=400, body={"type": "error", "error": {"type": "invalid_request_error", "message": message}})
    with scripted(refusal, says("Hello")) as claude:
        options = {"anthropic_api_key": "k", "anthropic_base_url": claude.address}
        with tertulia(tmp_path, **options) as address, Api(address) as api:
            assert api.answer("Hi")["__typename"] == "GenerationCompleted"
            assert api.answer("Hi again")["__typename"] == "GenerationCompleted"
        assert ["diagnostics" in request for request in claude.requests] == [True, False, False]


def test_each_request_names_the_response_before_it(told: Api, claude: ScriptedClaude) -> None:
    def reply(id: str, *pieces: str) -> Reply:
        start: Json = {"type": "message_start", "message": {"id": id, "usage": {"input_tokens": 3, "output_tokens": 1}}}
        return Reply([start, *text(*pieces), *end()])

    first = told.send("Hi")
    told.follow(first["generation"]["id"])
    conversation = first["conversation"]["id"]
    (second,) = asked(told, claude, "And?", reply("msg_2", "Hm"), conversationId=conversation)
    (third,) = asked(told, claude, "And?", reply("msg_3", "Hm"), conversationId=conversation)
    assert third["diagnostics"] == {"previous_message_id": "msg_2"}
    assert second["diagnostics"].keys() == {"previous_message_id"}


def test_a_query_tells_why_an_answer_was_expensive(simulated: Api) -> None:
    generation = answered(simulated, "/simulate thinking", options={"effort": "HIGH"})
    (request,) = generation["requests"]
    assert (request["status"], request["modelId"], request["tools"]) == ("COMPLETED", OPUS, [])
    assert (request["speed"], request["serviceTier"], request["inferenceGeo"]) == ("standard", "standard", "global")
    assert request["requestId"].startswith("req_")
    costs = {part["kind"]: part for part in generation["costs"]}
    assert costs["THINKING"]["count"] == request["thinkingTokens"] > 0
    per_token = [Decimal(costs[kind]["costUsd"]) / costs[kind]["count"] for kind in ("THINKING", "OUTPUT")]
    assert per_token == [Decimal("0.00002")] * 2
    assert costs["THINKING"]["count"] + costs["OUTPUT"]["count"] == request["usage"]["outputTokens"]
    total = sum(Decimal(part["costUsd"]) for part in generation["costs"])
    assert total == Decimal(generation["usage"]["costUsd"]) == Decimal(request["usage"]["costUsd"])
    assert generation["costs"] == sorted(generation["costs"], key=lambda part: -Decimal(part["costUsd"]))


def test_the_requests_of_an_answer_name_the_tools_that_made_them_necessary(simulated: Api) -> None:
    generation = answered(simulated, "/simulate call who {}", assistantId="editing")
    assert [request["tools"] for request in generation["requests"]] == [["who"], []]
    total = sum(Decimal(request["usage"]["costUsd"]) for request in generation["requests"])
    assert total == Decimal(generation["usage"]["costUsd"])


def test_a_cache_miss_has_a_reason(simulated: Api) -> None:
    sent = simulated.send("Hi")
    simulated.follow(sent["generation"]["id"])
    conversation = sent["conversation"]["id"]
    generation = answered(simulated, "Again", conversationId=conversation)
    assert generation["requests"][0]["cacheMiss"] is None
    options = {"model": "claude-haiku-5-5"}
    generation = answered(simulated, "And again", conversationId=conversation, options=options)
    miss = generation["requests"][0]["cacheMiss"]
    assert miss["reason"] == "MODEL_CHANGED"
    assert miss["missedTokens"] > 0


def test_applied_edits_of_the_context_are_shown(simulated: Api) -> None:
    sent = simulated.send("/simulate call who {}", assistantId="editing")
    simulated.follow(sent["generation"]["id"])
    generation = answered(simulated, "Thanks", conversationId=sent["conversation"]["id"])
    (edit,) = generation["contextEdits"]
    assert (edit["kind"], edit["cleared"]) == ("CLEARED_TOOL_USES", 1)
    assert generation["requests"][0]["contextEdits"] == [{"kind": "CLEARED_TOOL_USES"}]


def test_the_price_of_a_request_depends_on_its_speed_and_its_region(simulated: Api) -> None:
    generation = answered(simulated, "Hi", assistantId="tuned")
    (request,) = generation["requests"]
    assert (request["speed"], request["inferenceGeo"]) == ("fast", "us")
    usage = {"input_tokens": request["usage"]["inputTokens"], "output_tokens": request["usage"]["outputTokens"]}
    standard = Prices().amount("claude-opus-5", usage)
    assert standard is not None
    parts = {part["kind"]: Decimal(part["costUsd"]) for part in request["costs"]}
    assert parts["INPUT"] + parts["OUTPUT"] == standard * Decimal("2.2") / 10**12


def test_searches_cost_the_same_at_any_speed() -> None:
    usage = {"input_tokens": 1_000_000, "web_searches": 1}
    amounts = [
        Prices().amount(OPUS, usage, terms) for terms in (Terms(), Terms("fast"), Terms(geo="us"), Terms("fast", "us"))
    ]
    assert amounts == [4_010_000_000_000, 8_010_000_000_000, 4_410_000_000_000, 8_810_000_000_000]


def test_an_error_has_the_code_of_the_api(simulated: Api) -> None:
    error = answered(simulated, "/simulate spend-limit")["error"]
    assert error == {"code": "BILLING", "apiCode": "enforced_spend_limit_reached", "retryable": False}


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("task_budget: 5", "`task_budget`"),
        ("skills: [pptx]", "`skills` need the tool `code_execution`"),
        ('stop_sequences: [" "]', "`stop_sequences.0`"),
        ("context_editing: {clear_tools: true}", "unknown key `context_editing.clear_tools`"),
        ("context_editing: {clear_thinking: {keep: none}}", "must be a number of 1 or more, or `all`"),
        ("speed: warp", "`speed`"),
        ("inference_geo: 'US?'", "`inference_geo`"),
    ],
)
def test_an_invalid_key_of_an_assistant_is_named(tmp_path: Path, key: str, problem: str) -> None:
    file = tmp_path / "odd.md"
    file.write_text(f"---\nmodel: {OPUS}\n{key}\n---\nHi.")
    with pytest.raises(AssistantError) as raised:
        read_assistant(file)
    assert f"{file}:3: " in str(raised.value)
    assert problem in str(raised.value)


def test_a_title_is_written_in_the_region_of_its_answer(tmp_path: Path) -> None:
    with scripted(says("Hello"), says("A title")) as claude:
        folder = assistants(tmp_path / "assistants", default="---\ninference_geo: us\n---\nHi.")
        options: dict[str, Any] = {"anthropic_api_key": "k", "anthropic_base_url": claude.address}
        options |= {"title_model": OPUS, "assistants": folder}
        with tertulia(tmp_path, **options) as address, Api(address) as api:
            api.answer("Hi")
            wait_until(lambda: len(claude.requests) > 1, "the title")
        assert [request["inference_geo"] for request in claude.requests] == ["us", "us"]


@pytest.mark.both
def test_the_requests_of_several_answers_are_listed_with_one_query(fresh: Api) -> None:
    first = fresh.send("Hi")
    fresh.follow(first["generation"]["id"])
    second = fresh.send("/simulate thinking", conversationId=first["conversation"]["id"])
    fresh.follow(second["generation"]["id"])
    ids = [sent["generation"]["id"] for sent in (first, second)]
    query = "query ($a: ID!, $b: ID!) { a: generation(id: $a) { ...R } b: generation(id: $b) { ...R } } "
    query += "fragment R on Generation { requests { usage { costUsd } thinkingTokens cacheMiss { reason } } usage { costUsd } }"
    found = fresh.ask(query, a=ids[0], b=ids[1])
    for generation in found.values():
        assert [request["usage"] for request in generation["requests"]] == [generation["usage"]]
    assert [found[name]["requests"][0]["thinkingTokens"] > 0 for name in ("a", "b")] == [False, True]
