"""Clients that stop in the middle: incomplete requests and uploads, unread responses, sockets without init."""

import select
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from client import WAIT, Api, raw_socket
from media import image
from running import running, settings
from test_websocket import closing

from tertulia.server.app import create_app
from tertulia.server.runtime.http_protocol import HttpProtocol

HEAD = b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"


class ImpatientProtocol(HttpProtocol):
    """The server's HTTP protocol, with its deadlines divided by about fifty."""

    HEADER_SECONDS = 0.5
    BODY_SILENCE_SECONDS = 0.8
    BODY_GRACE_SECONDS = 0.5
    UNREAD_SECONDS = 1.0
    CHECK_SECONDS = 0.05


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    folder = tmp_path_factory.mktemp("impatient")
    app = create_app(settings(folder, connection_init_seconds=0.5))
    with running(app, http=ImpatientProtocol) as address:
        yield address


@contextmanager
def connected(address: str) -> Generator[socket.socket]:
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=WAIT) as connection:
        yield connection


def read_all(opened: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    read = b""
    try:
        while piece := opened.recv(65536):
            read += piece
    except ConnectionResetError:
        pass
    return read


def is_open(opened: socket.socket) -> bool:
    readable, _, _ = select.select([opened], [], [], 0)
    return not readable or opened.recv(1, socket.MSG_PEEK) != b""


@pytest.mark.parametrize(
    "sent",
    [
        b"POST",
        b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nX-Half: ",
        HEAD,
        HEAD + b"\r\n",
        HEAD + b'\r\n{"query": "{ vie',
        HEAD.replace(b"Content-Length: 1000", b"Transfer-Encoding: chunked") + b"\r\n5\r\n12345\r\n",
        HEAD + b"Expect: 100-continue\r\n\r\n",
    ],
)
def test_an_incomplete_request_is_answered_with_408(impatient: str, sent: bytes) -> None:
    with connected(impatient) as opened:
        opened.sendall(sent)
        answer = read_all(opened)
    assert answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"connection: close" in answer


def test_a_connection_that_sends_nothing_is_closed(impatient: str) -> None:
    with connected(impatient) as opened:
        assert read_all(opened) == b""


def test_headers_sent_byte_by_byte_do_not_keep_a_connection_open(impatient: str) -> None:
    with connected(impatient) as opened:
        for letter in HEAD * 10:
            try:
                opened.sendall(bytes([letter]))
            except (BrokenPipeError, ConnectionResetError):
                break
            if not is_open(opened):
                break
            time.sleep(0.05)
        else:
            pytest.fail("the connection is still open")


def test_stray_bytes_after_a_response_do_not_keep_a_connection_open(impatient: str) -> None:
    with connected(impatient) as opened:
        opened.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while not answer.endswith(b"}"):
            answer += opened.recv(65536)
        opened.sendall(b"\r\n")
        assert read_all(opened) == b""


def test_too_long_headers_are_refused_with_431(impatient: str) -> None:
    with connected(impatient) as opened:
        opened.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 300_000)
        assert b"HTTP/1.1 431 " in read_all(opened)


def test_many_incomplete_requests_are_closed_while_others_are_served(impatient: str) -> None:
    opened = [
        socket.create_connection(("127.0.0.1", int(impatient.rpartition(":")[2])), timeout=WAIT) for _ in range(100)
    ]
    try:
        for number, one in enumerate(opened):
            one.sendall(HEAD if number % 2 else HEAD + b"\r\n{")
        assert httpx2.get(f"{impatient}/healthz").status_code == 200
        assert all(b"408" in read_all(one) for one in opened)
    finally:
        for one in opened:
            one.close()


def test_a_slow_upload_that_continues_is_accepted(impatient: str) -> None:
    picture = image()

    def pieces() -> Generator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
        yield picture
        for _ in range(10):
            time.sleep(0.1)
            yield bytes(4000)
        yield b"\r\n--b--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=b"}
    sent = httpx2.post(f"{impatient}/attachments", content=pieces(), headers=headers, timeout=WAIT)
    assert sent.status_code == 201, sent.text


def test_a_stream_and_an_idle_connection_outlive_the_deadlines(impatient: str) -> None:
    with Api(impatient) as api:
        sent = api.send("/simulate hang")
        with api.socket() as quiet:
            query = {
                "query": f'subscription {{ generationEvents(generationId: "{sent["generation"]["id"]}") {{ sequence }} }}'
            }
            with httpx2.stream(
                "POST", f"{impatient}/graphql", json=query, headers={"accept": "text/event-stream"}, timeout=WAIT
            ) as stream:
                pieces = stream.iter_bytes()
                next(pieces)
                time.sleep(1.5)
                api.stop(sent["generation"]["id"])
                assert b"complete" in b"".join(pieces)
            quiet.send({"type": "ping"})
            assert quiet.receive() == {"type": "pong"}


def test_a_client_that_does_not_read_its_responses_is_disconnected(impatient: str) -> None:
    port = int(impatient.rpartition(":")[2])
    with socket.socket() as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.settimeout(WAIT)
        opened.connect(("127.0.0.1", port))
        request = b"GET /plain HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n"
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            try:
                opened.sendall(request * 20)
            except (BrokenPipeError, ConnectionResetError):
                break
            time.sleep(0.05)
        else:
            pytest.fail("the connection is still open")


def test_a_socket_without_connection_init_is_closed_with_4408(impatient: str) -> None:
    with raw_socket(impatient) as connection:
        assert closing(connection) == (4408, "Connection initialisation timeout")


def test_a_socket_is_closed_even_if_its_client_does_not_answer_the_close(impatient: str) -> None:
    handshake = (
        b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    )
    with connected(impatient) as opened:
        opened.sendall(handshake)
        assert b"Connection initialisation timeout" in read_all(opened)


def test_a_server_waits_10_seconds_for_connection_init_by_default(tmp_path: Path) -> None:
    assert settings(tmp_path).connection_init_seconds == 10
