"""Batches for Redis: the events that are stored in streams, the lives of keys, and the entries that a journal keeps."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from client import WAIT

from tertulia.streams.codec import decode
from tertulia.streams.events import (
    GenerationCompleted,
    GenerationEvent,
    GenerationStarted,
    TextDelta,
    ToolResultsRequired,
)
from tertulia.streams.lease import Lease
from tertulia.streams.redis import reader as redis_reader
from tertulia.streams.redis.batch import (
    KEPT_AFTER_RELEASE,
    KEPT_SECONDS,
    RENEW_SECONDS,
    STORE_SECONDS,
    Journal,
    Part,
    Writing,
    make_part,
)
from tertulia.streams.redis.reader import RedisReader
from tertulia.streams.redis.scripts import (
    LIFE_WHILE_WRITTEN,
    PARTITIONS,
    holder_key,
    journal_key,
    journal_lines,
    partition_tags,
    stream_key,
)
from tertulia.streams.stream import Stream

ID, OTHER = UUID(int=7), UUID(int=8)
LIFE_AFTER_END = 900


def delta(sequence: int, id: UUID = ID) -> GenerationEvent:
    return TextDelta(id, sequence, 0, sequence - 2, "x")


def writing(events: int = 3, id: UUID = ID, *, is_stored: bool = True) -> Writing:
    """Return an answer with some events, all but the last of which are in Redis if `is_stored`."""
    stream = Stream(id, [GenerationStarted(id, 1), *(delta(sequence, id) for sequence in range(2, events + 1))])
    stream.lease = Lease(datetime.now(UTC) + timedelta(seconds=60))
    answer = Writing(stream)
    if is_stored:
        answer.sent = answer.stored = events - 1
        answer.replaces = False
        answer.renewed_at = 100.0
    return answer


def part(answer: Writing, now: float = 100.0, *, is_due: bool = False) -> Part:
    return make_part(answer.stream.generation_id, answer, now, LIFE_AFTER_END, is_due=is_due)


def in_line(line: bytes) -> tuple[int, list[int]]:
    """Return the last number in a line of the journal, and those of its events."""
    ((name, last, encoded),) = journal_lines({b"j": line})
    assert name == str(ID).encode()
    return last, [event.sequence for event in decode(ID, encoded)]


def stored_in(answer: Part) -> tuple[int, int, list[int], Any, str]:
    """Return what the stream of an answer gets: after, last, events, life and flags."""
    assert answer.store is not None
    after, last, encoded, life, flags = answer.store
    return after, last, [event.sequence for event in decode(ID, encoded)], life, flags


def test_the_first_events_of_an_answer_create_its_stream() -> None:
    first = part(writing(is_stored=False))
    assert in_line(first.line) == (3, [1, 2, 3])
    assert stored_in(first)[:3] == (0, 3, [1, 2, 3])
    assert stored_in(first)[3:] == (LIFE_WHILE_WRITTEN, "o")
    assert (first.renews, first.unmarks) == (True, False)


def test_further_events_are_only_in_the_journal() -> None:
    further = part(writing())
    assert (in_line(further.line), further.end) == ((3, [3]), 3)
    assert (further.store, further.renews, further.unmarks) == (None, False, False)


@pytest.mark.parametrize("reason", ["due", "unsure", "unmarked"])
def test_events_are_stored_when_they_are_due_or_redis_may_lack_some(reason: str) -> None:
    answer = writing()
    answer.stored = 1
    answer.is_unsure, answer.is_marked = reason == "unsure", reason != "unmarked"
    stored = part(answer, is_due=reason == "due")
    assert in_line(stored.line) == (3, [3])
    assert stored_in(stored) == (1, 3, [2, 3], "", "")
    assert not stored.renews


def test_due_events_without_new_ones_have_no_line() -> None:
    answer = writing()
    answer.sent, answer.stored = 3, 2
    stored = part(answer, is_due=True)
    assert stored.line == b""
    assert stored_in(stored) == (2, 3, [3], "", "")


@pytest.mark.parametrize("last", [GenerationCompleted(ID, 4), ToolResultsRequired(ID, 4, {}, [], datetime.now(UTC))])
def test_the_last_event_is_stored_and_removes_the_marker(last: GenerationEvent) -> None:
    answer = writing()
    answer.stream.append(last)
    stored = part(answer)
    assert stored_in(stored)[1:3] == (4, [3, 4])
    is_over = isinstance(last, GenerationCompleted)
    assert stored_in(stored)[3:] == (LIFE_AFTER_END if is_over else "", "p")
    assert stored.unmarks
    answer.note_stored(4, stored, 100.0)
    assert not answer.is_marked


def test_the_life_of_the_keys_is_extended_once_a_minute() -> None:
    answer = writing()
    assert not part(answer, 100.0 + RENEW_SECONDS, is_due=True).renews
    later = part(answer, 100.5 + RENEW_SECONDS, is_due=True)
    assert (later.renews, stored_in(later)[3]) == (True, LIFE_WHILE_WRITTEN)
    answer.note_stored(3, later, 160.5)
    assert answer.renewed_at == 160.5
    assert not part(answer, 161.0, is_due=True).renews


@pytest.mark.parametrize(("last", "replaces", "is_unsure"), [(0, True, True), (2, False, True), (3, False, False)])
def test_a_stream_that_lacks_events_is_checked_again_and_one_that_is_lost_is_replaced(
    last: int, *, replaces: bool, is_unsure: bool
) -> None:
    answer = writing()
    answer.note_stored(last, part(answer, is_due=True), 200.0)
    assert (answer.sent, answer.stored) == (last, last)
    assert (answer.replaces, answer.is_unsure, answer.is_marked) == (replaces, is_unsure, True)
    assert answer.renewed_at == 100.0


def test_events_may_be_sent_while_the_lease_holds() -> None:
    answer = writing()
    assert answer.may_be_sent
    answer.sent = 3
    assert not answer.may_be_sent
    answer.sent = 2
    answer.stream.lease = Lease(None)
    assert not answer.may_be_sent


def test_calls_that_wait_for_redis_are_ended_once_and_forgotten() -> None:
    async def test() -> None:
        answer, loop = writing(), asyncio.get_running_loop()
        waiting, cancelled = loop.create_future(), loop.create_future()
        answer.flushed += [cancelled, waiting]
        cancelled.cancel()
        answer.resolve()
        assert waiting.done()
        assert answer.flushed == []

    asyncio.run(test())


def written(journal: Journal, parts: Sequence[Part], now: float) -> tuple[int, int, int]:
    """Write a batch; return the number that the journal must have, the new one, and how many entries are kept."""
    count, *rest = journal.arguments(parts, 0, now)
    journal.note_written(parts, now)
    _process, _deadline, expected, number, _lines, kept, *_ = rest[count:]
    return expected, number, kept


def test_the_arguments_name_the_keys_and_the_stored_answers() -> None:
    journal = Journal("me", None)
    first, second = part(writing(), is_due=True), part(writing(id=OTHER))
    arguments = journal.arguments([first, second], 12345, 100.0)
    keys = [journal_key("me"), holder_key(ID), holder_key(OTHER), stream_key(ID)]
    lines = first.line + second.line
    assert arguments == [4, *keys, "me", 12345, 0, 1, lines, 1, LIFE_WHILE_WRITTEN, 2, 1, *(first.store or ())]


def test_the_life_of_the_journal_is_extended_once_a_minute() -> None:
    journal = Journal("me", None)
    parts = [part(writing())]

    def life(now: float) -> Any:
        arguments = journal.arguments(parts, 0, now)
        journal.note_written(parts, now)
        return arguments[1 + arguments[0] + 6]

    lives = [life(now) for now in (0.5, 30.0, 0.5 + RENEW_SECONDS, 61.0, 62.0, 122.0)]
    assert lives == [LIFE_WHILE_WRITTEN, "", "", LIFE_WHILE_WRITTEN, "", LIFE_WHILE_WRITTEN]
    journal.resume_after(3)
    assert life(123.0) == LIFE_WHILE_WRITTEN


def test_numbers_are_not_used_again() -> None:
    journal = Journal("me", None)
    parts = [part(writing())]
    assert [written(journal, parts, now)[:2] for now in (0.0, 0.1, 0.2)] == [(0, 1), (1, 2), (2, 3)]
    due = writing()
    due.sent = 3
    assert written(journal, [part(due, is_due=True)], 0.3)[:2] == (3, 4)
    assert written(journal, parts, 0.4)[:2] == (3, 4), "a batch without a line writes no entry"
    journal.resume_after(0)
    assert written(journal, [*parts, part(due, is_due=True)], 0.5)[:2] == (0, 5)
    assert written(journal, parts, 0.6)[:2] == (5, 6)
    journal.resume_after(9)
    assert written(journal, parts, 0.7)[:2] == (9, 10)


def test_the_journal_keeps_entries_for_readers_some_seconds() -> None:
    journal, parts = Journal("me", None), [part(writing())]
    times = [0.0, 1.0, KEPT_SECONDS, KEPT_SECONDS + 0.5, KEPT_SECONDS + 1.5, 60.0]
    assert [written(journal, parts, now)[2] for now in times] == [1, 2, 3, 3, 3, 1]


def test_the_journal_keeps_the_events_that_streams_lack() -> None:
    journal, parts = Journal("me", None), [part(writing())]
    written(journal, parts, 0.0)
    journal.note_tail(ID, 0.0)
    written(journal, parts, 20.0)
    journal.note_tail(ID, 20.0)
    journal.note_tail(OTHER, 20.0)
    assert written(journal, parts, 40.0)[2] == 3
    journal.forget_tail(ID)
    journal.forget_tail(ID)
    assert written(journal, parts, 60.0)[2] == 3
    journal.forget_tail(OTHER)
    assert written(journal, parts, 80.0)[2] == 1


def test_the_journal_keeps_events_of_released_answers_for_the_process_that_takes_them_over() -> None:
    journal, parts = Journal("me", None), [part(writing())]
    written(journal, parts, 0.0)
    journal.note_tail(ID, 0.0)
    journal.release(ID, 10.0)
    journal.release(OTHER, 10.0)
    assert written(journal, parts, 10.0 + KEPT_AFTER_RELEASE)[2] == 2
    assert written(journal, parts, 10.5 + KEPT_AFTER_RELEASE)[2] == 2
    assert written(journal, parts, 60.0)[2] == 1


def test_events_are_due_a_second_after_the_first_of_them_was_written() -> None:
    journal = Journal("me", None)
    assert journal.seconds_until_due(100.0) is None
    assert journal.due(100.0) == []
    journal.note_tail(ID, 100.0)
    journal.note_tail(OTHER, 100.5)
    journal.note_tail(ID, 100.75)
    assert journal.seconds_until_due(100.25) == STORE_SECONDS - 0.25
    assert journal.due(100.875) == []
    assert journal.due(100.0 + STORE_SECONDS) == [ID]
    assert journal.due(100.5 + STORE_SECONDS) == [ID, OTHER]
    journal.forget_tail(ID)
    assert journal.due(100.5 + STORE_SECONDS) == [OTHER]


def test_the_tags_of_partitions_are_distinct() -> None:
    assert len(set(partition_tags())) == PARTITIONS


class Silent:
    """A client of a Redis that accepts commands, and never replies."""

    async def xrange(self, *_arguments: object, **_options: object) -> Any:
        await asyncio.Event().wait()


def test_a_reader_that_redis_does_not_answer_reads_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_reader, "READ_SECONDS", 0.01)

    async def read() -> Stream | None:
        client: Any = Silent()
        return await asyncio.wait_for(RedisReader(client, uuid4()).read(ID), WAIT)

    assert asyncio.run(read()) is None
