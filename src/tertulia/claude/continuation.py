"""Continue a text that was interrupted: the request for the rest, and the recognition of a repeated beginning.

The API accepts no beginning of an answer, so Claude is sent what it has written as its own turn, followed by a turn of
the user with an instruction. An attempt is one request for a round of an answer. Stored blocks name the attempt that
wrote them: `attempt` is its number, 0 if it is missing, and `joins` lists where later attempts continue a text block.
`written_by` is the fallback model of an attempt. So later prompts contain what was exchanged. This module does no I/O.
Source: "Prefill Claude's response" in the Claude API documentation.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from tertulia.json import Json

ATTEMPT, JOINS, WRITTEN_BY = "attempt", "joins", "written_by"
"""The keys that Tertulia adds to stored blocks."""
THINKING = ("thinking", "redacted_thinking")
INSTRUCTION = (
    "Your reply was interrupted by a technical fault before it was complete. The user sees everything that you have "
    "written above. Continue it exactly where it stops, as if nothing had happened: begin with the very next "
    "character, also inside a word, a table or a code block. Do not repeat anything, do not apologize, and do not "
    "mention the interruption. If nothing is missing, write nothing."
)
QUOTED = 80
"""The number of characters that the instruction quotes from the end of the text."""
MOST_REPEATED = 400
"""The longest repetition in characters that is recognized. As much text can be held back."""
LEAST_REPEATED, LEAST_DISTINCT = 4, 3
"""The fewest letters and digits of a repetition, and the fewest different ones. Fewer are more likely a coincidence."""
_IN_WORD = re.compile(r"\w")
_IN_LATIN_WORD = re.compile(r"[^\W\d_\u2e80-\U0010ffff]{2}")
_WORDS = re.compile(r"\W*(\w[\w ]*)")
"""Words, or the beginning of one. Only spaces are between them."""


def instruction(text: str) -> Json:
    """Return the user's turn that asks Claude to continue after `text`, which may be empty."""
    quoted = f"\n\nIt stops with:\n<end_of_reply>{text[-QUOTED:]}</end_of_reply>" if text.strip() else ""
    return {"role": "user", "content": [{"type": "text", "text": INSTRUCTION + quoted}]}


def asks_to_continue(message: Json) -> bool:
    """Return whether a message of a request is the instruction to continue."""
    text: object = message["content"][0].get("text")
    return message["role"] == "user" and isinstance(text, str) and text.startswith(INSTRUCTION)


def attempts_of(blocks: Iterable[Json]) -> dict[int, list[Json]]:
    """Return the blocks of one round by attempt, in the order in which Claude wrote them, without Tertulia's keys.

    A text block that several attempts wrote is split into their parts, with the repetitions that were not shown.
    """
    attempts: defaultdict[int, list[Json]] = defaultdict(list)
    continued: dict[int, Json] = {}
    for block in blocks:
        (attempt, part), *later = _parts(block)
        attempts[attempt].append(part)
        continued.update(later)
    for attempt, part in continued.items():
        own_blocks = attempts[attempt]
        # Only thinking can precede the text with which an attempt continues an earlier block.
        leading = next((n for n, block in enumerate(own_blocks) if block.get("type") not in THINKING), len(own_blocks))
        own_blocks.insert(leading, part)
    return {attempt: attempts[attempt] for attempt in sorted(attempts)}


def _parts(block: Json) -> Iterator[tuple[int, Json]]:
    """Yield the attempts that wrote a block, each with its part."""
    joins: list[Json] = block.get(JOINS) or []
    own = {key: value for key, value in block.items() if key not in (ATTEMPT, JOINS, WRITTEN_BY)}
    if not joins:
        yield block.get(ATTEMPT, 0), own
        return
    text: str = block["text"]
    citations: list[Json] = block.get("citations") or []
    ends = [*joins[1:], {"at": len(text), "citations": len(citations)}]
    first = joins[0]
    yield block.get(ATTEMPT, 0), _part(own, text[: first["at"]], citations[: first["citations"]])
    for join, end in zip(joins, ends, strict=True):
        part_text = join.get("repeated", "") + text[join["at"] : end["at"]]
        yield join[ATTEMPT], _part(own, part_text, citations[join["citations"] : end["citations"]])


def _part(block: Json, text: str, citations: list[Json]) -> Json:
    return {**block, "text": text, **({"citations": citations} if "citations" in block else {})}


def writers_of(block: Json) -> list[str]:
    """Return the fallback models that wrote parts of a block, in order."""
    writers: list[str | None] = [part.get(WRITTEN_BY) for part in _written(block)]
    return list(dict.fromkeys(writer for writer in writers if writer is not None))


