"""The simulated Claude's answers, also to requests that continue an interrupted answer.

A request continues an answer if it ends with the beginning of what the simulated Claude answers to the messages before
it, as Claude's turn, and with the user's instruction to continue. The answer is the rest, from the next character on.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from tertulia.json import Json
from tertulia.simulator.breaks import Break, break_in, with_break
from tertulia.simulator.compaction import after_summary
from tertulia.simulator.phrases import THOUGHT_ABOUT_REST
from tertulia.simulator.request_rules import MODELS, PAUSED, as_blocks
from tertulia.simulator.scenarios import asks_for_title, refuse, uninterrupted
from tertulia.simulator.script import Draft, Failure, Plan
from tertulia.simulator.turns import APP_CONTEXT

_INSTRUCTION = re.compile(
    r"\b(interrupted|cut (off|short)|bro(ke|ken) off|continue|resume|(carry|go) on)\b", re.IGNORECASE
)
_INTERRUPTED = re.compile(r"\b(interrupted|cut (off|short)|bro(ke|ken) off)\b", re.IGNORECASE)
MAX_REPEAT = 400
"""The number of characters of an earlier part that a part may repeat at its beginning."""
_WITHOUT_CALL = ("text", "thinking", "redacted_thinking", "compaction")
"""The types of blocks that a continuation does not count as done."""


def plan(body: Json) -> Plan:
    """Return the response to a request that has been validated.

    Args:
        body: The request, with all messages, also those that a summary replaces.
    """
    exchange = _read(body)
    whole = _whole(exchange)
    requested = None if asks_for_title(exchange.body) else break_in(exchange.body)
    if not exchange.parts:
        return whole if requested is None else with_break(whole, requested, 0)
    requested = requested or Break(times=0)
    if requested.reaction == "refuse":
        return refuse("The continuation was declined.")
    if requested.reaction == "reject":
        return Plan(failure=Failure(400, "invalid_request_error", "messages: this answer cannot be continued"))
    position = _position(_text(whole.blocks), exchange.parts, requested) or 0
    repeat = requested.repeat_of(_text(whole.blocks)[:position])
    rest = _rest(whole, exchange.parts, position, repeat, body["max_tokens"])
    if requested.reaction == "overloaded" and requested.overloaded_model in (None, body["model"]):
        rest = replace(rest, failure=Failure(529, "overloaded_error", "Overloaded", requested.overloaded_times))
    return with_break(rest, requested, len(exchange.parts), repeat if _text(rest.blocks) else "")


@dataclass(slots=True)
class _Exchange:
    """A request in which no earlier answer was interrupted.

    Attributes:
        body: The request without the parts of interrupted answers and the instructions to continue them.
        parts: The parts of the answer that the request asks to continue: the blocks of each.
    """

    body: Json
    parts: list[list[Json]] = field(default_factory=list[list[Json]])


def _read(body: Json) -> _Exchange:
    """Join the parts of each interrupted answer, and return the parts of the last one if it is to be continued."""
    groups = [(role, list(messages)) for role, messages in groupby(body["messages"], lambda message: message["role"])]
    if not any(_is_instruction(role, messages) for role, messages in groups):
        return _Exchange(body)
    exchange = _Exchange({**body, "messages": []})
    for role, messages in groups:
        blocks = [block for message in messages for block in as_blocks(message["content"])]
        if role == "assistant":
            exchange.parts.append(blocks)
            continue
        if _is_instruction(role, messages) and exchange.parts:
            interrupted = _interrupted(exchange, certain=_INTERRUPTED.search(_text(blocks)) is not None)
            if interrupted is not None:
                exchange = interrupted
                continue
        exchange = _Exchange(_with(exchange.body, [*_joined(exchange.parts), *messages]))
    if body["messages"][-1]["role"] == "user":
        return exchange
    return _Exchange(_with(exchange.body, _joined(exchange.parts)))


def _is_instruction(role: str, messages: Sequence[Json]) -> bool:
    blocks = [block for message in messages for block in as_blocks(message["content"])]
    texts = [block["text"] for block in blocks if block["type"] == "text" and not block["text"].startswith(APP_CONTEXT)]
    if role != "user" or any(block["type"] != "text" for block in blocks):
        return False
    return bool(texts) and all(_INSTRUCTION.search(text) and "/simulate" not in text for text in texts)


def _interrupted(exchange: _Exchange, *, certain: bool) -> _Exchange | None:
    """Return the exchange if its parts are the beginning of an answer that was interrupted, or None if they are not.

    Args:
        exchange: The messages before an answer, and its parts.
        certain: Whether the instruction says that the answer was interrupted. Otherwise something must be missing,
            since a user may also want more after a whole answer.
    """
    for candidate in _beginnings(exchange):
        whole = _whole(candidate)
        position = _position(_text(whole.blocks), candidate.parts, break_in(candidate.body))
        if position is not None and (certain or _remaining(whole, candidate.parts, position)):
            return candidate
    return None


def _beginnings(exchange: _Exchange) -> Iterator[_Exchange]:
    """Yield the exchange, and those in which the first part begins after a paused turn."""
    yield exchange
    first, *others = exchange.parts
    for index, block in enumerate(first[:-1], 1):
        if block["type"] == "server_tool_use":
            paused = {"role": "assistant", "content": first[:index]}
            yield _Exchange(_with(exchange.body, [paused]), [first[index:], *others])


def _with(body: Json, messages: Sequence[Json]) -> Json:
    return {**body, "messages": [*body["messages"], *messages]}


def _joined(parts: Sequence[Sequence[Json]]) -> list[Json]:
    blocks = [block for part in parts for block in part]
    return [{"role": "assistant", "content": blocks}] if blocks else []


def _whole(exchange: _Exchange) -> Plan:
    """Return the whole answer. If parts of it exist, they have used tokens of their own requests only."""
    body = exchange.body
    max_tokens = MODELS[body["model"]][2] if exchange.parts else body["max_tokens"]
    return uninterrupted(after_summary({**body, "max_tokens": max_tokens}))


def _text(blocks: Sequence[Json]) -> str:
    return "".join(block["text"] for block in blocks if block["type"] == "text")


def _position(text: str, parts: Sequence[Sequence[Json]], requested: Break | None) -> int | None:
    """Return the number of characters of a text that parts of it cover, or None if they are not its beginning.

    A part may begin with a repeated end of the part before.
    """
    position = 0
    for part in map(_text, parts):
        expected = len(requested.repeat_of(text[:position])) if requested is not None else 0
        starts = [position - repeated for repeated in (expected, *range(min(position, MAX_REPEAT) + 1))]
        start = next((start for start in starts if text.startswith(part, start)), None)
        if start is None:
            return None
        position = max(position, start + len(part))
    return position


def _remaining(whole: Plan, parts: Sequence[Sequence[Json]], position: int) -> list[tuple[int, Json]]:
    """Return the blocks that the parts do not contain, with their indexes in the whole answer.

    Thinking before the position is not among them, and the text before it is left out.
    """
    done = sum(block["type"] not in _WITHOUT_CALL for part in parts for block in part)
    remaining: list[tuple[int, Json]] = []
    offset = 0
    for index, block in enumerate(whole.blocks):
        if block["type"] == "text":
            size = len(block["text"])
            if offset + size > position:
                # A citation belongs to the beginning of its block.
                begun = {"type": "text", "text": block["text"][position - offset :]} if offset < position else block
                remaining.append((index, begun))
            offset += size
            continue
        is_done = done > 0 and block["type"] not in _WITHOUT_CALL
        done -= is_done
        if offset >= position and not is_done and (block["type"] != "thinking" or offset > position):
            remaining.append((index, block))
    return remaining


def _rest(whole: Plan, parts: Sequence[Sequence[Json]], position: int, repeat: str, max_tokens: int) -> Plan:
    """Return the answer that consists of the blocks that remain. It is empty if there are none."""
    remaining = _remaining(whole, parts, position)
    if not remaining:
        return Plan()
    draft = Draft(max_tokens)
    if any(block["type"] == "thinking" for block in whole.blocks[: remaining[0][0] + 1]):
        draft.think(THOUGHT_ABOUT_REST)
    for index, block in remaining:
        _add(draft, whole, index, {**block, "text": repeat + block["text"]} if block["type"] == "text" else block)
        repeat = "" if block["type"] == "text" else repeat
    kinds = [block["type"] for _, block in remaining]
    has_server_tool = any(kind in PAUSED for kind in kinds)
    fields = {"server_tool_use": whole.server_tool_use, "container": whole.container} if has_server_tool else {}
    rest = draft.plan(whole.stop_reason, **fields)
    if rest.stop_reason != whole.stop_reason:
        return rest
    return replace(rest, stop_sequence=whole.stop_sequence, stop_details=whole.stop_details)


def _add(draft: Draft, whole: Plan, index: int, block: Json) -> None:
    """Add a block of the whole answer to a draft."""
    steps = [step for step in whole.steps if step.event["index"] == index]
    match block["type"]:
        case "text":
            citations: list[Json] = block.get("citations") or []
            draft.say(block["text"], *citations)
        case "thinking":
            draft.think(block["thinking"])
        case "tool_use" | "server_tool_use":
            deltas: list[Json] = [step.event.get("delta") or {} for step in steps]
            streamed = "".join(delta.get("partial_json", "") for delta in deltas)
            draft.call({key: block[key] for key in block if key != "input"}, streamed, block["input"])
        case _:
            draft.add(block, steps[0].delay)
