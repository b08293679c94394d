"""Tools from an operator's view: settings, `doctor`, approval in the terminal, server tools, billing and exports."""

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
        ({"TERTULIA_TOOLS": f"{MODULE},{MODULE}"}, "TERTULIA_TOOLS: two tools have the same name"),
        ({"TERTULIA_MCP_CONFIG": "nowhere.json"}, "TERTULIA_MCP_CONFIG: nowhere.json: "),
        ({"TERTULIA_TOOL_SECONDS": "0"}, "TERTULIA_TOOL_SECONDS: got '0'"),
    ],
)
def test_invalid_tool_settings_stop_the_start_with_one_line(tmp_path: Path, setting: Json, said: str) -> None:
    refused = run_here(tmp_path, "serve", **setting)
    assert (refused.exit_code, refused.output.count("\n")) == (2, 1), refused.output
    assert refused.output.startswith(said)


@pytest.mark.usefixtures("slow_tool_servers")
def test_doctor_lists_tools_and_names_unavailable_servers(tmp_path: Path) -> None:
    config = tmp_path / "mcp.json"
    server: Json = {"command": sys.executable, "args": ["-m", "mcp_server_time"]}
    config.write_text(json.dumps({"mcpServers": {"time": server}}))
    healthy = run_here(tmp_path, "doctor", TERTULIA_TOOLS=f"{MODULE}:who,web_search", TERTULIA_MCP_CONFIG=str(config))
    assert "tools: time__convert_time, time__get_current_time, web_search, who" in healthy.stdout, healthy.stdout
    config.write_text(json.dumps({"mcpServers": {"time": {"command": "no-such-program"}}}))
    unavailable = run_here(tmp_path, "doctor", TERTULIA_MCP_CONFIG=str(config))
    assert (unavailable.exit_code, "wrong  TERTULIA_MCP_CONFIG: time: " in unavailable.stdout) == (1, True)


