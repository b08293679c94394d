"""Steering: a message that is put between two rounds of tools of a running answer (rules 22 and 23 of PROTOCOL.md)."""

from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import test_tool_faults
from client import WAIT, Api, Json, Socket
from conftest import EMBEDDED, SECRET, Stage, Staged
from running import tertulia
from scripted import Gate, Reply, ScriptedClaude, says, scripted, uses
from test_branches import edit
from test_faults import Cluster
from test_freezes import FROZEN, LEASE, Freeze
from test_tool_faults import until_held
from test_tools import CLIENT, conversation_of, submit

from tertulia import failpoints

SERVER_TOOLS = {"tools": ("some_tools",)}
FOLLOW = """
  subscription ($id: ID!, $after: Int) { generationEvents(generationId: $id, after: $after) {
    __typename sequence
    ... on MessageSnapshot { reason message { text } generation { status steered } }
    ... on GenerationSteered { steeredBy { id message { parent { id text } } } }
    ... on GenerationStopped { generation { status stopReason steered } }
    ... on GenerationCompleted { generation { status steered message { text } } }
  } }
"""
ENDS = ("GenerationCompleted", "GenerationStopped", "GenerationFailed")


def follow(api: Api, generation: str, after: int | None = 0) -> list[Json]:
    """Follow an answer to its end, by default from its first event."""
    with api.socket() as socket:
        return list(_until_end(socket, generation, after))


def _until_end(socket: Socket, generation: str, after: int | None) -> Generator[Json]:
    socket.subscribe(FOLLOW, {"id": generation, "after": after})
    while True:
        event = socket.receive()["payload"]["data"]["generationEvents"]
        yield event
        if event["__typename"] in ENDS:
            return


def calls(gate: Gate, name: str = "who") -> Reply:
    """Return an answer that calls a tool, and that waits at a gate before the call is complete."""
    reply = uses((name, {}))
    reply.pieces.insert(-2, gate)
    return reply


def steer(api: Api, sent: Json, text: str = "Be brief", **more: Any) -> Json:
    return api.send(text, conversationId=sent["conversation"]["id"], whenBusy="STEER", **more)


def begin(stage: Stage, gate: Gate) -> Json:
    """Send a message, and return when Claude waits at the gate."""
    sent = stage.api.send("Look into it")
    assert gate.reached.wait(WAIT)
    return sent


def last_kinds(api: Api, generation: str) -> list[str]:
    return [event["__typename"] for event in follow(api, generation)[-2:]]


def words(message: Json) -> list[Any]:
    """Return the types of the blocks of a message to Claude, with the text of text blocks."""
    return [block["text"] if block["type"] == "text" else block["type"] for block in message["content"]]


@pytest.mark.both
def test_22_a_steering_message_is_put_between_two_rounds_of_tools(staged: Staged) -> None:
    gate = Gate()
    stage = staged(calls(gate), says("Briefly."), says("You are welcome."), **SERVER_TOOLS)
    running = begin(stage, gate)
    key = str(uuid4())
    steering = steer(stage.api, running, idempotencyKey=key)
    assert steering["generation"]["status"] == "QUEUED"
    gate.open.set()

    events = follow(stage.api, running["generation"]["id"])
    assert [event["sequence"] for event in events] == [*range(1, len(events) + 1)]
    steered, stopped = events[-2:]
    assert steered["steeredBy"] == {
        "id": steering["generation"]["id"],
        "message": {"parent": {"id": steering["userMessage"]["id"], "text": "Be brief"}},
    }
    assert stopped["generation"] == {"status": "STOPPED", "stopReason": "TOOL_USE", "steered": True}
    answered = follow(stage.api, steering["generation"]["id"])[-1]["generation"]
    assert answered == {"status": "COMPLETED", "steered": False, "message": {"text": "Briefly."}}

    # Claude reads the message in the same turn as the results, now and in each later request.
    first, second = (request["messages"] for request in stage.claude.requests)
    assert second[: len(first)] == first
    assert [message["role"] for message in second] == ["user", "assistant", "user"]
    assert words(second[-1]) == ["tool_result", "Be brief"]
    stage.api.answer("Thank you", conversationId=running["conversation"]["id"])
    third = stage.claude.requests[-1]["messages"]
    assert third[: len(second)] == second

    replayed = steer(stage.api, running, idempotencyKey=key)
    assert replayed["replayed"] is True
    assert all(replayed[part]["id"] == steering[part]["id"] for part in ("userMessage", "generation"))
    texts = [message["text"] for message in stage.api.messages(running["conversation"]["id"])]
    assert texts == ["Look into it", "", "Be brief", "Briefly.", "Thank you", "You are welcome."]
    assert len(stage.claude.requests) == 3


