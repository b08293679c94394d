"""The simulated Claude's response to a request: the blocks of the answer, and the events that stream them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tertulia.json import Json

FIRST_TOKEN = 0.4
"""The delay before the first token in seconds, at the pace 1."""
TOKEN = 0.025
"""The delay before each further token in seconds, at the pace 1."""


@dataclass(frozen=True, slots=True)
class Step:
    """An event of a stream, which is sent after a delay.

    Attributes:
        event: The event.
        delay: The delay in seconds, at the pace 1.
        cut: Close the connection instead.
        hang: Stop sending instead.
        raw: Send this text instead.
    """

    event: Json = field(default_factory=dict[str, Any])
    delay: float = 0.0
    cut: bool = False
    hang: bool = False
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error response, with the API's `error_code` if it has one.

    `times` is the number of attempts that fail before one succeeds, or None if all fail.
    """

    status: int
    kind: str
    message: str
    times: int | None = None
    retry_after: int | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class GeneratedFile:
    """A file that the code execution tool makes, with its id in the Files API."""

    file_id: str
    filename: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """The complete response to a request.

    Attributes:
        breaks_off: End the stream after the steps, without other events.
        broken_steps: The steps of a stream that breaks, instead of `steps`.
        breaks: The number of identical requests whose streams break before one succeeds, or None if all break.
        server_tool_use: The numbers of calls of server tools, as in the usage of the Messages API.
        container: The container in which the code execution tool ran.
        files: The files that the code execution tool made.
        near_limit: The seconds for which the API accepts no other request for the model; None for no such limit.
    """

    blocks: list[Json] = field(default_factory=list[Json])
    steps: list[Step] = field(default_factory=list[Step])
    first_delay: float = FIRST_TOKEN
    stop_reason: str = "end_turn"
    stop_sequence: str | None = None
    stop_details: Json | None = None
    output_tokens: int = 1
    breaks_off: bool = False
    failure: Failure | None = None
    broken_steps: list[Step] | None = None
    breaks: int | None = None
    server_tool_use: Json | None = None
    container: Json | None = None
    files: list[GeneratedFile] = field(default_factory=list[GeneratedFile])
    near_limit: float | None = None


def speak(body: Json, text: str) -> Plan:
    """Return an answer of one text block, which ends at the request's stop sequences and `max_tokens`."""
    stop_reason, stop_sequence = "end_turn", None
    sequences: list[str] = body.get("stop_sequences") or []
    for sequence in sequences:
        if sequence in text:
            text, stop_reason, stop_sequence = text[: text.index(sequence)], "stop_sequence", sequence
    tokens = pieces(text)
    if len(tokens) > body["max_tokens"]:
        text, stop_reason, stop_sequence = "".join(tokens[: body["max_tokens"]]), "max_tokens", None
    return Plan(
        blocks=[{"type": "text", "text": text}],
        steps=list(text_steps(0, text)),
        stop_reason=stop_reason,
        stop_sequence=stop_sequence,
        output_tokens=max(1, len(pieces(text))),
    )


def pieces(text: str) -> list[str]:
    """Split a text into pieces, which stand for its tokens."""
    return re.findall(r"\s*\S{1,12}|\s+", text)


def text_steps(index: int, text: str) -> Iterator[Step]:
    """Yield the events of a text block."""
    yield Step(start(index, {"type": "text", "text": ""}))
    for piece in pieces(text):
        yield Step(delta(index, {"type": "text_delta", "text": piece}), TOKEN)
    yield Step({"type": "content_block_stop", "index": index})


def start(index: int, block: Json) -> Json:
    """Return the `content_block_start` event of a block."""
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, delta: Json) -> Json:
    """Return a `content_block_delta` event of a block."""
    return {"type": "content_block_delta", "index": index, "delta": delta}


class Draft:
    """Builds an answer of several blocks, which ends at `max_tokens`."""

    def __init__(self, max_tokens: int) -> None:
        self._max_tokens = self._remaining_tokens = max_tokens
        self._is_cut = False
        self._blocks: list[Json] = []
        self._steps: list[Step] = []

    def think(self, thought: str) -> None:
        """Add a thinking block, which `simulator.signatures` signs.

        It is never cut off at `max_tokens`, because an incomplete block would have no signature.
        """
        self._take_tokens(thought)
        deltas: list[Json] = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(thought)]
        deltas += [{"type": "signature_delta", "signature": ""}]
        start_block: Json = {"type": "thinking", "thinking": "", "signature": ""}
        self._add_block(start_block, deltas, start_block | {"thinking": thought})

    def say(self, text: str, *citations: Json) -> None:
        """Add a text block with citations."""
        tokens = self._take_tokens(text)
        start_block: Json = {"type": "text", "text": ""}
        full_block: Json = start_block | {"text": "".join(tokens)}
        if citations:
            start_block, full_block = start_block | {"citations": []}, full_block | {"citations": list(citations)}
        deltas: list[Json] = [{"type": "citations_delta", "citation": citation} for citation in citations]
        deltas += [{"type": "text_delta", "text": piece} for piece in tokens]
        self._add_block(start_block, deltas, full_block)

    def call(self, block: Json, text: str, input: Json) -> None:
        """Add a tool call.

        Args:
            block: The block, without its input.
            text: The input as it is streamed.
            input: The parsed text, or an empty object if the text is not a JSON object.
        """
        tokens = self._take_tokens(text)
        # As in the real API, the first piece is empty.
        deltas: list[Json] = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *tokens]]
        start_block: Json = {**block, "input": {}}
        self._add_block(start_block, deltas, start_block if "".join(tokens) != text else {**block, "input": input})

    def add(self, block: Json, delay: float) -> None:
        """Add a block that is sent in one event, after a delay in seconds."""
        self._add_block(block, [], block, delay)

    def plan(self, stop_reason: str = "end_turn", **fields: Any) -> Plan:
        """Return the plan with the added blocks. `fields` are further fields of the plan."""
        return Plan(
            blocks=self._blocks,
            steps=self._steps,
            stop_reason="max_tokens" if self._remaining_tokens < 0 else stop_reason,
            output_tokens=max(1, min(self._max_tokens, self._max_tokens - self._remaining_tokens)),
            **fields,
        )

    def _take_tokens(self, text: str) -> list[str]:
        tokens = pieces(text)
        available = tokens[: max(0, self._remaining_tokens)]
        self._remaining_tokens -= len(tokens)
        return available

    def _add_block(self, start_block: Json, deltas: list[Json], full_block: Json, delay: float = 0.0) -> None:
        if self._is_cut:
            return
        # The block that exceeds `max_tokens` is the last one.
        self._is_cut = self._remaining_tokens < 0
        index = len(self._blocks)
        self._blocks.append(full_block)
        self._steps.append(Step(start(index, start_block), delay))
        self._steps += [Step(delta(index, content), TOKEN) for content in deltas]
        self._steps.append(Step({"type": "content_block_stop", "index": index}))
