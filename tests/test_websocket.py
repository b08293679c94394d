"""The `graphql-transport-ws` protocol, sentence by sentence, over a raw socket.

The sections have the names of those in the protocol document (PROTOCOL.md of the graphql-ws project): Communication,
ConnectionInit, ConnectionAck, Ping, Pong, Subscribe, Next, Error, Complete, Invalid message. The last section covers
what the document does not specify.
"""

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from client import WAIT, Api, Json, Socket, raw_socket
from running import tertulia
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tertulia.server.http.websocket import SocketHandler

VIEWER = {"query": "{ viewer { name } }"}
ANSWER = {"data": {"viewer": {"name": "local"}}}
DEEP = "[" * 20_000 + "]" * 20_000


@contextmanager
def opened(api: Api) -> Generator[Socket]:
    with raw_socket(api.address) as connection:
        yield Socket(connection)


def drain(connection: ClientConnection) -> None:
    deadline = time.monotonic() + WAIT
    while True:
        connection.recv(timeout=deadline - time.monotonic())


def closing(connection: ClientConnection) -> tuple[int, str]:
    """Read until the server closes the socket; return the close code and reason."""
    with pytest.raises(ConnectionClosed) as closed:
        drain(connection)
    assert closed.value.rcvd is not None, "the socket was closed without a close frame (1006)"
    return closed.value.rcvd.code, closed.value.rcvd.reason


def subscribe(id: Any = "1", **payload: Any) -> Json:
    return {"type": "subscribe", "id": id, "payload": payload or VIEWER}


# ---- Communication ----------------------------------------------------------------------------


def test_the_server_selects_the_subprotocol(api: Api) -> None:
    with raw_socket(api.address) as connection:
        assert connection.subprotocol == "graphql-transport-ws"


def test_the_legacy_subprotocol_is_refused_with_4406(api: Api) -> None:
    url = api.address.replace("http", "ws", 1) + "/graphql"
    with connect(url, additional_headers={"Sec-WebSocket-Protocol": "graphql-ws"}) as connection:
        assert closing(connection)[0] == 4406


def test_a_client_without_a_subprotocol_is_refused_with_4406(api: Api) -> None:
    with raw_socket(api.address, subprotocol=None) as connection:
        assert closing(connection)[0] == 4406


def test_a_page_of_another_origin_cannot_open_a_socket(api: Api) -> None:
    with pytest.raises(InvalidStatus) as refused, raw_socket(api.address, origin="https://evil.example"):
        pass
    assert refused.value.response.status_code == 403


def test_a_page_of_this_origin_can_open_a_socket(api: Api) -> None:
    with raw_socket(api.address, origin=api.address) as connection:
        assert connection.subprotocol == "graphql-transport-ws"


def test_messages_are_text_frames(api: Api) -> None:
    with opened(api) as socket:
        socket.send({"type": "connection_init"})
        assert isinstance(socket.connection.recv(timeout=WAIT), str)


# ---- ConnectionInit and ConnectionAck --------------------------------------------------------------


@pytest.mark.parametrize("payload", [{}, {"payload": None}, {"payload": {}}, {"payload": {"a": "x"}}])
def test_the_server_acknowledges_connection_init(api: Api, payload: Json) -> None:
    with opened(api) as socket:
        socket.send({"type": "connection_init", **payload})
        assert socket.receive()["type"] == "connection_ack"


def test_a_second_init_is_refused_with_4429(api: Api) -> None:
    with api.socket() as socket:
        socket.send({"type": "connection_init"})
        assert closing(socket.connection) == (4429, "Too many initialisation requests")


def test_a_second_init_before_the_acknowledgement_is_refused_with_4429(api: Api) -> None:
    with opened(api) as socket:
        socket.send({"type": "connection_init"})
        socket.send({"type": "connection_init"})
        assert closing(socket.connection)[0] == 4429


