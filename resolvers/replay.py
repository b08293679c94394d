"""How a stream begins or resumes: a pure function of the states of the client, the log and the row.

Rules 6 to 8 of PROTOCOL.md. The log holds the events that were sent. It may be expired, late, or stale because the
process that wrote it was lost. The row is as old as its last checkpoint, and final once the answer has ended.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto


class SnapshotReason(StrEnum):
    """Why a snapshot comes in place of the events that were asked for."""

    EXPIRED = "expired"
    UNKNOWN_SEQUENCE = "unknown_sequence"
    ENDED = "ended"


class Phase(Enum):
    """The state of a generation according to its row."""

    RUNNING = auto()
    WAITING = auto()
    ENDED = auto()


class Source(Enum):
    """The source of a snapshot."""

    LOG = auto()
    ROW = auto()


@dataclass(frozen=True, slots=True)
class LogState:
    """The state of a log: it has the events 1 to `last`; `ended`: the last one is terminal."""

    last: int
    ended: bool = False


@dataclass(frozen=True, slots=True)
class RowState:
    """The state of a row: its text is that of the events up to `sequence`, or, unless RUNNING, up to `sequence - 1`.

    Event `sequence` is then the terminal event or ToolResultsRequired.
    """

    sequence: int
    phase: Phase = Phase.RUNNING

    @property
    def text(self) -> int:
        """The sequence of the last event that the text includes."""
        return self.sequence - (self.phase is not Phase.RUNNING)


@dataclass(frozen=True, slots=True)
class Replay:
    """What a client receives: a snapshot, if any, up to `after`; the row's last event, if `row_event`; then the log.

    With `row_event`, the events of the log after that of the row follow. Nothing follows a terminal event.
    """

    after: int
    snapshot: Source | None = None
    reason: SnapshotReason | None = None
    row_event: bool = False


def plan_replay(after: int | None, log: LogState | None, row: RowState, *, waited: bool) -> Replay:
    """Decide what to send to a client that has the events up to `after`, or, with None, no events.

    Args:
        after: The sequence of the last event that the client has.
        log: None if the log does not exist, does not begin at 1, or cannot be reached.
        row: Read before the log, and again after it if the log is None, has ended, or waits for the client.
        waited: Whether the log has had time to receive the events that the row includes: it may be a little late.
    """
    if row.phase is Phase.ENDED and log is not None and not _is_of(log, row):
        log = None
    if after is None or after < 0:
        return _snapshot(log, row, None if after is None else SnapshotReason.UNKNOWN_SEQUENCE)
    if row.phase is Phase.ENDED and after == row.sequence:
        return _snapshot(log, row, SnapshotReason.ENDED)
    if row.phase is not Phase.RUNNING and after == row.text:
        return Replay(after, row_event=True)
    if after < (0 if log is None else log.last) or after == row.sequence:
        return Replay(after)
    if after < row.sequence:
        is_late = log is not None and not waited
        return Replay(after) if is_late else _snapshot(log, row, SnapshotReason.EXPIRED)
    # The row has no such sequence. It may be older than the events already sent, and only the log has those.
    may_exist = row.phase is not Phase.ENDED and (not waited if log is None else after == log.last)
    return Replay(after) if may_exist else _snapshot(log, row, SnapshotReason.UNKNOWN_SEQUENCE)


def _is_of(log: LogState, row: RowState) -> bool:
    """Return whether a log agrees with an ended row: it is complete, or lacks only events at its end.

    Any other log was written by a process that had lost its lease.
    """
    return log.last == row.sequence if log.ended else log.last < row.sequence


def _snapshot(log: LogState | None, row: RowState, reason: SnapshotReason | None) -> Replay:
    """Plan a snapshot from the log or the row, whichever is ahead.

    The log was sent. The row may be that of a process that could not read the log.
    """
    is_older = (
        log is not None and row.phase is not Phase.ENDED and row.sequence < log.last + (row.phase is Phase.RUNNING)
    )
    if log is not None and is_older:
        # A snapshot does not include the terminal event, which is always sent separately, last.
        return Replay(log.last - log.ended, Source.LOG, reason)
    return Replay(row.text, Source.ROW, reason, row_event=row.phase is not Phase.RUNNING)
