"""AG-UI at `/ag-ui`: the stock client, runs that are cut and continued, refused inputs, and the pure conversions."""

import base64
import json
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from client import REJECTED, WAIT, Api, Json
from conftest import Staged
from media import image
from npm import run
from running import tertulia
from scripted import START, Gate, Reply, begin, delta, end, finish, says, text, uses

from tertulia.server.http.agui.messages import INCOMPLETE, NO_RESULT, of_answer
from tertulia.server.http.agui.projection import Projection
from tertulia.server.http.agui.routes import MAX_BODY
from tertulia.streams import events as stream_events
from tertulia.streams.events import GenerationEvent, fold

TEXT = ["TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END"]
THOUGHT = ["REASONING_MESSAGE_START", "REASONING_MESSAGE_CONTENT", "REASONING_MESSAGE_END"]
CALL = ["TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END"]
DELTAS = {"TEXT_MESSAGE_CONTENT": "messageId", "REASONING_MESSAGE_CONTENT": "messageId", "TOOL_CALL_ARGS": "toolCallId"}


def framed(*kinds: str) -> list[str]:
    return ["RUN_STARTED", *kinds, "RUN_FINISHED"]


# ---- the stock client


@pytest.mark.needs("node", "tests/node", "node_modules")
def test_the_stock_client_holds_conversations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its verifier checks the order of all events, and the program validates each with AG-UI's schemas."""
    monkeypatch.chdir(tmp_path)
    with tertulia(tmp_path, simulator_pace=0.1, tools=("some_tools:pay", "some_tools:weather")) as address:
        report = run("ag_ui.mjs", address, base64.b64encode(image()).decode())
    assert report["warnings"] == ["Agent execution failed: TypeError: fetch failed"]
    turns = report["turns"]
    assert (turns["kinds"], turns["outcome"]) == (framed(*TEXT), {"type": "success"})
    assert (turns["answer"], turns["systemPrompt"]) == ("Your name is Ada.", "Be kind.")
    assert turns["context"] == {"context": [{"description": "The page", "value": "still a test"}]}
    assert float(turns["cost"]) > 0
    thinking = report["thinking"]
    assert thinking["kinds"] == framed("REASONING_START", *THOUGHT, "REASONING_END", *TEXT)
    assert (thinking["roles"], thinking["restored"]) == (["user", "reasoning", "assistant"], "RUN_FINISHED")
    server = report["server"]
    assert (server["kinds"], server["restored"]) == (framed(*CALL, "TOOL_CALL_RESULT", *TEXT), "RUN_FINISHED")
    called, result, answer = server["messages"]
    assert [(call["name"], call["input"]) for call in called["toolCalls"]] == [
        ("weather", {"place": {"city": "Cadiz"}})
    ]
    assert json.loads(result["content"]) == {"city": "Cadiz", "days": 1, "sky": "blue"}
    assert "Cadiz" in answer["content"]
    check_waits(report)
    check_ends(report)


def check_waits(report: Json) -> None:
    own, mixed = report["own"], report["mixed"]
    assert (own["pending"], own["kinds"], own["answer"]) == (1, framed(*TEXT), 'The tool returned: "Firefox".')
    assert own["roles"] == ["user", "assistant", "tool", "assistant"]
    assert own["used"] == own["billed"] > 0
    assert (mixed["outcomes"], mixed["restored"]) == (["interrupt", "success", "success"], True)
    assert mixed["message"] == 'Allow Claude to call pay with {"amount":4}?'
    assert sorted(mixed["results"]) == ["Firefox", "Paid 4.", "The user denied this call."]
    assert all(result in mixed["answer"] for result in mixed["results"])
    assert Path("paid.txt").read_text() == "4\n"


