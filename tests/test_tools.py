"""Tools of the server and of the client, and approvals: calls, results, limits, waits and stops."""

import json
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from client import BLOCKS, WAIT, Api, Json, Socket
from conftest import Staged
from media import image
from running import execute, tertulia
from running import settings as make_settings
from scripted import Cut, Gate, says, text, uses

from tertulia import failpoints
from tertulia.db.rows import GenerationRow, MessageRow
from tertulia.db.tables import Status
from tertulia.resolvers import follow as following
from tertulia.resolvers.context import Context
from tertulia.streams.redis import writer

MODULE = "some_tools"
RESULTS = "__typename ... on GenerationPayload { generation { status } } ... on InvalidInput { field } ... on Error { message }"
SUBMIT = f"mutation ($input: SubmitToolResultsInput!) {{ submitToolResults(input: $input) {{ {RESULTS} }} }}"
FOLLOW = f"""
  subscription ($id: ID!, $after: Int) {{ generationEvents(generationId: $id, after: $after) {{
    __typename sequence
    ... on MessageSnapshot {{ message {{ text content {{ {BLOCKS} }} }} generation {{ status }} }}
    ... on ContentBlockStarted {{ index block {{ {BLOCKS} }} }}
    ... on ContentBlockFinished {{ index block {{ {BLOCKS} }} }}
    ... on ToolResultsRequired {{ expiresAt toolUses {{ toolUseId name input }} approvals {{ toolUseId }} }}
    ... on GenerationFailed {{ error {{ code message }} }}
    ... on GenerationCompleted {{ generation {{ stopReason message {{ text content {{ {BLOCKS} }} }} }} }}
    ... on GenerationStopped {{ generation {{ message {{ content {{ {BLOCKS} }} }} }} }}
  }} }}
"""
ENDS = ("GenerationCompleted", "GenerationStopped", "GenerationFailed", "ToolResultsRequired")
CLIENT: Json = {"name": "ask_browser", "description": "Asks the browser.", "inputSchema": {"type": "object"}}


@contextmanager
def served(folder: Path, module: str = MODULE, **more: Any) -> Generator[Api]:
    with tertulia(folder, **({"tools": (module,)} | more)) as address, Api(address) as api:
        yield api


@pytest.fixture
def api(tmp_path: Path, place: Json, monkeypatch: pytest.MonkeyPatch) -> Generator[Api]:
    monkeypatch.chdir(tmp_path)
    with served(tmp_path, **place) as client:
        yield client


def follow(api: Api, generation: str, after: int | None = None) -> list[Json]:
    """Follow an answer until it ends or waits for the client."""
    with api.socket() as socket:
        return list(until(socket, generation, after))


def until(socket: Socket, generation: str, after: int | None = None) -> Generator[Json]:
    socket.subscribe(FOLLOW, {"id": generation, "after": after})
    while True:
        event = socket.receive()["payload"]["data"]["generationEvents"]
        yield event
        if event["__typename"] in ENDS:
            return


def call(*calls: str | tuple[str, Any]) -> str:
    lines = [(item, {}) if isinstance(item, str) else item for item in calls]
    return "\n".join(f"/simulate call {name} {json.dumps(input)}" for name, input in lines)


def answer(api: Api, text: str, **more: Any) -> tuple[str, Json]:
    """Send a message; return the generation and its last event: the terminal one, or `ToolResultsRequired`."""
    sent = api.send(text, **more)
    return sent["generation"]["id"], follow(api, sent["generation"]["id"])[-1]


def submit(api: Api, generation: str, *results: Json) -> Json:
    response: Json = api.ask(SUBMIT, input={"generationId": generation, "results": list(results)})["submitToolResults"]
    return response


def results(event: Json) -> list[Json]:
    """Return the tool results of an ended answer."""
    content = event["generation"]["message"]["content"]
    return [block for block in content if block["__typename"] == "ToolResultBlock"]