@pytest.mark.parametrize(("typed", "output"), [("y", "Paid 7."), ("n", "The user denied this call.")])
def test_chat_asks_for_approval_in_the_terminal(
    tmp_path: Path, typed: str, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with served(tmp_path) as api:
        line = "/simulate call pay " + json.dumps({"amount": 7})
        done = run_here(tmp_path, "chat", "--url", api.address, stdin=f"{line}\n{typed}\nAnd now?\n")
    assert done.exit_code == 0, done.output
    assert "Allow Claude to call pay? [y/N]" in done.output
    assert output in done.output


def test_patterns_select_the_tools_that_require_approval(tmp_path: Path) -> None:
    with served(tmp_path, ask_first=("wh*",)) as api:
        requires_approval = {
            tool["name"]: tool["asksFirst"] for tool in api.ask("{ tools { name asksFirst } }")["tools"]
        }
        assert (requires_approval["who"], requires_approval["weather"]) == (True, False)
        assert len(answer(api, call("who", "weather"))[1]["approvals"]) == 1


def test_a_tool_receives_the_signed_in_user(tmp_path: Path) -> None:
    with tertulia(tmp_path, **MODE, tools=(MODULE,)) as address, signed(address, register(address, "ada")) as api:
        assert results(answer(api, call("who"))[1])[0]["output"] == "Hello, ada"


def test_the_cost_of_an_answer_includes_all_rounds(tmp_path: Path) -> None:
    with served(tmp_path) as api:
        generation, _ = answer(api, call("who"))
        generation_ = api.ask(
            "query ($id: ID!) { generation(id: $id) { usage { costUsd } conversation { usage { costUsd } } } }",
            id=generation,
        )["generation"]
        bill = api.ask("{ viewer { usage { costUsd } } }")["viewer"]["usage"]["costUsd"]
        assert len({generation_["usage"]["costUsd"], generation_["conversation"]["usage"]["costUsd"], bill}) == 1
        assert Decimal(bill) > 0


def test_a_web_search_is_shown_and_billed(tmp_path: Path) -> None:
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
        # The simulator accepts the search in the history, because it is sent back unchanged.
        conversation = api.ask("query ($id: ID!) { generation(id: $id) { conversation { id } } }", id=generation)
        again = answer(api, "And now?", conversationId=conversation["generation"]["conversation"]["id"])[1]
        assert again["__typename"] == "GenerationCompleted"


def test_a_paused_turn_continues_in_the_same_answer(tmp_path: Path) -> None:
    with served(tmp_path, "web_search") as api:
        generation, done = answer(api, "/simulate pause")
        kinds = [block["__typename"] for block in done["generation"]["message"]["content"]]
        assert kinds == ["ToolUseBlock", "ToolResultBlock", "TextBlock"]
        assert done["generation"]["stopReason"] == "END_TURN"
        numbers = [event["sequence"] for event in follow(api, generation, 0)]
        assert numbers == sorted(set(numbers))


def test_the_result_of_code_execution_is_shown(tmp_path: Path) -> None:
    with served(tmp_path, "code_execution") as api:
        done = answer(api, "/simulate code")[1]
    assert "42" in json.dumps(results(done)[0]["output"])


def test_tools_are_sent_in_a_stable_order_and_omitted_if_there_are_none(staged: Staged) -> None:
    stage = staged(says("Hello"), tools=(MODULE, "web_search"))
    stage.api.answer("Hi")
    names = [tool["name"] for tool in stage.claude.requests[0]["tools"]]
    assert names[:-1] == sorted(names[:-1])
    assert names[-1] == "web_search"
    assert "tool_choice" not in stage.claude.requests[0]
    plain = staged(says("Hello"))
    plain.api.answer("Hi")
    assert "tools" not in plain.claude.requests[0]


def test_each_round_is_billed(staged: Staged) -> None:
    stage = staged(uses(("who", {})), uses(("who", {})), says("Done"), tools=(MODULE,))
    generation, _ = answer(stage.api, "Hi")
    query = "query ($id: ID!) { generation(id: $id) { usage { inputTokens outputTokens costUsd } } }"
    used = stage.api.ask(query, id=generation)["generation"]["usage"]
    assert (used["inputTokens"], used["outputTokens"]) == (33, 21)
    viewer = stage.api.ask("{ viewer { usage { inputTokens outputTokens costUsd } } }")["viewer"]["usage"]
    assert viewer == used
    last = stage.claude.requests[2]["messages"]
    assert [message["role"] for message in last] == ["user", "assistant", "user", "assistant", "user"]


def test_calls_with_the_same_id_are_distinguished(staged: Staged) -> None:
    same = uses(("who", {}), ("who", {}))
    for event in same.pieces:
        if event["type"] == "content_block_start":
            event["content_block"]["id"] = "toolu_same"
    stage = staged(same, same, says("Done"), tools=(MODULE,))
    _, done = answer(stage.api, "Hi")
    assert [block["output"] for block in results(done)] == ["Hello, local"] * 4
    assert len({block["toolUseId"] for block in results(done)}) == 4
    assert len(stage.claude.requests) == 3


def test_a_change_of_servers_between_rounds_bills_each_round_once(tmp_path: Path, staged: Staged) -> None:
    stage = staged(uses(("pay", {"amount": 1})), says("Done"), tools=(MODULE,))
    generation, waits = answer(stage.api, "Hi")
    with served(tmp_path, **stage.keyed) as api:
        # The first server is still running: the server that receives the results continues the answer.
        submit(api, generation, {"toolUseId": waits["toolUses"][0]["toolUseId"], "approved": False})
        assert follow(api, generation)[-1]["__typename"] == "GenerationCompleted"
        query = "query ($id: ID!) { generation(id: $id) { usage { inputTokens outputTokens costUsd } } }"
        used = api.ask(query, id=generation)["generation"]["usage"]
        assert (used["inputTokens"], used["outputTokens"]) == (22, 14)
        assert api.ask("{ viewer { usage { inputTokens outputTokens costUsd } } }")["viewer"]["usage"] == used


def test_the_budget_is_checked_between_rounds(staged: Staged) -> None:
    stage = staged(
        uses(("who", {})), tools=(MODULE,), monthly_budget_usd=Decimal("0.0004"), tool_rounds=1000, tool_calls=10_000
    )
    _, last = answer(stage.api, "Hi", options={"maxTokens": 10})
    assert (last["__typename"], last["error"]["code"]) == ("GenerationFailed", "BUDGET_EXCEEDED")
    assert len(stage.claude.requests) < 10


def test_rest_reports_that_an_answer_waits_for_tool_results(tmp_path: Path) -> None:
    with served(tmp_path) as api:
        waits = api.http.post("/chat", json={"message": call(("pay", {"amount": 1}))})
        assert (waits.status_code, waits.json()["error"]["code"]) == (409, "TOOL_RESULTS_REQUIRED")
        assert waits.json()["error"]["generation_id"]


def test_tools_and_their_results_survive_export_and_import(tmp_path: Path) -> None:
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
    """Records the names and attributes of started spans, which OpenTelemetry's SDK would export."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, Json]] = []

    def get_tracer(self, *_: Any, **__: Any) -> Tracer:
        return RecordingTracer(self.begun)


class RecordingTracer(NoOpTracer):
    def __init__(self, begun: list[tuple[str, Json]]) -> None:
        self.begun = begun

    def start_as_current_span(self, name: str, *_: Any, attributes: Any = None, **__: Any) -> Any:
        self.begun.append((name, dict(attributes or {})))
        return super().start_as_current_span(name)


def test_each_tool_call_has_a_span(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = Spans()
    monkeypatch.setattr(execution, "tracer", spans.get_tracer("tertulia"))
    with served(tmp_path) as api:
        block = answer(api, call("who"))[1]["generation"]["message"]["content"][0]
    (name, attributes) = spans.begun[0]
    assert name == "execute_tool who"
    assert attributes["gen_ai.tool.call.id"] == block["toolUseId"]
