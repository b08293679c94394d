"""MCP servers: their configuration file, tools, calls, lists, lost connections and shutdown. All servers are real."""

import asyncio
import base64
import json
import logging
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest
from client import WAIT
from mcp.server.mcpserver import Context, MCPServer
from running import START_SECONDS, ThreadedServer, running
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from uvicorn import Config

from tertulia.json import Json
from tertulia.tools.base import Image, Result, ToolContext, ToolError
from tertulia.tools.mcp import connection
from tertulia.tools.mcp.config import HttpServer, ServerConfig, StdioServer, read_config
from tertulia.tools.mcp.servers import McpServers, McpTool

pytestmark = pytest.mark.usefixtures("slow_tool_servers")

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
CONTEXT = ToolContext(UUID(int=1), "ada", UUID(int=2), UUID(int=3), "toolu_1")
TIME = StdioServer(command=sys.executable, args=["-m", "mcp_server_time"])
MODERN = '''
import os, sys
from pathlib import Path
import anyio
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.types import CallToolResult, TextContent

server = MCPServer("modern", log_level="CRITICAL")
folder = Path(sys.argv[1])

@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b

@server.tool()
def table() -> CallToolResult:
    return CallToolResult(content=[], structured_content={"rows": [1, 2]})

@server.tool()
def picture() -> Image:
    return Image(path=folder / "pixel.png")

@server.tool()
def refuse() -> CallToolResult:
    return CallToolResult(content=[TextContent(text="Not on a Sunday.")], is_error=True)

@server.tool()
def explode() -> str:
    raise RuntimeError("kaboom")

@server.tool()
async def grow(ctx: Context) -> str:
    server.add_tool(lambda: "new", name="grown", description="Grew.")
    await ctx.notify_tools_changed()
    return "It grew."

@server.tool()
async def stay() -> str:
    (folder / "staying").touch()
    try:
        await anyio.sleep_forever()
    finally:
        (folder / "left").touch()

@server.tool()
def environment() -> str:
    return " ".join(f"{name}={os.environ.get(name)}" for name in ("GIVEN", "ANTHROPIC_API_KEY"))

server.run()
'''
OLD = """
import json, os, sys
from pathlib import Path

folder, quirks = Path(sys.argv[1]), sys.argv[2:]
(folder / f"{os.getpid()}.pid").touch()
tools = json.loads((folder / "tools.json").read_text())
results = json.loads((folder / "results.json").read_text())

def say(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)

for number, line in enumerate(sys.stdin):
    asked = json.loads(line)
    method, id = asked.get("method"), asked.get("id")
    if "strict" in quirks and number == 0 and method != "initialize":
        sys.exit("initialize was expected")
    if "mute" in quirks:
        continue
    if id == "mine":
        say(id=asking, result={"content": [{"type": "text", "text": asked["error"]["message"]}]})
        continue
    if method == "initialize":
        server = {"name": "old", "version": "1"}
        capabilities = {"tools": {"listChanged": True}}
        result = {"protocolVersion": "2025-06-18", "capabilities": capabilities, "serverInfo": server}
        say(id=id, result=result)
    elif method == "tools/list":
        place = int(asked.get("params", {}).get("cursor", 0))
        if place and "pages" in quirks:
            say(id=id, error={"code": -32603, "message": "Internal error"})
            continue
        more = {"nextCursor": str(place + 2)} if place + 2 < len(tools) else {}
        say(id=id, result={"tools": tools[place : place + 2], **more})
    elif method == "notifications/cancelled":
        (folder / "cancelled").touch()
    elif method == "tools/call":
        name = asked["params"]["name"]
        with (folder / "calls").open("a") as calls:
            calls.write(name + chr(10))
        if name == "die":
            sys.exit(1)
        elif name == "babble":
            sys.stdout.buffer.write(b"no JSON \\xff\\xfe" + bytes([10]) + b'{"jsonrpc": "2.0", "id": [], "result": 7}' + bytes([10]))
            say(id=id, result={"content": [{"type": "text", "text": "fine"}]})
        elif name == "ask":
            say(id="mine", method="sampling/createMessage", params={"messages": [], "maxTokens": 1})
            asking = id
        elif name == "change":
            tools.append({"name": "changed", "inputSchema": {"type": "object"}})
            say(method="notifications/tools/list_changed")
            say(id=id, result={"content": []})
        elif name in results:
            say(id=id, **results[name])
    elif id is not None:
        say(id=id, error={"code": -32601, "message": "Method not found"})
"""
Found = TypeVar("Found")


def run(work: Coroutine[Any, Any, Found]) -> Found:
    return asyncio.run(work)