@pytest.mark.both
def test_a_function_is_called_and_claude_continues_with_its_result(api: Api) -> None:
    _, done = answer(api, call(("weather", {"place": {"city": "Cadiz"}, "days": 2})))
    content = done["generation"]["message"]["content"]
    assert [block["__typename"] for block in content] == ["ToolUseBlock", "ToolResultBlock", "TextBlock"]
    assert content[0]["input"] == {"place": {"city": "Cadiz"}, "days": 2}
    assert content[1]["output"] == {"city": "Cadiz", "days": 2, "sky": "blue"}
    assert (content[1]["toolUseId"], content[1]["isError"]) == (content[0]["toolUseId"], False)
    assert "Cadiz" in content[2]["text"]
    assert done["generation"]["stopReason"] == "END_TURN"


def test_the_server_lists_its_tools(api: Api) -> None:
    listed = {
        tool["name"]: tool for tool in api.ask("{ tools { name description inputSchema asksFirst source } }")["tools"]
    }
    assert listed["pay"]["asksFirst"] is True
    assert (listed["who"]["asksFirst"], listed["who"]["source"]) == (False, "FUNCTION")
    assert listed["who"]["inputSchema"]["properties"].keys() == {"greeting"}
    assert listed["weather"]["inputSchema"]["properties"]["days"]["description"] == "How many days."
    assert listed["weather"]["description"] == "Return the weather."


def test_a_tool_receives_the_viewer(api: Api) -> None:
    _, done = answer(api, call(("who", {"greeting": "Hi"})))
    assert results(done)[0]["output"] == "Hi, local"


def test_the_calls_of_one_turn_run_concurrently(api: Api) -> None:
    generation, _ = answer(api, call("who", ("weather", {"place": {"city": "Cadiz"}}), "refuse"))
    events = follow(api, generation, 0)
    begun = [
        e["index"]
        for e in events
        if e["__typename"] == "ContentBlockStarted" and e["block"]["__typename"] == "ToolResultBlock"
    ]
    assert begun == [3, 4, 5]
    numbers = [event["sequence"] for event in events]
    assert numbers == sorted(set(numbers))


def test_an_image_of_a_tool_is_stored_as_an_attachment_after_the_result(api: Api) -> None:
    generation, done = answer(api, call("draw"))
    kinds = [block["__typename"] for block in done["generation"]["message"]["content"]]
    assert kinds == ["ToolUseBlock", "ToolResultBlock", "ImageBlock", "TextBlock"]
    # For Claude, the image is part of the result.
    assert "a picture" in done["generation"]["message"]["text"]
    attachment = api.ask(
        "query ($id: ID!) { generation(id: $id) { message { content { ... on ImageBlock { attachment { url mediaType } } } } } }",
        id=generation,
    )["generation"]["message"]["content"][2]["attachment"]
    assert attachment["mediaType"] == "image/png"
    assert api.http.get(attachment["url"]).content == image()
    assert (
        answer(api, "And now?", conversationId=conversation_of(api, generation))[1]["__typename"]
        == "GenerationCompleted"
    )


def conversation_of(api: Api, generation: str) -> str:
    response = api.ask("query ($id: ID!) { generation(id: $id) { conversation { id } } }", id=generation)
    return str(response["generation"]["conversation"]["id"])


FAULTS = {
    "refuse": "Not on Sundays.",
    "crash": "The tool failed (trace id ",
    "hang": "The tool did not finish within 0.2 seconds",
    "hang_in_thread": "The tool did not finish within 0.2 seconds",
    "no_such_tool": "There is no tool with the name 'no_such_tool'.",
}


def test_a_failing_tool_affects_only_its_own_call(api: Api) -> None:
    generation, done = answer(api, call(*FAULTS, ("weather", {"place": 3}), "no_picture", "who", "flood"))
    outputs = results(done)
    for block, error in zip(outputs, FAULTS.values(), strict=False):
        assert (block["isError"], block["output"].startswith(error)) == (True, True), (block, error)
    assert "parsnip" not in json.dumps(done)
    assert "place" in outputs[5]["output"]
    assert outputs[5]["isError"] is True
    assert "A picture was left out" in outputs[6]["output"]
    assert outputs[7]["output"] == "Hello, local"
    assert outputs[8]["isError"] is False
    assert outputs[8]["output"].startswith("x" * 200_000 + "\n[The result was cut: it has 10,000,000 bytes")
    assert (
        answer(api, "And now?", conversationId=conversation_of(api, generation))[1]["__typename"]
        == "GenerationCompleted"
    )


