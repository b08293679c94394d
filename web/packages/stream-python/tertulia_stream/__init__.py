"""Folds the events of a Tertulia answer into its state: a pure function without dependencies.

The whole rule of a client: a snapshot replaces; a delta sets its block to what stands before `offset`, in UTF-16 code
units, plus its piece. Rules 5 to 9 and 17 of PROTOCOL.md. The twin of the npm package `@tertulia/stream`.
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
    """What the events have said so far."""

    blocks: tuple[Json | None, ...] = ()
    """By `index`; None where a block is not known yet."""
    status: str = "RUNNING"
    """That of the generation: the last three, COMPLETED, STOPPED and FAILED, are final."""
    error: Json | None = None
    """Why it failed; None unless `status` is FAILED."""
    waits: Json | None = None
    """The ToolResultsRequired that the answer waits behind."""
    sequence: int = 0
    """The number of the last event: what `generationEvents(after:)` takes. 0 before the first."""


initial = State()


def apply(state: State, event: Json) -> State:
    """Give the state behind an event; the given one is not changed. Applying an event twice changes nothing."""
    kind, sequence = event.get("__typename", ""), event.get("sequence")
    if kind == "MessageSnapshot":  # with ENDED, the end is sent again, for clients that have not seen it
        return state if ended(state) and event.get("reason") == "ENDED" else _replaced(event)
    if ended(state) or (sequence is not None and sequence <= state.sequence):
        return state
    seen = replace(state, sequence=state.sequence if sequence is None else sequence)
    if kind in _ENDS:
        return replace(seen, status=_ENDS[kind], waits=None, error=event.get("error"))
    if kind == "ToolResultsRequired":
        return replace(seen, status="AWAITING_TOOL_RESULTS", waits=event)
    # What follows a wait says that it is over.
    running = replace(seen, status="RUNNING", waits=None)
    if kind in _PIECES:
        return _with_piece(running, event.get("index"), event, *_PIECES[kind])
    return _with_block(running, event.get("index"), event.get("block"))


def text(state: State) -> str:
    """Give what Claude has said: the text of all text blocks."""
    said = (block for block in state.blocks if block and block.get("__typename") in ("TextBlock", "JsonBlock"))
    return "".join(block.get("text") or "" for block in said)


def ended(state: State) -> bool:
    """Tell whether no further event can come."""
    return state.status in _ENDS.values()


def _replaced(snapshot: Json) -> State:
    generation: Json = snapshot.get("generation") or {}
    message: Json = snapshot.get("message") or {}
    content: Sequence[Json] = message.get("content") or ()
    # `generation` is as it is now, and may be ahead of what is written here: its end, or its wait, comes by itself.
    status = "QUEUED" if generation.get("status") == "QUEUED" else "RUNNING"
    state = State(status=status, sequence=snapshot.get("sequence") or 0)
    for place, block in enumerate(content):
        state = _with_block(state, place if (index := block.get("index")) is None else index, block)
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