def modern(folder: Path, **more: Any) -> StdioServer:
    (folder / "pixel.png").write_bytes(PIXEL)
    script = folder / "modern.py"
    script.write_text(MODERN)
    return StdioServer(command=sys.executable, args=[str(script), str(folder)], **more)


def old(folder: Path, *names: str, results: Json | None = None, quirk: str = "", tools: Any = None) -> StdioServer:
    """Configure a hand-written server of the protocol before 2026: two tools per page, and the given results."""
    folder.mkdir(exist_ok=True)
    definitions = tools or [{"name": name, "inputSchema": {"type": "object"}} for name in names or results or ()]
    (folder / "tools.json").write_text(json.dumps(definitions))
    (folder / "results.json").write_text(json.dumps(results or {}))
    script = folder / "old.py"
    script.write_text(OLD)
    return StdioServer(command=sys.executable, args=["-S", str(script), str(folder), quirk])


@asynccontextmanager
async def connected(asks: str = "", **configs: ServerConfig) -> AsyncGenerator[McpServers]:
    servers = McpServers(configs, requires_approval=lambda name: name == asks)
    try:
        await servers.start()
        yield servers
    finally:
        await servers.close()


async def until(found: Callable[[], Found | None]) -> Found:
    """Wait for a truthy result and return it."""
    deadline = time.monotonic() + WAIT
    while not (result := found()):
        assert time.monotonic() < deadline, "it did not come"
        await asyncio.sleep(0.01)
    return result


def names(servers: McpServers) -> list[str]:
    return [tool.name for tool in servers.tools]


async def tool(servers: McpServers, name: str) -> McpTool:
    return await until(lambda: next((tool for tool in servers.tools if tool.name == name), None))


async def call(servers: McpServers, name: str, **input: Any) -> Result:
    return await (await tool(servers, name)).call(input, CONTEXT)


async def error(servers: McpServers, name: str, **input: Any) -> str:
    with pytest.raises(ToolError) as raised:
        await call(servers, name, **input)
    return str(raised.value)


def started(folder: Path) -> list[int]:
    """Return the process ids of the old servers that were started."""
    return [int(file.stem) for file in folder.glob("*.pid")]


def programs(folder: Path) -> list[int]:
    """Return the process ids of the old servers that are running."""
    return [pid for pid in started(folder) if runs(pid)]


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # In a container, there may be no init process that reaps orphans, so they remain as zombies.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def text(words: str) -> Json:
    return {"result": {"content": [{"type": "text", "text": words}]}}


def content(*blocks: Any, **more: Any) -> Json:
    return {"result": {"content": list(blocks), **more}}


# ---- tools and calls -------------------------------------------------------------------------


def test_tools_of_a_public_server_are_offered_and_called() -> None:
    async def work() -> None:
        async with connected(time=TIME, asks="time__convert_time") as servers:
            server = servers.servers[0]
            assert (server.name, server.connected, server.problem) == ("time", True, None)
            convert, current = server.tools
            assert servers.tools == [convert, current]
            assert (convert.name, convert.server, convert.requires_approval, convert.seconds) == (
                "time__convert_time",
                "time",
                True,
                None,
            )
            assert not current.requires_approval
            assert current.description.startswith("Get current time")
            assert current.input_schema["type"] == "object"
            assert "timezone" in current.input_schema["properties"]
            result = await current.call({"timezone": "Europe/Lisbon"}, CONTEXT)
            assert not result.is_error
            assert json.loads(str(result.parts[0]))["timezone"] == "Europe/Lisbon"
            assert (await convert.call({"time": "noon"}, CONTEXT)).is_error

    run(work())


def test_the_servers_results_are_returned(tmp_path: Path) -> None:
    async def work() -> None:
        async with connected(own=modern(tmp_path)) as servers:
            assert await call(servers, "own__add", a=1, b=2) == Result(["3"])
            # Integers beyond 64 bits keep all their digits, in both directions.
            assert await call(servers, "own__add", a=2**70, b=1) == Result([str(2**70 + 1)])
            assert await call(servers, "own__table") == Result(['{"rows": [1, 2]}'], is_json=True)
            assert await call(servers, "own__picture") == Result([Image(PIXEL, "image/png")])
            assert await call(servers, "own__refuse") == Result(["Not on a Sunday."], is_error=True)
            exploded = await call(servers, "own__explode")
            assert exploded.is_error
            assert "explode" in str(exploded.parts[0])

    run(work())


