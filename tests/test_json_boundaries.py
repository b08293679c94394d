"""JSON is handled alike in every input and output: tools, clients, REST, imports, exports and streams."""

import json
import re
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from client import BLOCKS, Api, Json, wait_until
from conftest import SECRET, Stage
from running import tertulia
from scripted import START, Reply, begin, delta, end, finish, says, scripted
from websockets.exceptions import ConnectionClosed

ID, LONG = 2**53 + 1, 2**70
NUMBERS = f'{{"value":{{"id":{ID},"long":{LONG},"list":[-{LONG},0.5,1e2]}}}}'
SHOWN = {"value": {"id": str(ID), "long": str(LONG), "list": [str(-LONG), 0.5, 100.0]}}
LONE_SURROGATES = '{"value":{"text":"a\\ud92cb","\\ud83d":["\\u0000",{"\\udc00":"\\ud83d\\ude00"}]}}'
CLEANED = {"value": {"text": "a\ufffdb", "\ufffd": ["\ufffd", {"\ufffd": "\U0001f600"}]}}
CLIENT = {"client": [{"name": "browser", "description": "Ask the browser.", "inputSchema": {"type": "object"}}]}
SUBMIT = """mutation ($id: ID!, $tool: ID!, $output: JSON) {
  submitToolResults(input: {generationId: $id, results: [{toolUseId: $tool, output: $output}]}) {
    __typename ... on InvalidInput { field message }
  } }"""
CONTENT = f"query ($id: ID!) {{ generation(id: $id) {{ status message {{ content {{ {BLOCKS} }} }} }} }}"
FOLLOW = f"""subscription ($id: ID!) {{ generationEvents(generationId: $id, after: 0) {{
  __typename ... on ContentBlockFinished {{ block {{ {BLOCKS} }} }} }} }}"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stage]:
    with scripted(says("unused")) as claude:
        keyed: Json = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address, "tools": ("json_tools",)}
        with tertulia(tmp_path_factory.mktemp("json"), **keyed) as address, Api(address) as api:
            yield Stage(claude, api, keyed)


def calls(name: str, input: str) -> Reply:
    block = begin(0, type="tool_use", id="toolu_1", name=name, input={})
    written = [delta(0, "input_json_delta", partial_json=input[at : at + 7]) for at in range(0, len(input), 7)]
    return Reply([START, block, *written, finish(0), *end("tool_use")])


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def content(api: Api, generation: str) -> list[Json]:
    """Return the blocks of an answer, read by a parser that accepts nothing but JSON in UTF-8."""
    response = api.post(CONTENT, {"id": generation})
    blocks: list[Json] = orjson.loads(response.content)["data"]["generation"]["message"]["content"]
    return blocks


def after_call(stage: Stage, name: str, input: str) -> tuple[str, Json, Json]:
    """Make Claude call a tool; return the generation, the tool's result, and the blocks of the next request to Claude.

    Also check that the conversation can be continued afterwards.
    """
    stage.claude.requests.clear()
    stage.claude.replies = [calls(name, input), says("done"), says("and on")]
    sent = stage.api.send("Go")
    generation = sent["generation"]["id"]
    assert stage.api.follow(generation)[-1]["__typename"] == "GenerationCompleted"
    again = stage.api.answer("Go on", conversationId=sent["conversation"]["id"])
    assert again["__typename"] == "GenerationCompleted"
    result = next(block for block in content(stage.api, generation) if block["__typename"] == "ToolResultBlock")
    return generation, result, blocks_in_request(stage)


def blocks_in_request(stage: Stage) -> Json:
    """Return the call and its result as the last request to Claude contains them."""
    turns = [request["messages"] for request in stage.claude.requests if "tool_result" in json.dumps(request)]
    blocks = [block for turn in turns[-1] for block in turn["content"] if isinstance(block, dict)]
    return {block["type"]: block for block in blocks}


UNFINISHED: list[str] = []
"""Generations that earlier tests may have left running."""


def waiting(stage: Stage) -> tuple[str, str]:
    """Make Claude call the client's tool; return the generation and the call's id."""
    # An earlier test's answer may still be running, and would consume the reply that is meant for this one.
    for earlier in UNFINISHED:
        wait_until(partial(is_not_running, stage, earlier))
    UNFINISHED.clear()
    stage.claude.requests.clear()
    stage.claude.replies = [calls("browser", "{}"), says("done"), says("and on")]
    sent = stage.api.send("Ask the browser", tools=CLIENT)
    generation = sent["generation"]["id"]
    UNFINISHED.append(generation)
    wait_until(lambda: stage.api.ask(CONTENT, id=generation)["generation"]["status"] == "AWAITING_TOOL_RESULTS")
    return generation, "toolu_1"


def is_not_running(stage: Stage, generation: str) -> bool:
    return bool(stage.api.ask(CONTENT, id=generation)["generation"]["status"] != "RUNNING")


def submit(stage: Stage, output: str, send: Callable[[Api, str, Json], Json]) -> tuple[Json, Json, Json]:
    """Submit JSON as a result of the client's tool; return the response, the result, and the request to Claude."""
    generation, tool = waiting(stage)
    response = send(stage.api, output, {"id": generation, "tool": tool})
    assert response["data"]["submitToolResults"]["__typename"] == "GenerationPayload", response
    assert stage.api.follow(generation)[-1]["__typename"] == "GenerationCompleted"
    result = next(block for block in content(stage.api, generation) if block["__typename"] == "ToolResultBlock")
    return response, result, blocks_in_request(stage)


