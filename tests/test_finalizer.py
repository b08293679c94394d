"""How the end of a generation is saved and announced, and what is done where that fails."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from active import ME, OTHER, Stored, active, lease, never, process, raising, stored, texts, written
from client import Json
from rows import MODEL, NOON, record_round_trips, replace_here, seconds, with_database
from sqlmodel import col, select

from tertulia import failpoints
from tertulia.backoff import Backoff
from tertulia.billing.budget import Budget
from tertulia.billing.prices import Prices
from tertulia.billing.records import Payer
from tertulia.claude.attempts import Attempt
from tertulia.claude.errors import INTERRUPTED, UNSAVED, ErrorCode, GenerationError, StreamError
from tertulia.claude.repairs import LeftOut, Repairs
from tertulia.db import leases
from tertulia.db.database import Database
from tertulia.db.tables import ApiCall, Conversation, ConversationChange, Status
from tertulia.db.tool_calls import CallStatus, ToolCall
from tertulia.generation import finalizer, persistence
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.generation.config import EngineConfig
from tertulia.generation.finalizer import GenerationFinalizer
from tertulia.generation.observer import End, GenerationObserver
from tertulia.generation.persistence import calls_of, round_amount, total_amount
from tertulia.generation.request import MessagesRequest, RepairPolicy
from tertulia.generation.state import ActiveGeneration, Ending, Suspended
from tertulia.streams.events import (
    ContentBlockFinished,
    ContentBlockStarted,
    GenerationCompleted,
    GenerationFailed,
    GenerationStarted,
    GenerationSteered,
    GenerationStopped,
    ToolResultsRequired,
)
from tertulia.streams.log import LocalSignals
from tertulia.streams.memory import MemoryLog

PRICES = Prices({MODEL: {"input": 1, "output": 10}})
OVERLOADED = GenerationError(ErrorCode.OVERLOADED, "Overloaded.", "req_of_error")
CALL: Json = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}}


class Log(MemoryLog):
    """A log in memory that records which of its methods were called."""

    def __init__(self) -> None:
        super().__init__()
        self.called: list[str] = []

    async def flush(self, generation_id: UUID) -> None:
        self.called.append("flush")
        await super().flush(generation_id)

    def mark_saved(self, generation_id: UUID, sequence: int) -> None:
        self.called.append(f"saved {sequence}")
        super().mark_saved(generation_id, sequence)

    def release(self, generation_id: UUID, lease: Any = None) -> None:
        self.called.append("release")
        super().release(generation_id, lease)

    async def discard(self, generation_id: UUID) -> None:
        self.called.append("discard")
        await super().discard(generation_id)

    def suspend(self, generation_id: UUID, lease: Any) -> None:
        self.called.append("suspend")
        super().suspend(generation_id, lease)


class Observer(GenerationObserver):
    def __init__(self) -> None:
        self.ends: list[End] = []

    def on_end(self, end: End) -> None:
        self.ends.append(end)


@dataclass
class Ends:
    """A finalizer on a database of the test's own, and what it has done."""

    database: Database
    log: Log = field(default_factory=Log)
    observer: Observer = field(default_factory=Observer)
    claimed: list[UUID] = field(default_factory=list[UUID])
    signals: list[tuple[str, UUID]] = field(default_factory=list[tuple[str, UUID]])
    titled: list[Payer] = field(default_factory=list[Payer])
    draining: bool = False

    def __post_init__(self) -> None:
        local = LocalSignals()
        for name in (finalizer.ENDED, finalizer.CHANGED, finalizer.RELEASED):
            local.on(name, partial(self._signalled, name))
        config = EngineConfig(PRICES, Budget(None, PRICES), observer=self.observer)
        self.finalizer = GenerationFinalizer(
            self.database,
            self.log,
            local,
            cast("Any", self),
            process=ME,
            config=config,
            claimed=self.claimed.extend,
            is_draining=lambda: self.draining,
        )

    def _signalled(self, name: str, subject: UUID) -> None:
        self.signals.append((name, subject))

    def name(self, payer: Payer, on_named: Callable[[], None]) -> None:
        """Replace the generation of titles: report a title at once."""
        self.titled.append(payer)
        on_named()

    async def end(
        self,
        row: Stored,
        work: Coroutine[Any, Any, None],
        *events: Json,
        use: Callable[[ActiveGeneration], object] = lambda _: None,
        **fields: Any,
    ) -> Sequence[UUID]:
        """End a generation of this process that has received these events from Claude."""
        answer = AnswerAccumulator(row.id, 1)
        held = lease()
        self.log.open(row.id, held, [GenerationStarted(row.id, 1)])
        self.log.append(row.id, process(answer, *events))
        values: Json = {"owner": row.owner, "message_id": row.message_id, "lease": held} | fields
        async with active(work, answer, **values) as generation:
            use(generation)
            following = await self.finalizer.finalize(generation)
            self.ended = generation
        return following

    async def events(self, row: Stored) -> list[Any]:
        stream = await self.log.read(row.id)
        return [] if stream is None else list(stream.iter_events())


