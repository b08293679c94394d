"""`tertulia chat`: commands, rendering and line editing without a server, and its use in a terminal and in pipes."""

import asyncio
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import forking
import pytest
from client import WAIT, Api, wait_until
from conftest import Staged
from graphql import validate
from people import MODE, register
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.console import Console
from running import tertulia
from scripted import START, Gate, Reply, end, text
from test_command import environment, run_here

from tertulia.cli.terminal import operations
from tertulia.cli.terminal.answer import AnswerReader, Kind, Piece
from tertulia.cli.terminal.commands import BY_NAME, command_of
from tertulia.cli.terminal.conversation import Choices, Conversation
from tertulia.cli.terminal.reader import CommandCompleter, PromptReader, open_history, without_echo
from tertulia.cli.terminal.screen import MarkdownScreen, split_blocks
from tertulia.cli.terminal.server import RefusedError, Server
from tertulia.schema.root import schema

DOCUMENT = """# Tea

Boil **fresh** water.

- black: 95 °C
- green: 75 °C

```python
steep(minutes=3)
```

| tea | minutes |
| --- | --- |
| green | 2 |

Enjoy."""


def test_every_operation_is_valid() -> None:
    documents = [value for name, value in vars(operations).items() if name.isupper() and not isinstance(value, str)]
    assert len(documents) > 10
    assert [validate(schema._schema, request.document) for request in documents] == [[]] * len(documents)


def test_commands_are_not_sent_and_unknown_ones_are_explained() -> None:
    parsed = command_of("/open  two words ", is_simulated=False)
    assert not isinstance(parsed, str)
    assert (parsed[0].name, parsed[1]) == ("/open", "two words")
    assert command_of("What is /etc?", is_simulated=False) == "What is /etc?"
    with pytest.raises(RefusedError, match=r"/hepl is not a command, and was not sent\. Did you mean /help\?"):
        command_of("/hepl", is_simulated=True)


def test_two_slashes_send_a_text_that_begins_with_one() -> None:
    assert command_of("//etc/hosts is empty", is_simulated=False) == "/etc/hosts is empty"


def test_the_simulated_claude_receives_its_scenarios() -> None:
    assert command_of("/simulate help", is_simulated=True) == "/simulate help"
    with pytest.raises(RefusedError, match="was not sent"):
        command_of("/simulate help", is_simulated=False)


def screen() -> tuple[MarkdownScreen, StringIO]:
    written = StringIO()
    return MarkdownScreen(Console(file=written, width=60, markup=False, highlight=False)), written


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_answer_is_rendered_block_by_block_and_each_block_once(size: int) -> None:
    markdown, written = screen()
    markdown.begin("Waiting")
    for start in range(0, len(DOCUMENT), size):
        markdown.show(Piece(Kind.TEXT, DOCUMENT[start : start + size], 0))
    markdown.end()
    text = re.sub(r" +$", "", written.getvalue(), flags=re.MULTILINE)
    words = ("Tea", "Boil fresh water.", " • black: 95 °C", "steep(minutes=3)", "green", "Enjoy.")
    assert [word for word in words if word not in text] == []
    assert (text.count("Boil"), text.count("steep"), text.count("Enjoy.")) == (1, 1, 1)
    assert re.search(r"\*\*|```|\| ---", text) is None
    assert re.search(r"water\.\n\n • black: 95 °C\n • green: 75 °C\n\n", text)


def test_blocks_are_printed_before_the_answer_ends() -> None:
    markdown, written = screen()
    markdown.begin("Waiting")
    markdown.show(Piece(Kind.TEXT, "First *paragraph*.\n\nSecond", 0))
    assert written.getvalue().strip() == "First paragraph."
    markdown.end()
    assert written.getvalue().split() == ["First", "paragraph.", "Second"]


@pytest.mark.parametrize(
    "text", [DOCUMENT, "one\ntwo\n\n", "a\u2028b\n\n\x0bc\n\nd", "- a\n\n  b\n- c\n\nd", "```\n\n```\nx"]
)
def test_the_blocks_of_a_text_are_the_text(text: str) -> None:
    finished, rest = split_blocks(text)
    assert finished + rest == text


def test_control_characters_of_an_answer_do_not_reach_the_terminal() -> None:
    markdown, written = screen()
    markdown.begin("")
    markdown.show(Piece(Kind.TEXT, "a\x1b]52;c;aGk=\x07b \x9b2J `c\x1b[2J`", 0))
    markdown.show(Piece(Kind.NOTE, "(tool: \x1b[2J)"))
    markdown.end()
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", written.getvalue()) is None
    assert "�" in written.getvalue()


