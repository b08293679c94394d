"""Translate the Messages API's stream into our events, and keep what it has written.

Pure: events in, events out. Source: "Streaming Messages" in the Claude API documentation.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from claude.errors import ErrorCode, GenerationError, StreamError
from claude.structured import answer_problem
from streams.events import (
    ContentBlockFinished,
    ContentBlockStarted,
    Delta,
    GenerationEvent,
    TextDelta,
    ThinkingDelta,
    ToolInputDelta,
    unfinished_block,
)

Json = dict[str, Any]

_DELTAS: dict[str, tuple[type[Delta], str]] = {
    "text_delta": (TextDelta, "text"),
    "thinking_delta": (ThinkingDelta, "thinking"),
    "input_json_delta": (ToolInputDelta, "partial_json"),
}
_USAGE = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
}
JSON_MARK = "json"
"""The key of ours that stored text blocks bear which are to be JSON."""
CHARACTERS_OF_TOKEN = 4
"""Roughly; for what Claude was not heard to count."""


def _without(values: Json, name: str) -> Json:
    return {key: value for key, value in values.items() if key != name}


def utf16_length(text: str) -> int:
    """Count UTF-16 code units: a JavaScript string's length."""
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)


def usage_of(usage: Json | None) -> dict[str, int]:
    """Give Claude's counts under our names, as far as they are told; those of compaction among them."""
    told: Json = usage or {}
    found = {ours: int(told[theirs]) for theirs, ours in _USAGE.items() if told.get(theirs) is not None}
    rounds: list[Json] = told.get("iterations") or []
    for compacting in (one for one in rounds if one.get("type") == "compaction"):
        for theirs, ours in _USAGE.items():
            found[ours] = found.get(ours, 0) + int(compacting.get(theirs) or 0)
    return found


def context_of(usage: Json | None) -> int | None:
    """Give how many tokens of the window are in use behind an answer; None where nothing is told."""
    told: Json = usage or {}
    rounds: list[Json] = told.get("iterations") or []
    last = next((one for one in reversed(rounds) if one.get("type") == "message"), told)
    return sum(int(last.get(name) or 0) for name in _USAGE) if "input_tokens" in last else None


@dataclass(slots=True)
class _Block:
    block: Json
    offset: int
    pieces: list[str] = field(default_factory=list[str])
    finished: bool = False

    def shown(self) -> Json:
        return self.block if self.finished else unfinished_block(self.block, _joined(self.pieces))