@pytest.mark.parametrize("payload", ["text", 5, [], True, [{}]])
def test_an_init_whose_payload_is_not_an_object_is_refused(api: Api, payload: Any) -> None:
    with opened(api) as socket:
        socket.send({"type": "connection_init", "payload": payload})
        assert closing(socket.connection)[0] == 4400


def test_subscribing_before_the_acknowledgement_is_refused_with_4401(api: Api) -> None:
    with opened(api) as socket:
        socket.send(subscribe())
        assert closing(socket.connection) == (4401, "Unauthorized")


# ---- Ping and Pong ----------------------------------------------------------------------------


def test_a_ping_is_answered_with_a_pong(api: Api) -> None:
    with api.socket() as socket:
        socket.send({"type": "ping"})
        assert socket.receive() == {"type": "pong"}


def test_a_ping_before_connection_init_is_answered(api: Api) -> None:
    with opened(api) as socket:
        socket.send({"type": "ping"})
        assert socket.receive() == {"type": "pong"}


def test_a_pong_contains_the_pings_payload(api: Api) -> None:
    with api.socket() as socket:
        socket.send({"type": "ping", "payload": {"at": 1}})
        assert socket.receive() == {"type": "pong", "payload": {"at": 1}}


@pytest.mark.parametrize("payload", [{}, {"payload": None}, {"payload": {"a": 1}}])
def test_an_unsolicited_pong_is_accepted(api: Api, payload: Json) -> None:
    with api.socket() as socket:
        socket.send({"type": "pong", **payload})
        socket.send(subscribe())
        assert socket.receive()["type"] == "next"


@pytest.mark.parametrize("kind", ["ping", "pong"])
@pytest.mark.parametrize("payload", ["text", 5, [], False])
def test_a_ping_or_pong_whose_payload_is_not_an_object_is_refused(api: Api, kind: str, payload: Any) -> None:
    with api.socket() as socket:
        socket.send({"type": kind, "payload": payload})
        assert closing(socket.connection)[0] == 4400


# ---- Subscribe, Next, Complete ----------------------------------------------------------------------


def test_a_query_returns_one_next_and_completes(api: Api) -> None:
    with api.socket() as socket:
        socket.send(subscribe())
        assert socket.receive() == {"type": "next", "id": "1", "payload": ANSWER}
        assert socket.receive() == {"type": "complete", "id": "1"}


def test_a_mutation_can_be_run_over_the_socket(api: Api) -> None:
    with api.socket() as socket:
        socket.send(subscribe(query='mutation { createConversation(input: { title: "t" }) { __typename } }'))
        created = socket.receive()["payload"]["data"]["createConversation"]
        assert created == {"__typename": "ConversationPayload"}


def test_variables_and_the_operation_name_are_used(api: Api) -> None:
    query = "query A { viewer { name } } query B($id: ID!) { conversation(id: $id) { id } }"
    with api.socket() as socket:
        socket.send(subscribe(query=query, operationName="B", variables={"id": "x"}, extensions={}))
        assert socket.receive()["payload"] == {"data": {"conversation": None}}


@pytest.mark.parametrize("name", ["operationName", "variables", "extensions"])
def test_a_field_of_the_payload_may_be_null(api: Api, name: str) -> None:
    with api.socket() as socket:
        socket.send(subscribe(**VIEWER, **{name: None}))
        assert socket.receive()["payload"] == ANSWER


def test_operations_run_concurrently(api: Api) -> None:
    with api.socket() as socket:
        for id in "abc":
            socket.send(subscribe(id))
        messages = [socket.receive() for _ in range(6)]
    for id in "abc":
        assert [message["type"] for message in messages if message["id"] == id] == ["next", "complete"]