def run(folder: Path, test: Callable[[Ends], Awaitable[None]], **fields: Any) -> None:
    async def use(database: Database) -> None:
        await test(Ends(database, **fields))

    with_database(folder, use)


def message(*usage: tuple[str, int], stop_reason: str = "end_turn", text: str = "Hi.") -> list[Json]:
    """Return the events of an answer with one block of text."""
    return [
        {"type": "message_start", "request_id": "req_1", "message": {"usage": {"input_tokens": 10}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": text}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": {"output_tokens": 2, **dict(usage)}},
    ]


async def all_of(database: Database, model: Any) -> list[Any]:
    async with database.read() as session:
        return list((await session.exec(select(model).order_by(col(model.created_at)))).all())


def test_an_end_takes_two_round_trips_to_the_thread_of_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first renews the lease and finds out what the others depend on; the second contains all other statements."""

    async def test(ends: Ends) -> None:
        row = await stored(ends.database)
        round_trips = record_round_trips(monkeypatch, tmp_path)
        await ends.end(row, written(), *message())
        first, second = round_trips
        assert first == ["BEGIN", "UPDATE"]
        assert sorted(set(second)) == ["COMMIT", "DELETE", "INSERT", "UPDATE"]
        assert await row.content() == texts("Hi.")

    run(tmp_path, test)


def test_the_end_of_a_conversation_that_a_guest_has_given_to_an_account_is_announced_to_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked: list[UUID] = []

    async def lock(_session: object, owner: UUID) -> None:
        locked.append(owner)

    monkeypatch.setattr(leases, "lock_owner", lock)

    async def test(ends: Ends) -> None:
        row = await stored(ends.database)
        waiting = await stored(ends.database, status=Status.QUEUED, holder=None, waits_for=row.id)
        former = replace(row.owner, id=uuid4())
        assert list(await ends.end(row, written(), *message(), owner=former)) == [waiting.id]
        (change,) = await all_of(ends.database, ConversationChange)
        assert change.owner_id == row.owner.id
        assert locked == [former.id, row.owner.id]

    run(tmp_path, test)


def test_the_end_is_saved_with_what_was_left_out_of_its_request_and_why_it_was_refused(tmp_path: Path) -> None:
    async def test(ends: Ends) -> None:
        repairs, left_out = Repairs({"0.0": LeftOut.ATTACHMENT_REFUSED}), Counter({LeftOut.ATTACHMENT_REFUSED: 1})
        policy = RepairPolicy(repairs=repairs)
        request = MessagesRequest(
            {}, left_out, cast("Any", None), slow=None, context_tokens=7, repair_policy=policy
        )  # fmt: skip
        details = {"category": "bio", "fallback_credit_token": "secret"}
        end = {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": details}}
        row = await stored(ends.database)
        await ends.end(row, written(), end, request=request, trace="00-1-1-01")
        generation = await row.generation()
        assert (generation.refusal, generation.stop_reason) == ({"category": "bio"}, "refusal")
        assert (generation.repairs, generation.left_out) == (repairs.to_json(), {"attachment_refused": 1})
        assert (generation.context_tokens, generation.trace) == (7, "00-1-1-01")
        plain = await stored(ends.database)
        bare = MessagesRequest({}, Counter(), cast("Any", None), slow=None, context_tokens=0)
        await ends.end(plain, written(), *message(("output_tokens", 3), stop_reason="compaction"), request=bare)
        generation = await plain.generation()
        assert (generation.refusal, generation.repairs, generation.left_out) == (None, None, {})
        assert (generation.context_tokens, generation.trace, generation.steered) == (3, None, False)

    run(tmp_path, test)


def test_an_answer_that_a_message_ends_says_so_and_names_the_message(tmp_path: Path) -> None:
    async def test(ends: Ends) -> None:
        row, next_message = await stored(ends.database), uuid4()
        await ends.end(row, written(), *message(), steered_by=next_message)
        generation = await row.generation()
        assert (generation.status, generation.steered) == (Status.STOPPED, True)
        assert (await ends.events(row))[-2:] == [
            GenerationSteered(row.id, 4, next_message),
            GenerationStopped(row.id, 5),
        ]
        stopped = await stored(ends.database)
        await ends.end(
            stopped, never(), steered_by=next_message, use=lambda generation: generation.end(Ending.STOPPED)
        )  # fmt: skip
        assert (await stopped.generation()).steered is False
        assert (await ends.events(stopped))[-1] == GenerationStopped(stopped.id, 2)

    run(tmp_path, test)


def release(generation: ActiveGeneration) -> None:
    generation.end(Ending.RELEASED)


def test_an_answer_that_is_handed_over_is_saved_without_its_end(tmp_path: Path) -> None:
    async def test(ends: Ends) -> None:
        row = await stored(ends.database, lease_until=seconds(10**9))
        assert await ends.end(row, never(), *message(), use=release, first_token_at=NOON) == ()
        generation = await row.generation()
        assert (generation.status, generation.sequence, generation.amount) == (Status.RUNNING, 3, 30 * 10**6)
        assert (generation.input_tokens, generation.output_tokens, generation.first_token_at) == (10, 2, NOON)
        assert generation.lease_until is not None
        assert generation.lease_until < seconds(10**9)
        assert await row.content() == texts("Hi.")
        assert (ends.ended.lost, ends.log.called) == (True, ["flush", "release"])
        assert (ends.signals, ends.observer.ends) == ([("released", row.id)], [])
        for lost in (await stored(ends.database, holder=OTHER), replace_id(row, uuid4())):
            await ends.end(lost, never(), use=release)
            assert (ends.ended.lost, len(ends.signals)) == (True, 1)

    run(tmp_path, test)


def replace_id(row: Stored, id: UUID) -> Stored:
    """Return a generation whose conversation was deleted."""
    other = object.__new__(Stored)
    other.__dict__ |= vars(row) | {"id": id}
    return other


def test_an_answer_that_cannot_be_handed_over_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept = without_delays(monkeypatch)

    async def save_released(*_: object) -> bool:
        raise RuntimeError

    monkeypatch.setattr(finalizer, "save_released", save_released)

    async def test(ends: Ends) -> None:
        row = await stored(ends.database)
        await ends.end(row, never(), *message(), use=release)
        generation = await row.generation()
        assert (generation.status, generation.error, len(slept)) == (Status.FAILED, INTERRUPTED.to_json(), 4)
        assert not ends.ended.lost

    run(tmp_path, test)


def test_a_complete_answer_is_saved_with_its_bill_and_then_its_end_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persistence, "now", lambda: NOON)

    async def test(ends: Ends) -> None:
        row = await stored(ends.database, reserved=99, tools_expire_at=NOON)
        assert not await ends.end(row, written(), *message(), first_token_at=seconds(-1))
        generation = await row.generation()
        assert (generation.status, generation.stop_reason, generation.error) == (Status.COMPLETED, "end_turn", None)
        assert (generation.sequence, generation.finished_at, generation.first_token_at) == (4, NOON, seconds(-1))
        assert (generation.input_tokens, generation.output_tokens, generation.amount) == (10, 2, 30 * 10**6)
        assert (generation.reserved, generation.tools_expire_at, generation.request_id) == (None, None, "req_1")
        assert generation.context_tokens == 12
        assert await row.content() == texts("Hi.")
        (call,) = await all_of(ends.database, ApiCall)
        assert (call.outcome, call.amount, call.request_id, call.estimated) == (
            Status.COMPLETED,
            30 * 10**6,
            "req_1",
            False,
        )
        assert (call.generation_id, call.conversation_id, call.owner_id) == (
            row.id,
            row.owner.conversation_id,
            row.owner.id,
        )
        (conversation,) = await all_of(ends.database, Conversation)
        assert (conversation.input_tokens, conversation.output_tokens, conversation.amount) == (10, 2, 30 * 10**6)
        (change,) = await all_of(ends.database, ConversationChange)
        assert (change.kind.value, change.generation_id) == ("generation_ended", row.id)
        assert (await ends.events(row))[-1] == GenerationCompleted(row.id, 4)
        assert ends.log.called == ["flush", "saved 4"]
        assert ends.signals == [("changed", row.owner.id), ("changed", row.owner.id), ("ended", row.id)]
        assert ends.titled == [Payer(row.owner.id, row.owner.conversation_id, row.id)]
        assert [end.status for end in ends.observer.ends] == ["completed"]
        assert ends.ended.lease.until == float("inf")
        assert await words_of(ends, row) == 1

    run(tmp_path, test)


async def words_of(ends: Ends, row: Stored) -> int:
    """Return how many entries the search index has of an answer."""
    from sqlalchemy import text

    found = await ends.database.row(text("SELECT count(*) FROM message_words WHERE id = :id"), id=row.message_id.hex)
    return int(found[0])


def test_the_answer_of_a_temporary_conversation_is_not_indexed(tmp_path: Path) -> None:
    async def test(ends: Ends) -> None:
        row = await stored(ends.database, {"temporary": True})
        await ends.end(row, written(), *message())
        assert await row.content() == texts("Hi.")
        assert await words_of(ends, row) == 0

    run(tmp_path, test)


def test_a_failed_answer_keeps_its_text_and_has_no_title(tmp_path: Path) -> None:
    async def test(ends: Ends) -> None:
        row = await stored(ends.database)
        await ends.end(row, raising(StreamError(OVERLOADED)))
        generation = await row.generation()
        assert (generation.status, generation.error) == (Status.FAILED, OVERLOADED.to_json())
        assert generation.request_id == "req_of_error"
        assert await row.content() == []
        assert await ends.events(row) == [
            GenerationStarted(row.id, 1),
            GenerationFailed(row.id, 2, OVERLOADED.to_json()),
        ]
        assert ends.titled == []
        assert [(end.status, end.code) for end in ends.observer.ends] == [("failed", "overloaded_error")]
        (call,) = await all_of(ends.database, ApiCall)
        assert (call.outcome, call.amount, call.estimated) == (Status.FAILED, 0, True)

    run(tmp_path, test)


def test_all_content_of_a_stopped_answer_is_shown_before_its_row_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(ends: Ends) -> None:
        row = await stored(ends.database)
        flushed_as: list[Status] = []
        flush = ends.log.flush

        async def recorded(generation_id: UUID) -> None:
            flushed_as.append((await row.generation()).status)
            await flush(generation_id)

        monkeypatch.setattr(ends.log, "flush", recorded)
        await ends.end(row, never(), *message()[:2], use=lambda generation: generation.end(Ending.STOPPED))
        assert flushed_as == [Status.RUNNING, Status.STOPPED]
        assert (await ends.events(row))[-1] == GenerationStopped(row.id, 3)
        assert await row.content() == [{**texts("Hi.")[0], "partial": True}]

    run(tmp_path, test)


def test_open_calls_of_an_answer_that_ends_have_results_and_their_rows_are_closed(tmp_path: Path) -> None:
    async def test(ends: Ends) -> None:
        row = await stored(ends.database)
        async with ends.database.write() as session:
            session.add(
                ToolCall(
                    owner_id=row.owner.id, conversation_id=row.owner.conversation_id, generation_id=row.id,
                    tool_use_id="toolu_1", name="add", status=CallStatus.RUNNING,
                )
            )  # fmt: skip
        call: list[Json] = [
            {"type": "content_block_start", "index": 0, "content_block": CALL},
            {"type": "content_block_stop", "index": 0},
        ]

        def end_round(generation: ActiveGeneration) -> None:
            generation.answer.end_round(0)

        await ends.end(row, raising(StreamError(OVERLOADED)), *call, use=end_round)
        result = {
            "type": "tool_result",
            "tool_use_id": "toolu_1",
            "content": (await row.content())[1]["content"],
            "is_error": True,
        }
        assert await row.content() == [CALL, result]
        assert (await ends.events(row))[3:5] == [
            ContentBlockStarted(row.id, 4, 1, {"type": "tool_result", "tool_use_id": "toolu_1", "partial": True}),
            ContentBlockFinished(row.id, 5, 1, result),
        ]
        assert [call.status for call in await all_of(ends.database, ToolCall)] == [CallStatus.UNKNOWN]

    run(tmp_path, test)


@pytest.mark.parametrize("draining", [False, True])
def test_generations_that_waited_are_claimed_unless_the_server_drains(tmp_path: Path, *, draining: bool) -> None:
    async def test(ends: Ends) -> None:
        row = await stored(ends.database)
        waiting = await stored(ends.database, status=Status.QUEUED, holder=None, waits_for=row.id)
        following = await ends.end(row, written(), *message())
        assert list(following) == ends.claimed == ([] if draining else [waiting.id])
        assert (await waiting.generation()).holder == (None if draining else ME)

    run(tmp_path, test, draining=draining)


def test_a_lost_generation_is_released_and_nothing_of_it_is_saved(tmp_path: Path) -> None:
    async def test(ends: Ends) -> None:
        row = await stored(ends.database, holder=OTHER)
        await ends.end(row, written(), *message())
        assert ends.ended.lost
        assert (await row.generation()).status is Status.RUNNING
        assert await row.content() == []
        assert await all_of(ends.database, ApiCall) == []
        assert (ends.log.called, ends.signals, ends.observer.ends) == (["release"], [], [])
        await ends.end(row, never(), use=lambda generation: generation.end(Ending.LOST))
        assert ends.ended.lost
        assert ends.log.called == ["release", "release"]

    run(tmp_path, test)


def test_the_end_of_a_deleted_conversation_is_shown_and_not_saved(tmp_path: Path) -> None:
    async def test(ends: Ends) -> None:
        row = await stored(ends.database)
        async with ends.database.write() as session:
            await session.delete(await session.get(Conversation, row.owner.conversation_id))
        await ends.end(row, written(), *message())
        assert not ends.ended.lost
        assert (await ends.events(row))[-1] == GenerationCompleted(row.id, 4)
        assert ends.signals == [("ended", row.id)]

    run(tmp_path, test)


WAITS = Suspended({0: CALL}, [0], seconds(900))


def test_a_generation_that_waits_for_tools_is_saved_and_has_no_process(tmp_path: Path) -> None:
    async def test(ends: Ends) -> None:
        row = await stored(ends.database, reserved=5, lease_until=NOON)
        assert await ends.end(row, raising(WAITS), *message()) == ()
        generation = await row.generation()
        assert (generation.status, generation.sequence) == (Status.AWAITING_TOOL_RESULTS, 4)
        assert (generation.holder, generation.lease_until, generation.reserved) == (None, None, None)
        assert generation.tools_expire_at == seconds(900)
        assert await row.content() == texts("Hi.")
        assert (await ends.events(row))[-1] == ToolResultsRequired(row.id, 4, {0: CALL}, [0], seconds(900))
        assert ends.log.called == ["flush", "saved 4", "suspend"]
        assert ends.ended.suspended
        assert not ends.ended.lost
        assert ends.signals == [("changed", row.owner.id)]
        (change,) = await all_of(ends.database, ConversationChange)
        assert (change.kind.value, change.generation_id) == ("updated", row.id)
        assert await all_of(ends.database, ApiCall) == []

    run(tmp_path, test)


def test_a_generation_that_was_to_stop_ends_instead_of_waiting(tmp_path: Path) -> None:
    async def test(ends: Ends) -> None:
        row = await stored(ends.database, stop_requested=True)
        await ends.end(row, raising(WAITS), *message())
        assert (await row.generation()).status is Status.STOPPED
        assert (await ends.events(row))[-1] == GenerationStopped(row.id, 4)
        assert not ends.ended.suspended

    run(tmp_path, test)


def test_a_generation_that_cannot_wait_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept = without_delays(monkeypatch)

    async def test(ends: Ends) -> None:
        row = await stored(ends.database)
        with failpoints.armed("suspension.save", fail):
            await ends.end(row, raising(WAITS), *message())
        generation = await row.generation()
        assert generation.error is not None
        assert (generation.status, generation.error["code"]) == (Status.FAILED, "interrupted")
        assert (await ends.events(row))[-1].sequence == 4
        assert len(slept) == 4

    run(tmp_path, test)


def test_a_generation_that_was_lost_before_it_could_wait_is_released(tmp_path: Path) -> None:
    async def test(ends: Ends) -> None:
        row = await stored(ends.database, holder=OTHER)
        await ends.end(row, raising(WAITS), *message())
        assert (ends.ended.suspended, ends.ended.lost) == (True, True)
        assert (ends.log.called, ends.signals) == (["release"], [])
        assert (await row.generation()).status is Status.RUNNING
        async with ends.database.write() as session:
            await session.delete(await session.get(Conversation, row.owner.conversation_id))
        await ends.end(row, raising(WAITS), *message())
        assert (ends.ended.suspended, ends.ended.lost) == (True, True)

    run(tmp_path, test)


def fail(_: object) -> None:
    raise RuntimeError("rejected")


def without_delays(patch: pytest.MonkeyPatch) -> list[float]:
    """Skip the delays between attempts, and return them."""
    delays: list[float] = []

    class NoDelay(Backoff):
        def next(self) -> float:
            delays.append(super().next())
            return 0.0

    patch.setattr(finalizer, "Backoff", NoDelay)
    return delays


def test_an_end_that_is_rejected_five_times_is_saved_as_a_failure_with_its_text_and_bill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = without_delays(monkeypatch)

    async def test(ends: Ends) -> None:
        row = await stored(ends.database)
        attempts: list[object] = []

        def reject(item: object) -> None:
            attempts.append(item)
            raise RuntimeError

        with failpoints.armed("end.save", reject):
            await ends.end(row, written(), *message())
        assert (len(attempts), len(slept)) == (5, 4)
        generation = await row.generation()
        assert (generation.status, generation.error, generation.sequence) == (Status.FAILED, UNSAVED.to_json(), 4)
        assert await row.content() == texts("Hi.")
        (call,) = await all_of(ends.database, ApiCall)
        assert (call.outcome, call.amount) == (Status.FAILED, 30 * 10**6)
        assert (await ends.events(row))[-1] == GenerationFailed(row.id, 4, UNSAVED.to_json())
        assert [(end.status, end.code) for end in ends.observer.ends] == [("failed", UNSAVED.code.value)]
        assert ends.titled == []
        assert ends.signals == [("changed", row.owner.id), ("ended", row.id)]
        assert await words_of(ends, row) == 1

    run(tmp_path, test)


def test_of_a_failure_each_part_is_saved_that_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_delays(monkeypatch)

    async def test(ends: Ends) -> None:
        row = await stored(ends.database)
        with failpoints.armed("end.save", fail), failpoints.armed("end.parts", fail_at("text")):
            await ends.end(row, written(), *message())
        assert await row.content() == []
        assert len(await all_of(ends.database, ApiCall)) == 1
        assert len(await all_of(ends.database, ConversationChange)) == 1
        other = await stored(ends.database)
        with failpoints.armed("end.save", fail), failpoints.armed("end.parts", fail_at("location")):
            await ends.end(other, written(), *message())
        assert (await other.content(), ends.ended.lost) == ([], False)
        assert (await ends.events(other))[-1] == GenerationFailed(other.id, 4, UNSAVED.to_json())

    run(tmp_path, test)


def fail_at(part: str) -> Callable[[object], None]:
    def fail_there(item: object) -> None:
        if str(item).endswith(part):
            raise RuntimeError

    return fail_there


def test_a_failure_is_not_saved_for_a_generation_that_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_delays(monkeypatch)

    async def test(ends: Ends) -> None:
        row = await stored(ends.database, holder=OTHER)
        with failpoints.armed("end.save", fail):
            await ends.end(row, written(), *message())
        assert ends.ended.lost
        assert (await row.generation()).status is Status.RUNNING
        assert await all_of(ends.database, ApiCall) == []

    run(tmp_path, test)


def test_an_end_that_cannot_be_saved_at_all_is_tried_for_a_minute_and_then_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = without_delays(monkeypatch)
    replace_here(monkeypatch, time, "monotonic", lambda: 20.0 * len(slept))

    async def test(ends: Ends) -> None:
        row = await stored(ends.database)
        with failpoints.armed("end.save", fail), failpoints.armed("end.save_failure", fail):
            assert await ends.end(row, written(), *message()) == ()
        generation = await row.generation()
        assert (generation.status, generation.error) == (Status.FAILED, UNSAVED.to_json())
        assert len(slept) == 4
        assert ends.log.called == ["discard", "release"]
        assert ends.signals == [("ended", row.id)]
        assert await ends.events(row) == []

    run(tmp_path, test)


def test_what_cannot_even_be_given_up_is_released(tmp_path: Path) -> None:
    async def test(ends: Ends) -> None:
        row = await stored(ends.database, holder=OTHER)
        ends.log.open(row.id, lease())
        await ends.finalizer.give_up(row.id, OVERLOADED)
        assert (await row.generation()).status is Status.RUNNING
        assert (ends.log.called, ends.signals) == (["release"], [("ended", row.id)])
        mine = await stored(ends.database)
        await ends.finalizer.give_up(mine.id, OVERLOADED)
        generation = await mine.generation()
        assert (generation.status, generation.error) == (Status.FAILED, OVERLOADED.to_json())

    run(tmp_path, test)


def test_followers_read_the_row_of_an_end_that_cannot_be_announced(tmp_path: Path) -> None:
    async def test(ends: Ends) -> None:
        row = await stored(ends.database)
        with failpoints.armed("end.saved", fail):
            await ends.end(row, written(), *message())
        assert (await row.generation()).status is Status.COMPLETED
        assert ends.log.called == ["release"]
        assert ends.signals[-1] == ("ended", row.id)

    run(tmp_path, test)


def bill(generation: ActiveGeneration) -> list[ApiCall]:
    return calls_of(generation, Payer(uuid4(), uuid4(), uuid4()), Status.STOPPED, PRICES)


def test_each_request_of_a_round_is_billed_the_failed_ones_first() -> None:
    async def work() -> None:
        failed = [Attempt(usage={"input_tokens": 1}, request_id="req_0")]
        async with active(written(), failed=failed) as generation:
            generation.answer.usage = {"input_tokens": 2}
            generation.answer.cache_write_1h_tokens, generation.answer.web_searches = 3, 4
            first, last = bill(generation)
            assert (first.outcome, first.input_tokens, first.request_id) == (Status.FAILED, 1, "req_0")
            assert (last.outcome, last.input_tokens, last.request_id) == (Status.STOPPED, 2, None)
            assert (last.cache_write_1h_tokens, last.web_searches, last.estimated) == (3, 4, True)
            generation.model = None
            assert bill(generation) == []

    asyncio.run(work())


def test_a_round_without_a_request_is_billed_only_if_nothing_else_is() -> None:
    async def work() -> None:
        async with active(written()) as generation:
            answer = generation.answer
            assert len(bill(generation)) == 1
            answer.earlier = {"input_tokens": 1}
            assert bill(generation) == []
            answer.request_id = "req_1"
            assert len(bill(generation)) == 1
            answer.request_id, answer.usage = None, {"input_tokens": 1}
            assert len(bill(generation)) == 1
            answer.usage, answer.earlier = {}, {}
            generation.failed.append(Attempt(usage={"input_tokens": 1}))
            assert [call.outcome for call in bill(generation)] == [Status.FAILED]

    asyncio.run(work())


def test_an_answer_costs_what_all_its_rounds_cost_if_all_prices_are_known() -> None:
    async def work() -> None:
        async with active(written()) as generation:
            answer = generation.answer
            answer.usage, answer.counted, answer.earlier_amount = {"input_tokens": 3}, True, 10
            assert (round_amount(generation, PRICES), total_amount(generation, PRICES)) == (3 * 10**6, 3 * 10**6 + 10)
            answer.earlier_amount = None
            assert total_amount(generation, PRICES) is None
            answer.earlier_amount, generation.model = 10, "unknown"
            assert (round_amount(generation, PRICES), total_amount(generation, PRICES)) == (None, None)

    asyncio.run(work())


def test_postgresql_saves_at_most_eight_ends_at_once() -> None:
    async def work() -> None:
        database = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none")
        limiter = persistence.finish_limiter(database)
        assert isinstance(limiter, asyncio.Semaphore)
        assert [limiter.locked() for _ in range(9) if not limiter.locked() and await limiter.acquire()] == [
            False
        ] * 7 + [True]
        await database.close()

    asyncio.run(work())
