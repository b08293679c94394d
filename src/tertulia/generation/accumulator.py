"""Translate the Messages API's stream into our events, and keep what it has written.

An answer has one round, or several where tools are called: each round is a call of Claude's, whose blocks stand behind
those of the rounds before it, with the results of the tools between them. Pure: events in, events out. Source:
"Streaming Messages" in the Claude API documentation.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise
from uuid import UUID

from tertulia.claude.deltas import DELTAS, joined, merged, utf16_length
from tertulia.claude.errors import ErrorCode, GenerationError, StreamError
from tertulia.claude.usage import context_of, usage_of
from tertulia.json import MAX_VALUE_DEPTH, InvalidJson, Json, clean, loads
from tertulia.streams.events import (
    ContentBlockFinished,
    ContentBlockStarted,
    Delta,
    GenerationEvent,
    unfinished_block,
)

LARGEST_COUNT = 2**31 - 1
"""What the columns of a generation's counts hold."""
JSON_MARK = "json"
"""The key of ours that stored text blocks bear which are to be JSON."""
CHARACTERS_OF_TOKEN = 4
"""Roughly; for what Claude was not heard to count."""


def _is_running(block: Json) -> bool:
    return block.get("type") == "tool_result" and bool(block.get("partial"))


def _is_whole(block: Json) -> bool:
    return not block.get("partial") and isinstance(block.get("input"), dict)


def _without(values: Json, name: str) -> Json:
    return {key: value for key, value in values.items() if key != name}


@dataclass(slots=True)
class _Block:
    block: Json
    offset: int
    pieces: list[str] = field(default_factory=list[str])
    finished: bool = False

    def shown(self) -> Json:
        return self.block if self.finished else unfinished_block(self.block, joined(self.pieces))


