"""Turn the events of an answer into the pieces that a screen shows."""

import json
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, auto
from typing import Any

from tertulia.cli.terminal.server import TERMINAL, Event

LONGEST_RESULT = 500
"""The maximum number of characters of a tool result to show."""
ENDS = {
    "MAX_TOKENS": "The answer has reached its maximum length. Ask Claude to continue.",
    "MODEL_CONTEXT_WINDOW_EXCEEDED": "The conversation is too long for the model. /new starts another one.",
}
"""The sentence about an answer that is not complete, by its `stopReason`."""


class Kind(Enum):
    """The kind of a piece, which decides how and where it is shown."""

    TEXT = auto()
    """Claude's answer, in Markdown."""
    JSON = auto()
    """Claude's answer, in JSON."""
    THINKING = auto()
    NOTE = auto()
    """A sentence about the answer, such as a tool call."""
    PROBLEM = auto()
    HINT = auto()
    """The next step of a user at a terminal, or the cost of the answer."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer to show after the previous ones. Pieces of one block have the same `index`."""

    kind: Kind
    text: str
    index: int | None = None


class AnswerReader:
    """Reads the events of one answer. Text that was returned before a snapshot is not returned again.

    Attributes:
        ended: Whether the terminal event was read.
        failed: Whether the answer has failed.
    """

    def __init__(self) -> None:
        self.ended = self.failed = False
        self._texts: dict[int, str] = {}
        self._kinds: dict[int, Kind] = {}
        self._open_text: int | None = None
        self._continued = False
        self._sources: dict[str, None] = {}

    def read(self, event: Event) -> list[Piece]:
        """Return what an event adds. Events after the terminal event, which may be repeated, add nothing."""
        if self.ended:
            return []
        self.ended = event["__typename"] in TERMINAL
        pieces: list[Piece] = []
        match event["__typename"]:
            case "MessageSnapshot":
                pieces = self._snapshot(event["message"]["content"])
            case "ContentBlockStarted" if event["block"]["__typename"] == "JsonBlock":
                self._kinds[event["index"]] = Kind.JSON
            case "TextDelta" | "ThinkingDelta":
                pieces = self._delta(event)
            case "ContentBlockFinished":
                pieces = self._block_end(event["index"], event["block"])
            case "GenerationContinued":
                self._continued = True
            case "GenerationFailed":
                self.failed = True
                pieces = _failure(event["error"])
            case "GenerationStopped":
                pieces = [Piece(Kind.NOTE, "(stopped)")]
            case "GenerationCompleted":
                pieces = self._answer_end(event.get("generation", {}))
            case _:
                pass
        return pieces

    def _snapshot(self, blocks: list[dict[str, Any]]) -> list[Piece]:
        pieces: list[Piece] = []
        for block in blocks:
            thinking = block["__typename"] == "ThinkingBlock"
            if block["__typename"] == "JsonBlock":
                self._kinds[block["index"]] = Kind.JSON
            if "text" in block:
                pieces += self._new_pieces(block["index"], block["text"], thinking=thinking)
            if not thinking:
                self._open_text = block["index"] if "text" in block else None
        return pieces

    def _delta(self, event: Event) -> list[Piece]:
        preceding = cut_utf16(self._texts.get(event["index"], ""), event["offset"])
        thinking = event["__typename"] == "ThinkingDelta"
        pieces = self._new_pieces(event["index"], preceding + event["text"], thinking=thinking)
        if not thinking:
            self._open_text = event["index"]
        return pieces

    def _new_pieces(self, index: int, text: str, *, thinking: bool) -> list[Piece]:
        new_text = text[len(self._texts.get(index, "")) :]
        self._texts[index] = text
        # An interrupted text can continue in the middle of a word, after thinking, which is therefore not shown.
        if not new_text or (thinking and self._open_text is not None):
            return []
        return [Piece(Kind.THINKING if thinking else self._kinds.get(index, Kind.TEXT), new_text, index)]

    def _block_end(self, index: int, block: dict[str, Any]) -> list[Piece]:
        if index == self._open_text:
            self._open_text = None
        for citation in block.get("citations") or ():
            source = ", ".join(filter(None, (citation["title"] or citation["source"], citation["place"])))
            self._sources[" ".join(filter(None, (source, citation["url"])))] = None
        if "name" in block:
            whole = block["partialJson"] is None
            input_text = json.dumps(block["input"], ensure_ascii=False) if whole else "interrupted"
            return [Piece(Kind.NOTE, f"(tool: {block['name']} {input_text})")]
        if "output" in block:
            label = "tool error" if block["isError"] else "tool result"
            output = block["output"]
            output_text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
            return [Piece(Kind.NOTE, f"({label}: {output_text[:LONGEST_RESULT]})")]
        if block.get("__typename") == "CompactionBlock":
            return [Piece(Kind.NOTE, "(Claude has summarized the earlier messages.)")]
        return []

    def _answer_end(self, generation: dict[str, Any]) -> list[Piece]:
        pieces = [Piece(Kind.NOTE, f"Source: {source}") for source in self._sources]
        files: list[dict[str, Any]] = generation["message"]["files"] if "message" in generation else []
        pieces += [Piece(Kind.NOTE, _file(file)) for file in files]
        if self._continued:
            pieces.append(Piece(Kind.NOTE, "(interrupted and continued)"))
        if end := ENDS.get(generation.get("stopReason") or ""):
            pieces.append(Piece(Kind.NOTE, end))
        if refusal := generation.get("refusal"):
            self.failed = True
            reason = ": ".join(filter(None, (refusal["category"], refusal["explanation"])))
            pieces.append(Piece(Kind.PROBLEM, f"Claude declined to answer ({reason or 'without a reason'})."))
        if usage := generation.get("usage"):
            pieces.append(Piece(Kind.HINT, f"{generation['model']['displayName']} · {usage_text(usage)}"))
        return pieces


def _failure(error: dict[str, Any]) -> list[Piece]:
    pieces = [Piece(Kind.PROBLEM, error["message"])]
    if error.get("retryAfterSeconds"):
        pieces.append(Piece(Kind.HINT, f"Wait {error['retryAfterSeconds']:.0f} seconds, then enter /retry."))
    elif error.get("retryable"):
        pieces.append(Piece(Kind.HINT, "Enter /retry for another answer."))
    return pieces


def _file(file: dict[str, Any]) -> str:
    attachment = file["attachment"]
    return f"File: {file['filename']} {attachment['url']}" if attachment else f"File: {file['problem']}"


def usage_text(usage: dict[str, Any]) -> str:
    """Return tokens and cost for people, such as `1,204 tokens in, 356 out · $0.0123`."""
    tokens_in = usage["inputTokens"] + usage["cacheReadTokens"] + usage["cacheWriteTokens"]
    text = f"{tokens_in:,} tokens in, {usage['outputTokens']:,} out"
    if usage["costUsd"] is None:
        return text
    cost = Decimal(usage["costUsd"])
    return f"{text} · ${cost:.{2 if cost >= 1 else 4 if cost >= Decimal('0.001') else 6}f}"


def cut_utf16(text: str, units: int) -> str:
    """Return the first `units` UTF-16 code units of a text."""
    return text if text.isascii() and units >= len(text) else text.encode("utf-16-le")[: 2 * units].decode("utf-16-le")