UNSEEN = base64.b64encode(b"x" * 1234).decode()
LINK = {"type": "resource_link", "name": "Minutes", "uri": "https://example.org/minutes", "mimeType": "text/html"}
RESULTS = {
    "audio": (
        content({"type": "audio", "data": UNSEEN, "mimeType": "audio/wav"}),
        Result(["[audio/wav, 1234 bytes, not shown]"]),
    ),
    "link": (content(LINK), Result(["[text/html, Minutes, https://example.org/minutes, not shown]"])),
    "embedded-text": (
        content({"type": "resource", "resource": {"uri": "file:///a", "text": "Within."}}),
        Result(["Within."]),
    ),
    "embedded-bytes": (
        content({"type": "resource", "resource": {"uri": "file:///a", "blob": UNSEEN, "mimeType": "application/pdf"}}),
        Result(["[application/pdf, 1234 bytes, not shown]"]),
    ),
    "text-and-structure": (
        content({"type": "text", "text": "One."}, structuredContent={"one": 1}),
        Result(["One."]),
    ),
    "picture-and-structure": (
        content(
            {"type": "image", "data": base64.b64encode(PIXEL).decode(), "mimeType": "image/png"},
            structuredContent={"name": "Zoë"},
        ),
        Result([Image(PIXEL), '{"name": "Zoë"}']),
    ),
    "long-integer": (content(structuredContent={"id": 2**70}), Result([f'{{"id": {2**70}}}'], is_json=True)),
    "nothing": (content(), Result([])),
    "image-of-no-bytes": (
        content({"type": "text", "text": "One."}, {"type": "image", "data": "!", "mimeType": "image/png"}),
        Result(["One.", "[An image could not be read.]"]),
    ),
    "image-without-type": (
        content({"type": "image", "data": base64.b64encode(PIXEL).decode(), "annotations": "none"}),
        Result([Image(PIXEL, "application/octet-stream")]),
    ),
    "unknown-block": (
        content({"type": "hologram", "data": 1}, {"type": "text", "text": "One."}, None, "Two."),
        Result(
            [
                "[A part of the result, of the type hologram, could not be read.]",
                "One.",
                "[A part of the result is not a content block.]",
                "Two.",
            ]
        ),
    ),
    "bare-text": ({"result": {"content": "Bare.", "isError": 0, "_meta": 3}}, Result(["Bare."])),
    "list-as-structure": (content(structuredContent=[1, 2]), Result(["[1, 2]"])),
}
FAULTS = {
    "no-content": ({"result": {"resultType": 7}}, "The response of the MCP server old could not be read."),
    "protocol": ({"error": {"code": -32000, "message": "The ledger is closed."}}, "The ledger is closed."),
}


def test_every_kind_of_content_is_converted(tmp_path: Path) -> None:
    async def work() -> None:
        results = {name: reply for name, (reply, _) in RESULTS.items()}
        async with connected(old=old(tmp_path, results=results)) as servers:
            for name, (_, expected) in RESULTS.items():
                assert await call(servers, f"old__{name}") == expected, name

    run(work())


def test_a_failed_call_returns_its_error_and_does_not_affect_other_calls(tmp_path: Path) -> None:
    async def work() -> None:
        results = {name: reply for name, (reply, _) in FAULTS.items()}
        config = old(tmp_path, *results, "babble", "ask", "fine", results={**results, "fine": text("fine")})
        async with connected(old=config) as servers:
            for name, (_, expected) in FAULTS.items():
                assert await error(servers, f"old__{name}") == expected
            assert "not valid JSON" in await error(servers, "old__fine", half="\ud800")
            assert "not valid JSON" in await error(servers, "old__fine", deep=nested(254))
            assert await call(servers, "old__babble") == Result(["fine"])
            assert await call(servers, "old__ask") == Result(["Sampling not supported"])
            assert await call(servers, "old__fine", deep=nested(100)) == Result(["fine"])
            assert started(tmp_path) == programs(tmp_path)
            assert len(programs(tmp_path)) == 1

    run(work())


def nested(depth: int) -> Json:
    value: Json = {}
    for _ in range(depth):
        value = {"in": value}
    return value


def test_a_cancelled_call_is_cancelled_at_the_server_too(tmp_path: Path) -> None:
    async def work() -> None:
        async with connected(own=modern(tmp_path), old=old(tmp_path / "old", "stay")) as servers:
            for name, begun, cancelled in (
                ("own__stay", tmp_path / "staying", tmp_path / "left"),
                ("old__stay", tmp_path / "old" / "calls", tmp_path / "old" / "cancelled"),
            ):
                calling = asyncio.create_task(call(servers, name))
                await until(begun.exists)
                calling.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await calling
                await until(cancelled.exists)
            assert await call(servers, "own__add", a=1, b=2) == Result(["3"])

    run(work())


