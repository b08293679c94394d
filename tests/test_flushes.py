"""Redis has an answer's events before a tool call is recorded and before the end of the answer is announced.

The tests hold back everything that is sent to Redis until the code calls `EventLog.flush`. If the code does not, Redis
lacks the events.
"""

import asyncio
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis
from client import WAIT, Api, Json, wait_until
from conftest import SECRET
from running import execute, tertulia
from scripted import Gate, Reply, says, scripted, uses
from test_tools import answer

from tertulia import failpoints
from tertulia.generation import checkpoint, manager
from tertulia.generation.finalizer import CHANGED, ENDED
from tertulia.streams.events import GenerationEvent, TextDelta
from tertulia.streams.redis.log import RedisLog
from tertulia.streams.redis.scripts import extend, extend_by_line, journal_lines, stream_key
from tertulia.streams.stream import Stream

pytestmark = pytest.mark.joined

STEPS = ("rounds.write_down", "rounds.call", "rounds.settle")
SAVE = "end.save"
TOOL: Json = {"name": "read_page", "description": "Reads the page.", "inputSchema": {"type": "object"}}


@dataclass
class HeldRedis:
    """Holds back events for Redis until `flush` is called, and records what Redis has at the steps of an answer."""

    client: Any
    waited_for: asyncio.Event = field(default_factory=asyncio.Event)
    flushed: list[UUID] = field(default_factory=list[UUID])
    """The generations whose events were flushed."""
    stored: dict[str, list[GenerationEvent]] = field(default_factory=dict[str, list[GenerationEvent]])

    async def hold(self, _item: object) -> None:
        await self.waited_for.wait()

    def note(self, step: str, generation_id: UUID) -> None:
        stream, name = Stream(generation_id), str(generation_id).encode()
        extend(stream, self.client.xrange(stream_key(generation_id)))
        for key in self.client.keys("tertulia:journal:*"):
            for _, fields in self.client.xrange(key):
                for line_of, last, events in journal_lines(fields):
                    if line_of == name and last > stream.last:
                        assert extend_by_line(stream, events)
        self.stored[step] = list(stream.iter_events())

    def last(self, step: str) -> str:
        """Return the type of the last event that Redis had at a step, and the type of its block."""
        events = self.stored[step]
        if not events:
            return "nothing"
        block = getattr(events[-1], "block", {})
        return " ".join(filter(None, (type(events[-1]).__name__, block.get("type"))))


@pytest.fixture
def held(place: Json, monkeypatch: pytest.MonkeyPatch) -> Generator[HeldRedis]:
    flush, send = RedisLog.flush, RedisLog.send
    with redis.Redis.from_url(place["redis_url"]) as client, ExitStack() as stack:
        held_redis = HeldRedis(client)

        async def flush_held(log: RedisLog, generation_id: UUID) -> None:
            held_redis.flushed.append(generation_id)
            held_redis.waited_for.set()
            await flush(log, generation_id)
            held_redis.waited_for.clear()

        def note_and_send(log: RedisLog, name: str, subject: UUID) -> None:
            if name == ENDED and ENDED not in held_redis.stored:
                held_redis.note(ENDED, subject)
            elif name == CHANGED and held_redis.flushed:
                held_redis.note(CHANGED, held_redis.flushed[-1])
            send(log, name, subject)

        monkeypatch.setattr(RedisLog, "flush", flush_held)
        monkeypatch.setattr(RedisLog, "send", note_and_send)
        for step in (*STEPS, SAVE):
            stack.enter_context(failpoints.armed(step, partial(held_redis.note, step)))
        stack.enter_context(failpoints.armed("redis.sending", held_redis.hold))
        yield held_redis


def serve(stack: ExitStack, folder: Path, place: Json, *replies: Reply) -> Api:
    claude = stack.enter_context(scripted(*replies))
    keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address, "tools": ("some_tools",)}
    return stack.enter_context(Api(stack.enter_context(tertulia(folder, **place, **keyed))))


def test_redis_has_all_events_before_a_call_is_recorded_run_or_settled_and_before_the_end_is_announced(
    tmp_path: Path, place: Json, held: HeldRedis
) -> None:
    with ExitStack() as stack:
        api = serve(stack, tmp_path, place, uses(("who", {"greeting": "Hi"})), says("done"))
        _, event = answer(api, "Who am I?")
        wait_until(lambda: ENDED in held.stored)
    assert event["__typename"] == "GenerationCompleted"
    assert {step: held.last(step) for step in (*STEPS, ENDED)} == {
        "rounds.write_down": "ContentBlockFinished tool_use",
        "rounds.call": "ContentBlockStarted tool_result",
        "rounds.settle": "ContentBlockFinished tool_result",
        ENDED: "GenerationCompleted",
    }


def test_redis_has_the_pending_call_before_the_change_of_the_conversation_is_announced(
    tmp_path: Path, place: Json, held: HeldRedis
) -> None:
    with ExitStack() as stack:
        api = serve(stack, tmp_path, place, uses(("read_page", {})))
        sent = api.send("Read it", tools={"client": [TOOL]})
        wait_until(lambda: CHANGED in held.stored)
        assert held.last(CHANGED) == "ToolResultsRequired"
        assert api.stop(sent["generation"]["id"])["generation"]["status"] == "STOPPED"


def test_redis_has_all_events_before_a_checkpoint_saves_their_text(
    tmp_path: Path, place: Json, held: HeldRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager, "CHECKPOINT_SECONDS", 0.05)
    # On a busy machine, a batch can take longer than a checkpoint waits.
    monkeypatch.setattr(checkpoint, "FLUSH_SECONDS", WAIT)
    flush_all, saved = RedisLog.flush_all, list[tuple[int, int]]()

    async def flush_all_held(log: RedisLog, seconds: float) -> None:
        held.waited_for.set()
        await flush_all(log, seconds)
        held.waited_for.clear()

    async def note(_item: object) -> None:
        rows = await asyncio.to_thread(execute, place, "SELECT CAST(id AS TEXT), sequence FROM generations")
        for id, sequence in rows:
            held.note("checkpoint", UUID(id))
            saved.append((sequence, len(held.stored["checkpoint"])))

    monkeypatch.setattr(RedisLog, "flush_all", flush_all_held)
    with ExitStack() as stack:
        api = serve(stack, tmp_path, place, says("one ", "two", gate := Gate()))
        stack.enter_context(failpoints.armed("checkpoint.renewed", note))
        answered = api.send("Hello")["generation"]["id"]
        api.wait_for_text(answered, "one two")
        gate.open.set()
        api.follow(answered)
    assert max(saved) > (1, 1)
    assert all(in_row <= in_redis for in_row, in_redis in saved), saved


def test_redis_has_all_content_before_a_stop_is_saved(
    tmp_path: Path, place: Json, held: HeldRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With a frequent checkpoint, the text becomes visible although Redis lacks it.
    monkeypatch.setattr(manager, "CHECKPOINT_SECONDS", 0.05)
    monkeypatch.setattr(checkpoint, "FLUSH_SECONDS", 0)
    with ExitStack() as stack:
        api = serve(stack, tmp_path, place, says("one ", "two", Gate()))
        answered = api.send("Hello")["generation"]["id"]
        api.wait_for_text(answered, "one two")
        assert api.stop(answered)["generation"]["message"]["text"] == "one two"
        events = held.stored[SAVE]
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "one two"