def writer_of_attempt(blocks: Iterable[Json], attempt: int) -> str | None:
    """Return the fallback model of an attempt; None if it was the model of the generation, or has written nothing."""
    parts = [part for block in blocks for part in _written(block)]
    return next((part.get(WRITTEN_BY) for part in parts if part.get(ATTEMPT, 0) == attempt), None)


def last_attempt(blocks: Iterable[Json]) -> int:
    """Return the number of the last attempt that wrote some of the blocks."""
    return max((part.get(ATTEMPT, 0) for block in blocks for part in _written(block)), default=0)


def _written(block: Json) -> list[Json]:
    """Return what names the attempts that wrote a block: the block itself, and its joins."""
    joins: list[Json] = block.get(JOINS) or []
    return [block, *joins]


def exchange(blocks: Sequence[Json], *, is_interrupted: bool = False) -> list[Json]:
    """Return the turns that Claude and Tertulia have exchanged in one round: Claude's, and the instructions between.

    Args:
        blocks: The blocks of the round that can be sent.
        is_interrupted: Whether the last attempt is interrupted too, so that an instruction follows it.
    """
    attempts = [content for content in map(_sendable, attempts_of(blocks).values()) if content]
    turns: list[Json] = []
    for number, content in enumerate(attempts, start=1):
        was_continued = is_interrupted or number < len(attempts)
        sent = _without_open_calls(content) if was_continued else content
        if was_continued and all(block.get("type") in THINKING for block in sent):
            continue  # Nothing was written that could be continued, so Claude was asked the same again.
        turns.append({"role": "assistant", "content": sent})
        if was_continued:
            turns.append(instruction(sent[-1].get("text") or ""))
    return turns


def _sendable(blocks: list[Json]) -> list[Json]:
    return [block for block in blocks if block.get("type") != "text" or block["text"].strip()]


def _without_open_calls(blocks: list[Json]) -> list[Json]:
    """Return the blocks without calls of server tools that have no result, because they can only be asked again."""
    answered = {block.get("tool_use_id") for block in blocks}
    return [block for block in blocks if block.get("type") != "server_tool_use" or block.get("id") in answered]


class TextJoin:
    """Finds out how much of the end of a text its continuation repeats.

    While this is undecided, the continuation is held back: at most MOST_REPEATED characters of it.
    """

    def __init__(self, shown: str) -> None:
        """Initialize with the text that was shown."""
        self._tail = shown[-MOST_REPEATED:]
        self._held = ""
        self._is_decided = False
        self.repeated = ""
        """The repetition that is not shown."""

    @property
    def is_holding(self) -> bool:
        """Whether text is held back."""
        return bool(self._held)

    def feed(self, text: str) -> str:
        """Return what to show after Claude has written `text`."""
        if self._is_decided:
            return text
        self._held += text
        # Also if it is the end of the tail, because the next character tells whether a word was written again.
        return "" if self._held in self._tail else self.finish()

    def finish(self) -> str:
        """Decide now, and return what was held back, without the repetition."""
        held, self._held, self._is_decided = self._held, "", True
        for length in range(min(len(self._tail), len(held)), 0, -1):
            if self._tail.endswith(held[:length]) and self._is_repetition(held, length):
                self.repeated = held[:length]
                break
        return held[len(self.repeated) :]

    def _is_repetition(self, held: str, length: int) -> bool:
        overlap, before = held[:length], self._tail[:-length]
        if before.endswith(overlap):
            return False  # The text itself repeats this, for example in the cells of a table.
        starts_word = _starts_word(before[-1:], overlap[0])
        words = _WORDS.fullmatch(overlap)
        if starts_word and words and len({character for character in words[1] if character.isalpha()}) > 1:
            # Few texts write words twice in a row: the word in which the text stops would have equal halves.
            return True
        if (
            not overlap[0].isalnum()
            and length >= LEAST_REPEATED
            and _IN_LATIN_WORD.fullmatch(held, length - 1, length + 1)
        ):
            return True  # Nobody writes the same up to the middle of a word, and then another word.
        letters = [character for character in overlap if character.isalnum()]
        weight = sum(1 if character < "\u2e80" else 2 for character in letters)  # CJK characters say more
        least = LEAST_REPEATED if starts_word or overlap[0].isalnum() else 2 * LEAST_REPEATED
        return weight >= least and len(set(letters)) >= min(LEAST_DISTINCT, len(letters))


def _starts_word(before: str, first: str) -> bool:
    """Return whether a word or a line starts with the character `first` after the character `before`."""
    if before in ("", "\n"):
        return True
    return not first.isspace() if before.isspace() else bool(_IN_WORD.match(first) and not _IN_WORD.match(before))
