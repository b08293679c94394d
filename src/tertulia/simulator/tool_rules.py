"""Validation of tools in requests to the simulated Claude, with the error messages of the Messages API.

Sources: "Tool use" and "Server tools" in the Claude API documentation, and the types of the SDK.
"""

import re
from typing import Any

import jsonschema_rs

from tertulia.json import Json, is_list, is_object
from tertulia.simulator.request_rules import (
    SERVER_RESULTS,
    WITHOUT_SERVER_TOOLS,
    as_blocks,
    check_block,
    check_cache_control,
    check_schema,
    forms_of,
    invalid,
    refusing_wrong_shapes,
)
from tertulia.simulator.tool_search import check_definitions, check_references
from tertulia.simulator.turns import Turn, turns_of

NAME = "^[a-zA-Z0-9_-]{1,128}$"
ID = "^[a-zA-Z0-9_-]+$"
SERVER_ID = "^srvtoolu_[a-zA-Z0-9_]+$"
PROPERTY = "^[a-zA-Z0-9_.-]{1,64}$"

DOMAIN = r"[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+(/\S*)?"
_KEYS_OF_ALL = {"type", "name", "cache_control", "allowed_callers", "defer_loading", "strict"}
_CUSTOM_KEYS = {*_KEYS_OF_ALL, "input_schema", "description", "eager_input_streaming", "input_examples"}
_FLAGS = ("strict", "defer_loading", "eager_input_streaming")
_SEARCH_KEYS = {*_KEYS_OF_ALL, "allowed_domains", "blocked_domains", "max_uses", "user_location"}
_FETCH_KEYS = {*_SEARCH_KEYS, "citations", "max_content_tokens", "url_sources"} - {"user_location"}
_CLIENT_KEYS = {*_KEYS_OF_ALL, "input_examples"}
_CODE = ("20250522", "20250825", "20260120", "20260521")
TYPES: dict[str, tuple[str, set[str]]] = {
    "web_search_20250305": ("web_search", _SEARCH_KEYS),
    "web_search_20260209": ("web_search", _SEARCH_KEYS),
    "web_search_20260318": ("web_search", {*_SEARCH_KEYS, "response_inclusion"}),
    "web_fetch_20250910": ("web_fetch", _FETCH_KEYS),
    "web_fetch_20260209": ("web_fetch", _FETCH_KEYS),
    "web_fetch_20260309": ("web_fetch", {*_FETCH_KEYS, "use_cache"}),
    "web_fetch_20260318": ("web_fetch", {*_FETCH_KEYS, "use_cache", "response_inclusion"}),
    **{f"code_execution_{version}": ("code_execution", _KEYS_OF_ALL) for version in _CODE},
    **{f"tool_search_tool_bm25{version}": ("tool_search_tool_bm25", _KEYS_OF_ALL) for version in ("", "_20251119")},
    **{f"tool_search_tool_regex{version}": ("tool_search_tool_regex", _KEYS_OF_ALL) for version in ("", "_20251119")},
    "bash_20250124": ("bash", _CLIENT_KEYS),
    "memory_20250818": ("memory", _CLIENT_KEYS),
    "text_editor_20250124": ("str_replace_editor", _CLIENT_KEYS),
    "text_editor_20250429": ("str_replace_based_edit_tool", _CLIENT_KEYS),
    "text_editor_20250728": ("str_replace_based_edit_tool", {*_CLIENT_KEYS, "max_characters"}),
}
"""The tools that Anthropic defines, by type: the required name and the allowed keys."""
_CHOICE_KEYS = {
    "auto": {"type", "disable_parallel_tool_use"},
    "any": {"type", "disable_parallel_tool_use"},
    "tool": {"type", "disable_parallel_tool_use", "name"},
    "none": {"type"},
}
NEVER_FORCED = ("claude-fable-5-2", "claude-opus-5-5", "claude-sonnet-5-5")
"""The models that do not support a `tool_choice` that forces a call."""
IN_RESULTS = ("text", "image", "document", "search_result", "tool_reference")


def check_tools(body: Json) -> None:
    """Raise Refused for invalid tool definitions, choices, calls or results. `request_rules.check` must have passed."""
    with refusing_wrong_shapes():
        if not isinstance(body.get("container") or "", str) and not is_object(body["container"]):
            raise invalid("container: Input should be a valid string")
        _check_definitions(body)
        _check_choice(body)
        _check_turns(body)


