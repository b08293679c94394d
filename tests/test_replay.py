"""The plan of a replay, which depends only on the client's `after`, the log and the generation's row."""

from itertools import product

from hypothesis import assume, given
from hypothesis import strategies as st

from tertulia.resolvers.replay import LogState, Phase, Replay, RowState, SnapshotReason, Source, plan_replay

AFTERS = st.none() | st.integers(-2, 14)
LOGS = st.none() | st.builds(LogState, st.integers(0, 12), st.booleans())
ROWS = st.builds(RowState, st.integers(1, 12), st.sampled_from(Phase))


def fits(log: LogState | None, row: RowState) -> bool:
    """Return whether a log can belong to the ended answer in the row, and not to a process that lost its lease."""
    if log is None or row.phase is not Phase.ENDED:
        return log is not None
    return log.last == row.sequence if log.ended else log.last < row.sequence


@given(log=LOGS, row=ROWS, waited=st.booleans())
def test_without_a_number_a_stream_begins_with_a_snapshot_without_a_reason(
    log: LogState | None, row: RowState, *, waited: bool
) -> None:
    replay = plan_replay(None, log, row, waited=waited)
    assert replay.snapshot is not None
    assert replay.reason is None


@given(after=st.integers(-2, 14), log=LOGS, row=ROWS, waited=st.booleans())
def test_with_a_number_every_snapshot_has_a_reason(
    after: int, log: LogState | None, row: RowState, *, waited: bool
) -> None:
    replay = plan_replay(after, log, row, waited=waited)
    assert (replay.snapshot is None) == (replay.reason is None)


@given(after=AFTERS, log=LOGS, row=ROWS, waited=st.booleans())
def test_a_snapshot_is_never_older_than_the_log_and_the_row(
    after: int | None, log: LogState | None, row: RowState, *, waited: bool
) -> None:
    # A checkpoint never contains the terminal event.
    assume(log is None or not log.ended or row.phase is not Phase.RUNNING or row.sequence < log.last)
    replay = plan_replay(after, log, row, waited=waited)
    if replay.snapshot is not None:
        assert replay.after >= row.text
        if log is not None and row.phase is not Phase.ENDED:
            assert (row.sequence if replay.row_event else replay.after) >= log.last - log.ended
    if replay.snapshot is Source.LOG:
        assert log is not None
        assert fits(log, row)
        assert replay.after == log.last - log.ended


@given(after=st.integers(0, 12), log=LOGS, row=ROWS, waited=st.booleans())
def test_events_in_the_log_are_sent_exactly(after: int, log: LogState | None, row: RowState, *, waited: bool) -> None:
    if log is not None and fits(log, row) and after < log.last:
        replay = plan_replay(after, log, row, waited=waited)
        # The terminal event, or `ToolResultsRequired`, may come from the row: it is the same event.
        assert (replay.after, replay.snapshot) == (after, None)
        assert not replay.row_event or row.text == after


@given(AFTERS, LOGS, ROWS)
def test_events_up_to_the_rows_sequence_are_sent_at_the_latest_after_waiting(
    after: int | None, log: LogState | None, row: RowState
) -> None:
    replay = plan_replay(after, log, row, waited=True)
    reached = row.sequence if replay.row_event else replay.after
    if fits(log, row) and log is not None:
        reached = max(reached, log.last)
    assert replay.snapshot is not None or after is None or reached > after or after >= row.sequence


@given(AFTERS, LOGS, ROWS)
def test_every_stream_of_an_ended_answer_reaches_its_terminal_event(
    after: int | None, log: LogState | None, row: RowState
) -> None:
    ended = RowState(row.sequence, Phase.ENDED)
    for _ in range(3):
        replay = plan_replay(after, log, ended, waited=True)
        if replay.row_event:
            return
        assert log is not None
        assert log.last > replay.after
        if log.ended:
            return
        after = log.last
    raise AssertionError(f"{after} does not come to an end")


@given(after=st.integers(-2, 14), log=LOGS, row=ROWS, waited=st.booleans())
def test_the_reason_matches_the_situation(after: int, log: LogState | None, row: RowState, *, waited: bool) -> None:
    reason = plan_replay(after, log, row, waited=waited).reason
    if reason is SnapshotReason.ENDED:
        assert (row.phase, after) == (Phase.ENDED, row.sequence)
    elif reason is SnapshotReason.EXPIRED:
        assert 0 <= after < row.sequence
        assert not fits(log, row) or (log is not None and after >= log.last)
    elif reason is SnapshotReason.UNKNOWN_SEQUENCE:
        assert after < 0 or after > row.sequence


@given(st.integers(0, 12), LOGS, ROWS)
def test_a_stream_waits_for_a_log_that_is_late(after: int, log: LogState | None, row: RowState) -> None:
    late = LogState(after)
    if row.phase is Phase.RUNNING:
        assert plan_replay(after, late, row, waited=False) == Replay(after)


def test_a_stream_of_a_running_answer_never_gets_a_second_snapshot() -> None:
    """With a healthy writer, the log lacks at most the last two events of the row, and the client has part of the log."""
    for sequence, lag, received in product(range(1, 8), range(3), range(8)):
        last = max(sequence - lag, 0)
        for phase in (Phase.RUNNING, Phase.ENDED):
            if received <= last < sequence:
                assert plan_replay(received, LogState(last), RowState(sequence, phase), waited=False).snapshot is None