def check_ends(report: Json) -> None:
    stopped, left, continued = report["stopped"], report["left"], report["continued"]
    assert stopped == {"outcome": {"type": "cancelled"}, "stored": "STOPPED", "same": True}
    assert (left["texts"], left["status"], left["more"]) == ([True, True], "COMPLETED", [])
    assert (left["roles"], left["text"].startswith(left["partial"])) == (["user", "assistant"], True)
    assert report["unheard"] == {"failed": "fetch failed", "before": [1, 1], "after": [1, 2]}
    assert report["broken"] == {"type": "RUN_ERROR", "code": "INVALID_REQUEST", "message": REJECTED}
    declined = report["declined"]
    assert declined["custom"]["name"] == "refusal"
    assert (declined["result"], declined["restored"]) == ({"stopReason": "refusal"}, "RUN_FINISHED")
    assert continued == {"names": ["continued"], "same": True, "restored": "RUN_FINISHED"}
    assert report["picture"] == {"blocks": ["ImageBlock", "TextBlock"], "type": "image/png"}
    cut = report["cut"]
    assert cut["kinds"] == framed("REASONING_START", *THOUGHT, "REASONING_END", *TEXT)
    assert (cut["requests"] > 2, cut["same"], cut["restored"]) == (True, True, "RUN_FINISHED")
    assert report["connected"] == ["user", "assistant"]
    assert report["nothing"] == ["RUN_STARTED", "RUN_FINISHED"]


# ---- runs over HTTP


def asks(content: str, id: str = "u1") -> Json:
    return {"id": id, "role": "user", "content": content}


def body(*messages: Json, thread: str = "t", run: str | None = None, **more: Any) -> Json:
    return {"threadId": thread, "runId": run or str(uuid4()), "messages": messages, **more}


def post(api: Api, input: Json, last_id: str | None = None) -> Any:
    return api.http.post("/ag-ui", json=input, headers={"Last-Event-ID": last_id} if last_id else {})


def frames(response: Any) -> list[tuple[str, Json]]:
    """Return the ids and the events of a response."""
    assert response.status_code == 200, response.text
    blocks = [block.split("\n") for block in response.text.strip().split("\n\n")]
    return [(block[0].removeprefix("id: "), json.loads(block[-1].removeprefix("data: "))) for block in blocks]


def joined(events: Sequence[Json]) -> list[Json]:
    """Return the events with neighboring deltas of one message or call as one event."""
    whole: list[Json] = []
    for event in events:
        key, last = DELTAS.get(event["type"]), whole[-1] if whole else {}
        if key is not None and last.get("type") == event["type"] and last[key] == event[key]:
            whole[-1] = {**last, "delta": last["delta"] + event["delta"]}
        else:
            whole.append(event)
    return whole


@pytest.mark.both
def test_a_run_that_is_cut_at_any_event_continues_after_it(staged: Staged) -> None:
    thought = [
        begin(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="Hm "),
        finish(0),
    ]
    called = begin(2, type="tool_use", id="toolu_1", name="weather", input={})
    halves = ['{"place": {"city": ', '"Cadiz"}}']
    inputs = [delta(2, "input_json_delta", partial_json=half) for half in halves]
    call = [START, *thought, *text("Hé ", "👋 ", index=1), called, *inputs, finish(2), *end("tool_use")]
    cut = Reply([START, *text("It is ")[:-1], {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}])
    stage = staged(Reply(call), cut, says("blue"), tools=("some_tools:weather",), retry_seconds=0.0)
    input = body(asks("What is the weather?"))
    whole = frames(post(stage.api, input))
    kinds = [event["type"] for event in joined([event for _, event in whole])]
    assert kinds == framed(
        "REASONING_START", *THOUGHT, "REASONING_END", *TEXT, *CALL, "TOOL_CALL_RESULT",
        *TEXT[:2], "CUSTOM", *TEXT[1:],
    )  # fmt: skip
    asked = len(stage.claude.requests)
    for number, (id, _) in enumerate(whole[:-1]):
        rest = frames(post(stage.api, input, id))
        spliced = [event for _, event in [*whole[: number + 1], *rest]]
        assert joined(spliced) == joined([event for _, event in whole]), id
        assert rest[-1] == whole[-1]
    assert post(stage.api, input, whole[-1][0]).status_code == 204
    assert len(stage.claude.requests) == asked


