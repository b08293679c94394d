"""Show answers: as plain text in a pipe, and as Markdown in a terminal, while they are written."""

import re
from typing import Protocol

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, ConsoleRenderable, Group, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.segment import Segment
from rich.spinner import Spinner
from rich.text import Text

from tertulia.cli.terminal.answer import Kind, Piece

FRAMES_PER_SECOND = 12
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Characters with which a text could control the terminal, for example change its title or write to its clipboard."""
STYLES = {Kind.THINKING: "dim italic", Kind.NOTE: "dim", Kind.HINT: "dim", Kind.PROBLEM: "red", Kind.JSON: ""}
BLOCKS = MarkdownIt("commonmark").enable(["table", "strikethrough"])


class Screen(Protocol):
    """Shows an answer between `begin` and `end`, and sentences at other times."""

    def begin(self, waiting: str) -> None:
        """Prepare for an answer, and show what is waited for."""
        ...

    def show(self, piece: Piece) -> None:
        """Show the next piece of the answer."""
        ...

    def end(self) -> None:
        """Finish the answer, or the part before a question. Nothing happens if there is none."""
        ...

    def say(self, text: str, kind: Kind = Kind.NOTE) -> None:
        """Show a sentence or a list that is not part of an answer."""
        ...


class PlainScreen:
    """Writes answers to standard output, and everything else to standard error."""

    def __init__(self) -> None:
        self._out = Console(highlight=False, markup=False, soft_wrap=True)
        self._err = Console(highlight=False, markup=False, soft_wrap=True, stderr=True)
        self._index: int | None = None
        self._is_line_open = False

    def begin(self, waiting: str) -> None:
        """Prepare for an answer."""
        self._index = None

    def show(self, piece: Piece) -> None:
        """Write a piece of the answer."""
        if piece.kind in (Kind.TEXT, Kind.JSON):
            if self._index not in (None, piece.index):
                self._out.print("\n")
            self._index = piece.index
            self._is_line_open = True
            self._out.out(_for_terminal(self._out, piece.text), end="")
        elif piece.kind is Kind.THINKING:
            self._err.print(_for_terminal(self._err, piece.text), end="", style="dim")
        elif piece.kind is not Kind.HINT:
            self.say(piece.text, piece.kind)

    def end(self) -> None:
        """End the line of the answer."""
        if self._is_line_open:
            self._out.print()
        self._is_line_open = False

    def say(self, text: str, kind: Kind = Kind.NOTE) -> None:
        """Write a sentence to standard error, and a list (`TEXT`) to standard output."""
        console = self._out if kind is Kind.TEXT else self._err
        console.print(_for_terminal(console, text), style=STYLES.get(kind))


class MarkdownScreen:
    """Renders answers in a terminal. Finished blocks of Markdown scroll up, and only the last one is redrawn."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._waiting = Spinner("dots", style="dim")
        self._tail = ""
        self._kind = Kind.TEXT
        self._index: int | None = None
        self._has_content = self._block_has_content = self._is_waiting = False

    def begin(self, waiting: str) -> None:
        """Show what is waited for, until the next piece."""
        self._is_waiting = True
        self._waiting.update(text=Text(waiting, style="dim"))
        if self._live is None:
            # The thread that redraws asks for the tail, so that a burst of pieces is drawn once.
            self._live = Live(
                console=self._console,
                get_renderable=self._last_block,
                refresh_per_second=FRAMES_PER_SECOND,
                transient=True,
            )
            self._live.start()

    def show(self, piece: Piece) -> None:
        """Show a piece of the answer."""
        self._is_waiting = False
        if piece.index is None:
            self._finish_block()
            self._console.print(Text(_without_control(piece.text), style=STYLES.get(piece.kind, "")))
            self._has_content = True
            return
        if (piece.index, piece.kind) != (self._index, self._kind):
            self._finish_block()
            if self._has_content:
                self._console.print()
            self._index, self._kind, self._block_has_content = piece.index, piece.kind, False
        text = self._tail + _without_control(piece.text)
        finished, self._tail = split_blocks(text) if self._kind is Kind.TEXT else split_lines(text)
        if finished:
            self._print(finished)

    def end(self) -> None:
        """Print the last block, and stop redrawing."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()
        self._finish_block()
        self._index, self._has_content = None, False

    def say(self, text: str, kind: Kind = Kind.NOTE) -> None:
        """Show a sentence, or a list."""
        self._console.print(Text(_without_control(text), style=STYLES.get(kind, "")))

    def _finish_block(self) -> None:
        tail, self._tail = self._tail, ""
        if tail.strip():
            self._print(tail)

    def _print(self, text: str) -> None:
        if self._block_has_content and self._kind is Kind.TEXT:
            self._console.print()
        self._block_has_content = self._has_content = True
        self._console.print(Lines(self._rendered(text)))

    def _rendered(self, text: str) -> ConsoleRenderable:
        return Markdown(text) if self._kind is Kind.TEXT else Text(text, style=STYLES[self._kind])

    def _last_block(self) -> ConsoleRenderable:
        tail = self._tail
        if not tail.strip():
            return self._waiting
        lines = Lines(self._rendered(tail), self._console.height - 2)
        return Group(lines, self._waiting) if self._is_waiting else lines


class Lines:
    """The lines of a renderable, without blank ones at the start and the end. With `height`, the last lines of them."""

    def __init__(self, renderable: ConsoleRenderable, height: int | None = None) -> None:
        self._renderable = renderable
        self._height = height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines."""
        lines = console.render_lines(self._renderable, options, pad=False)
        written = [place for place, line in enumerate(lines) if any(segment.text.strip() for segment in line)]
        lines = lines[written[0] : written[-1] + 1] if written else []
        for line in lines if self._height is None else lines[-max(1, self._height) :]:
            yield from line
            yield Segment.line()


def split_blocks(text: str) -> tuple[str, str]:
    """Return the blocks of Markdown that cannot change any more, and the last block, which may continue."""
    if "\n" not in text:
        return "", text
    starts = [token.map[0] for token in BLOCKS.parse(text) if token.level == 0 and token.map and token.nesting >= 0]
    if len(starts) < 2:  # noqa: PLR2004 - the last block may continue
        return "", text
    # Not `splitlines`, which also splits at characters that Markdown does not.
    lines = text.split("\n")
    return "\n".join(lines[: starts[-1]]) + "\n", "\n".join(lines[starts[-1] :])


def split_lines(text: str) -> tuple[str, str]:
    """Return the complete lines of a text, and the rest."""
    lines, newline, rest = text.rpartition("\n")
    return lines + newline, rest


def _without_control(text: str) -> str:
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _for_terminal(console: Console, text: str) -> str:
    """Return the text as it is, unless a terminal could execute its control characters."""
    return _without_control(text) if console.is_terminal else text
