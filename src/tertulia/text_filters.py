"""Filters over the text and the thinking that Claude writes, which the hook `transform_text` returns."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from uuid import UUID

from tertulia.json import clean_text

TextKind = Literal["text", "thinking"]
"""The types of content blocks that are filtered."""


@dataclass(frozen=True, slots=True)
class TextStream:
    """A block of text or thinking that Claude begins to write.

    Attributes:
        viewer_id: The id of the user's row in the database.
        viewer_name: The name in that row, which is unique.
        conversation_id: The conversation.
        generation_id: The generation that writes the text.
        user_subject: The user's id in the application that embeds the server, which is `Viewer.id`, or at the identity
            provider; None if there is none.
        kind: `thinking` for a block of Claude's thinking, which clients also see; otherwise `text`.
    """

    viewer_id: UUID
    viewer_name: str
    conversation_id: UUID
    generation_id: UUID
    user_subject: str | None = None
    kind: TextKind = "text"


class TextFilter(Protocol):
    """A filter over one block. Its methods are called in the event loop, so they must be fast."""

    def feed(self, text: str) -> str:
        """Return what to show now, after Claude has written `text`. Text may be held back until a later call."""
        ...

    def finish(self) -> str:
        """Return what to show at the end of the block. It is also called if the answer is stopped or fails."""
        ...


class Redactor:
    """A text filter that replaces the matches of a regular expression, also if Claude writes a match in pieces.

    Until it is clear whether a match begins, `longest` characters are held back.
    """

    def __init__(self, pattern: str | re.Pattern[str], replacement: str, *, longest: int) -> None:
        """Initialize for one text block.

        Args:
            pattern: The regular expression. Empty matches are ignored.
            replacement: The text instead of each match.
            longest: The most characters that the pattern looks at from the beginning of a match, or before it. Longer
                matches may be replaced only in part.
        """
        self._pattern = re.compile(pattern)
        self._replacement = replacement
        self._longest = longest
        self._text = ""
        """The undecided text, after some text that is already decided, which the pattern may look back at."""
        self._decided = 0

    def feed(self, text: str) -> str:
        """Return the text that is decided now."""
        self._text += text
        return self._decide(len(self._text) - self._longest)

    def finish(self) -> str:
        """Return the remaining text."""
        return self._decide(len(self._text))

    def _decide(self, end: int) -> str:
        """Decide for each position before `end` whether a match begins there."""
        shown: list[str] = []
        position = self._decided
        while position < end:
            match = self._pattern.search(self._text, position)
            while match is not None and match.start() == match.end() < end:
                match = self._pattern.search(self._text, match.end() + 1)
            if match is None or match.start() >= end:
                shown.append(self._text[position:end])
                position = end
            else:
                shown += [self._text[position : match.start()], self._replacement]
                position = match.end()
        excess = max(0, position - self._longest)
        self._text, self._decided = self._text[excess:], position - excess
        return "".join(shown)


class BlockFilter:
    """The filter of one text block, with its time limit, and the text that it has not shown yet."""

    def __init__(
        self,
        create: Callable[[], TextFilter],
        timeout: float,
        *,
        is_open: bool,
        on_failed: Callable[[Exception], Exception],
        on_finished: Callable[[str, float], None],
    ) -> None:
        """Initialize for a block.

        Args:
            create: Creates the filter of the application.
            timeout: The seconds that one call may take. A call cannot be interrupted: it fails when it has ended.
            is_open: Whether text is shown without the filter after the filter has failed.
            on_failed: Called with the error. Returns the error to raise if the filter is not open.
            on_finished: Called at the end with the outcome and the seconds that all calls took.
        """
        self._create = create
        self._timeout = timeout
        self._is_open = is_open
        self._on_failed = on_failed
        self._on_finished = on_finished
        self._seconds = 0.0
        self._outcome = "ok"
        self._half = ""
        """The first half of a surrogate pair, whose other half follows."""
        self._unshown: str | None = ""
        """The text that is not shown yet; None if the filter has changed the text."""
        self._filter: TextFilter | None = None

    def feed(self, text: str) -> str:
        """Return what to show; raise the error of `on_failed`."""
        text = self._half + text
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        text = clean_text(text[: len(text) - len(self._half)])
        return self._apply(text, lambda text_filter: text_filter.feed(text)) if text else ""

    def finish(self) -> str:
        """Return what to show at the end of the block; raise the error of `on_failed`."""
        rest = "\ufffd" if self._half else ""
        try:
            return self._apply(
                rest, lambda text_filter: (text_filter.feed(rest) if rest else "") + text_filter.finish()
            )
        finally:
            self._on_finished(self._outcome, self._seconds)

    def _apply(self, text: str, call: Callable[[TextFilter], str]) -> str:
        if self._outcome != "ok":
            return text if self._is_open else ""
        try:
            shown = self._call(call)
        except Exception as error:
            self._outcome = "timeout" if isinstance(error, TimeoutError) else "failed"
            failure = self._on_failed(error)
            if not self._is_open:
                raise failure from error
            return (self._unshown or "") + text
        if self._is_open and self._unshown is not None:
            unshown = self._unshown + text
            self._unshown = unshown[len(shown) :] if unshown.startswith(shown) else None
        return shown

    def _call(self, call: Callable[[TextFilter], str]) -> str:
        started = time.perf_counter()
        if self._filter is None:
            self._filter = self._create()
        # The application's filter may return anything.
        shown: Any = call(self._filter)
        seconds = time.perf_counter() - started
        self._seconds += seconds
        if not isinstance(shown, str):
            raise TypeError(f"the filter must return text, not {type(shown).__name__}.")
        if seconds > self._timeout:
            raise TimeoutError
        return clean_text(shown)
