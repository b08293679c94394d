"""The same guarantees hold when processes are killed or frozen, servers are restarted, and sockets are cut.

`make chaos` tries each fault more often and at other times.
"""

import signal
import sqlite3
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import forking
import httpx2
import pytest
from client import FOLLOW, WAIT, Api, apply, raw_socket, sleep_between_polls, wait_until
from conftest import SECRET, Staged
from faults import DICE, PATIENCE, ROUNDS, CountingClaude, Reader, Server, counting, hold
from npm import run
from running import execute, tertulia
from scripted import EVERYTHING, Reply
from servers import RedisServer, Servers
from websockets.exceptions import ConnectionClosed

pytestmark = pytest.mark.repeated

Json = dict[str, Any]
ANSWER = "/simulate long 120"


@pytest.fixture
def claude() -> Generator[CountingClaude]:
    with counting() as counting_claude:
        yield counting_claude


class Cluster:
    """Server processes on the same storage: two replicas if the storage can be shared, otherwise one process."""

    def __init__(self, folder: Path, place: Json, claude: CountingClaude, stack: ExitStack, **more: str) -> None:
        self.folder, self.place, self.claude, self.stack = folder, place, claude, stack
        self.more = more
        self.shared = "redis_url" in place
        self.servers: list[Server] = []
        for _ in range(2 if self.shared else 1):
            self.add(**more)
        self.apis = [server.ready() for server in self.servers]

    def add(self, **more: str) -> Server:
        server = Server(self.folder, self.place, self.claude, **more)
        self.stack.callback(server.close)
        self.servers.append(server)
        return server

    def kill(self, number: int) -> None:
        """Kill a server and start another one at the same address."""
        self.servers[number].kill()
        self.again(number)

    def again(self, number: int) -> None:
        port = self.apis[number].address.rpartition(":")[2]
        self.servers[number] = Server(self.folder, self.place, self.claude, "--port", port, **self.more)
        self.stack.callback(self.servers[number].close)
        self.servers[number].ready()


@pytest.fixture
def cluster(tmp_path: Path, place: Json, claude: CountingClaude) -> Generator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(tmp_path, place, claude, stack)


@pytest.fixture
def own_redis(tmp_path: Path) -> Generator[RedisServer]:
    redis = RedisServer(tmp_path / "redis")
    yield redis
    redis.stop()


def unique(command: str = ANSWER) -> str:
    return f"{command} {uuid4().hex}"


def test_a_socket_cut_at_any_event_loses_and_repeats_nothing(staged: Staged) -> None:
    stage = staged(Reply(EVERYTHING))
    generation = stage.api.send("Hello")["generation"]["id"]
    whole = stage.api.follow(generation, 0)
    for boundary in range(1, len(whole) + 1):
        with stage.api.socket() as socket:
            stream = socket.events(generation, 0)
            seen = [next(stream) for _ in range(boundary)]
        exact = seen + stage.api.follow(generation, seen[-1]["sequence"])
        # After the terminal event's number, the server repeats that event after a snapshot: the client may not have it.
        again = [event["__typename"] for event in exact[len(whole) :]]
        assert again == (["MessageSnapshot", "GenerationCompleted"] if boundary == len(whole) else [])
        assert [event["sequence"] for event in exact[: len(whole)]] == [event["sequence"] for event in whole]
        assert apply(exact) == apply(seen + stage.api.follow(generation)) == apply(whole)


@pytest.mark.needs("node", "tests/node")
def test_the_npm_client_graphql_ws_has_the_right_text_after_a_cut_at_any_event(staged: Staged) -> None:
    stage = staged(Reply(EVERYTHING))
    generation = stage.api.send("Hello")["generation"]["id"]
    stage.api.follow(generation)
    report = run("cuts.mjs", f"{stage.api.address}/graphql", generation)
    assert len(report["cuts"]) == 2 * (report["whole"]["events"] - 1)
    for cut in report["cuts"]:
        assert cut["blocks"] == report["whole"]["blocks"]
        assert cut["last"] == "GenerationCompleted"
    assert max(cut["sockets"] for cut in report["cuts"]) > 1


ANSWERS = (ANSWER, "/simulate thinking\n/simulate break-at 1 0\n", "/simulate call who\n")
"""Answers with text, with thinking, tables and code, and with a call of a tool."""
KILLED = {"TERTULIA_TOOLS": "some_tools", "PYTHONPATH": f"{forking.CODE}:{Path(__file__).parent}"}