def over_http(api: Api, output: str, variables: Json) -> Json:
    body = json.dumps({"query": SUBMIT, "variables": variables})[:-2] + f', "output": {output}}}}}'
    return parsed(api.http.post("/graphql", content=body, headers={"content-type": "application/json"}))


def over_http_stream(api: Api, output: str, variables: Json) -> Json:
    body = json.dumps({"query": SUBMIT, "variables": variables})[:-2] + f', "output": {output}}}}}'
    headers = {"content-type": "application/json", "accept": "text/event-stream"}
    lines = api.http.post("/graphql", content=body, headers=headers).text.splitlines()
    response: Json = orjson.loads(next(line for line in lines if line.startswith("data: {"))[6:])
    return response


def over_socket(api: Api, output: str, variables: Json) -> Json:
    payload = json.dumps({"query": SUBMIT, "variables": variables})[:-2] + f', "output": {output}}}}}'
    with api.socket() as socket:
        socket.send(f'{{"type":"subscribe","id":"1","payload":{payload}}}')
        message = socket.receive()
        response: Json = {"errors": message["payload"]} if message["type"] == "error" else message["payload"]
        return response


def as_literal(api: Api, output: str, variables: Json) -> Json:
    literal = re.sub(r'"(\w+)":', r"\1:", output)
    query = SUBMIT.replace("output: $output", f"output: {literal}").replace(", $output: JSON", "")
    return parsed(api.post(query, variables))


SENDERS = [over_http, over_http_stream, over_socket, as_literal]


def parsed(response: httpx2.Response) -> Json:
    body: Json = orjson.loads(response.content)
    return body


def test_integers_reach_tools_claude_and_clients_unchanged(stage: Stage) -> None:
    generation, result, request_blocks = after_call(stage, "remember", NUMBERS)
    assert f'"id": {ID}, "long": {LONG}, "list": [-{LONG}, 0.5, 100.0]' in result["output"]
    assert request_blocks["tool_use"]["input"] == json.loads(NUMBERS)
    assert content(stage.api, generation)[0]["input"] == SHOWN
    for accept in ("text/event-stream", "multipart/mixed"):
        body = {"query": FOLLOW, "variables": {"id": generation}}
        streamed = stage.api.http.post("/graphql", json=body, headers={"accept": accept}).text
        assert f'"id":"{ID}","long":"{LONG}"' in streamed
    with stage.api.socket() as socket:
        blocks = [event.get("block", {}) for event in socket.events(generation, 0)]
    assert SHOWN in [block.get("input") for block in blocks]


def test_integers_are_unchanged_by_an_export_and_an_import(stage: Stage) -> None:
    generation, _, _ = after_call(stage, "remember", NUMBERS)
    find = "query ($id: ID!) { generation(id: $id) { message { conversation { id } } } }"
    id = stage.api.ask(find, id=generation)["generation"]["message"]["conversation"]["id"]
    exported = stage.api.http.get(f"/export/{id}").content
    assert f'"id": {ID}, "long": {LONG}'.encode() in exported
    assert f'"id": {ID}'.encode() in stage.api.http.get(f"/export/{id}?format=markdown").content
    imported = stage.api.http.post("/import", files={"file": ("x.jsonl", exported)}).json()["conversation_ids"][0]
    before, after = (
        stage.api.http.get(f"/export/{conversation}").text.splitlines()[2:] for conversation in (id, imported)
    )
    assert [json.loads(line)["content"] for line in before] == [json.loads(line)["content"] for line in after]


def test_the_return_value_of_a_python_tool_is_cleaned_to_valid_json(stage: Stage) -> None:
    _, result, request_blocks = after_call(stage, "produce", "{}")
    numbers = {"nan": None, "infinite": [None, None], "nul": "\ufffd", "7": "seven"}
    assert result["output"] == numbers | {"half": "\ufffd", "\ufffd key": 1, "id": str(ID), "long": str(LONG)}
    assert json.loads(request_blocks["tool_result"]["content"])["long"] == LONG


