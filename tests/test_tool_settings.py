"""Tools as operators have them: settings, doctor, the terminal; and Claude's own, which an operator allows."""

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from client import Api, Json
from conftest import Staged
from opentelemetry.trace import NoOpTracer, Tracer, TracerProvider
from people import MODE, register, signed
from running import tertulia
from scripted import says, uses
from test_command import run_here
from test_tools import MODULE, answer, call, follow, results, served, submit

from tertulia.tools import execution


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"TERTULIA_TOOLS": "no_such_module"}, "TERTULIA_TOOLS: the module no_such_module cannot be imported"),
        ({"TERTULIA_TOOLS": f"{MODULE}:nothing"}, f"TERTULIA_TOOLS: the module {MODULE} has no function nothing"),
        ({"TERTULIA_TOOLS": f"{MODULE},{MODULE}"}, "TERTULIA_TOOLS: two tools are called"),
        ({"TERTULIA_MCP_CONFIG": "nowhere.json"}, "TERTULIA_MCP_CONFIG: nowhere.json: "),
        ({"TERTULIA_TOOL_SECONDS": "0"}, "TERTULIA_TOOL_SECONDS: got '0'"),
    ],
)
def test_tools_that_cannot_be_had_stop_the_start_with_one_line(tmp_path: Path, setting: Json, said: str) -> None:
    refused = run_here(tmp_path, "serve", **setting)
    assert (refused.exit_code, refused.output.count("\n")) == (2, 1), refused.output
    assert refused.output.startswith(said)


def test_doctor_lists_tools_and_names_servers_that_are_lost(tmp_path: Path) -> None:
    config = tmp_path / "mcp.json"
    server: Json = {"command": sys.executable, "args": ["-m", "mcp_server_time"]}
    config.write_text(json.dumps({"mcpServers": {"time": server}}))
    found = run_here(tmp_path, "doctor", TERTULIA_TOOLS=f"{MODULE}:who,web_search", TERTULIA_MCP_CONFIG=str(config))
    assert "tools: time__convert_time, time__get_current_time, web_search, who" in found.stdout, found.stdout
    config.write_text(json.dumps({"mcpServers": {"time": {"command": "no-such-program"}}}))
    lost = run_here(tmp_path, "doctor", TERTULIA_MCP_CONFIG=str(config))
    assert (lost.exit_code, "wrong  TERTULIA_MCP_CONFIG: time: " in lost.stdout) == (1, True)


