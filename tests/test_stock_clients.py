"""Clients and protocol audits of other projects, and all pages in a real browser."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from client import Api
from npm import run
from programs import chromium
from running import tertulia

pytestmark = pytest.mark.needs("node", "tests/node")


@pytest.fixture
def paced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Api]:
    """A server with a slow simulator, so that an answer can be stopped in the middle."""
    monkeypatch.chdir(tmp_path)
    with tertulia(tmp_path, simulator_pace=1, tools=("some_tools:pay",)) as address, Api(address) as api:
        yield api


def test_every_audit_of_graphql_http_passes(api: Api) -> None:
    results = run("audit.mjs", f"{api.address}/graphql")
    assert [result for result in results if result["status"] != "ok"] == []
    assert len(results) == 61


def test_the_npm_client_graphql_ws_sends_follows_and_stops(paced: Api) -> None:
    first, second, third = run("conversation.mjs", f"{paced.address}/graphql")
    assert "Ada" in first["answer"]
    assert second["answer"] == "Your name is Ada."
    assert third["stopped"]["status"] == "STOPPED"
    assert third["last"].endswith("GenerationStopped")
    assert third["answer"] == third["stopped"]["message"]["text"]
    assert "word400" not in third["answer"]


@pytest.mark.needs("chromium", "page")
def test_all_pages_work_in_a_browser_without_internet_access(paced: Api) -> None:
    seen = run("pages.mjs", paced.address, chromium())
    assert "Ada" in seen["plain"]["first"]
    assert seen["plain"]["simulated"]
    assert "word20" in seen["plain"]["afterReload"]
    assert seen["plain"]["stopped"].endswith("Stopped.")
    assert seen["plain"]["stopped"].startswith(seen["plain"]["afterReload"].strip())
    assert "Tool result" in seen["plain"]["paid"]
    check_tour(seen["graphiql"])
    described = paced.http.get("/openapi.json").json()["paths"].values()
    assert seen["swagger"]["operations"] == sum(len(operations) for operations in described)
    assert seen["redoc"] > 0
    assert seen["swagger"]["authorize"]
    assert (seen["foreign"], seen["problems"]) == ([], [])


def check_tour(seen: dict[str, Any]) -> None:
    """Check that GraphiQL's tour runs each step in its tab, with the ids of earlier steps, and stays ended."""
    tabs = ["Send", "Follow", "Send", "Stop", "Edit", "Regenerate", "Read", "Search", "Tools", "Usage"]
    assert [step["tab"] for step in seen["steps"]] == tabs
    assert seen["tabs"] == len(set(tabs))
    variables = [step["variables"] for step in seen["steps"]]
    sent, followed, long, stopped, edited, again, read, search, tools, used = (step["data"] for step in seen["steps"])
    conversation = sent["sendMessage"]["conversation"]["id"]
    assert variables[1] == {"generationId": sent["sendMessage"]["generation"]["id"]}
    assert followed["generationEvents"]["generation"]["stopReason"] == "END_TURN"
    assert "Ada" in seen["answer"]
    assert [variables[step_number]["conversationId"] for step_number in (2, 6, 9)] == [conversation] * 3
    assert variables[3] == {"generationId": long["sendMessage"]["generation"]["id"]}
    assert stopped["stopGeneration"]["generation"]["status"] == "STOPPED"
    versions = edited["editMessage"]["userMessage"]["siblings"]
    assert versions[0]["id"] == variables[4]["messageId"] == long["sendMessage"]["userMessage"]["id"]
    assert len(again["regenerateMessage"]["generation"]["message"]["siblings"]) == 2
    assert variables[5]["answerId"] == edited["editMessage"]["generation"]["message"]["id"]
    branch = [edge["node"] for edge in read["conversation"]["messages"]["edges"]]
    assert [len(message["siblings"]) for message in branch] == [1, 1, 2, 2]
    assert search["searchMessages"]["edges"][0]["highlights"]
    assert [tool["name"] for tool in tools["tools"]] == ["pay"]
    assert float(used["viewer"]["usage"]["costUsd"]) > 0
    assert all(step["said"].endswith(".") for step in seen["steps"])
    # A token under Headers is also sent by the socket of another tab.
    assert seen["sent"][0] == {"type": "connection_init", "payload": {"Authorization": "Bearer of Ada"}}
    assert (seen["inaccessible"], seen["layout"]) == ([], [])
    assert (seen["ended"], seen["again"], seen["escaped"]) == ("Tour", 0, "Tour")
    assert seen["remade"] == ["Send", seen["tabs"]]


def test_the_npm_clients_graphql_sse_apollo_and_urql_follow_over_http(api: Api) -> None:
    results = run("streams.mjs", f"{api.address}/graphql")
    expected = " ".join(f"word{number}" for number in range(1, 61)) + "."
    assert {
        name: (seen["text"].strip(), seen["last"], seen["viewer"]) for name, seen in results.items()
    } == dict.fromkeys(("sse", "apollo", "urql"), (expected, "GenerationCompleted", "local"))
