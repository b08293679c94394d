"""Read messages: line by line from a pipe, or with an editor and a history from a terminal."""

import os
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import Output
from prompt_toolkit.styles import Style

STYLE = Style.from_dict({"prompt": "bold", "bottom-toolbar": "noreverse fg:ansibrightblack"})
LOCAL_MODES = 3
"""The index of the local modes in the attributes of a terminal."""
TO_EXIT = "To exit, press Ctrl+C again, or enter /quit."


class Reader(Protocol):
    """Reads what the user writes."""

    def read(self) -> str | None:
        """Return the next message or command; None at the end of the input."""
        ...

    async def ask(self, question: str) -> str | None:
        """Return the answer to a question during an answer; None if the user pressed Ctrl+C."""
        ...

    def ask_secret(self, question: str) -> str | None:
        """Return a secret, which is not shown; None if the user cannot be asked or does not answer."""
        ...


class PipeReader:
    """Reads lines from standard input, without a prompt."""

    def read(self) -> str | None:
        """Return the next line."""
        try:
            return input()
        except EOFError:
            return None

    async def ask(self, question: str) -> str | None:
        """Return the next line; an empty text at the end."""
        sys.stderr.write(question)
        sys.stderr.flush()
        return self.read() or ""

    def ask_secret(self, question: str) -> str | None:
        """Return None: the input contains messages."""
        return None


class PromptReader:
    """Reads from a terminal, with line editing, several lines, completion, and a history."""

    def __init__(
        self,
        history: History,
        completer: Completer,
        toolbar: Callable[[], str],
        *,
        input: Input | None = None,
        output: Output | None = None,
    ) -> None:
        """Prepare the prompt.

        Args:
            history: The earlier messages, which the arrow keys return to.
            completer: Completes commands.
            toolbar: Returns the line below the prompt.
            input: The terminal; None for that of the process.
            output: The same for the output.
        """
        self._session: PromptSession[str] = PromptSession(
            [("class:prompt", "> ")],
            multiline=True,
            prompt_continuation="  ",
            history=history,
            auto_suggest=AutoSuggestFromHistory(),
            completer=completer,
            complete_while_typing=True,
            enable_open_in_editor=True,
            key_bindings=_key_bindings(),
            bottom_toolbar=toolbar,
            style=STYLE,
            input=input,
            output=output,
        )
        self._questions: PromptSession[str] = PromptSession(input=input, output=output)

    def read(self) -> str | None:
        """Return the next message. Ctrl+D in an empty prompt ends the input, and so does Ctrl+C twice."""
        is_interrupted = False
        while True:
            try:
                return self._session.prompt()
            except EOFError:
                return None
            except KeyboardInterrupt:
                if is_interrupted:
                    return None
                is_interrupted = True
                sys.stdout.write(f"{TO_EXIT}\n")

    async def ask(self, question: str) -> str | None:
        """Return the answer to a question."""
        try:
            return await self._questions.prompt_async(question)
        except EOFError:
            return ""
        except KeyboardInterrupt:
            return None

    def ask_secret(self, question: str) -> str | None:
        """Return a secret, which is shown as stars and not stored."""
        try:
            return PromptSession[str]().prompt(question, is_password=True).strip() or None
        except (EOFError, KeyboardInterrupt):
            return None


class CommandCompleter(Completer):
    """Completes the names of commands, and their arguments."""

    def __init__(self, names: Iterable[str], values: Callable[[str], Iterable[str]]) -> None:
        """Initialize with the names of the commands, and a function that returns the values of a command's argument."""
        self._names = tuple(names)
        self._values = values
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield the completions of a command before the cursor. Messages are not completed."""
        command, space, argument = document.text_before_cursor.partition(" ")
        if not command.startswith("/") or "\n" in document.text:
            return
        if not space:
            yield from (Completion(name, -len(command)) for name in self._names if name.startswith(command))
        elif command == "/attach":
            yield from self._paths.get_completions(Document(argument), complete_event)
        else:
            matches = (value for value in self._values(command) if value.startswith(argument))
            yield from (Completion(value, -len(argument)) for value in matches)


def open_history(variables: dict[str, str] | None = None) -> History:
    """Return the stored history of the user, which only the user can read; one in memory if it cannot be stored."""
    variables = dict(os.environ) if variables is None else variables
    folder = Path(variables.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "tertulia"
    file = folder / "chat_history"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600))
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(file))


@contextmanager
def without_echo() -> Generator[None]:
    """Keep the terminal from showing keys in the middle of an answer. The next prompt reads them."""
    try:
        import termios
    except ImportError:  # Windows
        yield
        return
    terminal = sys.stdin.fileno()
    attributes = termios.tcgetattr(terminal)
    quiet = [*attributes]
    quiet[LOCAL_MODES] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, attributes)


def _key_bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.char_before_cursor == "\\":
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @bindings.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @bindings.add("c-c")
    def _(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt, style="class:aborting")

    return bindings
