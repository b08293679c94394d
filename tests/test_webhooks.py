"""Webhooks: events are signed, delivered at least once and in order per conversation, and never to private addresses."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from client import WAIT, Api, wait_until
from conftest import SECRET
from faults import ROUNDS, CountingClaude, Server, counting
from running import execute, running, settings, tertulia
from scripted import Gate, Reply, says, scripted, uses
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tertulia import Answer, Tertulia, hook
from tertulia.cli.users import CommandError, remove
from tertulia.cli.webhooks import list_webhooks, retry_webhooks, send_test
from tertulia.db import outbox
from tertulia.db.database import Database
from tertulia.db.outbox import Delivery
from tertulia.db.tables import now
from tertulia.server.outbox import delivery, webhooks
from tertulia.server.outbox.delivery import sweep
from tertulia.server.outbox.webhook_config import EVENTS, read_endpoints
from tertulia.server.outbox.webhooks import is_public, seconds_until_retry

Json = dict[str, Any]
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW_KEY = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
RATE = """mutation ($id: ID!) { rateMessage(
  input: {messageId: $id, rating: GOOD, comment: "A secret plan", tags: ["funny"]}) { __typename } }"""
DELETE = "mutation ($id: ID!) { deleteConversation(id: $id) { __typename } }"


class Receiver:
    """An application that receives events, and responds as the test decides."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.respond: Callable[[str, Json], Response] = lambda path, event: Response(status_code=204)
        self.address = ""
        self._threads = ThreadPoolExecutor(32)

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._receive, methods=["GET", "POST"])])

    async def _receive(self, request: Request) -> Response:
        body, path = await request.body(), request.path_params["path"]
        self.requests.append((path, dict(request.headers), body))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self.respond, path, json.loads(body or b"{}"))

    def events(self, path: str = "") -> list[Json]:
        """The events that were received at a path, with the ids of their messages."""
        return [
            {"id": headers["webhook-id"], **json.loads(body)} for at, headers, body in list(self.requests) if at == path
        ]

    def types(self, path: str = "") -> list[str]:
        return [event["type"] for event in self.events(path)]


@pytest.fixture
def receiver() -> Generator[Receiver]:
    receiving = Receiver()
    with running(receiving.app(), lifespan="off") as address:
        receiving.address = address
        yield receiving


@pytest.fixture(autouse=True)
def retried_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_DELAY", 0.05)
    monkeypatch.setattr(delivery, "POLL_SECONDS", 0.05)


def configured(folder: Path, *endpoints: Json) -> str:
    file = folder / "webhooks.yaml"
    defaults = {"secret": KEY, "events": list(EVENTS), "allow_private": True}
    file.write_text(json.dumps([defaults | endpoint for endpoint in endpoints]))
    return str(file)


@contextmanager
def serving(folder: Path, place: Json, *endpoints: Json, claude: Reply | None = None, **more: Any) -> Generator[Api]:
    with ExitStack() as stack:
        scripted_claude = stack.enter_context(scripted(claude or says("Hello, ", "Ada.")))
        keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": scripted_claude.address, **more}
        address = stack.enter_context(tertulia(folder, **place, **keyed, webhooks=configured(folder, *endpoints)))
        yield stack.enter_context(Api(address))


@pytest.mark.both
def test_each_step_of_a_conversation_is_sent_once_in_order_and_signed(
    tmp_path: Path, place: Json, receiver: Receiver
) -> None:
    with serving(tmp_path, place, {"url": f"{receiver.address}/"}) as api:
        sent = api.send("My secret plan")
        api.follow(sent["generation"]["id"])
        api.ask(RATE, id=sent["generation"]["message"]["id"])
        api.ask(DELETE, id=sent["conversation"]["id"])
        wait_until(lambda: len(receiver.requests) >= 4, "four events")
    steps = ["conversation.created", "generation.completed", "message.rated", "conversation.deleted"]
    assert receiver.types() == steps
    assert len({event["id"] for event in receiver.events()}) == 4
    for _, headers, body in receiver.requests:
        event = Verifier(KEY).verify(body, headers)
        assert event["data"]["conversation_id"] == sent["conversation"]["id"]
        assert b"secret plan" not in body
        assert b"Ada" not in body
        with pytest.raises(WebhookVerificationError):
            Verifier(KEY).verify(body + b" ", headers)
    completed, rated = (event["data"] for event in receiver.events()[1:3])
    assert completed["generation_id"] == rated["generation_id"] == sent["generation"]["id"]
    assert (rated["message_id"], rated["rating"]) == (sent["generation"]["message"]["id"], "good")
    assert rated["tags"] == ["funny"]
    assert (completed["stop_reason"], completed["steered"]) == ("end_turn", False)
    assert set(execute(place, "SELECT status, error FROM outbox")) == {("delivered", None)}


