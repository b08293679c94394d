"""The tools that the simulated Claude runs on its own side, asked for by the real SDK over real HTTP."""

from typing import Any

import anthropic
from test_simulator_tools import (
    WHO,
    ask,
    claude,
    gave,
    id_of,
    kinds,
    refusal,
    said,
    stream,
    text,
    whole_of,
    words,
    wrote,
)

__all__ = ["claude"]


def test_a_search_has_results_and_text_that_cites_them(claude: anthropic.Anthropic) -> None:
    message = ask(claude, said("Please\n/simulate web-search the weather in Cadiz\nand thanks"))
    call, found, spoken = message.content
    assert call.type == "server_tool_use"
    assert (call.name, call.input) == ("web_search", {"query": "the weather in Cadiz"})
    assert found.type == "web_search_tool_result"
    assert isinstance(found.content, list)
    assert found.tool_use_id == call.id
    assert all(one.url.startswith("https://example.com/") and one.encrypted_content for one in found.content)
    assert spoken.type == "text"
    assert spoken.citations is not None
    cited = spoken.citations[0]
    assert cited.type == "web_search_result_location"
    assert (cited.url, cited.title) == (found.content[0].url, found.content[0].title)
    assert len(found.content) == 2
    usage = message.usage.server_tool_use
    assert usage is not None
    assert usage.web_search_requests == 1
    assert message.stop_reason == "end_turn"
    assert ask(claude, said("/simulate web-search x"), wrote(*message.content), said("And?")).stop_reason == "end_turn"


def test_a_search_is_streamed_in_the_apis_shape(claude: anthropic.Anthropic) -> None:
    events = stream(claude, said("/simulate web-search the sea"))
    assert "server_tool_use" not in events[0]["message"]["usage"]
    assert events[1]["content_block"]["input"] == {}
    assert events[2]["delta"] == {"type": "input_json_delta", "partial_json": ""}
    at = next(place for place, event in enumerate(events) if event.get("index") == 1)
    assert len(events[at]["content_block"]["content"]) == 2
    assert events[at + 1] == {"type": "content_block_stop", "index": 1}
    assert events[at + 2]["content_block"] == {"type": "text", "text": "", "citations": []}
    assert events[at + 3]["delta"]["type"] == "citations_delta"
    assert events[-2]["usage"]["server_tool_use"] == {"web_search_requests": 1, "web_fetch_requests": 0}


def test_code_is_run_in_a_container(claude: anthropic.Anthropic) -> None:
    message = ask(claude, said("/simulate code"))
    call, found, _ = message.content
    assert call.type == "server_tool_use"
    assert found.type == "code_execution_tool_result"
    assert found.content.type == "code_execution_result"
    assert (found.content.stdout, found.content.return_code) == ("42\n", 0)
    assert message.container is not None
    again = whole_of(claude, said("/simulate code"), container=message.container.id)
    assert again.container is not None
    assert again.container.id == message.container.id


def test_tools_of_its_own_that_are_not_offered_are_not_used(claude: anthropic.Anthropic) -> None:
    for asked in ("web-search x", "code", "pause"):
        message = ask(claude, said(f"/simulate {asked}"), tools=[WHO])
        assert (kinds(message), message.stop_reason) == (["text"], "end_turn")
        assert "no " in words(message)
    assert kinds(ask(claude, said("/simulate web-search x"), tools=[WHO | {"name": "web_search"}])) == ["text"]


def test_a_paused_turn_goes_on_where_it_was(claude: anthropic.Anthropic) -> None:
    asked = said("/simulate pause the sea")
    paused = ask(claude, asked)
    assert (kinds(paused), paused.stop_reason) == (["server_tool_use"], "pause_turn")
    rest = ask(claude, asked, wrote(*paused.content))
    assert (kinds(rest), rest.stop_reason) == (["web_search_tool_result", "text"], "end_turn")
    assert rest.content[0].type == "web_search_tool_result"
    assert rest.content[0].tool_use_id == id_of(paused)
    assert "the sea" in words(rest)
    assert rest.usage.server_tool_use is not None
    for turns in ([wrote(*paused.content, *rest.content)], [wrote(*paused.content), wrote(*rest.content)]):
        assert "And?" in words(ask(claude, asked, *turns, said("And?")))
    behind = ask(claude, asked, wrote(*paused.content, rest.content[0]))
    assert (kinds(behind), behind.stop_reason) == (["text"], "end_turn")


def test_a_search_beside_calls_waits_for_their_results(claude: anthropic.Anthropic) -> None:
    asked = said("/simulate call who\n/simulate web-search the sea")
    mixed = ask(claude, asked)
    assert (kinds(mixed), mixed.stop_reason) == (["server_tool_use", "tool_use"], "tool_use")
    results = gave(id_of(mixed, 1), "Ada")
    rest = ask(claude, asked, wrote(*mixed.content), said(results))
    assert kinds(rest) == ["web_search_tool_result", "text"]
    assert 'The tool gave: "Ada".' in words(rest)
    later = [wrote(*mixed.content), said(results), wrote(*rest.content), said("And?")]
    assert "And?" in words(ask(claude, asked, *later))
    assert "`web_search` tool use" in refusal(claude, asked, wrote(*mixed.content), said(results, text("Well")))


def test_models_say_whether_they_use_tools_of_claudes_own(claude: anthropic.Anthropic) -> None:
    told: dict[str, Any] = {}
    for model in claude.models.list():
        capabilities: Any = model.capabilities
        own = capabilities.server_tools
        told[model.id] = (own.supported, own.web_search.supported, own.code_execution.supported)
    assert told.pop("claude-haiku-4-5") == (False, False, False)
    assert set(told.values()) == {(True, True, True)}