def pieces(*events: dict[str, Any]) -> list[tuple[Kind, str]]:
    reader = AnswerReader()
    return [(piece.kind, piece.text) for event in events for piece in reader.read(event)]


def test_the_end_of_an_answer_shows_its_cost_and_files() -> None:
    usage = {
        "inputTokens": 1200,
        "cacheReadTokens": 4,
        "cacheWriteTokens": 0,
        "outputTokens": 356,
        "costUsd": "0.01234",
    }
    files = [{"filename": "a.csv", "problem": None, "attachment": {"url": "/attachments/1"}}]
    ended = {
        "model": {"displayName": "Claude"}, "usage": usage, "stopReason": "MAX_TOKENS", "refusal": None, "message": {"files": files},
    }  # fmt: skip
    assert pieces({"__typename": "GenerationCompleted", "generation": ended}) == [
        (Kind.NOTE, "File: a.csv /attachments/1"),
        (Kind.NOTE, "The answer has reached its maximum length. Ask Claude to continue."),
        (Kind.HINT, "Claude · 1,204 tokens in, 356 out · $0.0123"),
    ]


def test_a_failed_answer_shows_what_to_do() -> None:
    error = {"message": "Overloaded", "retryable": True, "retryAfterSeconds": 30.0}
    assert pieces({"__typename": "GenerationFailed", "error": error}) == [
        (Kind.PROBLEM, "Overloaded"),
        (Kind.HINT, "Wait 30 seconds, then enter /retry."),
    ]


@contextmanager
def prompting(history: Any = None) -> Generator[tuple[PromptReader, PipeInput]]:
    with create_pipe_input() as keys:
        completer = CommandCompleter(BY_NAME, lambda _name: ["low", "high"])
        yield (
            PromptReader(history or InMemoryHistory(), completer, lambda: "", input=keys, output=DummyOutput()),
            keys,
        )


ENTER, ALT_ENTER, UP, CTRL_A, CTRL_C, CTRL_D = "\r", "\x1b\r", "\x1b[A", "\x01", "\x03", "\x04"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (f"ello{CTRL_A}H{ENTER}", "Hello"),
        (f"one{ALT_ENTER}two{ENTER}", "one\ntwo"),
        (f"one\\{ENTER}two{ENTER}", "one\ntwo"),
        (f"\x1b[200~one\ntwo\x1b[201~{ENTER}", "one\ntwo"),
        (f"wrong{CTRL_C}right{ENTER}", "right"),
        (f"{CTRL_C}{CTRL_C}", None),
        (CTRL_D, None),
    ],
)
def test_a_message_is_edited_in_the_prompt(typed: str, message: str | None) -> None:
    with prompting() as (reader, keys):
        keys.send_text(typed)
        assert reader.read() == message


def test_earlier_messages_return_with_the_arrow_keys_and_are_kept_privately(tmp_path: Path) -> None:
    variables = {"XDG_STATE_HOME": str(tmp_path)}
    with prompting(open_history(variables)) as (reader, keys):
        keys.send_text(f"First{ENTER}")
        assert reader.read() == "First"
    (file,) = tmp_path.rglob("chat_history")
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    history = open_history(variables)
    assert isinstance(history, FileHistory)
    asyncio.run(_loaded(history))
    with prompting(history) as (reader, keys):
        keys.send_text(f"{UP}{ENTER}")
        assert reader.read() == "First"


async def _loaded(history: FileHistory) -> None:
    async for _ in history.load():
        pass


def test_keys_are_not_shown_during_an_answer_and_are_shown_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    own, theirs = pty.openpty()
    with os.fdopen(own), os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        with without_echo():
            assert termios.tcgetattr(terminal)[3] & termios.ECHO == 0
        assert termios.tcgetattr(terminal)[3] & termios.ECHO


def test_commands_and_their_values_are_completed() -> None:
    completer = CommandCompleter(BY_NAME, lambda _name: ["low", "high"])

    def completed(text: str) -> list[str]:
        return [completion.text for completion in completer.get_completions(Document(text), CompleteEvent())]

    assert completed("/re") == ["/resume", "/retry"]
    assert completed("/effort h") == ["high"]
    assert completed("Hello /re") == []


