"""Generations from their start to their end, with a Claude and tools in this process: rounds, bounds, stops, takeovers."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import anthropic
import httpx2
import pytest
from active import ME, OTHER, Stored, stored, texts
from client import Json
from rows import MODEL, NOON, Rows, replace_here, with_database
from sqlalchemy import delete
from sqlmodel import col, select

from tertulia import failpoints
from tertulia.attachments.generated_files import GeneratedFiles
from tertulia.attachments.media import PictureRoom
from tertulia.billing.budget import EXCEEDED, Budget
from tertulia.billing.prices import Prices
from tertulia.claude.attempts import Attempt
from tertulia.claude.errors import NOT_RESUMED, BrokenStream, ErrorCode, GenerationError, StreamError
from tertulia.claude.models import Models
from tertulia.db import leases
from tertulia.db.answer_tails import AnswerTail
from tertulia.db.database import Database
from tertulia.db.tables import ApiCall, ChangeKind, Conversation, ConversationChange, Generation, Role, Status
from tertulia.db.tool_calls import CallStatus, ToolCall
from tertulia.generation import continuation, loop, recovery
from tertulia.generation import manager as managers
from tertulia.generation.config import ContinuationPolicy, EngineConfig, EngineServices
from tertulia.generation.input import GenerationInput
from tertulia.generation.manager import GenerationManager
from tertulia.generation.observer import GenerationObserver
from tertulia.generation.prompt_measurement import PromptMeasurer
from tertulia.generation.state import ActiveGeneration
from tertulia.streams.events import ContentBlockFinished, ContentBlockStarted, GenerationStarted, TextDelta, fold
from tertulia.streams.lease import Lease
from tertulia.streams.log import LocalSignals
from tertulia.streams.memory import MemoryLog
from tertulia.tools.base import Result, ToolContext, ToolOptions
from tertulia.tools.execution import Bounds
from tertulia.tools.registry import ToolRegistry

PRICES = Prices({MODEL: {"input": 1, "output": 10}})
Step = list[Json] | Exception | Callable[[], Awaitable[object]]
"""What Claude does next: send events together, fail, or wait."""
INPUT_SCHEMA: Json = {"type": "object", "properties": {}}


def round_of(*blocks: Json, stop_reason: str = "end_turn", **usage: Any) -> list[Step]:
    """Return the steps of a complete response with these blocks."""
    message: Json = {"usage": {"input_tokens": 10}, "input_transformations": []}
    steps: list[Step] = [[{"type": "message_start", "request_id": "req_1", "message": message}]]
    for index, block in enumerate(blocks):
        steps.append([{"type": "content_block_start", "index": index, "content_block": block}])
        steps.append([{"type": "content_block_stop", "index": index}])
    delta = {"stop_reason": stop_reason, "container": {"id": "container_1"}}
    steps.append([{"type": "message_delta", "delta": delta, "usage": {"output_tokens": 2, **usage}}])
    return steps


def call(id: str, name: str = "add", input: Any = None) -> Json:
    return {"type": "tool_use", "id": id, "name": name, "input": {} if input is None else input}


def calls(*ids: str, name: str = "add") -> list[Step]:
    return round_of(*(call(id, name) for id in ids), stop_reason="tool_use")


@dataclass
class Claude:
    """A Claude that sends one script after the other, and keeps the requests."""

    scripts: list[list[Step]]
    requests: list[Json] = field(default_factory=list[Json])
    deadlines: Any = field(default_factory=lambda: SimpleNamespace(answer=60.0))
    backpressure: Any = field(default_factory=lambda: SimpleNamespace(delay=0.25, watch=lambda: asyncio.sleep(3600)))

    def model(self, _id: str) -> Any:
        return SimpleNamespace(platform=SimpleNamespace(counts_tokens=False))

    async def stream(
        self, request: Any, _failed: list[Attempt], push: Callable[[Sequence[Json]], bool]
    ) -> AsyncGenerator[Sequence[Json]]:
        self.requests.append(await request.body())
        for step in self.scripts.pop(0) if self.scripts else round_of(texts("Hi.")[0]):
            if isinstance(step, Exception):
                raise step
            if not isinstance(step, list):
                await step()
            elif not push(step):
                yield step


class Files:
    """Files of conversations without attachments."""

    async def fill(self, request: Json, *, inline: bool = False) -> Json:
        assert not inline
        return request

    async def room(self, *_: object) -> PictureRoom:
        return PictureRoom([], 0, None, inline=False)


@dataclass
class Tool:
    """A tool that records its calls."""

    name: str
    requires_approval: bool = False
    results: list[Result | BaseException] = field(default_factory=list[Result | BaseException])
    calls: list[tuple[Json, ToolContext]] = field(default_factory=list[tuple[Json, ToolContext]])
    description: str = "Adds."
    input_schema: Json = field(default_factory=lambda: INPUT_SCHEMA)
    seconds: float | None = None
    idempotent: bool = False
    options: ToolOptions = field(default_factory=ToolOptions)

    async def call(self, input: Json, context: ToolContext) -> Result:
        self.calls.append((input, context))
        result = self.results.pop(0) if self.results else Result(["3"])
        if isinstance(result, BaseException):
            raise result
        return result


class Titles:
    """Titles that name nothing."""

    def name(self, *_: object, **__: object) -> None:
        return


class Observer(GenerationObserver):
    def __init__(self) -> None:
        self.takeovers = 0
        self.continued: list[str] = []
        self.tools: list[tuple[str, str, int]] = []

    def on_takeover(self) -> None:
        self.takeovers += 1

    def on_continue(self, reason: str) -> None:
        self.continued.append(reason)

    def on_tool(self, tool: str, outcome: str, seconds: float, tokens: int) -> None:
        assert 0 <= seconds < 60
        self.tools.append((tool, outcome, tokens))


class Engine:
    """A process that runs generations."""

    def __init__(self, database: Database, *scripts: list[Step], tools: Sequence[Tool] = (), **config: Any) -> None:
        self.database = database
        self.claude = Claude(list(scripts))
        self.log = MemoryLog()
        self.signals: list[tuple[str, UUID]] = []
        self.observer = Observer()
        self.tools = tools
        local = LocalSignals()
        for name in ("changed", "ended", "stop"):
            local.on(name, self._record(name))
        models = Models(cast("Any", None), default=MODEL, allowed=(), simulated=True)
        models._fresh_until = float("inf")
        named: Any = Titles()
        services = EngineServices(
            cast("Any", self.claude),
            models,
            cast("Any", Files()),
            named,
            ToolRegistry(cast("Any", tools)),
            GeneratedFiles(database, cast("Any", Files()), cast("Any", self.claude), enabled=False),
        )
        values: Json = {"budget": Budget(None, PRICES), "observer": self.observer, "caching": False} | config
        self.manager = GenerationManager(
            database, self.log, local, services, process=ME, config=EngineConfig(PRICES, **values)
        )

    def _record(self, name: str) -> Callable[[UUID], None]:
        return lambda subject: self.signals.append((name, subject))

    async def run(self, row: Stored) -> Generation:
        """Resume a generation that this process holds, and wait for its end, or until it waits for tools."""
        await self.manager.resume(row.id)
        await self.finish()
        return await row.generation()

    async def finish(self) -> None:
        async with asyncio.timeout(10):
            while not self.manager.idle:
                await asyncio.wait([active.finalizing for active in self.manager._active.values()])
                await asyncio.sleep(0)

    async def kinds(self, row: Stored) -> list[str]:
        stream = await self.log.read(row.id)
        assert stream is not None
        return [type(event).__name__ for event in stream.iter_events()]


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, while other tasks run."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what it waits for sets no event
            await asyncio.sleep(0)


def run(folder: Path, test: Callable[[Database], Awaitable[None]]) -> None:
    with_database(folder, test)


async def mine(database: Database, conversation: Json | None = None, **columns: Any) -> Stored:
    """Insert a generation that this process holds for the next minute."""
    until = datetime.now(UTC) + timedelta(seconds=60)
    return await stored(database, conversation, **({"lease_until": until} | columns))


async def rows_of(database: Database, model: Any) -> list[Any]:
    async with database.read() as session:
        return list((await session.exec(select(model).order_by(col(model.id)))).all())


def test_an_answer_is_written_from_its_start_to_its_end(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database, round_of(texts("Hi.")[0]))
        row = await mine(database)
        generation = await engine.run(row)
        assert (generation.status, generation.sequence, generation.amount) == (Status.COMPLETED, 4, 30 * 10**6)
        assert await row.content() == texts("Hi.")
        assert await engine.kinds(row) == [
            "GenerationStarted", "ContentBlockStarted", "ContentBlockFinished", "GenerationCompleted",
        ]  # fmt: skip
        (request,) = engine.claude.requests
        assert [message["role"] for message in request["messages"]] == ["user"]
        assert engine.signals == [("changed", row.owner.id), ("changed", row.owner.id), ("ended", row.id)]
        assert generation.first_token_at is not None
        assert generation.started_at is not None
        assert generation.started_at <= generation.first_token_at
        assert (engine.manager.running, engine.manager.idle) == (0, True)
        assert (engine.manager.holder, engine.manager.read_delay) == (ME, 0.25)

    run(tmp_path, test)


def test_tools_run_between_rounds_and_their_results_are_sent(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        tool = Tool("add", results=[Result(["3"]), Result(["no"], is_error=True)])
        engine = Engine(database, calls("toolu_1", "toolu_2"), round_of(texts("Done.")[0]), tools=[tool])
        row = await mine(database)
        generation = await engine.run(row)
        assert generation.status is Status.COMPLETED
        results = [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "3"},
            {"type": "tool_result", "tool_use_id": "toolu_2", "content": "no", "is_error": True},
        ]
        assert await row.content() == [call("toolu_1"), call("toolu_2"), *results, *texts("Done.")]
        stream = await engine.log.read(row.id)
        assert stream is not None
        events = list(stream.iter_events())
        assert fold(events) == await row.content()
        assert [event.sequence for event in events] == list(range(1, generation.sequence + 1))
        context = ToolContext(row.owner.id, "ada", row.owner.conversation_id, row.id, "toolu_1")
        assert tool.calls[0] == ({}, context)
        assert len(tool.calls) == 2
        assert [(name, outcome) for name, outcome, _ in engine.observer.tools] == [("add", "ok"), ("add", "error")]
        stored_calls = await rows_of(database, ToolCall)
        assert [(stored.tool_use_id, stored.name, stored.status) for stored in stored_calls] == [
            ("toolu_1", "add", CallStatus.SUCCEEDED), ("toolu_2", "add", CallStatus.FAILED),
        ]  # fmt: skip
        assert all(stored.started_at and stored.finished_at for stored in stored_calls)
        bill = await rows_of(database, ApiCall)
        assert [(entry.input_tokens, entry.output_tokens, entry.outcome) for entry in bill] == [
            (10, 2, Status.COMPLETED)
        ] * 2
        assert (generation.input_tokens, generation.output_tokens, generation.amount) == (20, 4, 60 * 10**6)
        second = engine.claude.requests[1]
        assert second["container"] == "container_1"
        assert "tool_choice" not in second
        assert [message["role"] for message in second["messages"]] == ["user", "assistant", "user"]

    run(tmp_path, test)


def test_the_last_round_that_the_bounds_allow_has_no_tools(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        for bounds, rounds in ((Bounds(rounds=2), 2), (Bounds(calls=1), 2)):
            tool = Tool("add")
            scripts = [calls(f"toolu_{number}") for number in range(5)]
            engine = Engine(database, *scripts, tools=[tool], bounds=bounds)
            generation = await engine.run(await mine(database))
            assert generation.status is Status.COMPLETED
            assert ["tool_choice" in request for request in engine.claude.requests] == [False] * rounds + [True]
            assert len(tool.calls) <= rounds
            assert engine.manager.bounds is bounds

    run(tmp_path, test)


def test_a_turn_that_claude_has_paused_is_continued_as_often_as_there_may_be_rounds(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        scripts = [round_of(*texts(f"Part {number}."), stop_reason="pause_turn") for number in range(9)]
        engine = Engine(database, *scripts, bounds=Bounds(rounds=2))
        row = await mine(database)
        assert (await engine.run(row)).status is Status.COMPLETED
        assert len(engine.claude.requests) == 4
        assert await row.content() == texts(*(f"Part {number}." for number in range(4)))

    run(tmp_path, test)


def test_a_call_in_a_request_without_tools_is_not_answered(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database, calls("toolu_1"))
        row = await mine(database)
        generation = await engine.run(row)
        assert (generation.status, len(engine.claude.requests)) == (Status.COMPLETED, 1)

    run(tmp_path, test)


def test_a_stop_reason_alone_is_no_call(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        for steps in (
            round_of(*texts("Hi."), stop_reason="tool_use"),
            round_of(call("toolu_1"), stop_reason="max_tokens"),
        ):
            engine = Engine(database, steps, tools=[Tool("add")])
            await engine.run(await mine(database))
            assert len(engine.claude.requests) == 1

    run(tmp_path, test)


CLIENT: Json = {"tools": {"client": [{"name": "ask", "description": "Asks.", "input_schema": INPUT_SCHEMA}]}}


def test_an_answer_waits_for_the_client_and_for_approval_and_the_others_run_meanwhile(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        tools = [Tool("add"), Tool("drop", requires_approval=True)]
        blocks = [call("toolu_1"), call("toolu_2", "ask"), call("toolu_3", "drop"), call("toolu_4", "nothing")]
        engine = Engine(
            database, round_of(*blocks, stop_reason="tool_use"), tools=tools, bounds=Bounds(waiting_seconds=5)
        )
        row = await mine(database, CLIENT)
        before = datetime.now(UTC)
        generation = await engine.run(row)
        assert (generation.status, generation.holder) == (Status.AWAITING_TOOL_RESULTS, None)
        assert generation.tools_expire_at is not None
        assert 4 < (generation.tools_expire_at - before).total_seconds() < 15
        states = {
            stored.tool_use_id: (stored.status, stored.asks_first) for stored in await rows_of(database, ToolCall)
        }
        assert states == {
            "toolu_1": (CallStatus.SUCCEEDED, False), "toolu_2": (CallStatus.WAITING, False),
            "toolu_3": (CallStatus.WAITING, True), "toolu_4": (CallStatus.FAILED, False),
        }  # fmt: skip
        stream = await engine.log.read(row.id)
        assert stream is not None
        event: Any = stream.newest
        assert (list(event.tool_uses), event.approvals) == ([1, 2], [2])
        assert [len(tool.calls) for tool in tools] == [1, 0]
        assert engine.manager.idle

    run(tmp_path, test)


def test_a_waiting_answer_continues_when_its_results_arrive(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database, calls("toolu_1", name="ask"), round_of(texts("Done.")[0]))
        row = await mine(database, CLIENT)
        await engine.run(row)
        async with database.write() as session:
            for stored_call in (await session.exec(select(ToolCall))).all():
                stored_call.status, stored_call.answer = CallStatus.ANSWERED, {"output": "Yes.", "is_error": False}
            generation = await session.get(Generation, row.id)
            assert generation is not None
            generation.status, generation.holder = Status.RUNNING, ME
            generation.lease_until = datetime.now(UTC) + timedelta(seconds=60)
        generation = await engine.run(row)
        assert generation.status is Status.COMPLETED
        assert (await row.content())[1:] == [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Yes."}, *texts("Done."),
        ]  # fmt: skip
        (stored_call,) = await rows_of(database, ToolCall)
        assert (stored_call.status, stored_call.answer) == (CallStatus.SUCCEEDED, None)
        assert len(await rows_of(database, ApiCall)) == 2
        assert engine.observer.takeovers == 0

    run(tmp_path, test)


def test_an_input_that_is_no_object_fails_its_call(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        tool = Tool("add")
        steps = round_of(call("toolu_1", input=[1]), stop_reason="tool_use")
        engine = Engine(database, steps, round_of(texts("Done.")[0]), tools=[tool])
        row = await mine(database)
        await engine.run(row)
        content = await row.content()
        assert content[0] == call("toolu_1")
        assert content[1]["is_error"]
        assert tool.calls == []
        stream = await engine.log.read(row.id)
        assert stream is not None
        assert fold(list(stream.iter_events())) == content

    run(tmp_path, test)


def test_each_round_is_reserved_and_an_answer_that_costs_more_is_broken_off(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        budget = Budget(Decimal("0.00002"), PRICES)  # 2 * 10^7 units: 2 tokens of output
        engine = Engine(database, calls("toolu_1"), round_of(texts("Hi.")[0]), tools=[Tool("add")], budget=budget)
        row = await mine(database, options={"max_tokens": 1})
        generation = await engine.run(row)
        assert (generation.status, generation.error) == (Status.FAILED, EXCEEDED.to_json())
        assert (generation.reserved, len(engine.claude.requests)) == (None, 1)
        async with database.write() as session:
            await session.exec(delete(ApiCall))
        rich = Engine(
            database,
            calls("toolu_1"),
            round_of(texts("Hi.")[0]),
            tools=[Tool("add")],
            budget=Budget(Decimal(1), PRICES),
        )
        generation = await rich.run(await mine(database))
        assert (generation.status, generation.reserved) == (Status.COMPLETED, None)

    run(tmp_path, test)


def test_the_cost_of_failed_requests_of_a_round_counts(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database, budget=Budget(Decimal(1), PRICES))
        row = await mine(database, reserved=30 * 10**6)
        assert (await engine.run(row)).status is Status.COMPLETED
        engine = Engine(database, budget=Budget(Decimal(1), PRICES))
        row = await mine(database, reserved=30 * 10**6 - 1)
        generation = await engine.run(row)
        assert generation.error == EXCEEDED.to_json()

    run(tmp_path, test)


def test_a_running_generation_is_stopped_with_what_it_has_written(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        gate = asyncio.Event()
        steps: list[Step] = [*round_of(texts("Hi.")[0])[:2], gate.wait]
        engine = Engine(database, steps)
        row = await mine(database)
        await engine.manager.resume(row.id)
        await until(lambda: len(engine.claude.requests) == 1)
        assert (engine.manager.running, engine.manager.idle) == (1, False)
        await engine.manager.stop(row.id)
        assert (await row.generation()).status is Status.STOPPED
        assert engine.manager.idle
        assert await row.content() == [{**texts("Hi.")[0], "partial": True}]
        assert ("stop", row.id) not in engine.signals
        await engine.manager.stop(row.id)

    run(tmp_path, test)


def test_a_stop_reaches_a_generation_of_another_process_by_a_signal(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database)
        row = await mine(database, holder=OTHER)
        stopping = asyncio.create_task(engine.manager.stop(row.id))
        await until(lambda: ("stop", row.id) in engine.signals)
        assert (await row.generation()).stop_requested
        assert not stopping.done()
        async with database.write() as session:
            await leases.end_as_failed(session, row.id, OTHER, {}, 1)
        engine.manager._signals.send("ended", row.id)
        await asyncio.wait_for(stopping, 5)

    run(tmp_path, test)


def test_a_generation_without_a_process_is_stopped_by_this_one(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database)
        waiting = await stored(database, holder=None, status=Status.AWAITING_TOOL_RESULTS)
        lapsed = await stored(database, holder=OTHER, lease_until=NOON)
        for row in (waiting, lapsed):
            await engine.manager.stop(row.id)
            assert (await row.generation()).status is Status.STOPPED
        assert engine.claude.requests == []

    run(tmp_path, test)


def test_the_time_of_the_first_token_is_that_of_the_process_that_began_the_answer(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database, calls("toolu_1", name="ask"), tools=[])
        for status in (Status.RUNNING, Status.AWAITING_TOOL_RESULTS):
            row = await mine(database, first_token_at=NOON, started_at=NOON, status=status)
            generation = await engine.run(row)
            assert (generation.status, generation.first_token_at) == (Status.COMPLETED, NOON)

    run(tmp_path, test)


def test_an_answer_that_is_not_continued_costs_at_least_what_its_text_shows(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database)
        row = await mine(database, sequence=3, output_tokens=1)
        async with database.write() as session:
            await leases.write_answer(session, row.message_id, texts("x" * 4000))
        generation = await engine.run(row)
        assert (generation.status, generation.output_tokens) == (Status.FAILED, 1000)

    run(tmp_path, test)


def test_a_signal_stops_the_generation_of_this_process(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database, [asyncio.Event().wait])
        row = await mine(database)
        await engine.manager.resume(row.id)
        await until(lambda: len(engine.claude.requests) == 1)
        engine.manager._signals.send("stop", uuid4())
        engine.manager._signals.send("stop", row.id)
        await engine.finish()
        assert (await row.generation()).status is Status.STOPPED

    run(tmp_path, test)


def test_a_sweep_takes_over_what_lost_its_process_and_the_first_one_takes_everything(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database)
        lapsed = await stored(database, holder=OTHER, lease_until=NOON)
        held = await mine(database, holder=OTHER)
        await engine.manager.sweep()
        await engine.finish()
        assert [(await row.generation()).status for row in (lapsed, held)] == [Status.COMPLETED] * 2
        assert engine.observer.takeovers == 2
        later = await mine(database, holder=OTHER)
        await engine.manager.sweep()
        assert (await later.generation()).holder == OTHER
        overdue = await stored(database, status=Status.AWAITING_TOOL_RESULTS, holder=None, tools_expire_at=NOON)
        await engine.manager.sweep()
        await engine.finish()
        generation = await overdue.generation()
        assert generation.error is not None
        assert generation.error["code"] == ErrorCode.TIMEOUT
        assert engine.observer.takeovers == 2

    run(tmp_path, test)


def test_one_of_several_servers_leaves_what_others_hold(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database, alone=False)
        held = await mine(database, holder=OTHER)
        await engine.manager.sweep()
        assert (await held.generation()).holder == OTHER

    run(tmp_path, test)


def test_a_sweep_trims_changes_and_a_draining_server_does_not_sweep(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        async with database.write() as session:
            owner = await Rows(session).user()
            kind = ChangeKind.UPDATED
            change = ConversationChange(owner_id=owner, sequence=1, kind=kind, conversation_id=uuid4(), created_at=NOON)
            session.add(change)
        engine = Engine(database)
        engine.manager.draining = True
        await engine.manager.sweep()
        async with database.read() as session:
            assert len((await session.exec(select(ConversationChange))).all()) == 1
        engine.manager.draining = False
        await engine.manager.sweep()
        async with database.read() as session:
            assert (await session.exec(select(ConversationChange))).all() == []

    run(tmp_path, test)


def test_after_a_failed_sweep_other_processes_have_the_time_of_a_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database)
        row = await stored(database, holder=OTHER, lease_until=NOON)
        seconds = [100.0]
        replace_here(monkeypatch, time, "monotonic", lambda: seconds[0])

        async def away(*_: object, **__: object) -> list[UUID]:
            raise OSError

        with monkeypatch.context() as patch:
            patch.setattr(leases, "claim_lapsed", away)
            with pytest.raises(OSError):  # noqa: PT011 - it has no message
                await engine.manager.sweep()
        seconds[0] = 109.9
        await engine.manager.sweep()
        assert (await row.generation()).holder == OTHER
        seconds[0] = 110.0
        await engine.manager.sweep()
        assert (await row.generation()).holder == ME
        await engine.manager.close()

    run(tmp_path, test)


def test_what_cannot_be_resumed_ends_as_failed(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database)
        row = await mine(database)
        with failpoints.armed("takeover.read", fail):
            await engine.manager.resume(row.id)
        generation = await row.generation()
        assert (generation.status, generation.error) == (Status.FAILED, NOT_RESUMED.to_json())
        assert engine.manager._claimed == {}
        await engine.manager.resume(uuid4())
        await engine.manager.resume((other := await mine(database, holder=OTHER)).id)
        assert (await other.generation()).status is Status.RUNNING
        assert ("ended", other.id) not in engine.signals

    run(tmp_path, test)


def fail(_: object) -> None:
    raise RuntimeError


def test_a_generation_whose_lease_lapsed_while_it_was_read_is_left_to_a_later_sweep(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database)
        row = await mine(database, lease_until=NOON)
        await engine.manager.resume(row.id)
        assert engine.manager.idle
        assert (await row.generation()).status is Status.RUNNING

    run(tmp_path, test)


def test_text_that_broke_off_is_kept_and_its_tokens_are_billed(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database, continuation=ContinuationPolicy(enabled=False))
        row = await mine(database, sequence=3, input_tokens=10)
        block = texts("")[0]
        engine.log.open(row.id, Lease(datetime.now(UTC) + timedelta(seconds=60)))
        engine.log.append(
            row.id,
            [
                GenerationStarted(row.id, 1),
                ContentBlockStarted(row.id, 2, 0, block),
                TextDelta(row.id, 3, 0, 0, "Half"),
            ],
        )
        generation = await engine.run(row)
        assert generation.error is not None
        assert (generation.status, generation.error["code"]) == (Status.FAILED, "interrupted")
        assert await row.content() == [{"type": "text", "text": "Half", "partial": True}]
        assert [(entry.input_tokens, entry.output_tokens) for entry in await rows_of(database, ApiCall)] == [(10, 1)]
        assert engine.claude.requests == []

    run(tmp_path, test)


def test_a_request_that_was_lost_before_it_wrote_anything_is_billed_and_sent_again(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database)
        row = await mine(database, sequence=1, input_tokens=7)
        generation = await engine.run(row)
        assert generation.status is Status.COMPLETED
        bill = await rows_of(database, ApiCall)
        assert [(entry.input_tokens, entry.outcome) for entry in bill] == [(7, Status.FAILED), (10, Status.COMPLETED)]

    run(tmp_path, test)


def test_a_call_that_a_lost_process_may_have_run_is_not_run_again(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        tool = Tool("add")
        engine = Engine(database, round_of(texts("Done.")[0]), tools=[tool])
        row = await mine(database, sequence=3, stop_reason="tool_use")
        async with database.write() as session:
            await leases.write_answer(session, row.message_id, [call("toolu_1")])
            session.add(
                ToolCall(
                    owner_id=row.owner.id, conversation_id=row.owner.conversation_id, generation_id=row.id,
                    tool_use_id="toolu_1", name="add", status=CallStatus.RUNNING,
                )
            )  # fmt: skip
        engine.log.open(row.id, Lease(datetime.now(UTC) + timedelta(seconds=60)))
        written = [GenerationStarted(row.id, 1), ContentBlockStarted(row.id, 2, 0, call("toolu_1"))]
        engine.log.append(row.id, [*written, ContentBlockFinished(row.id, 3, 0, call("toolu_1"))])
        generation = await engine.run(row)
        assert generation.status is Status.COMPLETED
        assert tool.calls == []
        assert (await row.content())[1]["is_error"]
        assert [stored_call.status for stored_call in await rows_of(database, ToolCall)] == [CallStatus.UNKNOWN]
        assert len(engine.claude.requests) == 1

    run(tmp_path, test)


def test_what_waited_starts_when_the_answer_before_it_has_ended(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database)
        row = await mine(database)
        waiting = await stored(database, status=Status.QUEUED, holder=None, waits_for=row.id)
        await engine.run(row)
        await engine.finish()
        assert (await waiting.generation()).status is Status.COMPLETED
        assert len(engine.claude.requests) == 2

    run(tmp_path, test)


def test_closing_releases_what_runs_and_draining_waits_for_it(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        gate = asyncio.Event()
        engine = Engine(database, [gate.wait, *round_of(texts("Hi.")[0])], [asyncio.Event().wait])
        first = await mine(database)
        await engine.manager.begin()
        await engine.manager.resume(first.id)
        await engine.manager.drain(0)
        assert engine.manager.running == 1
        draining = asyncio.create_task(engine.manager.drain(5))
        await until(lambda: len(engine.claude.requests) == 1)
        assert not draining.done()
        gate.set()
        await draining
        assert (await first.generation()).status is Status.COMPLETED
        second = await mine(database)
        await engine.manager.resume(second.id)
        await until(lambda: len(engine.claude.requests) == 2)
        await engine.manager.close()
        await engine.manager.drain(5)  # nothing is left to wait for
        generation = await second.generation()
        assert (generation.status, generation.error) == (Status.RUNNING, None)
        assert generation.lease_until is not None
        assert generation.lease_until <= datetime.now(UTC)
        assert all(task.done() for task in engine.manager._background)

    run(tmp_path, test)


def test_an_answer_that_takes_too_long_fails(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database, [asyncio.Event().wait])
        engine.claude.deadlines.answer = 0.0
        generation = await engine.run(await mine(database))
        assert generation.error is not None
        assert generation.error["code"] == ErrorCode.TIMEOUT

    run(tmp_path, test)


def test_the_times_of_stops_checkpoints_and_takeovers_are_those_of_the_docs() -> None:
    names = ("CHECKPOINT_SECONDS", "STATUS_POLL_SECONDS", "STOP_SECONDS", "STOP_LEASES", "TAKE_OVER_SECONDS")
    assert [getattr(managers, name) for name in names] == [1.0, 0.5, 8.0, 3.0, 2.0]
    assert loop.JOIN_SECONDS == 2.0


def test_a_stop_waits_three_leases_for_another_process(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database, lease_seconds=0.001)
        row = await mine(database, holder=OTHER)
        await asyncio.wait_for(engine.manager.stop(row.id), 5)
        assert (await row.generation()).status is Status.RUNNING

    run(tmp_path, test)


def test_a_task_that_is_cancelled_without_a_reason_is_interrupted(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database, [asyncio.Event().wait])
        row = await mine(database)
        await engine.manager.resume(row.id)
        await until(lambda: len(engine.claude.requests) == 1)
        engine.manager._active[row.id].writing.cancel()
        await engine.finish()
        generation = await row.generation()
        assert generation.error is not None
        assert (generation.status, generation.error["code"]) == (Status.FAILED, "interrupted")

    run(tmp_path, test)


def test_the_reservation_of_a_round_is_free_for_the_next_one(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        reserved: list[int | None] = []

        async def look() -> None:
            reserved.append((await row.generation()).reserved)

        scripts: list[list[Step]] = [[look, *calls("toolu_1")], [look, *round_of(texts("Done.")[0])]]
        # 60 tokens of output cost 6 * 10^8 units, and a budget of 10^9 has no room for them twice.
        engine = Engine(database, *scripts, tools=[Tool("add")], budget=Budget(Decimal("0.001"), PRICES))
        row = await mine(database, options={"max_tokens": 60})
        assert (await engine.run(row)).status is Status.COMPLETED
        first, second = reserved
        assert first is not None
        assert second is not None
        assert 6 * 10**8 < first < second

    run(tmp_path, test)


def test_an_answer_whose_budget_is_spent_between_rounds_ends_there(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        @dataclass
        class Expensive(Tool):
            async def call(self, input: Json, context: ToolContext) -> Result:
                async with database.write() as session:
                    await Rows(session).call(context.viewer_id, amount=10**9, created_at=datetime.now(UTC))
                return await super().call(input, context)

        engine = Engine(database, calls("toolu_1"), tools=[Expensive("add")], budget=Budget(Decimal("0.001"), PRICES))
        row = await mine(database)
        generation = await engine.run(row)
        assert (generation.status, generation.error) == (Status.FAILED, EXCEEDED.to_json())
        assert len(engine.claude.requests) == 1

    run(tmp_path, test)


def test_a_lease_that_is_lost_between_rounds_ends_the_task(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        @dataclass
        class Slow(Tool):
            async def call(self, input: Json, context: ToolContext) -> Result:
                async with database.write() as session:
                    generation = await session.get(Generation, row.id)
                    assert generation is not None
                    generation.holder = OTHER
                return await super().call(input, context)

        engine = Engine(database, calls("toolu_1"), tools=[Slow("add")])
        row = await mine(database)
        generation = await engine.run(row)
        assert (generation.status, generation.holder, len(engine.claude.requests)) == (Status.RUNNING, OTHER, 1)

    run(tmp_path, test)


def test_a_checkpoint_adds_nothing_to_a_content_from_before_the_round_was_saved(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        saved: list[list[str]] = []

        class Saving(Tool):
            async def call(self, input: Json, context: ToolContext) -> Result:
                await engine.manager._checkpoint()
                lost = await recovery.find_lost(database, context.generation_id)
                assert lost is not None
                saved.append([block["type"] for block in lost.message.content])
                async with database.read() as session:
                    assert (await session.exec(select(AnswerTail))).all() == []
                return await Tool.call(self, input, context)

        script = round_of(*texts("long " * 10_000), call("toolu_1"), stop_reason="tool_use")
        engine = Engine(database, tools=[Saving("add")])
        # Tokens that are reported after the checkpoint would also make the next one save the whole content.
        engine.claude.scripts.append([*script[:3], script[5], engine.manager._checkpoint, *script[3:5]])
        row = await mine(database)
        assert (await engine.run(row)).status is Status.COMPLETED
        assert saved == [["text", "tool_use", "tool_result"]]

    run(tmp_path, test)


def test_a_checkpoint_saves_what_is_written_and_renews_the_lease(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database, [*round_of(texts("Hi.")[0])[:2], asyncio.Event().wait])
        row = await mine(database)
        await engine.manager.resume(row.id)
        active = engine.manager._active[row.id]
        await until(lambda: active.answer.sequence == 2)
        before = (await row.generation()).lease_until
        await engine.manager._checkpoint()
        generation = await row.generation()
        assert await row.content() == [{**texts("Hi.")[0], "partial": True}]
        assert (generation.sequence, generation.input_tokens, active.saved) == (2, 10, 2)
        assert generation.lease_until != before
        async with database.write() as session:
            await leases.request_stop(session, row.id)
        await engine.manager._checkpoint()
        await engine.finish()
        assert (await row.generation()).status is Status.STOPPED
        await engine.manager._checkpoint()

    run(tmp_path, test)


def test_a_generation_that_another_process_releases_is_taken_over_at_once(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database, alone=False)
        released = await stored(database, holder=OTHER, lease_until=NOON)
        held = await mine(database, holder=OTHER)
        engine.manager.draining = True
        engine.manager._signals.send("released", released.id)
        assert not engine.manager._claims
        engine.manager.draining = False
        for row in (held, released):
            engine.manager._signals.send("released", row.id)
            await asyncio.gather(*engine.manager._claims)
            await engine.finish()
        assert (await released.generation()).status is Status.COMPLETED
        assert ((await held.generation()).status, engine.observer.takeovers) == (Status.RUNNING, 1)

    run(tmp_path, test)


def test_a_process_takes_over_lost_generations_as_soon_as_it_starts(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database)
        row = await stored(database, holder=OTHER, lease_until=NOON)
        await engine.manager.begin()
        await until(lambda: engine.observer.takeovers == 1)
        await engine.finish()
        await engine.manager.close()
        assert (await row.generation()).status is Status.COMPLETED

    run(tmp_path, test)


def test_the_lease_of_a_generation_is_renewed_before_it_is_read(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database)
        rows = [await stored(database, holder=OTHER, lease_until=NOON) for _ in range(2)]
        renewed: list[bool] = []

        async def renew(_: object) -> None:
            before = [(await row.generation()).lease_until for row in rows]
            await engine.manager._checkpoint()
            after = [(await row.generation()).lease_until for row in rows]
            renewed.append(all(old and new and old < new for old, new in zip(before, after, strict=True)))

        with failpoints.armed("takeover.claimed", renew):
            await engine.manager.sweep()
        await engine.finish()
        assert renewed[0]
        assert [(await row.generation()).status for row in rows] == [Status.COMPLETED] * 2

    run(tmp_path, test)


INVALID = StreamError(GenerationError(ErrorCode.INVALID_REQUEST, "Invalid."))
OVERLOADED = BrokenStream(GenerationError(ErrorCode.OVERLOADED, "Overloaded."))
FALLBACK = "claude-haiku-5-5"


def test_an_answer_that_breaks_off_is_continued_and_each_request_is_billed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuation, "FIRST_DELAY", 0.0)

    async def test(database: Database) -> None:
        engine = Engine(database, [*round_of(*texts("One, "))[:2], OVERLOADED], round_of(*texts("two.")))
        row = await mine(database)
        generation = await engine.run(row)
        assert (generation.status, generation.continuations) == (Status.COMPLETED, 1)
        (block,) = await row.content()
        assert block["text"] == "One, two."
        assert engine.observer.continued == ["overloaded_error"]
        assert [entry.outcome for entry in await rows_of(database, ApiCall)] == [Status.FAILED, Status.COMPLETED]
        assert [part["role"] for part in engine.claude.requests[1]["messages"]] == ["user", "assistant", "user"]

    run(tmp_path, test)


def test_text_that_may_be_a_repetition_is_shown_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuation, "FIRST_DELAY", 0.0)
    monkeypatch.setattr(loop, "JOIN_SECONDS", 0.0)

    def delta(text: str) -> Json:
        return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}

    async def test(database: Database) -> None:
        engine = Engine(database)
        row = await mine(database)

        async def shown() -> None:
            active = engine.manager._active[row.id]
            await until(lambda: active.answer.content[0]["text"] == "We two two")
            assert active.join_timer is None

        start, begin, stop, end = round_of(*texts(""))
        engine.claude.scripts.append([*round_of(*texts("We two "))[:2], OVERLOADED])
        engine.claude.scripts.append([start, begin, [delta("two")], shown, [delta(".")], stop, end])
        assert (await engine.run(row)).status is Status.COMPLETED
        assert (await row.content())[0]["text"] == "We two two."

    run(tmp_path, test)


def test_a_prompt_is_measured_before_the_first_request_of_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[tuple[UUID, int]] = []

    async def test(database: Database) -> None:
        engine = Engine(database, calls("toolu_1"), tools=[Tool("add")])

        async def measure(
            _: PromptMeasurer, active: ActiveGeneration, work: GenerationInput, _model: object
        ) -> GenerationInput:
            measured.append((active.generation_id, len(engine.claude.requests)))
            return work

        monkeypatch.setattr(PromptMeasurer, "measure", measure)
        row = await mine(database)
        await engine.run(row)
        await engine.run(await mine(database, sequence=1, input_tokens=7))
        assert measured == [(row.id, 0)]

    run(tmp_path, test)


def test_a_fallback_model_answers_instead_of_one_that_is_overloaded_and_only_its_request_is_billed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuation, "FIRST_DELAY", 0.0)

    async def test(database: Database) -> None:
        policy = ContinuationPolicy(fallbacks=(FALLBACK,))
        engine = Engine(database, [OVERLOADED], calls("toolu_1"), tools=[Tool("add")], continuation=policy)
        row = await mine(database)
        assert (await engine.run(row)).status is Status.COMPLETED
        assert [request["model"] for request in engine.claude.requests] == [MODEL, FALLBACK, FALLBACK]
        bill = await rows_of(database, ApiCall)
        assert [(entry.model, entry.outcome) for entry in bill] == [(FALLBACK, Status.COMPLETED)] * 2
        assert {block.get("written_by") for block in await row.content()} == {FALLBACK, None}
        unreachable = anthropic.APIConnectionError(request=httpx2.Request("POST", "https://127.0.0.1"))
        alone = Engine(database, [unreachable])
        generation = await alone.run(await mine(database))
        assert generation.error is not None
        assert (generation.error["code"], len(alone.claude.requests)) == (ErrorCode.CONNECTION, 1)

    run(tmp_path, test)


def test_a_fallback_model_answers_a_refused_request_at_a_lower_price(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        token = {"category": "bio", "fallback_credit_token": "token"}
        end = {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": token}}
        refusal: list[Step] = [*round_of()[:1], [end]]
        policy = ContinuationPolicy(fallbacks=(FALLBACK,))
        engine = Engine(database, refusal, round_of(*texts("Yes.")), continuation=policy)
        row = await mine(database)
        generation = await engine.run(row)
        assert (generation.status, generation.refusal) == (Status.COMPLETED, {"category": "bio"})
        assert engine.claude.requests[1]["fallback_credit_token"]["token"] == "token"
        assert engine.observer.continued == ["refused"]
        # The model that has answered is asked at once, as long as it is one of the fallback models.
        async with database.write() as session:
            rows, conversation_id = Rows(session), row.owner.conversation_id
            question = await rows.message(conversation_id, row.message_id, depth=2)
            answers = [
                await rows.message(conversation_id, question, role=Role.ASSISTANT, depth=3, content=[])
                for _ in range(2)
            ]
            until = datetime.now(UTC) + timedelta(seconds=60)
            following = [
                await rows.generation(conversation_id, answer, holder=ME, lease_until=until) for answer in answers
            ]
        for id, fallbacks, asked in ((following[0], (FALLBACK,), FALLBACK), (following[1], (), MODEL)):
            engine = Engine(database, continuation=ContinuationPolicy(fallbacks=fallbacks))
            await engine.manager.resume(id)
            await engine.finish()
            assert [request["model"] for request in engine.claude.requests] == [asked]

    run(tmp_path, test)


def lapse(engine: Engine, row: Stored) -> Callable[[], Awaitable[object]]:
    """Return a step after which the lease of the running generation has lapsed."""

    async def step() -> None:
        engine.manager._active[row.id].lease = Lease(None)

    return step


def test_nothing_is_written_and_no_tool_is_called_until_a_lapsed_lease_is_renewed(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        tool = Tool("add")
        engine = Engine(database, tools=[tool])
        row = await mine(database)
        script = calls("toolu_1")
        engine.claude.scripts.append([*script[:1], lapse(engine, row), *script[1:], lapse(engine, row)])
        await engine.manager.resume(row.id)
        active = engine.manager._active[row.id]

        active.renewed.set()
        await until(lambda: not active.renewed.is_set())  # it waits for the lease
        assert active.answer.content == []
        await engine.manager._checkpoint()
        await until(lambda: not active.renewed.is_set())
        assert (len(active.answer.content), tool.calls) == (2, [])
        await engine.manager._checkpoint()
        await engine.finish()
        assert len(tool.calls) == 1
        assert (await row.generation()).status is Status.COMPLETED

    run(tmp_path, test)


@pytest.mark.parametrize(("text", "is_valid"), [('{"a": 1}', True), ('{"a": "x"}', False)])
def test_an_answer_that_must_match_a_schema_is_checked(text: str, tmp_path: Path, *, is_valid: bool) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}

    async def test(database: Database) -> None:
        engine = Engine(database, round_of(*texts(text)))
        row = await mine(database, options={"output_schema": schema})
        await engine.run(row)
        (block,) = await row.content()
        assert block["json"]["checked"]
        assert (block["json"]["problem"] is None) is is_valid

    run(tmp_path, test)


def test_calls_are_recorded_and_shown_before_their_tools_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(database: Database) -> None:
        seen: list[tuple[list[CallStatus], int]] = []

        class Looking(Tool):
            async def call(self, input: Json, context: ToolContext) -> Result:
                assert await row.content() == [call("toolu_1")]
                return await Tool.call(self, input, context)

        tool = Looking("add")
        engine = Engine(database, calls("toolu_1"), tools=[tool])
        row = await mine(database)
        flush = engine.log.flush

        async def look(generation_id: UUID) -> None:
            seen.append(([entry.status for entry in await rows_of(database, ToolCall)], len(tool.calls)))
            await flush(generation_id)

        monkeypatch.setattr(engine.log, "flush", look)
        assert (await engine.run(row)).status is Status.COMPLETED
        running, done = [CallStatus.RUNNING], [CallStatus.SUCCEEDED]
        assert seen == [([], 0), (running, 0), (running, 1), (done, 1)]

    run(tmp_path, test)


def test_an_answer_that_waits_for_the_client_reserves_nothing_meanwhile(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        budget = Budget(Decimal("0.00002"), PRICES)
        engine = Engine(database, calls("toolu_1", name="ask"), budget=budget)
        generation = await engine.run(await mine(database, CLIENT, options={"max_tokens": 1}, reserved=10**9))
        assert (generation.status, generation.reserved) == (Status.AWAITING_TOOL_RESULTS, None)

    run(tmp_path, test)


def test_an_answer_whose_conversation_is_deleted_between_rounds_fails(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        class Deleting(Tool):
            async def call(self, input: Json, context: ToolContext) -> Result:
                async with database.write() as session:
                    await session.delete(await session.get(Conversation, context.conversation_id))
                return await Tool.call(self, input, context)

        engine = Engine(database, calls("toolu_1"), tools=[Deleting("add")])
        row = await mine(database)
        await engine.manager.resume(row.id)
        await engine.finish()
        stream = await engine.log.read(row.id)
        assert stream is not None
        event: Any = stream.newest
        assert (event.error["code"], len(engine.claude.requests)) == ("not_found_error", 1)

    run(tmp_path, test)


def test_a_message_that_steers_ends_an_answer_only_after_results_of_all_its_calls(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
        found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
        rounds = [
            (round_of(call("toolu_1"), stop_reason="tool_use"), True),
            (round_of(search, found, call("toolu_1"), stop_reason="tool_use"), True),
            (round_of(search, call("toolu_1"), stop_reason="tool_use"), False),
            (round_of(*texts("Hi."), stop_reason="pause_turn"), False),
        ]
        for steps, is_steered in rounds:
            engine = Engine(database, steps, tools=[Tool("add")])
            row = await mine(database)
            async with database.write() as session:
                rows = Rows(session)
                question = await rows.message(row.owner.conversation_id, row.message_id, depth=2)
                answer = await rows.message(
                    row.owner.conversation_id, question, role=Role.ASSISTANT, depth=3, content=[]
                )
                waiting = await rows.generation(
                    row.owner.conversation_id, answer, status=Status.QUEUED, waits_for=row.id, steers=True
                )
            async with asyncio.timeout(10):
                await engine.manager.resume(row.id)
                await asyncio.wait([engine.manager._active[row.id].finalizing])
            await engine.finish()
            generation = await row.generation()
            assert generation.status is (Status.STOPPED if is_steered else Status.COMPLETED), steps
            assert (generation.steered, len(engine.claude.requests)) == (is_steered, 2 if is_steered else 3)
            assert waiting is not None

    run(tmp_path, test)


def test_an_answer_is_stopped_that_has_just_begun_to_wait_for_the_client(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        engine = Engine(database, calls("toolu_1", name="ask"))
        row = await mine(database, CLIENT)
        stopping: list[asyncio.Task[None]] = []

        async def stop(_: object) -> None:
            stopping.append(asyncio.create_task(engine.manager.stop(row.id)))
            await asyncio.sleep(0)

        with failpoints.armed("suspension.saved", stop):
            await engine.manager.resume(row.id)
            await engine.finish()
        await stopping[0]
        assert (await row.generation()).status is Status.STOPPED

    run(tmp_path, test)


def test_files_that_are_still_being_stored_are_given_up_at_shutdown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up: list[UUID] = []

    async def store_files(_: loop.GenerationLoop, active: ActiveGeneration) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            given_up.append(active.generation_id)
            raise

    async def test(database: Database) -> None:
        engine = Engine(database)
        with monkeypatch.context() as patch:
            row = await mine(database)
            await engine.run(row)
            assert not engine.manager._fetches
            patch.setattr(loop.GenerationLoop, "store_files", store_files)
            engine.claude.scripts.append([INVALID])
            failed = await mine(database)
            await engine.run(failed)
            await asyncio.sleep(0)
            await engine.manager.close()
        assert given_up == [failed.id]

    run(tmp_path, test)
