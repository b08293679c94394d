"""A tool's input schema is sent to Claude with all its properties, in the form that the Messages API accepts."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from client import Json
from conftest import Staged
from scripted import says
from test_mcp import OLD
from test_schemas import CREATE

from tertulia.tools import registry
from tertulia.tools.schemas import schema_for_claude

PAGE = {"type": "object", "properties": {"page": {"type": "string"}}, "required": ["page"]}
BASE = {"type": "object", "properties": {"base": {"type": "string"}, "page": {"type": "string"}}, "required": ["base"]}
BOTH = {"page": {"type": "string"}, "base": {"type": "string"}}


def converted(schema: Json) -> Json:
    result = schema_for_claude(schema)
    assert not result.keys() & {"anyOf", "oneOf", "allOf", "$ref", "$schema"}
    return result


@pytest.mark.parametrize(
    ("schema", "required", "words"),
    [
        ({"anyOf": [PAGE, BASE]}, None, "At least one of these sets of properties applies: page (required); or base (required), page."),
        ({"oneOf": [PAGE, BASE]}, None, "Exactly one of these sets of properties applies: page (required); or base (required), page."),
        ({"allOf": [PAGE, BASE]}, ["page", "base"], None),
        ({"type": "object", "anyOf": [{**PAGE, "required": ["page", "x"]}, {**BASE, "required": ["x"]}]}, ["x"], "page"),
        ({"$ref": "#/$defs/all", "$defs": {"all": {"allOf": [PAGE, {"$ref": "#/$defs/base"}]}, "base": BASE}}, ["page", "base"], None),
        ({"anyOf": [PAGE, BASE, {"type": "null"}], "additionalProperties": False}, None, "page (required)"),
        ({**PAGE, "description": "Finds.", "allOf": [{"anyOf": [BASE, True]}]}, ["page", "base"], "Finds."),
    ],
)  # fmt: skip
def test_parts_of_a_schema_are_merged(schema: Json, required: list[str] | None, words: str | None) -> None:
    merged = converted({"type": "object", **schema})
    assert merged["type"] == "object"
    assert merged["properties"] == BOTH
    assert sorted(merged.get("required", [])) == sorted(required or [])
    assert "additionalProperties" not in merged
    assert (words or "") in merged.get("description", "")


def test_a_property_with_several_schemas_accepts_each_of_them() -> None:
    kinds = [{"properties": {"kind": {"const": kind}, "size": {"type": "integer"}}} for kind in ("a", "b")]
    properties = converted({"type": "object", "oneOf": kinds})["properties"]
    assert properties == {"kind": {"anyOf": [{"const": "a"}, {"const": "b"}]}, "size": {"type": "integer"}}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}] * 3},
        {"$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}, "$ref": "#/$defs/d0"},
        {"$ref": "http://127.0.0.1:1/x"},
        {"$ref": "#/$defs/9/x~1y"},
        {"anyOf": 7, "allOf": {"a": 1}, "oneOf": None, "properties": [], "required": "a"},
    ],
    ids=["itself", "itself often", "doubling", "elsewhere", "nowhere", "no schema"],
)
def test_recursive_and_invalid_schemas_are_merged_within_limits(schema: Json) -> None:
    assert converted({"type": "object", **schema})["type"] == "object"


def test_a_plain_schema_is_not_changed() -> None:
    schema = {"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}}}
    assert json.dumps(schema_for_claude(schema)) == json.dumps(schema)


def test_all_properties_of_a_clients_tool_are_sent_to_claude(staged: Staged) -> None:
    stage = staged(says("Hi"))
    schema = {"type": "object", "anyOf": [PAGE, BASE]}
    tool = {"name": "look", "description": "Looks.", "inputSchema": schema}
    created = stage.api.ask(CREATE, input={"tools": {"client": [tool]}})["createConversation"]
    stage.api.answer("Hello", conversationId=created["conversation"]["id"])
    (sent,) = [tool_ for tool_ in stage.claude.requests[0]["tools"] if tool_["name"] == "look"]
    assert sent["input_schema"]["properties"] == BOTH
    query = "query ($id: ID!) { conversation(id: $id) { tools { client { inputSchema } } } }"
    stored_tools = stage.api.ask(query, id=created["conversation"]["id"])["conversation"]["tools"]["client"]
    assert stored_tools == [{"inputSchema": schema}]


def with_tools(folder: Path, tools: list[Any]) -> str:
    """Write a configuration with one MCP server that has these tools; return its path."""
    (folder / "tools.json").write_text(json.dumps(tools))
    (folder / "results.json").write_text("{}")
    (folder / "old.py").write_text(OLD)
    config = folder / "mcp.json"
    server = {"command": sys.executable, "args": ["-S", str(folder / "old.py"), str(folder), ""]}
    config.write_text(json.dumps({"mcpServers": {"m": server}}))
    return str(config)


def test_skipped_tools_are_listed_with_a_reason_and_the_others_are_offered(staged: Staged, tmp_path: Path) -> None:
    tools = [{"name": "good", "inputSchema": {"anyOf": [PAGE, BASE]}}, {"name": "bad", "inputSchema": []}]
    stage = staged(says("Hi"), mcp_config=with_tools(tmp_path, tools))
    listed = stage.api.ask("{ toolServers { connected problem tools skipped { name reason } } tools { name } }")
    assert listed["tools"] == [{"name": "m__good"}]
    skipped = [{"name": "bad", "reason": "its inputSchema is not an object."}]
    assert listed["toolServers"] == [{"connected": True, "problem": None, "tools": ["m__good"], "skipped": skipped}]
    stage.api.answer("Hello")
    assert stage.claude.requests[0]["tools"][0]["input_schema"]["properties"] == BOTH


def test_a_warning_is_logged_if_tools_use_many_tokens(
    staged: Staged, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "TOKENS_TO_WARN", 1000)
    tools = [{"name": f"t{n}", "description": "x" * 400, "inputSchema": {"type": "object"}} for n in range(30)]
    staged(says("Hi"), mcp_config=with_tools(tmp_path, tools))
    lines = [record.getMessage() for record in caplog.records if "to every request" in record.getMessage()]
    assert len(lines) == 1
    assert lines[0].startswith("30 tools add about 3,")
