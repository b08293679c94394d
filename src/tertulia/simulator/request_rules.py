"""Validation of requests to the simulated Claude, with the error messages of the Messages API."""

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tertulia.json import Json, is_list, is_object

# The display name, the context window in tokens, and the maximum number of output tokens.
MODELS = {
    "claude-opus-5-5": ("Claude Opus 5.5", 1_000_000, 128_000),
    "claude-sonnet-5-5": ("Claude Sonnet 5.5", 1_000_000, 128_000),
    "claude-haiku-5-5": ("Claude Haiku 5.5", 1_000_000, 128_000),
    "claude-fable-5-2": ("Claude Fable 5.2", 1_000_000, 128_000),
    "claude-opus-5": ("Claude Opus 5", 1_000_000, 128_000),
    "claude-sonnet-5": ("Claude Sonnet 5", 1_000_000, 128_000),
    "claude-haiku-4-5": ("Claude Haiku 4.5", 200_000, 64_000),
}
THINKING = {
    "claude-sonnet-5-5": ("adaptive", "between_tools"),
    "claude-opus-5": ("adaptive", "disabled"),
    "claude-sonnet-5": ("adaptive", "disabled"),
    "claude-haiku-4-5": ("enabled", "disabled"),
}
"""The types of thinking that a model supports. Other models support only `adaptive`."""
FALLBACKS = {
    "claude-opus-5-5": ("claude-opus-5", "claude-sonnet-5"),
    "claude-fable-5-2": ("claude-opus-5-5", "claude-opus-5"),
}
"""The models that may continue an answer of a model after a refusal, inside the API."""
FORMS = ("adaptive", "between_tools", "disabled", "enabled")
WITHOUT_SERVER_TOOLS = ("claude-haiku-4-5",)
MIN_BUDGET = 1024
MAX_BREAKPOINTS = 4
EDITS = ("clear_thinking_20251015", "clear_tool_uses_20250919", "compact_20260112")
EFFORTS = ("low", "medium", "high", "xhigh", "max")
TOP_LEVEL = {
    *("model", "max_tokens", "messages", "system", "stream", "stop_sequences", "metadata", "thinking", "tools"),
    *("tool_choice", "cache_control", "output_config", "service_tier", "container", "diagnostics", "inference_geo"),
    *(
        "speed",
        "user_profile_id",
        "workspace_id",
        "compaction",
        "context_management",
        "fallbacks",
        "fallback_credit_token",
    ),
}
SERVER_RESULTS = {
    "web_search": "web_search_tool_result",
    "web_fetch": "web_fetch_tool_result",
    "code_execution": "code_execution_tool_result",
    "bash_code_execution": "bash_code_execution_tool_result",
    "text_editor_code_execution": "text_editor_code_execution_tool_result",
    "tool_search_tool_regex": "tool_search_tool_result",
    "tool_search_tool_bm25": "tool_search_tool_result",
}
"""The server tools, and the types of their result blocks."""
PAUSED = ("server_tool_use", *SERVER_RESULTS.values())
"""The types of blocks with which a paused turn ends. Claude continues such a turn."""
BLOCK_KEYS = {
    **{kind: {"type", "tool_use_id", "content", "cache_control"} for kind in SERVER_RESULTS.values()},
    **{
        f"web_{name}_tool_result": {"type", "tool_use_id", "content", "cache_control", "caller"}
        for name in ("search", "fetch")
    },
    "server_tool_use": {"type", "id", "name", "input", "cache_control", "caller"},
    "text": {"type", "text", "citations", "cache_control"},
    "thinking": {"type", "thinking", "signature"},
    "redacted_thinking": {"type", "data"},
    "tool_use": {"type", "id", "name", "input", "cache_control", "caller", "toolset_name"},
    "image": {"type", "source", "cache_control"},
    "document": {"type", "source", "title", "context", "citations", "cache_control"},
    "search_result": {"type", "source", "title", "content", "citations", "cache_control"},
    "fallback": {"type", "from", "to", "trigger"},
    "compaction": {"type", "content", "encrypted_content", "signature", "tool_changes", "cache_control"},
    "tool_result": {"type", "tool_use_id", "content", "is_error", "cache_control", "toolset_name"},
}


