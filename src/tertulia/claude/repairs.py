"""The parts that requests of a conversation leave out, because Claude's API has refused them. This module does no I/O.

Otherwise the API would refuse each later message too. A block is named by its place, `DEPTH.INDEX`: the depth of its
message in the conversation's tree, and its index in the message. On one branch, a place never names another block. The
generations of a branch store the repairs, so that each part is refused only once.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from tertulia.claude.continuation import THINKING
from tertulia.claude.tool_search import REMOVED_TOOL
from tertulia.json import Json, is_list, is_object

PLACE = "at"
"""The key with the place of a block in a request that is not sent yet."""
ATTACHED = ("image", "document")


class LeftOut(StrEnum):
    """Why a part of the conversation was not sent to Claude."""

    THINKING_OF_ANOTHER_PREFIX = "thinking_of_another_prefix"
    THINKING_REFUSED = "thinking_refused"
    THINKING_FILTERED = "thinking_filtered"
    UNFINISHED = "unfinished"
    REFUSED = "refused"
    ATTACHMENT_REFUSED = "attachment_refused"
    TOOL_REFUSED = "tool_refused"
    SUMMARY_OF_ANOTHER_MODEL = "summary_of_another_model"
    SUMMARY_FILTERED = "summary_filtered"


def place_of(depth: int, index: int) -> str:
    """Return the place of a block."""
    return f"{depth}.{index}"


def depth_of(place: str) -> int:
    """Return the depth of the message of a place."""
    return int(place.partition(".")[0])


@dataclass(frozen=True, slots=True)
class Repairs:
    """The parts that are left out: blocks by place, with the reason, and the names of tools."""

    blocks: Mapping[str, LeftOut] = field(default_factory=dict[str, LeftOut])
    tools: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        """Return whether anything is left out."""
        return bool(self.blocks or self.tools)

    def without_blocks(self, places: Iterable[str], reason: LeftOut) -> "Repairs":
        """Return the repairs that leave out further blocks."""
        return replace(self, blocks={**self.blocks, **dict.fromkeys(places, reason)})

    def without_tools(self, names: Iterable[str]) -> "Repairs":
        """Return the repairs that leave out further tools."""
        return replace(self, tools=self.tools | frozenset(names))

    def to_json(self) -> Json | None:
        """Return the stored form; None if there are no repairs."""
        return {"blocks": dict(self.blocks), "tools": sorted(self.tools)} if self else None

    @classmethod
    def from_json(cls, *stored: Json | None) -> "Repairs":
        """Return the repairs that generations of a branch have stored. Reasons of later versions are ignored."""
        blocks: dict[str, LeftOut] = {}
        tools: set[str] = set()
        for repairs in stored:
            if repairs is not None and is_object(repairs.get("blocks")) and is_list(repairs.get("tools")):
                blocks |= {place: LeftOut(name) for place, name in repairs["blocks"].items() if name in set(LeftOut)}
                tools |= set(repairs["tools"])
        return cls(blocks, frozenset(tools))


def repaired(request: Json, repairs: Repairs) -> tuple[Json, Counter[LeftOut]]:
    """Return the request with its repairs, and the numbers of parts that were left out, by reason."""
    left_out: Counter[LeftOut] = Counter()
    if not repairs:
        return request, left_out
    messages: list[Json] = []
    for message in request["messages"]:
        content = [kept for block in message["content"] if (kept := _repaired(block, repairs, left_out)) is not None]
        if content:
            messages.append({**message, "content": content})
    request = {**request, "messages": messages}
    refused = [tool for tool in request.get("tools", ()) if tool["name"] in repairs.tools]
    if refused:
        left_out[LeftOut.TOOL_REFUSED] += len(refused)
        request = _without_tools(request, repairs.tools)
    return request, left_out


def _without_tools(request: Json, names: frozenset[str]) -> Json:
    tools: list[Json] = []
    for tool in request["tools"]:
        if tool["name"] not in names:
            tools.append(tool)
        elif tool.get("defer_loading"):
            # The API requires the definition of each tool that Claude has found.
            tools.append({"name": tool["name"], **REMOVED_TOOL, "defer_loading": True})
    is_chosen = request.get("tool_choice", {}).get("name") in names
    removed = (*(() if tools else ("tools",)), *(("tool_choice",) if is_chosen or not tools else ()))
    return {name: value for name, value in (request | {"tools": tools}).items() if name not in removed}


def _repaired(block: Json, repairs: Repairs, left_out: Counter[LeftOut]) -> Json | None:
    reason = repairs.blocks.get(block.get(PLACE, ""))
    if reason is None:
        return block
    left_out[reason] += 1
    if block["type"] not in ATTACHED:
        return None
    name = block.get("title", "an image")
    return {"type": "text", "text": f"[An attachment that could not be read was left out: {name}]"}


def without_places(request: Json) -> Json:
    """Return the request without the places of its blocks, which the API does not know."""
    messages = [
        {
            **message,
            "content": [{key: block[key] for key in block if key != PLACE} for block in message["content"]],
        }
        for message in request["messages"]
    ]
    return {**request, "messages": messages}


def places(messages: Sequence[Json], kinds: Sequence[str]) -> list[str]:
    """Return the places of blocks of some types, in order."""
    blocks = [block for message in messages for block in message["content"] if block["type"] in kinds]
    return [block[PLACE] for block in blocks if PLACE in block]


def thinking_from(messages: Sequence[Json], place: str | None) -> list[str]:
    """Return the places of all thinking from one place on, because later thinking is bound to it. None means all."""
    thoughts = places(messages, THINKING)
    return thoughts[thoughts.index(place) :] if place in thoughts else thoughts