def test_commands_change_and_open_conversations(tmp_path: Path, api: Api) -> None:
    (tmp_path / "notes on tea.txt").write_text("Green tea: two minutes.")
    lines = [
        "/attach notes\\ on\\ tea.txt",
        "My name is Ada",
        "/title Tea time",
        "/new",
        "Hello",
        "/open tea TIME",
        "/usage",
    ]
    lines += ["What is my name?", "/retry", "/effort high", "/model", "/detach", "/help", "/open", "/quit", "Not sent"]
    done = run_here(tmp_path, "chat", "--url", api.address, stdin="\n".join(lines))
    assert done.exit_code == 0, done.output
    assert done.stdout.count("Your name is Ada.") == 2
    assert "notes on tea.txt is attached to the next message." in done.stderr
    assert "The title is: Tea time" in done.stderr
    assert re.search(r"\d+ tokens in, \d+ out · \$0\.\d+\. The context has \d", done.stderr)
    assert "The effort is high from now on." in done.stderr
    assert re.search(r"^\* \S+", done.stdout, re.MULTILINE)
    assert re.search(r"/attach PATH +attaches a file", done.stdout)
    assert re.search(r"1  \d{4}-\d\d-\d\d \d\d:\d\d  Tea time\n 2  ", done.stdout)
    listed = api.ask(
        "{ conversations { edges { node { messages { edges { node { role text siblings { id } } } } } } } }"
    )
    conversations = [edge["node"]["messages"]["edges"] for edge in listed["conversations"]["edges"]]
    texts = [[message["node"]["text"] for message in messages][::2] for messages in conversations]
    assert texts[:2] == [["My name is Ada", "What is my name?"], ["Hello"]]
    assert len(conversations[0][-1]["node"]["siblings"]) == 2


class Replies:
    """Replies to the questions of a conversation in order."""

    def __init__(self, *replies: str | None) -> None:
        self.replies, self.questions = list(replies), list[str]()

    def read(self) -> str | None:
        return None

    async def ask(self, question: str) -> str | None:
        self.questions.append(question)
        return self.replies.pop(0)

    def ask_secret(self, question: str) -> str | None:
        return None


def conversation(address: str, *replies: str | None) -> tuple[Conversation, StringIO]:
    markdown, written = screen()
    return Conversation(Server(address, None), markdown, Replies(*replies), Choices(), is_interactive=True), written


def test_an_opened_conversation_shows_the_rest_of_the_answer_that_is_being_written(staged: Staged) -> None:
    gate = Gate()
    stage = staged(Reply([START, *text("Once ", gate, "upon **a time**."), *end()]))
    sent = stage.api.send("Tell me a story")
    gate.reached.wait(WAIT)
    opened, written = conversation(stage.api.address)
    with ThreadPoolExecutor() as pool:
        opening = pool.submit(asyncio.run, opened.open(sent["conversation"]["id"]))
        wait_until(lambda: opened.generation, "the answer")
        gate.open.set()
        opening.result(WAIT)
    shown = written.getvalue().split()
    assert " ".join(shown[shown.index(">") :]).startswith("> Tell me a story Once upon a time.")
    assert opened.succeeded


class LosingServer(Server):
    """A server to which each second connection cannot be opened."""

    def __init__(self, url: str) -> None:
        super().__init__(url, None)
        self.connections = 0

    def _client(self) -> Any:
        self.connections += 1
        if self.connections % 2 == 0:
            raise ConnectionResetError
        return super()._client()


