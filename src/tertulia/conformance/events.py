"""Streams of events as a client received them, and what a client holds after each event (rule 9)."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import cast

import aiohttp

from tertulia.conformance.verdicts import Failed, member, reason
from tertulia.json import Json

TERMINAL = ("GenerationCompleted", "GenerationStopped", "GenerationFailed")
DELTAS = ("TextDelta", "ThinkingDelta")
SHOWN_CHARACTERS = 60
"""Characters of a text that a report shows."""

Blocks = dict[int, str]
"""The text of each block that has one, by its index."""


@dataclass(slots=True)
class Stream:
    """The events that one subscription received.

    Attributes:
        reader: How the reader followed, for reports.
        after: The argument of the subscription.
        live: Whether it began while Claude wrote.
        left: Whether the reader left before the end.
        problem: Why the stream broke off. None if it completed or the reader left.
    """

    reader: str
    after: int | None
    live: bool = False
    left: bool = False
    events: list[Json] = field(default_factory=list[Json])
    problem: Failed | None = None

    async def record(self, payloads: AsyncGenerator[Json], *, at_most: int | None = None) -> AsyncGenerator[Json]:
        """Record the events of a subscription and yield each, at most a number of them."""
        try:
            async with aclosing(payloads):
                async for payload in payloads:
                    event = event_of(payload)
                    self.events.append(event)
                    yield event
                    if at_most is not None and len(self.events) >= at_most and event["__typename"] not in TERMINAL:
                        self.left = True
                        return
        except Failed as problem:
            self.problem = problem
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self.problem = self.failed(f"The stream broke off: {reason(error)}.")

    def failed(self, message: str, at: int | None = None) -> Failed:
        """Return a failure that quotes the stream, around one of its events if `at` is its position."""
        shown = self.events if at is None else self.events[max(0, at - 2) : at + 2]
        sent = {"subscription": "generationEvents", "after": self.after}
        return Failed(f"{self.reader}: {message}", sent=sent, received=[_short(event) for event in shown])


def event_of(payload: Json) -> Json:
    """Return the event of a result.

    Raises:
        Failed: The result contains errors.
    """
    event = member(payload, "data", "generationEvents")
    if payload.get("errors") or not isinstance(event, dict):
        raise Failed("The subscription returned an error.", received=payload)
    return cast("Json", event)


def advance(blocks: Blocks, event: Json) -> Blocks:
    """Return what a client holds after an event, by rule 9."""
    match event["__typename"]:
        case "MessageSnapshot":
            return {block["index"]: block.get("text") or "" for block in event["message"]["content"]}
        case "ContentBlockStarted" | "ContentBlockFinished":
            return blocks | {event["index"]: event["block"].get("text") or ""}
        case "TextDelta" | "ThinkingDelta":
            before = blocks.get(event["index"], "").encode("utf-16-le")[: 2 * event["offset"]]
            return blocks | {event["index"]: before.decode("utf-16-le", "replace") + event["text"]}
        case _:
            return blocks


def units(text: str) -> int:
    """Return the length of a text in UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def same(first: Blocks, second: Blocks) -> bool:
    """Return whether two clients show the same. A block without text shows nothing."""
    return {index: text for index, text in first.items() if text} == {
        index: text for index, text in second.items() if text
    }


def states(log: Sequence[Json]) -> dict[int, Blocks]:
    """Return what a client holds after each event of the whole list, by the event's number."""
    blocks: Blocks = {}
    result: dict[int, Blocks] = {0: blocks}
    for event in log:
        blocks = advance(blocks, event)
        result[event["sequence"]] = blocks
    return result


def whole(stream: Stream, before: Blocks) -> Blocks:
    """Return what a client holds after a stream, if it held `before` when it subscribed."""
    blocks = before
    for event in stream.events:
        blocks = advance(blocks, event)
    return blocks


def text_of(events: Sequence[Json], before: Blocks) -> str:
    """Return the text of the answer after events, as `Message.text` has it: without thinking."""
    blocks, thoughts = before, set[int]()
    for event in events:
        blocks = advance(blocks, event)
        shown: list[Json] = [event["block"]] if "block" in event else member(event, "message", "content") or []
        thoughts |= {block["index"] for block in shown if block["__typename"] == "ThinkingBlock"}
        if event["__typename"] == "ThinkingDelta":
            thoughts.add(event["index"])
    return "".join(blocks[index] for index in sorted(blocks) if index not in thoughts)


def _short(event: Json) -> Json:
    shown = {key: value for key, value in event.items() if key not in ("message", "block")}
    if isinstance(text := shown.get("text"), str) and len(text) > SHOWN_CHARACTERS:
        shown["text"] = f"{text[:SHOWN_CHARACTERS]}…"
    return shown