def test_a_tool_is_not_run_with_input_that_is_not_json(api: Api) -> None:
    _, done = answer(api, "/simulate call who this is no json")
    block = results(done)[0]
    assert (block["isError"], block["output"]) == (True, "The input is not a JSON object, so the tool was not called.")


def is_tool_result(event: Json) -> bool:
    return str(event.get("block", {}).get("__typename")) == "ToolResultBlock"


def test_a_running_tool_can_be_stopped(api: Api) -> None:
    sent = api.send(call("wait"))
    generation = sent["generation"]["id"]
    with api.socket() as socket:
        events = until(socket, generation, 0)
        while not is_tool_result(next(events)):
            pass
        assert api.stop(generation)["generation"]["status"] == "STOPPED"
        last = list(events)[-1]
    assert last["__typename"] == "GenerationStopped"
    assert results(last)[0]["isError"] is True
    used = api.ask("{ viewer { toolUsage { name calls failed } } }")["viewer"]["toolUsage"]
    assert used == [{"name": "wait", "calls": 1, "failed": 1}]
    assert answer(api, "And now?", conversationId=sent["conversation"]["id"])[1]["__typename"] == "GenerationCompleted"


def test_a_stop_while_an_answer_begins_to_wait_ends_it(tmp_path: Path) -> None:
    def ask_to_stop(_id: object) -> None:
        # This is what another process does to request a stop.
        with closing(sqlite3.connect(tmp_path / "tertulia.db")) as database, database:
            database.execute("UPDATE generations SET stop_requested = 1")

    with served(tmp_path) as api, failpoints.armed("suspension.save", ask_to_stop):
        _, last = answer(api, call("ask_browser"), conversationId=own(api))
    assert last["__typename"] == "GenerationStopped"
    assert [block["isError"] for block in results(last)] == [True]


