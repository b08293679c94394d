"""Adapt requests to what a provider accepts. This module does no I/O."""

from collections.abc import Sequence

from tertulia.claude.errors import ErrorCode, GenerationError, StreamError
from tertulia.claude.providers import SERVER_TOOLS, ModelName, Platform
from tertulia.json import Json

_RESULTS = {
    "web_search": ("web_search_tool_result",),
    "web_fetch": ("web_fetch_tool_result",),
    "code_execution": (
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
    ),
}
"""The types of the result blocks of Claude's own tools."""
NEWER_FIELDS = ("allowed_callers", "response_inclusion")
"""The fields that earlier versions of Claude's own tools do not have."""
ANTHROPICS_OWN = ("betas", "fallbacks", "fallback_credit_token", "speed", "service_tier", "diagnostics")


def adapted(request: Json, model: ModelName) -> Json:
    """Return the request as the provider of its model accepts it, under the provider's name of the model.

    Raises:
        StreamError: The request must stay in a region, and the provider has no parameter for it.
    """
    platform = model.platform
    request = {**request, "model": model.name}
    if platform.betas is not None:
        request = _without_betas(request, platform, platform.betas)
    unavailable = [name for name in SERVER_TOOLS if name not in platform.server_tools]
    if unavailable:
        request = _without_server_tools(request, unavailable)
    if platform.tool_versions and "tools" in request:
        request["tools"] = [_in_version(tool, platform) for tool in request["tools"]]
    if not platform.caches_automatically and "cache_control" in request:
        request = _with_explicit_breakpoint(request)
    return request


def _without_betas(request: Json, platform: Platform, supported: frozenset[str]) -> Json:
    """Remove the betas that the provider does not have, and the fields that only Anthropic's own services have."""
    if request.get("inference_geo") is not None:
        message = f"{platform.title} does not support `inference_geo`. Its own region decides where Claude runs."
        raise StreamError(GenerationError(ErrorCode.INVALID_REQUEST, message))
    remaining = {name: value for name, value in request.items() if name not in ANTHROPICS_OWN}
    for name, part in (("thinking", "block_binding"), ("output_config", "task_budget")):
        if part in request.get(name, {}):
            remaining[name] = {key: value for key, value in request[name].items() if key != part}
    betas = [beta for beta in request.get("betas", ()) if beta in supported]
    return {name: value for name, value in remaining.items() if value != {}} | ({"betas": betas} if betas else {})


def _without_server_tools(request: Json, unavailable: Sequence[str]) -> Json:
    """Remove tools that the provider does not run, and their calls and results in what another provider answered."""
    adapted_request = {name: value for name, value in request.items() if name not in ("tools", "tool_choice")}
    tools = [tool for tool in request.get("tools") or () if "input_schema" in tool or tool["name"] not in unavailable]
    if tools:
        adapted_request["tools"] = tools
    choice: Json = request.get("tool_choice") or {}
    if tools and choice and choice.get("name", tools[0]["name"]) in {tool["name"] for tool in tools}:
        adapted_request["tool_choice"] = choice
    if "code_execution" in unavailable:
        adapted_request.pop("container", None)
    dropped = {kind for name in unavailable for kind in _RESULTS[name]}
    messages = [_without(message, dropped) for message in request["messages"]]
    adapted_request["messages"] = [message for message in messages if message["content"]]
    return adapted_request


def _without(message: Json, dropped: set[str]) -> Json:
    blocks: list[Json] = message["content"]
    call_ids = {block["tool_use_id"] for block in blocks if block["type"] in dropped}
    if not call_ids:
        return message
    content = [
        _without_web_citations(block)
        for block in blocks
        if block["type"] not in dropped and not (block["type"] == "server_tool_use" and block["id"] in call_ids)
    ]
    return {**message, "content": content}


def _without_web_citations(block: Json) -> Json:
    # They refer to search results by an encrypted index.
    citations: list[Json] = block.get("citations") or []
    other_citations = [citation for citation in citations if citation.get("type") != "web_search_result_location"]
    if len(other_citations) == len(citations):
        return block
    others = {name: value for name, value in block.items() if name != "citations"}
    return {**others, "citations": other_citations} if other_citations else others


def _in_version(tool: Json, platform: Platform) -> Json:
    version = None if "input_schema" in tool else platform.tool_versions.get(tool["name"])
    if version is None:
        return tool
    return {name: value for name, value in tool.items() if name not in NEWER_FIELDS} | {"type": version}


def _with_explicit_breakpoint(request: Json) -> Json:
    """Move the breakpoint of the cache from the request to its last block."""
    request = dict(request)
    control = request.pop("cache_control")
    *messages, last = request["messages"]
    *blocks, block = last["content"]
    request["messages"] = [*messages, {**last, "content": [*blocks, {"cache_control": control, **block}]}]
    return request
