"""The state of a running generation: how it ends, what it waits for, and what a checkpoint saves of it."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import uuid4

import pytest
from active import active, lease, never, process, raising, texts, written
from client import Json
from rows import MODEL, NOON, seconds

from tertulia.claude.errors import INTERRUPTED, ErrorCode, GenerationError, StreamError
from tertulia.db.progress import Progress, TailProgress
from tertulia.db.tables import Status
from tertulia.generation import state
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.generation.observer import End
from tertulia.generation.state import (
    CANCEL_SECONDS,
    EXPIRED,
    ActiveGeneration,
    Ending,
    Suspended,
    end_of,
    outcome,
    suspension,
    terminal_event,
)
from tertulia.json import dumps, loads
from tertulia.streams.events import GenerationCompleted, GenerationFailed, GenerationStopped

OVERLOADED = GenerationError(ErrorCode.OVERLOADED, "Overloaded.")
Use = Callable[[ActiveGeneration], Coroutine[Any, Any, None]]


def run(work: Coroutine[Any, Any, None], test: Use, **fields: Any) -> None:
    async def use() -> None:
        async with active(work, **fields) as generation:
            await test(generation)

    asyncio.run(use())


@pytest.mark.parametrize(
    ("work", "ending", "status", "code"),
    [
        (written, None, Status.COMPLETED, None),
        (written, Ending.STOPPED, Status.STOPPED, None),
        (written, Ending.EXPIRED, Status.FAILED, EXPIRED.code),
        (written, Ending.INTERRUPTED, Status.FAILED, ErrorCode.INTERRUPTED),
        (lambda: raising(asyncio.CancelledError()), None, Status.FAILED, ErrorCode.INTERRUPTED),
        (lambda: raising(StreamError(OVERLOADED)), None, Status.FAILED, ErrorCode.OVERLOADED),
        (lambda: raising(TimeoutError()), None, Status.FAILED, ErrorCode.TIMEOUT),
        (lambda: raising(RuntimeError("secret")), None, Status.FAILED, ErrorCode.API_ERROR),
    ],
)
def test_a_generation_ends_as_its_task_has_ended_or_as_it_was_told(
    work: Callable[[], Coroutine[Any, Any, None]], ending: Ending | None, status: Status, code: ErrorCode | None
) -> None:
    async def test(generation: ActiveGeneration) -> None:
        found, error = outcome(generation)
        assert (found, None if error is None else error.code) == (status, code)
        assert error is None or "secret" not in error.message
        assert code is not ErrorCode.INTERRUPTED or error is INTERRUPTED

    run(work(), test, ending=ending)


def test_each_final_status_has_its_terminal_event() -> None:
    id = uuid4()
    assert terminal_event(id, 7, Status.COMPLETED, None) == GenerationCompleted(id, 7)
    assert terminal_event(id, 7, Status.STOPPED, None) == GenerationStopped(id, 7)
    assert terminal_event(id, 7, Status.FAILED, {"code": "x"}) == GenerationFailed(id, 7, {"code": "x"})


def test_a_generation_waits_if_its_task_says_so_and_nothing_has_ended_it() -> None:
    suspended = Suspended({}, [], NOON)

    async def test(generation: ActiveGeneration) -> None:
        assert suspension(generation) is suspended
        generation.ending = Ending.STOPPED
        assert suspension(generation) is None

    run(raising(suspended), test)
    for work in (written(), raising(asyncio.CancelledError()), raising(RuntimeError())):

        async def waits_for_nothing(generation: ActiveGeneration) -> None:
            assert suspension(generation) is None

        run(work, waits_for_nothing)


@pytest.mark.parametrize(
    ("work", "ending", "is_ended_by_message"),
    [
        (written, None, True),
        (written, Ending.STOPPED, False),
        (lambda: raising(asyncio.CancelledError()), None, False),
        (lambda: raising(RuntimeError()), None, False),
    ],
)
def test_a_message_ends_an_answer_whose_task_has_ended_by_itself(
    work: Callable[[], Coroutine[Any, Any, None]], ending: Ending | None, *, is_ended_by_message: bool
) -> None:
    message_id = uuid4()

    async def test(generation: ActiveGeneration) -> None:
        assert generation.ended_by_message == (message_id if is_ended_by_message else None)

    run(work(), test, ending=ending, steered_by=message_id)


@pytest.mark.parametrize("ending", [Ending.LOST, Ending.RELEASED, Ending.STOPPED])
def test_the_error_of_a_task_that_ends_for_another_reason_is_not_logged(ending: Ending) -> None:
    logged: list[Json] = []

    async def test(generation: ActiveGeneration) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
        generation.ending = ending
        await generation.wait_until_written()
        generation.writing = asyncio.create_task(written())
        await generation.wait_until_written()
        gc.collect()

    run(raising(Suspended({}, [], NOON)), test)
    assert logged == []


def test_the_first_reason_to_end_counts() -> None:
    async def test(generation: ActiveGeneration) -> None:
        generation.end(Ending.STOPPED)
        generation.end(Ending.LOST)
        await generation.wait_until_written()
        assert (generation.ending, generation.writing.cancelled()) == (Ending.STOPPED, True)

    run(never(), test)


def test_a_task_that_has_ended_is_not_ended_again() -> None:
    async def test(generation: ActiveGeneration) -> None:
        generation.end(Ending.STOPPED)
        assert generation.ending is None

    run(written(), test)


def test_a_task_that_ignores_its_cancellation_is_abandoned_after_three_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled: list[int] = []

    async def stubborn() -> None:
        while len(cancelled) < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(1)

    async def test(generation: ActiveGeneration) -> None:
        later: list[tuple[float, Callable[[], None]]] = []

        def call_later(seconds: float, call: Callable[[], None]) -> None:
            later.append((seconds, call))

        monkeypatch.setattr(asyncio.get_running_loop(), "call_later", call_later)
        generation.end(Ending.STOPPED)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not generation.abandoned.done()
        ((delay, abandon),) = later
        assert delay == CANCEL_SECONDS == 3.0
        abandon()
        await generation.wait_until_written()
        assert generation.abandoned.done()
        assert not generation.writing.done()
        await asyncio.sleep(0)
        assert len(cancelled) == 2
        abandon()
        await asyncio.sleep(0)
        assert len(cancelled) == 2

    run(stubborn(), test)


def test_a_task_that_ends_in_time_is_not_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(generation: ActiveGeneration) -> None:
        later: list[Callable[[], None]] = []

        def call_later(_: float, call: Callable[[], None]) -> None:
            later.append(call)

        monkeypatch.setattr(asyncio.get_running_loop(), "call_later", call_later)
        generation.end(Ending.STOPPED)
        await generation.wait_until_written()
        later[0]()
        assert not generation.abandoned.done()

    run(never(), test)


def test_nothing_is_written_while_the_lease_has_lapsed() -> None:
    async def test(generation: ActiveGeneration) -> None:
        waiting = asyncio.create_task(generation.may_write())
        for _ in range(3):
            await asyncio.sleep(0)
        assert not waiting.done()
        generation.renewed.set()
        await waiting

    run(never(), test, lease=lease(-1))

    async def held(generation: ActiveGeneration) -> None:
        await asyncio.wait_for(generation.may_write(), 0.5)

    run(never(), held)


def test_a_checkpoint_saves_what_is_new_of_an_answer_that_is_written() -> None:
    async def test(generation: ActiveGeneration) -> None:
        answer = generation.answer
        assert generation.progress() is None
        process(answer, {"type": "content_block_start", "index": 0, "content_block": texts("Hi.")[0]})
        answer.usage = {"input_tokens": 3}
        generation.first_token_at = NOON
        assert generation.message_id is not None
        partial = [{**texts("Hi.")[0], "partial": True}]
        expected = Progress(answer.generation_id, generation.message_id, 1, NOON, dumps(partial), answer.total())
        assert generation.progress() == expected
        generation.saved = 1
        assert generation.progress() is None
        generation.saved = 0
        message_id, generation.message_id = generation.message_id, None
        assert generation.progress() is None
        generation.message_id = message_id
        generation.abandoned.set_result(None)
        assert generation.progress() is None

    run(never(), test)


def write(answer: AnswerAccumulator, text: str) -> None:
    process(answer, {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})


def test_a_long_text_is_saved_each_second_and_completely_the_less_often_the_longer_it_is() -> None:
    async def test(generation: ActiveGeneration) -> None:
        def is_complete() -> bool:
            write(answer, "x")
            progress = saved(generation)
            assert progress.sequence == answer.sequence
            return isinstance(progress, Progress)

        answer = generation.answer
        process(answer, {"type": "content_block_start", "index": 0, "content_block": texts("")[0]})
        assert [is_complete() for _ in range(3)] == [True] * 3
        write(answer, "x" * 2 * state.SIZE_PER_CHECKPOINT)
        assert [is_complete() for _ in range(7)] == [True, False, False, True, False, False, True]
        # The tokens that Claude reports are saved at once.
        answer.usage = {"input_tokens": 3}
        assert [is_complete() for _ in range(2)] == [True, False]
        # Another transaction has saved the content.
        generation.base = None
        assert [is_complete() for _ in range(2)] == [True, False]
        # The new text is longer than the saved content.
        write(answer, "x" * 3 * state.SIZE_PER_CHECKPOINT)
        assert is_complete()

    run(never(), test)


def test_nothing_is_added_to_a_content_whose_save_has_failed() -> None:
    async def test(generation: ActiveGeneration) -> None:
        answer = generation.answer
        process(answer, {"type": "content_block_start", "index": 0, "content_block": texts("")[0]})
        write(answer, "x" * 2 * state.SIZE_PER_CHECKPOINT)
        for _ in range(2):
            assert isinstance(generation.progress(), Progress)
        saved(generation)
        write(answer, "x")
        progress = generation.progress()
        assert isinstance(progress, TailProgress)
        assert (progress.base, progress.sequence) == (answer.sequence - 1, answer.sequence)
        added = {"type": "text", "text": "x", "partial": True}
        assert loads(progress.content) == {"kept": 0, "grown": "text", "blocks": [added]}

    run(never(), test)


def saved(generation: ActiveGeneration) -> Progress | TailProgress:
    progress = generation.progress()
    assert progress is not None
    generation.note_saved(progress.sequence)
    return progress


def test_checkpoints_of_an_answer_of_100_000_tokens_write_few_bytes() -> None:
    async def test(generation: ActiveGeneration) -> None:
        process(generation.answer, {"type": "content_block_start", "index": 0, "content_block": texts("")[0]})
        sizes = {Progress: 0, TailProgress: 0}
        for _ in range(2000):
            write(generation.answer, "x" * 4 * 50)
            progress = saved(generation)
            sizes[type(progress)] += len(progress.content)
        # With the whole text at each checkpoint, it would be 400 MB.
        assert sizes[Progress] < 35_000_000
        assert sizes[TailProgress] < 5_000_000

    run(never(), test)


def test_a_checkpoint_saves_nothing_once_the_end_is_being_saved() -> None:
    async def test(generation: ActiveGeneration) -> None:
        assert generation.progress() is None

    run(written(), test, answer=AnswerAccumulator(uuid4(), 5, texts("Hi.")))


def test_an_end_is_reported_with_its_times_and_missing_results_of_tools_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "now", lambda: seconds(10))

    async def test(generation: ActiveGeneration) -> None:
        assert end_of(generation, Status.COMPLETED, None) == End("completed", None, MODEL, 10, None, 0)
        generation.first_token_at, generation.model = seconds(2), None
        generation.answer.usage, generation.answer.counted = {"output_tokens": 5}, True
        assert end_of(generation, Status.FAILED, OVERLOADED) == End("failed", "overloaded_error", "", 10, 2, 5)
        assert end_of(generation, Status.FAILED, EXPIRED).code == "tool_results_expired"

    run(never(), test, started_at=NOON)
