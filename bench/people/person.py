"""The people of the load: each is a state machine that thinks, acts, and thinks again.

A random generator, seeded with the run's seed and the person's number, decides what a person does and how long it
thinks. Two runs with the same seed do the same, as far as the server's responses are the same.
"""

import asyncio
import random
import time
import uuid
from array import array
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
from picows import WSTransport, ws_connect

from bench.people import documents
from bench.people.checker import Seen, compare
from bench.people.claude import Claude, WrittenAnswer
from bench.wire import Http, Json, Socket, post

PATIENCE = 60.0
"""Seconds after which a missing response counts as lost."""
KEPT_COMPLAINTS = 50
KEPT_ALIVE = 2.0
"""An idle connection is replaced after this many seconds, because the server may close it during a request."""
TURNS = 8
"""A person starts another conversation after this many turns on average."""
WAYS = {"send": 60, "list": 14, "read": 8, "search": 8, "regenerate": 5, "edit": 5}
"""The frequency of each action, in percent."""
MEANWHILE = {"nothing": 64, "refresh": 18, "second": 10, "stop": 8}
"""The frequency of each event during an answer, in percent."""
SHORT, LONG, THINKING = ("", "/simulate long {} ", "/simulate thinking ")
QUESTIONS = (SHORT, LONG, THINKING)
QUESTION_WEIGHTS = (50, 45, 5)
LONG_WORDS = (100, 500)
"""The minimum and maximum number of words of a long answer."""
WORDS = ("letter", "simple things", '"smallest step"', "postm*", "example paragraph", "word77")


@dataclass(slots=True)
class Tally:
    """The counts of all people, and latencies in milliseconds during a measurement."""

    measuring: bool = False
    waits: dict[str, "array[float]"] = field(default_factory=dict[str, Any])
    counts: Counter[str] = field(default_factory=Counter[str])
    broken: list[str] = field(default_factory=list[str])

    def waited(self, what: str, since: int, until: int = 0) -> None:
        """Add a latency. The arguments are times in nanoseconds."""
        if self.measuring:
            self.waits.setdefault(what, array("d")).append(((until or time.monotonic_ns()) - since) / 1e6)

    def complain(self, text: str) -> None:
        """Count a violation, and keep the first 50 texts."""
        self.counts["broken"] += 1
        if len(self.broken) < KEPT_COMPLAINTS:
            self.broken.append(text)


@dataclass(slots=True)
class World:
    """The state that all people share. `think` is the average number of seconds between two actions of a person."""

    ports: list[int]
    """The ports of the replicas. With several, a person sends requests to one and follows on the next."""
    claude: Claude
    seed: int
    think: float
    tally: Tally = field(default_factory=Tally)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when people must not start another action."""


class SignedSocket(Socket):
    """A socket that sends a token in `connection_init`."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Send `connection_init` with the token."""
        self.transport = transport
        self.say({"type": "connection_init", "payload": {"Authorization": f"Bearer {self._token}"}})


