"""What one request gets of the simulated Claude: an answer's blocks, and the events that they come in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tertulia.json import Json

FIRST_TOKEN = 0.4
"""Seconds at human pace."""
TOKEN = 0.025


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a stream, after a delay; `raw`, `cut` and `hang` stand in for one."""

    event: Json = field(default_factory=dict[str, Any])
    delay: float = 0.0
    cut: bool = False
    hang: bool = False
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer with a status of failure, always or the first few times."""

    status: int
    kind: str
    message: str
    times: int | None = None
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that one request gets."""

    blocks: list[Json] = field(default_factory=list[Json])
    steps: list[Step] = field(default_factory=list[Step])
    first_delay: float = FIRST_TOKEN
    stop_reason: str = "end_turn"
    stop_sequence: str | None = None
    stop_details: Json | None = None
    output_tokens: int = 1
    breaks_off: bool = False
    failure: Failure | None = None
    server_tool_use: Json | None = None
    """How often Claude's own tools were used, as the usage has it."""
    container: Json | None = None
    """Where Claude's own code was run."""


def speak(body: Json, text: str) -> Plan:
    """Give an answer of one text, as far as the request lets it be said."""
    stop_reason, stop_sequence = "end_turn", None
    sequences: list[str] = body.get("stop_sequences") or []
    for sequence in sequences:
        if sequence in text:
            text, stop_reason, stop_sequence = text[: text.index(sequence)], "stop_sequence", sequence
    cut = pieces(text)
    if len(cut) > body["max_tokens"]:
        text, stop_reason, stop_sequence = "".join(cut[: body["max_tokens"]]), "max_tokens", None
    return Plan(
        blocks=[{"type": "text", "text": text}],
        steps=list(text_steps(0, text)),
        stop_reason=stop_reason,
        stop_sequence=stop_sequence,
        output_tokens=max(1, len(pieces(text))),
    )


def pieces(text: str) -> list[str]:
    """Cut a text into what stands for its tokens."""
    return re.findall(r"\s*\S{1,12}|\s+", text)


def text_steps(index: int, text: str) -> Iterator[Step]:
    """Give the events of a block of text."""
    yield Step(start(index, {"type": "text", "text": ""}))
    for piece in pieces(text):
        yield Step(delta(index, {"type": "text_delta", "text": piece}), TOKEN)
    yield Step({"type": "content_block_stop", "index": index})


def start(index: int, block: Json) -> Json:
    """Give the event that begins a block."""
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, delta: Json) -> Json:
    """Give the event that goes on with a block."""
    return {"type": "content_block_delta", "index": index, "delta": delta}


class Draft:
    """An answer of several blocks that is being put together; what is more than `max_tokens` is cut off."""

    def __init__(self, most: int) -> None:
        """Begin with nothing written, of at most so many tokens."""
        self._most = self._left = most
        self._is_cut = False
        self._blocks: list[Json] = []
        self._steps: list[Step] = []

    def think(self, thought: str, signed: str) -> None:
        """Write a block of thinking; it is never cut in the middle, where it would have no signature."""
        self._take(thought)
        deltas: list[Json] = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(thought)]
        deltas += [{"type": "signature_delta", "signature": signed}]
        begun: Json = {"type": "thinking", "thinking": "", "signature": ""}
        self._write(begun, deltas, begun | {"thinking": thought, "signature": signed})

    def say(self, text: str, *citations: Json) -> None:
        """Write a block of text."""
        kept = self._take(text)
        begun: Json = {"type": "text", "text": ""}
        whole: Json = begun | {"text": "".join(kept)}
        if citations:
            begun, whole = begun | {"citations": []}, whole | {"citations": list(citations)}
        deltas: list[Json] = [{"type": "citations_delta", "citation": citation} for citation in citations]
        deltas += [{"type": "text_delta", "text": piece} for piece in kept]
        self._write(begun, deltas, whole)

    def call(self, block: Json, text: str, input: Json) -> None:
        """Write a call, whose input is this text; `input`: what the text says, empty where it is no JSON object."""
        kept = self._take(text)
        # The first piece is always an empty one.
        deltas: list[Json] = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *kept]]
        begun: Json = {**block, "input": {}}
        self._write(begun, deltas, begun if "".join(kept) != text else {**block, "input": input})

    def show(self, block: Json, delay: float) -> None:
        """Show a block that comes whole."""
        self._write(block, [], block, delay)

    def plan(self, stop_reason: str = "end_turn", **more: Any) -> Plan:
        """Give what was written, with what else a plan has."""
        return Plan(
            blocks=self._blocks,
            steps=self._steps,
            stop_reason="max_tokens" if self._left < 0 else stop_reason,
            output_tokens=max(1, min(self._most, self._most - self._left)),
            **more,
        )

    def _take(self, text: str) -> list[str]:
        found = pieces(text)
        kept = found[: max(0, self._left)]
        self._left -= len(found)
        return kept

    def _write(self, begun: Json, deltas: list[Json], whole: Json, delay: float = 0.0) -> None:
        if self._is_cut:
            return
        # The block in which the last token falls is the last one.
        self._is_cut = self._left < 0
        index = len(self._blocks)
        self._blocks.append(whole)
        self._steps.append(Step(start(index, begun), delay))
        self._steps += [Step(delta(index, one), TOKEN) for one in deltas]
        self._steps.append(Step({"type": "content_block_stop", "index": index}))