def test_tool_results_are_stored_before_the_next_request_to_claude(
    staged: Staged, place: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tertulia.generation.manager.CHECKPOINT_SECONDS", 1_000.0)
    gate = Gate()
    stage = staged(uses(("who", {})), replace(says("Done."), gate=gate), tools=(MODULE,))
    sent = stage.api.send("Who am I?")["generation"]["id"]
    assert gate.reached.wait(WAIT)
    # A process that takes the answer over now reads the result and need not report it to Claude as unknown.
    (stored,) = execute(place, "SELECT content FROM messages WHERE role = 'assistant'")
    assert "Hello, local" in str(stored[0])
    gate.open.set()
    assert stage.api.follow(sent)[-1]["__typename"] == "GenerationCompleted"


def test_rounds_are_limited_and_claude_finishes_with_text(tmp_path: Path) -> None:
    with served(tmp_path, f"{MODULE}:who", tool_rounds=3) as api:
        _, done = answer(api, "/simulate rounds 10")
    outputs = results(done)
    assert [block["isError"] for block in outputs] == [False, False, False]
    assert done["generation"]["message"]["content"][-1]["__typename"] == "TextBlock"


def test_calls_are_limited(tmp_path: Path) -> None:
    with served(tmp_path, f"{MODULE}:who", tool_calls=2) as api:
        _, done = answer(api, call("who", "who", "who"))
    assert {block["output"][:21] for block in results(done)} == {"This answer has reach"}


def own(api: Api, *names: str, server: Sequence[str] | None = ()) -> str:
    client = [CLIENT | {"name": name} for name in names or ("ask_browser",)]
    created = api.ask(
        "mutation ($input: CreateConversationInput!) { createConversation(input: $input) { ... on ConversationPayload { conversation { id } } ... on Error { message } } }",
        input={"tools": {"client": client, "server": None if server is None else list(server)}},
    )["createConversation"]
    return str(created["conversation"]["id"])


def test_17_a_follower_that_joins_while_a_wait_begins_gets_the_event(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    generation, _ = answer(api, call("ask_browser"), conversationId=own(api))
    read_owned = following._owned_rows

    async def before_it_waited(context: Context, wanted: str) -> tuple[GenerationRow, MessageRow]:
        row, message = await read_owned(context, wanted)
        return row._replace(status=Status.RUNNING), message

    monkeypatch.setattr(following, "_owned_rows", before_it_waited)
    with api.socket() as socket:
        socket.subscribe(FOLLOW, {"id": generation})
        events = [socket.receive()["payload"]["data"]["generationEvents"]["__typename"] for _ in range(2)]
    assert events == ["MessageSnapshot", "ToolResultsRequired"]


def test_complete_calls_of_a_response_that_breaks_off_are_run_before_claude_is_asked_again(staged: Staged) -> None:
    broken = uses(("who", {}))
    broken.pieces[-2:] = [*text("And ", index=1)[:-1], Cut]
    stage = staged(broken, says("Done."), tools=(MODULE,))
    _, done = answer(stage.api, "Go")
    assert [block["__typename"] for block in done["generation"]["message"]["content"]] == [
        "ToolUseBlock", "TextBlock", "ToolResultBlock", "TextBlock",
    ]  # fmt: skip
    sent = stage.claude.requests[1]["messages"][1:]
    assert [[block["type"] for block in message["content"]] for message in sent] == [
        ["tool_use", "text"],
        ["tool_result"],
    ]


@pytest.mark.both
def test_17_an_answer_waits_for_the_clients_tool_and_continues_in_the_same_stream(api: Api) -> None:
    conversation = own(api)
    generation, waits = answer(api, call(("ask_browser", {"what": "title"})), conversationId=conversation)
    assert waits["__typename"] == "ToolResultsRequired"
    use = waits["toolUses"][0]
    assert (use["name"], use["input"], waits["approvals"]) == ("ask_browser", {"what": "title"}, [])
    status = api.ask("query ($id: ID!) { generation(id: $id) { status stopReason } }", id=generation)["generation"]
    assert status == {"status": "AWAITING_TOOL_RESULTS", "stopReason": "TOOL_USE"}
    again = follow(api, generation)
    assert [event["__typename"] for event in again] == ["MessageSnapshot", "ToolResultsRequired"]
    assert (again[0]["sequence"], again[1]) == (waits["sequence"] - 1, waits)
    with api.socket() as socket:
        events = until(socket, generation, waits["sequence"])
        done = submit(api, generation, {"toolUseId": use["toolUseId"], "output": {"title": "A page"}})
        assert done == {"__typename": "GenerationPayload", "generation": {"status": "RUNNING"}}
        continued = list(events)
    assert continued[0]["sequence"] == waits["sequence"] + 1
    assert continued[-1]["__typename"] == "GenerationCompleted"
    assert results(continued[-1])[0]["output"] == {"title": "A page"}
    assert "A page" in continued[-1]["generation"]["message"]["text"]
    assert submit(api, generation, {"toolUseId": use["toolUseId"], "output": {"title": "A page"}}) == {
        "__typename": "GenerationPayload", "generation": {"status": "COMPLETED"},
    }  # fmt: skip
    other = submit(api, generation, {"toolUseId": use["toolUseId"], "output": "Something else"})
    assert (other["__typename"], other["field"]) == ("InvalidInput", "results[0].toolUseId")
    assert [block["__typename"] for block in api.messages(conversation)[1]["content"]].count("ToolResultBlock") == 1


@pytest.mark.both
def test_17_a_follower_gets_every_event_after_results_that_were_submitted_at_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "INTERVAL", 0.3)  # so that a submission arrives long before the next write to Redis
    generation = api.send(call("ask_browser"), conversationId=own(api))["generation"]["id"]
    with api.socket() as socket:
        socket.subscribe(FOLLOW, {"id": generation, "after": 0})
        events: list[Json] = []
        while not events or events[-1]["__typename"] not in ENDS[:3]:
            events.append(socket.receive()["payload"]["data"]["generationEvents"])
            if events[-1]["__typename"] == "ToolResultsRequired":
                submit(api, generation, {"toolUseId": events[-1]["toolUses"][0]["toolUseId"], "output": "A page"})
    types = [event["__typename"] for event in events]
    assert "MessageSnapshot" not in types
    assert types.index("ToolResultsRequired") < types.index("GenerationCompleted")


def test_an_answer_waits_for_all_of_its_calls(api: Api) -> None:
    conversation = own(api, "left", "right", server=["who"])
    generation, waits = answer(api, call("left", "who", "right"), conversationId=conversation)
    left, right = waits["toolUses"]
    assert submit(api, generation, {"toolUseId": right["toolUseId"], "output": None, "isError": True})[
        "generation"
    ] == {"status": "AWAITING_TOOL_RESULTS"}
    assert follow(api, generation)[-1]["toolUses"] == [left, right]
    submit(api, generation, {"toolUseId": left["toolUseId"], "output": "here"})
    done = follow(api, generation)[-1]
    assert [(block["output"], block["isError"]) for block in results(done)] == [
        ("Hello, local", False), ("here", False), ("(no output)", True),
    ]  # fmt: skip


@pytest.mark.both
def test_a_tool_that_requires_approval_runs_only_if_approved(api: Api, tmp_path: Path) -> None:
    conversation = ""
    for approved, output in ((False, "The user denied this call. Too dear."), (True, "Paid 7.")):
        generation, waits = answer(api, call(("pay", {"amount": 7})), conversationId=conversation or None)
        conversation = conversation_of(api, generation)
        use = waits["toolUses"][0]["toolUseId"]
        assert waits["approvals"] == [{"toolUseId": use}]
        assert not (tmp_path / "paid.txt").exists()
        reason = {} if approved else {"output": "Too dear."}
        submit(api, generation, {"toolUseId": use, "approved": approved, **reason})
        done = follow(api, generation)[-1]
        assert (results(done)[0]["output"], results(done)[0]["isError"]) == (output, not approved)
    assert (tmp_path / "paid.txt").read_text() == "7\n"


@pytest.mark.parametrize(
    ("result", "field"),
    [
        ({"toolUseId": "toolu_nonsense", "output": 1}, "results[0].toolUseId"),
        ({"output": 1}, "results[0].approved"),
        ({"approved": True, "output": "done"}, "results[0].output"),
        ({"approved": False, "output": {"why": 1}}, "results[0].output"),
    ],
)
def test_an_invalid_result_is_refused_and_changes_nothing(api: Api, result: Json, field: str) -> None:
    generation, waits = answer(api, call(("pay", {"amount": 1})))
    refused = submit(api, generation, {"toolUseId": waits["toolUses"][0]["toolUseId"]} | result)
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", field)
    assert follow(api, generation)[-1]["__typename"] == "ToolResultsRequired"


def test_a_client_tool_accepts_no_approval_and_no_huge_output(api: Api) -> None:
    generation, waits = answer(api, call("ask_browser"), conversationId=own(api))
    use = {"toolUseId": waits["toolUses"][0]["toolUseId"]}
    assert submit(api, generation, use | {"approved": True})["field"] == "results[0].approved"
    assert submit(api, generation, use | {"output": "x" * 200_000})["field"] == "results[0].output"
    assert submit(api, generation)["field"] == "results"
    assert submit(api, str(uuid4()), use)["__typename"] == "NotFound"


def test_a_new_message_ends_a_waiting_answer(api: Api) -> None:
    conversation = own(api)
    generation, waits = answer(api, call("ask_browser"), conversationId=conversation)
    _, done = answer(api, "Never mind", conversationId=conversation)
    assert done["__typename"] == "GenerationCompleted"
    first = api.messages(conversation)[1]
    assert first["generation"]["status"] == "STOPPED"
    assert first["content"][1]["isError"] is True
    late = submit(api, generation, {"toolUseId": waits["toolUses"][0]["toolUseId"], "output": 1})
    assert (late["__typename"], late["field"]) == ("InvalidInput", "generationId")


@pytest.mark.both
def test_18_a_wait_that_times_out_fails_and_the_conversation_can_be_continued(tmp_path: Path, place: Json) -> None:
    with served(tmp_path, **place, tool_results_seconds=0.3, lease_seconds=1) as api:
        conversation = own(api)
        generation, waits = answer(api, call("ask_browser"), conversationId=conversation)
        with api.socket() as socket:
            last = list(until(socket, generation, waits["sequence"]))[-1]
        assert (last["__typename"], last["error"]["code"]) == ("GenerationFailed", "TIMEOUT")
        late = submit(api, generation, {"toolUseId": waits["toolUses"][0]["toolUseId"], "output": 1})
        assert (late["__typename"], late["field"]) == ("InvalidInput", "generationId")
        assert answer(api, "And now?", conversationId=conversation)[1]["__typename"] == "GenerationCompleted"


@pytest.mark.both
def test_a_waiting_answer_survives_a_restart(tmp_path: Path, place: Json) -> None:
    with served(tmp_path, **place) as api:
        generation, waits = answer(api, call("ask_browser"), conversationId=own(api))
    with served(tmp_path, **place) as api:
        again = follow(api, generation)
        assert (again[0]["__typename"], again[1]) == ("MessageSnapshot", waits)
        submit(api, generation, {"toolUseId": waits["toolUses"][0]["toolUseId"], "output": "after all"})
        done = follow(api, generation)[-1]
        assert results(done)[0]["output"] == "after all"


def test_a_conversation_selects_its_tools(api: Api) -> None:
    query = "query ($id: ID!) { conversation(id: $id) { tools { server client { name inputSchema } } } }"
    conversation = own(api, server=["w*"])
    expected = {"server": ["w*"], "client": [{"name": "ask_browser", "inputSchema": {"type": "object"}}]}
    assert api.ask(query, id=conversation)["conversation"]["tools"] == expected
    _, done = answer(api, call("who", "refuse"), conversationId=conversation)
    assert [block["output"] for block in results(done)] == ["Hello, local", "There is no tool with the name 'refuse'."]
    changed = api.ask(
        "mutation ($input: UpdateConversationInput!) { updateConversation(input: $input) { __typename } }",
        input={"id": conversation, "tools": None},
    )
    assert changed["updateConversation"]["__typename"] == "ConversationPayload"
    assert api.ask(query, id=conversation)["conversation"]["tools"] == {"server": None, "client": []}
    assert answer(api, call("refuse"), conversationId=conversation)[1]["__typename"] == "GenerationCompleted"


@pytest.mark.parametrize(
    ("tools", "field"),
    [
        ({"server": ["no_such_tool"]}, "tools.server[0]"),
        ({"server": ["a b"]}, "tools.server[0]"),
        ({"client": [CLIENT | {"name": "a b"}]}, "tools.client[0].name"),
        ({"client": [CLIENT | {"name": "who"}]}, "tools.client[0].name"),
        ({"client": [CLIENT | {"description": " "}]}, "tools.client[0].description"),
        ({"client": [CLIENT | {"inputSchema": {"type": "string"}}]}, "tools.client[0].inputSchema"),
        ({"client": [CLIENT | {"inputSchema": {"type": "object", "properties": 3}}]}, "tools.client[0].inputSchema"),
        (
            {"client": [CLIENT | {"inputSchema": {"type": "object", "properties": {"a b": {}}}}]},
            "tools.client[0].inputSchema",
        ),
        ({"client": [CLIENT, CLIENT]}, "tools.client"),
    ],
)
def test_invalid_tools_are_refused_with_their_field(api: Api, tools: Json, field: str) -> None:
    refused = api.try_send("Hello", tools=tools)
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", field)


def test_tool_calls_are_counted_in_the_usage(api: Api) -> None:
    answer(api, call("who", "refuse", "who"))
    used = api.ask("{ viewer { toolUsage { name calls failed } usage { outputTokens } } }")["viewer"]
    assert used["toolUsage"] == [{"name": "refuse", "calls": 1, "failed": 1}, {"name": "who", "calls": 2, "failed": 0}]


def test_tests_have_no_tools_by_default(tmp_path: Path) -> None:
    assert make_settings(tmp_path).tools == ()
