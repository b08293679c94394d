"""Tools while replicas are killed: no tool runs twice, no result is lost, and the conversation can be continued."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import forking
import pytest
from client import WAIT, Api, Json, Socket
from scripted import Gate, Reply, ScriptedClaude, says, scripted, uses
from test_faults import Cluster
from test_tools import CLIENT, conversation_of, follow, own, results, submit, until

TOOLS = {
    "TERTULIA_TOOLS": "some_tools",
    # The code must come first: it identifies the fork server that all tests share.
    "PYTHONPATH": f"{forking.CODE}:{Path(__file__).parent}",
}
LOST = "The server was lost during this call. The tool may have run."


@pytest.fixture
def claude() -> Generator[ScriptedClaude]:
    with scripted(says("unused")) as scripted_claude:
        yield scripted_claude


@pytest.fixture
def cluster(tmp_path: Path, place: Json, claude: Any) -> Generator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(tmp_path, place, claude, stack, **TOOLS)


def begin(cluster: Cluster, claude: ScriptedClaude, *replies: Reply, conversation: str | None = None) -> str:
    """Send a message on the first replica, to a Claude with these replies; return the generation."""
    claude.replies[:] = replies
    claude.requests.clear()
    return str(cluster.apis[0].send("Go", conversationId=conversation)["generation"]["id"])


def held(folder: Path) -> list[str]:
    file = folder / "held.txt"
    return file.read_text().split() if file.exists() else []


def until_held(api: Api, generation: str, folder: Path, calls: int) -> None:
    """Follow until a tool runs, which it records in a file."""
    with api.socket() as socket:
        for event in until(socket, generation, 0):
            if event["__typename"] == "ContentBlockStarted" and event["block"]["__typename"] == "ToolResultBlock":
                break
    # The event is stored before it is sent, and the tool begins just after.
    while len(held(folder)) < calls:
        api.http.get("/healthz")


def until_text(socket: Socket, generation: str) -> Generator[Json]:
    """Follow until text of the last round has arrived."""
    for event in until(socket, generation):
        yield event
        if event["__typename"] == "TextDelta" or event.get("message", {}).get("text"):
            return


def check_continues(api: Api, claude: ScriptedClaude, generation: str) -> None:
    claude.replies[:] = [says("Yes.")]
    sent = api.send("Are you still there?", conversationId=conversation_of(api, generation))
    assert follow(api, sent["generation"]["id"])[-1]["__typename"] == "GenerationCompleted"


@pytest.mark.both
def test_16_killing_a_replica_fails_at_most_its_running_tool_call(
    cluster: Cluster, claude: ScriptedClaude, tmp_path: Path
) -> None:
    generation = begin(cluster, claude, uses(("hold", {}), ("who", {})), says("It is gone."))
    until_held(cluster.apis[0], generation, tmp_path, 1)
    cluster.kill(0)
    other = cluster.apis[-1]
    done = follow(other, generation)[-1]
    assert done["__typename"] == "GenerationCompleted", done
    outputs = {block["output"]: block["isError"] for block in results(done)}
    assert outputs.pop(LOST) is True
    assert outputs in ({}, {"Hello, local": False})
    assert len(held(tmp_path)) == 1
    assert len(claude.requests) == 2
    check_continues(other, claude, generation)

    conversation = own(cluster.apis[0])
    generation = begin(cluster, claude, uses((CLIENT["name"], {"a": 1})), says("Thank you."), conversation=conversation)
    waits = follow(cluster.apis[0], generation)[-1]
    cluster.kill(0)
    client_result = {"toolUseId": waits["toolUses"][0]["toolUseId"], "output": {"b": 2}}
    assert follow(cluster.apis[-1], generation)[-1] == waits
    apis = [cluster.apis[0], cluster.apis[-1]] * 3
    with ThreadPoolExecutor(len(apis)) as pool:
        answers = [sent.result() for sent in [pool.submit(submit, api, generation, client_result) for api in apis]]
    assert {answer["__typename"] for answer in answers} == {"GenerationPayload"}
    done = follow(cluster.apis[-1], generation, waits["sequence"])[-1]
    assert [block["output"] for block in results(done)] == [{"b": 2}]
    assert len(claude.requests) == 2
    check_continues(cluster.apis[0], claude, generation)

    gate = Gate()
    generation = begin(cluster, claude, uses(("who", {})), says("And so", gate, " on"))
    assert gate.reached.wait(WAIT)
    with cluster.apis[0].socket() as socket:
        seen = list(until_text(socket, generation))
    cluster.kill(0)
    gate.open.set()
    last = follow(cluster.apis[-1], generation)[-1]
    assert (last["__typename"], last["generation"]["message"]["text"]) == ("GenerationCompleted", "And so on")
    assert seen
    saved = cluster.apis[-1].messages(conversation_of(cluster.apis[-1], generation))[1]["content"]
    assert [block["__typename"] for block in saved] == ["ToolUseBlock", "ToolResultBlock", "TextBlock"]
    check_continues(cluster.apis[-1], claude, generation)


@pytest.mark.joined
def test_a_tool_can_be_stopped_on_another_replica(cluster: Cluster, claude: ScriptedClaude, tmp_path: Path) -> None:
    generation = begin(cluster, claude, uses(("hold", {})), says("unused"))
    until_held(cluster.apis[1], generation, tmp_path, 1)
    assert cluster.apis[1].stop(generation)["generation"]["status"] == "STOPPED"
    last = follow(cluster.apis[1], generation)[-1]
    assert (last["__typename"], results(last)[0]["isError"]) == ("GenerationStopped", True)
    check_continues(cluster.apis[0], claude, generation)