@pytest.mark.both
def test_22_a_client_that_resumes_receives_the_steering_event_once(staged: Staged) -> None:
    gate = Gate()
    stage = staged(calls(gate), says("Briefly."), **SERVER_TOOLS)
    running = begin(stage, gate)
    steer(stage.api, running)
    gate.open.set()
    whole = follow(stage.api, running["generation"]["id"])
    for seen in whole[:-1]:
        later = [event for event in whole if event["sequence"] > seen["sequence"]]
        assert follow(stage.api, running["generation"]["id"], seen["sequence"]) == later
    snapshot, end = follow(stage.api, running["generation"]["id"], None)
    assert (snapshot["sequence"], snapshot["generation"]) == (len(whole) - 1, {"status": "STOPPED", "steered": True})
    assert end == whole[-1]


def test_22_messages_that_steer_are_taken_in_the_order_of_arrival(staged: Staged) -> None:
    first, second = Gate(), Gate()
    stage = staged(calls(first), calls(second), says("Both."), **SERVER_TOOLS)
    running = begin(stage, first)
    steering = [steer(stage.api, running, text)["generation"]["id"] for text in ("One", "Two")]
    first.open.set()
    assert second.reached.wait(WAIT)
    second.open.set()
    assert follow(stage.api, steering[1])[-1]["generation"]["message"]["text"] == "Both."
    assert [last_kinds(stage.api, id) for id in (running["generation"]["id"], steering[0])] == [
        ["GenerationSteered", "GenerationStopped"]
    ] * 2
    last = stage.claude.requests[-1]["messages"]
    assert [words(message) for message in last if message["role"] == "user"] == [
        ["Look into it"], ["tool_result", "One"], ["tool_result", "Two"]
    ]  # fmt: skip


def test_23_without_another_round_the_message_is_answered_next(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says("one", gate), says("two"), **SERVER_TOOLS)
    running = begin(stage, gate)
    steering = steer(stage.api, running)["generation"]["id"]
    gate.open.set()
    completed = follow(stage.api, running["generation"]["id"])
    assert completed[-1]["generation"] == {"status": "COMPLETED", "steered": False, "message": {"text": "one"}}
    assert "GenerationSteered" not in [event["__typename"] for event in completed]
    assert follow(stage.api, steering)[-1]["generation"]["message"]["text"] == "two"
    # Nothing is being answered now, so there is nothing to wait for.
    assert steer(stage.api, running, "Again")["generation"]["status"] == "RUNNING"


@pytest.mark.both
def test_23_a_stopped_answer_is_not_steered_and_the_message_is_answered_next(staged: Staged) -> None:
    gate = Gate()
    stage = staged(uses(("wait", {})), says("Briefly."), **SERVER_TOOLS)
    stage.claude.replies[0].gate = gate
    running = begin(stage, gate)
    steering = steer(stage.api, running)["generation"]["id"]
    gate.open.set()
    with stage.api.socket() as socket:
        for event in _until_end(socket, running["generation"]["id"], 0):
            if event["sequence"] == 5:  # the start of the result: the tool runs
                break
    assert stage.api.stop(running["generation"]["id"])["generation"]["status"] == "STOPPED"
    events = follow(stage.api, running["generation"]["id"])
    assert "GenerationSteered" not in [event["__typename"] for event in events]
    assert events[-1]["generation"]["steered"] is False
    assert follow(stage.api, steering)[-1]["generation"]["message"]["text"] == "Briefly."
    assert words(stage.claude.requests[-1]["messages"][-1]) == ["tool_result", "Be brief"]


def test_23_a_stopped_message_steers_nothing(staged: Staged) -> None:
    gate = Gate()
    stage = staged(calls(gate), says("As you wished."), **SERVER_TOOLS)
    running = begin(stage, gate)
    assert stage.api.stop(steer(stage.api, running)["generation"]["id"])["generation"]["status"] == "STOPPED"
    gate.open.set()
    assert follow(stage.api, running["generation"]["id"])[-1]["generation"] == {
        "status": "COMPLETED", "steered": False, "message": {"text": "As you wished."}
    }  # fmt: skip
    assert words(stage.claude.requests[-1]["messages"][-1]) == ["tool_result"]


def test_22_a_message_steers_an_answer_that_waits_for_the_client_once_its_results_are_submitted(
    staged: Staged,
) -> None:
    stage = staged(uses((CLIENT["name"], {})), says("Briefly."))
    running = stage.api.send("Look", tools={"client": [CLIENT]})
    id = running["generation"]["id"]
    with stage.api.socket() as socket:
        waiting = next(event for event in socket.events(id) if event["__typename"] == "ToolResultsRequired")
    steering = steer(stage.api, running)["generation"]["id"]
    use = stage.api.messages(running["conversation"]["id"])[1]["content"][0]["toolUseId"]
    assert submit(stage.api, id, {"toolUseId": use, "output": "seen"})["__typename"] == "GenerationPayload"
    assert [event["__typename"] for event in follow(stage.api, id, waiting["sequence"])[-2:]] == [
        "GenerationSteered",
        "GenerationStopped",
    ]
    assert follow(stage.api, steering)[-1]["generation"]["message"]["text"] == "Briefly."
    assert words(stage.claude.requests[-1]["messages"][-1]) == ["tool_result", "Be brief"]


