"""Subscriptions over plain HTTP (SSE and multipart), limits on subscriptions, and clients that do not read."""

import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from client import FOLLOW, WAIT, Api, Json, Socket, apply, raw_socket, wait_until
from conftest import Stage, Staged
from running import running, settings, tertulia
from scripted import Gate, says
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tertulia.server.app import create_app
from tertulia.server.runtime.socket_protocol import SocketProtocol

SSE = "text/event-stream"
TEXT = """subscription ($id: ID!) { generationEvents(generationId: $id, after: 0) {
  __typename ... on TextDelta { text } ... on GenerationCompleted { generation { message { text } } } } }"""
PIECES = ["x" * 200_000] * 45
MULTIPART = 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0,application/json'


def post(api: Api, query: str, variables: Json, accept: str) -> Any:
    return api.http.stream(
        "POST", "/graphql", json={"query": query, "variables": variables}, headers={"accept": accept}
    )


def sse(response: httpx2.Response) -> Iterator[tuple[str, Any]]:
    """Yield the name and data of each event of a stream."""
    name, data = "", ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data:"):
            data = line.removeprefix("data:").strip()
        elif not line and name:
            yield name, json.loads(data) if data else None
            name, data = "", ""


def follow_by_sse(api: Api, generation: str, after: int | None = None) -> list[Json]:
    with post(api, FOLLOW, {"id": generation, "after": after}, SSE) as response:
        assert response.headers["content-type"].startswith(SSE)
        events = list(sse(response))
    assert events[-1] == ("complete", None)
    return [data["data"]["generationEvents"] for name, data in events[:-1] if name == "next"]


def follow_by_multipart(api: Api, generation: str, after: int | None = None) -> list[Json]:
    with post(api, FOLLOW, {"id": generation, "after": after}, MULTIPART) as response:
        assert response.headers["content-type"] == 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0'
        body = response.read().decode()
    parts = body.removesuffix("--graphql--\r\n").split("--graphql\r\n")[1:]
    bodies = [json.loads(part.partition("\r\n\r\n")[2]) for part in parts]
    assert body.endswith("--graphql--\r\n")
    return [shown["payload"]["data"]["generationEvents"] for shown in bodies if shown]


Follow = Callable[..., list[Json]]


@pytest.mark.parametrize("follow", [follow_by_sse, follow_by_multipart])
def test_every_transport_carries_the_same_events_with_the_same_numbers(api: Api, follow: Follow) -> None:
    generation = api.send("/simulate thinking")["generation"]["id"]
    whole = api.follow(generation, 0)
    for after in (None, 0, 3, whole[-1]["sequence"] - 1, whole[-1]["sequence"]):
        assert apply(whole[: after or 0] + follow(api, generation, after)) == apply(whole)
        assert [event["sequence"] for event in follow(api, generation, after)] == [
            event["sequence"] for event in api.follow(generation, after)
        ]


@pytest.mark.parametrize("accept", [SSE, MULTIPART])
def test_the_first_words_arrive_while_claude_is_still_writing(staged: Staged, accept: str) -> None:
    gate = Gate()
    stage = staged(says("early", gate, " late"))
    generation = stage.api.send("Hello")["generation"]["id"]
    with post(stage.api, FOLLOW, {"id": generation}, accept) as response:
        seen = ""
        for piece in response.iter_text():
            seen += piece
            if "early" in seen:
                gate.open.set()
    assert "late" in seen


def test_a_stream_is_neither_buffered_nor_compressed(api: Api) -> None:
    generation = api.send("Hello")["generation"]["id"]
    headers = {"accept": SSE, "accept-encoding": "gzip, br"}
    body = {"query": FOLLOW, "variables": {"id": generation}}
    with api.http.stream("POST", "/graphql", json=body, headers=headers) as response:
        assert "content-encoding" not in response.headers
        assert "no-transform" in response.headers["cache-control"]
        assert response.headers["x-accel-buffering"] == "no"
        response.read()


URQL = (
    "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed"
)


def test_a_query_returns_json_unless_the_client_accepts_only_a_stream(api: Api) -> None:
    query = {"query": "{ viewer { name } }"}
    both = api.http.post("/graphql", json=query, headers={"accept": URQL})
    assert both.json()["data"]["viewer"]["name"] == "local"
    with api.http.stream("POST", "/graphql", json=query, headers={"accept": SSE}) as response:
        assert list(sse(response)) == [("next", {"data": {"viewer": {"name": "local"}}}), ("complete", None)]


def test_a_broken_document_is_refused_with_400_for_clients_that_accept_only_a_stream(api: Api) -> None:
    response = api.http.post("/graphql", json={"query": "subscription {"}, headers={"accept": SSE})
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_PARSE_FAILED"


