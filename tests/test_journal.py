"""The journal of answers on disk: recovery after a crash, its lock, its permissions and its removal."""

import asyncio
import errno
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tertulia.streams.codec import encode
from tertulia.streams.events import GenerationEvent, GenerationStarted, TextDelta
from tertulia.streams.journal import Journal
from tertulia.streams.memory import MemoryLog


def deltas(id: UUID, first: int, texts: Sequence[str]) -> list[GenerationEvent]:
    return [TextDelta(id, first + index, 0, 0, text) for index, text in enumerate(texts)]


@contextmanager
def killed(folder: Path) -> Generator[Journal]:
    """Yield the journal of a process that is killed at the end of the block: it closes its files but removes none."""
    journal = Journal(folder)
    journal.lock()
    yield journal
    for id in [UUID(int=number) for number in journal._files]:
        journal.close(id)
    journal.unlock()


def file_of(folder: Path, id: UUID) -> Path:
    return folder / f"{id}.jsonl"


def written(path: Path) -> bytes:
    return path.read_bytes().rstrip(b"\0")


def tear(path: Path, line: bytes) -> None:
    """Append part of a line, as a process that is killed in the middle of a write does."""
    end = len(written(path))
    with path.open("r+b") as file:
        file.seek(end)
        file.write(line)


def test_a_torn_line_is_overwritten_and_later_lines_are_kept(tmp_path: Path) -> None:
    id = uuid4()
    with killed(tmp_path / "answers") as first:
        first.write(id, [GenerationStarted(id, 1)])
        first.write(id, deltas(id, 2, ["whole"]))
    tear(file_of(tmp_path / "answers", id), encode(deltas(id, 3, ["torn"]))[:-5])
    with killed(tmp_path / "answers") as second:
        assert [event.sequence for event in second.read(id)] == [1, 2]
        second.write(id, deltas(id, 3, ["again"]))
        texts = [event.text for event in second.read(id) if isinstance(event, TextDelta)]
    assert texts == ["whole", "again"]


def test_no_part_of_a_long_torn_line_remains_after_a_shorter_line_overwrites_it(tmp_path: Path) -> None:
    id = uuid4()
    with killed(tmp_path) as first:
        first.write(id, [GenerationStarted(id, 1)])
    tear(file_of(tmp_path, id), encode(deltas(id, 2, ["torn " * 100]))[:-5])
    with killed(tmp_path) as second:
        second.write(id, deltas(id, 2, ["short"]))
        second.write(id, deltas(id, 3, ["more"]))
        assert [event.sequence for event in second.read(id)] == [1, 2, 3]


def test_events_after_a_gap_are_not_read(tmp_path: Path) -> None:
    id = uuid4()
    with killed(tmp_path) as journal:
        journal.write(id, [GenerationStarted(id, 1)])
        journal.write(id, deltas(id, 3, ["after a gap"]))
        assert [event.sequence for event in journal.read(id)] == [1]


def test_an_answer_that_outgrows_its_preallocated_file_is_read_in_full_by_the_next_process(tmp_path: Path) -> None:
    id = uuid4()
    texts = [f"{number} " * 2_000 for number in range(60)]
    with killed(tmp_path) as first:
        first.write(id, [GenerationStarted(id, 1)])
        for number, text in enumerate(texts[:40]):
            first.write(id, deltas(id, 2 + number, [text]))
    with killed(tmp_path) as second:
        for number, text in enumerate(texts[40:], 40):
            second.write(id, deltas(id, 2 + number, [text]))
        assert [event.text for event in second.read(id) if isinstance(event, TextDelta)] == texts