@pytest.mark.parametrize(("said", "gave"), [("y", "Paid 7."), ("n", "The user said no.")])
def test_the_terminal_asks_first(tmp_path: Path, said: str, gave: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with served(tmp_path) as api:
        line = "/simulate call pay " + json.dumps({"amount": 7})
        done = run_here(tmp_path, "chat", "--url", api.address, stdin=f"{line}\n{said}\nAnd now?\n")
    assert done.exit_code == 0, done.output
    assert "May Claude call pay? [y/N]" in done.output
    assert gave in done.output


def test_patterns_say_which_tools_ask_first(tmp_path: Path) -> None:
    with served(tmp_path, ask_first=("wh*",)) as api:
        shown = {tool["name"]: tool["asksFirst"] for tool in api.ask("{ tools { name asksFirst } }")["tools"]}
        assert (shown["who"], shown["weather"]) == (True, False)
        assert len(answer(api, call("who", "weather"))[1]["approvals"]) == 1


def test_a_tool_knows_who_signed_in(tmp_path: Path) -> None:
    with tertulia(tmp_path, **MODE, tools=(MODULE,)) as address, signed(address, register(address, "ada")) as api:
        assert results(answer(api, call("who"))[1])[0]["output"] == "Hello, ada"


def test_an_answer_costs_what_all_its_rounds_cost(tmp_path: Path) -> None:
    with served(tmp_path) as api:
        generation, _ = answer(api, call("who"))
        found = api.ask(
            "query ($id: ID!) { generation(id: $id) { usage { costUsd } conversation { usage { costUsd } } } }",
            id=generation,
        )["generation"]
        bill = api.ask("{ viewer { usage { costUsd } } }")["viewer"]["usage"]["costUsd"]
        assert len({found["usage"]["costUsd"], found["conversation"]["usage"]["costUsd"], bill}) == 1
        assert Decimal(bill) > 0


def test_claude_searches_the_web_and_it_is_on_the_bill(tmp_path: Path) -> None:
    with served(tmp_path, "web_search") as api:
        generation, done = answer(api, "/simulate web-search tea in Cadiz")
        content = done["generation"]["message"]["content"]
        kinds = [block["__typename"] for block in content]
        assert kinds == ["ToolUseBlock", "ToolResultBlock", "TextBlock"]
        assert (content[0]["name"], content[0]["input"]) == ("web_search", {"query": "tea in Cadiz"})
        assert content[1]["output"][0]["url"].startswith("https://example.com/")
        assert content[2]["citations"][0]["source"]
        cost = api.ask("query ($id: ID!) { generation(id: $id) { usage { costUsd } } }", id=generation)
        assert Decimal(cost["generation"]["usage"]["costUsd"]) > Decimal("0.01")
        # It goes back as it came, and so is taken.
        conversation = api.ask("query ($id: ID!) { generation(id: $id) { conversation { id } } }", id=generation)
        again = answer(api, "And now?", conversationId=conversation["generation"]["conversation"]["id"])[1]
        assert again["__typename"] == "GenerationCompleted"


def test_a_turn_that_claude_pauses_goes_on_in_the_same_answer(tmp_path: Path) -> None:
    with served(tmp_path, "web_search") as api:
        generation, done = answer(api, "/simulate pause")
        kinds = [block["__typename"] for block in done["generation"]["message"]["content"]]
        assert kinds == ["ToolUseBlock", "ToolResultBlock", "TextBlock"]
        assert done["generation"]["stopReason"] == "END_TURN"
        numbers = [event["sequence"] for event in follow(api, generation, 0)]
        assert numbers == sorted(set(numbers))


def test_code_runs_on_claudes_side(tmp_path: Path) -> None:
    with served(tmp_path, "code_execution") as api:
        done = answer(api, "/simulate code")[1]
    assert "42" in json.dumps(results(done)[0]["output"])


def test_tools_are_told_to_claude_in_one_order_and_only_where_there_are_some(staged: Staged) -> None:
    stage = staged(says("Hello"), tools=(MODULE, "web_search"))
    stage.api.answer("Hi")
    names = [tool["name"] for tool in stage.claude.requests[0]["tools"]]
    assert names[:-1] == sorted(names[:-1])
    assert names[-1] == "web_search"
    assert "tool_choice" not in stage.claude.requests[0]
    plain = staged(says("Hello"))
    plain.api.answer("Hi")
    assert "tools" not in plain.claude.requests[0]


def test_each_round_is_a_call_on_the_bill(staged: Staged) -> None:
    stage = staged(uses(("who", {})), uses(("who", {})), says("Done"), tools=(MODULE,))
    generation, _ = answer(stage.api, "Hi")
    asked = "query ($id: ID!) { generation(id: $id) { usage { inputTokens outputTokens costUsd } } }"
    used = stage.api.ask(asked, id=generation)["generation"]["usage"]
    assert (used["inputTokens"], used["outputTokens"]) == (33, 21)
    viewer = stage.api.ask("{ viewer { usage { inputTokens outputTokens costUsd } } }")["viewer"]["usage"]
    assert viewer == used
    last = stage.claude.requests[2]["messages"]
    assert [message["role"] for message in last] == ["user", "assistant", "user", "assistant", "user"]


def test_calls_that_share_an_id_are_told_apart(staged: Staged) -> None:
    same = uses(("who", {}), ("who", {}))
    for event in same.pieces:
        if event["type"] == "content_block_start":
            event["content_block"]["id"] = "toolu_same"
    stage = staged(same, same, says("Done"), tools=(MODULE,))
    _, done = answer(stage.api, "Hi")
    assert [block["output"] for block in results(done)] == ["Hello, local"] * 4
    assert len({block["toolUseId"] for block in results(done)}) == 4
    assert len(stage.claude.requests) == 3


def test_a_restart_between_rounds_bills_each_of_them_once(tmp_path: Path, staged: Staged) -> None:
    stage = staged(uses(("pay", {"amount": 1})), says("Done"), tools=(MODULE,))
    generation, waits = answer(stage.api, "Hi")
    with served(tmp_path, **stage.keyed) as api:
        # The server that asked may go on living: whoever hands the results in goes on.
        submit(api, generation, {"toolUseId": waits["toolUses"][0]["toolUseId"], "approved": False})
        assert follow(api, generation)[-1]["__typename"] == "GenerationCompleted"
        asked = "query ($id: ID!) { generation(id: $id) { usage { inputTokens outputTokens costUsd } } }"
        used = api.ask(asked, id=generation)["generation"]["usage"]
        assert (used["inputTokens"], used["outputTokens"]) == (22, 14)
        assert api.ask("{ viewer { usage { inputTokens outputTokens costUsd } } }")["viewer"]["usage"] == used


def test_a_budget_is_held_between_rounds(staged: Staged) -> None:
    stage = staged(
        uses(("who", {})), tools=(MODULE,), monthly_budget_usd=Decimal("0.0004"), tool_rounds=1000, tool_calls=10_000
    )
    _, last = answer(stage.api, "Hi", options={"maxTokens": 10})
    assert (last["__typename"], last["error"]["code"]) == ("GenerationFailed", "BUDGET_EXCEEDED")
    assert len(stage.claude.requests) < 10


def test_rest_says_that_an_answer_waits(tmp_path: Path) -> None:
    with served(tmp_path) as api:
        waits = api.http.post("/chat", json={"message": call(("pay", {"amount": 1}))})
        assert (waits.status_code, waits.json()["error"]["code"]) == (409, "TOOL_RESULTS_REQUIRED")
        assert waits.json()["error"]["generation_id"]


def test_an_export_brings_tools_and_their_results_in_again(tmp_path: Path) -> None:
    def everything(api: Api) -> Any:
        lines = [json.loads(line) for line in api.http.get("/export").text.splitlines()[1:]]
        return [(line.get("content"), line.get("tools")) for line in lines if line["type"] != "attachment"]

    with served(tmp_path) as api, served(tmp_path / "other") as other:
        tools = {"client": [{"name": "look", "description": "Looks.", "inputSchema": {"type": "object"}}]}
        answer(api, call(("weather", {"place": {"city": "Cadiz"}}), "refuse"), tools=tools)
        exported = api.http.get("/export").content
        done = other.http.post("/import", files={"file": ("all.jsonl", exported)})
        assert done.status_code in (200, 201), done.text
        assert everything(other) == everything(api)


class Spans(TracerProvider):
    """Remembers the spans that are begun, by name and attributes; what OpenTelemetry's own SDK would export."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, Json]] = []

    def get_tracer(self, *_: Any, **__: Any) -> Tracer:
        return Remembering(self.begun)


class Remembering(NoOpTracer):
    def __init__(self, begun: list[tuple[str, Json]]) -> None:
        self.begun = begun

    def start_as_current_span(self, name: str, *_: Any, attributes: Any = None, **__: Any) -> Any:
        self.begun.append((name, dict(attributes or {})))
        return super().start_as_current_span(name)


def test_each_call_is_a_span(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = Spans()
    monkeypatch.setattr(execution, "tracer", spans.get_tracer("tertulia"))
    with served(tmp_path) as api:
        block = answer(api, call("who"))[1]["generation"]["message"]["content"][0]
    (name, attributes) = spans.begun[0]
    assert name == "execute_tool who"
    assert attributes["gen_ai.tool.call.id"] == block["toolUseId"]
