"""One answer, followed by many readers at the same time and read again after its end."""

import asyncio
from dataclasses import dataclass, field
from uuid import uuid4

from tertulia.conformance.client import Socket
from tertulia.conformance.documents import FOLLOW
from tertulia.conformance.events import TERMINAL, Stream
from tertulia.conformance.run import Run
from tertulia.conformance.verdicts import Failed
from tertulia.json import Json

RESUMES = 16
"""Numbers after which the ended answer is read again."""
PIECE = 3
"""Events that the interrupted reader reads on each connection."""
CONNECTIONS = 20
"""Connections of the interrupted reader. It reads the last one to the end."""
BEYOND = 1_000
"""A distance from the last number at which no event exists."""


@dataclass(slots=True)
class Recording:
    """The events and results of all readers of one answer.

    Attributes:
        sends: The results of two requests with the same idempotency key, sent at the same time.
        first_stored: The messages of the conversation after the first result.
        at_end: The generation as queried when the first reader received the terminal event.
        stored: The generation as queried after all readers had ended.
        sockets, sse, multipart: The streams of each transport.
        log: The list of events, or why it could not be read.
        again: The result of a third request with the same key, after the end.
        other_input: The result of a request with the same key and another text.
        messages: The number of messages of the conversation at last.
    """

    text: str
    sends: list[Json]
    first_stored: list[Json]
    at_end: Json | None = None
    stored: Json = field(default_factory=dict[str, object])
    sockets: list[Stream] = field(default_factory=list[Stream])
    sse: list[Stream] = field(default_factory=list[Stream])
    multipart: list[Stream] = field(default_factory=list[Stream])
    log: list[Json] | Failed = field(default_factory=list[Json])
    again: Json = field(default_factory=dict[str, object])
    other_input: Json = field(default_factory=dict[str, object])
    messages: int = 0

    @property
    def generation(self) -> str:
        """The id of the generation."""
        id: str = self.sends[0]["generation"]["id"]
        return id

    @property
    def streams(self) -> list[Stream]:
        """The streams of all transports that worked."""
        return [stream for stream in (*self.sockets, *self.sse, *self.multipart) if stream.problem is None]

    @property
    def events(self) -> list[Json]:
        """The list of events. It is only read by requirements that need the list."""
        if isinstance(self.log, Failed):
            raise self.log
        return self.log


async def record(run: Run) -> Recording:
    """Send the long prompt, follow the answer in all ways, and read it again after its end."""
    key, text = str(uuid4()), run.prompts.long
    sends = list(await asyncio.gather(*(run.start(text, idempotencyKey=key) for _ in range(2))))
    conversation = sends[0]["conversation"]["id"]
    recording = Recording(text, sends, await run.messages(conversation))
    await asyncio.gather(
        _two_on_one_socket(run, recording),
        _interrupted(run, recording),
        _over_http(run, recording),
    )
    recording.stored = await run.ended(recording.generation)
    try:
        recording.log = await run.log(recording.generation)
    except Failed as problem:
        recording.log = problem
    await _after_the_end(run, recording)
    recording.again = await run.send(text, idempotencyKey=key)
    recording.other_input = await run.send(f"{text}\n\nAnother text.", idempotencyKey=key)
    recording.messages = len(await run.messages(conversation))
    return recording


async def _two_on_one_socket(run: Run, recording: Recording) -> None:
    """Follow with and without `after` on one socket, and a third time when the first text has arrived."""
    started, ended = asyncio.Event(), asyncio.Event()

    async def follow(socket: Socket, after: int | None, reader: str) -> None:
        stream = Stream(reader, after, live=True)
        recording.sockets.append(stream)
        async for event in stream.record(socket.subscribe(FOLLOW, _variables(recording, after))):
            if event["__typename"] == "TextDelta":
                started.set()
            if event["__typename"] in TERMINAL and not ended.is_set():
                ended.set()
                recording.at_end = await run.generation(recording.generation)
        started.set()

    async def join(socket: Socket) -> None:
        await started.wait()
        await follow(socket, None, "WebSocket, joined after the first text")

    async with run.client.socket() as socket:
        await asyncio.gather(
            follow(socket, None, "WebSocket, from the start"),
            follow(socket, 0, "WebSocket, from the start with after: 0"),
            join(socket),
        )


async def _interrupted(run: Run, recording: Recording) -> None:
    """Follow, lose the connection after every few events, and resume."""
    after = 0
    for connection in range(CONNECTIONS):
        last_one = connection == CONNECTIONS - 1
        stream = Stream(f"WebSocket, connection {connection + 1} of an interrupted reader", after, live=True)
        recording.sockets.append(stream)
        async with run.client.socket() as socket:
            payloads = socket.subscribe(FOLLOW, _variables(recording, after))
            async for event in stream.record(payloads, at_most=None if last_one else PIECE):
                after = max(after, event["sequence"])
            if not stream.left:
                return
            socket.abort()


async def _over_http(run: Run, recording: Recording) -> None:
    """Follow over server-sent events, with and without `after`, and over multipart."""
    client = run.client

    async def follow(streams: list[Stream], reader: str, after: int | None) -> None:
        stream = Stream(reader, after, live=True)
        streams.append(stream)
        over = client.sse if streams is recording.sse else client.multipart
        async for _event in stream.record(over(FOLLOW, _variables(recording, after))):
            pass

    await asyncio.gather(
        follow(recording.sse, "Server-sent events, from the start", None),
        follow(recording.sse, "Server-sent events, from the start with after: 0", 0),
        follow(recording.multipart, "Multipart, from the start with after: 0", 0),
    )


async def _after_the_end(run: Run, recording: Recording) -> None:
    """Subscribe to the ended answer: without `after`, after many of its numbers, and after one that does not exist."""
    known = {event["sequence"] for stream in recording.streams for event in stream.events}
    last = max(known, default=0)
    numbers = sorted(
        known | ({event["sequence"] for event in recording.log} if isinstance(recording.log, list) else known)
    )
    step = max(1, len(numbers) // RESUMES)
    chosen = [0, *numbers[::step], *numbers[-2:], last + BEYOND]
    async with run.client.socket() as socket:
        streams = [Stream("WebSocket, after the end", None)]
        streams += [Stream(f"WebSocket, after the end with after: {after}", after) for after in dict.fromkeys(chosen)]

        async def follow(stream: Stream) -> None:
            async for _event in stream.record(socket.subscribe(FOLLOW, _variables(recording, stream.after))):
                pass

        await asyncio.gather(*(follow(stream) for stream in streams))
    recording.sockets += streams


def _variables(recording: Recording, after: int | None) -> Json:
    return {"id": recording.generation, "after": after}