@pytest.mark.parametrize("send", SENDERS)
def test_integers_of_a_client_reach_claude_unchanged(stage: Stage, send: Any) -> None:
    _, result, request_blocks = submit(stage, NUMBERS, send)
    assert result["output"] == SHOWN
    assert json.loads(request_blocks["tool_result"]["content"]) == json.loads(NUMBERS)


def test_lone_surrogates_and_nul_in_a_tools_input_are_replaced(stage: Stage) -> None:
    generation, result, request_blocks = after_call(stage, "remember", LONE_SURROGATES)
    assert content(stage.api, generation)[0]["input"] == CLEANED
    assert request_blocks["tool_use"]["input"] == CLEANED
    assert json.loads(result["output"].removeprefix("received ")) == CLEANED["value"]


@pytest.mark.parametrize("send", SENDERS[:-1])
@pytest.mark.parametrize(("output", "shown"), [(LONE_SURROGATES, CLEANED), ('"a\\ud92c\\u0000"', "a\ufffd\ufffd")])
def test_lone_surrogates_and_nul_from_a_client_are_replaced(
    stage: Stage, send: Any, output: str, shown: object
) -> None:
    _, result, _ = submit(stage, output, send)
    assert result["output"] == shown


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity", "-Infinity"])
def test_a_tool_is_not_called_with_a_number_outside_json(stage: Stage, number: str) -> None:
    generation, result, _ = after_call(stage, "remember", f'{{"value":{{"n":{number},"j":{LONG}}}}}')
    assert result["isError"]
    assert "Infinity" not in stage.api.post(CONTENT, {"id": generation}).text


@pytest.mark.parametrize("send", SENDERS[:-1])
@pytest.mark.parametrize("output", ["NaN", '{"a":Infinity}', "[-Infinity]", "1e400", f"[{'9' * 5000}]"])
def test_a_client_cannot_send_a_number_outside_json(stage: Stage, send: Any, output: str) -> None:
    generation, tool = waiting(stage)
    variables = {"id": generation, "tool": tool}
    if send is over_socket:
        with pytest.raises(ConnectionClosed, match="4400"):
            send(stage.api, output, variables)
    elif send is over_http:
        refused = send(stage.api, output, variables)["errors"][0]
        assert refused["extensions"]["code"] == "BAD_USER_INPUT"
        assert "is not valid JSON" in refused["message"]
    stage.api.stop(generation)


def test_a_graphql_literal_outside_the_range_of_json_is_refused(stage: Stage) -> None:
    refused = as_literal(stage.api, "[1e400]", {"id": "x", "tool": "y"})["errors"][0]
    assert "out of range" in refused["message"]


@pytest.mark.parametrize("send", SENDERS)
def test_a_value_nested_too_deeply_is_refused_and_the_error_names_the_variable(stage: Stage, send: Any) -> None:
    generation, tool = waiting(stage)
    variables = {"id": generation, "tool": tool}
    for levels in (129, 190, 1_000, 50_000):
        if send is over_socket and levels > 190:
            with pytest.raises(ConnectionClosed, match="4400"):
                send(stage.api, nested(levels), variables)
        elif send is not over_http_stream:
            refused = send(stage.api, nested(levels), variables)["errors"][0]
            assert re.search("nested|levels|complex", refused["message"])
            assert levels > 190 or send is as_literal or "$output" in refused["message"]
    assert send is as_literal or submitted(stage, nested(128), send, variables)


def submitted(stage: Stage, output: str, send: Any, variables: Json) -> bool:
    response = send(stage.api, output, variables)
    return bool(response["data"]["submitToolResults"]["__typename"] == "GenerationPayload")


def test_a_tool_is_not_called_with_input_nested_too_deeply(stage: Stage) -> None:
    for levels in (129, 1_000, 100_000):
        _, result, _ = after_call(stage, "remember", f'{{"value":{{"a":{nested(levels)}}}}}')
        assert result["isError"]


@pytest.mark.parametrize("body", ["NaN", "1e400", nested(300), nested(100_000), '{"message":NaN}', '{"message":"\\ud800"}',
    f'{{"message":{nested(100_000)}}}', f'{{"message":"x","model":{nested(500)}}}', f'{{"message":{"9" * 5000}}}'])  # fmt: skip
@pytest.mark.parametrize("path", ["/chat", "/chat/stream", "/ai-sdk", "/ag-ui", "/graphql"])
def test_an_invalid_body_is_refused_with_a_client_error_in_json(stage: Stage, path: str, body: str) -> None:
    response = stage.api.http.post(path, content=body, headers={"content-type": "application/json"})
    assert 400 <= response.status_code < 500
    orjson.loads(response.content)


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e400", nested(250), nested(100_000)])
def test_an_import_that_is_not_json_is_refused_with_an_explanation(stage: Stage, value: str) -> None:
    header = '{"type":"tertulia-export","version":1,"exported_at":"2026-01-01T00:00:00Z"}'
    for file in (f'{header}\n{{"type":"conversation","id":{value}}}', f'[{{"uuid":{value}}}]'):
        refused = stage.api.http.post("/import", files={"file": ("x.jsonl", file.encode())})
        assert (refused.status_code, "is not JSON" in refused.json()["error"]["message"]) == (422, True)