def test_an_id_that_is_in_use_is_refused_with_4409(api: Api) -> None:
    generation = api.send("/simulate hang")["generation"]["id"]
    with api.socket() as socket:
        query = "subscription ($id: ID!) { generationEvents(generationId: $id) { sequence } }"
        socket.subscribe(query, {"id": generation}, "same")
        socket.receive()
        socket.send(subscribe("same"))
        assert closing(socket.connection) == (4409, "Subscriber for same already exists")
    api.stop(generation)


def test_an_id_can_be_reused_after_its_operation_has_completed(api: Api) -> None:
    with api.socket() as socket:
        for _ in range(3):
            socket.send(subscribe("same"))
            assert [socket.receive()["type"] for _ in range(2)] == ["next", "complete"]


def test_an_id_can_be_reused_after_the_client_has_completed_it(api: Api) -> None:
    generation = api.send("/simulate hang")["generation"]["id"]
    query = "subscription ($id: ID!) { generationEvents(generationId: $id) { sequence } }"
    with api.socket() as socket:
        socket.subscribe(query, {"id": generation}, "same")
        assert socket.receive()["type"] == "next"
        socket.send({"type": "complete", "id": "same"})
        socket.send({"type": "ping"})
        while socket.receive()["type"] != "pong":
            pass
        socket.send(subscribe("same"))
        assert socket.receive() == {"type": "next", "id": "same", "payload": ANSWER}
    api.stop(generation)


def test_no_message_follows_after_the_client_has_completed_an_operation(api: Api) -> None:
    generation = api.send("/simulate hang")["generation"]["id"]
    query = "subscription ($id: ID!) { generationEvents(generationId: $id) { sequence } }"
    with api.socket() as socket:
        socket.subscribe(query, {"id": generation}, "gone")
        assert socket.receive()["type"] == "next"
        socket.send({"type": "complete", "id": "gone"})
        api.stop(generation)
        socket.send(subscribe("next"))
        while (message := socket.receive())["type"] != "complete" or message["id"] != "next":
            assert message["id"] != "gone" or message["type"] == "next"


def test_completing_an_unknown_operation_is_ignored(api: Api) -> None:
    with api.socket() as socket:
        socket.send({"type": "complete", "id": "never"})
        socket.send(subscribe())
        assert socket.receive()["type"] == "next"


# ---- Error ------------------------------------------------------------------------------------


def refused(api: Api, **payload: Any) -> list[Json]:
    """Subscribe with an invalid payload; return the errors, after checking that the socket still works."""
    with api.socket() as socket:
        socket.send(subscribe("bad", **payload))
        message = socket.receive()
        assert (message["type"], message["id"]) == ("error", "bad"), message
        socket.send(subscribe("good"))
        assert socket.receive() == {"type": "next", "id": "good", "payload": ANSWER}
        errors: list[Json] = message["payload"]
        assert all(error["message"] for error in errors)
        return errors


def test_a_document_that_is_not_graphql_is_an_error_of_its_operation(api: Api) -> None:
    assert refused(api, query="{ viewer {")[0]["extensions"]["code"] == "GRAPHQL_PARSE_FAILED"


def test_an_invalid_document_is_an_error_with_every_reason(api: Api) -> None:
    errors = refused(api, query="{ one two }")
    assert [error["extensions"]["code"] for error in errors] == ["GRAPHQL_VALIDATION_FAILED"] * 2
    assert errors[0]["locations"] == [{"line": 1, "column": 3}]


def test_several_operations_without_a_name_are_an_error(api: Api) -> None:
    errors = refused(api, query="query A { viewer { name } } query B { viewer { name } }")
    assert "operationName" in errors[0]["message"]


def test_an_unknown_operation_is_an_error(api: Api) -> None:
    assert "'C'" in refused(api, query="query A { viewer { name } }", operationName="C")[0]["message"]


def test_a_document_without_an_operation_is_an_error(api: Api) -> None:
    refused(api, query="fragment F on Viewer { name }")


def test_an_empty_query_is_an_error(api: Api) -> None:
    refused(api, query="")


