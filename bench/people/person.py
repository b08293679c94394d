"""The people of the load: each one a state machine that thinks, does something, and thinks again.

What somebody does and how long they think comes from a generator that is seeded with the run's seed and their number,
so that two runs with one seed do the same things, as far as the server answers them the same.
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
from bench.people.claude import Claude, Told
from bench.wire import Http, Json, Socket, post

PATIENCE = 60.0
"""Seconds after which what does not come counts as lost."""
KEPT_COMPLAINTS = 50
KEPT_ALIVE = 2.0
"""Seconds after which a connection is opened anew: a server may close what is silent just when somebody asks."""
TURNS = 8
"""After about so many turns somebody begins another conversation."""
WAYS = {"send": 60, "list": 14, "read": 8, "search": 8, "regenerate": 5, "edit": 5}
"""How often somebody does what, of a hundred times."""
MEANWHILE = {"nothing": 64, "refresh": 18, "second": 10, "stop": 8}
"""What happens in the middle of an answer."""
SHORT, LONG, THINKING = ("", "/simulate long {} ", "/simulate thinking ")
QUESTIONS = (SHORT, LONG, THINKING)
QUESTION_WEIGHTS = (50, 45, 5)
LONG_WORDS = (100, 500)
"""Words of a long answer, at least and at most."""
WORDS = ("letter", "simple things", '"smallest step"', "postm*", "example paragraph", "word77")


@dataclass(slots=True)
class Tally:
    """What all people have seen together; milliseconds, while it is measured."""

    measuring: bool = False
    waits: dict[str, "array[float]"] = field(default_factory=dict[str, Any])
    counts: Counter[str] = field(default_factory=Counter[str])
    broken: list[str] = field(default_factory=list[str])

    def waited(self, what: str, since: int, until: int = 0) -> None:
        """Add a wait, given in nanoseconds."""
        if self.measuring:
            self.waits.setdefault(what, array("d")).append(((until or time.monotonic_ns()) - since) / 1e6)

    def complain(self, text: str) -> None:
        """Note something that is broken."""
        self.counts["broken"] += 1
        if len(self.broken) < KEPT_COMPLAINTS:
            self.broken.append(text)


@dataclass(slots=True)
class World:
    """What all people share. `think`: seconds between two things that somebody does, on average."""

    ports: list[int]
    """Of the replicas: with several, everybody asks one and follows on the next one."""
    claude: Claude
    seed: int
    think: float
    tally: Tally = field(default_factory=Tally)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether people begin nothing new."""


class SignedSocket(Socket):
    """A socket of somebody who has signed in."""

    def __init__(self, token: str) -> None:
        """Take the token."""
        super().__init__()
        self._token = token

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Begin the protocol."""
        self.transport = transport
        self.say({"type": "connection_init", "payload": {"Authorization": f"Bearer {self._token}"}})


class Following:
    """One answer that is followed on one socket at a time."""

    def __init__(self, world: World, who: str, key: str, sent: int) -> None:
        """`key`: what stands in the message; `sent`: when it was sent, 0 where the first token is not measured."""
        self.seen = Seen(lambda text: world.tally.complain(f"{who}: {text}"))
        self.text_came = asyncio.Event()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.done.add_done_callback(_heard)
        self._world = world
        self._who = who
        self._key = key
        self._sent = sent
        self._live_since = 0
        self._refreshed = 0

    def subscribe(self, socket: Socket, generation: str, after: int | None = None, refreshed: int = 0) -> None:
        """Follow, behind a number or from a snapshot; `refreshed`: when somebody began to come back."""
        self.seen.begin(after)
        self._live_since, self._refreshed = 0, refreshed
        socket.subscribe(uuid.uuid4().hex, documents.FOLLOW, {"id": generation, "after": after}, self._take)

    async def end(self) -> None:
        """Wait until it is complete. ConnectionError: the socket was lost; TimeoutError: nothing came."""
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
        told = self._world.claude.told.get(self._key)
        if piece is not None and told is not None:
            self._piece(told, *piece, now)
        elif not self._live_since:
            # What was written before is no token that came late.
            self._live_since = now
        if self.text_came.is_set() or not (piece or self.seen.text()):
            return
        self.text_came.set()
        if self._sent and told is not None:
            # Claude's own time, from being asked to its first word, is not the server's.
            self._world.tally.waited("first token", self._sent + told.moments[0] - told.asked, now)

    def _piece(self, told: Told, offset: int, text: str, now: int) -> None:
        tally, since = self._world.tally, self._live_since or now
        for moment in told.moments_of(offset, len(text.encode("utf-16-le")) // 2):
            tally.counts["tokens"] += 1
            if moment >= since:
                tally.waited("token", moment, now)


def _heard(done: "asyncio.Future[None]") -> None:
    """Whoever refreshes hears no more of the old socket; its loss is nobody's error."""
    if not done.cancelled():
        done.exception()


