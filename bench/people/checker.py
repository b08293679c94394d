"""Check the events that a client receives against the rules of PROTOCOL.md.

The checker uses no socket and no clock, so that it can be tested alone. It receives events, and reports each violation
as a sentence.
"""

from collections.abc import Callable, Sequence
from typing import Any

Json = dict[str, Any]

ENDS = {"GenerationCompleted": "COMPLETED", "GenerationStopped": "STOPPED", "GenerationFailed": "FAILED"}
DELTAS = ("TextDelta", "ThinkingDelta")
SHOWN = 60
"""How many characters of a text a complaint quotes."""


def units(text: str) -> int:
    """Return a text's length in UTF-16 code units, which offsets count."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


class Seen:
    """The state of one answer in one client, over any number of subscriptions. Reports violations to `complain`."""

    def __init__(self, complain: Callable[[str], None]) -> None:
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
        """COMPLETED, STOPPED or FAILED after the terminal event."""
        self.error: Json | None = None

    def begin(self, after: int | None) -> None:
        """Start another subscription, with this `after`; None if it begins with a snapshot."""
        self._fresh, self._after, self._complete = True, after, False

    def take(self, event: Json) -> tuple[int, str] | None:
        """Check an event. Returns the offset and the text of a `TextDelta`."""
        kind, number = event["__typename"], event["sequence"]
        if self.terminal is not None and not self._fresh:
            self._complain(f"{kind} {number} arrived after the terminal event")
        if self._complete:
            self._complain(f"{kind} {number} arrived after `complete`")
        first, self._fresh = self._fresh, False
        if kind == "MessageSnapshot":
            self._replace(event, first=first)
            return None
        if first and self._after is None:
            self._complain(f"a subscription without `after` began with {kind}, not with a snapshot")
        if number <= self.sequence:
            self._complain(f"{kind} has the sequence {number}, which is not after {self.sequence}")
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
        """Check that the subscription may complete."""
        if self.terminal is None:
            self._complain(f"complete after {self.sequence}, without a terminal event")
        if self._complete:
            self._complain("`complete` arrived twice")
        self._complete = True

    def text(self) -> str:
        """Return the joined text of all text blocks."""
        return "".join(
            "".join(self._pieces[index]) for index in sorted(self._pieces) if self._kinds[index] == "TextBlock"
        )

    def _replace(self, event: Json, *, first: bool) -> None:
        if not first or (self._after is not None and event.get("reason") is None):
            self._complain(f"an unexpected snapshot arrived at {event['sequence']}")
        if event["sequence"] < self.sequence and self._after is not None:
            self._complain(f"a snapshot has the sequence {event['sequence']}, which is before {self.sequence}")
        before = self.text()
        self._pieces, self._units, self._kinds = {}, {}, {}
        self.sequence, self.terminal = event["sequence"], None
        for block in event["message"]["content"]:
            self._set(block["index"], block)
        if not self.text().startswith(before):
            self._complain(f"a snapshot lacks text that was shown before: {before[-SHOWN:]!r}")

    def _set(self, index: int, block: Json) -> None:
        text = block.get("text") or ""
        self._pieces[index], self._units[index], self._kinds[index] = [text], units(text), block["__typename"]

    def _add(self, index: int, offset: int, text: str, kind: str) -> tuple[int, str] | None:
        written = self._units.get(index)
        if written is None:
            self._complain(f"a delta of block {index}, which has not started")
            self._set(index, {"__typename": "TextBlock", "text": ""})
            written = 0
        if offset != written:
            what = "lost" if offset > written else "repeated"
            self._complain(
                f"text was {what}: a delta has the offset {offset}, but the text before it ends at {written}"
            )
        self._pieces[index].append(text)
        self._units[index] = offset + units(text)
        return (offset, text) if kind == "TextDelta" else None

    def _finish(self, index: int, block: Json) -> None:
        streamed = "".join(self._pieces.get(index, ()))
        if "text" in block and block["text"] != streamed:
            self._complain(
                f"block {index} finished as {block['text'][-SHOWN:]!r}, but was streamed as {streamed[-SHOWN:]!r}"
            )
        self._set(index, block)


def compare(seen: Sequence[Seen], stored: Json, written: str | None, stopped: str | None) -> list[str]:
    """Return the differences between the clients, the database, Claude and a stop after an answer has ended.

    Args:
        seen: The states of the clients that followed the answer.
        stored: The status and the text that a query returns.
        written: The text that Claude has written; None if unknown.
        stopped: The text that the stop returned; None if the answer was not stopped.
    """
    differences: list[str] = []
    status, text = stored["status"], stored["text"]
    for follower in seen:
        if follower.terminal != status:
            differences.append(f"a client received {follower.terminal}, the database has {status}")
        if follower.text() != text:
            differences.append(f"a client received {follower.text()[-SHOWN:]!r}, the database has {text[-SHOWN:]!r}")
    if status == "FAILED":
        differences.append(f"the answer failed: {[follower.error for follower in seen]}")
    if written is not None and status == "COMPLETED" and text != written:
        differences.append(f"Claude wrote {written[-SHOWN:]!r}, the database has {text[-SHOWN:]!r}")
    if written is not None and not written.startswith(text):
        differences.append(f"the database has text that Claude did not write: {text[-SHOWN:]!r}")
    if stopped is not None and text != stopped:
        differences.append(
            f"text arrived after a stop, which had returned {stopped[-SHOWN:]!r}: now it is {text[-SHOWN:]!r}"
        )
    return differences