def _check_definitions(body: Json) -> None:
    tools: Any = body.get("tools", [])
    if not is_list(tools):
        raise invalid("tools: Input should be a valid list")
    for index, tool in enumerate(tools):
        if not is_object(tool):
            raise invalid(f"tools.{index}: Input should be a valid dictionary")
        kind = tool.get("type") or "custom"
        check_cache_control(f"tools.{index}.{kind}.cache_control", tool)
        if kind == "custom":
            _check_custom(f"tools.{index}.custom", tool)
        else:
            _check_anthropic_tool(body["model"], f"tools.{index}", kind, tool)
    if len({tool["name"] for tool in tools}) < len(tools):
        raise invalid("tools: Tool names must be unique.")
    check_definitions(tools)


def _check_anthropic_tool(model: str, path: str, kind: str, tool: Json) -> None:
    if kind not in TYPES:
        expected = ", ".join(f"'{tool_type}'" for tool_type in sorted([*TYPES, "custom"]))
        problem = "does not match any of the expected tags"
        raise invalid(f"{path}: Input tag '{kind}' found using 'type' {problem}: {expected}")
    name, keys = TYPES[kind]
    _check_keys(f"{path}.{kind}", tool, keys, ("name",))
    if tool["name"] != name:
        raise invalid(f"{path}.{kind}.name: Input should be '{name}'")
    if name in ("web_search", "web_fetch"):
        _check_web(f"{path}.{kind}", tool)
    if model in WITHOUT_SERVER_TOOLS and name in ("web_search", "code_execution"):
        raise invalid(f"'{model}' does not support tool types: {kind}.")


def _check_web(path: str, tool: Json) -> None:
    for name in ("allowed_domains", "blocked_domains"):
        domains: Any = tool.get(name) or []
        if not is_list(domains) or not all(
            isinstance(domain, str) and re.fullmatch(DOMAIN, domain) for domain in domains
        ):
            raise invalid(f"{path}.{name}: Input should be a valid list of domains without a scheme")
    if tool.get("allowed_domains") and tool.get("blocked_domains"):
        raise invalid(f"{path}: Cannot specify both allowed_domains and blocked_domains")
    uses: Any = tool.get("max_uses")
    if uses is not None and (not isinstance(uses, int) or uses < 1):
        raise invalid(f"{path}.max_uses: Input should be greater than 0")
    place: Any = tool.get("user_location")
    if place is not None and (not is_object(place) or place.get("type") != "approximate"):
        raise invalid(f"{path}.user_location.type: Input should be 'approximate'")


def _check_custom(path: str, tool: Json) -> None:
    _check_keys(path, tool, _CUSTOM_KEYS, ("name", "input_schema"))
    _check_pattern(f"{path}.name", tool["name"], NAME)
    if not isinstance(tool.get("description", ""), str):
        raise invalid(f"{path}.description: Input should be a valid string")
    for name in _FLAGS:
        if not isinstance(tool.get(name) or False, bool):
            raise invalid(f"{path}.{name}: Input should be a valid boolean")
    _check_input_schema(f"{path}.input_schema", tool["input_schema"])
    _check_examples(f"{path}.input_examples", tool)
    if tool.get("strict"):
        check_schema(tool["input_schema"], f"{path}.input_schema")


def _check_examples(path: str, tool: Json) -> None:
    examples: Any = tool.get("input_examples", [])
    if not is_list(examples) or not all(map(is_object, examples)):
        raise invalid(f"{path}: Input should be a valid list of dictionaries")
    if examples:
        validator = jsonschema_rs.validator_for(
            {key: value for key, value in tool["input_schema"].items() if key != "$schema"}
        )
        for index, example in enumerate(examples):
            if not validator.is_valid(example):
                raise invalid(f"{path}.{index}: Input example does not match the tool's input_schema")


