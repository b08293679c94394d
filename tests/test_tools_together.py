"""Tools of all kinds in one answer, followed by the Python client gql over graphql-transport-ws."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from client import WAIT, Json
from gql import Client, GraphQLRequest, gql
from gql.transport.websockets import WebsocketsTransport
from running import tertulia
from test_tools import MODULE

CREATE = gql("""mutation ($input: CreateConversationInput!) { createConversation(input: $input) {
  ... on ConversationPayload { conversation { id } } ... on Error { message } } }""")
SEND = gql("""mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
  ... on SendMessagePayload { generation { id } } ... on Error { message } } }""")
FOLLOW = gql("""subscription ($id: ID!) { generationEvents(generationId: $id, after: 0) {
  __typename sequence
  ... on ContentBlockFinished { block {
    __typename ... on ToolUseBlock { name } ... on ToolResultBlock { output isError } ... on TextBlock { text } } }
  ... on ToolResultsRequired { toolUses { toolUseId name input } approvals { toolUseId } }
  ... on GenerationCompleted { generation { message { text } usage { outputTokens } } }
} }""")
SUBMIT = gql("""mutation ($input: SubmitToolResultsInput!) { submitToolResults(input: $input) {
  __typename ... on Error { message } } }""")
SERVERS = gql("{ toolServers { name connected problem tools } tools { name source server asksFirst } }")
PAGE = {"name": "read_page", "description": "Reads the page.", "inputSchema": {"type": "object"}}
CALLS = [
    ("weather", {"place": {"city": "Cadiz"}}),
    ("time__convert_time", {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}),
    ("read_page", {}),
    ("pay", {"amount": 5}),
]


def request(document: GraphQLRequest, **variables: Any) -> GraphQLRequest:
    return GraphQLRequest(document, variable_values=variables)


async def converse(address: str) -> tuple[Json, list[Json], list[Json]]:
    subprotocols: Any = [WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL]
    transport = WebsocketsTransport(address.replace("http", "ws") + "/graphql", subprotocols=subprotocols)
    async with Client(transport=transport) as session:
        listed = await session.execute(SERVERS)
        created = await session.execute(request(CREATE, input={"tools": {"client": [PAGE]}}))
        conversation = created["createConversation"]["conversation"]["id"]
        text = "\n".join(f"/simulate call {name} {json.dumps(arguments)}" for name, arguments in CALLS)
        sent = await session.execute(request(SEND, input={"text": text, "conversationId": conversation}))
        generation = sent["sendMessage"]["generation"]["id"]
        events: list[Json] = []
        required: list[Json] = []
        async for result in session.subscribe(request(FOLLOW, id=generation)):
            event = result["generationEvents"]
            events.append(event)
            if event["__typename"] == "ToolResultsRequired":
                required.append(event)
                yes = {call["toolUseId"] for call in event["approvals"]}
                results = [
                    {"toolUseId": id, "approved": True}
                    if id in yes
                    else {"toolUseId": id, "output": {"title": "A page"}}
                    for id in (call["toolUseId"] for call in event["toolUses"])
                ]
                done = await session.execute(request(SUBMIT, input={"generationId": generation, "results": results}))
                assert done["submitToolResults"]["__typename"] == "GenerationPayload", done
    return listed, events, required


@pytest.mark.both
@pytest.mark.usefixtures("slow_tool_servers")
def test_one_turn_can_use_a_function_an_mcp_server_a_client_tool_and_an_approval(
    tmp_path: Path, place: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "mcp.json"
    time = {"command": sys.executable, "args": ["-m", "mcp_server_time", "--local-timezone", "UTC"]}
    config.write_text(json.dumps({"mcpServers": {"time": time}}))
    with tertulia(tmp_path, **place, tools=(MODULE,), mcp_config=str(config)) as address:
        listed, events, required = asyncio.run(asyncio.wait_for(converse(address), 3 * WAIT))
    assert [(item["name"], item["connected"], item["problem"]) for item in listed["toolServers"]] == [
        ("time", True, None)
    ]
    sources = {item["name"]: (item["source"], item["server"]) for item in listed["tools"]}
    assert sources["time__convert_time"] == ("MCP", "time")
    assert [[call["name"] for call in event["toolUses"]] for event in required] == [["read_page", "pay"]]
    blocks = [event["block"] for event in events if event["__typename"] == "ContentBlockFinished"]
    outputs = [block["output"] for block in blocks if block["__typename"] == "ToolResultBlock"]
    assert not any(block["isError"] for block in blocks if block["__typename"] == "ToolResultBlock")
    assert {"city": "Cadiz", "days": 1, "sky": "blue"} in outputs
    assert {"title": "A page"} in outputs
    assert "Paid 5." in outputs
    assert any("21:00" in str(output) for output in outputs)
    numbers = [event["sequence"] for event in events]
    assert numbers == sorted(set(numbers))
    assert events[-1]["__typename"] == "GenerationCompleted"
    for word in ("Cadiz", "Asia/Tokyo", "A page", "Paid 5."):
        assert word in events[-1]["generation"]["message"]["text"]