# ---- lists and names -------------------------------------------------------------------------


def test_a_list_that_changes_is_read_again(tmp_path: Path) -> None:
    async def work() -> None:
        async with connected(own=modern(tmp_path), old=old(tmp_path / "old", "change", "b", "c")) as servers:
            assert [name for name in names(servers) if "old" in name] == ["old__b", "old__c", "old__change"]
            await call(servers, "own__grow")
            assert await call(servers, "own__grown") == Result(["new"])
            await call(servers, "old__change")
            await tool(servers, "old__changed")

    run(work())


def test_names_and_schemas_are_converted_to_those_that_claude_accepts(tmp_path: Path) -> None:
    long = "n" * 140
    first = [
        {"name": "read.file", "inputSchema": {"properties": {"a.b": {}}}, "title": "Reads"},
        {"name": "read file", "inputSchema": {"type": "object"}, "description": "Reads it."},
        {"name": "plain", "inputSchema": {"type": "object"}},
        {"name": long, "inputSchema": {"type": "object"}},
        {"name": "b__c", "inputSchema": {"type": "object"}},
    ]

    async def work() -> None:
        a = old(tmp_path / "a", tools=first, results={"read.file": text("dot"), "read file": text("space")})
        async with connected(a=a, a__b=old(tmp_path / "b", "c", results={"c": text("c")})) as servers:
            tool_names = names(servers)
            assert len(set(tool_names)) == 6
            assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", name) for name in tool_names)
            assert "a__plain" in tool_names
            dot = next(tool for tool in servers.tools if tool.original == "read.file")
            assert re.fullmatch(r"a__read_file_[0-9a-f]{8}", dot.name)
            assert dot.description == "Reads"
            assert dot.input_schema == {"type": "object", "properties": {"a.b": {}}}
            assert await dot.call({}, CONTEXT) == Result(["dot"])
            (truncated,) = [name for name in tool_names if "nnn" in name]
            assert re.fullmatch(r"a__n{116}_[0-9a-f]{8}", truncated)
            same = [tool for tool in servers.tools if re.fullmatch(r"a__b__c_[0-9a-f]{8}", tool.name)]
            assert [tool.server for tool in same] == ["a", "a__b"]
            assert await same[1].call({}, CONTEXT) == Result(["c"])

    run(work())


OBJECT = {"type": "object"}
KEPT: dict[str, Json] = {
    "outputSchema without type": {"inputSchema": OBJECT, "outputSchema": {"properties": {}}},
    "outputSchema elsewhere": {"inputSchema": OBJECT, "outputSchema": {"$ref": "http://127.0.0.1:1/x"}},
    "outputSchema null": {"inputSchema": OBJECT, "outputSchema": None},
    "no inputSchema": {},
    "inputSchema null": {"inputSchema": None},
    "inputSchema true": {"inputSchema": True},
    "no type": {"inputSchema": {"properties": {"a": {"type": "string"}}}},
    "object or null": {"inputSchema": {"type": ["object", "null"]}},
    "annotations": {"inputSchema": OBJECT, "annotations": "none"},
    "hints": {"inputSchema": OBJECT, "annotations": {"readOnlyHint": "yes"}},
    "icons": {"inputSchema": OBJECT, "icons": [{"src": 5}, None]},
    "description null": {"inputSchema": OBJECT, "description": None},
    "description 5": {"inputSchema": OBJECT, "description": 5},
    "long description": {"inputSchema": OBJECT, "description": "x" * 300_000},
    "more fields": {"inputSchema": OBJECT, "execution": "sometimes", "_meta": [], "unknown": {}},
    "draft 3": {"inputSchema": {"$schema": "http://json-schema.org/draft-03/schema#", **OBJECT}},
    "draft 4": {"inputSchema": {**OBJECT, "properties": {"a": {"minimum": 0, "exclusiveMinimum": True}}}},
    "draft 7": {
        "inputSchema": {
            "$schema": "http://json-schema.org/draft-07/schema#",
            **OBJECT,
            "properties": {"a": {"items": [{"type": "string"}], "additionalItems": False}},
        }
    },
    "nulls in the schema": {"inputSchema": {**OBJECT, "title": None, "properties": {"a": {"enum": None}}}},
}
SKIPPED: dict[str, tuple[Json, str]] = {
    "list": ({"inputSchema": []}, "its inputSchema is not an object."),
    "text": ({"inputSchema": {"type": "string"}}, "its inputSchema has the type string"),
    "properties": ({"inputSchema": {**OBJECT, "properties": []}}, "its inputSchema is not a valid JSON schema"),
    "property": ({"inputSchema": {**OBJECT, "properties": {"a b": {}}}}, "its inputSchema has the property 'a b'"),
    "type": (
        {"inputSchema": {**OBJECT, "properties": {"a": {"type": "x"}}}},
        "its inputSchema is not a valid JSON sch",
    ),
    "elsewhere": (
        {"inputSchema": {**OBJECT, "properties": {"a": {"$ref": "file:///etc/hostname"}}}},
        "its inputSchema refers to 'file:///etc/hostname'",
    ),
    "nowhere": (
        {"inputSchema": {**OBJECT, "properties": {"a": {"$ref": "#/$defs/a"}}}},
        "its inputSchema is not a val",
    ),
    "deep": ({"inputSchema": {**OBJECT, "properties": {"a": nested(100)}}}, "its inputSchema has more than 64 levels."),
}


