"""Shared parts of the fault tests: server processes, a Claude that counts requests, readers that always reconnect."""

import json
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import forking
import httpx2
import websockets.exceptions
from client import FOLLOW, TERMINAL, Api, apply, sleep_between_polls
from running import prepare_database, running
from scripted import ScriptedClaude

from tertulia.claude.continuation import INSTRUCTION
from tertulia.simulator.app import create_simulator
from tertulia.simulator.phrases import ARTICLE

Json = dict[str, Any]
ROUNDS = int(os.environ.get("TERTULIA_FAULTS", "1"))
"""How often each fault is tried, as a multiple of the number in `make test`. `make chaos` sets it."""
DICE = random.Random(os.environ.get("TERTULIA_FAULTS_SEED", "1"))
"""Chooses when faults happen. Another seed tries other times."""
PATIENCE = 90.0
LOST = (OSError, EOFError, TimeoutError, websockets.exceptions.WebSocketException, httpx2.HTTPError, AssertionError)


class CountingClaude:
    """The simulated Claude. It counts the requests for each user message."""

    def __init__(self, pace: float) -> None:
        self.asked: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        """The requests of each answer, with those that continue it, by the text of the question."""
        self.headers: dict[bytes, bytes] = {}
        """The headers of the newest request."""
        self.address = ""
        self._app = create_simulator(pace=pace)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = bytearray()

        async def listen() -> Any:
            message = await receive()
            body.extend(message.get("body", b""))
            if message["type"] == "http.request" and not message.get("more_body") and body:
                self.headers = dict(scope["headers"])
                texts = [_text_of(turn) for turn in json.loads(body)["messages"] if turn["role"] == "user"]
                self.asked[texts[-1]] += 1
                self.requests[[text for text in texts if text and not text.startswith(INSTRUCTION)][-1]] += 1
            return message

        await self._app(scope, listen, send)


def _text_of(turn: Json) -> str:
    content: Any = turn["content"]
    return str(content if isinstance(content, str) else content[-1].get("text", ""))


@contextmanager
def counting(pace: float = 0.3) -> Generator[CountingClaude]:
    claude = CountingClaude(pace)
    with running(claude, lifespan="off") as address:
        claude.address = address
        yield claude