def _check_input_schema(path: str, schema: Any) -> None:
    if not is_object(schema):
        raise invalid(f"{path}: Input should be a valid dictionary")
    if "type" not in schema:
        raise invalid(f"{path}.type: Field required")
    if schema["type"] != "object":
        raise invalid(f"{path}.type: Input should be 'object'")
    if schema.keys() & {"oneOf", "allOf", "anyOf"}:
        raise invalid(f"{path}: input_schema does not support oneOf, allOf, or anyOf at the top level")
    # The same draft applies to every schema, regardless of its `$schema`, and references are not fetched.
    if not jsonschema_rs.meta.is_valid({key: schema[key] for key in schema if key != "$schema"}):
        draft = "It must match JSON Schema draft 2020-12 (https://json-schema.org/draft/2020-12)"
        raise invalid(f"{path}: JSON schema is invalid. {draft}.")
    if not all(re.fullmatch(PROPERTY, name) for name in schema.get("properties", {})):
        raise invalid(f"{path}.properties: Property keys should match pattern '{PROPERTY}'")


def _check_choice(body: Json) -> None:
    if "tool_choice" not in body:
        return
    choice: Any = body["tool_choice"]
    if not is_object(choice):
        raise invalid("tool_choice: Input should be a valid dictionary")
    kind = choice.get("type")
    if kind not in _CHOICE_KEYS:
        problem = "does not match any of the expected tags: 'auto', 'any', 'tool', 'none'"
        raise invalid(f"tool_choice: Input tag '{kind}' found using 'type' {problem}")
    _check_keys(f"tool_choice.{kind}", choice, _CHOICE_KEYS[kind], ("name",) if kind == "tool" else ())
    if not isinstance(choice.get("disable_parallel_tool_use", False), bool):
        raise invalid(f"tool_choice.{kind}.disable_parallel_tool_use: Input should be a valid boolean")
    if not body.get("tools"):
        raise invalid("tool_choice may only be specified while providing tools.")
    if kind in ("any", "tool") and body["model"] in NEVER_FORCED:
        raise invalid(f"tool_choice.type: '{kind}' is not supported by {body['model']}")
    thinking: Json = body.get("thinking") or {}
    if kind in ("any", "tool") and (
        thinking.get("type") == "enabled"
        or (thinking.get("type") == "adaptive" and "disabled" in forms_of(body["model"]))
    ):
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")
    if kind == "tool" and choice["name"] not in [tool["name"] for tool in body["tools"]]:
        raise invalid(f"Tool '{choice['name']}' not found in provided tools")


def _check_turns(body: Json) -> None:
    turns = turns_of(body["messages"])
    if not body.get("tools") and any(turn.of("tool_use") or turn.of("tool_result") for turn in turns):
        raise invalid("Requests which include `tool_use` or `tool_result` blocks must define tools")
    call_ids: set[str] = set()
    previous = Turn("assistant", 0)
    for turn in turns:
        if turn.role == "assistant":
            _check_calls(turn, call_ids)
        else:
            _check_results(turn, previous)
        previous = turn
    if previous.of("tool_use"):
        raise _without_results(previous, [block["id"] for block in previous.of("tool_use")])
    _check_server_tools(turns, {tool["name"] for tool in body.get("tools", [])})
    check_references(turns, body.get("tools", []))


def _check_calls(turn: Turn, call_ids: set[str]) -> None:
    for path, block in turn.blocks:
        kind = block["type"]
        if kind == "tool_result":
            raise invalid(f"{path}: `tool_result` blocks can only be in `user` messages")
        if kind not in ("tool_use", "server_tool_use"):
            continue
        where = f"{path}.{kind}"
        _check_keys(where, block, set(block), ("id", "name", "input"))
        _check_pattern(f"{where}.id", block["id"], ID if kind == "tool_use" else SERVER_ID)
        if kind == "tool_use":
            _check_pattern(f"{where}.name", block["name"], NAME)
        elif block["name"] not in SERVER_RESULTS:
            expected = ", ".join(f"'{name}'" for name in SERVER_RESULTS)
            raise invalid(f"{where}.name: Input should be one of {expected}")
        if not is_object(block["input"]):
            raise invalid(f"{where}.input: Input should be a valid dictionary")
        if block["id"] in call_ids:
            raise invalid(f"{path}: `tool_use` ids must be unique")
        call_ids.add(block["id"])