def test_the_text_is_sent_only_where_the_endpoint_includes_it_and_signed_with_each_secret(
    tmp_path: Path, place: Json, receiver: Receiver
) -> None:
    endpoint = {"events": ["generation.completed"]}
    endpoints = (
        {"url": f"{receiver.address}/ids", "name": "ids", **endpoint},
        {"url": f"{receiver.address}/texts", "include": ["text"], "secret": [NEW_KEY, KEY], **endpoint},
    )
    with serving(tmp_path, place, *endpoints) as api:
        api.answer("Hello")
        wait_until(lambda: len(receiver.requests) >= 2, "two events")
    (ids,), (texts,) = receiver.events("ids"), receiver.events("texts")
    assert "text" not in ids["data"]
    assert texts["data"]["text"] == "Hello, Ada."
    headers, body = next((headers, body) for path, headers, body in receiver.requests if path == "texts")
    for key in (KEY, NEW_KEY):
        Verifier(key).verify(body, headers)


def test_a_failed_or_stopped_answer_has_its_own_event(tmp_path: Path, place: Json, receiver: Receiver) -> None:
    refused = Reply(status=400, body={"type": "error", "error": {"type": "invalid_request_error", "message": "No."}})
    with serving(tmp_path, place, {"url": receiver.address}, claude=refused) as api:
        api.answer("Hello")
        wait_until(lambda: "generation.failed" in receiver.types(), "the event of the failure")
    assert receiver.events()[-1]["data"]["error_code"] == "INVALID_REQUEST"
    gate = Gate()
    with serving(tmp_path, place, {"url": receiver.address}, claude=says("one ", gate, "two")) as api:
        generation = api.send("Hello")["generation"]["id"]
        api.wait_for_text(generation, "one ")
        api.stop(generation)
        gate.open.set()
        wait_until(lambda: "generation.stopped" in receiver.types(), "the event of the stop")


def test_an_answer_that_waits_for_an_approval_has_its_own_event(
    tmp_path: Path, place: Json, receiver: Receiver
) -> None:
    tools = {"tools": ("some_tools",), "ask_first": ("weather",)}
    with serving(tmp_path, place, {"url": receiver.address}, claude=uses(("weather", {})), **tools) as api:
        generation = api.send("Will it rain?")["generation"]["id"]
        wait_until(lambda: "generation.awaiting_tool_results" in receiver.types(), "the event")
    assert receiver.events()[-1]["data"]["generation_id"] == generation


def test_a_failing_endpoint_receives_the_same_ids_again_in_order(
    tmp_path: Path, place: Json, receiver: Receiver
) -> None:
    statuses = iter([500, 302, 404, 200])

    def respond(path: str, event: Json) -> Response:
        status = next(statuses, 200)
        return RedirectResponse("/elsewhere", 302) if status == 302 else Response("x" * 200_000, status)

    receiver.respond = respond
    with serving(tmp_path, place, {"url": f"{receiver.address}/"}) as api:
        api.answer("Hello")
        wait_until(lambda: "generation.completed" in receiver.types(), "the last event")
    assert receiver.types() == ["conversation.created"] * 4 + ["generation.completed"]
    assert len({event["id"] for event in receiver.events()}) == 2
    assert receiver.types("elsewhere") == []