class Server:
    """A `tertulia serve` process."""

    def __init__(
        self, folder: Path, place: Json, claude: CountingClaude | ScriptedClaude, *arguments: str, **more: str
    ) -> None:
        prefixes = ("TERTULIA_", "ANTHROPIC_", "DATABASE_URL", "REDIS_URL")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
        named = {name.upper(): str(value) for name, value in place.items()}
        claudes = {"ANTHROPIC_API_KEY": "sk-ant-counted", "ANTHROPIC_BASE_URL": claude.address}
        self.environment = {
            **inherited,
            "PYTHONPATH": str(forking.CODE),
            "TERTULIA_LEASE_SECONDS": "2",
            "TERTULIA_TITLE_MODEL": "",
            **named,
            **claudes,
            **more,
        }
        self.claude: Any = claude
        prepare_database(str(place["database_url"]))
        self.log = folder / f"server-{time.monotonic_ns()}.log"
        code = Path(self.environment["PYTHONPATH"].partition(os.pathsep)[0])
        self.process = forking.start(
            ["serve", "--port", "0", *arguments],
            folder=folder,
            environment=self.environment,
            output=self.log,
            code=code,
        )
        self.address = ""
        self.api: Api | None = None

    def ready(self) -> Api:
        deadline = time.monotonic() + 60
        while not self.address:
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            sleep_between_polls()
            # With TERTULIA_LOG_FORMAT=json, the announcement is a line of JSON.
            if (address := re.search(r"(?:Chat +|is ready.*)(http://[\d.:]+)", self.said())) is not None:
                self.address = address[1]
        api = self.api = Api(self.address)
        while not self._answers(api):
            sleep_between_polls()
            assert time.monotonic() < deadline, self.said()
        return api

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def resident_kilobytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    def kill(self) -> None:
        """Kill the process. Calling it again is no error."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        if self.api is not None:
            self.api.http.close()

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(60)
        finally:
            self.kill()

    @staticmethod
    def _answers(api: Api) -> bool:
        try:
            return api.http.get("/readyz").status_code == 200
        except LOST:
            return False


class Reader(threading.Thread):
    """Follows an answer to its end, reconnecting to any server that is alive, and records what it received."""

    def __init__(self, apis: Sequence[Api], generation: str, *, exact: bool) -> None:
        super().__init__(daemon=True)
        self.apis = list(apis)
        self.generation = generation
        self.exact = exact
        self.events: list[Json] = []
        self.longest = ""
        self.blocks: list[str] = []
        """The text of each block that was received last."""
        self.violations: list[str] = []
        self.reasons: list[str] = []
        self.start()

    def run(self) -> None:
        deadline = time.monotonic() + PATIENCE
        attempt = 0
        while not self.ended and time.monotonic() < deadline:
            api = self.apis[attempt % len(self.apis)]
            attempt += 1
            try:
                with api.socket() as socket:
                    id = socket.subscribe(FOLLOW, {"id": self.generation, "after": self._after()})
                    while (message := socket.receive())["type"] == "next":
                        if "errors" in message["payload"]:
                            self.violations.append(f"the subscription ended with {message['payload']['errors']}")
                        self._take(message["payload"]["data"]["generationEvents"])
                    assert message == {"type": "complete", "id": id}, message
            except LOST as error:
                self.reasons.append(repr(error)[:200])
                sleep_between_polls()
        if not self.ended:
            self.violations.append(f"the subscription hung: {self.reasons[-3:]}")

    def result(self) -> "Reader":
        self.join(PATIENCE + 30)
        assert not self.violations, self.violations
        return self

    @property
    def ended(self) -> bool:
        return bool(self.events) and self.events[-1]["__typename"] in TERMINAL

    @property
    def text(self) -> str:
        return "".join(apply(self.events))

    def _after(self) -> int | None:
        return self.events[-1]["sequence"] if self.exact and self.events else None

    def _take(self, event: Json) -> None:
        last = self.events[-1]["sequence"] if self.events else 0
        snapshot = event["__typename"] == "MessageSnapshot"
        if self.ended:
            self.violations.append(f"{event} came after the terminal event")
        if event["sequence"] <= last and not snapshot:
            self.violations.append(f"{event} came again after {last}")
        self.events.append(event)
        seen, self.blocks = self.blocks, apply(self.events)
        if not goes_on(seen, self.blocks):
            self.violations.append(f"{seen} was seen, then {self.blocks} by {event}")
        self.longest = max(self.longest, self.text, key=len)


def goes_on(before: Sequence[str], after: Sequence[str]) -> bool:
    """Return whether each block has kept its text. The input of a call may be formatted differently at its end."""
    return len(before) <= len(after) and all(
        new.startswith(old) or old.startswith("{") for old, new in zip(before, after, strict=False)
    )


def hold(api: Api, claude: CountingClaude, sent: Json, text: str, readers: Sequence[Reader], most: int = 1) -> str:
    """Assert the invariants that must hold after every fault, and return the type of the terminal event."""
    generation, conversation = sent["generation"]["id"], sent["conversation"]["id"]
    for reader in readers:
        reader.result()
    stored = api.messages(conversation)[-1]
    assert stored["generation"]["status"] in ("COMPLETED", "FAILED", "STOPPED"), stored
    whole = api.follow(generation)
    assert [event["__typename"] in TERMINAL for event in whole] == [False] * (len(whole) - 1) + [True]
    for reader in readers:
        shown = apply([{"__typename": "MessageSnapshot", "message": stored}])
        assert goes_on(reader.blocks, shown), (reader.blocks, shown)
        assert reader.events[-1]["__typename"] == whole[-1]["__typename"]
        assert reader.events[-1]["sequence"] == whole[-1]["sequence"]
    assert 1 <= claude.asked[text] <= most, claude.asked[text]
    if stored["generation"]["status"] == "COMPLETED" and "/simulate long" in text:
        assert stored["text"].rstrip(".").split() == [
            f"word{number + 1}" for number in range(len(stored["text"].split()))
        ]
    if stored["generation"]["status"] == "COMPLETED" and "/simulate break-at" in text:
        assert stored["text"] == ARTICLE
    again = api.answer("Are you still there?", conversationId=conversation)
    assert again["__typename"] == "GenerationCompleted", again
    return str(whole[-1]["__typename"])
