"""Limits of each user over all replicas: requests, messages, concurrent answers, uploads, sockets and tokens."""

import asyncio
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
from client import Api, Json, raw_socket, wait_until
from conftest import Staged
from media import image
from people import MODE, register, signed
from running import stopped_clock, tertulia
from scripted import Gate, says
from test_websocket import closing

from tertulia import failpoints
from tertulia.db.read_limit import MAX_CHARACTERS, count_stored
from tertulia.ratelimit import limits
from tertulia.ratelimit.limits import Rate, Rates
from tertulia.ratelimit.slots import RedisConnectionSlots

LIMITS = "{ viewer { limits { name maximum remaining windowSeconds resetsInSeconds } } }"
VIEWER = "{ viewer { id } }"
SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename
  ... on RateLimited { message retryAfterSeconds } ... on BudgetExceeded { resetsAt } } }"""
KEY = "0198f3b0-7c1e-7000-8000-000000000001"
OPEN = 'subscription { conversationChanges(after: "0") { kind } }'


def left(api: Api) -> dict[str, int]:
    return {one["name"]: one["remaining"] for one in api.ask(LIMITS)["viewer"]["limits"]}


def test_the_deprecated_name_of_a_maximum_has_the_same_value(tmp_path: Path) -> None:
    with tertulia(tmp_path, rate_limit="3/minute") as address, Api(address) as api:
        limits = api.ask("{ viewer { limits { name limit maximum } } }")["viewer"]["limits"]
        assert {"name": "sends", "limit": 3, "maximum": 3} in limits
        assert all(limit["limit"] == limit["maximum"] for limit in limits)


@pytest.mark.both
def test_messages_are_rate_limited_but_a_repeated_idempotency_key_is_not(tmp_path: Path, place: Json) -> None:
    with ExitStack() as stack:
        number = 2 if "redis_url" in place else 1
        addresses = [stack.enter_context(tertulia(tmp_path, **place, rate_limit="3/minute")) for _ in range(number)]
        apis = [stack.enter_context(Api(address)) for address in addresses]
        for count in range(3):
            sent = apis[count % number].try_send("Hello", idempotencyKey=KEY if count == 0 else None)
            assert sent["__typename"] == "SendMessagePayload"
        for api in apis:
            limited = api.ask(SEND, input={"text": "Hello"})["sendMessage"]
            assert limited["__typename"] == "RateLimited"
            assert 0 < limited["retryAfterSeconds"] <= 60
            assert api.send("Hello", idempotencyKey=KEY)["replayed"]
            assert left(api)["sends"] == 0
            refused = api.http.post("/chat", json={"message": "Hello"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "RATE_LIMITED")
            assert 0 < int(refused.headers["retry-after"]) <= 60


def test_a_message_refused_for_another_reason_does_not_count(tmp_path: Path) -> None:
    with tertulia(tmp_path, rate_limit="3/minute") as address, Api(address) as api:
        assert api.try_send(" ")["__typename"] == "InvalidInput"
        assert api.try_send("Hello", conversationId="x")["__typename"] == "NotFound"
        assert left(api)["sends"] == 3


def test_requests_are_rate_limited_over_every_transport(tmp_path: Path) -> None:
    with tertulia(tmp_path, request_limit="4/minute") as address, Api(address) as api, api.socket() as socket:
        assert api.post(VIEWER).status_code == 200
        chat = api.http.get("/export")
        assert chat.headers["ratelimit-policy"] == '"requests";q=4;w=60'
        assert chat.headers["ratelimit"].startswith('"requests";r=2;t=')
        for _ in range(2):
            id = socket.subscribe(VIEWER, {})
            assert [socket.receive()["type"], socket.receive()["type"]] == ["next", "complete"]
        id = socket.subscribe(VIEWER, {})
        refused = socket.receive()
        assert (refused["type"], refused["id"]) == ("error", id)
        assert refused["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        by_http = api.post(VIEWER)
        assert (by_http.status_code, by_http.json()["errors"][0]["extensions"]["code"]) == (429, "RATE_LIMITED")
        by_rest = api.http.get("/export")
        assert (by_rest.status_code, by_rest.json()["error"]["code"]) == (429, "RATE_LIMITED")
        assert all(0 < int(response.headers["retry-after"]) <= 60 for response in (by_http, by_rest))


def test_concurrent_answers_are_limited(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says("One ", gate, "two"), says("Three"), max_concurrent_generations=1)
    first = stage.api.send("Hello")
    limited = stage.api.ask(SEND, input={"text": "Hello"})["sendMessage"]
    assert limited["__typename"] == "RateLimited"
    assert left(stage.api)["generations"] == 0
    gate.open.set()
    stage.api.follow(first["generation"]["id"])
    assert stage.api.answer("Hello")["__typename"] == "GenerationCompleted"


def test_uploads_and_imports_are_rate_limited(tmp_path: Path) -> None:
    with tertulia(tmp_path, upload_limit="2/day") as address, Api(address) as api:
        sent = [api.http.post("/attachments", files={"file": ("a.png", image())}) for _ in range(3)]
        assert [response.status_code for response in sent] == [201, 201, 429]
        assert int(sent[-1].headers["retry-after"]) > 0
        assert api.http.post("/import", files={"file": api.http.get("/export").content}).status_code == 429


def test_tokens_per_day_are_limited(staged: Staged) -> None:
    stage = staged(says("Hello"), daily_tokens=10)
    assert stage.api.answer("Hello")["__typename"] == "GenerationCompleted"
    limited = stage.api.ask(SEND, input={"text": "Hello"})["sendMessage"]
    assert limited["__typename"] == "BudgetExceeded"
    assert limited["resetsAt"].endswith("T00:00:00+00:00")


@pytest.mark.both
def test_sockets_and_streams_are_limited_over_all_replicas(tmp_path: Path, place: Json) -> None:
    with ExitStack() as stack:
        number = 2 if "redis_url" in place else 1
        addresses = [stack.enter_context(tertulia(tmp_path, **place, max_sockets_per_user=2)) for _ in range(number)]
        api, other = (stack.enter_context(Api(addresses[n % number])) for n in range(2))
        with api.socket(), other.socket():
            assert left(api)["sockets"] == 0
            with raw_socket(other.address) as third:
                third.send('{"type": "connection_init"}')
                code, reason = closing(third)
                assert (code, "at the same time" in reason) == (1013, True)
            stream = {"accept": "text/event-stream"}
            refused = api.http.post("/graphql", json={"query": OPEN}, headers=stream)
            assert refused.status_code == 429
        with api.socket():
            assert left(other)["sockets"] == 1


class WallClock:
    """The clock that decides when Redis frees slots that are no longer renewed."""

    def __init__(self) -> None:
        self.now = time.time()

    def time(self) -> float:
        return self.now


@pytest.mark.joined
def test_an_open_connection_keeps_its_slot(tmp_path: Path, place: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = WallClock()
    monkeypatch.setattr("tertulia.ratelimit.slots.time", clock)
    with tertulia(tmp_path, **place, max_sockets_per_user=1) as address, Api(address) as api, api.socket() as opened:
        renewed_until = clock.now + 90
        with stopped_clock(address) as advance:
            for _ in range(4):
                clock.now += 31
                advance(31)
                renewed_until = renewed_after(place, renewed_until)
                assert renewed_until == pytest.approx(clock.now + 90)
                # After this exchange, the client has also answered the transport's pings.
                opened.send({"type": "ping"})
                assert opened.receive() == {"type": "pong"}
        assert left(api)["sockets"] == 0


def renewed_after(place: Json, moment: float) -> float:
    """Wait until the one occupied slot is held for longer than `moment`; return until when it is held."""
    with redis.Redis.from_url(place["redis_url"]) as client:
        (key,) = client.keys("tertulia:open:*")

        def held_until() -> float:
            ((_, until),) = client.zrange(key, 0, -1, withscores=True)
            return float(until)

        wait_until(lambda: held_until() > moment)
        return held_until()


@pytest.mark.joined
def test_the_slot_of_a_dead_process_is_free_after_90_seconds(
    tmp_path: Path, place: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = WallClock()
    monkeypatch.setattr("tertulia.ratelimit.slots.time", clock)
    with tertulia(tmp_path, **place, max_sockets_per_user=1) as address, Api(address) as api:
        viewer = UUID(api.ask(VIEWER)["viewer"]["id"])

        async def hold() -> None:
            slots = RedisConnectionSlots(place["redis_url"])
            assert await slots.acquire(viewer, uuid4(), 1)
            await slots.close()

        asyncio.run(hold())
        clock.now += 89.9
        assert left(api)["sockets"] == 0
        with raw_socket(address) as refused:
            refused.send('{"type": "connection_init"}')
            assert closing(refused)[0] == 1013
        clock.now += 0.2
        assert left(api)["sockets"] == 1
        with api.socket():
            assert left(api)["sockets"] == 0


def test_an_unused_rate_limit_resets_in_0_seconds(tmp_path: Path) -> None:
    with tertulia(tmp_path, rate_limit="3/minute") as address, Api(address) as api:

        def sends() -> Json:
            limits: list[Json] = api.ask(LIMITS)["viewer"]["limits"]
            return next(limit for limit in limits if limit["name"] == "sends")

        assert (sends()["remaining"], sends()["resetsInSeconds"]) == (3, 0)
        api.send("Hello")
        assert sends()["remaining"] == 2
        assert 50 < sends()["resetsInSeconds"] <= 60


def test_an_unavailable_store_is_tried_again_after_2_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    rate = Rate("sends", "2/minute")

    class Clock:
        now = 1_000.0
        time = staticmethod(time.time)

        @classmethod
        def monotonic(cls) -> float:
            return cls.now

    async def work() -> None:
        rates, attempts = Rates(None), list[float]()

        async def away(*_arguments: object, **_more: object) -> None:
            attempts.append(Clock.now)
            raise OSError("The store is away.")

        monkeypatch.setattr(rates._windows, "hit", away)
        monkeypatch.setattr(rates._windows, "get_window_stats", away)
        for seconds in (0.0, 1.9, 0.2, 1.9):
            Clock.now += seconds
            assert await rates.hit(rate, "ada", 3) is None
            window = await rates.window(rate, "ada")
            assert (window.remaining, window.resets_in) == (2, 0.0)
        assert attempts == [1_000.0, 1_002.1]
        Clock.now += 0.2
        window = await rates.window(rate, "ada")
        assert (window.remaining, window.resets_in, len(attempts)) == (2, 0.0, 3)

    monkeypatch.setattr(limits, "time", Clock)
    asyncio.run(work())


def test_the_read_limit_of_a_request_does_not_apply_to_the_answer_that_it_started(api: Api) -> None:
    with failpoints.armed("round.asking", lambda _: count_stored(MAX_CHARACTERS + 1)):
        assert api.answer("Hello")["__typename"] == "GenerationCompleted"


def test_each_user_has_separate_limits(tmp_path: Path) -> None:
    with (
        tertulia(tmp_path, **MODE, rate_limit="1") as address,
        signed(address, register(address, "ada")) as first,
        signed(address, register(address, "grace")) as second,
    ):
        assert [first.try_send("Hello")["__typename"] for _ in range(2)] == ["SendMessagePayload", "RateLimited"]
        assert second.try_send("Hello")["__typename"] == "SendMessagePayload"
        assert set(left(first)) == {"requests", "sends", "uploads", "generations", "sockets"}


def test_a_limiter_allows_requests_and_logs_a_warning_while_its_store_is_unavailable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, request: Any
) -> None:
    from servers import RedisServer, Servers

    servers: Servers = request.getfixturevalue("servers")
    own = RedisServer(tmp_path / "redis")
    place = {"database_url": servers.settings()["database_url"], "redis_url": own.url(0)}
    with tertulia(tmp_path, **place, rate_limit="1") as address, Api(address) as api:
        own.stop()
        assert [api.try_send("Hello")["__typename"] for _ in range(2)] == ["SendMessagePayload"] * 2
    assert "Limits are not counted" in caplog.text