def test_an_unknown_generation_is_an_error_on_the_stream(api: Api) -> None:
    with post(api, FOLLOW, {"id": "nothing"}, SSE) as response:
        (name, data), end = list(sse(response))
    assert (name, end) == ("next", ("complete", None))
    assert data["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


def test_disconnecting_ends_a_subscription(tmp_path: Path) -> None:
    with tertulia(tmp_path, max_subscriptions=1) as address, Api(address) as api:
        generation = api.send("/simulate hang")["generation"]["id"]
        for accept in (SSE, MULTIPART):
            with post(api, FOLLOW, {"id": generation}, accept) as response:
                next(response.iter_raw())
            wait_until(lambda: "RATE_LIMITED" not in str(first_error(api)))
        api.stop(generation)


def first_error(api: Api) -> Any:
    query = "subscription { conversationChanges { cursor } }"
    with api.socket() as connection:
        connection.subscribe(query, {}, "one")
        connection.subscribe("{ viewer { id } }", {}, "two")
        message = connection.receive()
    return message if message["id"] == "one" else None


def refusal(socket: Socket) -> Json:
    """Return the first error, after any number of events for the accepted subscriptions."""
    while (message := socket.receive())["type"] != "error":
        assert message["type"] == "next", message
    return message


def test_the_number_of_subscriptions_of_a_server_is_limited(tmp_path: Path) -> None:
    with tertulia(tmp_path, max_subscriptions=3) as address, Api(address) as api, api.socket() as first:
        generation = api.send("/simulate hang")["generation"]["id"]
        for number in range(4):
            first.subscribe(FOLLOW, {"id": generation}, str(number))
        refused = refusal(first)
        assert (refused["id"], refused["payload"][0]["extensions"]["code"]) == ("3", "RATE_LIMITED")
        api.stop(generation)


def test_the_number_of_operations_of_a_socket_is_limited(tmp_path: Path) -> None:
    with tertulia(tmp_path, max_subscriptions_per_socket=2) as address, Api(address) as api, api.socket() as socket:
        generation = api.send("/simulate hang")["generation"]["id"]
        for number in range(3):
            socket.subscribe(FOLLOW, {"id": generation}, str(number))
        refused = refusal(socket)
        assert (refused["id"], refused["payload"][0]["extensions"]["code"]) == ("2", "RATE_LIMITED")
        assert "2 operations" in refused["payload"][0]["message"]
        api.stop(generation)


@contextmanager
def stalled(stage: Stage, gate: Gate) -> Generator[tuple[str, ClientConnection]]:
    """Follow an answer of 9 MB without reading it; yield the generation's id and the connection.

    The client asks for all events: a snapshot, which a late client gets by default, has no text in `TEXT`.
    """
    generation = stage.api.send("Hello")["generation"]["id"]
    host, port = stage.api.address.removeprefix("http://").split(":")
    small = socket.create_connection((host, int(port)))
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 200_000)
    with raw_socket(stage.api.address, sock=small, max_queue=1) as connection:
        connection.send(json.dumps({"type": "connection_init"}))
        payload = {"query": TEXT, "variables": {"id": generation}}
        connection.send(json.dumps({"type": "subscribe", "id": "one", "payload": payload}))
        assert gate.reached.wait(WAIT)
        yield generation, connection


def test_a_client_that_reads_nothing_is_disconnected_and_the_answer_completes(
    staged: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tertulia.server.http.websocket.STALLED_SECONDS", 0.5)
    gate = Gate()
    stage = staged(says(*PIECES, gate), max_sockets_per_user=1)
    last: Json | None = None
    with stalled(stage, gate) as (generation, _):
        # The only connection slot of this user is free again.
        wait_until(lambda: opens(stage.api))
        gate.open.set()
        with stage.api.socket() as other:
            other.subscribe(TEXT, {"id": generation})
            while (message := other.receive())["type"] == "next":
                last = message["payload"]["data"]["generationEvents"]
    assert last == {"__typename": "GenerationCompleted", "generation": {"message": {"text": "".join(PIECES)}}}


def test_a_disconnected_client_that_reads_again_gets_the_close_code(
    staged: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tertulia.server.http.websocket.STALLED_SECONDS", 0.5)
    monkeypatch.setattr("tertulia.server.runtime.socket_protocol.CLOSE_SECONDS", WAIT)
    closing = threading.Event()
    send = SocketProtocol.send

    async def noted(protocol: SocketProtocol, message: Any) -> None:
        try:
            await send(protocol, message)
        finally:
            if message["type"] == "websocket.close":
                closing.set()

    monkeypatch.setattr(SocketProtocol, "send", noted)
    gate = Gate()
    with stalled(staged(says(*PIECES, gate)), gate) as (_, connection):
        assert closing.wait(3 * WAIT)
        with suppress(ConnectionClosed):
            deque(connection, maxlen=0)
        assert connection.close_code == 1013
        gate.open.set()


def opens(api: Api) -> bool:
    """Return whether the server accepts another socket."""
    try:
        with api.socket():
            return True
    except ConnectionClosed:
        return False


def test_following_works_with_uvicorns_own_socket_protocol(tmp_path: Path) -> None:
    app = create_app(settings(tmp_path))
    with running(app, ws=WebSocketsSansIOProtocol) as address, Api(address) as api:
        followed = api.follow(api.send("/simulate long 60")["generation"]["id"])
        assert apply(followed)[0].endswith("word60.")
        assert followed[-1]["__typename"] == "GenerationCompleted"