def test_a_repeated_run_follows_its_answer_from_a_snapshot(staged: Staged) -> None:
    gate = Gate()
    stage = staged(Reply([START, *text("one ", gate, "two"), *end()]))
    input = body(asks("Hello"), run="r")
    with stage.api.http.stream("POST", "/ag-ui", json=input) as response:
        assert any("one " in line for line in response.iter_lines())
    gate.open.set()
    _, snapshot, *rest = [event for _, event in frames(post(stage.api, input))]
    question, answer = snapshot["messages"]
    assert (question, answer["role"]) == (asks("Hello"), "assistant")
    later = "".join(event["delta"] for event in rest if event["type"] == "TEXT_MESSAGE_CONTENT")
    assert answer["content"] + later == "one two"
    assert rest[-1]["outcome"] == {"type": "success"}
    # Also when the client's messages have grown meanwhile.
    again = frames(post(stage.api, body(asks("Hello"), {**answer, "content": "one "}, run="r")))
    assert [event["type"] for _, event in again] == framed("MESSAGES_SNAPSHOT")
    assert len(stage.claude.requests) == 1


def test_runs_with_one_id_at_the_same_time_start_one_answer(staged: Staged) -> None:
    stage = staged(says("one two"))
    input = body(asks("Hello"))
    with ThreadPoolExecutor() as pool:
        runs = [frames(response) for response in pool.map(partial(post, stage.api), [input] * 4)]
    assert len(stage.claude.requests) == 1
    assert {run[0][0].partition(":")[0] for run in runs} == {runs[0][0][0].partition(":")[0]}
    assert [run[-1][1]["outcome"]["type"] for run in runs] == ["success"] * 4


def test_a_thread_is_a_conversation_by_its_external_id_or_its_id(staged: Staged) -> None:
    api = staged(says("one")).api
    started = frames(post(api, body(asks("Hello"), thread="mine")))[0][1]
    id = started["metadata"]["tertulia"]["conversationId"]
    post(api, body(asks("And?", "u2"), thread=id))
    found = api.ask('{ conversation(externalId: "mine") { id messages { edges { node { text metadata } } } } }')
    nodes = [edge["node"] for edge in found["conversation"]["messages"]["edges"]]
    assert (found["conversation"]["id"], [node["text"] for node in nodes]) == (id, ["Hello", "one", "And?", "one"])
    assert nodes[2]["metadata"] == {"ag-ui": {"id": "u2"}}


def test_events_that_are_no_longer_stored_are_refused(tmp_path: Path) -> None:
    input = body(asks("Hello"))
    with tertulia(tmp_path) as address, Api(address) as api:
        ids = [id for id, _ in frames(post(api, input))]
    # A restart without Redis forgets the events of answers that have ended.
    with tertulia(tmp_path) as address, Api(address) as api:
        refused = post(api, input, ids[2])
        assert (refused.status_code, refused.json()["error"]["code"]) == (410, "EVENTS_EXPIRED")
        assert [event["type"] for _, event in frames(post(api, input))] == framed("MESSAGES_SNAPSHOT")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    """A server whose clients may set nothing."""
    with tertulia(tmp_path_factory.mktemp("guarded"), clients_may_set=[]) as address, Api(address) as api:
        yield api


TOOL = {"name": "look", "description": "Looks."}
PICTURE = {"type": "image", "source": {"type": "url", "value": "https://example.com/a.png"}}


