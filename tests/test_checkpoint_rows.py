"""A checkpoint saves texts and renews leases, also if one of the texts cannot be saved."""

import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from active import ME, OTHER, Stored, active, lease, never, stored, texts
from rows import NOON, with_database

from tertulia import failpoints
from tertulia.db import leases, progress
from tertulia.db.database import AsyncSession, Database
from tertulia.db.progress import Progress, TailProgress
from tertulia.generation import checkpoint
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.generation.checkpoint import Checkpoints
from tertulia.generation.state import ActiveGeneration, Ending
from tertulia.streams.lease import Lease
from tertulia.streams.memory import MemoryLog

WHOLE = texts("Hi.")


class Log(MemoryLog):
    """A log that records which events of which generations are saved."""

    def __init__(self) -> None:
        super().__init__()
        self.saved: dict[UUID, int] = {}

    def mark_saved(self, generation_id: UUID, sequence: int) -> None:
        self.saved[generation_id] = sequence


class Process:
    """The checkpoints of a process with leases of an hour."""

    def __init__(self, database: Database, lease_seconds: float = 3600) -> None:
        self.log = Log()
        self.checkpoints = Checkpoints(database, self.log, ME, lease_seconds)


@asynccontextmanager
async def writing(*rows: Stored, **fields: Any) -> AsyncGenerator[list[ActiveGeneration]]:
    """Yield generations of this process that have written a text whose end is not saved."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                active(never(), AnswerAccumulator(row.id, 4, WHOLE), message_id=row.message_id, **fields)
            )
            for row in rows
        ]


async def is_saved(*rows: Stored) -> list[bool]:
    return [await row.content() == WHOLE for row in rows]


def is_renewed(generation: ActiveGeneration) -> bool:
    return generation.renewed.is_set() and generation.lease.seconds_left > 1800


def run(folder: Path, test: Callable[[Database], Awaitable[None]]) -> None:
    with_database(folder, test)


def test_texts_are_saved_in_batches_and_all_leases_are_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "AT_ONCE", 2)

    async def test(database: Database) -> None:
        process = Process(database)
        rows = [await stored(database, lease_until=NOON) for _ in range(5)]
        claimed, foreign = await stored(database, lease_until=NOON), await stored(database, holder=OTHER)
        claims = {row.id: Lease(None) for row in (claimed, foreign)}
        async with writing(*rows) as generations:
            await process.checkpoints.save(generations, claims)
            assert await is_saved(*rows) == [True] * 5
            assert [generation.saved for generation in generations] == [4] * 5
            assert all(is_renewed(generation) for generation in generations)
            assert process.log.saved == {row.id: 4 for row in rows}
            assert [claims[row.id].holds for row in (claimed, foreign)] == [True, False]
            for row in (*rows, claimed):
                lease_until = (await row.generation()).lease_until
                assert lease_until is not None
                assert timedelta(minutes=30) < lease_until - datetime.now(UTC) <= timedelta(hours=1)

    run(tmp_path, test)


def test_the_text_of_an_answer_whose_lease_has_lapsed_is_saved_by_the_next_checkpoint(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        process = Process(database)
        row = await stored(database, lease_until=NOON)
        # The log has accepted no events since the lease lapsed, and the row must not be ahead of the log.
        async with writing(row, lease=lease(-1)) as generations:
            await process.checkpoints.save(generations, {})
            assert (await is_saved(row), is_renewed(generations[0])) == ([False], True)
            await process.checkpoints.save(generations, {})
            assert (await is_saved(row), process.log.saved) == ([True], {row.id: 4})

    run(tmp_path, test)


def test_a_checkpoint_keeps_the_newer_text_of_a_round_that_was_recorded_meanwhile(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        process = Process(database)
        newer, same = await stored(database, sequence=5), await stored(database, sequence=4)
        async with writing(newer, same) as generations:
            await process.checkpoints.save(generations, {})
            assert await is_saved(newer, same) == [False, False]
            assert [(await row.generation()).sequence for row in (newer, same)] == [5, 4]
            assert [generation.saved for generation in generations] == [4, 4]
            assert process.log.saved == {newer.id: 4, same.id: 4}

    run(tmp_path, test)


def test_answers_end_that_were_stopped_or_that_another_process_holds(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        process = Process(database)
        rows = [
            await stored(database),
            await stored(database, stop_requested=True),
            await stored(database, holder=OTHER),
        ]
        async with writing(*rows) as generations:
            await process.checkpoints.save(generations, {})
            assert [generation.ending for generation in generations] == [None, Ending.STOPPED, Ending.LOST]
        assert await is_saved(*rows) == [True, True, False]
        assert list(process.log.saved) == [row.id for row in rows[:2]]

    run(tmp_path, test)


@pytest.mark.parametrize(("lease_seconds", "renewals"), [(3600, 1), (0, 2)])
def test_leases_are_renewed_again_if_that_took_longer_than_a_lease(
    lease_seconds: float, renewals: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew_all, renewed = leases.renew_all, list[datetime]()

    async def record(session: Any, ids: Sequence[UUID], holder: UUID, until: datetime) -> Any:
        renewed.append(until)
        return await renew_all(session, ids, holder, until)

    monkeypatch.setattr(leases, "renew_all", record)

    async def test(database: Database) -> None:
        row = await stored(database)
        async with writing(row) as generations:
            await Process(database, lease_seconds).checkpoints.save(generations, {})
        assert len(set(renewed)) == renewals
        assert await is_saved(row) == [True]

    run(tmp_path, test)


def test_a_text_that_cannot_be_saved_costs_the_other_answers_nothing(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        process = Process(database)
        rows = [await stored(database, lease_until=NOON) for _ in range(3)]
        tried: list[UUID] = []

        def reject(id: UUID) -> None:
            tried.append(id)
            if id == rows[1].id:
                raise RuntimeError

        async with writing(*rows) as generations:
            with failpoints.armed("checkpoint.save", reject):
                await process.checkpoints.save(generations, {})
                assert await is_saved(*rows) == [True, False, True]
                assert [generation.saved for generation in generations] == [4, 0, 4]
                assert process.log.saved == {rows[0].id: 4, rows[1].id: 0, rows[2].id: 4}
                assert all(is_renewed(generation) for generation in generations)
                before, generations[0].saved = len(tried), 0
                await process.checkpoints.save(generations, {})
                # The one that failed is set aside.
                assert tried[before:] == [rows[0].id]
            assert [generation.ending for generation in generations] == [None] * 3

    run(tmp_path, test)


def reject_together(monkeypatch: pytest.MonkeyPatch, *alone: Stored) -> None:
    """Raise for several texts that are saved together, and for those of `alone` in any case."""
    rejected = {row.id for row in alone}

    async def save(session: AsyncSession, texts: Sequence[Progress | TailProgress]) -> None:
        if len(texts) > 1 or texts[0].generation_id in rejected:
            raise RuntimeError
        await progress.save_progress(session, texts)

    monkeypatch.setattr(checkpoint, "save_progress", save)


def test_a_text_that_the_database_rejects_costs_the_other_answers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(database: Database) -> None:
        process = Process(database)
        rows = [await stored(database, lease_until=NOON) for _ in range(3)]
        reject_together(monkeypatch, rows[1])
        async with writing(*rows) as generations:
            await process.checkpoints.save(generations, {})
            assert await is_saved(*rows) == [True, False, True]
            assert [generation.saved for generation in generations] == [4, 0, 4]
            assert all(is_renewed(generation) for generation in generations)
            assert checkpoint.TEXTS.skips(rows[1].id)

    run(tmp_path, test)


def test_a_text_is_not_saved_alone_if_another_process_has_taken_its_answer_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(database: Database) -> None:
        process = Process(database)
        row, other = await stored(database), await stored(database)
        begun: list[UUID] = []

        def take_over(id: UUID) -> None:
            begun.append(id)
            if id == row.id and begun.count(id) == 2:
                # The first time, its text was read. Now, it is saved alone.
                with sqlite3.connect(tmp_path / "rows.db") as connection:
                    connection.execute("UPDATE generations SET holder = ? WHERE id = ?", (uuid4().hex, row.id.hex))
                connection.close()

        async with writing(row, other) as generations:
            reject_together(monkeypatch)
            with failpoints.armed("checkpoint.text", take_over):
                await process.checkpoints.save(generations, {})
            assert await is_saved(row, other) == [False, True]
            assert [generation.saved for generation in generations] == [0, 4]

    run(tmp_path, test)