def test_a_lost_connection_is_opened_again_and_the_answer_continues(
    tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tertulia.cli.terminal.server.FIRST_WAIT", 0.0)
    markdown, written = screen()
    losing = Conversation(LosingServer(api.address), markdown, Replies(), Choices(), is_interactive=True)
    asyncio.run(losing.send("Hello, my name is Ada"))
    assert (losing.succeeded, written.getvalue().count("Ada")) == (True, 1)


def test_an_approval_can_hold_for_all_calls_of_the_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with tertulia(tmp_path, tools=("some_tools:pay",)) as address:
        allowed, written = conversation(address, "a")
        for _ in range(2):
            asyncio.run(allowed.send('/simulate call pay {"amount": 7}'))
        assert (allowed.succeeded, written.getvalue().count("(tool result: Paid 7.)")) == (True, 2)
        denied, written = conversation(address, "")
        asyncio.run(denied.send('/simulate call pay {"amount": 7}'))
        assert "The user denied this call." in written.getvalue()
        stopped, written = conversation(address, None)
        asyncio.run(stopped.send('/simulate call pay {"amount": 7}'))
        assert (stopped.succeeded, written.getvalue().endswith("(stopped)\n")) == (False, True)


def test_the_deletion_of_a_conversation_is_confirmed_first(tmp_path: Path, api: Api) -> None:
    done = run_here(
        tmp_path, "chat", "--url", api.address, stdin="Hello\n/delete\nn\n/title Osprey\n/delete\ny\n/title\n"
    )
    assert (done.exit_code, "Nothing was deleted." in done.stderr) == (1, True)
    assert "Delete “Osprey” with all its messages? [y/N] The conversation was deleted." in done.stderr
    kept = api.ask('{ conversations(filter: { titleContains: "Osprey" }) { edges { cursor } } }')
    assert kept["conversations"]["edges"] == []


def test_a_script_sends_one_message_and_receives_only_the_answer(tmp_path: Path, api: Api) -> None:
    one = run_here(tmp_path, "chat", "--url", api.address, "/simulate thinking")
    assert (one.exit_code, "count to three" in one.stdout, "count to three" in one.stderr) == (0, False, True)
    text = run_here(tmp_path, "chat", "--url", api.address, "-", stdin="/quit\nis the first line.")
    assert (text.exit_code, "is the first line." in text.stdout) == (0, True)
    failed = run_here(tmp_path, "chat", "--url", api.address, "/simulate error 1 reject")
    assert failed.exit_code == 1
    assert failed.stderr


def test_a_token_is_read_from_a_file(tmp_path: Path) -> None:
    with tertulia(tmp_path, **MODE) as address:
        token = register(address, "ada")["access_token"]
        (tmp_path / "token").write_text(f"{token}\n")
        assert run_here(tmp_path, "chat", "--url", address, "--token-file", "token", "Hello").exit_code == 0
        refused = run_here(tmp_path, "chat", "--url", address, "Hello")
        assert (refused.exit_code, "Not signed in." in refused.stderr, refused.stdout) == (1, True, "")
    missing = run_here(tmp_path, "chat", "--token-file", "none", "Hello")
    assert (missing.exit_code, "--token-file" in missing.stderr) == (2, True)


TOOLBAR = "· /help"
"""The end of the line below the prompt."""


class Terminal:
    """`tertulia chat` in a terminal of 80 columns."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._own, theirs = pty.openpty()
        variables = environment({"TERM": "xterm-256color", "COLUMNS": "80", "XDG_STATE_HOME": str(folder)})
        self.process = subprocess.Popen(
            [forking.command() / "tertulia", "chat", *arguments], cwd=folder, env=variables,
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.shown = ""

    def write(self, text: str) -> None:
        os.write(self._own, text.encode())

    def wait_for(self, text: str, seconds: float = 60) -> str:
        """Read until the terminal shows a text after what was read before, and return what was read."""
        deadline, read = time.monotonic() + seconds, ""
        while text not in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", read):
            ready, _, _ = select.select([self._own], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{text!r} was not shown within {seconds:g} seconds: {read!r}"
            piece = os.read(self._own, 65536).decode(errors="replace")
            if "\x1b[6n" in piece:
                # The prompt asks for the position of the cursor, as terminals report it.
                self.write("\x1b[1;1R")
            read += piece
        return read

    def close(self) -> int:
        try:
            return self.process.wait(WAIT)
        finally:
            self.process.kill()
            self.process.wait()
            os.close(self._own)


def test_a_person_talks_to_claude_in_a_terminal(tmp_path: Path, api: Api) -> None:
    terminal = Terminal(tmp_path, "--url", api.address)
    terminal.wait_for(TOOLBAR)
    terminal.write("/hepl\r")
    terminal.wait_for("Did you mean /help?")
    terminal.wait_for(TOOLBAR)
    terminal.write("Hello, my name is Ada\r")
    terminal.wait_for("tokens in")
    # Before the prompt, the terminal itself handles the key.
    terminal.wait_for(TOOLBAR)
    terminal.write(CTRL_D)
    assert terminal.close() == 0
    listed = api.ask("{ conversations { edges { node { messages { edges { node { text } } } } } } }")
    messages = listed["conversations"]["edges"][0]["node"]["messages"]["edges"]
    assert [message["node"]["text"] for message in messages][::2] == ["Hello, my name is Ada"]
