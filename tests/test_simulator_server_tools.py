"""The simulator's server tools (web search, web fetch, code execution), called by the real SDK over HTTP."""

from typing import Any

import anthropic
import pytest
from test_simulator_tools import (
    WHO,
    ask,
    assistant_message,
    claude,
    id_of,
    kinds,
    refusal,
    stream,
    streamed_message,
    text,
    tool_result,
    user_message,
    words,
)

__all__ = ["claude"]


def test_a_search_returns_results_and_text_that_cites_them(claude: anthropic.Anthropic) -> None:
    message = ask(claude, user_message("Please\n/simulate web-search the weather in Cadiz\nand thanks"))
    call, search_result, answer = message.content
    assert call.type == "server_tool_use"
    assert (call.name, call.input) == ("web_search", {"query": "the weather in Cadiz"})
    assert search_result.type == "web_search_tool_result"
    assert isinstance(search_result.content, list)
    assert search_result.tool_use_id == call.id
    assert all(
        result.url.startswith("https://example.com/") and result.encrypted_content for result in search_result.content
    )
    assert answer.type == "text"
    assert answer.citations is not None
    cited = answer.citations[0]
    assert cited.type == "web_search_result_location"
    assert (cited.url, cited.title) == (search_result.content[0].url, search_result.content[0].title)
    assert len(search_result.content) == 2
    usage = message.usage.server_tool_use
    assert usage is not None
    assert usage.web_search_requests == 1
    assert message.stop_reason == "end_turn"
    assert (
        ask(
            claude, user_message("/simulate web-search x"), assistant_message(*message.content), user_message("And?")
        ).stop_reason
        == "end_turn"
    )


def test_a_streamed_search_has_the_apis_form(claude: anthropic.Anthropic) -> None:
    events = stream(claude, user_message("/simulate web-search the sea"))
    assert "server_tool_use" not in events[0]["message"]["usage"]
    assert events[1]["content_block"]["input"] == {}
    assert events[2]["delta"] == {"type": "input_json_delta", "partial_json": ""}
    position = next(index for index, event in enumerate(events) if event.get("index") == 1)
    assert len(events[position]["content_block"]["content"]) == 2
    assert events[position + 1] == {"type": "content_block_stop", "index": 1}
    assert events[position + 2]["content_block"] == {"type": "text", "text": "", "citations": []}
    assert events[position + 3]["delta"]["type"] == "citations_delta"
    assert events[-2]["usage"]["server_tool_use"] == {"web_search_requests": 1, "web_fetch_requests": 0}


def test_code_execution_returns_a_result_and_a_container(claude: anthropic.Anthropic) -> None:
    message = ask(claude, user_message("/simulate code"))
    call, result, _ = message.content
    assert call.type == "server_tool_use"
    assert result.type == "code_execution_tool_result"
    assert result.content.type == "code_execution_result"
    assert (result.content.stdout, result.content.return_code) == ("42\n", 0)
    assert message.container is not None
    again = streamed_message(claude, user_message("/simulate code"), container=message.container.id)
    assert again.container is not None
    assert again.container.id == message.container.id


def test_server_tools_that_are_not_in_the_request_are_not_used(claude: anthropic.Anthropic) -> None:
    for scenario in ("web-search x", "code", "pause"):
        message = ask(claude, user_message(f"/simulate {scenario}"), tools=[WHO])
        assert (kinds(message), message.stop_reason) == (["text"], "end_turn")
        assert "no " in words(message)
    assert kinds(ask(claude, user_message("/simulate web-search x"), tools=[WHO | {"name": "web_search"}])) == ["text"]


