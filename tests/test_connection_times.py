"""Timeouts and heartbeats of connections as the docs state them, with a server clock that the test moves forward."""

import json
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import jwt
import pytest
from argon2 import Parameters, PasswordHasher, extract_parameters
from client import WAIT, Api, Json, Socket, raw_socket, wait_until
from conftest import SECRET as API_KEY
from people import MODE, PASSWORD, SECRET, post, register, signed
from running import CLOCKS, execute, prepare_database, running, settings, stopped_clock, tertulia
from scripted import says, scripted
from test_streaming import MULTIPART, PIECES, SSE, opens
from test_websocket import closing

from tertulia.db.credentials import digest_of, new_personal_token
from tertulia.server.app import create_app
from tertulia.server.auth import authenticator
from tertulia.server.auth.jwt import ACCESS, Tokens
from tertulia.server.auth.providers import Identity
from tertulia.server.runtime.http_protocol import HttpProtocol
from tertulia.server.runtime.socket_protocol import SocketProtocol

CHANGES = "subscription { conversationChanges { kind } }"
CREATE = "mutation { createConversation(input: {}) { __typename } }"
REPLAY = """subscription ($id: ID!) { generationEvents(generationId: $id, after: 0) {
  ... on TextDelta { text } } }"""
LIMITS = "{ viewer { limits { name remaining } } }"
ENDS = {SSE: b"event: complete", MULTIPART: b"--graphql--"}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of a server for one user."""
    with tertulia(tmp_path_factory.mktemp("local")) as address:
        yield address


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Json:
    """The database of `people`."""
    return {"database_url": f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('people') / 'tertulia.db'}"}


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, database: Json) -> Generator[str]:
    """The address of a server where users sign in."""
    with tertulia(tmp_path_factory.mktemp("files"), **database, **MODE) as address:
        yield address


def received(opened: Socket) -> Json:
    """Return the next message, also a ping."""
    message: Json = json.loads(opened.connection.recv(timeout=WAIT))
    return message


def is_next_a_pong(opened: Socket) -> bool:
    """Send a ping and return whether the next message is its pong, so that the server has sent nothing before."""
    opened.send({"type": "ping"})
    return received(opened) == {"type": "pong"}


# ---- silence ----------------------------------------------------------------------------------------------------


def test_a_socket_is_pinged_every_15_seconds(local: str) -> None:
    with stopped_clock(local) as advance, Api(local) as api, api.socket() as opened:
        for _ in range(3):
            advance(14.9)
            assert is_next_a_pong(opened)
            advance(0.2)
            assert received(opened) == {"type": "ping"}


class Stream:
    """The body of a streamed response, as it arrives."""

    def __init__(self, response: httpx2.Response) -> None:
        self._pieces = response.iter_raw()

    def until(self, expected: bytes) -> bytes:
        """Read until these bytes have arrived, and return what was read."""
        part = b""
        while expected not in part:
            part += next(self._pieces)
        return part

    def rest(self) -> bytes:
        return b"".join(self._pieces)


@contextmanager
def streamed(address: str, path: str, body: Json, accept: str, token: str | None = None) -> Generator[Stream]:
    headers = {"accept": accept} | ({"authorization": f"Bearer {token}"} if token else {})
    with httpx2.stream("POST", f"{address}{path}", json=body, headers=headers, timeout=WAIT) as response:
        assert response.status_code == 200
        yield Stream(response)


@pytest.mark.parametrize(
    ("accept", "begin", "heartbeat"),
    [(SSE, b":\n\n", b":\n\n"), (MULTIPART, b"--graphql", b"\r\n\r\n{}\r\n--graphql")],
    ids=["server-sent events", "multipart"],
)
def test_a_stream_has_a_heartbeat_after_15_seconds_of_silence(
    local: str, accept: str, begin: bytes, heartbeat: bytes
) -> None:
    with stopped_clock(local) as advance, streamed(local, "/graphql", {"query": CHANGES}, accept) as stream:
        stream.until(begin)
        for _ in range(2):
            advance(14.9)
            with Api(local) as api:
                api.ask(CREATE)
            assert heartbeat not in stream.until(b"CREATED")
            advance(15.1)
            assert heartbeat in stream.until(heartbeat)


def test_a_chat_stream_has_a_heartbeat_after_15_seconds_of_silence(local: str) -> None:
    with stopped_clock(local) as advance:
        with streamed(local, "/chat/stream", {"message": "/simulate hang"}, SSE) as stream:
            started = stream.until(b"event: start")
            advance(15.1)
            stream.until(b":\n\n")
        id = json.loads(started.partition(b"data: ")[2].partition(b"\n")[0])["generation_id"]
    with Api(local) as api:
        api.stop(id)


def remaining_connections(address: str) -> int:
    """Return how many more sockets and streams the user may open."""
    with Api(address) as api:
        limits: list[Json] = api.ask(LIMITS)["viewer"]["limits"]
    (remaining,) = (limit["remaining"] for limit in limits if limit["name"] == "sockets")
    return int(remaining)


def test_a_socket_carries_100_operations_at_once(local: str) -> None:
    with stopped_clock(local), Api(local) as api, api.socket() as opened:
        for number in range(101):
            opened.subscribe(CHANGES, {}, str(number))
        refused = received(opened)
        assert (refused["type"], refused["id"]) == ("error", "100")
        assert refused["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert "100 operations" in refused["payload"][0]["message"]
        opened.send({"type": "complete", "id": "0"})
        opened.subscribe(CHANGES, {}, "instead")
        assert is_next_a_pong(opened)


# ---- clients that read nothing ----------------------------------------------------------------------------------


class Network:
    """Server protocols for clients that stop reading: once `is_stuck` is set, full buffers are never emptied."""

    def __init__(self) -> None:
        network = self
        self.is_stuck = False
        self.blocked = threading.Event()
        """Set when the server waits for buffer space to send something."""

        class StuckHttp(HttpProtocol):
            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                drain = self.flow.drain

                async def reporting() -> None:
                    network.blocked.set()
                    await drain()

                setattr(self.flow, "drain", reporting)  # noqa: B010 - a method cannot be assigned

            def resume_writing(self) -> None:
                if not network.is_stuck:
                    super().resume_writing()

        class StuckSocket(SocketProtocol):
            async def send(self, message: Any) -> None:
                if message["type"] == "websocket.send" and not self.writable.is_set():
                    network.blocked.set()
                await super().send(message)

            def resume_writing(self) -> None:
                if not network.is_stuck:
                    super().resume_writing()

        self.http, self.socket = StuckHttp, StuckSocket


class Unread:
    """A server with an answer of 9 MB and a limit of one connection at a time per user."""

    def __init__(self, address: str, generation: str, blocked: threading.Event) -> None:
        self.address = address
        self.generation = generation
        self.blocked = blocked

    @contextmanager
    def connected(self) -> Generator[socket.socket]:
        """Connect with a small receive buffer."""
        with socket.socket() as opened:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 200_000)
            opened.settimeout(WAIT)
            opened.connect(("127.0.0.1", int(self.address.rpartition(":")[2])))
            yield opened

    def expect_disconnect_after_30_seconds(self, advance: Callable[[float], None]) -> None:
        assert self.blocked.wait(WAIT)
        with Api(self.address) as api:
            advance(29.9)
            assert not opens(api), "the connection was closed before 30 seconds"
            advance(0.2)
            wait_until(lambda: opens(api))
            wait_until(lambda: remaining_connections(self.address) == 1)
        self.blocked.clear()


@pytest.fixture(scope="module")
def unread(tmp_path_factory: pytest.TempPathFactory) -> Generator[Unread]:
    folder, network = tmp_path_factory.mktemp("unread"), Network()
    with scripted(says(*PIECES)) as claude:
        keyed = {"anthropic_api_key": API_KEY, "anthropic_base_url": claude.address}
        configured = settings(folder, max_sockets_per_user=1, **keyed)
        prepare_database(configured.database_url)
        with running(create_app(configured), http=network.http, ws=network.socket) as address:
            with Api(address) as api:
                generation = api.send("Hello")["generation"]["id"]
                # All events, because a snapshot of so long a text would exceed the limit of a response.
                api.follow(generation, 0)
            network.is_stuck = True
            network.blocked.clear()
            yield Unread(address, generation, network.blocked)


def test_a_socket_whose_client_reads_nothing_for_30_seconds_is_closed_with_1013(unread: Unread) -> None:
    with (
        stopped_clock(unread.address) as advance,
        unread.connected() as small,
        raw_socket(unread.address, sock=small, max_queue=1) as connection,
    ):
        connection.send(json.dumps({"type": "connection_init"}))
        payload = {"query": REPLAY, "variables": {"id": unread.generation}}
        connection.send(json.dumps({"type": "subscribe", "id": "one", "payload": payload}))
        unread.expect_disconnect_after_30_seconds(advance)
        assert closing(connection) == (1013, "The client read nothing for too long")


@pytest.mark.parametrize("accept", [SSE, MULTIPART], ids=["server-sent events", "multipart"])
def test_a_stream_whose_client_reads_nothing_for_30_seconds_is_ended(unread: Unread, accept: str) -> None:
    body = json.dumps({"query": REPLAY, "variables": {"id": unread.generation}}).encode()
    head = f"POST /graphql HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nContent-Type: application/json\r\n"
    with stopped_clock(unread.address) as advance, unread.connected() as opened:
        opened.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        unread.expect_disconnect_after_30_seconds(advance)
        read = b"".join(iter(lambda: opened.recv(1 << 20), b""))
        assert read.startswith(b"HTTP/1.1 200 OK")
        assert ENDS[accept] not in read
        assert not read.endswith(b"0\r\n\r\n"), "the response looks complete"


# ---- sign-ins ---------------------------------------------------------------------------------------------------


@pytest.fixture
def travel(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Return a function that moves the current time of tokens and sign-ins forward."""
    ahead = timedelta(0)

    class Moved(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return super().now(tz) + ahead

    def move(by: timedelta) -> None:
        nonlocal ahead
        ahead += by

    for module in ("tertulia.server.auth.jwt", "tertulia.server.auth.authenticator", "jwt.api_jwt"):
        monkeypatch.setattr(f"{module}.datetime", Moved)
    for module in ("tertulia.server.auth.sessions", "tertulia.db.accounts"):
        monkeypatch.setattr(f"{module}.now", lambda: Moved.now(UTC))
    return move


Travel = Callable[[timedelta], None]
SOON = timedelta(seconds=5)
"""A margin that is longer than a test takes between two steps, also on a slow machine."""


def refreshed(address: str, tokens: Json) -> Json | None:
    response = post(address, "refresh", refresh_token=tokens["refresh_token"])
    if response.status_code == 200:
        new_tokens: Json = response.json()
        return new_tokens
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    return None


def test_a_refresh_token_expires_30_days_after_the_last_refresh(people: str, travel: Travel) -> None:
    tokens: Json | None = register(people, "away-for-long")
    for _ in range(2):
        assert tokens
        travel(timedelta(days=30) - SOON)
        tokens = refreshed(people, tokens)
    assert tokens
    travel(timedelta(days=30, seconds=1))
    assert refreshed(people, tokens) is None


@pytest.mark.parametrize(
    ("moved", "kept"),
    [("tertulia.server.auth.jwt.datetime", "token"), ("tertulia.server.auth.sessions.now", "row")],
    ids=["token", "row"],
)
def test_both_the_token_and_its_sign_in_expire_after_30_days(
    people: str, monkeypatch: pytest.MonkeyPatch, moved: str, kept: str
) -> None:
    for name, age, good in (("younger", timedelta(days=30) - SOON, True), ("older", timedelta(days=30), False)):
        begun_at = datetime.now(UTC) - age

        class Begun(datetime):
            @classmethod
            def now(cls, tz: Any = None, at: datetime = begun_at) -> Any:
                return at

        with monkeypatch.context() as past:
            past.setattr(moved, Begun if moved.endswith("datetime") else Begun.now)
            tokens = register(people, f"{name}-{kept}")
        assert (refreshed(people, tokens) is not None) is good


def test_a_replaced_refresh_token_is_valid_for_another_minute(people: str, travel: Travel) -> None:
    tokens = register(people, "lost-the-response")
    assert refreshed(people, tokens)
    travel(timedelta(minutes=1) - SOON)
    assert refreshed(people, tokens)
    travel(SOON)
    assert refreshed(people, tokens) is None


def test_an_access_token_expires_after_10_minutes(people: str, travel: Travel) -> None:
    tokens = register(people, "not-refreshed")
    with signed(people, tokens) as api:
        travel(timedelta(minutes=10) - SOON)
        assert api.post("{ viewer { id } }").status_code == 200
        travel(SOON)
        assert api.post("{ viewer { id } }").status_code == 401


def expiring(tokens: Json, seconds: int) -> str:
    """Return an access token of the same sign-in that expires that many seconds from now."""
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    key = Tokens(SECRET)._keys[ACCESS]
    return jwt.encode({**claims, "exp": int(time.time()) + seconds}, key, "HS256", headers={"typ": ACCESS})


@contextmanager
def stopped_clocks(address: str, monkeypatch: pytest.MonkeyPatch) -> Generator[Callable[[float], None]]:
    """Stop the time of a server's loop and of its sign-ins, and yield a function that moves both forward."""
    clock, begun_at = CLOCKS[address], datetime.now(UTC)
    with clock.stopped() as advance:
        loop_begun_at = clock.time()

        class Moved(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return begun_at + timedelta(seconds=clock.time() - loop_begun_at)

        monkeypatch.setattr("tertulia.server.auth.authenticator.datetime", Moved)
        yield advance


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list that receives the seconds of each wait of a connection until its sign-in is checked again."""
    seconds: list[float] = []
    delay = authenticator._recheck_delay

    def recorded(identity: Identity) -> float:
        seconds.append(delay(identity))
        return seconds[-1]

    monkeypatch.setattr(authenticator, "_recheck_delay", recorded)
    return seconds


def test_a_socket_and_a_stream_are_closed_when_their_token_expires(
    people: str, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    token = expiring(register(people, "expires-while-connected"), 30)
    with (
        stopped_clocks(people, monkeypatch) as advance,
        Api(people, token) as api,
        api.socket() as opened,
        streamed(people, "/graphql", {"query": CHANGES}, SSE, token) as stream,
    ):
        wait_until(lambda: len(waits) == 2)
        advance(14.5)
        assert is_next_a_pong(opened)
        advance(13.5)
        assert received(opened) == {"type": "ping"}
        assert is_next_a_pong(opened)
        assert len(waits) == 2
        advance(2.1)
        assert closing(opened.connection) == (4403, "Forbidden")
        assert b"complete" not in stream.rest()


def test_without_a_notification_a_socket_is_closed_a_minute_after_its_sign_in_was_revoked(
    people: str, database: Json, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    tokens = register(people, "revoked-in-the-database")
    with stopped_clocks(people, monkeypatch) as advance, signed(people, tokens) as api, api.socket() as opened:
        wait_until(lambda: len(waits) == 1)
        execute(database, "UPDATE sign_ins SET revoked_at = '2026-01-01 00:00:00+00:00'")
        advance(59.9)
        assert received(opened) == {"type": "ping"}
        assert is_next_a_pong(opened)
        advance(0.2)
        assert closing(opened.connection) == (4403, "Forbidden")


def change_password(address: str, tokens: Json) -> None:
    form = {"password": PASSWORD, "new_password": "another long one"}
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    changed = httpx2.post(f"{address}/auth/password", data=form, headers=bearer, timeout=WAIT)
    assert changed.status_code == 200


def reuse_refresh_token(address: str, tokens: Json) -> None:
    newer = refreshed(address, tokens)
    assert newer
    assert refreshed(address, newer)
    assert refreshed(address, tokens) is None


@pytest.mark.parametrize("end", [change_password, reuse_refresh_token])
def test_ending_a_sign_in_closes_its_sockets_at_once(
    people: str, monkeypatch: pytest.MonkeyPatch, end: Callable[[str, Json], None]
) -> None:
    tokens = register(people, f"ended-by-{end.__name__}".replace("_", "-"))
    with stopped_clocks(people, monkeypatch), signed(people, tokens) as api, api.socket() as opened:
        end(people, tokens)
        assert closing(opened.connection) == (4403, "Forbidden")


def test_changing_the_password_closes_the_sockets_of_all_devices(people: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = register(people, "changes-the-password")
    other = post(people, "token", grant_type="password", username="changes-the-password", password=PASSWORD).json()
    with stopped_clocks(people, monkeypatch), signed(people, other) as api, api.socket() as opened:
        change_password(people, tokens)
        assert closing(opened.connection) == (4403, "Forbidden")


def test_revoking_a_personal_token_closes_its_sockets_at_once(
    people: str, database: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    id, token = register(people, "writes-scripts")["id"], new_personal_token()
    columns = f"'{uuid4().hex}', '{UUID(id).hex}', 'script', '{digest_of(token)}', '2026-01-01 00:00:00+00:00'"
    execute(database, f"INSERT INTO personal_tokens (id, owner_id, label, digest, created_at) VALUES ({columns})")
    with stopped_clocks(people, monkeypatch), Api(people, token) as api, api.socket() as opened:
        assert post(people, "revoke", token=token).status_code == 200
        assert closing(opened.connection) == (4403, "Forbidden")


# ---- guessing passwords -----------------------------------------------------------------------------------------


def test_one_address_may_try_60_sign_ins_a_minute(people: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        now = time.time()

        def time(self) -> float:
            return self.now

        monotonic = time

    clock = Clock()
    for module in ("tertulia.ratelimit.limits", "tertulia.ratelimit.memory"):
        monkeypatch.setattr(f"{module}.time", clock)
    tokens = register(people, "has-an-account")
    # This is no valid username, so no password is hashed.
    form = {"grant_type": "password", "username": "\0", "password": "x"}
    with httpx2.Client(base_url=people, timeout=WAIT, headers={"x-forwarded-for": "192.0.2.60"}) as client:
        tries = [client.post("/auth/token", data=form) for _ in range(61)]
        assert [response.status_code for response in tries] == [400] * 60 + [429]
        assert tries[-1].headers["retry-after"] == "60"
        bearer = {"authorization": f"Bearer {tokens['access_token']}"}
        change = {"password": "x", "new_password": "another long one"}
        others = [
            client.post("/auth/register", data={"username": "new", "password": PASSWORD}),
            client.post("/auth/password", data=change, headers=bearer),
            client.request("DELETE", "/auth/user", data={"password": "x"}, headers=bearer),
        ]
        assert [response.status_code for response in others] == [429] * 3
        elsewhere = {"x-forwarded-for": "192.0.2.61"}
        assert client.post("/auth/token", data=form, headers=elsewhere).status_code == 400
        clock.now += 59.9
        assert client.post("/auth/token", data=form).status_code == 429
        clock.now += 0.2
        assert client.post("/auth/token", data=form).status_code == 400


def test_an_unknown_name_costs_as_much_work_as_a_wrong_password(people: str, monkeypatch: pytest.MonkeyPatch) -> None:
    work: list[tuple[Parameters, int]] = []
    verify = PasswordHasher.verify

    def noted(hasher: PasswordHasher, password_hash: str, password: bytes) -> bool:
        work.append((extract_parameters(password_hash), len(password)))
        return verify(hasher, password_hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", noted)
    register(people, "known")
    for name in ("known", "unknown"):
        refused = post(people, "token", grant_type="password", username=name, password="not the password")
        assert refused.status_code == 400
    known, unknown = work
    assert known == unknown