def test_answers_complete_without_loss_when_the_writing_process_is_killed(
    tmp_path: Path, place: Json, claude: CountingClaude
) -> None:
    with ExitStack() as stack:
        cluster = Cluster(tmp_path, place, claude, stack, **KILLED)
        for _ in range(ROUNDS):
            messages = [unique(answer) for answer in ANSWERS]
            sent = [cluster.apis[0].send(message) for message in messages]
            readers = [
                [Reader(cluster.apis, one["generation"]["id"], exact=exact) for exact in (True, False)] for one in sent
            ]
            time.sleep(DICE.uniform(0, 1.2))
            cluster.kill(0)
            for message, one, both in zip(messages, sent, readers, strict=True):
                assert hold(cluster.apis[-1], claude, one, message, both, most=2) == "GenerationCompleted"
                assert_each_request_is_billed(place, claude, message, one["generation"]["id"])


def assert_each_request_is_billed(place: Json, claude: CountingClaude, message: str, generation: str) -> None:
    """Assert that the bill has a row for each request. A process can be killed just before it sends one."""
    id_of_row = "replace(CAST(generation_id AS TEXT), '-', '')"
    ((rows,),) = execute(place, f"SELECT count(*) FROM calls WHERE {id_of_row} = '{generation.replace('-', '')}'")
    assert 0 <= rows - claude.requests[message] <= 1, (rows, claude.requests[message])


@pytest.mark.joined
def test_a_reading_process_is_killed(cluster: Cluster, claude: CountingClaude) -> None:
    for _ in range(ROUNDS):
        message = unique()
        sent = cluster.apis[0].send(message)
        readers = [Reader(cluster.apis[::-1], sent["generation"]["id"], exact=exact) for exact in (True, False)]
        time.sleep(DICE.uniform(0, 1.2))
        cluster.kill(1)
        assert hold(cluster.apis[0], claude, sent, message, readers) == "GenerationCompleted"


@pytest.mark.joined
def test_the_writing_and_the_reading_process_are_killed_at_once(cluster: Cluster, claude: CountingClaude) -> None:
    for _ in range(ROUNDS):
        message = unique()
        sent = cluster.apis[0].send(message)
        readers = [Reader(cluster.apis, sent["generation"]["id"], exact=exact) for exact in (True, False)]
        time.sleep(DICE.uniform(0, 1.2))
        for server in cluster.servers:
            server.kill()
        for number in range(2):
            cluster.again(number)
        assert hold(cluster.apis[-1], claude, sent, message, readers, most=2) == "GenerationCompleted"


CLAUDES_FAULTS = {
    "overloaded 2": ("COMPLETED", None, 3),
    "server-error 1": ("COMPLETED", None, 2),
    "rate-limit 0": ("FAILED", "RATE_LIMITED", 3),
    "error": ("COMPLETED", None, 1),
    "cut": ("COMPLETED", None, 1),
    "no-stop": ("COMPLETED", None, 1),
    "garbage": ("COMPLETED", None, 1),
    "hang": ("COMPLETED", None, 1),
}
"""For each scenario: the status and error of the answer, and how often Claude is asked the question."""


@pytest.mark.joined
def test_claudes_own_faults_have_their_error_codes(tmp_path: Path, place: Json, claude: CountingClaude) -> None:
    with ExitStack() as stack:
        # On a busy machine, Claude or a replica can pause for seconds, after which Claude would be asked again.
        limits = {"TERTULIA_CLAUDE_SILENCE_SECONDS": "8", "TERTULIA_LEASE_SECONDS": "10"}
        cluster = Cluster(tmp_path, place, claude, stack, **limits)
        for _ in range(ROUNDS):
            faults = {unique(f"/simulate {scenario}"): expected for scenario, expected in CLAUDES_FAULTS.items()}
            sent = {message: cluster.apis[0].send(message) for message in faults}
            readers = {
                message: [
                    Reader([api], one["generation"]["id"], exact=exact)
                    for api in cluster.apis
                    for exact in (True, False)
                ]
                for message, one in sent.items()
            }
            for message, (status, code, asked) in faults.items():
                hold(cluster.apis[-1], claude, sent[message], message, readers[message], most=asked)
                assert claude.asked[message] == asked
                stored = cluster.apis[0].messages(sent[message]["conversation"]["id"])[1]
                assert stored["generation"]["status"] == status
                assert (stored["generation"]["error"] or {}).get("code") == code
                assert (stored["generation"]["error"] or {"retryable": True})["retryable"]
                assert stored["text"] or code == "RATE_LIMITED"