def test_a_paused_turn_continues(claude: anthropic.Anthropic) -> None:
    question = user_message("/simulate pause the sea")
    paused = ask(claude, question)
    assert (kinds(paused), paused.stop_reason) == (["server_tool_use"], "pause_turn")
    continued = ask(claude, question, assistant_message(*paused.content))
    assert (kinds(continued), continued.stop_reason) == (["web_search_tool_result", "text"], "end_turn")
    assert continued.content[0].type == "web_search_tool_result"
    assert continued.content[0].tool_use_id == id_of(paused)
    assert "the sea" in words(continued)
    assert continued.usage.server_tool_use is not None
    for turns in (
        [assistant_message(*paused.content, *continued.content)],
        [assistant_message(*paused.content), assistant_message(*continued.content)],
    ):
        assert "And?" in words(ask(claude, question, *turns, user_message("And?")))
    last = ask(claude, question, assistant_message(*paused.content, continued.content[0]))
    assert (kinds(last), last.stop_reason) == (["text"], "end_turn")


def test_a_search_next_to_tool_calls_waits_for_their_results(claude: anthropic.Anthropic) -> None:
    question = user_message("/simulate call who\n/simulate web-search the sea")
    mixed = ask(claude, question)
    assert (kinds(mixed), mixed.stop_reason) == (["server_tool_use", "tool_use"], "tool_use")
    results = tool_result(id_of(mixed, 1), "Ada")
    continued = ask(claude, question, assistant_message(*mixed.content), user_message(results))
    assert kinds(continued) == ["web_search_tool_result", "text"]
    assert 'The tool returned: "Ada".' in words(continued)
    later = [
        assistant_message(*mixed.content),
        user_message(results),
        assistant_message(*continued.content),
        user_message("And?"),
    ]
    assert "And?" in words(ask(claude, question, *later))
    assert "`web_search` tool use" in refusal(
        claude, question, assistant_message(*mixed.content), user_message(results, text("Well"))
    )


def test_models_list_the_server_tools_that_they_support(claude: anthropic.Anthropic) -> None:
    supported: dict[str, Any] = {}
    for model in claude.models.list():
        capabilities: Any = model.capabilities
        tools = capabilities.server_tools
        supported[model.id] = (tools.supported, tools.web_search.supported, tools.code_execution.supported)
    assert supported.pop("claude-haiku-4-5") == (False, False, False)
    assert set(supported.values()) == {(True, True, True)}


def test_code_makes_a_file_that_can_be_downloaded_unlike_an_uploaded_one(claude: anthropic.Anthropic) -> None:
    message = ask(claude, user_message("/simulate file chart.png"))
    call, result, answer = message.content
    assert (call.type, result.type, answer.type) == ("server_tool_use", "bash_code_execution_tool_result", "text")
    assert result.type == "bash_code_execution_tool_result"
    assert result.content.type == "bash_code_execution_result"
    file_id = result.content.content[0].file_id
    metadata = claude.files.retrieve_metadata(file_id)
    assert (metadata.filename, metadata.mime_type, metadata.downloadable) == ("chart.png", "image/png", True)
    data = claude.files.download(file_id).read()
    assert (data[:4], len(data)) == (b"\x89PNG", metadata.size_bytes)
    uploaded = claude.files.upload(file=("a.txt", b"text", "text/plain"))
    with pytest.raises(anthropic.BadRequestError, match="is not downloadable"):
        claude.files.download(uploaded.id)
    earlier = assistant_message(*message.content)
    assert (
        ask(claude, user_message("/simulate file chart.png"), earlier, user_message("Thanks")).stop_reason == "end_turn"
    )


def test_the_memory_scenarios_call_the_memory_tool(claude: anthropic.Anthropic) -> None:
    memory: Any = {"tools": [{"type": "memory_20250818", "name": "memory"}]}
    (call,) = ask(claude, user_message("/simulate remember I like tea"), **memory).content
    assert call.type == "tool_use"
    assert (call.name, call.input) == (
        "memory",
        {"command": "create", "path": "/memories/i-like-tea.md", "file_text": "I like tea\n"},
    )
    (call,) = ask(claude, user_message("/simulate recall"), **memory).content
    assert call.type == "tool_use"
    assert call.input == {"command": "view", "path": "/memories"}
