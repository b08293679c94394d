"""The deployment of compose.yaml, run with processes instead of containers: a proxy in front of two replicas.

PostgreSQL, Redis, Caddy and nginx are real. Settings, Redis options and the proxies' files are those of `deploy/`.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import forking
import httpx2
import pytest
from client import FOLLOW, Api, raw_socket, sleep_between_polls, wait_until
from deployed import PROXIES, compose, dotenv, interpolated
from faults import LOST, PATIENCE, CountingClaude, Reader, Server, counting, hold
from people import register, signed
from programs import require
from running import execute
from servers import RedisServer, Servers, create_database
from websockets.exceptions import InvalidStatus

Json = dict[str, Any]
HANGS = "/simulate hang"
"""Makes the simulated Claude write half an answer and then hang until it is stopped."""
NEW_SETTINGS = ("TERTULIA_SHUTDOWN_DELAY_SECONDS",)
"""Settings that the version before the current schema does not have. It refuses unknown settings."""
LOADED = 4
FILLED_IN = {"POSTGRES_PASSWORD": "0", "TERTULIA_SECRET_KEY": "of the tests, and long enough to sign with"}
ROOMY = {
    "TERTULIA_RATE_LIMIT": "10000",
    "TERTULIA_REQUEST_LIMIT": "100000",
    "TERTULIA_MAX_SOCKETS_PER_USER": "1000",
    "TERTULIA_REGISTRATION": "open",
}
"""Higher limits, because one user sends the requests of many."""
LEASES = {"TERTULIA_LEASE_SECONDS": "5"}
"""On a busy machine a process may not renew a shorter lease in time, and its answers would be interrupted."""
PATIENT = {"TERTULIA_LEASE_SECONDS": "10"}
"""The default. A migration may briefly keep a process from renewing its leases."""


class Deployment:
    """Two replicas behind a proxy. `api` is the client of a user who signed in through the proxy."""

    def __init__(
        self, folder: Path, place: Json, claude: CountingClaude, settings: dict[str, str], code: Path = forking.CODE
    ) -> None:
        self.folder, self.place, self.claude, self.settings = folder, place, claude, settings
        self.code = code
        self.stack = ExitStack()
        self.replicas = [self.start("0"), self.start("0")]
        self.ports = [replica.ready().address.rpartition(":")[2] for replica in self.replicas]
        self.address = self.proxy = ""
        self.api: Api
        self.redis: RedisServer

    def start(self, port: str) -> Server:
        server = Server(
            self.folder, self.place, self.claude, "--port", port, **self.settings, PYTHONPATH=str(self.code)
        )
        self.stack.callback(server.close)
        return server

    def again(self, number: int) -> None:
        """Start a replica again, as a restart policy would."""
        self.replicas[number] = self.start(self.ports[number])
        self.replicas[number].ready()

    def open(self, proxy: str) -> None:
        self.proxy = proxy
        hosts = [f"127.0.0.1:{port}" for port in self.ports]
        self.address = self.stack.enter_context(PROXIES[proxy](self.folder, hosts))
        self.api = signed(self.address, register(self.address, "ada"))
        self.stack.callback(self.api.http.close)

    def send(self, text: str) -> Json:
        """Send a message as clients do: retry with the same key if it is refused for now or the connection is lost."""
        key, deadline = str(uuid4()), time.monotonic() + PATIENCE
        sent: Json = {}
        while time.monotonic() < deadline:
            with suppress(*LOST, json.JSONDecodeError):  # a proxy's own error pages are not JSON
                sent = self.api.try_send(text, idempotencyKey=key)
                if sent["__typename"] == "SendMessagePayload":
                    return sent
            sleep_between_polls()
        raise TimeoutError(sent)

    def begin(self, answers: int) -> "Load":
        """Start a load, and wait until each of its answers has some text."""
        load = Load(self, answers)
        self.stack.callback(load.over)
        load.wait_until_all_write()
        return load

    def directly(self, number: int) -> Api:
        """Return a client of the same user that bypasses the proxy."""
        direct = Api(f"http://127.0.0.1:{self.ports[number]}")
        direct.signed = self.api.signed
        direct.http.headers.update(self.api.signed)
        self.stack.callback(direct.http.close)
        return direct


def settings_of_a_replica(folder: Path) -> dict[str, str]:
    """Return the settings of compose.yaml and .env.example, except the addresses, which differ here."""
    values = {name: value for name, value in dotenv().items() if name.startswith("TERTULIA_REGISTRATION")} | FILLED_IN
    environment = compose()["services"]["tertulia-a"]["environment"]
    settings = values | {name: interpolated(value, values) for name, value in environment.items()}
    elsewhere = ("DATABASE_URL", "REDIS_URL", "POSTGRES_PASSWORD")
    own_settings = {name: value for name, value in settings.items() if name not in elsewhere}
    return own_settings | {"TERTULIA_ATTACHMENTS": str(folder / "attachments")} | ROOMY


def migrate(folder: Path, place: Json, settings: dict[str, str], code: Path = forking.CODE) -> None:
    """Run the migrations, as the service `migrate` does before the replicas start."""
    named = {name.upper(): value for name, value in place.items()}
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(code), **settings, **named}
    log = folder / f"migrate-{code.name}.log"
    done = forking.start(["migrate"], folder=folder, environment=environment, output=log, code=code)
    assert done.wait() == 0, log.read_text()


@contextmanager
def deployed(folder: Path, servers: Servers, proxy: str, code: Path = forking.CODE) -> Generator[Deployment]:
    require(proxy)
    options = [interpolated(word, {}) for word in compose()["services"]["redis"]["command"][1:]]
    redis = RedisServer(folder / "redis", *options)
    with ExitStack() as stack, counting() as claude:
        stack.callback(redis.stop)
        place = {"database_url": create_database(servers.postgres_url()), "redis_url": redis.url(0)}
        settings = settings_of_a_replica(folder) | (PATIENT if code != forking.CODE else LEASES)
        known = {name: value for name, value in settings.items() if code == forking.CODE or name not in NEW_SETTINGS}
        migrate(folder, place, known, code)
        deployment = Deployment(folder, place, claude, known, code)
        deployment.redis = redis
        stack.enter_context(deployment.stack)
        deployment.open(proxy)
        yield deployment


@pytest.fixture(scope="module", params=sorted(PROXIES))
def deployment(
    request: pytest.FixtureRequest, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Deployment]:
    with deployed(tmp_path_factory.mktemp(request.param), servers, request.param) as running:
        yield running


def test_the_proxy_does_not_buffer_an_answer(deployment: Deployment) -> None:
    api = deployment.api
    for follow in (over_a_socket, over_events, over_multipart, by_rest):
        # The answer never ends by itself, so text that arrives was not buffered until the end.
        words = follow(api)
        first = next(words)
        assert first
        running = api.ask("{ conversations(first: 1) { edges { node { activeGeneration { id status } } } } }")
        generation = running["conversations"]["edges"][0]["node"]["activeGeneration"]
        assert generation["status"] == "RUNNING"
        api.stop(generation["id"])
        assert list(words)[-1] == "end"


def over_a_socket(api: Api) -> Iterator[str]:
    generation = api.send(HANGS)["generation"]["id"]
    with api.socket() as socket:
        yield from told(socket.events(generation))


def over_events(api: Api) -> Iterator[str]:
    yield from told(over_http(api, "text/event-stream", "data: "))


def over_multipart(api: Api) -> Iterator[str]:
    yield from told(over_http(api, 'multipart/mixed;subscriptionSpec="1.0"', ""))


def over_http(api: Api, accept: str, begins: str) -> Iterator[Json]:
    body = {"query": FOLLOW, "variables": {"id": api.send(HANGS)["generation"]["id"]}}
    with api.http.stream("POST", "/graphql", json=body, headers={"accept": accept}) as response:
        for line in response.iter_lines():
            message = json.loads(line.removeprefix(begins)) if line.startswith(begins + "{") else {}
            message = message.get("payload") or message
            if message.get("data"):
                yield message["data"]["generationEvents"]


def told(events: Iterator[Json]) -> Iterator[str]:
    for event in events:
        if event["__typename"] == "TextDelta" or event.get("message", {}).get("text"):
            yield "words"
    yield "end"


def by_rest(api: Api) -> Iterator[str]:
    with api.http.stream("POST", "/chat/stream", json={"message": HANGS}) as response:
        for line in response.iter_lines():
            if line.startswith("data: "):
                yield "words"
    yield "end"


def test_the_clients_address_is_taken_from_the_proxy_and_not_from_the_client(deployment: Deployment) -> None:
    address, api = deployment.address, deployment.api
    false_headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    form = {"grant_type": "password", "username": "ada", "password": "not what was chosen"}
    refused = httpx2.post(f"{address}/auth/token", data=form, headers=false_headers)
    assert (refused.status_code, "strict-transport-security" in refused.headers) == (400, False)
    addresses = {row[0] for row in execute(deployment.place, "SELECT address FROM audit")}
    assert addresses == {"127.0.0.1"}
    figures = httpx2.get(f"{address}/metrics")
    assert (figures.status_code, "content-security-policy" in figures.headers) == (
        404,
        False,
    )  # the proxy answers, not Tertulia
    with raw_socket(address, additional_headers={"Origin": address}):
        pass
    with (
        pytest.raises(InvalidStatus) as foreign,
        raw_socket(address, additional_headers={"Origin": "http://other.example"}),
    ):
        pass
    assert foreign.value.response.status_code == 403
    assert api.http.get("/", headers={"accept": "text/html"}).status_code == 200


class Load:
    """Messages that are sent and followed through the proxy, while another thread keeps requesting lists."""

    def __init__(self, deployment: Deployment, answers: int = LOADED) -> None:
        self.deployment = deployment
        self.said = [f"/simulate long 120 {uuid4().hex}" for _ in range(answers)]
        self.refused: list[str] = []
        self.listed = 0
        self._over = threading.Event()
        self._lists = threading.Thread(target=self._ask_for_lists, daemon=True)
        self._lists.start()
        with ThreadPoolExecutor(answers) as pool:
            self.sent = list(pool.map(deployment.send, self.said))
        self.readers = [
            [Reader([deployment.api], one["generation"]["id"], exact=exact) for exact in (True, False)]
            for one in self.sent
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.over()

    def over(self) -> Self:
        self._over.set()
        self._lists.join(60)
        return self

    def wait_until_all_write(self) -> None:
        for reader in (reader for pair in self.readers for reader in pair):
            while not reader.longest:
                reader.join(0.01)
                assert reader.is_alive() or reader.ended

    def hold(self, most: int) -> list[str]:
        """Assert the invariants of each answer, and return the types of the terminal events."""
        claude, api = self.deployment.claude, self.deployment.api
        rows = zip(self.said, self.sent, self.readers, strict=True)
        return [hold(api, claude, sent, said, readers, most) for said, sent, readers in rows]

    def _ask_for_lists(self) -> None:
        while not self._over.wait(0.1):
            try:
                answered = self.deployment.api.post("{ conversations(first: 5) { edges { node { id title } } } }")
                self.listed += 1
                if answered.status_code != 200:
                    self.refused.append(f"{answered.status_code} {answered.text[:80]}")
            except LOST as error:
                self.refused.append(repr(error))


@pytest.mark.parametrize("deployment", ["nginx", pytest.param("caddy", marks=pytest.mark.chaos)], indirect=True)
def test_killing_a_replica_under_load_loses_and_duplicates_nothing(deployment: Deployment) -> None:
    with Load(deployment) as load:
        load.wait_until_all_write()
        deployment.replicas[1].kill()
        # The proxy uses the other replica at once.
        sent = deployment.send("Hello, my name is Ada")
        assert deployment.api.follow(sent["generation"]["id"])[-1]["__typename"] == "GenerationCompleted"
        deployment.again(1)
        ends = load.hold(most=2)
    assert set(ends) <= {"GenerationCompleted", "GenerationFailed"}
    # Requests on their way to the killed replica are lost, because a proxy does not send a POST twice.
    assert len(load.refused) <= 2, load.refused


@pytest.mark.parametrize("deployment", ["caddy", pytest.param("nginx", marks=pytest.mark.chaos)], indirect=True)
def test_a_replica_drained_under_load_finishes_its_answers_and_gets_no_new_ones(deployment: Deployment) -> None:
    drained = deployment.directly(0)
    # This answer keeps the drain from finishing until the test stops it.
    hanging = drained.send(HANGS)["generation"]["id"]
    with Load(deployment) as load:
        load.wait_until_all_write()
        deployment.replicas[0].process.send_signal(signal.SIGTERM)
        wait_until(lambda: drained.http.get("/readyz").json().get("draining") == "failing", "the drain", PATIENCE)
        assert drained.http.get("/readyz").status_code == 503
        assert drained.http.get("/healthz").status_code == 200
        if deployment.proxy == "caddy":
            wait_until_taken_out(deployment, 0)
        deployment.api.stop(hanging)
        assert deployment.replicas[0].process.wait() == 0, deployment.replicas[0].said()
        deployment.again(0)
        assert load.hold(most=1) == ["GenerationCompleted"] * LOADED
    # nginx does not check whether a replica drains, so it may use a connection that is being closed.
    assert len(load.refused) <= (deployment.proxy == "nginx"), load.refused


def wait_until_taken_out(deployment: Deployment, number: int) -> None:
    """Wait until Caddy has checked the draining replica. From then on it must not send it any message."""
    host = f"127.0.0.1:{deployment.ports[number]}"
    deadline = time.monotonic() + PATIENCE / 3
    while not any(
        host in line and "health_checker" in line and "503" in line
        for line in (deployment.folder / "caddy.log").read_text().splitlines()
    ):
        assert time.monotonic() < deadline, "Caddy did not check the health of the draining replica"
        time.sleep(0.05)
    sent = [deployment.api.try_send("Hello, my name is Ada")["__typename"] for _ in range(10)]
    assert sent == ["SendMessagePayload"] * 10


def test_without_redis_the_proxy_still_serves_both_replicas(deployment: Deployment) -> None:
    directly = [deployment.directly(number) for number in (0, 1)]
    deployment.redis.stop()
    try:
        assert [api.http.get("/readyz").json()["redis"] for api in directly] == ["failing"] * 2
        # Longer than the proxy needs to check the health of the replicas.
        until = time.monotonic() + 5
        while time.monotonic() < until:
            done = deployment.api.answer("Hello, my name is Ada")
            assert done["__typename"] == "GenerationCompleted"
            sleep_between_polls()
    finally:
        deployment.redis.start()
    wait_until(
        lambda: [api.http.get("/readyz").status_code for api in directly] == [200] * 2, "two ready replicas", PATIENCE
    )