def test_a_tool_with_an_invalid_definition_does_not_affect_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    odd: list[Any] = [{"name": name, **tool} for name, tool in KEPT.items()]
    odd += [{"name": name, **tool} for name, (tool, _) in SKIPPED.items()]
    odd += [{"name": "good", "inputSchema": OBJECT}, {"name": "good", "inputSchema": OBJECT}]
    odd += [7, None, {"inputSchema": OBJECT}, {"name": "", "inputSchema": OBJECT}, {"name": 3, "inputSchema": OBJECT}]

    async def work() -> None:
        async with connected(old=old(tmp_path, tools=odd, results={"good": text("Good.")})) as servers:
            (server,) = servers.servers
            assert (server.connected, server.problem) == (True, None)
            assert {tool.original for tool in server.tools} == {*KEPT, "good"}
            reasons = {tool.name: tool.reason for tool in server.skipped}
            for name, (_, reason) in SKIPPED.items():
                assert reason in reasons.pop(name), name
            assert reasons.pop("good") == "an earlier tool in the list has the same name."
            assert set(reasons.values()) == {"it is not an object.", "it has no name."}
            assert await call(servers, "old__good") == Result(["Good."])

    run(work())
    lines = [record.getMessage() for record in caplog.records if "is not offered" in record.getMessage()]
    assert len(lines) == len(set(lines))
    assert "The tool 'list' of the MCP server old is not offered: its inputSchema is not an object." in lines


def test_a_failed_page_of_a_list_keeps_the_earlier_pages(tmp_path: Path) -> None:
    async def work() -> None:
        async with connected(old=old(tmp_path, "a", "b", "c", quirk="pages")) as servers:
            assert names(servers) == ["old__a", "old__b"]
            assert [tool.name for tool in servers.servers[0].skipped] == ["page 2"]

    run(work())


# ---- lost connections ------------------------------------------------------------------------


def test_a_killed_server_is_restarted_and_its_call_is_not_repeated(tmp_path: Path) -> None:
    async def work() -> None:
        async with connected(old=old(tmp_path, "stay", "b", results={"b": text("back")})) as servers:
            before = servers.tools
            calling = asyncio.create_task(call(servers, "old__stay"))
            await until((tmp_path / "calls").exists)
            (pid,) = programs(tmp_path)
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(
                ToolError, match=r"^The MCP server old was lost during the call\. The tool may have run"
            ):
                await calling
            (server,) = servers.servers
            assert (server.connected, server.problem, servers.tools) == (False, "The connection was lost.", [])
            assert list(server.tools) == before
            with pytest.raises(ToolError, match=r"^The MCP server old is not connected\.$"):
                await before[0].call({}, CONTEXT)
            await until(lambda: servers.tools)
            assert servers.tools == before
            assert await before[0].call({}, CONTEXT) == Result(["back"])
            # The lost call is never repeated.
            assert (tmp_path / "calls").read_text().split() == ["stay", "b"]

    run(work())


def test_a_program_that_exits_during_a_call_is_started_again(tmp_path: Path) -> None:
    async def work() -> None:
        async with connected(old=old(tmp_path, "die")) as servers:
            assert "was lost during the call" in await error(servers, "old__die")
            assert "was lost during the call" in await error(servers, "old__die")

    run(work())


def test_a_program_that_supports_only_the_old_handshake_is_connected(tmp_path: Path) -> None:
    async def work() -> None:
        async with connected(old=old(tmp_path, results={"a": text("A")}, quirk="strict")) as servers:
            assert await call(servers, "old__a") == Result(["A"])

    run(work())


