"""Claude searches for tools whose definitions are large: only those that it finds are part of its prompt."""

import json
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from client import Api, Json
from running import tertulia
from test_command import run_here
from test_simulator_tools import (
    WEATHER,
    WHO,
    ask,
    assistant_message,
    claude,
    kinds,
    refusal,
    tool_use,
    user_message,
    words,
)
from test_tool_schemas import with_tools
from test_tools import answer

from tertulia.claude.models import Model
from tertulia.claude.prompt import Turn, build_request, prefix_fingerprint, with_answer_so_far
from tertulia.claude.tool_search import TOOL_SEARCH, with_search
from tertulia.tools.base import Result, ToolContext, ToolOptions
from tertulia.tools.registry import ToolRegistry

__all__ = ["claude"]

BM25: Json = {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}
DEFERRED = WEATHER | {"defer_loading": True}


class Sized:
    """A tool whose definition has about this many tokens."""

    requires_approval = False
    seconds = None
    idempotent = False

    def __init__(self, name: str, tokens: int, server: str | None = None, *, deferred: bool | None = None) -> None:
        self.name = name
        self.description = "x" * 4 * tokens
        self.input_schema: Json = {"type": "object"}
        self.options = ToolOptions(deferred=deferred)
        self.server = server

    async def call(self, input: Json, context: ToolContext) -> Result:
        raise NotImplementedError


def deferred(*tools: Sized, window: int | None = 200_000, client: int = 0, percent: float = 2.0) -> list[str]:
    registry = ToolRegistry(tools, search_percent=percent)
    declared = [{"name": "c", "description": "x" * 4 * client, "input_schema": {"type": "object"}}] if client else []
    model = Model("m", "m", default=True, simulated=True, max_input_tokens=window)
    return sorted(registry.of({"client": declared}, model).deferred)


def test_tools_of_mcp_servers_are_deferred_before_others_and_only_if_all_are_large() -> None:
    small, github, own = Sized("small", 4000, "s"), Sized("github", 7000, "g"), Sized("own", 8900)
    assert deferred(small, own, window=1_000_000) == []
    assert deferred(small, github) == ["github", "small"]
    assert deferred(small, github, own) == ["github", "small"]
    assert deferred(small, own, client=6000) == ["c", "own", "small"]
    assert deferred(small, github, own, window=1_000_000) == []
    assert deferred(small, github, own, window=None) == ["github", "small"]


def test_a_tool_can_be_deferred_or_loaded_in_any_case() -> None:
    always, never = Sized("always", 10, deferred=True), Sized("never", 20_000, "s", deferred=False)
    assert deferred(always, never, Sized("other", 10)) == ["always", "other"]
    assert deferred(always, never, Sized("other", 10), percent=0) == []


def found(*names: str, id: str = "srvtoolu_1") -> list[Json]:
    references = [{"type": "tool_reference", "tool_name": name} for name in names]
    content = {"type": "tool_search_tool_search_result", "tool_references": references}
    return [
        {"type": "server_tool_use", "id": id, "name": BM25["name"], "input": {"query": "x"}},
        {"type": "tool_search_tool_result", "tool_use_id": id, "content": content},
    ]