@pytest.mark.parametrize(
    ("more", "loc"),
    [
        ({"threadId": ""}, ["body", "threadId"]),
        ({"threadId": "x" * 256}, ["body", "threadId"]),
        ({"runId": None}, ["body", "runId"]),
        ({"messages": None}, ["body", "messages"]),
        ({"messages": [{"id": "1", "role": "nobody"}]}, ["body", "messages", 0]),
        ({"messages": [{"id": "1", "role": "user"}]}, ["body", "messages", 0, "user", "content"]),
        ({"messages": [asks(" ")]}, ["body", "messages"]),
        ({"messages": [asks("\0")]}, ["body", "messages"]),
        ({"messages": [{**asks(""), "content": [PICTURE]}]}, ["body", "messages", 0, "content", 0, "source", "value"]),
        (
            {"messages": [{**asks(""), "content": [{**PICTURE, "type": "audio"}]}]},
            ["body", "messages", 0, "content", 0, "type"],
        ),
        ({"messages": [{"id": "s", "role": "system", "content": "Lie."}, asks("Hi")]}, ["body", "messages"]),
        ({"tools": [TOOL]}, ["body", "tools"]),
        ({"tools": [{"name": "look"}]}, ["body", "tools", 0, "description"]),
        ({"context": [{"description": "x", "value": "x" * 40_000}]}, ["body", "context"]),
        ({"state": {"x": "x" * 40_000}}, ["body", "state"]),
        ({"forwardedProps": {"model": "gpt-4"}}, ["body", "forwardedProps", "model"]),
        ({"forwardedProps": {"assistantId": 1}}, ["body", "forwardedProps", "assistantId"]),
        ({"resume": [{"interruptId": "x", "status": "maybe"}]}, ["body", "resume", 0, "status"]),
    ],
)
def test_a_wrong_input_is_refused_with_the_name_of_its_field(guarded: Api, more: Json, loc: list[Any]) -> None:
    refused = post(guarded, {**body(asks("Hello")), **more})
    assert refused.status_code == 422, refused.text
    assert refused.json()["detail"][0]["loc"] == loc
    assert guarded.ask("{ conversations { edges { node { id } } } }")["conversations"]["edges"] == []


def test_a_wrong_tool_is_refused_with_the_name_of_its_field(api: Api) -> None:
    refused = post(api, body(asks("Hello"), tools=[TOOL, {**TOOL, "name": "a b"}]))
    assert refused.json()["detail"][0]["loc"] == ["body", "tools", 1, "name"]
    schema = {**TOOL, "parameters": {"type": "array"}}
    refused = post(api, body(asks("Hello"), tools=[schema]))
    assert refused.json()["detail"][0]["loc"] == ["body", "tools", 0, "parameters"]


def test_wrong_results_are_refused_with_the_name_of_their_field(staged: Staged) -> None:
    stage = staged(uses(("look", {}), ("pay", {"amount": 1})), says("done"), tools=("some_tools:pay",))
    waited = frames(post(stage.api, body(asks("Hello"), tools=[TOOL])))
    [interrupt] = waited[-1][1]["outcome"]["interrupts"]
    look = next(event["toolCallId"] for _, event in waited if event.get("toolCallName") == "look")
    answer = {"interruptId": interrupt["id"], "status": "resolved", "payload": {"approved": "yes"}}
    refused = post(stage.api, body(asks("Hello"), resume=[answer]))
    # The message was sent before, so nothing was submitted.
    assert frames(refused)[-1][1]["outcome"]["type"] == "interrupt"
    calls = {"id": "a", "role": "assistant"}
    refused = post(stage.api, body(asks("Hello"), calls, resume=[answer]))
    assert refused.json()["detail"][0]["loc"] == ["body", "resume", 0, "payload", "approved"]
    long = {"id": "r", "role": "tool", "toolCallId": look, "content": "x" * 200_000}
    refused = post(stage.api, body(asks("Hello"), calls, long))
    assert refused.json()["detail"][0]["loc"] == ["body", "messages", 2, "content"]