def test_unavailable_servers_report_the_reason_and_do_not_stop_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tertulia.tools.mcp.servers.START_SECONDS", 0.5)
    ending = "import sys; sys.exit(3)"

    async def work() -> None:
        async with connected(
            away=HttpServer(url="http://127.0.0.1:9/mcp?key=secret"),
            ends=StdioServer(command=sys.executable, args=["-S", "-c", ending, "secret"]),
            missing=StdioServer(command=str(tmp_path / "secret")),
            mute=old(tmp_path, quirk="mute"),
            there=old(tmp_path / "there", "a"),
        ) as servers:
            assert all((server.problem is None) == server.connected for server in servers.servers)
            await tool(servers, "there__a")
            await until(lambda: servers.servers[1].problem != connection.NOT_CONNECTED_YET)
            assert {server.name: server.problem for server in servers.servers} == {
                "away": "It cannot be reached.",
                "ends": "It exited or closed the connection.",
                "missing": "It cannot be started: No such file or directory.",
                "mute": "It has not responded yet.",
                "there": None,
            }

    run(work())


def test_connecting_to_a_program_that_never_responds_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.5)

    async def work() -> None:
        async with connected(mute=old(tmp_path, quirk="mute")) as servers:
            assert servers.servers[0].problem == "It did not respond within 30 seconds."

    run(work())


# ---- over HTTP -------------------------------------------------------------------------------


def web() -> Starlette:
    server = MCPServer("web", log_level="CRITICAL")

    async def grow(ctx: Context[Any, Any]) -> str:
        server.add_tool(lambda: "new", name="grown", description="Grew.")
        await ctx.notify_tools_changed()
        return "It grew."

    server.add_tool(grow)
    return server.streamable_http_app()


def bound(port: int = 0) -> socket.socket:
    """Return a socket that is bound to a port but does not listen yet."""
    socket_ = socket.socket()
    socket_.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    socket_.bind(("127.0.0.1", port))
    return socket_


@contextmanager
def served(app: ASGIApp, listening: socket.socket) -> Generator[None]:
    """Serve on that port; at the end, close all connections without waiting."""
    server = ThreadedServer(Config(app, log_config=None, timeout_graceful_shutdown=0))
    thread = threading.Thread(target=asyncio.run, args=(server.serve([listening]),), daemon=True)
    thread.start()
    try:
        assert server.listens.wait(START_SECONDS)
        yield
    finally:
        server.leave()
        thread.join(START_SECONDS)
        listening.close()


class OldWeb:
    """A hand-written HTTP server of the protocol before 2026, with sessions and without notifications."""

    def __init__(self) -> None:
        self.sessions: list[str] = []
        self.ended: list[str] = []
        self.seen: Headers | None = None
        self.status: int | None = None

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/mcp", self._answer, methods=["POST", "DELETE"])])

    async def _answer(self, request: Request) -> Response:
        self.seen = request.headers
        if self.status:
            return Response(status_code=self.status)
        session = request.headers.get("mcp-session-id")
        if session and session not in self.sessions:
            return Response(status_code=404)
        if session and request.method == "DELETE":
            self.ended.append(session)
            return Response(status_code=204)
        message = await request.json()
        if "id" not in message:
            return Response(status_code=202)
        results = {
            "initialize": {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "old", "version": "1"},
            },
            "tools/list": {"tools": [{"name": "session", "inputSchema": {"type": "object"}}]},
            "tools/call": {"content": [{"type": "text", "text": session}]},
        }
        if message["method"] not in results:
            return Response(status_code=400)
        if message["method"] == "initialize":
            session = f"session-{len(self.sessions)}"
            self.sessions.append(session)
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": results[message["method"]]}
        return JSONResponse(answer, headers={"mcp-session-id": session or ""})


def test_a_server_over_http_is_connected_once_it_starts_and_again_after_a_restart() -> None:
    async def work() -> None:
        listening = bound()
        port = listening.getsockname()[1]
        async with connected(web=HttpServer(url=f"http://127.0.0.1:{port}/mcp")) as servers:
            assert servers.servers[0].problem == "It cannot be reached."
            with served(web(), listening):
                await call(servers, "web__grow")
                assert await call(servers, "web__grown") == Result(["new"])
            await until(lambda: not servers.servers[0].connected)
            with served(web(), bound(port)):
                await tool(servers, "web__grow")
                assert names(servers) == ["web__grow"]

    run(work())


def test_a_forgotten_session_is_recreated_and_an_unused_session_is_ended() -> None:
    web = OldWeb()

    async def work(address: str) -> None:
        config = HttpServer(url=f"{address}/mcp", headers={"Authorization": "Bearer secret"})
        async with connected(web=config) as servers:
            assert await call(servers, "web__session") == Result(["session-0"])
            assert web.seen
            assert web.seen["authorization"] == "Bearer secret"
            web.sessions[0] = "forgotten"
            assert await error(servers, "web__session") == "Session terminated"
            await until(lambda: len(web.sessions) == 2)
            assert await call(servers, "web__session") == Result(["session-1"])
        assert web.ended == ["session-1"]

    with running(web.app(), lifespan="off") as address:
        run(work(address))