def fill_disk(patch: pytest.MonkeyPatch, left: int) -> None:
    """Leave `left` bytes free on the disk: a write that needs more is cut short, and the next one fails."""
    write, free = os.pwrite, [left]

    def pwrite(file: int, data: bytes, offset: int) -> int:
        if not free[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(file, data[: free[0]], offset)
        free[0] -= written
        return written

    patch.setattr("tertulia.streams.journal.os.pwrite", pwrite)


@pytest.mark.parametrize("left", [0, 1_000])
def test_a_full_disk_is_reported_before_an_event_is_written_partially(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    id = uuid4()
    with killed(tmp_path) as journal:
        fill_disk(monkeypatch, left)
        with pytest.raises(OSError, match="No space left"):
            journal.write(id, [GenerationStarted(id, 1)])


def test_an_answer_that_outgrows_its_file_on_a_full_disk_keeps_the_events_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = uuid4()
    with killed(tmp_path) as journal:
        journal.write(id, [GenerationStarted(id, 1)])
        with monkeypatch.context() as patch:
            fill_disk(patch, 1_000)
            for _ in range(2):
                with pytest.raises(OSError, match="No space left"):
                    journal.write(id, deltas(id, 2, ["x" * 100_000]))
            # The file still has space for a short event.
            journal.write(id, deltas(id, 2, ["short"]))

            def write_bytes(*_: object) -> None:
                raise OSError(errno.ENOSPC, "No space left on device")

            patch.setattr(Path, "write_bytes", write_bytes)
            # So the short event does not prove that there is space.
            with pytest.raises(OSError, match="No space left"):
                journal.check_storage()
        journal.check_storage()
        journal.write(id, deltas(id, 3, ["x" * 100_000]))
        assert [event.sequence for event in journal.read(id)] == [1, 2, 3]


def succeed(_path: Path, data: bytes) -> int:
    return len(data)


@contextmanager
def probes_fail() -> Generator[None]:
    """Refuse every file that tests the disk."""

    def fail(_path: Path, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_bytes", fail)
        yield


def test_the_disk_is_tested_from_a_write_that_it_had_no_space_for_until_a_test_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id, unused = uuid4(), MemoryLog(Journal(tmp_path / "unused"))
    # Nothing was written, so there is no folder in which the disk could be tested.
    asyncio.run(unused.check_storage())
    with killed(tmp_path) as journal, probes_fail():
        log = MemoryLog(journal)
        journal.write(id, [GenerationStarted(id, 1)])
        asyncio.run(log.check_storage())
        with monkeypatch.context() as patch:
            fill_disk(patch, 0)
            with pytest.raises(OSError, match="No space left"):
                journal.write(id, deltas(id, 2, ["x" * 100_000]))
        for _ in range(2):
            with pytest.raises(OSError, match="No space left"):
                asyncio.run(log.check_storage())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "write_bytes", succeed)
            asyncio.run(log.check_storage())
        asyncio.run(log.check_storage())


def test_a_file_that_tests_the_disk_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    id = uuid4()
    with killed(tmp_path) as journal:
        with monkeypatch.context() as patch:
            fill_disk(patch, 0)
            with pytest.raises(OSError, match="No space left"):
                journal.write(id, [GenerationStarted(id, 1)])
        journal.check_storage()
        assert list(tmp_path.glob("probe*")) == []


def test_a_closed_answer_keeps_no_file_open(tmp_path: Path) -> None:
    id = uuid4()
    with killed(tmp_path) as journal:
        journal.write(id, [GenerationStarted(id, 1)])
        number = journal._files[id.int]._file
        os.fstat(number)
        journal.close(id)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)


def test_only_one_process_at_a_time_holds_the_lock(tmp_path: Path) -> None:
    first, second, third = (Journal(tmp_path / "answers") for _ in range(3))
    assert first.lock()
    assert not second.lock()
    second.unlock()
    # A process that does not hold the lock does not release it by leaving.
    assert not third.lock()
    third.unlock()
    first.unlock()
    assert second.lock()
    second.unlock()


@pytest.mark.parametrize("is_closed", [False, True], ids=["while it is written", "after it was written"])
def test_forgetting_an_answer_removes_its_file(tmp_path: Path, *, is_closed: bool) -> None:
    forgotten, other = uuid4(), uuid4()
    with killed(tmp_path) as journal:
        for id in (forgotten, other):
            journal.write(id, [GenerationStarted(id, 1)])
        if is_closed:
            journal.close(forgotten)
        journal.forget(forgotten)
        journal.forget(forgotten)
        assert [path.name for path in tmp_path.glob("*.jsonl")] == [f"{other}.jsonl"]
        assert journal.read(forgotten) == []


def test_an_answer_that_is_written_again_after_it_was_forgotten_has_a_new_file(tmp_path: Path) -> None:
    id = uuid4()
    with killed(tmp_path) as journal:
        journal.write(id, [GenerationStarted(id, 1)])
        journal.forget(id)
        journal.write(id, [GenerationStarted(id, 1)])
        assert [event.sequence for event in journal.read(id)] == [1]


def test_only_the_user_of_the_server_can_read_answers_on_the_disk(tmp_path: Path) -> None:
    locked, unlocked = Journal(tmp_path / "locked"), Journal(tmp_path / "unlocked")
    locked.lock()
    id = uuid4()
    for journal in (locked, unlocked):
        journal.write(id, [GenerationStarted(id, 1)])
        journal.close(id)
        journal.unlock()
    paths = [path for folder in ("locked", "unlocked") for path in (tmp_path / folder, file_of(tmp_path / folder, id))]
    paths.append(tmp_path / "locked" / "lock")
    assert [path.stat().st_mode & 0o7777 for path in paths] == [0o700, 0o600, 0o700, 0o600, 0o600]
