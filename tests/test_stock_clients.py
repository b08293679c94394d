"""Clients and audits of other projects, and the pages in a real browser; skipped where Node or Chromium is missing."""

import json
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from client import Api
from conftest import Staged
from running import tertulia
from scripted import EVERYTHING, Reply

NODE = Path(__file__).parent / "node"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules").is_dir(), reason="needs Node and `npm ci` in tests/node"
)


@pytest.fixture
def paced(tmp_path: Path) -> Generator[Api]:
    """A server whose simulated Claude speaks at a human pace, so that there is a middle to stop in."""
    with tertulia(tmp_path, simulator_pace=1) as address, Api(address) as api:
        yield api


def run(script: str, *arguments: str) -> Any:
    done = subprocess.run(
        ["node", NODE / script, *arguments], capture_output=True, text=True, timeout=150, check=False, cwd=NODE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


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
    assert seen["graphiql"]["tabs"] == 5
    followed = seen["graphiql"]["followed"]["data"]["generationEvents"]
    assert followed["generation"]["stopReason"] == "END_TURN"
    assert seen["swagger"] == 2
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


def test_the_npm_client_graphql_ws_is_right_after_a_cut_at_every_event(staged: Staged) -> None:
    stage = staged(Reply(EVERYTHING))
    generation = stage.api.send("Hello")["generation"]["id"]
    stage.api.follow(generation)
    found = run("cuts.mjs", f"{stage.api.address}/graphql", generation)
    assert len(found["cuts"]) == 2 * (found["whole"]["events"] - 1)
    for cut in found["cuts"]:
        assert cut["blocks"] == found["whole"]["blocks"]
        assert cut["last"] == "GenerationCompleted"
    assert max(cut["sockets"] for cut in found["cuts"]) > 1
