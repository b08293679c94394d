"""Change requests that Claude's API would refuse because of their combination of parts. This module does no I/O."""

from collections.abc import Container, Sequence
from itertools import count

from tertulia.claude.continuation import THINKING
from tertulia.claude.prompt import OF_CALL
from tertulia.json import Json

_CALL_IDS = ("id", "tool_use_id", OF_CALL)


def with_allowed_thinking(request: Json) -> Json:
    """Return the request without a thinking budget if the API would refuse it.

    With a budget, a turn of Claude whose tool results are sent must begin with thinking, which may have been left out.
    Source: "Extended thinking with tool use" in the Claude API documentation.
    """
    if request.get("thinking", {}).get("type") != "enabled":
        return request
    first_written = _open_turn(request["messages"])
    if first_written is None or first_written["content"][0]["type"] in THINKING:
        return request
    return {**request, "thinking": {"type": "disabled"}}


def _open_turn(messages: Sequence[Json]) -> Json | None:
    """Return the first message of the turn of Claude that continues after the last tool results; None if none does."""
    first_written = None
    if messages[-1]["role"] == "assistant":
        return None
    for message in reversed(messages):
        if message["role"] == "assistant":
            first_written = message
        elif message["content"][0]["type"] != "tool_result":
            break
    return first_written


def with_unique_ids(request: Json) -> Json:
    """Return the request with another id for each later call that has the id of an earlier one.

    Some gateways count the calls of each response from 1. The API requires unique ids in the whole conversation.
    """
    ids = [block["id"] for message in request["messages"] for block in message["content"] if "id" in block]
    if len(ids) == len(set(ids)):
        return request
    known: set[str] = set()
    renamed: dict[str, str] = {}
    messages: list[Json] = []
    for message in request["messages"]:
        content: list[Json] = []
        for block in message["content"]:
            if (call_id := block.get("id")) is not None:
                # The results of a call precede the next call with its id.
                renamed[call_id] = unique_id(call_id, known)
                known.add(renamed[call_id])
            content.append({**block, **{key: renamed.get(block[key], block[key]) for key in _CALL_IDS if key in block}})
        messages.append({**message, "content": content})
    return {**request, "messages": messages}


def unique_id(id: str, existing_ids: Container[object]) -> str:
    """Return the id, with a number if it exists."""
    if id not in existing_ids:
        return id
    return next(candidate for n in count(2) if (candidate := f"{id}_{n}") not in existing_ids)