def _check_results(turn: Turn, previous: Turn) -> None:
    called = [block["id"] for block in previous.of("tool_use")]
    answered: set[str] = set()
    only_results = True
    for path, block in turn.blocks:
        kind = block["type"]
        if kind in ("tool_use", "server_tool_use", *SERVER_RESULTS.values()):
            raise invalid(f"{path}: `{kind}` blocks can only be in `assistant` messages")
        if kind != "tool_result":
            only_results = False
            continue
        _check_result(f"{path}.tool_result", block)
        id = block["tool_use_id"]
        if id not in called:
            raise _unexpected(path, block, "`tool_use` block in the previous message")
        if id in answered:
            problem = "each tool_use must have a single result. Found multiple `tool_result` blocks with id"
            raise invalid(f"{path}: {problem}: {id}")
        if not only_results:
            # The API ignores results after other content, and reports them as missing.
            raise _without_results(previous, [id])
        answered.add(id)
    if missing := [id for id in called if id not in answered]:
        raise _without_results(previous, missing)


def _check_result(path: str, result: Json) -> None:
    _check_keys(path, result, set(result), ("tool_use_id",))
    _check_pattern(f"{path}.tool_use_id", result["tool_use_id"], ID)
    if not isinstance(result.get("is_error", False), bool):
        raise invalid(f"{path}.is_error: Input should be a valid boolean")
    content = result.get("content", "")
    if not isinstance(content, str) and not is_list(content):
        raise invalid(f"{path}.content: Input should be a valid string or a valid list")
    if content == "":
        return
    for index, block in enumerate(as_blocks(content)):
        where = f"{path}.content.{index}"
        if block.get("type") not in IN_RESULTS:
            expected = ", ".join(f"'{block_type}'" for block_type in IN_RESULTS)
            problem = "found using 'type' does not match any of the expected tags"
            raise invalid(f"{where}: Input tag '{block.get('type')}' {problem}: {expected}")
        check_block("user", where, block)


def _check_server_tools(turns: list[Turn], offered: set[str]) -> None:
    """Check that calls of server tools have results in the same turn. The results of client tools do not end a turn."""
    waiting: dict[str, str] = {}
    last_index = 0
    for turn in turns:
        if turn.role == "assistant":
            _match_server_results(turn, waiting)
            last_index = turn.last
        elif waiting and not turn.has_only_results:
            id, name = next(iter(waiting.items()))
            problem = f"was found without a corresponding `{SERVER_RESULTS[name]}` block"
            raise invalid(f"messages.{last_index}: `{name}` tool use with id `{id}` {problem}")
    for id, name in waiting.items():
        tool = "code_execution" if name.endswith("code_execution") else name
        if tool not in offered:
            problem = f"was found, but no `{tool}` tool was provided"
            raise invalid(f"messages.{last_index}: `{name}` tool use with id `{id}` {problem}")


def _match_server_results(turn: Turn, waiting: dict[str, str]) -> None:
    for path, block in turn.blocks:
        kind = block["type"]
        if kind == "server_tool_use":
            waiting[block["id"]] = block["name"]
        elif kind in SERVER_RESULTS.values():
            _check_keys(f"{path}.{kind}", block, set(block), ("tool_use_id", "content"))
            if SERVER_RESULTS.get(waiting.pop(block["tool_use_id"], "")) != kind:
                raise _unexpected(path, block, "`server_tool_use` block before it")


def _without_results(turn: Turn, ids: list[str]) -> Exception:
    problem = "`tool_use` ids were found without `tool_result` blocks immediately after"
    rule = "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    return invalid(f"messages.{turn.last}: {problem}: {', '.join(ids)}. {rule}")


def _unexpected(path: str, block: Json, expected: str) -> Exception:
    kind = block["type"]
    rule = f"Each `{kind}` block must have a corresponding {expected}."
    return invalid(f"{path}: unexpected `tool_use_id` found in `{kind}` blocks: {block['tool_use_id']}. {rule}")


def _check_keys(path: str, values: Json, allowed: set[str], required: tuple[str, ...]) -> None:
    for name in required:
        if name not in values:
            raise invalid(f"{path}.{name}: Field required")
    for name in values.keys() - allowed:
        raise invalid(f"{path}.{name}: Extra inputs are not permitted")


def _check_pattern(path: str, value: Any, pattern: str) -> None:
    if not isinstance(value, str):
        raise invalid(f"{path}: Input should be a valid string")
    if not re.fullmatch(pattern, value):
        raise invalid(f"{path}: String should match pattern '{pattern}'")