def test_structured_output_that_is_not_json_is_readable_and_has_a_problem(stage: Stage) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "number"}}}
    query = (
        "query ($id: ID!) { generation(id: $id) { message { content { ... on JsonBlock { text value problem } } } } }"
    )
    for text, value in (('{"n": 1e400}', None), ('{"n": NaN}', None), (f'{{"n": {LONG}}}', {"n": str(LONG)})):
        stage.claude.replies = [says(text)]
        sent = stage.api.send("Write JSON", options={"outputSchema": schema})
        stage.api.follow(sent["generation"]["id"])
        (block,) = parsed(stage.api.post(query, {"id": sent["generation"]["id"]}))["data"]["generation"]["message"][
            "content"
        ]
        assert (block["value"], block["problem"] is None) == (value, value is not None)


def test_claudes_blocks_of_every_kind_are_cleaned(stage: Stage) -> None:
    result = {"type": "web_search_result", "url": "https://a.example", "title": "t\ud83d", "encrypted_content": "eA=="}
    citation = {"type": "char_location", "cited_text": "c\ud83d\0", "document_title": "d\udc00"}
    pieces = [
        begin(0, type="web_search_tool_result", tool_use_id="srvtoolu_1", content=[result]),
        finish(0),
        begin(1, type="text", text="\ud83d"),
        delta(1, "text_delta", text="half \ud83d"),
        delta(1, "text_delta", text="\ude00 \0 \ud83d"),
        delta(1, "citations_delta", citation=citation),
        finish(1),
    ]
    stage.claude.replies = [Reply([START, *pieces, *end()]), says("and on")]
    sent = stage.api.send("Search")
    stage.api.follow(sent["generation"]["id"])
    text = content(stage.api, sent["generation"]["id"])[-1]
    assert text["text"] == "\ufffdhalf \U0001f600 \ufffd \ufffd"
    assert stage.api.answer("Go on", conversationId=sent["conversation"]["id"])["__typename"] == "GenerationCompleted"


def test_a_conversation_with_invalid_json_from_an_earlier_version_is_readable_and_can_be_continued(
    tmp_path: Path, stage: Stage
) -> None:
    with tertulia(tmp_path, **stage.keyed) as address, Api(address) as api:
        stage.claude.replies = [says("hello")]
        sent = api.send("Hello")
        api.follow(sent["generation"]["id"])
        stored = (
            '[{"type":"tool_use","id":"a","name":"f","input":{"n":Infinity,"\\ud83d":"\\ud83d","m":-1e999}},'
            '{"type":"text","text":"\\u0000"}]'
        )
        with closing(sqlite3.connect(tmp_path / "tertulia.db")) as database, database:
            database.execute("UPDATE messages SET content = ? WHERE role = 'assistant'", (stored,))
        blocks = content(api, sent["generation"]["id"])
        assert blocks[0]["input"] == {"n": None, "\ufffd": "\ufffd", "m": None}
        assert blocks[1]["text"] == "\ufffd"
        assert api.http.get(f"/export/{sent['conversation']['id']}").status_code == 200
        assert api.answer("Go on", conversationId=sent["conversation"]["id"])["__typename"] == "GenerationCompleted"


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085"])
def test_streams_survive_clients_that_split_at_unicode_line_separators(stage: Stage, separator: str) -> None:
    answer = f"A{separator}B"
    stage.claude.replies = [says(answer, answer)]
    sent = stage.api.send(answer)
    id = sent["generation"]["id"]
    stage.api.follow(id)
    query = "subscription ($id: ID!) { generationEvents(generationId: $id, after: 0) { __typename ... on TextDelta { text } } }"
    streams: list[str] = []
    for accept in ("text/event-stream", "multipart/mixed"):
        body = {"query": query, "variables": {"id": id}}
        streams.append(stage.api.http.post("/graphql", json=body, headers={"accept": accept}).text)
    streams.append(stage.api.http.post("/chat/stream", json={"message": answer}).text)
    for streamed in streams:
        lines = [line.removeprefix("data:").strip() for line in streamed.splitlines() if "{" in line]
        assert separator not in streamed
        assert all(isinstance(json.loads(line), dict) for line in lines)
        assert answer in "".join(json.dumps(json.loads(line), ensure_ascii=False) for line in lines)
    exported = stage.api.http.get(f"/export/{sent['conversation']['id']}").text
    assert all(json.loads(line) for line in exported.splitlines())