def test_a_server_over_http_is_checked_periodically(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CHECK_SECONDS", 0.05)
    web = OldWeb()

    async def work(address: str) -> None:
        async with connected(web=HttpServer(url=f"{address}/mcp?key=secret")) as servers:
            assert names(servers) == ["web__session"]
            web.status = 401
            await until(lambda: servers.servers[0].problem == "It responded with the HTTP status 401.")
            web.status = None
            await tool(servers, "web__session")

    with running(web.app(), lifespan="off") as address:
        run(work(address))


# ---- shutdown --------------------------------------------------------------------------------


@pytest.mark.parametrize("quirk", ["", "mute"], ids=["connected", "connecting"])
def test_closing_ends_all_programs(quirk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tertulia.tools.mcp.servers.START_SECONDS", 0.1)

    async def work() -> None:
        async with connected(old=old(tmp_path, "a", quirk=quirk), own=modern(tmp_path)):
            await until(lambda: programs(tmp_path))
        assert not programs(tmp_path)
        assert started(tmp_path)

    run(work())


def test_closing_at_any_time_during_the_start_ends_the_programs_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp.client.stdio.PROCESS_TERMINATION_TIMEOUT", 0.1)
    monkeypatch.setattr("mcp.client.stdio.FORCE_KILL_TIMEOUT", 0.1)
    config = StdioServer(command="sh", args=["-c", f"sleep 60 & touch '{tmp_path}'/$!.pid; wait"])

    async def work() -> None:
        for turns in range(10):
            servers = McpServers({"sh": config}, requires_approval=lambda _: False)
            starting = asyncio.create_task(servers.start())
            for _ in range(turns):
                await asyncio.sleep(0)
                # Advance the program further than the loop, as happens when the loop is busy.
                time.sleep(0.01)  # noqa: ASYNC251 - it keeps the loop busy
            await servers.close()
            assert not programs(tmp_path)
            starting.cancel()
        assert started(tmp_path)

    run(work())


def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tertulia.tools.mcp.servers.START_SECONDS", 0.1)
    monkeypatch.setattr("mcp.client.stdio.PROCESS_TERMINATION_TIMEOUT", 0.1)
    monkeypatch.setattr("mcp.client.stdio.FORCE_KILL_TIMEOUT", 0.1)
    stubborn = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1], f"{os.getpid()}.pid").touch()
while True:
    time.sleep(1)