class Person:
    """Somebody with a page open: one socket, one connection for requests, a token of their own."""

    def __init__(self, world: World, number: int) -> None:
        """Do nothing yet."""
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
        """Think and act until the world ends."""
        await self._think(self._random.random())
        while not self._world.leaving.is_set():
            try:
                await self._act()
            except (ConnectionError, TimeoutError) as error:
                self._tally.complain(f"person {self._number}: {type(error).__name__} {error}")
                self._leave_socket()
            await self._think(self._random.expovariate(1))
        self._leave_socket()
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
            # The same message, and so the same key: what Claude says from now on is meant.
            self._world.claude.told.pop(self._key(), None)
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
        return f"{kind.format(self._random.randint(*LONG_WORDS))}Tell me more of letters, please. {self._key()}"

    async def _list(self) -> None:
        found = await self._ask("list", documents.LIST, {})
        shown = [edge["node"]["id"] for edge in found["conversations"]["edges"]]
        if self._conversation and shown[:1] != [self._conversation]:
            self._tally.complain(f"person {self._number}: the list begins with {shown[:1]}, not {self._conversation}")

    async def _turn_with(self, document: str, variables: Json) -> None:
        """Have an answer: ask, follow, do something in the middle, and compare all that is known of it."""
        key, sent = self._key(), time.monotonic_ns()
        self._socket = self._socket or await self._open()
        made = (await self._ask("send", document, variables))["sent"]
        if "generation" not in made:
            raise ConnectionError(str(made))
        generation = made["generation"]["id"]
        self._conversation, self._question = made["conversation"]["id"], made["userMessage"]["id"]
        self._answer = made["generation"]["message"]["id"]
        following = Following(self._world, f"person {self._number}, {generation}", key, sent)
        following.subscribe(self._socket, generation)
        seen, stopped = await self._meanwhile(following, generation, key)
        stored = (await self._ask("answer", documents.ANSWER, {"id": generation}))["answer"]
        told = self._world.claude.told.pop(key, None)
        stored = {"status": stored["status"], "text": stored["message"]["text"]}
        for difference in compare(seen, stored, None if told is None else "".join(told.pieces), stopped):
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
        """Drop the socket in mid-answer and come back: with a snapshot, as a page, or behind the last number."""
        self._leave_socket()
        following.done.cancel()
        following.done = asyncio.get_running_loop().create_future()
        following.done.add_done_callback(_heard)
        await asyncio.sleep(self._random.random() * self._world.claude.pace)
        begun = time.monotonic_ns()
        self._socket = await self._open()
        after = following.seen.sequence if self._random.random() < 1 / 3 else None
        following.subscribe(self._socket, generation, after, begun)

    async def _second(self, generation: str, key: str) -> Seen:
        """Follow on another device too, from the first event on."""
        socket = await self._open()
        second = Following(self._world, f"person {self._number}, second, {generation}", key, 0)
        second.subscribe(socket, generation, 0)
        try:
            await second.end()
        finally:
            socket.close()
        return second.seen

    async def _stop(self, generation: str) -> str | None:
        said = (await self._ask("stop", documents.STOP, {"id": generation}))["stopped"]
        if "generation" not in said:
            self._tally.complain(f"person {self._number}, {generation}: stop says {said}")
            return None
        return str(said["generation"]["message"]["text"])

    async def _ask(self, what: str, document: str, variables: Json) -> Json:
        """Make a request; give its data, or raise ConnectionError."""
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

    def _leave_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
