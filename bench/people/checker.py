"""Checks what a follower sees of an answer: the rules of PROTOCOL.md that no load may break.

It knows no socket and no clock, so that it can be tested by itself: messages of graphql-transport-ws go in, and what is
broken is told in words.
"""

from collections.abc import Callable, Sequence
from typing import Any

Json = dict[str, Any]

ENDS = {"GenerationCompleted": "COMPLETED", "GenerationStopped": "STOPPED", "GenerationFailed": "FAILED"}
DELTAS = ("TextDelta", "ThinkingDelta")
SHOWN = 60
"""Characters of a text that a complaint quotes."""


def units(text: str) -> int:
    """Give a text's length as offsets count it: in UTF-16 code units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


class Seen:
    """What one follower has seen of one answer, over any number of subscriptions, and what was wrong with it."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        """Take whom to tell what is broken."""
        self._complain = complain
        self._pieces: dict[int, list[str]] = {}
        self._units: dict[int, int] = {}
        self._kinds: dict[int, str] = {}
        self._fresh = True
        self._after: int | None = None
        self._complete = False
        self.sequence = 0
        """The number of the last event."""
        self.terminal: str | None = None
        """How it ended: COMPLETED, STOPPED or FAILED."""
        self.error: Json | None = None

    def begin(self, after: int | None) -> None:
        """Begin another subscription: behind a number that was seen, or from a snapshot where it is None."""
        self._fresh, self._after, self._complete = True, after, False

    def take(self, event: Json) -> tuple[int, str] | None:
        """Take an event; of a piece of text, give where it begins and the text."""
        kind, number = event["__typename"], event["sequence"]
        if self.terminal is not None and not self._fresh:
            self._complain(f"{kind} {number} came behind the end")
        if self._complete:
            self._complain(f"{kind} {number} came behind `complete`")
        first, self._fresh = self._fresh, False
        if kind == "MessageSnapshot":
            self._replace(event, first=first)
            return None
        if first and self._after is None:
            self._complain(f"a subscription without `after` began with {kind}, not with a snapshot")
        if number <= self.sequence:
            self._complain(f"{kind} bears {number}, behind {self.sequence}")
        self.sequence = number
        if kind in ENDS:
            self.terminal, self.error = ENDS[kind], event.get("error")
            return None
        if kind in DELTAS:
            return self._add(event["index"], event["offset"], event["text"], kind)
        if kind == "ContentBlockFinished":
            self._finish(event["index"], event["block"])
        elif kind == "ContentBlockStarted":
            self._set(event["index"], event["block"])
        return None

    def complete(self) -> None:
        """Hear that the subscription is complete."""
        if self.terminal is None:
            self._complain(f"complete behind {self.sequence}, without a terminal event")
        if self._complete:
            self._complain("complete came twice")
        self._complete = True

    def text(self) -> str:
        """Give all text blocks, joined."""
        return "".join(
            "".join(self._pieces[index]) for index in sorted(self._pieces) if self._kinds[index] == "TextBlock"
        )

    def _replace(self, event: Json, *, first: bool) -> None:
        if not first or (self._after is not None and event.get("reason") is None):
            self._complain(f"a snapshot came where none was asked for, at {event['sequence']}")
        if event["sequence"] < self.sequence and self._after is not None:
            self._complain(f"a snapshot bears {event['sequence']}, behind {self.sequence}")
        before = self.text()
        self._pieces, self._units, self._kinds = {}, {}, {}
        self.sequence, self.terminal = event["sequence"], None
        for block in event["message"]["content"]:
            self._set(block["index"], block)
        if not self.text().startswith(before):
            self._complain(f"a snapshot has lost what was shown before: {before[-SHOWN:]!r}")

    def _set(self, index: int, block: Json) -> None:
        text = block.get("text") or ""
        self._pieces[index], self._units[index], self._kinds[index] = [text], units(text), block["__typename"]

    def _add(self, index: int, offset: int, text: str, kind: str) -> tuple[int, str] | None:
        written = self._units.get(index)
        if written is None:
            self._complain(f"a piece of block {index}, which has not begun")
            self._set(index, {"__typename": "TextBlock", "text": ""})
            written = 0
        if offset != written:
            what = "lost" if offset > written else "doubled"
            self._complain(f"text was {what}: a piece stands at {offset}, the text before it ends at {written}")
        self._pieces[index].append(text)
        self._units[index] = offset + units(text)
        return (offset, text) if kind == "TextDelta" else None

    def _finish(self, index: int, block: Json) -> None:
        streamed = "".join(self._pieces.get(index, ()))
        if "text" in block and block["text"] != streamed:
            self._complain(
                f"block {index} is whole as {block['text'][-SHOWN:]!r}, but was streamed as {streamed[-SHOWN:]!r}"
            )
        self._set(index, block)


def compare(seen: Sequence[Seen], stored: Json, written: str | None, stopped: str | None) -> list[str]:
    """Say what differs, once an answer has ended, between its followers, the database, Claude and the stop.

    `stored`: status and text as a query gives them; `written`: what Claude had written, None where that is not known;
    `stopped`: the text that the stop returned, None where nobody stopped it.
    """
    found: list[str] = []
    status, text = stored["status"], stored["text"]
    for follower in seen:
        if follower.terminal != status:
            found.append(f"a follower saw {follower.terminal}, the database says {status}")
        if follower.text() != text:
            found.append(f"a follower saw {follower.text()[-SHOWN:]!r}, the database has {text[-SHOWN:]!r}")
    if status == "FAILED":
        found.append(f"it failed: {[follower.error for follower in seen]}")
    if written is not None and status == "COMPLETED" and text != written:
        found.append(f"Claude wrote {written[-SHOWN:]!r}, the database has {text[-SHOWN:]!r}")
    if written is not None and not written.startswith(text):
        found.append(f"the database has what Claude did not write: {text[-SHOWN:]!r}")
    if stopped is not None and text != stopped:
        found.append(f"text came behind a stop, which had returned {stopped[-SHOWN:]!r}: now it is {text[-SHOWN:]!r}")
    return found