@pytest.mark.parametrize("is_date", [False, True])
def test_an_endpoint_decides_with_retry_after_when_an_event_is_sent_again(
    tmp_path: Path, place: Json, receiver: Receiver, *, is_date: bool
) -> None:
    wanted = now() + timedelta(hours=3)
    header = format_datetime(wanted, usegmt=True) if is_date else str(3 * 3600)
    receiver.respond = lambda path, event: Response(status_code=429, headers={"retry-after": header})
    with serving(tmp_path, place, {"url": receiver.address, "name": "shop"}) as api:
        api.send("Hello")
        wait_until(lambda: execute(place, "SELECT id FROM outbox WHERE error IS NOT NULL"), "an attempt")
        due_at = asyncio.run(_next_due(place["database_url"], "shop"))
    assert due_at is not None
    assert abs(due_at - wanted) < timedelta(minutes=2)


async def _next_due(url: str, subscriber: str) -> datetime | None:
    database = Database(url)
    async with database.read() as session:
        due_at = await outbox.next_due(session, subscriber)
    await database.close()
    return due_at


NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Sun, 29 Nov 2026 12:01:00 GMT", 60.0),
        ("Sun, 29 Nov 2026 11:00:00 GMT", 0.0),
        *((header, None) for header in (None, "", "soon", "-5", "1.5", "9" * 10, "\u0663")),
        ("Sun, 99 Nov 2026 12:01:00 GMT", None),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert seconds_until_retry(header, NOON) == seconds


@pytest.mark.parametrize(
    ("left", "retry_after", "due"),
    [
        (timedelta(hours=20), 7200.0, timedelta(hours=2)),
        (timedelta(hours=20), 0.0, timedelta(seconds=5)),
        (timedelta(hours=20), 10.0**9, timedelta(hours=20) - delivery.LAST_ATTEMPT),
        (delivery.LAST_ATTEMPT, 7200.0, None),
        (timedelta(0), None, None),
    ],
)
def test_a_delay_ends_within_the_day_of_the_event(
    left: timedelta, retry_after: float | None, due: timedelta | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "FIRST_DELAY", 5.0)
    event = Delivery(uuid4(), uuid4(), "message.rated", {}, NOON, 1, NOON + left)
    assert delivery.next_attempt(event, NOON, retry_after) == (None if due is None else NOON + due)


