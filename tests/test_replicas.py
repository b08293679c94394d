"""Several replicas on one PostgreSQL and one Redis, without sticky sessions: each continues what another began."""

import re
import threading
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from client import TERMINAL, WAIT, Api, apply
from conftest import SECRET
from redis.exceptions import ConnectionError as RedisConnectionError
from running import execute, tertulia
from scripted import Gate, Reply, ScriptedClaude, says, scripted

from tertulia import failpoints
from tertulia.generation.retention import Retention

Json = dict[str, Any]


class Replicas:
    """Servers that share their storage but not their memory."""

    def __init__(self, claude: ScriptedClaude, apis: list[Api]) -> None:
        self.claude = claude
        self.apis = apis


@pytest.fixture
def replicas(tmp_path: Path, place: Json) -> Generator[Any]:
    with ExitStack() as stack:

        def make(*replies: Reply, number: int = 3) -> Replicas:
            claude = stack.enter_context(scripted(*replies))
            keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address}
            addresses = [stack.enter_context(tertulia(tmp_path, **place, **keyed)) for _ in range(number)]
            return Replicas(claude, [stack.enter_context(Api(address)) for address in addresses])

        yield make


def test_an_answer_can_be_followed_on_another_replica_after_any_event(replicas: Any) -> None:
    gate = Gate()
    servers = replicas(says("one ", "two ", gate, "three"))
    first, second, third = servers.apis
    sent = first.send("Hello", externalId="a chat")["generation"]["id"]
    assert gate.reached.wait(WAIT)
    with second.socket() as early, third.socket() as exact, first.socket() as local:
        streams = [early.events(sent), exact.events(sent, 0), local.events(sent)]
        seen = [[next(stream)] for stream in streams]
        with third.http.stream("GET", "/ai-sdk/a%20chat/stream") as chunks:
            gate.open.set()
            deltas = re.findall(r'"delta":"([^"]*)"', chunks.read().decode())
        assert "".join(deltas) == "one two three"
        for events, stream in zip(seen, streams, strict=True):
            events += list(stream)
    assert [apply(events) for events in seen] == [["one two three"]] * 3
    assert {events[-1]["sequence"] for events in seen} == {seen[0][-1]["sequence"]}
    last = seen[0][-1]["sequence"]
    for after in range(last):
        later_events = second.follow(sent, after)
        assert all(event["sequence"] > after for event in later_events)
        assert "MessageSnapshot" not in [event["__typename"] for event in later_events]
        frames = second.http.get(f"/chat/stream/{sent}", params={"after": after}).text
        assert frames.startswith("event: start\n")
        assert ("event: done\n" in frames, "event: snapshot\n" in frames) == (True, False)


def test_a_message_is_deleted_while_another_replica_writes_its_answer(replicas: Any) -> None:
    gate = Gate()
    first, second, third = replicas(says("half", gate)).apis
    sent = first.send("Hello")
    first.wait_for_text(sent["generation"]["id"], "half")
    follow = "subscription ($id: ID!) { generationEvents(generationId: $id) { __typename sequence } }"
    with first.socket() as local, third.socket() as remote:
        for socket in (local, remote):
            socket.subscribe(follow, {"id": sent["generation"]["id"]})
            assert socket.receive()["payload"]["data"]["generationEvents"]["__typename"] == "MessageSnapshot"
        delete = "mutation ($id: ID!) { deleteMessage(id: $id) { __typename } }"
        deleted = second.ask(delete, id=sent["userMessage"]["id"])["deleteMessage"]
        assert deleted == {"__typename": "DeletedMessage"}
        for socket in (local, remote):
            kinds = [socket.receive()["payload"]["data"]["generationEvents"]["__typename"]]
            while kinds[-1] not in TERMINAL:
                kinds.append(socket.receive()["payload"]["data"]["generationEvents"]["__typename"])
            assert kinds[-1] == "GenerationStopped"
            assert socket.receive()["type"] == "complete"
    gate.open.set()
    assert third.messages(sent["conversation"]["id"]) == []


