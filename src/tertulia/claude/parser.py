"""Validate the responses of a Messages API server when they are received, and return JSON of known shapes.

Any server that implements the Messages API can be used. Some gateways write null, omit fields or invent values. A value
that is null or absent becomes the empty value of its type. A value of another type, or one that is too large to be
stored, is malformed, and the answer fails. Source of the shapes: "Streaming Messages" in the Claude API documentation.
"""

import re
from collections.abc import Callable
from typing import Any

from tertulia.claude.deltas import DELTAS
from tertulia.json import Json, clean_text, is_list, is_object

Check = Callable[[Any], Any]

TOOL_NAME = r"^[a-zA-Z0-9_-]{1,128}$"
"""The names that the Messages API accepts for a tool."""
MOST_BLOCKS = 100_000
"""The maximum number of content blocks in a response."""
MOST_TOKENS = 100_000_000
"""The largest valid token count: a hundred times the largest context window. A larger count is ignored."""
LONGEST_ID = 256
"""The maximum length of an id in characters: PostgreSQL indexes at most 2,700 bytes."""
LARGEST_INDEX = 2**31 - 1
"""The largest index in a citation: GraphQL's `Int` has 32 bits."""
REFUSAL = "refusal"
"""The stop reason of an answer that Claude refused to write, or to complete."""
LONGEST_EXPLANATION = 2000
"""The length in characters to which Claude's explanation of a refusal is truncated."""
WORDS = ("speed", "service_tier", "inference_geo")
"""The fields of `usage` that are words."""
MOST_EDITS = 20
"""The most edits of the context that are read from one response."""
UNKNOWN_REASON = "unknown"
"""The stop reason that replaces one which is not a word of up to 64 characters."""


class Malformed(ValueError):
    """A value does not have the shape that the Messages API documents. The message names the field."""


def event_of(event: Any) -> Json:
    """Return an event of a stream in its documented shape. Events of unknown types are returned unchanged.

    Raises:
        Malformed: The event is not an object, or the type of a field is not as documented.
    """
    if not is_object(event) or not isinstance(kind := event.get("type"), str):
        raise Malformed("event")
    match kind:
        case "content_block_delta":
            return {"type": kind, "index": _index(event), "delta": _delta(event.get("delta"))}
        case "content_block_start":
            return {"type": kind, "index": _index(event), "content_block": block_of(event.get("content_block"))}
        case "content_block_stop":
            return {"type": kind, "index": _index(event)}
        case "message_start":
            message = _object(event.get("message"))
            metadata = {name: value for name in ("id", "model") if _is_id(value := message.get(name))}
            changes = [item for item in _list(message.get("input_transformations")) if is_object(item)]
            start = {**metadata, "usage": usage_in(message), "input_transformations": changes, **report_in(message)}
            return {"type": kind, "message": start}
        case "message_delta":
            delta = _object(event.get("delta"))
            end = {"stop_reason": reason_in(delta), "container": _container(delta.get("container"))}
            end |= {"stop_details": refusal_in(delta)}
            if isinstance(sequence := delta.get("stop_sequence"), str):
                end["stop_sequence"] = sequence[:LONGEST_ID]
            return {"type": kind, "delta": end, "usage": usage_in(event), **report_in(event)}
        case _:
            return event


def message_of(message: Any) -> Json:
    """Return a response that was not streamed in its documented shape, without malformed blocks. Raise Malformed."""
    if not is_object(message):
        raise Malformed("message")
    blocks: list[Json] = []
    for block in _list(message.get("content")):
        try:
            blocks.append(block_of(block))
        except Malformed:
            continue
    return {"content": blocks, "stop_reason": reason_in(message), "usage": usage_in(message)}


def block_of(block: Any) -> Json:
    """Return a content block in its documented shape. Other fields, and blocks of unknown types, are unchanged.

    Raises:
        Malformed: The block is not an object, or a field is not as documented.
    """
    if not is_object(block) or not isinstance(kind := block.get("type"), str) or not 0 < len(kind) <= LONGEST_ID:
        raise Malformed("content_block")
    checks = _RESULT if kind.endswith("_result") else _BLOCKS.get(kind, {})
    return {**block, **{name: check(block.get(name)) for name, check in checks.items() if _is_checked(name, block)}}


def reason_in(message: Json) -> str | None:
    """Return the stop reason; None if the message has none yet."""
    reason = message.get("stop_reason")
    if reason is None:
        return None
    return reason if isinstance(reason, str) and _is_word(reason) else UNKNOWN_REASON


def report_in(message: Json) -> Json:
    """Return why the cache was missed, and which edits of the context were applied, if the API reports it.

    Values in unknown forms are left out, because they are only shown.
    """
    report: Json = {}
    diagnostics, managed = message.get("diagnostics"), message.get("context_management")
    miss = diagnostics.get("cache_miss_reason") if is_object(diagnostics) else None
    if is_object(miss) and _is_word(kind := miss.get("type")):
        report["cache_miss"] = {"type": kind, **_counts({"tokens": miss.get("cache_missed_input_tokens")})}
    edits = _list(managed.get("applied_edits")) if is_object(managed) else []
    applied = [edit for edit in edits if is_object(edit) and _is_word(edit.get("type"))]
    if applied:
        report["edits"] = [{"type": edit["type"], **_counts(edit)} for edit in applied[:MOST_EDITS]]
    return report