class AnswerAccumulator:
    """One answer of Claude's as it comes in."""

    def __init__(self, generation_id: UUID, sequence: int = 0, content: Sequence[Json] = ()) -> None:
        """Begin with nothing written, or behind what another process has left."""
        self.generation_id = generation_id
        self.sequence = sequence
        self.stop_reason: str | None = None
        self.request_id: str | None = None
        self.schema: Json | None = None
        """What its text must be, where that was asked for."""
        self.container: str | None = None
        """Where Claude's own tools run, for the next round."""
        self.context_tokens: int | None = None
        self.usage: dict[str, int] = {}
        """Of this round."""
        self.earlier: dict[str, int] = {}
        """The usage of the rounds before it, whose calls are on the bill already."""
        self.earlier_amount: int | None = 0
        self.counted = False
        """Whether Claude has said what the whole round was."""
        self._told: Json = {}
        self._written = 0
        self.written_for_an_hour = 0
        self.web_searches = 0
        self._blocks = {
            index: _Block(_without(block, "partial"), 0) if _is_running(block) else _Block(block, 0, finished=True)
            for index, block in enumerate(content)
        }
        self._first = len(self._blocks)
        self._json_findings: dict[int, str | None] = {}

    def restore(
        self, counted: Mapping[str, int], billed: Mapping[str, int], billed_amount: int | None, stop_reason: str | None
    ) -> None:
        """Continue the accounts that another process kept of this answer.

        Args:
            counted: All tokens of the answer so far, by column.
            billed: Those of the rounds that are on the bill already.
            billed_amount: What these rounds have cost, in units; None where a price is not known.
            stop_reason: Why Claude ended the last whole round.
        """
        self.earlier, self.earlier_amount, self.stop_reason = dict(billed), billed_amount, stop_reason
        of_round = {name: count - billed.get(name, 0) for name, count in counted.items()}
        self.usage = of_round if any(of_round.values()) else {}

    @property
    def content(self) -> list[Json]:
        """All blocks, in Claude's words and order; those that are not whole bear `partial`."""
        return [self._blocks[index].shown() for index in sorted(self._blocks)]

    @property
    def rounds(self) -> int:
        """How often tools have given results."""
        kinds = [block.get("type") == "tool_result" for block in self.content]
        return sum(result and not before for before, result in pairwise([False, *kinds]))

    @property
    def calls(self) -> int:
        """How often tools were called, those of Claude's own left out."""
        return sum(block.get("type") == "tool_use" for block in self.content)

    @property
    def has_calls(self) -> bool:
        """Whether tools were called in this round."""
        return any(one.block.get("type") == "tool_use" for index, one in self._blocks.items() if index >= self._first)

    def open_calls(self) -> dict[int, Json]:
        """Give the calls of rounds that have ended which have no whole result yet, by their index."""
        known = {one.block.get("tool_use_id") for one in self._blocks.values() if one.finished}
        ended = ((index, self._blocks[index].block) for index in sorted(self._blocks) if index < self._first)
        return {index: block for index, block in ended if block.get("type") == "tool_use" and block["id"] not in known}

    def end_round(self, amount: int | None) -> None:
        """Begin another round; `amount`: what the one that has ended has cost, in units."""
        self.earlier = self.total()
        self.earlier_amount = None if amount is None or self.earlier_amount is None else self.earlier_amount + amount
        self.usage, self._told, self._written = {}, {}, 0
        self.counted, self.request_id, self.written_for_an_hour, self.web_searches = False, None, 0, 0
        self._first = max(self._blocks, default=-1) + 1

    def mend_calls(self, shown: list[GenerationEvent]) -> set[str]:
        """Give calls whose input is no JSON object an empty one, which Claude can be shown; and their ids."""
        broken = set[str]()
        for index, one in self._blocks.items():
            block = one.block
            if index >= self._first and block.get("type") == "tool_use" and not _is_whole(block):
                one.block = {**_without(_without(block, "partial"), "partial_json"), "input": {}}
                broken.add(block["id"])
                shown.append(ContentBlockFinished(self.generation_id, self.next_sequence(), index, one.block))
        return broken

    def begin_result(self, tool_use_id: str) -> GenerationEvent | None:
        """Show that a tool is at work; None where a lost process has shown it already."""
        if self._result(tool_use_id) is not None:
            return None
        index, self._first = self._first, self._first + 1
        block: Json = {"type": "tool_result", "tool_use_id": tool_use_id}
        self._blocks[index] = _Block(block, 0)
        return ContentBlockStarted(self.generation_id, self.next_sequence(), index, {**block, "partial": True})

    def finish_result(self, block: Json) -> list[GenerationEvent]:
        """Show what a tool has given."""
        started = self.begin_result(block["tool_use_id"])
        index = self._result(block["tool_use_id"])
        if index is None:
            raise KeyError(block["tool_use_id"])
        self._blocks[index] = _Block(block, 0, finished=True)
        finished = ContentBlockFinished(self.generation_id, self.next_sequence(), index, block)
        return [finished] if started is None else [started, finished]

    def add(self, block: Json) -> list[GenerationEvent]:
        """Show a block that is whole, and stands behind what a tool has given."""
        index, self._first = self._first, self._first + 1
        self._blocks[index] = _Block(block, 0, finished=True)
        started = ContentBlockStarted(self.generation_id, self.next_sequence(), index, block)
        return [started, ContentBlockFinished(self.generation_id, self.next_sequence(), index, block)]

    def _result(self, tool_use_id: str) -> int | None:
        found = (index for index, one in self._blocks.items() if one.block.get("tool_use_id") == tool_use_id)
        return next(found, None)

    def total(self) -> dict[str, int]:
        """Give the usage of all rounds."""
        now = self.billed()
        both = {name: self.earlier.get(name, 0) + now.get(name, 0) for name in self.earlier | now}
        return {name: min(count, LARGEST_COUNT) for name, count in both.items()}

    def billed(self) -> dict[str, int]:
        """Give the usage of this round, the output guessed from what was written where it was not heard to the end."""
        if self.counted or not (self.usage or self._written):
            return self.usage
        guessed = -(-self._written // CHARACTERS_OF_TOKEN)
        return self.usage | {"output_tokens": max(self.usage.get("output_tokens", 0), guessed)}

    def next_sequence(self) -> int:
        """Give the next event's number."""
        self.sequence += 1
        return self.sequence

    async def check_json(self, event: Json, check: Callable[[Json, str], Awaitable[str | None]]) -> None:
        """Validate the text of a block that is to be JSON, if this event ends one; `take` then marks it.

        `check`: returns what is wrong with a text, by a schema.
        """
        place: object = event.get("index")
        if self.schema is None or event.get("type") != "content_block_stop" or not isinstance(place, int):
            return
        current = self._blocks.get(self._first + place)
        if current is not None and JSON_MARK in current.block:
            text = current.block.get("text", "") + joined(current.pieces)
            self._json_findings[self._first + place] = await check(self.schema, text)

    def take(self, events: Sequence[Json], shown: list[GenerationEvent]) -> None:
        """Take events of Claude's that came together, and add ours to `shown`.

        Neighbouring pieces of one block become one delta: whoever writes faster than we read is shown bigger pieces.
        Raises StreamError for what makes no sense; what stands before it is in `shown`.
        """
        try:
            for event in events if len(events) == 1 else merged(events):
                ours = self._take(event)
                if ours is not None:
                    shown.append(ours)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            message = "Claude's stream could not be understood."
            raise StreamError(GenerationError(ErrorCode.API_ERROR, message, self.request_id)) from error

    def _take(self, event: Json) -> GenerationEvent | None:
        match event["type"]:
            case "content_block_delta":
                return self._delta(self._first + event["index"], event["delta"])
            case "content_block_start":
                return self._start(self._first + event["index"], event["content_block"])
            case "content_block_stop":
                return self._finish(self._first + event["index"])
            case "message_start":
                self.request_id, self.stop_reason = event.get("request_id"), None
                self._count(event["message"].get("usage"))
            case "message_delta":
                self.stop_reason = event["delta"].get("stop_reason") or self.stop_reason
                container: Json = event["delta"].get("container") or {}
                self.container = container.get("id") or self.container
                self._count(event.get("usage"))
                self.counted = self.stop_reason is not None
            case _:
                pass  # New kinds of events may appear at any time, says the documentation.
        return None

    def _start(self, index: int, block: Json) -> GenerationEvent:
        written = block.get("text") or block.get("thinking") or ""
        if block.get("type") == "tool_use":
            block = {**block, "id": self._own_id(block["id"])}
        if self.schema is not None and block.get("type") == "text":
            block = {**block, JSON_MARK: {}}
        self._blocks[index] = _Block(block, utf16_length(written))
        return ContentBlockStarted(self.generation_id, self.next_sequence(), index, block)

    def _own_id(self, id: str) -> str:
        """Give a call an id of its own where it has one that was there before: by it results find their calls."""
        used = {one.block.get("id") for one in self._blocks.values()}
        return id if id not in used else next(one for n in count(2) if (one := f"{id}_{n}") not in used)

    def _delta(self, index: int, delta: Json) -> GenerationEvent | None:
        current = self._blocks[index]
        kind = delta["type"]
        if kind in DELTAS:
            event_type, key = DELTAS[kind]
            return self._piece(event_type, index, current, delta[key])
        if kind == "signature_delta":
            current.block = {
                **current.block,
                "signature": (current.block.get("signature") or "") + delta["signature"],
            }
        elif kind == "compaction_delta":
            summary = (current.block.get("content") or "") + (delta.get("content") or "")
            current.block = {**current.block, **_without(delta, "type"), "content": summary or None}
        elif kind == "citations_delta":
            current.block = {
                **current.block,
                "citations": [*(current.block.get("citations") or []), delta["citation"]],
            }
        return None

    def _piece(self, kind: type[Delta], index: int, current: _Block, text: str) -> GenerationEvent | None:
        if not text:
            return None
        offset = current.offset
        current.offset += utf16_length(text)
        current.pieces.append(text)
        self._written += len(text)
        return kind(self.generation_id, self.next_sequence(), index, offset, text)

    def _finish(self, index: int) -> GenerationEvent:
        current = self._blocks[index]
        current.block = _whole(current.block, joined(current.pieces))
        if index in self._json_findings:
            problem = self._json_findings.pop(index)
            current.block = {**current.block, JSON_MARK: {"checked": True, "problem": problem}}
        current.finished = True
        return ContentBlockFinished(self.generation_id, self.next_sequence(), index, current.block)

    def _count(self, usage: Json | None) -> None:
        # Claude's counts are cumulative: a later one takes the place of an earlier one.
        self._told |= {name: count for name, count in (usage or {}).items() if count is not None}
        self.usage |= usage_of(self._told)
        self.context_tokens = context_of(self._told) or self.context_tokens
        served: Json = self._told.get("server_tool_use") or {}
        self.web_searches = int(served.get("web_search_requests") or 0)
        lifetimes: Json = self._told.get("cache_creation") or {}
        self.written_for_an_hour = int(lifetimes.get("ephemeral_1h_input_tokens") or self.written_for_an_hour)


def _whole(block: Json, text: str) -> Json:
    match block.get("type"):
        case "text":
            return {**block, "text": (block.get("text") or "") + text}
        case "thinking":
            return {**block, "thinking": (block.get("thinking") or "") + text}
        case _ if text:
            return _with_input(block, text)
        case _:
            return block


def _with_input(block: Json, text: str) -> Json:
    try:
        return {**block, "input": clean(loads(text), max_depth=MAX_VALUE_DEPTH)}
    except InvalidJson:
        # max_tokens can cut a tool's input in the middle, and some numbers and depths are not accepted.
        return unfinished_block(block, text)
