"""A server process with large data, and a watcher that measures the latency of its `/healthz`."""

import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from client import Api, Json, wait_until
from scripted import START, Reply, begin, delta, end, finish, says, scripted, text
from test_command import REAL, address_in, started
from test_import_checks import asked, conversation, file

INTERVAL = 0.02
"""Seconds between two requests of the watcher."""
ATTEMPTS = 3
"""How often one kind of request is tried at most."""
DELTAS, BLOCKS = 20_000, 2_000
"""Of the answer with many deltas, and of the answer with many blocks."""
MESSAGES = 2_000
"""Messages of the long conversation."""
CREATE = """mutation ($input: CreateConversationInput!) { createConversation(input: $input) {
  __typename ... on ConversationPayload { conversation { id } } ... on InvalidInput { field message } } }"""
STATUS = "query ($id: ID!) { generation(id: $id) { status } }"


class Watcher:
    """Records the worst latency of `/healthz` on a separate connection, without the time of waiting for a core.

    That time is what other programs of the machine take. It is subtracted for this thread and for all threads of the
    server, as Linux counts it.
    """

    def __init__(self, address: str, pid: int) -> None:
        self._host = urlsplit(address).netloc
        self._server = Path(f"/proc/{pid}/task")
        self._worst = 0.0
        self._lock = threading.Lock()
        self._left = threading.Event()
        self._begun: float | None = None
        self._waited: dict[str, float] = {}
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._left.set()
        self._thread.join()

    @contextmanager
    def record(self) -> Generator[list[float]]:
        """Yield a list that holds the worst latency after the block, including that of a pending request."""
        with self._lock:
            self._worst = 0.0
        recorded: list[float] = []
        yield recorded
        time.sleep(2 * INTERVAL)
        with self._lock:
            waiting = 0.0 if self._begun is None else self._latency(self._begun)
            recorded.append(max(self._worst, waiting))

    def _watch(self) -> None:
        connection = HTTPConnection(self._host, timeout=60)
        while not self._left.wait(INTERVAL):
            with self._lock:
                self._waited = self._waited_for_core()
                self._begun = begun = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            with self._lock:
                self._worst, self._begun = max(self._worst, self._latency(begun)), None
        connection.close()

    def _latency(self, begun: float) -> float:
        """Return the latency of the request that began then. The lock is held."""
        passed = time.perf_counter() - begun
        waited = sum(time - self._waited.get(thread, 0.0) for thread, time in self._waited_for_core().items())
        return max(passed - waited, 0.0)

    def _waited_for_core(self) -> dict[str, float]:
        """Return the seconds for which each thread of the server, and the watcher's, has waited for a core."""
        threads = [*self._server.glob("*"), Path(f"/proc/self/task/{self._thread.native_id}")]
        return {str(thread): waited for thread in threads if (waited := _waited(thread)) is not None}


def _waited(thread: Path) -> float | None:
    """Return the seconds for which a thread has waited for a core; None if it has ended or the system does not say."""
    try:
        return int((thread / "schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class Stage:
    """A server with its data."""

    api: Api
    watcher: Watcher
    long: str
    long_file: bytes
    deltas: str
    blocks: str
    waiting: list[str]

    def ask(self, document: str, **variables: Any) -> str:
        """Return the status, the error code if there is one, and the size of the response."""
        answered = self.api.http.post("/graphql", json={"query": document, "variables": variables})
        code = "".join(error["extensions"]["code"] for error in answered.json().get("errors", ())[:1])
        return f"{answered.status_code} {code}".strip() + f", {len(answered.content):,} bytes"

    def put_in(self, content: bytes, path: str = "/import", name: str = "file") -> str:
        answered = self.api.http.post(path, files={"file": (name, content)})
        return f"{answered.status_code}, {len(content):,} bytes sent"

    def read(self, path: str) -> str:
        answered = self.api.http.get(path)
        return f"{answered.status_code}, {len(answered.content):,} bytes"


def chain(id: str, texts: list[str]) -> list[Json]:
    """Return the export lines of a conversation without branches."""
    messages = [
        asked(
            id=f"{id}-{n}",
            parent_id=f"{id}-{n - 1}" if n else None,
            role="assistant" if n % 2 else "user",
            content=[{"type": "text", "text": words}],
        )
        for n, words in enumerate(texts)
    ]
    return [conversation(id=id), *messages]


CALL = Reply([
    START,
    begin(0, type="tool_use", id="toolu_1", name="look", input={}),
    delta(0, "input_json_delta", partial_json="{}"),
    finish(0),
    *end("tool_use"),
])  # fmt: skip
REPLIES = (
    Reply([START, *text(*(["the heron 🐦 "] * DELTAS)), *end()]),
    Reply([START, *(event for n in range(BLOCKS) for event in text(f"block {n}", index=n)), *end()]),
    *[CALL] * ATTEMPTS,
    says("Good."),
)


@contextmanager
def staged(folder: Path) -> Generator[Stage]:
    """Start a server process and fill its database."""
    with ExitStack() as stack:
        claude = stack.enter_context(scripted(*REPLIES))
        environment = {"ANTHROPIC_API_KEY": "sk-ant-scripted", "ANTHROPIC_BASE_URL": claude.address}
        process, printed = stack.enter_context(started(folder, "serve", program=REAL, **environment))
        api = stack.enter_context(Api(address_in(printed)))
        api.http.timeout = httpx2.Timeout(60)
        sentences = ["The heron waits at the river and does not move. " * 10] * MESSAGES
        long_file = file(*chain("long", sentences))
        (long,) = put_in(api, long_file)
        # The longest texts that a message may have, made of ten short words.
        put_in(api, file(*chain("texts", ["a b c d e f g h i j " * 10_000] * 20)))
        put_in(api, file(*(line for n in range(100) for line in chain(f"c{n}", ["short"] * 75))))
        tools = {"client": [{"name": "look", "description": "Looks.", "inputSchema": {"type": "object"}}]}
        deltas, blocks = (ended(api, "Tell me") for _ in range(2))
        waiting: list[str] = []
        for _ in range(ATTEMPTS):
            created = api.ask(CREATE, input={"tools": tools})["createConversation"]["conversation"]
            waiting.append(api.send("Look", conversationId=created["id"])["generation"]["id"])
            until(api, waiting[-1], "AWAITING_TOOL_RESULTS")
        watcher = Watcher(api.address, process.pid)
        stack.callback(watcher.close)
        yield Stage(api, watcher, long, long_file, deltas, blocks, waiting)


def put_in(api: Api, content: bytes) -> list[str]:
    answered = api.http.post("/import", files={"file": ("export", content)})
    assert answered.status_code == 201, answered.text
    ids: list[str] = answered.json()["conversation_ids"]
    return ids


def ended(api: Api, words: str) -> str:
    """Return the id of an answer that has ended."""
    generation: str = api.send(words)["generation"]["id"]
    until(api, generation, "COMPLETED")
    return generation


def until(api: Api, generation: str, status: str) -> None:
    wait_until(lambda: api.ask(STATUS, id=generation)["generation"]["status"] == status, status, 60)
