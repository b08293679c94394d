"""One run of the suite: the server, the prompts, and what was observed, each of it once for all requirements."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from tertulia.conformance.client import Client
from tertulia.conformance.documents import CREATE, DELETE, EVENTS, GENERATION, MESSAGES, SEND
from tertulia.conformance.events import TERMINAL
from tertulia.conformance.verdicts import Failed, NotApplicable
from tertulia.json import Json

T = TypeVar("T")
AT_ONCE = 3
"""Observations that run at the same time. Servers limit the concurrent answers of a user."""
PAUSE_SECONDS = 0.1

PROMPT = """\
Write a story of about 400 words about a lighthouse, in one go, without a question back.

/simulate long 300"""
"""Any Claude writes long. The last line is for the simulated Claude."""
UNICODE_PROMPT = """\
Repeat these lines three times, without anything else:
😀 one 👩‍👩‍👧 two 🎈 three é four 🏳️‍🌈 five

/simulate unicode"""
TOOL = "conformance_color"
TOOL_PROMPT = f"""\
Call the tool {TOOL} once, with the word "blue". Then tell me its result in one sentence.

/simulate call {TOOL} {{"word": "blue"}}"""


@dataclass(frozen=True, slots=True)
class Prompts:
    """The messages that the suite sends.

    Attributes:
        long: Answered at length. The answer is read to its end.
        stopped: Answered at length. The answer is stopped after its first text.
        unicode: Answered with characters outside the basic multilingual plane.
        tool: Answered with a call of `TOOL`.
    """

    long: str = PROMPT
    stopped: str = PROMPT
    unicode: str = UNICODE_PROMPT
    tool: str = TOOL_PROMPT


@dataclass(slots=True)
class Run:
    """The state of a run.

    Attributes:
        client: The viewer whose conversations the suite makes.
        stranger: A client without a token, or None if the server requires none.
        other: Another viewer, or None.
    """

    client: Client
    stranger: Client | None = None
    other: Client | None = None
    prompts: Prompts = field(default_factory=Prompts)
    _observations: dict[object, asyncio.Task[Any]] = field(default_factory=dict[object, asyncio.Task[Any]])
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _conversations: set[str] = field(default_factory=set[str])

    async def observe(self, make: Callable[["Run"], Coroutine[Any, Any, T]]) -> T:
        """Return what a function observes. It runs once, however many requirements need it."""
        task: asyncio.Task[T] | None = self._observations.get(make)
        if task is None:
            task = self._observations[make] = asyncio.create_task(self._in_slot(make))
        return await task

    async def _in_slot(self, make: Callable[["Run"], Coroutine[Any, Any, T]]) -> T:
        async with self._slots:
            return await make(self)

    async def send(self, text: str, **fields: Any) -> Json:
        """Send a message and return the result, whichever member of the union it is. Wait where the server asks to."""
        deadline = time.monotonic() + self.client.seconds
        while True:
            sent: Json = (await self.client.ask(SEND, input={"text": text, **fields}))["sendMessage"]
            if sent["__typename"] == "RateLimited":
                await _wait_for_limit(sent, deadline)
                continue
            if conversation := sent.get("conversation"):
                self._conversations.add(conversation["id"])
            return sent

    async def start(self, text: str, **fields: Any) -> Json:
        """Send a message that must be accepted, and return the payload.

        Raises:
            Failed: The server refused the message.
        """
        sent = await self.send(text, **fields)
        if sent["__typename"] != "SendMessagePayload":
            raise Failed("The server did not accept the message.", sent={"text": text, **fields}, received=sent)
        return sent

    async def create_conversation(self) -> str:
        """Create an empty conversation and return its id."""
        result = (await self.client.ask(CREATE))["createConversation"]
        if result["__typename"] == "RateLimited":
            raise NotApplicable("the server has a rate limit.")
        if result["__typename"] != "ConversationPayload":
            raise Failed("The server created no conversation.", sent="createConversation", received=result)
        id: str = result["conversation"]["id"]
        self._conversations.add(id)
        return id

    async def generation(self, id: str) -> Json:
        """Query the status and the message of a generation."""
        generation = (await self.client.ask(GENERATION, id=id))["generation"]
        if not isinstance(generation, dict):
            raise Failed("The generation does not exist.", sent={"generation": id}, received=generation)
        return cast("Json", generation)

    async def ended(self, id: str) -> Json:
        """Poll a generation until it has ended, and return it."""
        try:
            async with asyncio.timeout(self.client.seconds):
                while True:
                    generation = await self.generation(id)
                    if final(generation["status"]):
                        return generation
                    await asyncio.sleep(PAUSE_SECONDS)
        except TimeoutError as error:
            raise Failed(f"The generation did not end within {self.client.seconds:g} s.", sent=id) from error

    async def messages(self, conversation: str) -> list[Json]:
        """Query the messages of a conversation."""
        found = (await self.client.ask(MESSAGES, id=conversation))["conversation"]
        return [edge["node"] for edge in found["messages"]["edges"]] if found else []

    async def log(self, generation: str) -> list[Json]:
        """Poll the list of events to its end."""
        log: list[Json] = []
        after: int | None = None
        while True:
            page = (await self.client.ask(EVENTS, id=generation, after=after))["generation"]["events"]
            nodes = [edge["node"] for edge in page["edges"]]
            log += nodes
            if not nodes or not page["pageInfo"]["hasNextPage"] or nodes[-1]["__typename"] in TERMINAL:
                return log
            after = nodes[-1]["sequence"]

    async def clean(self) -> None:
        """Delete the conversations of the run. Running answers are stopped by that."""
        for task in self._observations.values():
            task.cancel()
        for id in self._conversations:
            try:
                await self.client.ask(DELETE, id=id)
            except Failed:
                return


async def _wait_for_limit(refusal: Json, deadline: float) -> None:
    seconds: float = max(refusal["retryAfterSeconds"], PAUSE_SECONDS)
    if time.monotonic() + seconds > deadline:
        raise NotApplicable(f"the server has a rate limit, and accepts the next message in {seconds:g} seconds.")
    await asyncio.sleep(seconds)


def final(status: str) -> bool:
    """Return whether a generation with this status has ended."""
    return status in ("COMPLETED", "STOPPED", "FAILED")
