"""Read messages and commands until the input ends."""

import asyncio
import sys
from collections.abc import Coroutine
from contextlib import nullcontext

from prompt_toolkit.history import InMemoryHistory
from rich.console import Console

from tertulia.cli.terminal.answer import Kind
from tertulia.cli.terminal.commands import BY_NAME, ExitChat, command_of, show_assistants, values_of
from tertulia.cli.terminal.conversation import Choices, Conversation, title_of
from tertulia.cli.terminal.reader import CommandCompleter, PipeReader, PromptReader, Reader, open_history, without_echo
from tertulia.cli.terminal.screen import MarkdownScreen, PlainScreen
from tertulia.cli.terminal.server import LOST, RefusedError, Server, connection_problem, is_forbidden

INTERRUPTED = "Interrupted. If Claude is answering, the answer is finished on the server: /resume shows it."
BUSY = "Claude is already answering in this conversation: /resume shows the answer, and /stop stops it."
TOKEN_TRIES = 3


class Session:
    """A use of `tertulia chat`. Its methods return the exit status."""

    def __init__(self, server: Server, choices: Choices, *, keeps_history: bool) -> None:
        """Prepare a session, without connecting.

        Args:
            server: The server.
            choices: What the command line chooses for the first message.
            keeps_history: Whether to store what the user writes in a terminal.
        """
        self._is_interactive = sys.stdin.isatty() and sys.stdout.isatty()
        self._chat = Conversation(
            server,
            MarkdownScreen(Console(highlight=False, markup=False)) if self._is_interactive else PlainScreen(),
            self._open_reader(keeps_history=keeps_history) if self._is_interactive else PipeReader(),
            choices,
            is_interactive=self._is_interactive,
        )

    def _open_reader(self, *, keeps_history: bool) -> Reader:
        return PromptReader(
            open_history() if keeps_history else InMemoryHistory(),
            CommandCompleter(BY_NAME, lambda name: values_of(self._chat, name)),
            self._toolbar,
        )

    def _toolbar(self) -> str:
        chat = self._chat
        model = (chat.model or {}).get("displayName", "")
        title = "New conversation" if chat.node is None else title_of(chat.node)
        files = ", ".join(attachment["filename"] for attachment in chat.choices.attachments)
        return " · ".join(filter(None, (model, title, files, "/help")))

    def talk(self, conversation_id: str | None, message: str | None) -> int:
        """Send one message, or else all messages of the input.

        Args:
            conversation_id: The conversation to continue; None for a new one.
            message: The only message to send; None to read messages.
        """
        with without_echo() if self._is_interactive else nullcontext():
            return self._talk(conversation_id, message)

    def _talk(self, conversation_id: str | None, message: str | None) -> int:
        if not self._begin(conversation_id):
            return 1
        try:
            is_done = self._read_all() if message is None else self._attempt(self._handle(message))
        except ExitChat:
            is_done = True
        if message is None and self._is_interactive:
            return 0
        return 0 if is_done and self._chat.succeeded else 1

    def _read_all(self) -> bool:
        """Handle the input to its end. Return whether all of it was handled."""
        if self._is_interactive:
            self._chat.screen.say("Enter sends, /help lists commands and keys, Ctrl+C stops an answer.", Kind.HINT)
        while (text := self._chat.reader.read()) is not None:
            # Without a person, the next messages may depend on the one that failed.
            if text.strip() and not self._attempt(self._handle(text)) and not self._is_interactive:
                return False
        return True

    def list_assistants(self) -> int:
        """List the assistants that the user may choose."""
        if not self._begin(None):
            return 1
        show_assistants(self._chat)
        return 0

    def _begin(self, conversation_id: str | None) -> bool:
        """Connect, and open the conversation. Return whether both succeeded."""
        if not self._attempt(self._load()):
            return False
        return conversation_id is None or self._attempt(self._chat.open(conversation_id))

    async def _load(self) -> None:
        await self._chat.load()

    async def _handle(self, text: str) -> None:
        """Run a command, or send a message."""
        chat = self._chat
        parsed = command_of(text, is_simulated=bool((chat.model or {}).get("simulated")))
        if isinstance(parsed, str):
            await chat.send(parsed)
        else:
            command, argument = parsed
            await command.run(chat, argument)

    def _attempt(self, work: Coroutine[None, None, None]) -> bool:
        """Run one step, and show why it failed. Return whether it succeeded."""
        screen = self._chat.screen
        try:
            asyncio.run(work)
        except RefusedError as refused:
            screen.say(_explanation(refused), Kind.PROBLEM)
            return False
        except LOST as error:
            screen.say(connection_problem(error, self._chat.server.url), Kind.PROBLEM)
            is_signed_out = is_forbidden(error)
        except (KeyboardInterrupt, asyncio.CancelledError):
            screen.end()
            screen.say(INTERRUPTED)
            return False
        else:
            return True
        # Not in the handler, whose error would be the context of those of the next requests.
        return is_signed_out and self._is_interactive and self._sign_in()

    def _sign_in(self) -> bool:
        """Ask for a token until the server accepts one. Return whether it did."""
        for _ in range(TOKEN_TRIES):
            token = self._chat.reader.ask_secret("Token: ")
            if token is None:
                return False
            self._chat.server.use_token(token)
            try:
                name = asyncio.run(self._chat.load())
            except RefusedError as refused:
                self._chat.screen.say(str(refused), Kind.PROBLEM)
            except LOST as error:
                self._chat.screen.say(connection_problem(error, self._chat.server.url), Kind.PROBLEM)
            else:
                self._chat.screen.say(f"Signed in as {name}. ↑ returns to what was not sent.")
                return True
        return False


def _explanation(refused: RefusedError) -> str:
    """Return the server's message, with what the user can do."""
    match refused.result:
        case {"generation": _}:
            return f"{refused} {BUSY}"
        case {"retryAfterSeconds": float(seconds) | int(seconds)}:
            return f"{refused} Try again in {seconds:.0f} seconds."
        case _:
            return str(refused)
