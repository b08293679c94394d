"""Check what a Messages API server sends, once, where it comes in: pure, JSON in, JSON of known shapes out.

The README invites any server that speaks the Messages API, and gateways write null, omit fields or invent values. What
is null or absent becomes the natural empty value; what has another type, or a size that could not be stored, is
malformed and ends its answer alone. Source of the shapes: "Streaming Messages" in the Claude API documentation.
"""

import re
from collections.abc import Callable
from typing import Any

from tertulia.claude.deltas import DELTAS
from tertulia.json import Json, is_list, is_object

Check = Callable[[Any], Any]

TOOL_NAME = r"^[a-zA-Z0-9_-]{1,128}$"
"""The names that the Messages API accepts for a tool."""
MOST_BLOCKS = 100_000
MOST_TOKENS = 100_000_000
"""Of one count: a hundred times the largest window. A larger count is treated as absent."""
LONGEST_ID = 256
"""Characters; PostgreSQL indexes at most 2,700 bytes."""
LARGEST_INDEX = 2**31 - 1
"""Of a citation: GraphQL's `Int` has 32 bits."""
UNKNOWN_REASON = "unknown"
"""A reason to stop that is not a word."""


class Malformed(ValueError):
    """What was sent does not have the shape that the Messages API documents; the message names the place."""


def event_of(sent: Any) -> Json:
    """Return an event of a stream in its known shape; kinds that are not known are returned as they are.

    Raises:
        Malformed: The event is no object, or one of its fields has another type than documented.
    """
    if not is_object(sent) or not isinstance(kind := sent.get("type"), str):
        raise Malformed("event")
    match kind:
        case "content_block_delta":
            return {"type": kind, "index": _index(sent), "delta": _delta(sent.get("delta"))}
        case "content_block_start":
            return {"type": kind, "index": _index(sent), "content_block": block_of(sent.get("content_block"))}
        case "content_block_stop":
            return {"type": kind, "index": _index(sent)}
        case "message_start":
            message = _object(sent.get("message"))
            told = {name: value for name in ("id", "model") if isinstance(value := message.get(name), str)}
            return {"type": kind, "message": {**told, "usage": usage_in(message)}}
        case "message_delta":
            delta = _object(sent.get("delta"))
            end = {"stop_reason": reason_in(delta), "container": _container(delta.get("container"))}
            return {"type": kind, "delta": end, "usage": usage_in(sent)}
        case _:
            return sent


def message_of(sent: Any) -> Json:
    """Return an answer that came as a whole in its known shape, blocks that are malformed left out; raise Malformed."""
    if not is_object(sent):
        raise Malformed("message")
    blocks: list[Json] = []
    for block in _list(sent.get("content")):
        try:
            blocks.append(block_of(block))
        except Malformed:
            continue
    return {"content": blocks, "stop_reason": reason_in(sent), "usage": usage_in(sent)}


def block_of(sent: Any) -> Json:
    """Return a content block in its known shape; further fields, and kinds that are not known, stay as they are."""
    if not is_object(sent) or not isinstance(kind := sent.get("type"), str) or not 0 < len(kind) <= LONGEST_ID:
        raise Malformed("content_block")
    checks = _RESULT if kind.endswith("_result") else _BLOCKS.get(kind, {})
    return {**sent, **{name: check(sent.get(name)) for name, check in checks.items() if _is_checked(name, sent)}}


def reason_in(sent: Json) -> str | None:
    """Return the reason to stop; None where there is none yet."""
    reason = sent.get("stop_reason")
    if reason is None:
        return None
    return reason if isinstance(reason, str) and re.fullmatch(r"[\w-]{1,64}", reason) else UNKNOWN_REASON


def usage_in(sent: Json) -> Json:
    """Return the counts of tokens that are told and can be true, by Claude's names."""
    usage = sent.get("usage")
    return _counts(usage) if is_object(usage) else {}


def _counts(sent: Json) -> Json:
    found: Json = {}
    for name, value in sent.items():
        if name == "iterations":
            found[name] = [{**_counts(one), "type": str(one.get("type"))} for one in _list(value) if is_object(one)]
        elif is_object(value):
            found[name] = {key: count for key, count in value.items() if _is_count(count)}
        elif _is_count(value):
            found[name] = value
    return found


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS


def _index(sent: Json) -> int:
    index = sent.get("index")
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < MOST_BLOCKS:
        raise Malformed("index")
    return index


def _delta(sent: Any) -> Json:
    if not is_object(sent) or not isinstance(kind := sent.get("type"), str):
        raise Malformed("delta")
    if kind in DELTAS:
        name = DELTAS[kind][1]
        return {"type": kind, name: _text(sent.get(name))}
    match kind:
        case "signature_delta":
            return {"type": kind, "signature": _text(sent.get("signature"))}
        case "citations_delta":
            return {"type": kind, "citation": _citation(sent.get("citation"))}
        case "compaction_delta":
            return {**sent, "content": _text(sent.get("content"))}
        case _:
            return sent


def _text(sent: Any) -> str:
    if sent is None:
        return ""
    if not isinstance(sent, str):
        raise Malformed("text")
    return sent


def _text_or_none(sent: Any) -> str | None:
    return None if sent is None else _text(sent)


def _id(sent: Any) -> str:
    if not isinstance(sent, str) or not 0 < len(sent) <= LONGEST_ID or not sent.isprintable():
        raise Malformed("id")
    return sent


def _name(sent: Any) -> str:
    if not isinstance(sent, str) or not re.fullmatch(TOOL_NAME, sent):
        raise Malformed("name")
    return sent


def _object(sent: Any) -> Json:
    if sent is None:
        return {}
    if not is_object(sent):
        raise Malformed("object")
    return sent


def _citations(sent: Any) -> list[Json] | None:
    return None if sent is None else [_citation(one) for one in _array(sent)]


def _citation(sent: Any) -> Json:
    if not is_object(sent):
        raise Malformed("citation")
    for name in _PLACES:
        value = sent.get(name)
        if value is not None and not (isinstance(value, int) and 0 <= value <= LARGEST_INDEX):
            raise Malformed("citation")
    for name in ("document_title", "url", "source", "title"):
        _text(sent.get(name))
    return {**sent, "type": _text(sent.get("type")), "cited_text": _text(sent.get("cited_text"))}


def _container(sent: Any) -> Json | None:
    if not is_object(sent):
        return None
    id = sent.get("id")
    return {"id": id} if isinstance(id, str) and 0 < len(id) <= LONGEST_ID else None


def _array(sent: Any) -> list[Any]:
    if not is_list(sent):
        raise Malformed("array")
    return sent


def _list(sent: Any) -> list[Any]:
    return sent if is_list(sent) else []


def _is_checked(name: str, sent: Json) -> bool:
    return name in sent or name not in _OPTIONAL


_PLACES = tuple(f"{end}_{unit}" for end in ("start", "end") for unit in ("char_index", "page_number", "block_index"))
_CALL: dict[str, Check] = {"id": _id, "name": _name, "input": _object}
_RESULT: dict[str, Check] = {"tool_use_id": _id}
_OPTIONAL = ("citations", "signature", "content")
_BLOCKS: dict[str, dict[str, Check]] = {
    "text": {"text": _text, "citations": _citations},
    "thinking": {"thinking": _text, "signature": _text},
    "redacted_thinking": {"data": _text},
    "compaction": {"content": _text_or_none},
    "tool_use": _CALL,
    "server_tool_use": _CALL,
    "mcp_tool_use": _CALL,
}
"""The fields that each kind of block has, and how each is checked."""