def refusal_in(message: Json) -> Json | None:
    """Return why Claude refused, as `stop_details` of a message or event reports it; None if it reports nothing."""
    details = message.get("stop_details")
    if not is_object(details):
        return None
    texts = {name: text for name in _REFUSAL if isinstance(text := details.get(name), str) and text}
    return {name: clean_text(text)[:LONGEST_EXPLANATION] for name, text in texts.items()} or None


def usage_in(message: Json) -> Json:
    """Return the valid token counts of a message or event, by the API's names."""
    usage = message.get("usage")
    return _counts(usage) if is_object(usage) else {}


def _counts(usage: Json) -> Json:
    counts: Json = {}
    for name, value in usage.items():
        if name == "iterations":
            counts[name] = [
                {**_counts(iteration), "type": str(iteration.get("type")), "model": _model(iteration)}
                for iteration in _list(value)
                if is_object(iteration)
            ]
        elif is_object(value):
            counts[name] = {key: count for key, count in value.items() if _is_count(count)}
        elif (name in WORDS and _is_word(value)) or _is_count(value):
            counts[name] = value
    return counts


def _model(iteration: Json) -> str | None:
    model = iteration.get("model")
    return model if isinstance(model, str) and 0 < len(model) <= LONGEST_ID else None


def _is_word(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[\w-]{1,64}", value) is not None


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_ID and value.isprintable()


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS


def _index(event: Json) -> int:
    index = event.get("index")
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < MOST_BLOCKS:
        raise Malformed("index")
    return index


def _delta(delta: Any) -> Json:
    if not is_object(delta) or not isinstance(kind := delta.get("type"), str):
        raise Malformed("delta")
    if kind in DELTAS:
        name = DELTAS[kind][1]
        return {"type": kind, name: _text(delta.get(name))}
    match kind:
        case "signature_delta":
            return {"type": kind, "signature": _text(delta.get("signature"))}
        case "citations_delta":
            return {"type": kind, "citation": _citation(delta.get("citation"))}
        case "compaction_delta":
            return {**delta, "content": _text(delta.get("content"))}
        case _:
            return delta


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed("text")
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _id(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID or not value.isprintable():
        raise Malformed("id")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(TOOL_NAME, value):
        raise Malformed("name")
    return value


def _object(value: Any) -> Json:
    if value is None:
        return {}
    if not is_object(value):
        raise Malformed("object")
    return value


def _citations(value: Any) -> list[Json] | None:
    return None if value is None else [_citation(citation) for citation in _array(value)]


def _citation(citation: Any) -> Json:
    if not is_object(citation):
        raise Malformed("citation")
    for name in _CITATION_INDEXES:
        value = citation.get(name)
        if value is not None and not (isinstance(value, int) and 0 <= value <= LARGEST_INDEX):
            raise Malformed("citation")
    for name in ("document_title", "url", "source", "title"):
        _text(citation.get(name))
    return {**citation, "type": _text(citation.get("type")), "cited_text": _text(citation.get("cited_text"))}


def _container(value: Any) -> Json | None:
    if not is_object(value):
        return None
    id = value.get("id")
    return {"id": id} if isinstance(id, str) and 0 < len(id) <= LONGEST_ID else None


def _array(value: Any) -> list[Any]:
    if not is_list(value):
        raise Malformed("array")
    return value


def _list(value: Any) -> list[Any]:
    return value if is_list(value) else []


def _is_checked(name: str, block: Json) -> bool:
    return name in block or name not in _OPTIONAL


_CITATION_INDEXES = tuple(
    f"{end}_{unit}" for end in ("start", "end") for unit in ("char_index", "page_number", "block_index")
)


def _fallback(value: Any) -> Json:
    model = _id(_object(value).get("model"))
    return {"model": model}


_REFUSAL = ("category", "explanation", "fallback_credit_token")
_CALL: dict[str, Check] = {"id": _id, "name": _name, "input": _object}
_RESULT: dict[str, Check] = {"tool_use_id": _id}
_OPTIONAL = ("citations", "signature", "content")
_BLOCKS: dict[str, dict[str, Check]] = {
    "text": {"text": _text, "citations": _citations},
    "thinking": {"thinking": _text, "signature": _text},
    "redacted_thinking": {"data": _text},
    "compaction": {"content": _text_or_none},
    "fallback": {"from": _fallback, "to": _fallback, "trigger": _object},
    "tool_use": _CALL,
    "server_tool_use": _CALL,
    "mcp_tool_use": _CALL,
}
"""The fields of each type of block, and their checks."""
