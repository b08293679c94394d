"""Find the part of a request that Claude's API has refused, by its error. This module does no I/O.

Most errors name the path of the part, such as `messages.3.content.1.image.source`. For others, the candidates are
halved, oldest first. Source: the "Errors" page of the Claude API documentation.
"""

import re
from collections.abc import Sequence

from tertulia.claude.continuation import THINKING
from tertulia.claude.prompt import OF_CALL
from tertulia.claude.repairs import ATTACHED, PLACE, LeftOut, Repairs, depth_of, thinking_from
from tertulia.json import Json, is_list

TOO_LARGE = 413
_PATH = re.compile(r"\bmessages\.(\d{1,6})\.content\.(\d{1,6})(?:\.tool_result\.content\.(\d{1,6}))?")
_TOOL = re.compile(r"\btools\.(\d{1,6})\b")
_MOST_TOOLS = re.compile(r"\btools\b\D{0,80}?\b(?:at most|maximum of|more than)\D{0,20}(\d{1,6})", re.IGNORECASE)
_MOST = re.compile(r"(?:\b(?:at most|maximum of|more than|limit of)|>)\D{0,20}(\d{1,6})", re.IGNORECASE)
_OF_ATTACHMENTS = re.compile(r"\b(images?|documents?|pdfs?|pages)\b", re.IGNORECASE)
_COUNTED = re.compile(r"\b(many|maximum of|at most|more than|limit of)\b", re.IGNORECASE)


def without_refused(request: Json, repairs: Repairs, error_text: str, status: int) -> Repairs | None:
    """Return the repairs that also leave out what the API has refused; None if that must not or cannot be left out.

    Args:
        request: The request as it was sent, with places, and with the pictures of tools after their results.
        repairs: The repairs that it has.
        error_text: The text of the API's error.
        status: The HTTP status of the error.
    """
    messages: list[Json] = request["messages"]
    if (tools := _refused_tools(request, error_text)) and (path := _PATH.search(error_text)) is None:
        return repairs.without_tools(tools)
    if (path := _PATH.search(error_text)) is not None:
        block = _block_at(messages, *(None if part is None else int(part) for part in path.groups()))
        place = (block or {}).get(PLACE)
        if block is not None and place is not None and _may_leave_out(messages, block):
            if block["type"] in THINKING:
                return repairs.without_blocks(thinking_from(messages, place), LeftOut.THINKING_REFUSED)
            if block["type"] in ATTACHED:
                return repairs.without_blocks([place], LeftOut.ATTACHMENT_REFUSED)
    if "thinking" in error_text and (thoughts := thinking_from(messages, None)):
        return repairs.without_blocks(thoughts, LeftOut.THINKING_REFUSED)
    if status != TOO_LARGE and (path is not None or not _OF_ATTACHMENTS.search(error_text)):
        return None
    attachments = _refused_attachments(messages, error_text, status)
    return repairs.without_blocks(attachments, LeftOut.ATTACHMENT_REFUSED) if attachments else None


def _refused_tools(request: Json, error_text: str) -> list[str]:
    """Return the names of the tools that the API refuses."""
    names = [str(tool["name"]) for tool in request.get("tools", ())]
    if (tool := _TOOL.search(error_text)) is not None:
        return names[int(tool[1]) : int(tool[1]) + 1]
    most = _MOST_TOOLS.search(error_text)
    return [] if most is None else names[int(most[1]) :]


def _block_at(messages: Sequence[Json], index: int | None, block_index: int | None, nested: int | None) -> Json | None:
    """Return the block at a path of the sent request, in which the pictures of tools are inside of their results."""
    try:
        content: list[Json] = messages[index or 0]["content"]
        block = [block for block in content if OF_CALL not in block][block_index or 0]
        if nested is None:
            return block
        pictures = [picture for picture in content if picture.get(OF_CALL) == block.get("tool_use_id")]
        output: object = block.get("content", "")
        first_picture = len(output) if is_list(output) else 1
        return pictures[nested - first_picture] if nested >= first_picture else None
    except IndexError:
        return None


def _may_leave_out(messages: Sequence[Json], block: Json) -> bool:
    """Return whether a block is not a part of the message that is answered: its sender must see the error."""
    return OF_CALL in block or block["type"] in THINKING or depth_of(block[PLACE]) != _question(messages)


def _question(messages: Sequence[Json]) -> int:
    """Return the depth of the message that is answered: the last one with a block of the user."""
    kinds = ("tool_result",)
    depths = [
        depth_of(block[PLACE])
        for message in messages
        for block in message["content"]
        if message["role"] == "user" and PLACE in block and block["type"] not in kinds and OF_CALL not in block
    ]
    return max(depths, default=-1)


def _refused_attachments(messages: Sequence[Json], error_text: str, status: int) -> list[str]:
    """Return the places of the oldest attachments: as many as exceed the limit that the error names, or else half."""
    question = _question(messages)
    blocks = [block for message in messages for block in message["content"] if block["type"] in ATTACHED]
    blocks = [block for block in blocks if PLACE in block]
    candidates = [block for block in blocks if OF_CALL in block or depth_of(block[PLACE]) != question]
    most = _MOST.search(error_text)
    if status != TOO_LARGE and most is not None and _COUNTED.search(error_text):
        counts_pages = re.search(r"\bpages?\b", error_text, re.IGNORECASE) is not None
        sizes = [_pages(block) if counts_pages else int(block["type"] == "image") for block in blocks]
        excess = sum(sizes) - int(most[1])
        chosen: list[str] = []
        for block in candidates:
            if excess > 0 and (size := _pages(block) if counts_pages else int(block["type"] == "image")):
                chosen.append(block[PLACE])
                excess -= size
        if chosen:
            return chosen
    return [block[PLACE] for block in candidates[: -(-len(candidates) // 2)]]


def _pages(block: Json) -> int:
    return int(block["source"].get("pages") or 0)