class Following:
    """A client that follows one answer, on one socket at a time."""

    def __init__(self, world: World, who: str, key: str, sent: int) -> None:
        """Prepare to follow an answer.

        Args:
            world: The state that all people share.
            who: The name of the client in complaints.
            key: The key in the message.
            sent: When the message was sent, in nanoseconds; 0 if the first token is not measured.
        """
        self.seen = Seen(lambda text: world.tally.complain(f"{who}: {text}"))
        self.text_came = asyncio.Event()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.done.add_done_callback(_retrieve_exception)
        self._world = world
        self._who = who
        self._key = key
        self._sent = sent
        self._live_since = 0
        self._refreshed = 0

    def subscribe(self, socket: Socket, generation: str, after: int | None = None, refreshed: int = 0) -> None:
        """Follow after an event, or from a snapshot. `refreshed`: when the reconnection began, in nanoseconds."""
        self.seen.begin(after)
        self._live_since, self._refreshed = 0, refreshed
        socket.subscribe(uuid.uuid4().hex, documents.FOLLOW, {"id": generation, "after": after}, self._take)

    async def end(self) -> None:
        """Wait until the answer is complete.

        Raises:
            ConnectionError: The socket was lost.
            TimeoutError: The answer was not complete within 60 seconds.
        """
        await asyncio.wait_for(asyncio.shield(self.done), PATIENCE)

    def _take(self, message: Json, now: int) -> None:
        if message["type"] == "next" and message["payload"].get("data"):
            self._event(message["payload"]["data"]["events"], now)
        elif message["type"] == "complete":
            self.seen.complete()
            if not self.done.done():
                self.done.set_result(None)
        elif not self.done.done():
            self.done.set_exception(ConnectionError(f"{self._who}: {str(message)[:300]}"))

    def _event(self, event: Json, now: int) -> None:
        piece = self.seen.take(event)
        self._world.tally.counts["events"] += 1
        if self._refreshed:
            self._world.tally.waited("refresh", self._refreshed, now)
            self._refreshed = 0
        written = self._world.claude.answers.get(self._key)
        if piece is not None and written is not None:
            self._piece(written, *piece, now)
        elif not self._live_since:
            # Tokens that were written before this time are not late.
            self._live_since = now
        if self.text_came.is_set() or not (piece or self.seen.text()):
            return
        self.text_came.set()
        if self._sent and written is not None:
            # Subtract the time from Claude's request to its first token, which is not the server's.
            self._world.tally.waited("first token", self._sent + written.times[0] - written.asked, now)

    def _piece(self, written: WrittenAnswer, offset: int, text: str, now: int) -> None:
        tally, since = self._world.tally, self._live_since or now
        for written_at in written.times_of(offset, len(text.encode("utf-16-le")) // 2):
            tally.counts["tokens"] += 1
            if written_at >= since:
                tally.waited("token", written_at, now)


def _retrieve_exception(done: "asyncio.Future[None]") -> None:
    """Retrieve the exception, so that asyncio does not log it: after a refresh nobody waits for the old socket."""
    if not done.cancelled():
        done.exception()


class Person:
    """A person with an open page: one socket, one connection for requests, and a token."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._tally = world.tally
        self._random = random.Random(f"{world.seed} {number}")
        self._number = number
        self._token = world.claude.token(f"person-{number}")
        self._asks = world.ports[number % len(world.ports)]
        self._http = Http(self._asks)
        self._follows = world.ports[(number + 1) % len(world.ports)]
        self._asked = 0.0
        self._socket: Socket | None = None
        self._turn = 0
        self._conversation: str | None = None
        self._question = ""
        self._answer = ""

    async def live(self) -> None:
        """Think and act until `leaving` is set."""
        await self._think(self._random.random())
        while not self._world.leaving.is_set():
            try:
                await self._act()
            except (ConnectionError, TimeoutError) as error:
                self._tally.complain(f"person {self._number}: {type(error).__name__} {error}")
                self._close_socket()
            await self._think(self._random.expovariate(1))
        self._close_socket()
        self._http.close()

    async def _think(self, share: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._world.leaving.wait(), share * self._world.think)

    async def _act(self) -> None:
        [way] = self._random.choices(list(WAYS), list(WAYS.values()))
        self._tally.counts[way] += 1
        if way == "list":
            await self._list()
        elif way == "read" and self._conversation:
            await self._ask("read", documents.READ, {"id": self._conversation})
        elif way == "search":
            await self._ask("search", documents.SEARCH, {"words": self._random.choice(WORDS)})
        elif way == "edit" and self._question:
            await self._turn_with(documents.EDIT, {"id": self._question, "text": self._text()})
        elif way == "regenerate" and self._answer:
            # The message and its key stay the same. Forget the old answer, so that the new one is found by the key.
            self._world.claude.answers.pop(self._key(), None)
            await self._turn_with(documents.REGENERATE, {"id": self._answer})
        else:
            if self._random.random() < 1 / TURNS:
                self._conversation = None
            more = {"conversation": self._conversation, "key": str(uuid.uuid4())}
            await self._turn_with(documents.SEND, {"text": self._text(), **more})

    def _key(self) -> str:
        return f"#{self._number}.{self._turn}"

    def _text(self) -> str:
        self._turn += 1
        [kind] = self._random.choices(QUESTIONS, QUESTION_WEIGHTS)
        return f"{kind.format(self._random.randint(*LONG_WORDS))}Please tell me more about letters. {self._key()}"

    async def _list(self) -> None:
        found = await self._ask("list", documents.LIST, {})
        shown = [edge["node"]["id"] for edge in found["conversations"]["edges"]]
        if self._conversation and shown[:1] != [self._conversation]:
            self._tally.complain(f"person {self._number}: the list begins with {shown[:1]}, not {self._conversation}")

    async def _turn_with(self, document: str, variables: Json) -> None:
        """Request an answer, follow it, act during it, and compare all that is known about it."""
        key, sent = self._key(), time.monotonic_ns()
        self._socket = self._socket or await self._open()
        payload = (await self._ask("send", document, variables))["sent"]
        if "generation" not in payload:
            raise ConnectionError(str(payload))
        generation = payload["generation"]["id"]
        self._conversation, self._question = payload["conversation"]["id"], payload["userMessage"]["id"]
        self._answer = payload["generation"]["message"]["id"]
        following = Following(self._world, f"person {self._number}, {generation}", key, sent)
        following.subscribe(self._socket, generation)
        seen, stopped = await self._meanwhile(following, generation, key)
        stored = (await self._ask("answer", documents.ANSWER, {"id": generation}))["answer"]
        written = self._world.claude.answers.pop(key, None)
        stored = {"status": stored["status"], "text": stored["message"]["text"]}
        for difference in compare(seen, stored, None if written is None else "".join(written.pieces), stopped):
            self._tally.complain(f"person {self._number}, {generation}: {difference}")
        self._tally.counts["answers"] += 1

    async def _meanwhile(self, following: Following, generation: str, key: str) -> tuple[list[Seen], str | None]:
        [event] = self._random.choices(list(MEANWHILE), list(MEANWHILE.values()))
        if event != "nothing":
            await asyncio.wait_for(following.text_came.wait(), PATIENCE)
            await asyncio.sleep(self._random.random() * 2 * self._world.claude.pace)
            self._tally.counts[event if not following.done.done() else f"{event}, too late"] += 1
        followed, stopped = [following.seen], None
        if event == "refresh" and not following.done.done():
            await self._refresh(following, generation)
        elif event == "second":
            followed.append(await self._second(generation, key))
        elif event == "stop":
            stopped = await self._stop(generation)
        await following.end()
        return followed, stopped

    async def _refresh(self, following: Following, generation: str) -> None:
        """Close the socket during the answer and reconnect: with a snapshot, like a page, or after the last event."""
        self._close_socket()
        following.done.cancel()
        following.done = asyncio.get_running_loop().create_future()
        following.done.add_done_callback(_retrieve_exception)
        await asyncio.sleep(self._random.random() * self._world.claude.pace)
        begun = time.monotonic_ns()
        self._socket = await self._open()
        after = following.seen.sequence if self._random.random() < 1 / 3 else None
        following.subscribe(self._socket, generation, after, begun)

    async def _second(self, generation: str, key: str) -> Seen:
        """Follow on a second device, from the first event."""
        socket = await self._open()
        second = Following(self._world, f"person {self._number}, second, {generation}", key, 0)
        second.subscribe(socket, generation, 0)
        try:
            await second.end()
        finally:
            socket.close()
        return second.seen

    async def _stop(self, generation: str) -> str | None:
        payload = (await self._ask("stop", documents.STOP, {"id": generation}))["stopped"]
        if "generation" not in payload:
            self._tally.complain(f"person {self._number}, {generation}: the stop returned {payload}")
            return None
        return str(payload["generation"]["message"]["text"])

    async def _ask(self, what: str, document: str, variables: Json) -> Json:
        """Send a request, and return its data. Raises ConnectionError if the response has errors."""
        request = post("/graphql", {"query": document, "variables": variables})
        request = request.replace(b"\r\n", f"\r\nauthorization: Bearer {self._token}\r\n".encode(), 1)
        begun = time.monotonic_ns()
        if time.monotonic() - self._asked > KEPT_ALIVE:
            self._http.close()
            self._http = Http(self._asks)
        answer: Json = orjson.loads(await asyncio.wait_for(self._http.send(request), PATIENCE))
        self._asked = time.monotonic()
        self._tally.waited(what, begun)
        if not answer.get("data") or answer.get("errors"):
            raise ConnectionError(f"{what}: {str(answer)[:300]}")
        data: Json = answer["data"]
        return data

    async def _open(self) -> Socket:
        address = f"ws://127.0.0.1:{self._follows}/graphql"
        headers = {"Sec-WebSocket-Protocol": "graphql-transport-ws"}
        _, socket = await ws_connect(lambda: SignedSocket(self._token), address, extra_headers=headers)
        assert isinstance(socket, SignedSocket)
        await asyncio.wait_for(socket.ready, PATIENCE)
        return socket

    def _close_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
