"""Clients and audits of other projects, and the pages in a real browser; skipped where Node or Chromium is missing."""

import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from client import Api
from npm import needs_node, run
from running import tertulia

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = needs_node


@pytest.fixture
def paced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Api]:
    """A server whose simulated Claude speaks at a human pace, so that there is a middle to stop in."""
    monkeypatch.chdir(tmp_path)
    with tertulia(tmp_path, simulator_pace=1, tools=("some_tools:pay",)) as address, Api(address) as api:
        yield api


def test_every_audit_of_graphql_http_passes(api: Api) -> None:
    results = run("audit.mjs", f"{api.address}/graphql")
    assert [result for result in results if result["status"] != "ok"] == []
    assert len(results) == 61


def test_the_npm_client_graphql_ws_holds_a_conversation(paced: Api) -> None:
    first, second, third = run("conversation.mjs", f"{paced.address}/graphql")
    assert "Ada" in first["answer"]
    assert second["answer"] == "Your name is Ada."
    assert third["stopped"]["status"] == "STOPPED"
    assert third["last"].endswith("GenerationStopped")
    assert third["answer"] == third["stopped"]["message"]["text"]
    assert "word400" not in third["answer"]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_all_pages_work_in_a_browser_that_reaches_nothing_else(paced: Api) -> None:
    seen = run("pages.mjs", paced.address, str(CHROMIUM))
    assert "Ada" in seen["chat"]["first"]
    assert seen["chat"]["simulated"]
    assert "word20" in seen["chat"]["afterReload"]
    assert seen["chat"]["stopped"].endswith("Stopped.")
    assert seen["chat"]["stopped"].startswith(seen["chat"]["afterReload"].strip())
    assert "The tool gave" in seen["chat"]["paid"]
    assert seen["graphiql"]["tabs"] == 5
    followed = seen["graphiql"]["followed"]["data"]["generationEvents"]
    assert followed["generation"]["stopReason"] == "END_TURN"
    assert seen["swagger"] == 7
    assert seen["redoc"] > 0
    assert seen["foreign"] == []
    # ReDoc asks for its maker's logo; the page's policy refuses it.
    assert [problem for problem in seen["problems"] if "cdn.redoc.ly" not in problem] == []


def test_the_npm_clients_graphql_sse_apollo_and_urql_follow_over_http(api: Api) -> None:
    found = run("streams.mjs", f"{api.address}/graphql")
    expected = " ".join(f"word{number}" for number in range(1, 61)) + "."
    assert {
        name: (seen["text"].strip(), seen["last"], seen["viewer"]) for name, seen in found.items()
    } == dict.fromkeys(("sse", "apollo", "urql"), (expected, "GenerationCompleted", "local"))
