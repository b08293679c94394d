"""What Claude's own tools for the web may read, as the operator or an assistant sets it."""

from pathlib import Path
from typing import Any

import anthropic
import pytest
from client import Json
from conftest import Staged
from scripted import says
from test_assistants import write
from test_command import run_here
from test_simulator_tools import FETCH, SEARCH, ask, assistant_message, claude, refusal, user_message

__all__ = ["claude"]

SPAIN: Json = {"city": "Cadiz", "country": "ES", "timezone": "Europe/Madrid"}
LIMITS: Json = {"allowed_domains": ["example.com", "docs.example.org/help"], "max_uses": 3, "user_location": SPAIN}
WEB = ("web_search", "web_fetch")


def options_of(tools: list[Json]) -> dict[str, Json]:
    return {
        tool["name"]: {key: tool[key] for key in tool if key not in ("type", "name", "allowed_callers")}
        for tool in tools
    }


def test_limits_of_the_server_are_sent_with_the_tools_for_the_web(staged: Staged) -> None:
    stage = staged(says("Hi"), tools=WEB, web_tools=LIMITS)
    stage.api.answer("Hi")
    shared = {"allowed_domains": LIMITS["allowed_domains"], "max_uses": 3}
    search = {**shared, "user_location": {"type": "approximate", **SPAIN}}
    assert options_of(stage.claude.requests[0]["tools"]) == {"web_search": search, "web_fetch": shared}


def test_an_assistant_replaces_the_limits_of_the_server(staged: Staged, tmp_path: Path) -> None:
    own = "---\ntools: [web_search, web_fetch]\nweb:\n  blocked_domains: [example.net]\n---\nBe brief."
    stage = staged(
        says("Hi"),
        tools=WEB,
        web_tools=LIMITS,
        assistants=str(write(tmp_path, own=own, other=own.replace("web:\n  blocked_domains: [example.net]\n", ""))),
    )
    stage.api.answer("Hi", assistantId="own")
    stage.api.answer("Hi", assistantId="other")
    blocked = {"blocked_domains": ["example.net"]}
    assert options_of(stage.claude.requests[0]["tools"]) == {"web_search": blocked, "web_fetch": blocked}
    assert options_of(stage.claude.requests[1]["tools"])["web_search"]["max_uses"] == 3


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("{", "must be a JSON object"),
        ('{"allowed_domains": ["https://example.com"]}', "allowed_domains.0: must be a domain without a scheme"),
        ('{"allowed_domains": ["a.com"], "blocked_domains": ["b.com"]}', "must not both be set"),
        ('{"max_uses": 0}', "max_uses: must be greater than or equal to 1"),
        ('{"user_location": {"country": "Spain"}}', "user_location.country: must be a country code"),
        ('{"user_location": {"timezone": "Cadiz"}}', "user_location.timezone: must be an IANA time zone"),
        ('{"domains": []}', "domains: Extra inputs are not permitted"),
    ],
)
def test_wrong_limits_stop_the_start_with_one_line(tmp_path: Path, value: str, says: str) -> None:
    refused = run_here(tmp_path, "serve", TERTULIA_WEB_TOOLS=value)
    assert (refused.exit_code, refused.output.count("\n")) == (2, 1), refused.output
    assert refused.output.startswith("TERTULIA_WEB_TOOLS: ")
    assert says in refused.output


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"allowed_domains": ["https://example.com"]}, "Input should be a valid list of domains without a scheme"),
        ({"allowed_domains": ["a.com"], "blocked_domains": ["b.com"]}, "Cannot specify both allowed_domains and blocked_domains"),
        ({"max_uses": 0}, "max_uses: Input should be greater than 0"),
        ({"user_location": {"city": "Cadiz"}}, "user_location.type: Input should be 'approximate'"),
    ],
)  # fmt: skip
def test_the_simulated_claude_refuses_wrong_limits(claude: anthropic.Anthropic, fields: Json, says: str) -> None:
    assert says in refusal(claude, tools=[SEARCH | fields])


@pytest.mark.parametrize(
    ("fields", "url", "kind"),
    [
        ({}, "https://tea.org/a", "web_fetch_result"),
        ({"allowed_domains": ["tea.org/a"]}, "https://www.tea.org/a/b", "web_fetch_result"),
        ({"allowed_domains": ["tea.org/a"]}, "https://tea.org/b", "web_fetch_tool_result_error"),
        ({"allowed_domains": ["tea.org"]}, "https://greentea.org/", "web_fetch_tool_result_error"),
        ({"blocked_domains": ["tea.org"]}, "https://shop.tea.org/", "web_fetch_tool_result_error"),
    ],
)
def test_the_simulated_claude_reads_pages_of_allowed_domains(
    claude: anthropic.Anthropic, fields: Json, url: str, kind: str
) -> None:
    tools: Any = [FETCH | fields]
    first: Any = ask(claude, user_message(f"/simulate web-fetch {url}"), tools=tools)
    assert (first.content[0].input, first.content[1].content.type) == ({"url": url}, kind)
    assert first.usage.server_tool_use.web_fetch_requests == 1
    turns = [user_message("Hi"), assistant_message(*first.content), user_message("And?")]
    assert ask(claude, *turns, tools=tools).stop_reason == "end_turn"


def test_the_simulated_claude_finds_pages_of_allowed_domains(claude: anthropic.Anthropic) -> None:
    for fields, domain in (
        ({"allowed_domains": ["tea.org/x"]}, "tea.org"),
        ({"blocked_domains": ["example.com"]}, "example.org"),
    ):
        tools: Any = [SEARCH | fields, FETCH | fields]
        message: Any = ask(claude, user_message("/simulate web-search tea"), tools=tools)
        assert message.content[1].content[0].url.startswith(f"https://{domain}/")
