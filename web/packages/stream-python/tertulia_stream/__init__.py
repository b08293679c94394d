"""A reducer for the events of a Tertulia answer: a pure function without dependencies.

A snapshot replaces the state; a delta sets its block to the text before `offset`, in UTF-16 code units, plus its own
text. Implements rules 5 to 9 and 17 of PROTOCOL.md, like the npm package `@tertulia/stream`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Json = Mapping[str, Any]
_PIECES = {
    "TextDelta": ("TextBlock", "text"),
    "ThinkingDelta": ("ThinkingBlock", "text"),
    "ToolInputDelta": ("ToolUseBlock", "partialJson"),
}
_ENDS = {"GenerationCompleted": "COMPLETED", "GenerationStopped": "STOPPED", "GenerationFailed": "FAILED"}


@dataclass(frozen=True, slots=True)
class State:
    """The state of an answer after the events so far."""

    blocks: tuple[Json | None, ...] = ()
    """The content blocks by their `index`; None for a block that has not arrived."""
    status: str = "RUNNING"
    """QUEUED, RUNNING, AWAITING_TOOL_RESULTS, or a final status: COMPLETED, STOPPED or FAILED."""
    error: Json | None = None
    """Why the answer failed; None unless `status` is FAILED."""
    waits: Json | None = None
    """The ToolResultsRequired event that the answer waits for; None if it does not wait."""
    sequence: int = 0
    """The number of the last event, for `generationEvents(after:)`. 0 before the first event."""


initial = State()


def apply(state: State, event: Json) -> State:
    """Return the state after an event. The argument is not changed. Applying an event twice changes nothing."""
    kind, sequence = event.get("__typename", ""), event.get("sequence")
    if kind == "MessageSnapshot":  # ENDED: the server repeats the terminal event, in case the client missed it
        return state if ended(state) and event.get("reason") == "ENDED" else _replaced(event)
    if ended(state) or (sequence is not None and sequence <= state.sequence):
        return state
    advanced = replace(state, sequence=state.sequence if sequence is None else sequence)
    if kind in _ENDS:
        return replace(advanced, status=_ENDS[kind], waits=None, error=event.get("error"))
    if kind == "ToolResultsRequired":
        return replace(advanced, status="AWAITING_TOOL_RESULTS", waits=event)
    # Any event after ToolResultsRequired means that the answer continues.
    running = replace(advanced, status="RUNNING", waits=None)
    if kind in _PIECES:
        return _with_piece(running, event.get("index"), event, *_PIECES[kind])
    return _with_block(running, event.get("index"), event.get("block"))


def text(state: State) -> str:
    """Return Claude's text: that of all `TextBlock`s and `JsonBlock`s."""
    shown = (block for block in state.blocks if block and block.get("__typename") in ("TextBlock", "JsonBlock"))
    return "".join(block.get("text") or "" for block in shown)


def ended(state: State) -> bool:
    """Return whether no further event can arrive."""
    return state.status in _ENDS.values()


def _replaced(snapshot: Json) -> State:
    generation: Json = snapshot.get("generation") or {}
    message: Json = snapshot.get("message") or {}
    content: Sequence[Json] = message.get("content") or ()
    # `generation` is current and may be ahead of this snapshot. Its end, or ToolResultsRequired, arrives as an event.
    status = "QUEUED" if generation.get("status") == "QUEUED" else "RUNNING"
    state = State(status=status, sequence=snapshot.get("sequence") or 0)
    for position, block in enumerate(content):
        state = _with_block(state, position if (index := block.get("index")) is None else index, block)
    return state


def _with_piece(state: State, index: int | None, event: Json, kind: str, field: str) -> State:
    offset: int | None = event.get("offset")
    known: Json | None = state.blocks[index] if index is not None and index < len(state.blocks) else None
    block: Json = {"__typename": kind, "index": index} if known is None else known
    return _with_block(state, index, {**block, field: _joined(block.get(field) or "", offset, event.get(field) or "")})


def _joined(before: str, offset: int | None, piece: str) -> str:
    if before.isascii():  # each character is one unit
        return before[:offset] + piece
    units = before.encode("utf-16-le", "surrogatepass")[: None if offset is None else 2 * offset]
    return (units + piece.encode("utf-16-le", "surrogatepass")).decode("utf-16-le", "surrogatepass")


def _with_block(state: State, index: int | None, block: Json | None) -> State:
    if index is None or block is None:
        return state
    blocks = state.blocks + (None,) * (index + 1 - len(state.blocks))
    return replace(state, blocks=(*blocks[:index], block, *blocks[index + 1 :]))