def test_sigterm_under_load_lets_answers_finish_and_exits_with_0(cluster: Cluster, claude: CountingClaude) -> None:
    for _ in range(ROUNDS):
        messages = [unique() for _ in range(5)]
        sent = [cluster.apis[0].send(text) for text in messages]
        readers = [Reader(cluster.apis, one["generation"]["id"], exact=True) for one in sent]
        time.sleep(DICE.uniform(0, 1.0))
        assert cluster.servers[0].end(signal.SIGTERM) == 0, cluster.servers[0].said()
        cluster.again(0)
        for one, message, reader in zip(sent, messages, readers, strict=True):
            assert hold(cluster.apis[0], claude, one, message, [reader]) == "GenerationCompleted"


def test_answers_that_exceed_the_grace_period_are_continued_by_the_next_start(
    tmp_path: Path, place: Json, claude: CountingClaude
) -> None:
    server = Server(tmp_path, place, claude, TERTULIA_DRAIN_SECONDS="0.2")
    try:
        api, message = server.ready(), unique("/simulate long 300")
        sent = api.send(message)
        wait_until(lambda: api.messages(sent["conversation"]["id"])[1]["text"], "the first words", PATIENCE)
        with raw_socket(api.address) as idle:
            assert server.end(signal.SIGTERM) == 0, server.said()
            with pytest.raises(ConnectionClosed):
                idle.recv(timeout=WAIT)
            assert idle.close_code == 1012
    finally:
        server.close()
    again = Server(tmp_path, place, claude)
    try:
        api = again.ready()
        api.follow(sent["generation"]["id"])
        assert hold(api, claude, sent, message, []) == "GenerationCompleted"
    finally:
        again.close()


@pytest.mark.joined
def test_several_workers_serve_one_port(tmp_path: Path, place: Json, claude: CountingClaude) -> None:
    server = Server(tmp_path, place, claude, "--workers", "2")
    try:
        api = server.ready()
        for _ in range(6):
            # A new connection may reach another worker, so each request opens its own.
            message = unique("Hello")
            with Api(api.address) as sender, Api(api.address) as follower:
                sent = sender.send(message)
                assert follower.follow(sent["generation"]["id"])[-1]["__typename"] == "GenerationCompleted"
            assert claude.asked[message] == 1
        assert server.end(signal.SIGTERM) == 0, server.said()
    finally:
        server.close()


@pytest.mark.joined
def test_redis_is_restarted_in_the_middle_of_an_answer(
    tmp_path: Path, place: Json, claude: CountingClaude, own_redis: RedisServer
) -> None:
    with ExitStack() as stack:
        cluster = Cluster(tmp_path, place | {"redis_url": own_redis.url(0)}, claude, stack)
        for _ in range(ROUNDS):
            message = unique()
            sent = cluster.apis[0].send(message)
            readers = [
                Reader([api], sent["generation"]["id"], exact=exact) for api in cluster.apis for exact in (True, False)
            ]
            time.sleep(DICE.uniform(0.2, 0.8))
            own_redis.stop()
            time.sleep(DICE.uniform(0.1, 0.8))
            own_redis.start()
            assert hold(cluster.apis[0], claude, sent, message, readers) == "GenerationCompleted"


def test_a_writer_is_frozen_for_longer_than_its_lease(cluster: Cluster, claude: CountingClaude) -> None:
    if not cluster.shared:
        cluster.apis.append(cluster.add().ready())
    for _ in range(ROUNDS):
        message = unique()
        sent = cluster.apis[0].send(message)
        generation = sent["generation"]["id"]
        readers = [
            Reader(apis, generation, exact=exact)
            for apis in (cluster.apis, cluster.apis[1:])
            for exact in (True, False)
        ]
        time.sleep(DICE.uniform(0.1, 0.9))
        writer = cluster.servers[0].process
        writer.send_signal(signal.SIGSTOP)
        time.sleep(DICE.uniform(2.5, 4.5))
        writer.send_signal(signal.SIGCONT)
        # If no text was written, the request to Claude is sent again.
        assert hold(cluster.apis[1], claude, sent, message, readers, most=2) == "GenerationCompleted"
        for api in cluster.apis:
            last = api.follow(generation)[-1]
            assert api.follow(generation, last["sequence"])[-1] == last