class Answer:
    """One answer of Claude's as it comes in."""

    def __init__(self, generation_id: UUID, sequence: int = 0, content: Sequence[Json] = ()) -> None:
        """Begin with nothing written, or behind what another process has left."""
        self.generation_id = generation_id
        self.sequence = sequence
        self.stop_reason: str | None = None
        self.request_id: str | None = None
        self.schema: Json | None = None
        """What its text must be, where that was asked for."""
        self.context_tokens: int | None = None
        self.usage: dict[str, int] = {}
        self.counted = False
        """Whether Claude has said what the whole answer was."""
        self._told: Json = {}
        self._written = 0
        self.written_for_an_hour = 0
        self._blocks = {index: _Block(block, 0, finished=True) for index, block in enumerate(content)}

    @property
    def content(self) -> list[Json]:
        """All blocks, in Claude's words and order; those that are not whole bear `partial`."""
        return [self._blocks[index].shown() for index in sorted(self._blocks)]

    def billed(self) -> dict[str, int]:
        """Give the usage, the output guessed from what was written where Claude was not heard to the end."""
        if self.counted or not (self.usage or self._written):
            return self.usage
        guessed = -(-self._written // CHARACTERS_OF_TOKEN)
        return self.usage | {"output_tokens": max(self.usage.get("output_tokens", 0), guessed)}

    def next_sequence(self) -> int:
        """Give the next event's number."""
        self.sequence += 1
        return self.sequence

    def take(self, events: Sequence[Json], shown: list[GenerationEvent]) -> None:
        """Take events of Claude's that came together, and add ours to `shown`.

        Neighbouring pieces of one block become one delta: whoever writes faster than we read is shown bigger pieces.
        Raises StreamError for what makes no sense; what stands before it is in `shown`.
        """
        try:
            for event in events if len(events) == 1 else _merged(events):
                ours = self._take(event)
                if ours is not None:
                    shown.append(ours)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            message = "Claude's stream could not be understood."
            raise StreamError(GenerationError(ErrorCode.API_ERROR, message, self.request_id)) from error

    def _take(self, event: Json) -> GenerationEvent | None:
        match event["type"]:
            case "content_block_delta":
                return self._delta(event["index"], event["delta"])
            case "content_block_start":
                return self._start(event["index"], event["content_block"])
            case "content_block_stop":
                return self._finish(event["index"])
            case "message_start":
                self.request_id = event.get("request_id")
                self._count(event["message"].get("usage"))
            case "message_delta":
                self.stop_reason = event["delta"].get("stop_reason") or self.stop_reason
                self._count(event.get("usage"))
                self.counted = self.stop_reason is not None
            case _:
                pass  # New kinds of events may appear at any time, says the documentation.
        return None

    def _start(self, index: int, block: Json) -> GenerationEvent:
        written = block.get("text") or block.get("thinking") or ""
        if self.schema is not None and block.get("type") == "text":
            block = {**block, JSON_MARK: {}}
        self._blocks[index] = _Block(block, utf16_length(written))
        return ContentBlockStarted(self.generation_id, self.next_sequence(), index, block)

    def _delta(self, index: int, delta: Json) -> GenerationEvent | None:
        current = self._blocks[index]
        kind = delta["type"]
        if kind in _DELTAS:
            event_type, key = _DELTAS[kind]
            return self._piece(event_type, index, current, delta[key])
        if kind == "signature_delta":
            current.block = {
                **current.block,
                "signature": current.block.get("signature", "") + delta["signature"],
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
        current.block = _whole(current.block, _joined(current.pieces))
        if self.schema is not None and JSON_MARK in current.block:
            problem = answer_problem(self.schema, current.block["text"])
            current.block = {**current.block, JSON_MARK: {"checked": True, "problem": problem}}
        current.finished = True
        return ContentBlockFinished(self.generation_id, self.next_sequence(), index, current.block)

    def _count(self, usage: Json | None) -> None:
        # Claude's counts are cumulative: a later one takes the place of an earlier one.
        self._told |= {name: count for name, count in (usage or {}).items() if count is not None}
        self.usage |= usage_of(self._told)
        self.context_tokens = context_of(self._told) or self.context_tokens
        lifetimes: Json = self._told.get("cache_creation") or {}
        self.written_for_an_hour = int(lifetimes.get("ephemeral_1h_input_tokens") or self.written_for_an_hour)


def _merged(events: Sequence[Json]) -> Iterator[Json]:
    """Give the events, neighbouring pieces of one block as one; what makes no sense is given as it is."""
    held: Json | None = None
    pieces: list[str] = []
    place: Any = None
    for event in events:
        found = _piece_in(event)
        if found is not None and found[0] == place:
            pieces.append(found[1])
            continue
        if held is not None:
            yield _with_text(held, pieces)
        if found is None:
            held = place = None
            yield event
        else:
            held, pieces, place = event, [found[1]], found[0]
    if held is not None:
        yield _with_text(held, pieces)


def _piece_in(event: Json) -> tuple[tuple[Any, str], str] | None:
    """Give the block and the kind of a delta's piece, and the piece."""
    delta: Json = event["delta"] if isinstance(event.get("delta"), dict) else {}
    kind = delta.get("type")
    if event["type"] != "content_block_delta" or not isinstance(kind, str) or kind not in _DELTAS:
        return None
    text: Any = delta.get(_DELTAS[kind][1])
    return ((event.get("index"), kind), text) if isinstance(text, str) else None


def _with_text(event: Json, pieces: list[str]) -> Json:
    if len(pieces) == 1:
        return event
    delta: Json = event["delta"]
    return {**event, "delta": {**delta, _DELTAS[delta["type"]][1]: "".join(pieces)}}


def _joined(pieces: list[str]) -> str:
    text = "".join(pieces)
    if text.isascii():
        return text
    # A surrogate pair may be cut in two by JSON's escapes. Half of one that stays alone could never be sent again.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _whole(block: Json, text: str) -> Json:
    match block.get("type"):
        case "text":
            return {**block, "text": block.get("text", "") + text}
        case "thinking":
            return {**block, "thinking": block.get("thinking", "") + text}
        case _ if text:
            return _with_input(block, text)
        case _:
            return block


def _with_input(block: Json, text: str) -> Json:
    try:
        return {**block, "input": json.loads(text)}
    except ValueError:
        # max_tokens can cut a tool's input in the middle.
        return unfinished_block(block, text)