def test_a_missing_variable_is_an_error(api: Api) -> None:
    errors = refused(api, query="query ($id: ID!) { conversation(id: $id) { id } }", variables={})
    assert errors[0]["extensions"]["code"] == "BAD_USER_INPUT"


def test_a_variable_of_a_wrong_type_is_an_error(api: Api) -> None:
    refused(api, query="query ($id: ID!) { conversation(id: $id) { id } }", variables={"id": {}})


def test_a_missing_variable_of_a_subscription_is_an_error(api: Api) -> None:
    refused(api, query="subscription ($id: ID!) { generationEvents(generationId: $id) { sequence } }", variables={})


def test_following_an_unknown_generation_is_an_error_that_names_the_argument(api: Api) -> None:
    with api.socket() as socket:
        query = 'subscription { generationEvents(generationId: "nothing") { sequence } }'
        socket.send(subscribe(query=query))
        message = socket.receive()
        assert message["type"] == "error"
        assert message["payload"][0]["extensions"]["code"] == "BAD_USER_INPUT"
        assert message["payload"][0]["message"].startswith("`generationId`")


# ---- Invalid message -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        "", " ", "{", "text", '"text"', "12", "null", "true", "false", "[]", "[{}]", '[{"type": "ping"}]', "{}", DEEP,
        '{"type": null}', '{"type": 5}', '{"type": []}', '{"type": {}}', '{"type": ""}', '{"type": "unknown"}',
        '{"type": "start"}', '{"type": "stop"}', '{"type": "connection_terminate"}', '{"type": "next", "id": "1"}',
        '{"type": "connection_ack"}', '{"type": "error", "id": "1"}', '{"Type": "ping"}',
        '{"type": "' + "x" * 400 + '"}', '{"type": "' + "é" * 400 + '"}', "NaN", '{"type": "ping", "payload": NaN',
        '{"type":"ping"}{"type":"ping"}', "\u0000", '{"type": "ping",}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("state", ["opened", "acknowledged"])
def test_an_invalid_message_closes_with_4400_and_a_reason(api: Api, frame: str, state: str) -> None:
    with opened(api) as socket:
        if state == "acknowledged":
            socket.send({"type": "connection_init"})
            socket.receive()
        socket.connection.send(frame)
        code, reason = closing(socket.connection)
        assert code == 4400
        assert reason


@pytest.mark.parametrize(
    "message",
    [
        {"type": "subscribe", "payload": VIEWER},
        {"type": "subscribe", "id": None, "payload": VIEWER},
        {"type": "subscribe", "id": 1, "payload": VIEWER},
        {"type": "subscribe", "id": [], "payload": VIEWER},
        {"type": "subscribe", "id": "", "payload": VIEWER},
        {"type": "subscribe", "id": "1"},
        {"type": "subscribe", "id": "1", "payload": None},
        {"type": "subscribe", "id": "1", "payload": "text"},
        {"type": "subscribe", "id": "1", "payload": []},
        {"type": "subscribe", "id": "1", "payload": 5},
        {"type": "subscribe", "id": "1", "payload": {}},
        {"type": "subscribe", "id": "1", "payload": {"query": None}},
        {"type": "subscribe", "id": "1", "payload": {"query": 5}},
        {"type": "subscribe", "id": "1", "payload": {"query": []}},
        {"type": "subscribe", "id": "1", "payload": {**VIEWER, "variables": "text"}},
        {"type": "subscribe", "id": "1", "payload": {**VIEWER, "variables": []}},
        {"type": "subscribe", "id": "1", "payload": {**VIEWER, "variables": 5}},
        {"type": "subscribe", "id": "1", "payload": {**VIEWER, "operationName": 5}},
        {"type": "subscribe", "id": "1", "payload": {**VIEWER, "operationName": {}}},
        {"type": "subscribe", "id": "1", "payload": {**VIEWER, "extensions": "text"}},
        {"type": "subscribe", "id": "1", "payload": {**VIEWER, "extensions": []}},
        {"type": "complete"},
        {"type": "complete", "id": None},
        {"type": "complete", "id": 1},
        {"type": "complete", "id": ""},
        {"type": "complete", "id": {}},
    ],
)
def test_a_malformed_message_closes_with_4400_and_names_its_type(api: Api, message: Json) -> None:
    with api.socket() as socket:
        socket.send(message)
        code, reason = closing(socket.connection)
        assert code == 4400
        assert message["type"] in reason