def test_the_writer_and_the_process_that_takes_over_are_frozen_in_turn(
    cluster: Cluster, claude: CountingClaude
) -> None:
    if not cluster.shared:
        cluster.apis.append(cluster.add().ready())
    for _ in range(ROUNDS):
        message = unique()
        sent = cluster.apis[0].send(message)
        readers = [Reader(cluster.apis, sent["generation"]["id"], exact=exact) for exact in (True, False)]
        time.sleep(DICE.uniform(0.1, 0.9))
        for server in (cluster.servers[0], cluster.servers[1], cluster.servers[0]):
            server.process.send_signal(signal.SIGSTOP)
            time.sleep(DICE.uniform(1.5, 3.5))
            server.process.send_signal(signal.SIGCONT)
            time.sleep(DICE.uniform(0, 0.3))
        assert hold(cluster.apis[0], claude, sent, message, readers, most=3) == "GenerationCompleted"


@pytest.mark.joined
def test_redis_is_frozen_in_the_middle_of_an_answer(
    tmp_path: Path, place: Json, claude: CountingClaude, own_redis: RedisServer
) -> None:
    with ExitStack() as stack:
        # With a lease of two seconds, a busy machine would end the answer as INTERRUPTED before Redis is back.
        lease = {"TERTULIA_LEASE_SECONDS": "10"}
        cluster = Cluster(tmp_path, place | {"redis_url": own_redis.url(0)}, claude, stack, **lease)
        for _ in range(ROUNDS):
            message = unique("/simulate long 400")
            sent = cluster.apis[0].send(message)
            generation = sent["generation"]["id"]
            readers = [Reader([api], generation, exact=exact) for api in cluster.apis for exact in (True, False)]
            time.sleep(DICE.uniform(0.2, 0.8))
            own_redis.process.send_signal(signal.SIGSTOP)
            assert_new_subscriptions_are_current(cluster.apis, generation, readers)
            time.sleep(DICE.uniform(0, 4))
            own_redis.process.send_signal(signal.SIGCONT)
            assert_new_subscriptions_are_current(cluster.apis, generation, readers)
            assert hold(cluster.apis[0], claude, sent, message, readers) == "GenerationCompleted"


def assert_new_subscriptions_are_current(apis: list[Api], generation: str, readers: list[Reader]) -> None:
    """Assert that new subscriptions begin with at least the text that any reader has already received."""
    for api in apis:
        seen = max((reader.longest for reader in readers), key=len)
        with api.socket() as socket:
            first = next(iter(socket.events(generation)))
        assert "".join(apply([first])).startswith(seen), (seen[-40:], apply([first]))


@pytest.mark.joined
@pytest.mark.parametrize("comes_back", [True, False])
def test_claude_is_asked_again_only_if_redis_confirms_that_no_text_was_sent(
    tmp_path: Path, place: Json, claude: CountingClaude, own_redis: RedisServer, *, comes_back: bool
) -> None:
    with ExitStack() as stack:
        cluster = Cluster(tmp_path, place | {"redis_url": own_redis.url(0)}, claude, stack)
        for _ in range(ROUNDS):
            message = unique("/simulate slow-start 4")
            sent = cluster.apis[0].send(message)
            wait_until(partial(claude.asked.get, message), "the request to Claude", PATIENCE)
            own_redis.process.send_signal(signal.SIGSTOP)
            cluster.servers[0].kill()
            reader = Reader(cluster.apis[1:], sent["generation"]["id"], exact=False)
            taking = f"take over the log of generation {sent['generation']['id']}"
            while comes_back and taking not in cluster.servers[1].said() and reader.is_alive():
                sleep_between_polls()
            if not comes_back:
                reader.result()
            own_redis.process.send_signal(signal.SIGCONT)
            end = hold(cluster.apis[1], claude, sent, message, [reader], most=2 if comes_back else 1)
            assert end == ("GenerationCompleted" if comes_back else "GenerationFailed")
            cluster.again(0)


@pytest.mark.joined
def test_postgresql_is_restarted_in_the_middle_of_an_answer(
    tmp_path: Path, setup: str, claude: CountingClaude, own_servers: Servers
) -> None:
    with ExitStack() as stack:
        cluster = Cluster(tmp_path, own_servers.settings(), claude, stack)
        for _ in range(ROUNDS):
            message = unique()
            sent = cluster.apis[0].send(message)
            readers = [Reader(cluster.apis, sent["generation"]["id"], exact=exact) for exact in (True, False)]
            time.sleep(DICE.uniform(0.2, 0.8))
            own_servers.restart_postgres()
            assert hold(cluster.apis[0], claude, sent, message, readers) == "GenerationCompleted"


