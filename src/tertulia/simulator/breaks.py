"""Streams that the simulated Claude breaks, as a message requests it.

`/simulate break-at CHARACTER [TIMES] [KIND] [OPTION]`, and the same for `break-thinking`, `break-tool` and the names of
the kinds, which have no CHARACTER. docs/simulator.md describes them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tertulia.json import Json
from tertulia.simulator.phrases import ARTICLE, BROKEN_SENTENCE
from tertulia.simulator.script import TOKEN, Plan, Step
from tertulia.simulator.turns import last_words, results_in, user_texts

_GARBAGE = 'event: content_block_delta\ndata: {"type": "conte\n\n'
KINDS: dict[str, Step | None] = {
    "error": Step({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, TOKEN),
    "api-error": Step({"type": "error", "error": {"type": "api_error", "message": "Internal server error"}}, TOKEN),
    "cut": Step(delay=TOKEN, cut=True),
    "no-stop": None,
    "garbage": Step(raw=_GARBAGE, delay=TOKEN),
    "hang": Step(hang=True),
}
"""The last step of a broken stream, by name. None ends the stream without `message_stop`."""
PLACES = {"break-at": "text", "break-thinking": "thinking", "break-tool": "tool_use"}
"""The types of blocks in which the stream breaks, by the name of the scenario."""
BREAKS = frozenset({*PLACES, *KINDS})
"""The scenarios that break a stream."""
_COMMAND = re.compile(rf"/simulate\s+({'|'.join(sorted(BREAKS))})(?![\w-])((?:[^\S\n]+[a-z0-9-]+)*)")


@dataclass(frozen=True, slots=True)
class Break:
    """A break that a message requests.

    Attributes:
        place: The type of block in which the stream breaks: `text`, `thinking` or `tool_use`.
        kind: How it breaks.
        at: The number of characters of text before the break. None breaks in the middle.
        times: The number of attempts that break.
        repeated: The number of characters or words of the text so far that a continuation repeats.
        repeats_words: Whether `repeated` counts words.
        reaction: What happens instead of a continuation: `refuse`, `reject` or `overloaded`.
        overloaded_times: The number of attempts to continue that fail with 529, or None if all fail.
        overloaded_model: The only model whose attempts to continue fail, if one is named.
        after_tools: Break the answers to tool results instead of the one to the message.
        text: The text of the answer, unless another scenario writes it.
    """

    place: str = "text"
    kind: str = "error"
    at: int | None = None
    times: int = 1
    repeated: int = 0
    repeats_words: bool = False
    reaction: str | None = None
    overloaded_times: int | None = None
    overloaded_model: str | None = None
    after_tools: bool = False
    text: str = ARTICLE

    def repeat_of(self, text: str) -> str:
        """Return the end of a text that a continuation of it repeats."""
        if not self.repeats_words:
            return text[max(0, len(text) - self.repeated) :]
        matches = list(re.finditer(r"\S+", text))[-self.repeated :] if self.repeated else []
        return text[matches[0].start() :] if matches else ""


def break_in(body: Json) -> Break | None:
    """Return the break that the user requests for the answer to the last message, if any."""
    has_results = bool(results_in(body)) and not last_words(body)
    found = _parse(user_texts(body)[-1] if has_results else last_words(body))
    return found if found is not None and found.after_tools == has_results else None


def _parse(message: str) -> Break | None:
    command = _COMMAND.search(message)
    if command is None:
        return None
    name, words = command[1], iter(command[2].split())
    numbers, word = _numbers(words)
    at = numbers.pop(0) if name == "break-at" and numbers else None
    found = Break(
        PLACES.get(name, "text"),
        name if name in KINDS else "error",
        at,
        numbers[0] if numbers else 1,
        text=ARTICLE if name in PLACES else BROKEN_SENTENCE,
    )
    while word is not None:
        numbers, following_word = _numbers(words)
        number = numbers[0] if numbers else None
        if word in KINDS:
            found = replace(found, kind=word)
        elif word == "repeat":
            found = replace(found, repeated=10 if number is None else number, repeats_words=following_word == "words")
        elif word in ("refuse", "reject", "overloaded"):
            found = replace(found, reaction=word, overloaded_times=number)
        elif word.startswith("claude-"):
            found = replace(found, overloaded_model=word)
        elif word == "after-tools":
            found = replace(found, after_tools=True)
        elif word != "words":
            break
        word = following_word
    return found


def _numbers(words: Iterator[str]) -> tuple[list[int], str | None]:
    """Return the numbers with which the words begin, and the first other word."""
    numbers: list[int] = []
    for word in words:
        if not word.isdecimal():
            return numbers, word
        numbers.append(int(word))
    return numbers, None


def broken_text(body: Json) -> str | None:
    """Return the text of an answer whose stream breaks, or None if no break is requested for it."""
    requested = break_in(body)
    return None if requested is None else requested.text


def with_break(plan: Plan, requested: Break, attempt: int, repeat: str = "") -> Plan:
    """Return the plan with a stream that breaks, unless enough attempts have broken.

    Args:
        plan: The whole answer to this request.
        requested: The break.
        attempt: The number of earlier attempts that wrote text.
        repeat: The part of the text that repeats the earlier attempts. It does not count for the break.
    """
    if attempt >= requested.times:
        return plan
    if requested.place == "text":
        steps = _steps_to(plan.steps, requested.at, len(repeat))
    else:
        steps = _half_of_block(plan.steps, requested.place)
        if not steps:
            return plan
    end = KINDS[requested.kind]
    # An attempt that wrote nothing is followed by the same request, so these are counted.
    has_progress = bool(_text_of(steps)[len(repeat) :].strip())
    return replace(
        plan,
        broken_steps=steps if end is None else [*steps, end],
        breaks=None if has_progress else requested.times - attempt,
    )


def _text_in(step: Step) -> str:
    delta: Json = step.event.get("delta") or {}
    return str(delta["text"]) if delta.get("type") == "text_delta" else ""


def _text_of(steps: Sequence[Step]) -> str:
    return "".join(_text_in(step) for step in steps)


def _steps_to(steps: Sequence[Step], at: int | None, repeated: int) -> list[Step]:
    """Return the steps up to a character of the text, or up to the end of the last text block if there are fewer."""
    size = len(_text_of(steps))
    left = repeated + ((size - repeated) // 2 if at is None else at)
    if left > size or not size:
        last = max((step.event["index"] for step in steps if _text_in(step)), default=-1)
        return [step for step in steps if step.event["index"] <= last]
    reached: list[Step] = []
    for step in steps:
        text = _text_in(step)
        if text and left <= len(text):
            delta = {"type": "text_delta", "text": text[:left]}
            return [*reached, replace(step, event={**step.event, "delta": delta})] if left else reached
        left -= len(text)
        reached.append(step)
    return reached


def _half_of_block(steps: Sequence[Step], block_type: str) -> list[Step]:
    """Return the steps up to the middle of the first block of a type, or no steps if there is no such block."""
    starts = [step.event for step in steps if step.event["type"] == "content_block_start"]
    index = next((event["index"] for event in starts if event["content_block"]["type"] == block_type), None)
    own = [place for place, step in enumerate(steps) if step.event["index"] == index]
    return list(steps[: own[len(own) // 2]]) if own else []
