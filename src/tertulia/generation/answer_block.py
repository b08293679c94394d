"""One content block of an answer while it is being received."""

from dataclasses import dataclass, field

from tertulia.claude.deltas import join_text
from tertulia.claude.prompt import FILTERED
from tertulia.json import MAX_VALUE_DEPTH, InvalidJson, Json, clean, loads
from tertulia.streams.events import unfinished_block
from tertulia.text_filters import BlockFilter


def without(values: Json, name: str) -> Json:
    """Return an object without one of its keys."""
    return {key: value for key, value in values.items() if key != name}


@dataclass(slots=True)
class AnswerBlock:
    """A block in the Messages API's format, with the text that has arrived since it was started."""

    block: Json
    offset: int
    pieces: list[str] = field(default_factory=list[str])
    finished: bool = False
    text_filter: BlockFilter | None = None
    held_back: str = ""
    """The text that the filter returned at its end, and that is not appended yet."""
    written: list[str] = field(default_factory=list[str])
    """The thinking that Claude wrote, if it is filtered."""
    original: Json | None = None
    """The block as Claude wrote it, if the filter has changed its thinking."""

    def to_json(self) -> Json:
        """Return the block; an unfinished one has the key `partial`."""
        return self.block if self.finished else unfinished_block(self.block, join_text(self.pieces))

    def finish_filter(self) -> str:
        """Return the text that the filter has held back, and remove the filter."""
        if self.text_filter is not None:
            text_filter, self.text_filter = self.text_filter, None
            self.held_back = text_filter.finish()
        return self.held_back

    def keep_original(self) -> None:
        """Mark finished thinking that the filter has changed. Its signature is not valid for the changed text."""
        thinking = join_text(self.written)
        if self.written and thinking != self.block["thinking"]:
            self.original = {**self.block, "thinking": thinking}
            self.block = {**without(self.block, "signature"), FILTERED: True}


def completed_block(block: Json, text: str) -> Json:
    """Return a block with the text that has arrived."""
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
        # `max_tokens` can cut off a tool's input, and Tertulia does not accept every number and nesting depth.
        return unfinished_block(block, text)
