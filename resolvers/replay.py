"""The plan of how a stream begins or resumes: a pure function of the states of the client, the log and the row.

It implements rules 6 to 8 of PROTOCOL.md. The log has the events that were sent. It may have expired, it may not yet
have the latest events, and it may be stale because the process that wrote it was lost. The row is as old as its last
checkpoint, and final once the generation has ended.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto


class SnapshotReason(StrEnum):
    """Why a snapshot is sent instead of the requested events."""

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
    """The state of a log, which has the events 1 to `last`."""

    last: int
    ended: bool = False
    """Whether event `last` is the terminal event."""


@dataclass(frozen=True, slots=True)
class RowState:
    """The state of a row.

    While the phase is RUNNING, the row has the text of the events up to `sequence`. Otherwise event `sequence` is the
    terminal event or ToolResultsRequired, and the row has the text of the events up to `sequence - 1`.
    """

    sequence: int
    phase: Phase = Phase.RUNNING

    @property
    def text(self) -> int:
        """The sequence of the last event that the text includes."""
        return self.sequence - (self.phase is not Phase.RUNNING)


@dataclass(frozen=True, slots=True)
class Replay:
    """The plan of a stream: first the snapshot, if any, then the row's last event, if any, then the events of the log.

    The events of the log are those after the last event that the client has by then. None follow a terminal event.

    Attributes:
        after: The sequence of the snapshot, or else of the last event that the client has.
        snapshot: The source of the snapshot; None for no snapshot.
        reason: The reason in the snapshot.
        row_event: Whether the row's last event is sent.
    """

    after: int
    snapshot: Source | None = None
    reason: SnapshotReason | None = None
    row_event: bool = False


def plan_replay(after: int | None, log: LogState | None, row: RowState, *, waited: bool) -> Replay:
    """Return the plan of the stream for one client.

    Args:
        after: The sequence of the last event that the client has; None to begin with a snapshot.
        log: The state of the log; None if it does not exist, does not begin at 1, or cannot be reached.
        row: The state of the row. It must have been read before the log, and again after it if the log is None, has
            ended, or waits for the client.
        waited: Whether the log has had time to receive the events that the row already includes.
    """
    if row.phase is Phase.ENDED and log is not None and not _matches(log, row):
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
    # The sequence is higher than that of the row. The event may still exist: the row can be older than events that
    # were already sent, and only the log has those.
    may_exist = row.phase is not Phase.ENDED and (not waited if log is None else after == log.last)
    return Replay(after) if may_exist else _snapshot(log, row, SnapshotReason.UNKNOWN_SEQUENCE)


def _matches(log: LogState, row: RowState) -> bool:
    """Return whether a log matches an ended row: it is complete, or lacks only events at its end.

    Any other log was written by a process that had lost its lease.
    """
    return log.last == row.sequence if log.ended else log.last < row.sequence


def _snapshot(log: LogState | None, row: RowState, reason: SnapshotReason | None) -> Replay:
    """Return the plan of a stream that begins with a snapshot: from the log or the row, whichever is ahead.

    The row may contain less than clients have received from the log: a process that could not read the log may have
    taken over.
    """
    is_older = (
        log is not None and row.phase is not Phase.ENDED and row.sequence < log.last + (row.phase is Phase.RUNNING)
    )
    if log is not None and is_older:
        # A snapshot does not include the terminal event, which is always sent separately, last.
        return Replay(log.last - log.ended, Source.LOG, reason)
    return Replay(row.text, Source.ROW, reason, row_event=row.phase is not Phase.RUNNING)