"""

    async def work() -> None:
        config = StdioServer(command=sys.executable, args=["-S", "-c", stubborn, str(tmp_path)])
        async with connected(stubborn=config):
            await until(lambda: programs(tmp_path))
        assert not programs(tmp_path)

    run(work())


def test_closing_without_servers_or_before_the_start_raises_nothing() -> None:
    async def work() -> None:
        async with connected() as servers:
            assert (servers.servers, servers.tools) == ([], [])
        await McpServers({"time": TIME}, requires_approval=lambda _: False).close()

    run(work())


def test_connection_changes_are_logged_and_the_content_of_calls_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def work() -> None:
        config = old(tmp_path, "babble", "change", "die", "a", results={"a": text("a-result")})
        async with connected(old=config) as servers:
            await call(servers, "old__a", word="an-argument")
            await call(servers, "old__babble")
            await call(servers, "old__change")
            await tool(servers, "old__changed")
            await error(servers, "old__die")
            await tool(servers, "old__a")

    run(work())
    messages = [record.getMessage() for record in caplog.records if record.name == "tertulia.mcp"]
    assert messages == [
        "The MCP server old is connected, with 4 tools",
        "The tools of the MCP server old have changed; it has 5 now",
        "The connection to the MCP server old was lost; reconnecting",
        "The MCP server old is connected, with 4 tools",
    ]
    assert not re.search("a-result|an-argument|no JSON", caplog.text)


# ---- the configuration file ------------------------------------------------------------------


def written(folder: Path, servers: Any) -> Path:
    path = folder / "mcp.json"
    path.write_text(json.dumps({"mcpServers": servers}))
    return path


def test_the_file_configures_programs_and_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "t0k3n")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("NOWHERE", raising=False)
    servers = {
        "files": {
            "command": "${NOWHERE:-npx}",
            "args": ["-y", "server", "${TOKEN}"],
            "alwaysAllow": ["read"],
            "timeout": 5,
        },
        "typed": {
            "type": "stdio",
            "command": "run",
            "env": {"KEY": "a${TOKEN}${EMPTY:-b}"},
            "cwd": "/tmp",
            "args": None,
        },
        "web": {
            "type": "streamable-http",
            "url": "https://example.org/${EMPTY}mcp",
            "headers": {"Authorization": "Bearer ${TOKEN}"},
        },
        "short": {"url": "http://localhost:1/${NOWHERE:-}"},
        "off": {"disabled": True, "command": "${NOWHERE}"},
        "on": {"disabled": False, "type": "http", "url": "http://localhost/$TOKEN"},
    }
    assert read_config(written(tmp_path, servers)) == {
        "files": StdioServer(command="npx", args=["-y", "server", "t0k3n"]),
        "typed": StdioServer(command="run", env={"KEY": "at0k3nb"}, cwd="/tmp"),
        "web": HttpServer(
            type="streamable-http", url="https://example.org/mcp", headers={"Authorization": "Bearer t0k3n"}
        ),
        "short": HttpServer(url="http://localhost:1/"),
        "on": HttpServer(url="http://localhost/$TOKEN"),
    }
    assert "t0k3n" not in repr(read_config(written(tmp_path, servers)))


WRONG = {
    "sse": ({"type": "sse", "url": "http://a/"}, '`type` must be "http" (streamable HTTP) or "stdio"'),
    "odd type": ({"type": ["http"], "url": "http://a/"}, '`type` must be "http"'),
    "both": ({"command": "a", "url": "http://a/"}, "either `command` or `url` is required, but not both"),
    "neither": ({"args": []}, "either `command` or `url` is required, but not both"),
    "stdio by url": ({"type": "stdio", "url": "http://a/"}, '`command` is required if `type` is "stdio"'),
    "http by command": ({"type": "http", "command": "a"}, '`url` is required if `type` is "http"'),
    "command": ({"command": ["a"]}, "command: Input should be a valid string"),
    "no command": ({"command": ""}, "command: String should have at least 1 character"),
    "args": ({"command": "a", "args": "b"}, "args: Input should be a valid list"),
    "arg": ({"command": "a", "args": ["b", 1]}, "args.1: Input should be a valid string"),
    "env": ({"command": "a", "env": {"PORT": 80}}, "env.PORT: Input should be a valid string"),
    "cwd": ({"command": "a", "cwd": 1}, "cwd: Input should be a valid string"),
    "url": ({"url": "ftp://secret/"}, "url: must be an address that begins with http:// or https://"),
    "url without host": ({"url": "http://"}, "url: must be an address"),
    "header": ({"url": "http://a/", "headers": {"X-Key": "sec\nret"}}, "headers: the header 'X-Key'"),
    "header's name": ({"url": "http://a/", "headers": {"X Key": "a"}}, "headers: the header 'X Key'"),
    "disabled": ({"disabled": "yes", "command": "a"}, "disabled: Input should be a valid boolean"),
    "variable": ({"command": "a", "env": {"KEY": "${NOWHERE}"}}, "env: the environment variable NOWHERE is not set"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_invalid_server_is_refused_with_an_error_of_one_line(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    server, expected = WRONG[case]
    with pytest.raises(ValueError, match=re.escape(f'MCP server "mine": {expected}')) as raised:
        read_config(written(tmp_path, {"fine": {"command": "a"}, "mine": server}))
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (None, "the file cannot be read: No such file or directory"),
        ("{", "the file is not JSON: "),
        ("[]", "Input should be a valid dictionary"),
        ('{"servers": {}}', "mcpServers: Field required"),
        ('{"mcpServers": {"a": 1}}', "mcpServers.a: Input should be a valid dictionary"),
        ('{"mcpServers": {"a b": {"command": "a"}}}', 'MCP server "a b": the name must be 1 to 50 letters'),
        ('{"mcpServers": {"": {"command": "a"}}}', 'MCP server "": the name must be'),
    ],
)
def test_an_invalid_or_missing_file_is_refused(written: str | None, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    if written is not None:
        path.write_text(written)
    with pytest.raises(ValueError, match=re.escape(expected)) as raised:
        read_config(path)
    assert "\n" not in str(raised.value)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_bytes(b'\xef\xbb\xbf{"mcpServers": {}}')
    assert read_config(path) == {}


def test_a_program_gets_only_the_environment_in_its_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")

    async def work() -> None:
        async with connected(own=modern(tmp_path, env={"GIVEN": "here"})) as servers:
            assert await call(servers, "own__environment") == Result(["GIVEN=here ANTHROPIC_API_KEY=None"])

    run(work())