def test_23_a_message_that_waits_for_another_branch_does_not_steer_it(staged: Staged) -> None:
    gates = [Gate() for _ in range(4)]
    stage = staged(*(calls(gate) for gate in gates), says("done"), **SERVER_TOOLS)
    running = [begin(stage, gates[0])]
    for gate in gates[1:]:
        running.append(edit(stage.api, running[0]["userMessage"]["id"], "Look there"))
        assert gate.reached.wait(WAIT)
    waiting = edit(stage.api, running[0]["userMessage"]["id"], "Look elsewhere", whenBusy="STEER")
    assert waiting["generation"]["status"] == "QUEUED"
    for gate in gates:
        gate.open.set()
    ids = [sent["generation"]["id"] for sent in (*running, waiting)]
    assert [follow(stage.api, id)[-1]["generation"]["steered"] for id in ids] == [False] * 5


def test_a_steered_answer_is_exported_and_imported_without_loss(staged: Staged, tmp_path: Path) -> None:
    gate = Gate()
    stage = staged(calls(gate), says("Briefly."), **SERVER_TOOLS)
    running = begin(stage, gate)
    steering = steer(stage.api, running)["generation"]["id"]
    gate.open.set()
    follow(stage.api, steering)
    exported = stage.api.http.get("/export").content
    with tertulia(tmp_path / "other", **stage.keyed) as address, Api(address) as other:
        other.http.post("/import", files={"file": ("export.jsonl", exported)}).raise_for_status()
        query = "{ conversations { edges { node { messages { edges { node { text generation { steered } } } } } } } }"
        assert other.ask(query) == stage.api.ask(query)
        assert '"steered": true' in other.http.get("/export").text


# ---- processes that are lost ------------------------------------------------------------------------------------------


claude, cluster = test_tool_faults.claude, test_tool_faults.cluster


@pytest.mark.both
def test_23_a_message_is_put_in_once_when_the_process_is_killed_after_storing_it(
    cluster: Cluster, claude: ScriptedClaude, tmp_path: Path
) -> None:
    claude.replies[:] = [uses(("hold", {})), says("Briefly.")]
    running = cluster.apis[0].send("Look into it")
    until_held(cluster.apis[0], running["generation"]["id"], tmp_path, 1)
    key = str(uuid4())
    steering = steer(cluster.apis[-1], running, idempotencyKey=key)
    cluster.kill(0)
    for api in cluster.apis:
        assert follow(api, steering["generation"]["id"])[-1]["generation"]["message"]["text"] == "Briefly."
        assert last_kinds(api, running["generation"]["id"]) == ["GenerationSteered", "GenerationStopped"]
        assert steer(api, running, idempotencyKey=key)["generation"]["id"] == steering["generation"]["id"]
    assert [words(request["messages"][-1]) for request in claude.requests] == [
        ["Look into it"],
        ["tool_result", "Be brief"],
    ]
    assert len(cluster.apis[0].messages(conversation_of(cluster.apis[0], running["generation"]["id"]))) == 4


@pytest.fixture(scope="module")
def pair(
    setup: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[tuple[ScriptedClaude, list[Api]]]:
    """Two servers on one storage, with short leases."""
    folder = tmp_path_factory.mktemp("pair")
    place = {} if setup == EMBEDDED else request.getfixturevalue("servers").settings()
    with ExitStack() as stack:
        scripted_claude = stack.enter_context(scripted(says("unused")))
        keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": scripted_claude.address, "lease_seconds": LEASE}
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr("tertulia.generation.manager.CHECKPOINT_SECONDS", LEASE / 4)
        for module in ("memory", "redis.reader"):
            patch.setattr(f"tertulia.streams.{module}.SILENCE", 1.0)
        addresses = [stack.enter_context(tertulia(folder, **place, **keyed, **SERVER_TOOLS)) for _ in range(2)]
        yield scripted_claude, [stack.enter_context(Api(address)) for address in addresses]


@pytest.mark.both
@pytest.mark.parametrize("step", ["rounds.settle", "end.begin", "end.saved"])
def test_23_a_message_is_put_in_once_when_the_process_freezes(
    pair: tuple[ScriptedClaude, list[Api]], step: str
) -> None:
    claude, (first, second) = pair
    gate, freeze = Gate(), Freeze(FROZEN)
    claude.requests.clear()
    claude.replies[:] = [calls(gate), says("Briefly.")]
    running = first.send("Look into it")
    assert gate.reached.wait(WAIT)
    steering = steer(second, running)["generation"]["id"]
    with failpoints.armed(step, freeze):
        gate.open.set()
        assert freeze.over.wait(WAIT)
    for api in (second, first):
        assert follow(api, steering)[-1]["generation"]["message"]["text"] == "Briefly."
        end = follow(api, running["generation"]["id"])[-1]
        assert (end["__typename"], end["generation"]["steered"]) == ("GenerationStopped", True)
    assert [words(request["messages"][-1]) for request in claude.requests] == [
        ["Look into it"],
        ["tool_result", "Be brief"],
    ]
    events = follow(first, running["generation"]["id"])
    assert len({event["sequence"] for event in events}) == len(events)