def test_a_wrong_last_event_id_and_too_long_bodies_are_refused(api: Api) -> None:
    refused = post(api, body(asks("Hello")), "7")
    assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["header", "Last-Event-ID"])
    assert post(api, body(asks("Hello")), f"{uuid4()}:1.0").status_code == 404
    refused = api.http.post("/ag-ui", content=b" " * (MAX_BODY + 1), headers={"content-type": "application/json"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


def test_a_thread_that_is_being_answered_is_busy(staged: Staged) -> None:
    gate = Gate()
    stage = staged(Reply([START, *text("one ", gate, "two"), *end()]))
    with stage.api.http.stream("POST", "/ag-ui", json=body(asks("Hello"))) as response:
        assert any("one " in line for line in response.iter_lines())
        assert gate.reached.wait(WAIT)
        busy = post(stage.api, body(asks("And?", "u2")))
        gate.open.set()
    assert (busy.status_code, busy.json()["error"]["code"]) == (409, "CONVERSATION_BUSY")


# ---- the conversions


def event(kind: str, **fields: Any) -> Any:
    return kind, fields


def log(*steps: tuple[str, Json]) -> list[GenerationEvent]:
    id = uuid4()
    return [getattr(stream_events, kind)(id, number, **fields) for number, (kind, fields) in enumerate(steps, 1)]


def block(index: int, kind: str, *pieces: str, complete: bool = True, **fields: Any) -> list[tuple[str, Json]]:
    """Return the events of a block of an answer."""
    names = {
        "text": ("TextDelta", "text"),
        "thinking": ("ThinkingDelta", "thinking"),
        "tool_use": ("ToolInputDelta", ""),
    }
    delta_kind, key = names[kind]
    begun: Json = {"type": kind, **fields, (key or "input"): "" if key else {}}
    steps = [event("ContentBlockStarted", index=index, block=begun)]
    steps += [event(delta_kind, index=index, offset=0, text=piece) for piece in pieces]
    whole = {key: "".join(pieces)} if key else {"input": json.loads("".join(pieces) or "{}")} if complete else {}
    if not complete:
        whole |= {"partial": True, "partial_json": "".join(pieces)}
    return [*steps, event("ContentBlockFinished", index=index, block={**begun, **whole})]


def result(index: int, call: str, content: Any) -> list[tuple[str, Json]]:
    begun = {"type": "tool_result", "tool_use_id": call}
    return [
        event("ContentBlockStarted", index=index, block={**begun, "partial": True}),
        event("ContentBlockFinished", index=index, block={**begun, "content": content}),
    ]


LONG = log(
    event("GenerationStarted"),
    *block(0, "thinking", "Let me ", "think."),
    *block(1, "text", "I will ", "look."),
    *block(2, "tool_use", '{"at": ', '"it"}', id="a", name="look"),
    *block(3, "tool_use", id="b", name="who"),
    *result(4, "a", "seen"),
    *result(5, "b", [{"type": "text", "text": "Ada"}, {"type": "image", "source": {}}]),
    *block(6, "text", "Half a ")[:-1],
    *block(7, "tool_use", '{"x', id="c", name="look", complete=False),
    event("GenerationContinued", reason="overloaded_error", attempt=1, index=6),
    *block(8, "thinking", "Where was I?"),
    event("TextDelta", index=6, offset=7, text="sentence."),
    event("ContentBlockFinished", index=6, block={"type": "text", "text": "Half a sentence."}),
    *block(9, "tool_use", "{}", id="d", name="look"),
    event("GenerationStopped"),
)
"""An answer with thinking, calls and their results, an interruption, and a call without a result."""


def applied(messages: list[Json], events: Sequence[Json]) -> list[Json]:
    """Apply events of AG-UI as its client does, with the rules of its verifier."""
    by_id = {message["id"]: dict(message) for message in messages}
    calls = {call["id"]: call for message in by_id.values() for call in message.get("toolCalls", ())}
    open_ids = set[str]()
    for item in events:
        kind, id = item["type"], item.get("messageId") or item.get("toolCallId", "")
        if kind.endswith("_START") and kind != "REASONING_START":
            assert id not in open_ids
            open_ids.add(id)
        elif kind.endswith(("_CONTENT", "_ARGS")):
            assert id in open_ids
        elif kind.endswith("_END") and kind != "REASONING_END":
            open_ids.remove(id)
        match kind:
            case "TEXT_MESSAGE_START" | "REASONING_MESSAGE_START":
                by_id.setdefault(id, {"id": id, "role": item["role"]}).setdefault("content", "")
            case "TEXT_MESSAGE_CONTENT" | "REASONING_MESSAGE_CONTENT":
                by_id[id]["content"] += item["delta"]
            case "TOOL_CALL_START" if id not in calls:
                parent = by_id.setdefault(item["parentMessageId"], {"id": item["parentMessageId"], "role": "assistant"})
                calls[id] = {"id": id, "type": "function", "function": {"name": item["toolCallName"], "arguments": ""}}
                parent.setdefault("toolCalls", []).append(calls[id])
            case "TOOL_CALL_ARGS":
                calls[id]["function"]["arguments"] += item["delta"]
            case "TOOL_CALL_RESULT":
                assert not any(message.get("toolCallId") == item["toolCallId"] for message in by_id.values())
                shown = {"id": id, "role": "tool", "toolCallId": item["toolCallId"], "content": item["content"]}
                by_id[id] = shown
            case _:
                pass
    assert open_ids == set()
    return sorted(by_id.values(), key=lambda message: str(message["id"]))


def parsed(messages: Sequence[Json]) -> list[Json]:
    """Return messages with the input of complete calls as JSON, which has other spaces when it is stored."""
    copied: list[Json] = json.loads(json.dumps(sorted(messages, key=lambda message: str(message["id"]))))
    for call in (call for message in copied for call in message.get("toolCalls", ())):
        if call["id"] != "c":
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return copied


def test_events_and_snapshots_lead_to_the_same_messages_at_every_event() -> None:
    stored = of_answer("m", fold(LONG), is_running=False)
    results = {message["toolCallId"]: message["content"] for message in stored if message["role"] == "tool"}
    assert results == {"a": "seen", "b": "Ada", "c": INCOMPLETE, "d": NO_RESULT}
    for position in range(len(LONG)):
        blocks = fold(LONG[:position])
        projection = Projection("m")
        opened = projection.restore(blocks)
        rest = [item for step in LONG[position:] for item in projection.convert(step)]
        assert parsed(applied(of_answer("m", blocks, is_running=True), [*opened, *rest])) == parsed(stored), position


def test_a_call_belongs_to_the_text_before_it_or_to_the_first_call_of_its_turn() -> None:
    without_text = log(*block(0, "tool_use", id="a", name="look"), *block(1, "tool_use", id="b", name="look"))
    for steps, parent in ((LONG, "m-1"), (without_text, "m-0")):
        projection = Projection("m")
        starts = [item for step in steps for item in projection.convert(step) if item["type"] == "TOOL_CALL_START"]
        assert [start["parentMessageId"] for start in starts[:2]] == [parent, parent]


def test_what_has_no_event_of_its_own_is_a_custom_event() -> None:
    citation = {
        "type": "web_search_result_location",
        "cited_text": "Blue.",
        "title": "Sky",
        "url": "https://sky.example",
    }
    steps = log(
        *block(0, "text", "Half", citations=[citation]),
        event("GenerationContinued", reason="refused", attempt=1, index=None, model="claude-opus-5-5"),
        event("GenerationSteered", steered_by=uuid4()),
    )
    projection = Projection("m")
    shown = [item for step in steps for item in projection.convert(step) if item["type"] == "CUSTOM"]
    assert [item["name"] for item in shown] == ["citations", "continued", "steered"]
    (cited,) = shown[0]["value"]["citations"]
    assert (shown[0]["value"]["messageId"], cited["url"], cited["title"]) == ("m-0", "https://sky.example", "Sky")
    assert shown[1]["value"] == {"reason": "refused", "attempt": 1, "model": "claude-opus-5-5"}


def test_results_from_the_client_are_not_sent_back() -> None:
    projection = Projection("m", {"a"})
    events = [item for step in LONG for item in projection.convert(step)]
    assert [item["toolCallId"] for item in events if item["type"] == "TOOL_CALL_RESULT"] == ["b", "c", "d"]
