"""The server answers random messages, uploads, tokens and forms as documented, and keeps running."""

import json
from collections.abc import Generator
from typing import Any

import pytest
from client import WAIT, Api, Json, raw_socket
from documents import RTF, docx
from faults import ROUNDS
from hypothesis import given, settings
from hypothesis import strategies as st
from media import image, pdf
from people import MODE, register, signed
from running import tertulia
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tertulia.ratelimit.limits import Rate
from tertulia.server.auth import sessions

pytestmark = pytest.mark.repeated

PROTOCOL_CODES = {None, 1000, 1008, 1009, 1013, 4400, 4401, 4403, 4408, 4409, 4429}
PIECES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def examples(number: int) -> settings:
    """Try a quarter of a number of examples. `make chaos FAULTS=4` tries all of them."""
    return settings(max_examples=max(number * ROUNDS // 4, 3))


def message(kind: str, more: Json) -> Json:
    return {"type": kind, **more}


def subscribe(query: str, variables: object) -> Json:
    return {"type": "subscribe", "id": "1", "payload": {"query": query, "variables": variables}}


KINDS = ["connection_init", "subscribe", "complete", "ping", "pong", "next", "x"]
MESSAGES = st.builds(
    message, st.sampled_from(KINDS), st.fixed_dictionaries({}, optional={"id": PIECES, "payload": PIECES})
)
QUERIES = st.builds(
    subscribe, st.text(alphabet='{}()[]!$:"\\ .@#abcdefinqrstuvwy_\n\u20ac\U0001f600', max_size=60), PIECES
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A server without rate limits, so that each response depends only on its request."""
    unlimited = {"request_limit": "1000000", "upload_limit": "1000000"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions, "TRIES_OF_ADDRESS", Rate("sign-in from an address", "1000000/minute"))
        with tertulia(tmp_path_factory.mktemp("fuzz"), **MODE, **unlimited) as url:
            yield url


@pytest.fixture(scope="module")
def api(address: str) -> Generator[Api]:
    with signed(address, register(address, "fuzz")) as client:
        yield client


def close_code(connection: ClientConnection, messages: list[Any]) -> int | None:
    """Send all messages, and return the code with which the socket was closed, or None if it stays open."""
    try:
        for message in messages:
            connection.send(json.dumps(message))
        connection.send('{"type": "ping", "payload": {"last": true}}')
        while json.loads(connection.recv(timeout=WAIT)) != {"type": "pong", "payload": {"last": True}}:
            pass
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006
    return None


@examples(100)
@given(st.lists(MESSAGES | QUERIES | PIECES, max_size=6))
def test_random_messages_over_a_socket_are_answered_or_close_it(api: Api, messages: list[Any]) -> None:
    init = {"type": "connection_init", "payload": api.signed}
    with raw_socket(api.address) as connection:
        assert close_code(connection, [init, *messages]) in PROTOCOL_CODES
    assert api.http.get("/readyz").status_code == 200


@examples(100)
@given(
    st.binary(max_size=200),
    st.sampled_from(
        [b"", image()[:40], image("GIF")[:20], pdf("x")[:200], docx(), RTF, b"From: a\nDate: b\n\n", b"{", b"<html>"]
    ),
    st.text(max_size=20),
)
def test_random_bytes_in_an_upload_are_accepted_or_refused(
    api: Api, content: bytes, beginning: bytes, filename: str
) -> None:
    name = filename.replace("\0", "") or "x"
    sent = api.http.post("/attachments", files={"file": (name, beginning + content)})
    assert sent.status_code in (201, 415, 422)


@examples(100)
@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=200))
def test_random_tokens_are_refused(api: Api, words: str) -> None:
    header = {"authorization": f"Bearer {words}"}
    assert api.http.post("/graphql", json={"query": "{ __typename }"}, headers=header).status_code == 401


@examples(30)
@given(
    st.binary(max_size=200), st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/plain"])
)
def test_random_bodies_of_a_form_are_accepted_or_refused(api: Api, content: bytes, media_type: str) -> None:
    for path in ("token", "refresh", "revoke", "register"):
        sent = api.http.post(f"/auth/{path}", content=content, headers={"content-type": media_type})
        assert sent.status_code in (200, 400, 422)


@examples(40)
@given(PIECES)
def test_random_bodies_of_a_request_are_answered_or_refused(api: Api, body: Any) -> None:
    for path in ("/graphql", "/chat", "/ag-ui", "/ai-sdk"):
        sent = api.http.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
        assert sent.status_code in (200, 400, 404, 422)
