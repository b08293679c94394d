"""The example scripts and the page without WebSockets, with a real server, lost connections, errors and stops."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest
from client import REJECTED, Api
from npm import run
from people import MODE, PASSWORD, register
from programs import chromium, require
from running import read_until, tertulia

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
VITE = ROOT / "node_modules/.bin/vite"
WAIT = 120
needs_curl = pytest.mark.needs("curl")
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


class CuttableProxy:
    """A TCP proxy whose connections the test can cut."""

    def __init__(self, to: str) -> None:
        self._to = int(to.rpartition(":")[2])
        self._open: set[asyncio.StreamWriter] = set()
        self._listens = threading.Event()
        self.address = ""
        self.connections = 0

    def cut(self) -> None:
        """Cut all connections. New ones are accepted."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(WAIT)

    async def _cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with closing(writer):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
            with closing(far_writer):
                self._open |= {writer, far_writer}
                await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))
                self._open -= {writer, far_writer}

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        async with await asyncio.start_server(self._connected, "127.0.0.1", 0) as server:
            self.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            self._listens.set()
            await self._over.wait()
            await self._cut()

    @contextmanager
    def open(self) -> Generator["CuttableProxy"]:
        thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        thread.start()
        assert self._listens.wait(WAIT)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._over.set)
            thread.join(WAIT)