@pytest.mark.embedded
def test_sqlite_is_locked_by_another_process_for_seconds(cluster: Cluster, claude: CountingClaude) -> None:
    for _ in range(ROUNDS):
        message = unique()
        sent = cluster.apis[0].send(message)
        reader = Reader(cluster.apis, sent["generation"]["id"], exact=True)
        with closing(sqlite3.connect(cluster.folder / "tertulia.db", timeout=20, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(3)
            other.execute("ROLLBACK")
        assert hold(cluster.apis[0], claude, sent, message, [reader]) == "GenerationCompleted"


def test_the_same_keys_from_two_replicas_at_once(cluster: Cluster, claude: CountingClaude) -> None:
    keys = [(str(uuid4()), unique("Hello")) for _ in range(20 * ROUNDS)]
    doubled = [*keys, *keys[: 5 * ROUNDS]]
    DICE.shuffle(doubled)

    def send(number: int) -> Json:
        key, message = doubled[number]
        return cluster.apis[number % len(cluster.apis)].send(message, idempotencyKey=key)

    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(send, range(len(doubled))))
    assert len({one["generation"]["id"] for one in sent}) == len(keys)
    assert len({one["userMessage"]["id"] for one in sent}) == len(keys)
    for one in sent:
        assert cluster.apis[0].follow(one["generation"]["id"])[-1]["__typename"] == "GenerationCompleted"
    assert {message: claude.asked[message] for _, message in keys} == {message: 1 for _, message in keys}


def test_after_a_stop_at_a_random_time_no_content_follows(tmp_path: Path, place: Json) -> None:
    with ExitStack() as stack:
        claude = stack.enter_context(counting(pace=0.1))
        keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address}
        number = 2 if "redis_url" in place else 1
        addresses = [stack.enter_context(tertulia(tmp_path, **place, **keyed)) for _ in range(number)]
        apis = [stack.enter_context(Api(address)) for address in addresses]
        took: list[float] = []
        for _ in range(5 * ROUNDS):
            sent = apis[0].send(unique("/simulate long 400"))
            reader = Reader([apis[0]], sent["generation"]["id"], exact=False)
            time.sleep(DICE.uniform(0, 0.4))
            begun = time.monotonic()
            stopped = apis[-1].stop(sent["generation"]["id"])["generation"]
            took.append(time.monotonic() - begun)
            assert stopped["status"] == "STOPPED"
            assert reader.result().text == stopped["message"]["text"]
            assert reader.events[-1]["__typename"] == "GenerationStopped"
            assert apis[-1].messages(sent["conversation"]["id"])[-1]["text"] == stopped["message"]["text"]
        took.sort()
        print(
            f"\nstop: median {took[len(took) // 2] * 1000:.0f} ms, p99 {took[int(len(took) * 0.99) - 1] * 1000:.0f} ms"
        )


@pytest.mark.joined
def test_idle_subscriptions_are_limited_and_all_receive_the_end(
    tmp_path: Path, place: Json, claude: CountingClaude
) -> None:
    number = 500 * ROUNDS
    server = Server(tmp_path, place, claude, TERTULIA_MAX_SUBSCRIPTIONS=str(number))
    with ExitStack() as stack:
        stack.callback(server.close)
        api = server.ready()
        generation = api.send("/simulate hang")["generation"]["id"]
        before = server.resident_kilobytes()
        sockets = [stack.enter_context(api.socket()) for _ in range(number // 100)]
        for socket in sockets:
            for _ in range(100):
                socket.subscribe(FOLLOW, {"id": generation})
            assert {socket.receive()["type"] for _ in range(100)} == {"next"}
        with api.socket() as another:
            another.subscribe(FOLLOW, {"id": generation})
            refused = another.receive()
            assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "RATE_LIMITED")
        each = (server.resident_kilobytes() - before) / number
        print(f"\n{number} idle subscriptions on {len(sockets)} sockets: {each:.1f} KB each")
        # One process sends the end to all subscriptions; with 10,000 of them that takes most of a minute.
        api.http.timeout = httpx2.Timeout(PATIENCE)
        api.stop(generation)
        for socket in sockets:
            remaining = 100
            while remaining:
                remaining -= socket.receive()["type"] == "complete"
        assert api.answer("Hello")["__typename"] == "GenerationCompleted"
