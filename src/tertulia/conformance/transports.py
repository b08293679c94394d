"""Requirements about the transports, about changes to conversations, and about security."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast
from uuid import uuid4

from tertulia.conformance.client import ACCEPT_MULTIPART, ACCEPT_SSE, SUBPROTOCOL, Client
from tertulia.conformance.documents import CHANGES, DELETE, FOLLOW, GENERATION, STOP
from tertulia.conformance.events import Stream
from tertulia.conformance.recording import record
from tertulia.conformance.requirements import must, should
from tertulia.conformance.run import Run
from tertulia.conformance.verdicts import Failed, NotApplicable, member
from tertulia.json import Json

MALFORMED = 4400
"""The close code of graphql-transport-ws for a message that it does not know."""
UNKNOWN_CURSOR = "no-such-cursor"
ATTEMPTS = 20


# ---- transports --------------------------------------------------------------------------------


@must("websocket.1", "The server accepts `graphql-transport-ws` and acknowledges the connection.")
async def acknowledges(run: Run) -> None:
    """Open a socket."""
    async with run.client.socket() as socket:
        if socket.connection.protocol != SUBPROTOCOL:
            raise Failed("Another subprotocol.", sent=SUBPROTOCOL, received=socket.connection.protocol or "none")


@must("websocket.2", "A malformed message closes the socket with 4400.", needs=("websocket.1",))
async def refuses_malformed_messages(run: Run) -> None:
    """Send a text that is not JSON."""
    async with run.client.connection() as connection:
        await connection.send_str("not JSON")
        async with asyncio.timeout(run.client.seconds):
            while not connection.closed:
                await connection.receive()
        if connection.close_code != MALFORMED:
            raise Failed(
                "The socket was closed with another code.", sent="not JSON", received=str(connection.close_code)
            )


@must(
    "websocket.3",
    "An error of one operation is an `error` with its id, and the socket stays open.",
    needs=("websocket.1",),
)
async def isolates_errors(run: Run) -> None:
    """Send an operation that cannot be valid, then a query."""
    async with run.client.socket() as socket:
        refused = await _outcome(socket.subscribe("subscription { noSuchField }", {}))
        if not isinstance(refused, Failed) or '"error"' not in (refused.received or ""):
            raise Failed("There was no `error`.", sent="subscription { noSuchField }", received=str(refused))
        answered = await _outcome(socket.subscribe("{ __typename }", {}))
        if isinstance(answered, Failed):
            raise answered


@must(
    "sse.1",
    "A subscription is a stream of server-sent events if the client accepts `text/event-stream`.",
    needs=("1.1",),
)
async def serves_sse(run: Run) -> None:
    """Check the streams of one answer."""
    for stream in (await run.observe(record)).sse:
        if stream.problem is not None:
            raise stream.problem


@should(
    "multipart.1",
    "A subscription is a multipart stream if the client accepts `multipart/mixed;subscriptionSpec=1.0`.",
    needs=("1.1",),
)
async def serves_multipart(run: Run) -> None:
    """Check the stream of one answer."""
    for stream in (await run.observe(record)).multipart:
        if stream.problem is not None:
            raise stream.problem


@should("json.1", "A client that accepts both a stream and JSON gets the results of queries as JSON.")
async def prefers_json(run: Run) -> None:
    """Send a query as clients of both kinds of streams do."""
    for accept in (f"{ACCEPT_SSE}, application/json", ACCEPT_MULTIPART):
        result = await run.client.response("{ __typename }", {}, accept)
        if result.get("data") != {"__typename": "Query"}:
            raise Failed("The result is another.", sent=f"accept: {accept}", received=result)


async def _outcome(payloads: AsyncGenerator[Json]) -> Json | Failed | None:
    """Return the first result of an operation, or its failure, or None if it has neither."""
    async with aclosing(payloads) as results:
        try:
            async for payload in results:
                return payload
        except Failed as problem:
            return problem
    return None


# ---- changes -----------------------------------------------------------------------------------


async def changes(run: Run) -> list[list[Json]]:
    """Return the changes that a subscriber receives after its first one, and those of a client that resumes after that.

    A subscriber cannot know when its subscription has begun, so conversations are created until a change arrives.
    """
    async with run.client.socket() as socket, aclosing(socket.subscribe(CHANGES, {"after": None})) as live:
        cursor = (await _first_change(run, live))["cursor"]
        created = await run.create_conversation()
        await run.client.ask(DELETE, id=created)
        received: list[Json] = []
        while not _deleted(received, created):
            received.append(_change(await anext(live)))
    async with run.client.socket() as socket, aclosing(socket.subscribe(CHANGES, {"after": cursor})) as resumed:
        again: list[Json] = []
        while len(again) < len(received):
            again.append(_change(await anext(resumed)))
    return [received, again]


async def _first_change(run: Run, live: AsyncGenerator[Json]) -> Json:
    async def create() -> None:
        for _attempt in range(ATTEMPTS):
            await run.create_conversation()
            await asyncio.sleep(run.client.seconds / ATTEMPTS)

    creating = asyncio.create_task(create())
    first = asyncio.ensure_future(anext(live))
    try:
        await asyncio.wait({creating, first}, return_when=asyncio.FIRST_COMPLETED)
        if not first.done():
            await creating
        return _change(await first)
    finally:
        creating.cancel()
        first.cancel()
        await asyncio.gather(creating, first, return_exceptions=True)


@must(
    "changes.1",
    "`conversationChanges` resumes after a cursor, with each later change once and in order.",
    needs=("websocket.1",),
)
async def resumes_changes(run: Run) -> None:
    """Compare both subscribers."""
    received, again = await run.observe(changes)
    if received != again:
        raise Failed("The changes differ.", sent="conversationChanges(after:)", received=[received, again])
    if len({change["cursor"] for change in received}) != len(received):
        raise Failed("A cursor was repeated.", sent="conversationChanges", received=received)


@must("changes.2", "A cursor that is not stored is refused with `BAD_USER_INPUT`.", needs=("websocket.1",))
async def refuses_unknown_cursors(run: Run) -> None:
    """Subscribe after a cursor that cannot exist."""
    async with run.client.socket() as socket:
        refused = await _outcome(socket.subscribe(CHANGES, {"after": UNKNOWN_CURSOR}))
    received = refused.received if isinstance(refused, Failed) else str(refused)
    if "BAD_USER_INPUT" not in (received or ""):
        raise Failed("The error is another.", sent=UNKNOWN_CURSOR, received=received)


def _change(payload: Json) -> Json:
    change = member(payload, "data", "conversationChanges")
    if not isinstance(change, dict):
        raise Failed("The subscription returned an error.", received=payload)
    return cast("Json", change)


def _deleted(received: list[Json], conversation: str) -> bool:
    return any(change["conversationId"] == conversation and change["kind"] == "DELETED" for change in received)


# ---- security ----------------------------------------------------------------------------------


@must(
    "security.1",
    "An id that does not exist is refused by subscriptions, and is null in queries.",
    needs=("1.1",),
)
async def refuses_unknown_ids(run: Run) -> None:
    """Follow, query and stop a generation that does not exist."""
    await _check_hidden(run.client, str(uuid4()))


@must("security.2", "The generations of other viewers look like ids that do not exist.", needs=("1.1", "security.1"))
async def hides_generations(run: Run) -> None:
    """Follow, query and stop a generation as another viewer."""
    if run.other is None:
        raise NotApplicable("it needs a second viewer: see --other-token.")
    await _check_hidden(run.other, (await run.observe(record)).generation)


@must("security.3", "A request without the token is refused, if the server requires one.", needs=("1.1",))
async def requires_the_token(run: Run) -> None:
    """Query and follow a generation without the token."""
    if run.stranger is None:
        raise NotApplicable("the server is checked without --token.")
    await _check_hidden(run.stranger, (await run.observe(record)).generation)


async def _response_or_none(client: Client, query: str, generation: str) -> Json | None:
    """Return the response of an operation, or None if it is not JSON, as the refusal of a proxy may be."""
    try:
        return await client.response(query, {"id": generation})
    except Failed:
        return None


async def _check_hidden(client: Client, generation: str) -> None:
    queried = await _response_or_none(client, GENERATION, generation)
    if member(queried, "data", "generation") is not None:
        raise Failed("The generation can be queried.", sent={"generation": generation}, received=queried)
    stopped = await _response_or_none(client, STOP, generation)
    if member(stopped, "data", "stopGeneration", "__typename") == "GenerationPayload":
        raise Failed("The generation can be stopped.", sent={"stopGeneration": generation}, received=stopped)
    stream = Stream("WebSocket", None)
    try:
        async with client.socket() as socket:
            async for _event in stream.record(socket.subscribe(FOLLOW, {"id": generation, "after": None}), at_most=1):
                pass
    except Failed:
        return
    if stream.problem is None:
        raise stream.failed("The generation can be followed.")