def test_the_end_of_an_answer_is_sent_while_redis_accepts_nothing(replicas: Any) -> None:
    gate = Gate()
    servers = replicas(says("one ", gate, "two"), number=2)
    first, second = servers.apis
    sent = first.send("Hello")["generation"]["id"]
    second.wait_for_text(sent, "one ")

    def away(_item: object) -> None:
        raise RedisConnectionError("Redis is away.")

    with first.socket() as here, second.socket() as elsewhere, failpoints.armed("redis.sending", away):
        streams = [socket.events(sent) for socket in (here, elsewhere)]
        seen = [[next(stream)] for stream in streams]
        gate.open.set()
        for events, stream in zip(seen, streams, strict=True):
            events += list(stream)
    assert [apply(events) for events in seen] == [["one two"]] * 2
    assert [events[-1]["__typename"] for events in seen] == ["GenerationCompleted"] * 2


def test_a_stop_on_another_replica_keeps_the_written_text(replicas: Any) -> None:
    gate = Gate()
    servers = replicas(says("half", gate, " never"))
    first, second, third = servers.apis
    sent = first.send("Hello")["generation"]["id"]
    third.wait_for_text(sent, "half")
    stopped = second.stop(sent)["generation"]
    gate.open.set()
    assert (stopped["status"], stopped["message"]["text"]) == ("STOPPED", "half")
    for api in servers.apis:
        events = api.follow(sent)
        assert events[-1]["__typename"] == "GenerationStopped"
        assert apply(events) == ["half"]


def test_queued_messages_of_several_replicas_are_answered_in_order(replicas: Any) -> None:
    gate = Gate()
    servers = replicas(says(gate, "one"), says("two"), says("three"))
    one, two, three = servers.apis
    first = one.send("1")
    assert gate.reached.wait(WAIT)
    conversation = first["conversation"]["id"]
    waiting = [
        api.send(text, conversationId=conversation, whenBusy="QUEUE") for api, text in ((two, "2"), (three, "3"))
    ]
    gate.open.set()
    ended = [two.follow(sent["generation"]["id"])[-1] for sent in (first, *waiting)]
    assert [event["generation"]["message"]["text"] for event in ended] == ["one", "two", "three"]


def test_a_queued_message_can_be_stopped_on_another_replica(replicas: Any) -> None:
    gate = Gate()
    servers = replicas(says("half", gate))
    first, second, third = servers.apis
    running = first.send("1")
    waiting = second.send("2", conversationId=running["conversation"]["id"], whenBusy="QUEUE")["generation"]["id"]
    assert third.stop(waiting)["generation"]["status"] == "STOPPED"
    assert first.follow(waiting)[-1]["__typename"] == "GenerationStopped"
    assert first.stop(running["generation"]["id"])["generation"]["status"] == "STOPPED"
    assert len(servers.claude.requests) == 1


def test_changes_are_sent_on_every_replica(replicas: Any) -> None:
    servers = replicas(says("well"), number=2)
    query = "subscription { conversationChanges { cursor kind conversationId conversation { id } generation { id } } }"
    with servers.apis[1].socket() as socket:
        socket.subscribe(query, {}, "changes")
        # The result of a later query on the same socket proves that the subscription has begun.
        socket.subscribe("{ viewer { id } }", {}, "question")
        while socket.receive()["type"] != "complete":
            pass
        sent = servers.apis[0].send("Hello")
        kinds = [socket.receive()["payload"]["data"]["conversationChanges"] for _ in range(3)]
    assert [change["kind"] for change in kinds] == ["CREATED", "GENERATION_STARTED", "GENERATION_ENDED"]
    assert {change["conversationId"] for change in kinds} == {sent["conversation"]["id"]}


@pytest.mark.usefixtures("sweeps")
def test_retention_waits_for_an_answer_that_is_being_written(
    replicas: Any, tmp_path: Path, place: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, swept = Gate(), threading.Event()
    sweep = Retention.sweep

    async def sweep_and_note(retention: Retention, changed: Any) -> None:
        await sweep(retention, changed)
        if retention._keep is not None:
            swept.set()

    monkeypatch.setattr(Retention, "sweep", sweep_and_note)
    two = replicas(says("One ", gate, "two"), number=1)
    (api,) = two.apis
    sent = api.send("An old question")
    assert gate.reached.wait(WAIT)
    execute(place, "UPDATE conversations SET updated_at = '2026-01-01 00:00:00+00:00'")
    with tertulia(tmp_path, **place, retention_days=7) as address, Api(address) as other:
        assert swept.wait(WAIT)
        gate.open.set()
        assert other.follow(sent["generation"]["id"])[-1]["__typename"] == "GenerationCompleted"
        assert len(other.messages(sent["conversation"]["id"])) == 2