@pytest.fixture(scope="module")
def paced(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    """A server whose simulated Claude writes slowly enough to be interrupted in the middle."""
    with tertulia(tmp_path_factory.mktemp("examples"), simulator_pace=0.5) as address, Api(address) as api:
        yield api


@pytest.fixture
def proxy(paced: Api) -> Generator[CuttableProxy]:
    with CuttableProxy(paced.address).open() as cuttable:
        yield cuttable


def words(count: int) -> str:
    return " ".join(f"word{number}" for number in range(1, count + 1)) + "."


def begun(command: list[str], address: str, **more: str) -> subprocess.Popen[str]:
    """Start a program that uses a server."""
    variables = os.environ | {"TERTULIA_URL": address, "PYTHONPATH": str(ROOT / "web/packages/stream-python")} | more
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(command: list[str], address: str, **more: str) -> tuple[int, str, str]:
    """Run a program to its end, and return its status, output and errors."""
    with begun(command, address, **more) as program:
        out, error = program.communicate(timeout=WAIT)
    return program.returncode, out, error


def rest_of(program: subprocess.Popen[str]) -> tuple[str, str]:
    """Return the remaining output and errors of a running program."""
    assert program.stdout is not None
    assert program.stderr is not None
    return program.stdout.read(), program.stderr.read()


def python(*arguments: str) -> list[str]:
    return [sys.executable, str(EXAMPLES / "python/conversation.py"), *arguments]


def shell(*arguments: str, shell: str = "sh") -> list[str]:
    return [shell, str(EXAMPLES / "curl/conversation.sh"), *arguments]


def conversation_in(out: str) -> str:
    match = re.search(UUID, out)
    assert match is not None, out
    return match[0]


# ---- Python -----------------------------------------------------------------------------------------------------------


def test_the_python_example_continues_a_conversation(paced: Api) -> None:
    status, out, error = ended(python("Hello, my name is Ada 😀"), paced.address)
    assert (status, error) == (0, "")
    conversation = conversation_in(out)
    assert out.startswith(paced.messages(conversation)[-1]["text"])
    assert "Ada 😀" in out
    _, again, _ = ended(python("What is my name?", "--conversation", conversation), paced.address)
    assert again.startswith("Your name is Ada")


def test_the_python_example_resumes_after_a_lost_connection(paced: Api, proxy: CuttableProxy) -> None:
    with begun(python("/simulate long 150"), proxy.address) as program:
        out = ""
        for word in ("word20 ", "word40 "):
            out += read_until(program, word)
            proxy.cut()
        rest, error = rest_of(program)
    assert (program.returncode, error) == (0, "")
    assert (out + rest).partition("\n")[0] == words(150)
    # One connection to send, one to follow, and one after each cut.
    assert proxy.connections == 4
    assert len(paced.messages(conversation_in(rest))) == 2


def test_the_python_example_repeats_a_send_without_a_response_and_is_answered_once(paced: Api) -> None:
    first = paced.send("Hello, my name is Ada")
    conversation = first["conversation"]["id"]
    paced.follow(first["generation"]["id"])
    losing_proxy = ResponseLosingProxy(paced.address)
    with losing_proxy.open() as proxy:
        status, out, error = ended(python("What is my name?", "--conversation", conversation), proxy.address)
    assert losing_proxy.cuts == 1
    assert (status, error) == (0, "")
    assert out.startswith("Your name is Ada")
    assert [message["role"] for message in paced.messages(conversation)] == ["USER", "ASSISTANT"] * 2


class ResponseLosingProxy(CuttableProxy):
    """A proxy that cuts its connections when the response to the first send arrives."""

    def __init__(self, to: str) -> None:
        super().__init__(to)
        self.cuts = 0

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(65536):
                if b"sendMessage" in piece and b"conversation" in piece and not self.cuts:
                    self.cuts += 1
                    await self._cut()
                    return
                writer.write(piece)
                await writer.drain()
        writer.close()


def test_ctrl_c_in_the_python_example_stops_the_answer_on_the_server(paced: Api) -> None:
    with begun(python("/simulate long 2000"), paced.address) as program:
        out = read_until(program, "word10 ")
        program.send_signal(signal.SIGINT)
        rest, error = rest_of(program)
    assert (program.returncode, error) == (0, "")
    shown, _, _ = (out + rest).partition("\n(stopped)")
    stored = paced.messages(conversation_in(rest))[-1]
    assert stored["generation"]["status"] == "STOPPED"
    assert stored["text"].startswith(shown)
    assert "word2000" not in stored["text"]


def test_the_python_example_prints_why_an_answer_failed(paced: Api) -> None:
    status, out, error = ended(python("/simulate error 1 reject"), paced.address)
    assert (status, error) == (1, f"{REJECTED}\n")
    assert out.startswith(paced.messages(conversation_in(out))[-1]["text"])


def test_the_python_example_prints_why_a_message_is_refused(paced: Api) -> None:
    status, _, error = ended(python("Hello", "--conversation", "nobody's"), paced.address)
    assert (status, error) == (1, "There is no conversation with this id.\n")


def test_the_scripts_send_the_token_of_the_environment(tmp_path: Path) -> None:
    with tertulia(tmp_path, **MODE) as address:
        token = register(address, "ada")["access_token"]
        for command in (python("Hello"), shell("Hello")):
            status, _, error = ended(command, address)
            assert status == 1
            assert "4403" in error or "UNAUTHENTICATED" in error
            status, out, _ = ended(command, address, TERTULIA_TOKEN=token)
            assert status == 0
            assert "Hello" in out


# ---- curl -------------------------------------------------------------------------------------------------------------


@needs_curl
@pytest.mark.parametrize("name", ["sh", "bash"])
def test_the_shell_example_works_in_each_shell(paced: Api, name: str) -> None:
    require(name)
    prompt = 'Say "{\\"a\\": [1]}\\n" and \\c for $HOME.\nMy name is Ada 😀'
    status, out, error = ended(shell(prompt, shell=name), paced.address)
    assert status == 0, error
    sent, continued, stopped, read, turn, stream = re.split(r"^== .*\n", out, flags=re.MULTILINE)[1:]
    conversation = conversation_in(turn)
    first, asked, second, _, third, *_ = [message["text"] for message in paced.messages(conversation)][1:]
    assert paced.messages(conversation)[0]["text"] == prompt
    assert (sent, asked, continued) == (f"{first}\n", "What is my name?", f"{second}\n")
    assert '"status":"STOPPED"' in stopped
    assert third.startswith("word1")
    assert "word300" not in third
    assert third in stopped
    assert third in read
    assert turn.startswith('{"response":')
    assert stream.startswith("event: start\n")
    assert "event: done\n" in stream


@needs_curl
def test_the_shell_example_resumes_after_a_lost_connection(paced: Api, proxy: CuttableProxy) -> None:
    with begun(shell("/simulate long 150"), proxy.address) as program:
        out = read_until(program, "word20 ")
        proxy.cut()
        rest, _ = rest_of(program)
    assert program.returncode == 0
    assert f"\n{words(150)}\n== Continue" in out + rest
    assert len(paced.messages(conversation_in(rest))) == 10


@needs_curl
def test_the_shell_example_prints_why_an_answer_failed(paced: Api) -> None:
    _, out, _ = ended(shell("/simulate error 1 reject"), paced.address)
    assert f"\nThis answer begins like any other, but it\n{REJECTED}\n== Continue" in out


@needs_curl
def test_each_command_in_the_readme_of_the_shell_example_works(paced: Api) -> None:
    commands = re.findall(r"```sh\n(curl .*?)```", (EXAMPLES / "curl/README.md").read_text(), re.DOTALL)
    known: dict[str, str] = {}
    outs: list[str] = []
    for command in commands:
        here = command.replace("http://127.0.0.1:8000", paced.address)
        status, out, _ = ended(["sh", "-ec", here], paced.address, **known)
        assert status == 0
        assert '"errors"' not in out
        outs.append(out)
        for name in ("generation", "conversation"):
            if found := re.search(rf'"{name}":{{"id":"({UUID})"', out):
                known[name.upper()] = found[1]
    sent, followed, again, stopped, read, turn, stream = outs
    assert '"generation":' in sent
    assert followed.startswith(":\n\nevent: next\n")
    assert followed.endswith("event: complete\ndata:\n\n")
    assert known["CONVERSATION"] in again
    assert '"status":' in stopped
    assert "Ada" in read
    assert known["CONVERSATION"] in turn
    assert "event: done" in stream


# ---- the page without WebSockets --------------------------------------------------------------------------------------


@contextmanager
def preview(folder: Path, server: str) -> Generator[str]:
    """Build the page of examples/sse, serve it, and yield its address."""
    source, options = EXAMPLES / "sse", ["--outDir", str(folder), "--logLevel", "info"]
    done = subprocess.run([VITE, "build", *options], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    command = [str(VITE), "preview", "--host", "127.0.0.1", "--port", "0", *options]
    variables = os.environ | {"TERTULIA_URL": server, "NO_COLOR": "1"}
    with subprocess.Popen(command, cwd=source, env=variables, stdout=subprocess.PIPE, text=True) as process:
        try:
            output = read_until(process, "/\n")
            yield re.findall(r"http://127\.0\.0\.1:\d+", output)[0]
        finally:
            process.terminate()


@pytest.mark.needs("chromium", "node", "node_modules", "tests/node")
def test_a_page_without_websockets_resumes_after_a_refresh_and_a_cut_and_can_stop(tmp_path: Path) -> None:
    with (
        tertulia(tmp_path, simulator_pace=1) as address,
        Api(address) as api,
        preview(tmp_path / "page", address) as page,
    ):
        report = run("sse_example.mjs", chromium(), page)
        stored = api.messages(report["address"].partition("?c=")[2])
    assert report["thought"] == thinking_of(stored[1])
    assert (stored[3]["text"], report["sendable"], report["stopShown"]) == (report["first"], False, False)
    texts = [report[name] for name in ("before", "refreshed", "cut", "reconnected", "silenced", "heard", "stopped")]
    assert all(text and later.startswith(text) for text, later in pairwise(texts))
    assert len(report["before"]) < len(report["refreshed"])
    assert report["stopped"] == stored[5]["text"]
    assert stored[5]["generation"]["status"] == "STOPPED"
    # After the cut and after the silence, the page requests only the missing events.
    assert len(report["resumed"]) > 1
    assert all(report["resumed"])
    assert (report["failed"], report["accepts"]) == (REJECTED, ["text/event-stream"])
    assert report["roles"] == [["user", "false"], ["assistant", "false"]] * 4
    assert report["problems"] == []


def thinking_of(message: dict[str, list[dict[str, str]]]) -> str:
    return next(block["text"] for block in message["content"] if block["__typename"] == "ThinkingBlock")


@pytest.mark.needs("node", "node_modules", "tests/node")
def test_a_page_signs_in_once_and_refreshes_its_token_once_for_all_requests(tmp_path: Path) -> None:
    options = ["--ssr", "src/session.ts", "--outDir", str(tmp_path / "built"), "--logLevel", "warn"]
    done = subprocess.run(
        [VITE, "build", *options], cwd=EXAMPLES / "sse", capture_output=True, text=True, check=False, timeout=WAIT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (tmp_path / "built").glob("session.*js")
    with tertulia(tmp_path, **MODE) as address:
        register(address, "ada")
        report = run("session_example.mjs", str(built), address, "ada", PASSWORD)
    assert report["first"] == {"names": ["ada"], "asked": 1, "refreshed": 0}
    assert report["again"] == {"names": ["ada"], "asked": 0, "refreshed": 0}
    # Before the token expires, and after the server has refused it.
    assert report["expiring"] == {"names": ["ada"] * 3, "asked": 0, "refreshed": 1}
    assert report["refused"] == {"names": ["ada"], "asked": 0, "refreshed": 1}
    assert report["ended"] == {"names": ["ada"], "asked": 1, "refreshed": 1}
    assert report["wrong"]
