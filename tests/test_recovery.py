"""The start of a generation in the database, and the recovery of a generation whose process was lost."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from active import ME, OTHER, active, lease, never, stored, texts
from client import Json
from rows import MODEL, NOON, Rows, seconds, with_database
from sqlmodel import select

from tertulia.billing.budget import EXCEEDED, Budget
from tertulia.billing.prices import Prices
from tertulia.claude.errors import INTERRUPTED, ErrorCode, GenerationError, StreamError
from tertulia.claude.models import Models
from tertulia.db.answer_tails import tail_of
from tertulia.db.database import Database
from tertulia.db.ledger import UsageSum
from tertulia.db.progress import Progress, TailProgress, save_progress
from tertulia.db.tables import ConversationChange, Generation, Message, Role, Status
from tertulia.db.tool_calls import CallStatus, ToolCall
from tertulia.generation import config, recovery
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.generation.config import ContinuationPolicy
from tertulia.generation.recovery import (
    LostGeneration,
    RecoveredAnswer,
    ending_of,
    find_lost,
    has_lost_request,
    is_between_rounds,
    recover_answer,
    start_generation,
)
from tertulia.generation.state import Ending
from tertulia.json import dumps
from tertulia.streams.events import (
    ContentBlockStarted,
    GenerationCompleted,
    GenerationContinued,
    GenerationEvent,
    GenerationStarted,
    TextDelta,
    ToolResultsRequired,
)
from tertulia.streams.log import EventLog
from tertulia.streams.stream import Stream
from tertulia.tools.registry import ToolRegistry

ID = uuid4()
MODELS = Models(cast("Any", None), default=MODEL, allowed=(), simulated=True)
TEXT: Json = {"type": "text", "text": ""}


class Log:
    """A log that another process has written; None if it cannot be read."""

    def __init__(self, events: Sequence[GenerationEvent] | None) -> None:
        self.events = events
        self.taken: list[UUID] = []

    async def take_over(self, generation_id: UUID, _lease: object) -> Stream | None:
        self.taken.append(generation_id)
        return None if self.events is None else Stream(generation_id, self.events)


def lost(content: Sequence[Json] = (), billed: UsageSum | None = None, **columns: Any) -> LostGeneration:
    values: Json = {"status": Status.RUNNING, "model": MODEL, "created_at": NOON} | columns
    generation = Generation(id=ID, conversation_id=uuid4(), message_id=uuid4(), **values)
    message = Message(conversation_id=uuid4(), role=Role.ASSISTANT, depth=1, content=list(content))
    return LostGeneration(generation, message, {}, billed or UsageSum())


def recover(lost_generation: LostGeneration, events: Sequence[GenerationEvent] | None) -> RecoveredAnswer:
    log = cast("EventLog", Log(events))
    return asyncio.run(recover_answer(log, lost_generation, lease()))


WRITTEN: list[GenerationEvent] = [
    GenerationStarted(ID, 1),
    ContentBlockStarted(ID, 2, 0, TEXT),
    TextDelta(ID, 3, 0, 0, "In the log"),
]
PARTIAL: Json = {"type": "text", "text": "In the log", "partial": True}


@pytest.mark.parametrize(("saved", "is_log_newer"), [(2, True), (3, True), (4, False)])
def test_content_is_recovered_from_the_newer_of_log_and_row(saved: int, *, is_log_newer: bool) -> None:
    recovered = recover(lost(texts("In the row"), sequence=saved), WRITTEN)
    assert recovered.answer.content == ([PARTIAL] if is_log_newer else texts("In the row"))
    assert recovered.answer.sequence == max(saved, 3)
    assert recovered.events == (WRITTEN if is_log_newer else None)
    assert recovered.is_current


def test_a_terminal_event_in_the_log_is_dropped_on_recovery() -> None:
    recovered = recover(lost(sequence=0), [*WRITTEN, GenerationCompleted(ID, 4)])
    assert (recovered.answer.sequence, recovered.events) == (3, WRITTEN)


def test_without_a_log_the_row_has_the_content_and_clients_may_have_more() -> None:
    recovered = recover(lost(texts("In the row"), sequence=5), None)
    assert recovered.answer.content == texts("In the row")
    assert (recovered.answer.sequence, recovered.events, recovered.is_current) == (5, None, False)


def test_a_generation_that_has_only_started_begins_its_log_again() -> None:
    for events in (None, [], [GenerationStarted(ID, 1)]):
        recovered = recover(lost(sequence=1), events)
        assert (recovered.answer.sequence, recovered.events) == (1, [GenerationStarted(ID, 1)])
    recovered = recover(lost(sequence=0), [])
    assert (recovered.answer.sequence, recovered.events) == (0, [])
    recovered = recover(lost(texts("Hi."), sequence=1), [])
    assert (recovered.answer.sequence, recovered.events) == (1, None)


def test_the_row_of_a_generation_that_waits_is_complete_without_its_log() -> None:
    for status, taken in ((Status.QUEUED, False), (Status.AWAITING_TOOL_RESULTS, True), (Status.RUNNING, True)):
        log = Log(None)
        work = recover_answer(cast("EventLog", log), lost(texts("Hi."), status=status, sequence=2), lease())
        recovered = asyncio.run(work)
        assert recovered.is_current is (status is not Status.RUNNING)
        assert log.taken == ([ID] if taken else [])
        assert recovered.answer.content == texts("Hi.")


@pytest.mark.parametrize("written", [6, 7])
def test_a_generation_whose_results_are_submitted_at_once_continues_a_log_with_the_event_that_required_them(
    written: int,
) -> None:
    calls: list[Json] = [{"type": "tool_use", "id": id, "name": "add", "input": {}} for id in ("a", "b", "c")]
    content = [*calls, {"type": "tool_result", "tool_use_id": "a", "content": "3"}]
    required = ToolResultsRequired(ID, 7, {1: calls[1], 2: calls[2]}, [2], NOON)
    events = [*(ContentBlockStarted(ID, number, 0, TEXT) for number in range(1, 7)), required]
    ids: Json = {"owner_id": uuid4(), "conversation_id": uuid4(), "generation_id": ID}
    rows = [
        ToolCall(**ids, tool_use_id="a", name="add", status=CallStatus.SUCCEEDED),
        ToolCall(**ids, tool_use_id="b", name="add", status=CallStatus.ANSWERED),
        ToolCall(**ids, tool_use_id="c", name="add", status=CallStatus.ANSWERED, asks_first=True),
    ]
    resumed = replace(lost(content, sequence=7, tools_expire_at=NOON), calls={row.tool_use_id: row for row in rows})
    recovered = recover(resumed, events[:written])
    assert recovered.events == events
    assert recovered.answer.sequence == 7
    assert recover(resumed, None).is_current


def test_the_usage_of_the_row_is_continued_apart_from_what_is_in_the_ledger() -> None:
    counts: Json = {"input_tokens": 12, "output_tokens": 3, "stop_reason": "tool_use"}
    recovered = recover(lost(billed=UsageSum(5, amount=70), **counts), [])
    answer = recovered.answer
    assert answer.usage == {"input_tokens": 7, "output_tokens": 3}
    assert (answer.earlier["input_tokens"], answer.earlier_amount, answer.stop_reason) == (5, 70, "tool_use")
    unbilled = recover(lost(billed=UsageSum(amount=1), **counts), []).answer
    assert (unbilled.usage, unbilled.earlier) == ({"input_tokens": 12, "output_tokens": 3}, {})
    assert recover(lost(), []).answer.usage == {}


def ending(
    content: Sequence[Json] = (), *, is_current: bool = True, calls: Sequence[str] = (), **columns: Any
) -> Ending | GenerationError | None:
    lost_generation = lost(**columns)
    answer = AnswerAccumulator(ID, 5, content)
    answer.attempt = lost_generation.generation.continuations
    rows = {id: cast("ToolCall", None) for id in calls}
    lost_generation = LostGeneration(lost_generation.generation, lost_generation.message, rows, UsageSum())
    return ending_of(lost_generation, RecoveredAnswer(answer, [], is_current=is_current), ContinuationPolicy())


CALL: Json = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}}


def test_a_lost_generation_ends_if_it_was_stopped_waited_too_long_or_broke_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "now", lambda: NOON)
    monkeypatch.setattr(config, "now", lambda: NOON)
    assert ending() is None
    assert ending(is_current=False) is Ending.INTERRUPTED
    assert ending(texts("Hi.")) is INTERRUPTED
    assert ending(texts("Hi."), options={"continue_interrupted": False}) is Ending.INTERRUPTED
    assert ending(texts("Hi."), continuations=5) is Ending.INTERRUPTED
    assert ending(texts("Hi."), first_token_at=seconds(-3600)) is Ending.INTERRUPTED
    assert ending([CALL], calls=["toolu_1"]) is None
    assert ending([CALL], calls=["toolu_1"], is_current=False) is Ending.INTERRUPTED
    assert ending([CALL]) is INTERRUPTED
    suspended: Json = {"status": Status.AWAITING_TOOL_RESULTS}
    assert ending(**suspended, tools_expire_at=seconds(1)) is None
    assert ending(**suspended, tools_expire_at=NOON) is Ending.EXPIRED
    assert ending(texts("Hi."), **suspended, tools_expire_at=NOON) is Ending.EXPIRED
    assert ending(**suspended, tools_expire_at=NOON, stop_requested=True) is Ending.STOPPED
    assert ending(tools_expire_at=NOON) is None  # its results were submitted in time


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([CALL], True),
        ([*texts("Hi."), CALL], True),
        ([CALL, *texts("Hi.")], False),
        ([CALL, {**CALL, "id": "toolu_2"}], False),
        ([{**texts("Hi.")[0], "partial": True}, CALL], False),
        ([{**CALL, "partial": True}], False),
        ([CALL, {"type": "tool_result", "partial": True}], True),
        ([CALL, {"type": "tool_result"}], True),
        ([CALL, {"type": "tool_result"}, {"type": "image"}], True),
    ],
)
def test_an_answer_is_between_rounds_if_its_last_round_has_ended_and_all_calls_are_recorded(
    content: list[Json], *, expected: bool
) -> None:
    answer = AnswerAccumulator(ID, 5, content)
    assert is_between_rounds(answer, {"toolu_1": cast("ToolCall", None)}) is expected


RESULT: Json = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "3"}
CONTINUED = GenerationContinued(ID, 4, "interrupted", 1, 0)


@pytest.mark.parametrize(
    ("rows", "events", "status", "expected"),
    [
        (lost(), [], None, False),
        (lost(), WRITTEN[:1], None, True),
        (lost(status=Status.QUEUED), [], None, False),
        (lost(), WRITTEN, None, False),
        (lost(), WRITTEN[:2], None, True),
        (lost(continuations=1), WRITTEN, None, False),
        (lost(continuations=1), [*WRITTEN, CONTINUED], None, True),
        (lost(continuations=1, output_tokens=5), [*WRITTEN, CONTINUED], None, False),
        (lost([CALL, RESULT], sequence=9), [], CallStatus.SUCCEEDED, True),
        (lost([CALL, RESULT], sequence=9), [], CallStatus.RUNNING, False),
        (lost([CALL, RESULT], sequence=9), [], CallStatus.FAILED, True),
        (lost([CALL, RESULT], sequence=9), [], CallStatus.UNKNOWN, True),
        (lost([CALL, RESULT], sequence=9, input_tokens=5), [], CallStatus.SUCCEEDED, False),
    ],
)
def test_a_request_without_any_saved_response_is_billed_if_it_was_sent(
    rows: LostGeneration, events: list[GenerationEvent], status: CallStatus | None, *, expected: bool
) -> None:
    calls = {} if status is None else {"toolu_1": ToolCall.model_construct(tool_use_id="toolu_1", status=status)}
    rows = replace(rows, calls=calls, billed=UsageSum(3) if rows.generation.continuations else UsageSum())
    recovered = recover(rows, events)
    recovered.answer.estimate_usage()
    assert has_lost_request(rows, recovered) is expected


def test_a_request_was_not_sent_before_all_calls_had_their_results() -> None:
    calls = {
        id: ToolCall.model_construct(tool_use_id=id, status=status)
        for id, status in (("toolu_1", CallStatus.SUCCEEDED), ("toolu_2", CallStatus.RUNNING))
    }
    rows = replace(lost([CALL, {**CALL, "id": "toolu_2"}, RESULT], sequence=9), calls=calls)
    assert not has_lost_request(rows, recover(rows, []))


async def start(
    database: Database, generation_id: UUID, monthly: int | None = None, prices: Prices | None = None
) -> Any:
    budget = Budget(None if monthly is None else Decimal(monthly), prices or Prices())
    async with active(never(), AnswerAccumulator(generation_id)) as generation:
        try:
            return await start_generation(
                database, generation, ME, seconds(60), budget=budget, models=MODELS, tool_registry=ToolRegistry()
            )
        except asyncio.CancelledError:
            return generation.ending


async def kinds(database: Database) -> list[tuple[str, UUID | None]]:
    async with database.read() as session:
        return [(row.kind.value, row.generation_id) for row in (await session.exec(select(ConversationChange))).all()]


def test_a_queued_generation_runs_with_its_reservation_and_its_owner_sees_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "now", lambda: NOON)

    async def test(database: Database) -> None:
        row = await stored(database, status=Status.QUEUED, tools_expire_at=NOON)
        started = await start(database, row.id, 100)
        assert started.owner == row.owner
        assert started.work.message_id == row.message_id
        assert [turn.blocks for turn in started.work.turns] == [texts("Hi.")]
        generation = await row.generation()
        assert (generation.status, generation.started_at, generation.lease_until) == (Status.RUNNING, NOON, seconds(60))
        assert generation.reserved == started.allowance
        assert (started.allowance or 0) > 0
        assert (generation.prefix, generation.tools_expire_at) == (started.work.prefix, None)
        assert await kinds(database) == [("generation_started", row.id)]

    with_database(tmp_path, test)


def test_a_generation_that_ran_before_keeps_its_start_and_its_reservation(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        row = await stored(database, started_at=NOON - timedelta(hours=1), reserved=77)
        started = await start(database, row.id, 100)
        generation = await row.generation()
        assert (started.allowance, generation.reserved, generation.started_at) == (77, 77, NOON - timedelta(hours=1))
        assert await kinds(database) == []

    with_database(tmp_path, test)


def test_without_a_budget_a_generation_has_no_limit(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        row = await stored(database)
        assert (await start(database, row.id)).allowance is None

    with_database(tmp_path, test)


def test_a_generation_of_another_process_is_not_started(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        row = await stored(database, holder=OTHER, status=Status.QUEUED)
        assert await start(database, row.id) is Ending.LOST
        assert (await row.generation()).status is Status.QUEUED
        assert await kinds(database) == []

    with_database(tmp_path, test)


def test_a_deleted_conversation_and_a_spent_budget_are_errors_of_the_generation(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        with pytest.raises(StreamError) as raised:
            await start(database, uuid4())
        assert raised.value.error.code is ErrorCode.NOT_FOUND
        row = await stored(database)
        with pytest.raises(StreamError) as raised:
            await start(database, row.id, 0)
        assert raised.value.error is EXCEEDED
        other = await stored(database, model="unknown")
        with pytest.raises(StreamError) as raised:
            await start(database, other.id, 1)
        assert raised.value.error is EXCEEDED

    with_database(tmp_path, test)


def test_a_lost_generation_is_read_with_its_calls_and_what_was_billed_for_it(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        assert await find_lost(database, uuid4()) is None
        row = await stored(database, created_at=NOON)
        async with database.write() as session:
            await Rows(session).call(row.owner.id, generation_id=row.id, input_tokens=5, amount=7)
            session.add(
                ToolCall(
                    owner_id=row.owner.id, conversation_id=row.owner.conversation_id, generation_id=row.id,
                    tool_use_id="toolu_1", name="add", status=CallStatus.RUNNING,
                )
            )  # fmt: skip
        found = await find_lost(database, row.id)
        assert found is not None
        assert (found.generation.id, found.message.id, list(found.calls)) == (row.id, row.message_id, ["toolu_1"])
        assert found.billed == UsageSum(5, amount=7)

    with_database(tmp_path, test)


def test_a_lost_generation_is_read_with_what_follows_its_content(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        row = await stored(database)
        async with database.write() as session:
            ids = (row.id, row.message_id)
            await save_progress(session, [Progress(*ids, 5, NOON, dumps(texts("In the row")), {})])
            tail = tail_of(texts("In the row"), texts("In the row, and after it"))
            await save_progress(session, [TailProgress(*ids, 5, 8, tail)])
        found = await find_lost(database, row.id)
        assert found is not None
        assert (found.generation.sequence, found.message.content) == (8, texts("In the row, and after it"))
        assert await row.content() == texts("In the row")

    with_database(tmp_path, test)