def test_a_binary_frame_closes_with_4400(api: Api) -> None:
    with api.socket() as socket:
        socket.connection.send(json.dumps({"type": "ping"}).encode())
        assert closing(socket.connection)[0] == 4400


# ---- not specified by the document -----------------------------------------------------------------


def test_data_that_is_not_of_the_websocket_protocol_or_too_long_closes_with_a_code_of_that_protocol(api: Api) -> None:
    with api.socket() as socket:
        socket.connection.send('{"type": "ping", "payload": {"a": "' + "x" * 2_000_000 + '"}}')
        assert closing(socket.connection)[0] == 1009
    with api.socket() as socket:
        socket.connection.send(b"\xff", text=True)
        assert closing(socket.connection)[0] == 1007
    with api.socket() as socket:
        socket.connection.socket.sendall(b"\xff\x80")  # reserved bits
        assert closing(socket.connection)[0] == 1002


def test_an_id_of_400_characters_is_accepted(api: Api) -> None:
    with api.socket() as socket:
        socket.send(subscribe("x" * 400))
        assert socket.receive()["id"] == "x" * 400


def test_the_reason_for_a_long_id_fits_into_the_close_frame(api: Api) -> None:
    generation = api.send("/simulate hang")["generation"]["id"]
    with api.socket() as socket:
        query = "subscription ($id: ID!) { generationEvents(generationId: $id) { sequence } }"
        socket.subscribe(query, {"id": generation}, "é" * 400)
        socket.receive()
        socket.send(subscribe("é" * 400))
        code, reason = closing(socket.connection)
        assert code == 4409
        assert reason.endswith("already exists")
    api.stop(generation)


def test_unknown_fields_of_a_message_are_ignored(api: Api) -> None:
    with api.socket() as socket:
        socket.send({**subscribe(query="{ viewer { name } }", more=1), "more": {"a": 1}})
        assert socket.receive()["payload"] == ANSWER


def test_a_document_nested_too_deeply_is_an_error_of_its_operation(api: Api) -> None:
    refused(api, query="{ a" * 5_000 + " }" * 5_000)


def test_a_document_with_too_many_tokens_is_an_error_of_its_operation(api: Api) -> None:
    refused(api, query="{ " + "viewer { name } " * 20_000 + "}")


def test_a_lone_surrogate_is_accepted_in_a_message_and_refused_as_text(api: Api) -> None:
    query = "mutation ($t: String) { createConversation(input: { title: $t }) { ... on InvalidInput { field } } }"
    with api.socket() as socket:
        socket.send(json.dumps(subscribe("\ud83d", query=query, variables={"t": "\ud83d"})))
        assert socket.receive()["payload"] == {"data": {"createConversation": {"field": "title"}}}


def test_the_server_pings_an_idle_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Some proxies close a socket that is idle for 20 seconds. The test shortens the interval so that it need not wait.
    assert SocketHandler.ping_seconds <= 20
    monkeypatch.setattr(SocketHandler, "ping_seconds", 0.05)
    with tertulia(tmp_path) as address, raw_socket(address) as connection:
        connection.send('{"type": "connection_init"}')
        begun = time.monotonic()
        messages = [json.loads(connection.recv(timeout=WAIT)) for _ in range(4)]
        assert time.monotonic() - begun > 3 * 0.04
        connection.send('{"type": "pong"}')
        assert messages == [{"type": "connection_ack"}, *[{"type": "ping"}] * 3]