def test_the_endpoints_of_a_changed_file_receive_events_without_a_restart(
    tmp_path: Path, place: Json, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = {"url": f"{receiver.address}/old"}, {"url": f"{receiver.address}/new", "name": "new"}
    file = tmp_path / "webhooks.yaml"
    (tmp_path / "next").mkdir()

    def replace(endpoint: Json) -> None:
        Path(configured(tmp_path / "next", endpoint)).replace(file)

    def is_sent(path: str, key: str = KEY) -> bool:
        api.answer("Hello")
        return any(_is_signed(key, headers, body) for at, headers, body in list(receiver.requests) if at == path)

    with serving(tmp_path, place, old) as api:
        wait_until(lambda: is_sent("old"), "an event of the first endpoint")
        replace(new)
        wait_until(lambda: is_sent("new"), "an event of the new endpoint")
        count = len(receiver.events("old"))
        file.write_text("- url: nowhere")
        wait_until(lambda: "The last valid version stays in use." in caplog.text, "a line in the log")
        count_of_new = len(receiver.events("new"))
        wait_until(lambda: is_sent("new") and len(receiver.events("new")) > count_of_new, "another event")
        replace(new | {"secret": NEW_KEY})
        wait_until(lambda: is_sent("new", NEW_KEY), "an event that is signed with the new secret")
    assert len(receiver.events("old")) == count
    (line,) = [record.getMessage() for record in caplog.records if "last valid" in record.getMessage()]
    assert line.startswith(f"TERTULIA_WEBHOOKS: {file}: endpoint 1: url: must be an address that begins with https://")


def _is_signed(key: str, headers: dict[str, str], body: bytes) -> bool:
    try:
        Verifier(key).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for endpoints than a server does: on a busy machine, the events before one can take seconds."""
    monkeypatch.setattr(webhooks, "TIMEOUT", WAIT)
    monkeypatch.setattr(webhooks.Webhook, "timeout", WAIT)


@pytest.mark.usefixtures("patience")
def test_a_slow_endpoint_does_not_delay_another(tmp_path: Path, place: Json, receiver: Receiver) -> None:
    released = threading.Event()

    def respond(path: str, event: Json) -> Response:
        return Response(status_code=204 if path == "fast" or released.wait(WAIT) else 500)

    receiver.respond = respond
    endpoints = [{"url": f"{receiver.address}/{path}", "name": path} for path in ("slow", "fast")]
    with serving(tmp_path, place, *endpoints) as api:
        for _ in range(12):
            api.answer("Hello")
        wait_until(lambda: len(receiver.events("fast")) == 24, "all events of the fast endpoint")
        assert len(receiver.events("slow")) <= delivery.AT_ONCE
        released.set()
        wait_until(lambda: len(receiver.events("slow")) == 24, "all events of the slow endpoint")


def test_private_addresses_are_refused_when_the_connection_is_opened(
    tmp_path: Path, place: Json, receiver: Receiver
) -> None:
    port = receiver.address.rpartition(":")[2]
    endpoints = [
        {"url": f"http://{host}:{port}/", "name": name, "allow_private": False}
        for host, name in (("127.0.0.1", "address"), ("localhost", "resolved"), ("[::ffff:127.0.0.1]", "mapped"))
    ]
    with serving(tmp_path, place, *endpoints) as api:
        api.answer("Hello")
        query = "SELECT DISTINCT subscriber FROM outbox WHERE error LIKE '%are refused unless `allow_private`%'"
        wait_until(lambda: len(execute(place, query)) == 3, "refusals of all endpoints")
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("host", "public"),
    [
        *((host, True) for host in ("93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822")),
        *(
            (host, False)
            for host in ("10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "127.0.0.1", "0.0.0.0")
        ),
        *((host, False) for host in ("100.64.0.1", "224.0.0.1", "::1", "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1")),
        *(
            (host, False)
            for host in ("64:ff9b::a00:1", "2002:a00:1::1", "::", "::a00:1", "fec0::1", "64:ff9b:1::a00:1")
        ),
    ],
)
def test_only_public_addresses_are_accepted(host: str, public: object) -> None:
    assert is_public(host) == public


def test_an_endpoint_that_is_gone_receives_nothing_until_it_is_enabled(
    tmp_path: Path, place: Json, receiver: Receiver
) -> None:
    receiver.respond = lambda path, event: Response(status_code=410)
    with serving(tmp_path, place, {"url": receiver.address, "name": "shop"}) as api:
        configuration = settings(tmp_path, **place, webhooks=str(tmp_path / "webhooks.yaml"))
        api.answer("Hello")
        pending = "SELECT id FROM outbox WHERE status = 'pending'"
        wait_until(lambda: receiver.requests and not execute(place, pending), "the end of all events")
        assert "disabled since" in asyncio.run(list_webhooks(configuration))
        receiver.respond = lambda path, event: Response(status_code=204)
        api.answer("Hello again")
        wait_until(lambda: not execute(place, pending), "the end of all events")
        assert len(receiver.requests) == 1
        assert asyncio.run(retry_webhooks(configuration, "shop", None)).startswith(
            "The running servers deliver 4 events"
        )
        wait_until(lambda: len(receiver.requests) == 5, "the events that have failed")
        wait_until(lambda: not execute(place, pending), "the end of all events")
        assert "0 pending, 4 delivered, 0 failed" in asyncio.run(list_webhooks(configuration))


def test_an_event_is_delivered_although_the_body_of_the_response_never_ends(
    tmp_path: Path, place: Json, receiver: Receiver
) -> None:
    ended = threading.Event()

    async def body() -> AsyncGenerator[bytes]:
        while not ended.is_set():
            yield b"x" * 65_536
            await asyncio.sleep(0)

    receiver.respond = lambda path, event: StreamingResponse(body())
    with serving(tmp_path, place, {"url": receiver.address}) as api:
        api.answer("Hello")
        delivered = "SELECT id FROM outbox WHERE status = 'delivered' AND attempts = 1"
        wait_until(lambda: len(execute(place, delivered)) == 2, "both events")
        ended.set()


def test_events_that_wait_for_an_earlier_one_are_not_due_before_it(
    tmp_path: Path, place: Json, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def delay_after(_attempts: int) -> float:
        return 1000.0

    monkeypatch.setattr(delivery, "delay_after", delay_after)
    receiver.respond = lambda path, event: Response(status_code=500)
    with serving(tmp_path, place, {"url": receiver.address}) as api:
        sent = api.send("Hello")
        wait_until(lambda: execute(place, "SELECT id FROM outbox WHERE error IS NOT NULL"), "an attempt")
        api.follow(sent["generation"]["id"])
        api.follow(api.send("And now?", conversationId=sent["conversation"]["id"])["generation"]["id"])
        due = execute(place, "SELECT due_at FROM outbox")
    assert len(due) == 3
    assert len(set(due)) == 1
    assert len(receiver.requests) == 1


def test_a_server_that_shuts_down_waits_for_its_deliveries(tmp_path: Path, place: Json, receiver: Receiver) -> None:
    arrived, closing = threading.Event(), threading.Event()

    def respond(path: str, event: Json) -> Response:
        arrived.set()
        closing.wait(WAIT)
        return Response(status_code=204)

    receiver.respond = respond
    close = delivery.Courier.close

    async def note_close(courier: delivery.Courier) -> None:
        closing.set()
        await close(courier)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delivery.Courier, "close", note_close)
        with serving(tmp_path, place, {"url": receiver.address, "events": ["conversation.created"]}) as api:
            api.answer("Hello")
            assert arrived.wait(WAIT)
    assert execute(place, "SELECT status FROM outbox") == [("delivered",)]


def test_the_events_of_a_deleted_user_are_deleted_once_they_are_delivered(
    tmp_path: Path, place: Json, receiver: Receiver
) -> None:
    with serving(tmp_path, place, {"url": receiver.address}) as api:
        api.answer("Hello")
        pending = "SELECT id FROM outbox WHERE status = 'pending'"
        wait_until(lambda: not execute(place, pending), "the delivery of all events")
    ((name,),) = execute(place, "SELECT name FROM users")
    configuration = settings(tmp_path, **place, webhooks=str(tmp_path / "webhooks.yaml"))
    asyncio.run(remove(configuration, name))
    assert execute(place, "SELECT event, status FROM outbox") == [("conversation.deleted", "pending")]


def test_an_event_has_failed_after_a_day_and_is_deleted_after_a_week(
    tmp_path: Path, place: Json, receiver: Receiver
) -> None:
    receiver.respond = lambda path, event: Response(status_code=500)
    with serving(tmp_path, place, {"url": receiver.address, "events": ["generation.completed"]}) as api:
        api.answer("Hello")
        wait_until(lambda: receiver.requests, "an attempt")
        execute(place, "UPDATE outbox SET give_up_at = '2026-01-01 00:00:00'")
        failed = "SELECT error FROM outbox WHERE status = 'failed'"
        assert wait_until(lambda: execute(place, failed), "the failure") == [("The endpoint responded with 500.",)]
    execute(place, "UPDATE outbox SET finished_at = '2026-01-01 00:00:00'")

    async def clean() -> None:
        database = Database(settings(tmp_path, **place).database_url)
        await sweep(database)
        await database.close()

    asyncio.run(clean())
    assert execute(place, "SELECT id FROM outbox") == []


def test_after_answer_is_called_again_after_a_failure_and_a_restart(tmp_path: Path, place: Json) -> None:
    answers: list[Answer] = []

    @hook(timeout=60, on_error="refuse")
    def after_answer(answer: Answer) -> None:
        answers.append(answer)
        if len(answers) < fails:
            raise ConnectionError("The warehouse is closed.")

    sent: Json = {}
    fails = 1_000_000
    with scripted(says("Hello, ", "Ada.")) as claude:
        keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address}
        for _ in range(2):
            server = Tertulia(settings(tmp_path, **place, **keyed), hooks=SimpleNamespace(after_answer=after_answer))
            server.app.router.lifespan_context = server.lifespan
            with running(server.app) as address, Api(address) as api:
                sent = sent or api.send("Hello")
                wait_until(lambda: len(answers) >= 3, "calls that fail")
                if fails == 3:
                    wait_until(lambda: execute(place, "SELECT id FROM outbox WHERE status = 'delivered'"), "the end")
            fails = 3
            _let_time_pass(place)
    assert {str(answer.generation_id) for answer in answers} == {sent["generation"]["id"]}
    assert (answers[-1].status, answers[-1].text) == ("completed", "Hello, Ada.")


def test_nothing_is_stored_without_endpoints(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        api.answer("Hello")
    assert execute(place, "SELECT id FROM outbox") == []


def test_a_test_event_reports_the_response_of_the_endpoint(tmp_path: Path, place: Json, receiver: Receiver) -> None:
    configuration = settings(
        tmp_path, **place, webhooks=configured(tmp_path, {"url": receiver.address, "name": "shop"})
    )
    assert asyncio.run(send_test(configuration, None)) == "shop responded with 204."
    assert receiver.types() == ["webhook.test"]
    receiver.respond = lambda path, event: Response(status_code=503)
    with pytest.raises(CommandError, match="The endpoint responded with 503"):
        asyncio.run(send_test(configuration, "shop"))
    with pytest.raises(CommandError, match="NAME: must be one of the endpoints: shop"):
        asyncio.run(send_test(configuration, "other"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- url: [", "line 1: "),
        ("url: https://a.example", "must be a list of endpoints"),
        ("- {url: ftp://a.example, secret: KEY, events: [message.rated]}", "endpoint 1: url: must be an address"),
        ("- {url: https://a.example:x, secret: KEY, events: [message.rated]}", "endpoint 1: url: must be an address"),
        ("- {url: https://a:b@a.example, secret: KEY, events: [message.rated]}", "url: must not contain a user name"),
        ("- {url: https://a.example, secret: short, events: [message.rated]}", "endpoint 1: secret: must be `whsec_`"),
        (
            "- {url: https://a.example, secret: KEY, events: [message.sent]}",
            "endpoint 1: events: 'message.sent' is not",
        ),
        ("- {url: https://a.example, secret: KEY, events: []}", "endpoint 1: events: "),
        ("- {url: https://a.example, secret: KEY, events: [message.rated], retries: 1}", "endpoint 1: retries: "),
        (
            "- {url: https://a.example, secret: '${NO_SUCH_SECRET}', events: [message.rated]}",
            "NO_SUCH_SECRET is not set",
        ),
        ("[ONE, ONE]", "two endpoints are called a.example"),
    ],
)
def test_a_wrong_file_is_explained_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "webhooks.yaml"
    one = '{"url": "https://a.example?token=x", "secret": "KEY", "events": ["message.rated"]}'
    file.write_text(text.replace("ONE", one).replace("KEY", KEY))
    with pytest.raises(ValueError, match=r"^[^\n]*$") as raised:
        read_endpoints(file)
    assert message in str(raised.value)
    assert KEY not in str(raised.value)


def _let_time_pass(place: Json, condition: str = "true") -> None:
    """Make pending events due, as if their claims and the delays between attempts had ended."""
    execute(place, f"UPDATE outbox SET due_at = '2026-01-01 00:00:00' WHERE status = 'pending' AND {condition}")


@pytest.fixture
def claude() -> Generator[CountingClaude]:
    with counting(pace=0) as counting_claude:
        yield counting_claude


class Held:
    """Accepts three events, and keeps all later ones without a response until it is released."""

    def __init__(self) -> None:
        self.holds, self.released = threading.Event(), threading.Event()
        self._accepted = 0

    def respond(self, path: str, event: Json) -> Response:
        self._accepted += 1
        if self._accepted > 3:
            self.holds.set()
            self.released.wait(WAIT)
        return Response(status_code=204)


HOOKS = """
from pathlib import Path
from time import sleep
from tertulia import Answer, hook

@hook(timeout=60, on_error="refuse")
def after_answer(answer: Answer) -> None:
    with Path("answers.txt").open("a") as file:
        file.write(f"{answer.generation_id}\\n")
    while Path("hold").exists() and len(Path("answers.txt").read_text().split()) > 3:
        sleep(0.01)
"""


@pytest.mark.both
def test_no_event_is_lost_when_servers_are_killed_while_they_deliver(
    tmp_path: Path, place: Json, receiver: Receiver, claude: CountingClaude
) -> None:
    (tmp_path / "my_hooks.py").write_text(HOOKS)
    hold, answers = tmp_path / "hold", tmp_path / "answers.txt"
    webhooks = configured(tmp_path, {"url": f"{receiver.address}/"})
    more = {"TERTULIA_WEBHOOKS": webhooks, "TERTULIA_HOOKS": "my_hooks"}
    sent: set[str] = set()
    with ExitStack() as stack:

        def start() -> Server:
            server = Server(tmp_path, place, claude, **more)
            stack.callback(server.close)
            return server

        for _ in range(ROUNDS):
            servers = [start() for _ in range(2 if "redis_url" in place else 1)]
            held = Held()
            stack.callback(held.released.set)
            receiver.respond = held.respond
            called = len(_lines(answers))
            hold.touch()
            apis = [server.ready() for server in servers]
            sent |= {api.send(f"Hello {number}")["generation"]["id"] for api in apis for number in range(4)}
            assert held.holds.wait(WAIT)
            wait_until(partial(_has_more_lines, answers, called + 3), "calls of the hook")
            for server in servers:
                server.kill()
            held.released.set()
            hold.unlink()
            _let_time_pass(place)
        receiver.respond = lambda path, event: Response(status_code=204)
        start().ready()
        unfinished = "SELECT id FROM generations WHERE status IN ('queued', 'running')"
        pending = "SELECT id FROM outbox WHERE status = 'pending'"
        wait_until(lambda: not execute(place, unfinished) and not execute(place, pending), "all events", 60)
    deliveries = Counter(event["id"] for event in receiver.events())
    calls = Counter(_lines(answers))
    stored = execute(place, "SELECT id, event, subscriber FROM outbox WHERE status = 'delivered'")
    ids = {str(UUID(str(id))) for id, _, subscriber in stored if subscriber != "hook:after_answer"}
    assert set(deliveries) == ids
    assert set(calls) == sent
    kinds = Counter("created" if event == "conversation.created" else "ended" for _, event, _ in stored)
    assert kinds == {"created": len(sent), "ended": 2 * len(sent)}
    for what, counts in (("Webhooks", deliveries), ("Hook", calls)):
        repeated = sum(count > 1 for count in counts.values())
        assert repeated
        print(f"{what}: {len(counts)} delivered, {repeated} of them more than once, 0 lost")


def _has_more_lines(file: Path, count: int) -> bool:
    return len(_lines(file)) > count


def _lines(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


@pytest.mark.joined
@pytest.mark.usefixtures("patience")
def test_replicas_deliver_each_event_once_at_a_time(tmp_path: Path, place: Json, receiver: Receiver) -> None:
    together = threading.Barrier(delivery.AT_ONCE + 1, timeout=WAIT)

    def respond(path: str, event: Json) -> Response:
        # More events than one replica delivers at once: both replicas are delivering.
        if event["type"] == "conversation.created":
            together.wait()
        return Response(status_code=204)

    receiver.respond = respond
    file = configured(tmp_path, {"url": f"{receiver.address}/"})
    with scripted(says("Hello, ", "Ada.")) as claude, ExitStack() as stack:
        keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address}
        addresses = [stack.enter_context(tertulia(tmp_path, **place, **keyed, webhooks=file)) for _ in range(2)]
        apis = [stack.enter_context(Api(address)) for address in addresses]
        number = 2 * (delivery.AT_ONCE + 1)
        for index in range(number):
            apis[index % 2].send("Hello")
        wait_until(lambda: len(receiver.requests) >= 2 * number, "all events")
        wait_until(lambda: not execute(place, "SELECT id FROM outbox WHERE status = 'pending'"), "the end")
    assert set(Counter(event["id"] for event in receiver.events()).values()) == {1}