def called(name: str) -> list[Json]:
    result: Json = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}
    return [{"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}, result, {"type": "text", "text": "Done."}]


def request(tools: list[Json], *answers: list[Json]) -> Json:
    turns = [Turn("user", [{"type": "text", "text": "Hi"}])]
    for blocks in answers:
        turns += [Turn("assistant", blocks), Turn("user", [{"type": "text", "text": "And?"}])]
    body, _ = build_request(
        model="m", max_output_tokens=None, system_prompt=None, options={}, forms=None, turns=turns, tools=tools
    )
    return body


def test_a_tool_that_was_called_before_it_was_deferred_stays_loaded() -> None:
    tools = with_search([WHO, WEATHER], {"who", "weather"}, [called("who"), [*found("weather"), *called("weather")]])
    assert tools == [WHO, DEFERRED, TOOL_SEARCH]
    assert with_search([WHO], {"who"}, [called("who")]) == [WHO]


def test_deferred_tools_are_no_part_of_what_thinking_is_bound_to() -> None:
    loaded = [WHO, TOOL_SEARCH]
    assert prefix_fingerprint("m", None, [*loaded, DEFERRED]) == prefix_fingerprint("m", None, loaded)
    assert prefix_fingerprint("m", None, [*loaded, WEATHER]) != prefix_fingerprint("m", None, loaded)


def test_examples_are_part_of_the_description_if_claude_searches_for_tools() -> None:
    who: Json = {**WHO, "description": "Tells who.", "input_examples": [{"name": "Ada"}]}
    tool = with_search([who, WEATHER], {"weather"}, [])[0]
    assert tool["description"] == 'Tells who.\n\nExamples of the input:\n{"name":"Ada"}'
    assert "input_examples" not in tool


def test_a_removed_tool_that_was_found_keeps_a_definition() -> None:
    history = [*found("gone", "who"), *called("gone")]
    body = request([WHO, TOOL_SEARCH], history)
    assert [(tool["name"], tool.get("defer_loading")) for tool in body["tools"][2:]] == [("gone", True)]
    assert body["messages"][1]["content"][:2] == history[:2]
    continued = with_answer_so_far(request([WHO, TOOL_SEARCH]), history)
    assert [tool["name"] for tool in continued["tools"]] == ["who", BM25["name"], "gone"]


def test_searches_are_left_out_of_a_request_that_loads_all_tools() -> None:
    history = [*found("who"), *called("who")]
    assert [block["type"] for block in request([WHO], history)["messages"][1]["content"]] == ["tool_use"]
    continued = with_answer_so_far(request([WHO]), history)
    assert [block["type"] for block in continued["messages"][1]["content"]] == ["tool_use"]


def test_claude_finds_a_tool_of_many_and_calls_it_again_without_a_search(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    tools: list[Any] = [
        {"name": f"t{number}", "description": f"Tool {number}. " + "x" * 800, "inputSchema": schema}
        for number in range(120)
    ]
    config = with_tools(tmp_path, tools)
    (tmp_path / "results.json").write_text(
        json.dumps({"t77": {"result": {"content": [{"type": "text", "text": "77!"}]}}})
    )
    doctor = run_here(tmp_path, "doctor", TERTULIA_MCP_CONFIG=config)
    assert "about 0 of 27,350 tokens" in doctor.stdout, doctor.stdout
    with tertulia(tmp_path, mcp_config=config) as address, Api(address) as api:
        sent = api.send("Hello")
        conversation = sent["conversation"]["id"]
        usage = "query ($id: ID!) { generation(id: $id) { usage { inputTokens cacheWriteTokens } } }"
        api.follow(sent["generation"]["id"])
        used = api.ask(usage, id=sent["generation"]["id"])["generation"]["usage"]
        assert used["inputTokens"] + used["cacheWriteTokens"] < 200
        first = answer(api, '/simulate call m__t77 {"a": "b"}', conversationId=conversation)[1]
        content = first["generation"]["message"]["content"]
        assert [block.get("name") for block in content] == [BM25["name"], None, "m__t77", None, None]
        references = content[1]["output"]["tool_references"]
        assert {"type": "tool_reference", "tool_name": "m__t77"} in references
        assert content[3]["output"] == "77!"
        again = answer(api, "/simulate call m__t77 {}", conversationId=conversation)[1]["generation"]["message"][
            "content"
        ]
        assert [block["__typename"] for block in again] == ["ToolUseBlock", "ToolResultBlock", "TextBlock"]
        metrics = httpx2.get(f"{address}/metrics").text
    values = dict(line.split() for line in metrics.splitlines() if line.startswith("tertulia_tool"))
    assert float(values["tertulia_tools"]) == 120
    assert float(values["tertulia_tool_definition_tokens"]) > 24_000
    assert float(values["tertulia_tool_definition_tokens_loaded"]) == 0


@pytest.mark.parametrize(
    ("tools", "messages", "says"),
    [
        ([DEFERRED], [], "All tools have defer_loading set. At least one tool must be non-deferred."),
        ([WHO, DEFERRED | {"cache_control": {"type": "ephemeral"}}], [], "cannot have both defer_loading=true and cache_control set"),
        ([WHO, BM25 | {"defer_loading": True}], [], "a tool search tool cannot have defer_loading set"),
        ([BM25, WHO | {"input_examples": [{}]}], [], "tool search does not support input_examples"),
        ([BM25, DEFERRED], [assistant_message(tool_use())], "was called before it was found"),
        ([BM25, WHO], [assistant_message(*found("nobody"))], "Tool reference 'nobody' has no corresponding tool definition"),
        ([BM25, WHO], [assistant_message(found()[0], {**found()[1], "content": []})], "tool_search_tool_result.content"),
    ],
)  # fmt: skip
def test_a_request_that_breaks_the_rules_of_tool_search_is_refused(
    claude: anthropic.Anthropic, tools: Any, messages: list[Any], says: str
) -> None:
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}
    last = [user_message(result)] if "called" in says else [user_message("And?")] if messages else []
    assert says in refusal(claude, user_message("Hello"), *messages, *last, tools=tools)


@pytest.mark.parametrize(
    ("tool", "query"),
    [(BM25, "the weather"), ({"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}, "^weat.*")],
)
def test_the_simulated_claude_searches_in_words_and_with_patterns(
    claude: anthropic.Anthropic, tool: Any, query: str
) -> None:
    tools: Any = [tool, DEFERRED, WHO | {"defer_loading": True}]
    message = ask(claude, user_message(f"/simulate tool-search {query}"), tools=tools)
    assert kinds(message) == ["server_tool_use", "tool_search_tool_result", "text"]
    assert words(message) == "I found these tools: weather."
    assert message.usage.to_dict()["server_tool_use"] == {"tool_search_requests": 1}