class Refused(Exception):
    """A request that the Messages API would refuse."""

    def __init__(
        self, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message
        self.headers, self.code = headers or {}, code


def invalid(message: str) -> Refused:
    """Return the error of an invalid request."""
    return Refused(400, "invalid_request_error", message)


@contextmanager
def refusing_wrong_shapes() -> Generator[None]:
    """Raise Refused for values of a wrong type that no rule checks."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, IndexError):
        raise invalid("Input should be a valid dictionary") from None


def check(body: Json) -> None:
    """Raise Refused for an invalid request. `simulator.tool_rules` checks its tools, and `signatures` its thinking."""
    with refusing_wrong_shapes():
        _check(body)


def _check(body: Json) -> None:
    for name in body:
        if name in ("temperature", "top_p", "top_k"):
            raise invalid(f"{name}: this parameter is not supported")
        if name not in TOP_LEVEL:
            raise invalid(f"{name}: Extra inputs are not permitted")
    for name in ("model", "max_tokens", "messages"):
        if name not in body:
            raise invalid(f"{name}: Field required")
    if body["model"] not in MODELS:
        raise Refused(404, "not_found_error", f"model: {body['model']}")
    _check_max_tokens(body)
    _check_options(body)
    check_cache_control("cache_control", body)
    for index, block in enumerate(as_blocks(body.get("system") or [])):
        check_cache_control(f"system.{index}.cache_control", block)
    _check_messages(body)
    _check_citations(body)
    if json.dumps(body).count('"cache_control"') > MAX_BREAKPOINTS:
        raise invalid(f"A maximum of {MAX_BREAKPOINTS} blocks with cache_control may be provided")


def _check_citations(body: Json) -> None:
    for kind in ("document", "search_result"):
        if len({cites(block) for block in _all_blocks(body) if block["type"] == kind}) > 1:
            raise invalid(f"messages: citations must be enabled for all `{kind}` blocks, or for none")


def model_info(model_id: str) -> Json:
    """Return a model as `/v1/models` describes it."""
    name, max_input, max_output = MODELS[model_id]
    return {
        "type": "model",
        "id": model_id,
        "display_name": f"{name} (simulated)",
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": max_input,
        "max_tokens": max_output,
        "allowed_fallback_models": list(FALLBACKS.get(model_id, ())),
        "capabilities": _capabilities(model_id),
    }


def _capabilities(model_id: str) -> Json:
    efforts = EFFORTS if model_id != "claude-haiku-4-5" else ()
    has_server_tools = model_id not in WITHOUT_SERVER_TOOLS
    tools = {name: _support(supported=has_server_tools) for name in ("code_execution", "web_search")}
    return {
        "batch": _support(supported=False),
        "citations": _support(supported=True),
        "compaction": _compaction(model_id),
        "code_execution": _support(supported=False),
        "context_management": {"supported": True, **{edit: _support(supported=True) for edit in EDITS}},
        "effort": {"supported": bool(efforts), **{name: _support(supported=name in efforts) for name in EFFORTS}},
        "image_input": _support(supported=True),
        "pdf_input": _support(supported=True),
        "server_tools": {"supported": has_server_tools, **tools},
        "structured_outputs": _support(supported=True),
        "thinking": {
            "supported": True,
            "types": {form: _support(supported=form in forms_of(model_id)) for form in FORMS},
        },
    }


def _compaction(model_id: str) -> Json:
    is_supported = model_id != "claude-haiku-4-5"
    return {"supported": is_supported, "summarize": _support(supported=is_supported)}


def _support(*, supported: bool) -> Json:
    return {"supported": supported}


def forms_of(model_id: str) -> tuple[str, ...]:
    """Return the types of thinking that a model supports."""
    return THINKING.get(model_id, ("adaptive",))


def _check_max_tokens(body: Json) -> None:
    tokens = body["max_tokens"]
    if not isinstance(tokens, int) or isinstance(tokens, bool):
        raise invalid("max_tokens: Input should be a valid integer")
    if tokens < 1:
        raise invalid("max_tokens: Input should be greater than or equal to 1")
    max_tokens = MODELS[body["model"]][2]
    if tokens > max_tokens:
        model = body["model"]
        raise invalid(
            f"max_tokens: {tokens} > {max_tokens}, which is the maximum allowed number of output tokens for {model}"
        )


def _check_options(body: Json) -> None:
    thinking = body.get("thinking")
    if thinking is not None:
        if thinking.get("type") not in FORMS:
            raise invalid("thinking.type: Input should be 'adaptive', 'between_tools', 'disabled' or 'enabled'")
        if thinking["type"] == "enabled":
            budget = thinking.get("budget_tokens", 0)
            if budget < MIN_BUDGET:
                raise invalid(f"thinking.enabled.budget_tokens: Input should be greater than or equal to {MIN_BUDGET}")
            if budget >= body["max_tokens"]:
                raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`")
        if thinking["type"] not in forms_of(body["model"]):
            raise invalid(f"thinking.type: '{thinking['type']}' is not supported by {body['model']}")
    output_config: Json = body.get("output_config") or {}
    if "format" in output_config:
        check_schema(output_config["format"].get("schema"))
        if any(block.get("citations") for block in _all_blocks(body)):
            raise invalid("output_config.format: citations cannot be enabled together with structured outputs")
    effort = output_config.get("effort")
    if effort is not None and effort not in EFFORTS:
        raise invalid(f"output_config.effort: Input should be one of {', '.join(EFFORTS)}")


def check_schema(schema: Any, path: str = "output_config.format.schema") -> None:
    """Raise Refused for a schema in which an object allows additional properties."""
    keywords: Json = schema
    if keywords.get("type") == "object" and keywords.get("additionalProperties") is not False:
        raise invalid(f"{path}: For 'object' type, 'additionalProperties' must be explicitly set to false")
    for name in ("properties", "$defs"):
        schemas: Json = keywords.get(name) or {}
        for key, nested in schemas.items():
            check_schema(nested, f"{path}.{name}.{key}")
    if "items" in keywords:
        check_schema(keywords["items"], f"{path}.items")


def _check_messages(body: Json) -> None:
    messages: list[Json] = body["messages"]
    if not messages:
        raise invalid("messages: at least one message is required")
    begins_with_summary = as_blocks(messages[0].get("content") or [{}])[0].get("type") == "compaction"
    if messages[0].get("role") != "user" and not begins_with_summary:
        raise invalid('messages: first message must use the "user" role')
    for index, message in enumerate(messages):
        _check_message(f"messages.{index}", message)
    _check_open_turn(body)
    paused = as_blocks(messages[-1]["content"])[-1]["type"] in PAUSED
    if messages[-1]["role"] != "user" and not paused and "compaction" not in body:
        raise invalid(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )


def _check_open_turn(body: Json) -> None:
    """Check that with a budget, a turn of Claude whose tool results are sent begins with thinking."""
    messages: list[Json] = body["messages"]
    thinking: Json = body.get("thinking") or {}
    if thinking.get("type") != "enabled" or messages[-1]["role"] != "user":
        return
    first = None
    for index in range(len(messages) - 1, -1, -1):
        if messages[index]["role"] == "assistant":
            first = index
        elif as_blocks(messages[index]["content"])[0]["type"] != "tool_result":
            break
    if first is not None:
        kind = as_blocks(messages[first]["content"])[0]["type"]
        if kind not in ("thinking", "redacted_thinking"):
            rule = "When `thinking` is enabled, a final `assistant` message must start with a thinking block"
            problem = f"Expected `thinking` or `redacted_thinking`, but found `{kind}`. {rule}."
            raise invalid(f"messages.{first}.content.0.type: {problem}")


def as_blocks(content: str | Sequence[Json]) -> list[Json]:
    """Return content as a list of blocks. A string is one text block."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def cites(block: Json) -> bool:
    """Return whether citations are enabled for a document or a search result."""
    citations: Json = block.get("citations") or {}
    return bool(citations.get("enabled"))


def _all_blocks(body: Json) -> Iterator[Json]:
    """Yield the blocks of all messages, also those in results of tools."""
    for message in body["messages"]:
        for block in as_blocks(message["content"]):
            yield block
            # `simulator.tool_rules` refuses results of other types.
            if block["type"] == "tool_result" and is_list(block.get("content")):
                yield from filter(is_object, block["content"])


def _check_message(path: str, message: Json) -> None:
    if message.get("role") not in ("user", "assistant"):
        raise invalid(f"{path}.role: Input should be 'user' or 'assistant'")
    if "content" not in message:
        raise invalid(f"{path}.content: Field required")
    for name in message.keys() - {"role", "content"}:
        raise invalid(f"{path}.{name}: Extra inputs are not permitted")
    if message["content"] in ("", []):
        raise invalid(f"{path}: all messages must have non-empty content")
    for index, block in enumerate(as_blocks(message["content"])):
        check_block(message["role"], f"{path}.content.{index}", block)


def check_cache_control(path: str, holder: Json) -> None:
    """Raise Refused if `cache_control` is invalid."""
    control: Json = holder.get("cache_control") or {}
    if control and (control.get("type") != "ephemeral" or control.get("ttl", "5m") not in ("5m", "1h")):
        raise invalid(f"{path}: Input should be of the type 'ephemeral', with a ttl of '5m' or '1h'")


def check_block(role: str, path: str, block: Json) -> None:
    """Raise Refused for a block that is invalid in a message of a role."""
    kind = block.get("type")
    if not isinstance(kind, str):
        raise invalid(f"{path}: Unable to extract tag using discriminator 'type'")
    for name in block.keys() - BLOCK_KEYS.get(kind, set(block)):
        raise invalid(f"{path}.{kind}.{name}: Extra inputs are not permitted")
    check_cache_control(f"{path}.{kind}.cache_control", block)
    if kind == "text":
        if not block["text"]:
            raise invalid("messages: text content blocks must be non-empty")
        if not block["text"].strip():
            raise invalid("messages: text content blocks must contain non-whitespace text")
    if kind == "search_result":
        _check_search_result(path, block)
    if kind in ("image", "document", "search_result") and role == "assistant":
        raise invalid(f"{path}: `{kind}` blocks are not permitted within assistant turns.")


def _check_search_result(path: str, block: Json) -> None:
    for name in ("source", "title", "content"):
        if not block.get(name):
            raise invalid(f"{path}.search_result.{name}: Field required")
    if any(part.get("type") != "text" or not part["text"].strip() for part in block["content"]):
        raise invalid(f"{path}.search_result.content: text content blocks must contain non-whitespace text")
